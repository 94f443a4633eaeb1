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
    AUTOSCALER, AddonSource, AddonSpec, ChartPlace, ChartSpec, ClusterSpec, Environment, Group,
    MachineResources, ManifestsPlace, ManifestsSpec, NodeGroup, PodSecurity, Reach, RegistrySpec, Taint,
    Tenant, TenantGroups, TenantLimits,
};
pub use find::{Found, NotFound, find, shipped};
pub use nearest::nearest;
pub use schema::{json_schema, tenant_json_schema};
pub use starter::{InitAnswers, InitCluster, starter};
pub use validate::{NEWEST, OLDEST, why_no_aws_region};

use decode::{Decoded, decode};
use files::Problem;
use find::Origin;
use load::{Loader, Source};
use schema::EnvironmentFile;
use tree::{Node, Value as TreeValue};
use validate::{Inputs, Validated, validate};

/// What loading needs to know from outside.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The user's home folder, which `~` in a path stands for.
    pub home: PathBuf,
    /// The names of the addons that this berth has.
    pub known_addons: Vec<String>,
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
    /// Where its parts stand.
    pub places: Places,
    /// Every file that it is made of; none for a profile that ships in the binary.
    pub files: Vec<PathBuf>,
}

/// Where the parts of a profile stand in its files.
#[derive(Debug, Clone)]
pub struct Places {
    tree: Node,
    files: files::Files,
}

impl Places {
    /// What is wrong at one of them, as far as it was found out late.
    pub fn tell(&self, misfit: Misfit) -> Option<Diagnostic> {
        let place = self.tree.place_of_text(&misfit.path, misfit.is_key);
        self.files.diagnose(vec![Problem::new(place, misfit.message, misfit.help)]).pop()
    }
}

/// A profile that was read and checked, by its own rules so far.
///
/// It may be wrong: who makes something of it looks at it all the same, so that everything that is wrong
/// is told in one go, each thing at its place.
pub struct Checked {
    environment: Environment,
    resolved: EnvironmentFile,
    tree: Node,
    files: files::Files,
    problems: Vec<Problem>,
    diagnostics: Vec<Diagnostic>,
    warnings: Vec<Problem>,
}

impl Checked {
    /// What it means, as far as that can be told.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Takes up what else is wrong with it.
    pub fn add(&mut self, misfits: Vec<Misfit>) {
        let known = self.problems.len();
        for misfit in misfits {
            let place = self.tree.place_of_text(&misfit.path, misfit.is_key);
            // What was known before to be wrong there is the cause; it may be a secret that must not be shown.
            let is_known =
                |problem: &Problem| (problem.place.file, problem.place.line) == (place.file, place.line);
            if !self.problems[..known].iter().any(is_known) {
                self.problems.push(Problem::new(place, misfit.message, misfit.help));
            }
        }
    }

    /// The profile, or everything that is wrong with it.
    pub fn finish(self) -> Result<Loaded, ProfileError> {
        if !self.problems.is_empty() || !self.diagnostics.is_empty() {
            return Err(failed(&self.files, self.diagnostics, self.problems, self.warnings));
        }
        Ok(Loaded {
            environment: self.environment,
            warnings: self.files.diagnose(self.warnings),
            resolved: serde_json::to_value(self.resolved).unwrap_or_default(),
            files: self.files.paths(),
            places: Places { tree: self.tree, files: self.files },
        })
    }
}

/// Reads a profile with its bases and tenants, and checks all of it by its own rules.
///
/// The error holds everything that is wrong, not only the first thing. Loading the same files again
/// gives the same environment.
pub fn load(found: &Found, options: &LoadOptions) -> Result<Loaded, ProfileError> {
    check(found, options)?.finish()
}

/// Reads a profile as [`load()`] does. The error is for one of which no environment can be made.
pub fn check(found: &Found, options: &LoadOptions) -> Result<Checked, ProfileError> {
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
    let Validated { environment, resolved, problems: broken, warnings } = validate(file, &inputs);
    problems.extend(broken);
    Ok(Checked { environment, resolved, tree, files, problems, diagnostics, warnings })
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
