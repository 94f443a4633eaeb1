//! **Owns** where images are kept: the registry on this machine with its pull-through caches, what nodes
//! know of it, what is in it, the repositories of clouds, the logins that container engines ask berth for, and those
//! that they keep.
//! **May name** base, os, flow, containers, profile, engine, k8s, clouds.
//! **Never** knows addons, tenants or how a cluster is made: of nodes it knows their containers.
//! **Start reading at** [`local::LocalRegistry`], then [`local::Nodes`]; [`ecr::EcrResource`] for a cloud's.

pub mod credentials;
mod docker_config;
pub mod ecr;
pub mod local;
mod logins;

pub use docker_config::{DockerConfig, Entry};
pub use logins::pull_secret;
