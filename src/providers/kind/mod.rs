//! kind: Kubernetes in containers of this machine.

mod network;
mod pools;

pub use network::{NetworkResource, network};
