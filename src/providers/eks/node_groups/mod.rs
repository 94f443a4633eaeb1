//! Machines: managed node groups, and whether their nodes are there.

mod calls;
mod difference;
mod hints;
mod live;
mod machines;
mod nodes;
mod others;
mod quota;
mod ranges;
mod releases;
mod resource;
mod step;
mod wanted;
mod watch;

use std::sync::Arc;

use super::Around;
use crate::clouds::aws::Session;
use crate::k8s::Hub;
use crate::profile::schema::EksCluster;
use crate::profile::{Environment, NodeGroup};
use crate::providers::Leave;

pub use others::OtherGroups;
pub use ranges::unscaled;
pub use resource::NodeGroupResource;
pub use watch::NodeGroupsWatch;

/// Whether the nodes of `group` keep pods away that do not tolerate it.
pub(super) fn is_tainted(group: &NodeGroup) -> bool {
    let repels = |effect: &str| effect != "PreferNoSchedule";
    group.resources.gpus > 0 || group.taints.iter().any(|taint| repels(&taint.effect))
}

/// The node groups of `environment`, and what looks after those that left it.
pub(super) fn all(
    environment: &Environment,
    spec: &EksCluster,
    leave: Leave,
    around: &Around,
    session: &Arc<Session>,
    hub: &Arc<Hub>,
) -> (Vec<NodeGroupResource>, OtherGroups) {
    let asks = !leave.removes && (spec.newest_images || leave.asks_newer);
    let images = resource::Images { follows: spec.newest_images, asks };
    let inner = resource::Inner::new(environment, spec, images, session, hub);
    let groups = environment.node_groups.iter();
    let groups = groups.map(|group| NodeGroupResource::new(group, around, &inner)).collect();
    (groups, OtherGroups::new(environment, around, inner))
}
