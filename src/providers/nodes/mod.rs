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

use crate::k8s::Live;

/// How many GPUs `node` offers to pods.
pub(super) fn gpus_offered(node: &Live) -> u32 {
    let offered = node.body["status"]["allocatable"]["nvidia.com/gpu"].as_str();
    offered.and_then(|count| count.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
pub(super) use desired::tests::group as sample_group;
