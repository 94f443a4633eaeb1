//! **Owns** clusters and their machines: the table of providers, what each platform can do, kwok
//! clusters, rehearsed nodes, clusters that somebody else made.
//! **May name** base, os, flow, profile, engine, k8s.
//! **Never** knows addons, tenants or the order in which things are built.
//! **Start reading at** [`cluster()`], then [`platform()`].

pub mod existing;
pub mod kwok;
pub mod nodes;
mod platform;
mod tools;

use std::sync::Arc;

use crate::base::{Fault, FaultKind, ProviderKind};
use crate::engine::{Need, Removal, Resource};
use crate::k8s::Hub;
use crate::profile::{ClusterSpec, Environment};

pub use kwok::{Dirs, Mark, environments, remains};
pub use nodes::SET as NODES_SET;
pub use platform::platform;
pub use tools::{ToolSearch, Tools};

/// The providers whose clusters this build can make or use. Every declared provider can be rehearsed.
pub const AVAILABLE: &[ProviderKind] = &[ProviderKind::Kwok, ProviderKind::Existing];

/// What local clusters need of this machine.
#[derive(Debug, Clone)]
pub struct Local {
    /// Where berth keeps what it makes.
    pub dirs: Dirs,
    /// Where the programs of a rehearsal are.
    pub tools: ToolSearch,
}

/// The cluster of `environment`, and how `down` takes it away. A rehearsal is played by kwok, whatever
/// is declared.
pub fn cluster(
    environment: &Environment,
    local: &Local,
    hub: &Arc<Hub>,
) -> Result<(Box<dyn Resource>, Removal), Fault> {
    let hub = Arc::clone(hub);
    match &environment.cluster {
        ClusterSpec::Existing(spec) if !environment.rehearsal => {
            Ok((Box::new(existing::ClusterResource::new(environment, spec, hub)), Removal::Kept))
        }
        _ if is_played_by_kwok(environment) => {
            Ok((Box::new(kwok::ClusterResource::new(environment, local, hub)), Removal::Itself))
        }
        _ => Err(unavailable(environment)),
    }
}

/// The machines of `environment`: rehearsed ones are made, those of somebody else are only checked.
/// `needs` says which cluster they are in and what comes first.
pub fn node_groups(environment: &Environment, hub: &Arc<Hub>, needs: Vec<Need>) -> Option<Box<dyn Resource>> {
    let hub = Arc::clone(hub);
    if is_played_by_kwok(environment) {
        return Some(Box::new(nodes::NodeGroups::new(environment, needs, hub)));
    }
    let is_existing = matches!(environment.cluster, ClusterSpec::Existing(_));
    (is_existing && !environment.node_groups.is_empty())
        .then(|| Box::new(existing::NodeGroupsCheck::new(environment, needs, hub)) as Box<dyn Resource>)
}

fn is_played_by_kwok(environment: &Environment) -> bool {
    environment.rehearsal || matches!(environment.cluster, ClusterSpec::Kwok(_))
}

fn unavailable(environment: &Environment) -> Fault {
    let provider = environment.cluster.provider();
    let names: Vec<String> = AVAILABLE.iter().map(ToString::to_string).collect();
    Fault::new(
        FaultKind::Invalid,
        format!("make the cluster of environment {}", environment.name),
        format!("this build of berth has the providers {}, not {provider}", names.join(" and ")),
    )
    .hint(format!("rehearse it on this machine: `berth up {} --rehearse`", environment.name))
}
