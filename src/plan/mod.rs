//! **Owns** the way from an environment to the graph of its resources: the one place where all
//! makers (providers, registry, addons, tenants) meet.
//! **May name** everything below: base, os, flow, profile, engine, k8s, providers, addons, tenants.
//! **Never** touches the world.
//! **Start reading at** [`assemble()`].

mod assemble;
mod sets;

pub use assemble::{Assembly, Settings, assemble, fingerprint};
pub use sets::{Rendering, render};
