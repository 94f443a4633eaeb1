//! kind: Kubernetes in containers of this machine.
//! **Start reading at** [`preflight`].

mod network;
mod pools;
pub mod preflight;

pub use network::{NetworkResource, network};
