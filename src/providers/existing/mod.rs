//! A cluster that somebody else made: it is used, checked, and never changed or removed.

mod cluster;
mod node_groups;

pub use cluster::ClusterResource;
pub(super) use cluster::ask;
pub use node_groups::NodeGroupsCheck;
pub(super) use node_groups::selector;
