//! The parts of an environment that a command was asked to work on alone.

use std::collections::BTreeSet;

use super::args::Part;
use super::exit::Failure;
use crate::base::{Layer, ResourceId};
use crate::plan::Assembly;
use crate::profile::Environment;
use crate::ui::words;

/// Leaves only the parts that were asked for in the graph, and what they need.
pub(super) fn keep_only(assembly: &mut Assembly, parts: &[Part]) -> Result<(), Failure> {
    if parts.is_empty() {
        return Ok(());
    }
    for part in parts {
        if !assembly.graph.ids().any(|id| is_part(id, part)) {
            let mut known: Vec<&str> = Vec::new();
            for name in assembly.graph.ids().filter_map(name_of) {
                if !known.contains(&name) {
                    known.push(name);
                }
            }
            return Err(Failure::usage(
                format!("`--only {part}`: the profile has no such part"),
                format!("it has {}", words::list(&known)),
            ));
        }
    }
    assembly.graph.keep_only(|id| parts.iter().any(|part| is_part(id, part)));
    Ok(())
}

/// The tenants that were asked for by name; none when all of them were.
pub(super) fn only_tenants(parts: &[Part], environment: &Environment) -> Result<BTreeSet<String>, Failure> {
    let mut names = BTreeSet::new();
    for part in parts {
        let Part::Tenant(name) = part else { continue };
        if !environment.tenants.iter().any(|tenant| tenant.name == *name) {
            let known: Vec<&str> = environment.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
            return Err(Failure::usage(
                format!("`--only {part}`: the profile has no such tenant"),
                format!("it has {}", words::list(&known)),
            ));
        }
        names.insert(name.clone());
    }
    if parts.contains(&Part::Tenants) { Ok(BTreeSet::new()) } else { Ok(names) }
}

/// How the part that a resource belongs to is typed.
fn name_of(id: &ResourceId) -> Option<&str> {
    match id.layer() {
        Layer::Cluster => Some("cluster"),
        Layer::NodeGroups => Some("node-groups"),
        Layer::Registry => Some("registry"),
        Layer::Addons => id.as_str().starts_with("addon/").then(|| id.as_str()),
        Layer::Tenants => Some("tenants"),
        Layer::Records => None,
    }
}

fn is_part(id: &ResourceId, part: &Part) -> bool {
    match part {
        Part::Cluster => id.layer() == Layer::Cluster,
        Part::NodeGroups => id.layer() == Layer::NodeGroups,
        Part::Registry => id.layer() == Layer::Registry,
        Part::Addons => id.layer() == Layer::Addons,
        Part::Addon(name) => id.as_str().strip_prefix("addon/") == Some(name),
        Part::Tenants | Part::Tenant(_) => id.layer() == Layer::Tenants,
    }
}
