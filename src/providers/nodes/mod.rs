//! The machines of an environment: what rehearsed nodes look like, and how they are brought there.

mod allocatable;
mod desired;
mod diff;
mod resource;
mod taints;

pub(super) use desired::count;
pub use desired::{GroupWanted, NodeWanted, desired, stand_in};
pub use resource::NodeGroups;
pub(super) use taints::{taint_text, taints, taints_of};

#[cfg(test)]
pub(super) use desired::tests::group as sample_group;
