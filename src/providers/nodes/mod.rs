//! The machines of an environment: what rehearsed nodes look like, and how they are brought there.

mod allocatable;
mod desired;
mod diff;
mod resource;

pub use desired::{GroupWanted, NodeWanted, desired, stand_in};
pub(super) use desired::{count, taints};
pub use resource::NodeGroups;

#[cfg(test)]
pub(super) use desired::tests::group as sample_group;
