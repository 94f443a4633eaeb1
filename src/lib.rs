//! berth turns one declarative profile per environment into a Kubernetes platform, and keeps it so.

pub mod base;
pub mod engine;
pub mod flow;
pub mod os;
