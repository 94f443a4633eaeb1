//! berth turns one declarative profile per environment into a Kubernetes platform, and keeps it so.

pub mod addons;
pub mod base;
pub mod engine;
pub mod flow;
pub mod k8s;
pub mod os;
pub mod profile;
pub mod tenants;
