//! The control plane, by the EKS API.

mod calls;
mod difference;
mod live;
mod resource;
mod step;
mod wanted;

pub(super) use live::parse_minor;
pub use resource::ClusterResource;
pub(super) use resource::{AUTHORITY, ENDPOINT, VERSION};
