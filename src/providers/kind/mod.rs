//! Clusters of kind: Kubernetes in containers on this machine.
//! **Start reading at** [`preflight`].

pub mod preflight;
