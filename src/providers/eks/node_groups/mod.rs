//! Machines: managed node groups, and whether their nodes are there.

mod calls;
mod difference;
mod live;
mod machines;
mod nodes;
mod others;
mod quota;
mod ranges;
mod resource;
mod wanted;
mod watch;

use std::sync::Arc;

use super::Around;
use crate::clouds::aws::Session;
use crate::k8s::Hub;
use crate::profile::Environment;
use crate::profile::schema::EksCluster;

pub use others::OtherGroups;
pub use ranges::unscaled;
pub use resource::NodeGroupResource;
pub use watch::NodeGroupsWatch;

/// The node groups of `environment`, and what looks after those that left it.
pub(super) fn all(
    environment: &Environment,
    spec: &EksCluster,
    around: &Around,
    session: &Arc<Session>,
    hub: &Arc<Hub>,
) -> (Vec<NodeGroupResource>, OtherGroups) {
    let inner = resource::Inner::new(environment, spec, session, hub);
    let groups = environment.node_groups.iter();
    let groups = groups.map(|group| NodeGroupResource::new(group, around, &inner)).collect();
    (groups, OtherGroups::new(environment, around, inner))
}
