//! **Owns** the profile: its file format, how files are composed, what is valid, and the
//! [`Environment`] that comes out.
//! **May name** base, os.
//! **Never** asks a cluster or a cloud.
//! **Start reading at** [`load()`], then [`Environment`].

mod compose;
mod decode;
mod diagnostic;
mod environment;
mod files;
mod find;
mod load;
mod machines;
mod nearest;
pub mod schema;
mod starter;
mod tree;
mod validate;
mod yaml;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

pub use diagnostic::{Diagnostic, ProfileError};
pub use environment::{
    AddonSource, AddonSpec, ChartPlace, ChartSpec, ClusterSpec, Environment, Group, MachineResources,
    ManifestsPlace, ManifestsSpec, NodeGroup, PodSecurity, Reach, RegistrySpec, Taint, Tenant, TenantGroups,
    TenantLimits,
};
pub use find::{Found, NotFound, find, shipped};
pub use schema::{json_schema, tenant_json_schema};
pub use starter::{InitAnswers, InitCluster, starter};
pub use validate::{NEWEST, OLDEST};

use decode::{Decoded, decode};
use files::Problem;
use find::Origin;
use load::{Loader, Source};
use schema::EnvironmentFile;
use tree::{Node, Value as TreeValue};
use validate::{Inputs, validate};

/// What loading needs to know from outside.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The user's home folder, which `~` in a path stands for.
    pub home: PathBuf,
    /// The names of the addons that this berth has.
    pub known_addons: Vec<String>,
    /// What else is wrong, as those see it who make something of the profile.
    pub misfits: Option<fn(&Environment) -> Vec<Misfit>>,
}

/// What somebody who makes something of a profile finds wrong in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Where: `addons.metallb.pools[1].addresses[0]`. Where that is not written, the nearest thing around it.
    pub path: String,
    /// Whether the key there is wrong, not its value.
    pub is_key: bool,
    /// What is wrong. Lower case, no full stop.
    pub message: String,
    /// What to type or change next.
    pub help: String,
}

/// A profile that is valid.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it means.
    pub environment: Environment,
    /// What is odd, by file and place.
    pub warnings: Vec<Diagnostic>,
    /// The profile with every default written out: a valid profile itself, of one file.
    pub resolved: Value,
    /// Every file that it is made of; none for a profile that ships in the binary.
    pub files: Vec<PathBuf>,
}

/// Reads a profile with its bases and tenants, and checks all of it.
///
/// The error holds everything that is wrong, not only the first thing. Loading the same files again
/// gives the same environment.
pub fn load(found: &Found, options: &LoadOptions) -> Result<Loaded, ProfileError> {
    let mut loader = Loader::new();
    let tree = match &found.origin {
        Origin::File(path) => loader.profile(&Source { shown: &found.shown, path }, None),
        Origin::Shipped { text, folder } => loader.shipped(&found.shown, folder, text),
    };
    let tree = tree.map(|tree| with_tenants(&mut loader, tree, options));
    let Loader { files, mut problems, diagnostics, .. } = loader;
    let Some(tree) = tree else {
        return Err(failed(&files, diagnostics, problems, Vec::new()));
    };
    let Decoded { value, tree, problems: wrong } = decode::<EnvironmentFile>(tree, &files, &options.home);
    let incomplete = sections(&wrong, &tree);
    problems.extend(wrong);
    let Some(file) = value else {
        return Err(failed(&files, diagnostics, problems, Vec::new()));
    };
    let inputs =
        Inputs { files: &files, tree: &tree, incomplete: &incomplete, options, identity: &found.identity };
    let validated = validate(file, &inputs);
    problems.extend(validated.problems);
    match validated.environment {
        Some(environment) if problems.is_empty() && diagnostics.is_empty() => Ok(Loaded {
            environment,
            warnings: files.diagnose(validated.warnings),
            resolved: serde_json::to_value(validated.resolved).unwrap_or_default(),
            files: files.paths(),
        }),
        _ => Err(failed(&files, diagnostics, problems, validated.warnings)),
    }
}

fn failed(
    files: &files::Files,
    mut errors: Vec<Diagnostic>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
) -> ProfileError {
    errors.extend(files.diagnose(problems));
    ProfileError { errors, warnings: files.diagnose(warnings) }
}

/// The tree with the tenants of `tenantsFrom` behind its own.
fn with_tenants(loader: &mut Loader, mut tree: Node, options: &LoadOptions) -> Node {
    let more = loader.tenants_from(&tree, &options.home);
    if more.is_empty() {
        return tree;
    }
    let place = tree.place;
    if let TreeValue::Map(entries) = &mut tree.value {
        match entries.iter_mut().find(|entry| &*entry.key == "tenants") {
            Some(entry) => {
                if let TreeValue::List(items) = &mut entry.node.value {
                    items.extend(more);
                }
            }
            None => entries.push(tree::Entry {
                key: "tenants".into(),
                key_place: place,
                node: Node { place, value: TreeValue::List(more) },
            }),
        }
    }
    tree
}

/// The sections of the profile in which something is wrong already: what refers to them may be right.
fn sections(wrong: &[Problem], tree: &Node) -> Vec<String> {
    let mut sections = BTreeSet::new();
    for problem in wrong {
        // The section is the last one that begins before the problem in its file.
        let starts = tree
            .entries()
            .iter()
            .filter(|entry| entry.key_place.file == problem.place.file && entry.key_place <= problem.place);
        let section = starts.max_by_key(|entry| entry.key_place).map(|entry| entry.key.to_string());
        sections.extend(section);
        // What a base says may have been merged into any section.
        if problem.place.file != tree.place.file {
            sections.extend(["access", "nodeGroups"].map(str::to_string));
        }
    }
    sections.into_iter().collect()
}
