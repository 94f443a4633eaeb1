//! A real control plane with simulated nodes on this machine, driven through `kwokctl`.

mod cluster;
mod config;
mod folder;
mod inventory;
mod ports;
mod processes;
mod step;
mod verdict;

pub use cluster::ClusterResource;
pub use folder::{Dirs, Mark, environments};
pub use inventory::remains;
pub use processes::Process;
