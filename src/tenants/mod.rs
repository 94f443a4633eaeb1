//! **Owns** what tenants come to in a cluster: namespaces, quotas, limits, network policies, the logins
//! that their pods pull with, roles and their bindings.
//! **May name** base, profile, engine, k8s.
//! **Never** knows a cloud: what differs between platforms comes in [`Platform`](crate::base::Platform).
//! **Start reading at** [`render()`], then [`Role`].

mod network;
mod render;
mod roles;

pub use render::{PULL_SECRET_NAME, Pulling, render, render_admins};
pub use roles::{Role, Rule};
