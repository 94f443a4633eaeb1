//! Kubernetes in containers on this machine, driven through `kind`.
//! **Start reading at** [`ClusterResource`]; what is looked at before, at [`preflight`].

mod cluster;
mod config;
mod failure;
mod folder;
mod gpus;
mod images;
mod inventory;
mod mark;
mod network;
mod nodes;
mod pools;
pub mod preflight;
mod program;
mod silence;
mod step;
mod verdict;

pub use cluster::ClusterResource;
pub use gpus::GpuSetup;
pub use inventory::{remains, standing, stranger};
pub use mark::{Digest, Mark};
pub use network::{NetworkResource, network};
pub use nodes::NodeGroups;

/// The Docker network of all clusters, unless the user chose another one.
const NETWORK: &str = "kind";

/// What the user chose for the kind clusters of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// The node image of clusters whose profile names none.
    pub image: Option<String>,
    /// The engine's network that the nodes are on.
    pub network: Option<String>,
}

impl Choices {
    /// The engine's network that the nodes of all clusters are on.
    pub fn network(&self) -> &str {
        self.network.as_deref().unwrap_or(NETWORK)
    }
}
