//! **Owns** the profile: its file format, how files are composed, what is valid, and the
//! [`Environment`] that comes out.
//! **May name** base, os.
//! **Never** asks a cluster or a cloud.
//! **Start reading at** [`Environment`].

mod environment;
pub mod schema;

pub use environment::{
    AddonSpec, ClusterSpec, Environment, Group, MachineResources, NodeGroup, PodSecurity, RegistrySpec,
    Taint, Tenant, TenantGroups, TenantLimits,
};
