//! **Owns** clusters and their machines: the table of providers, what each platform can do, kwok
//! clusters, rehearsed nodes, clusters that somebody else made.
//! **May name** base, os, flow, profile, engine, k8s.
//! **Never** knows addons, tenants or the order in which things are built.
//! **Start reading at** [`cluster`], then [`platform`].

pub mod kwok;
mod platform;
mod probe;
mod tools;

use crate::base::{Fault, FaultKind, ProviderKind};
use crate::engine::{Removal, Resource};
use crate::profile::{ClusterSpec, Environment};

pub use kwok::{ClusterResource as KwokCluster, Dirs, Mark, environments, remains};
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

/// The cluster of `environment`, and how `down` takes it away.
pub fn cluster(environment: &Environment, local: &Local) -> Result<(Box<dyn Resource>, Removal), Fault> {
    let kwok = || {
        let cluster = KwokCluster::new(environment, &local.dirs, local.tools.clone());
        (Box::new(cluster) as Box<dyn Resource>, Removal::Itself)
    };
    match &environment.cluster {
        _ if environment.rehearsal => Ok(kwok()),
        ClusterSpec::Kwok(_) => Ok(kwok()),
        ClusterSpec::Existing(_) => Err(unavailable(environment)),
        ClusterSpec::Eks(_) | ClusterSpec::Gke(_) | ClusterSpec::Kind(_) => Err(unavailable(environment)),
    }
}

fn unavailable(environment: &Environment) -> Fault {
    let provider = environment.cluster.provider();
    let names: Vec<String> = AVAILABLE.iter().map(ToString::to_string).collect();
    Fault::new(
        FaultKind::Invalid,
        format!("bring up environment {}", environment.name),
        format!("this build of berth has the providers {}, not {provider}", names.join(" and ")),
    )
    .hint(format!(
        "rehearse the profile on this machine: `berth up {} --rehearse`; validate, plan and render work as well",
        environment.name
    ))
}
