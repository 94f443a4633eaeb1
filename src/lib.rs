//! berth turns one declarative profile per environment into a Kubernetes platform, and keeps it so.

pub mod addons;
pub mod base;
pub mod cli;
pub mod clouds;
pub mod containers;
pub mod engine;
pub mod flow;
pub mod k8s;
pub mod os;
pub mod plan;
pub mod profile;
pub mod providers;
pub mod registry;
pub mod tenants;
pub mod ui;
pub mod verify;

pub use cli::main;
