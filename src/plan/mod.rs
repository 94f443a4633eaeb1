//! **Owns** the way from an environment to the graph of its resources, the one place where all
//! makers (providers, registry, addons, tenants, verify) meet; and the plan that can be kept in a file.
//! **May name** everything below: base, os, flow, profile, engine, k8s, providers, registry, addons, tenants, verify.
//! **Never** touches the world.
//! **Start reading at** [`assemble()`], then [`Plan`].

mod assemble;
mod document;
mod misfits;
mod ports;
mod registries;
#[cfg(test)]
pub(crate) mod samples;
mod sets;
mod subject;

pub use assemble::{Assembly, Settings, assemble, fingerprint};
pub use document::{About, Difference, Plan, Planned, SCHEMA_VERSION, Summary, hindrance, state_words};
pub use misfits::{has_ranges, misfits, misfits_on};
pub use ports::mapped_port;
pub use registries::{ecr_session, registry_host};
pub use sets::{Rendering, pulls_with_logins, render, render_addons};
pub use subject::subject;
