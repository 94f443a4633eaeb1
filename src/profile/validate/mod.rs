//! What a typed profile means: every rule that a profile alone can break, and the environment that
//! comes out. All that is wrong is found in one go.

mod access;
mod addons;
mod capacity;
mod cluster;
mod ecr;
mod kind;
mod mirrors;
mod names;
mod node_groups;
mod pull_secrets;
mod quota;
mod registry;
mod secrets;
mod sizes;
mod sources;
mod tenants;

use std::path::Path;

use super::files::{Files, Problem};
use super::schema::{Cluster, EnvironmentFile};
use super::tree::{Node, Place, Step};
use super::{Environment, LoadOptions};
use crate::base::{Owner, ProviderKind};

pub use cluster::{NEWEST, OLDEST, why_no_aws_region};

/// What the rules read besides the typed profile, and what they find.
struct Check<'a> {
    files: &'a Files,
    /// The merged tree; its lists have the same items as those of the typed profile.
    tree: &'a Node,
    /// Sections in which something was left out as wrong: what refers to them is not checked.
    incomplete: &'a [String],
    provider: ProviderKind,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Check<'_> {
    fn error(&mut self, path: &[Step<'_>], message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::new(self.tree.place_of(path), message, help));
    }

    fn error_at(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::new(place, message, help));
    }

    fn warn_at(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.warnings.push(Problem::new(place, message, help));
    }

    /// Where the key of an entry stands, or the nearest node on the way to it.
    fn key_place(&self, path: &[Step<'_>], key: &str) -> Place {
        let mut node = self.tree;
        for step in path {
            let next = match step {
                Step::Key(key) => node.get(key),
                Step::Item(index) => node.items().get(*index),
            };
            match next {
                Some(next) => node = next,
                None => return node.place,
            }
        }
        node.entry(key).map_or(node.place, |entry| entry.key_place)
    }

    fn is_complete(&self, section: &str) -> bool {
        !self.incomplete.iter().any(|name| name == section)
    }

    fn is_cloud(&self) -> bool {
        matches!(self.provider, ProviderKind::Eks | ProviderKind::Gke)
    }
}

/// What came of it.
pub(super) struct Validated {
    /// What it means, as far as that can be told where there are problems.
    pub environment: Environment,
    /// The profile with every default written out.
    pub resolved: EnvironmentFile,
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

/// What the rules need to know besides the profile.
pub(super) struct Inputs<'a> {
    pub files: &'a Files,
    pub tree: &'a Node,
    pub incomplete: &'a [String],
    pub options: &'a LoadOptions,
    /// The absolute path of the profile, which a local environment's id is made from.
    pub identity: &'a Path,
}

/// Checks `file` and makes an environment of it.
pub(super) fn validate(mut file: EnvironmentFile, inputs: &Inputs<'_>) -> Validated {
    let mut check = Check {
        files: inputs.files,
        tree: inputs.tree,
        incomplete: inputs.incomplete,
        provider: cluster::provider(&file.cluster),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    secrets::check(&mut check);
    names::check_environment_name(&mut check, &file.name);
    let id = cluster::id(&mut check, &file, inputs.identity);
    let kubernetes = cluster::check(&mut check, &mut file.cluster);
    let access = file.access.clone();
    let groups = access::Groups::new(&mut check, &access);
    let admins = groups.resolve(&mut check, &access.admins, &[Step::Key("access"), Step::Key("admins")]);
    let node_groups = node_groups::node_groups(&mut check, &mut file);
    let registry = registry::registry(&mut check, &file);
    if let Cluster::Kind(fields) = &file.cluster {
        kind::check_registry_port(&mut check, &file, fields);
    }
    let mirrors = mirrors::mirrors(&mut check, &file);
    let addons = addons::addons(&mut check, &mut file, inputs.options);
    let tenants = tenants::tenants(&mut check, &mut file, &groups);
    sources::check_homes(&mut check, &addons, &tenants);
    let pull_secrets = pull_secrets::hosts(&mut check, &file, &tenants);
    capacity::check(&mut check, &node_groups, &tenants);

    file.id = Some(id.clone());
    file.extends.clear();
    file.tenants_from.clear();
    let environment = Environment {
        name: file.name.clone(),
        owner: Owner { id, environment: file.name.clone() },
        rehearsal: false,
        protected: file.protected,
        cluster: cluster::spec(file.cluster.clone()),
        kubernetes,
        kubernetes_assumed: matches!(&file.cluster, Cluster::Existing(fields) if fields.version.is_none()),
        admins,
        members: groups.members(check.provider),
        node_groups,
        registry,
        mirrors,
        pull_secrets,
        addons,
        addons_from: file.addons_from.iter().map(|path| path.0.clone()).collect(),
        tenants,
    };
    let Check { problems, warnings, .. } = check;
    Validated { environment, resolved: file, problems, warnings }
}
