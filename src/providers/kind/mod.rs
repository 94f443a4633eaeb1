//! Kubernetes in containers on this machine, driven through `kind`.
//! **Start reading at** [`ClusterResource`]; what is looked at before, at [`preflight`].

mod access;
mod cluster;
mod config;
mod difference;
mod failure;
mod folder;
mod gpus;
mod images;
mod inventory;
mod mark;
mod network;
mod node;
mod nodes;
mod note;
mod pools;
pub mod preflight;
mod program;
mod restart;
mod running;
mod silence;
mod step;
mod verdict;

use std::collections::BTreeMap;

use crate::containers::EngineKind;
use crate::profile::Environment;
use crate::profile::schema::KindCluster;

pub use cluster::ClusterResource;
pub use gpus::GpuSetup;
pub use inventory::{Standing, forget, remains, standing, stranger};
pub use mark::{Digest, Mark};
pub use network::{NetworkResource, network, network_ahead};
pub use nodes::NodeGroups;
pub use note::PoolNote;

/// The names of the nodes that the cluster of `environment` has by its profile, which declares `spec`.
pub fn node_names(environment: &Environment, spec: &KindCluster) -> Vec<String> {
    config::Config::new(environment, spec).nodes().into_iter().map(|node| node.name).collect()
}

/// The engine's network of all clusters, unless the user chose another one.
const NETWORK: &str = "kind";

/// What the user chose for the kind clusters of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// The node image of clusters whose profile names none.
    pub image: Option<String>,
    /// For each engine its network that the nodes are on.
    pub networks: BTreeMap<EngineKind, String>,
}

impl Choices {
    /// The environment variables by which kind is told of another network, for the engines where it can be.
    pub const NETWORK_VARIABLES: [(EngineKind, &str); 2] = [
        (EngineKind::Docker, "KIND_EXPERIMENTAL_DOCKER_NETWORK"),
        (EngineKind::Podman, "KIND_EXPERIMENTAL_PODMAN_NETWORK"),
    ];

    /// The network of `engine` that the nodes of all clusters are on.
    pub fn network(&self, engine: EngineKind) -> &str {
        self.networks.get(&engine).map_or(NETWORK, String::as_str)
    }
}
