//! Machines: managed node groups, and whether their nodes are there.

mod calls;
mod difference;
mod fates;
mod hints;
mod live;
mod machines;
mod misfits;
mod nodes;
mod others;
mod quota;
mod releases;
mod resource;
mod standing;
mod step;
mod wanted;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_eks::Client;
use futures::future::try_join_all;

use super::Around;
use crate::base::{Fault, Owner, ResourceId, label};
use crate::clouds::aws::Session;
use crate::k8s::Hub;
use crate::profile::schema::EksCluster;
use crate::profile::{Environment, NodeGroup};
use crate::providers::Leave;

pub use fates::Fates;
pub use misfits::misfits;
pub use others::OtherGroups;
pub use resource::NodeGroupResource;
pub use watch::NodeGroupsWatch;

/// The resource of the node group that the profile calls `name`.
fn id_of(name: &str) -> ResourceId {
    ResourceId::new(format!("node-group/{name}"))
}

/// A node group that stands, as far as somebody asks who does not make any.
pub(super) struct Standing {
    /// What EKS calls it.
    pub name: String,
    /// The id of what its machines are made from.
    pub template: Option<String>,
    /// The ids of the subnets of its machines.
    pub subnets: BTreeSet<String>,
    /// The ARN of the role of its machines.
    pub role: String,
    tags: BTreeMap<String, String>,
}

impl Standing {
    /// Whether it carries the mark of `owner`.
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.tags.get(label::OWNER) == Some(&owner.id)
    }

    /// Whether it is neither one of these groups of the profile nor in the place of one.
    pub fn is_none_of(&self, groups: &[NodeGroup]) -> bool {
        !groups.iter().any(|group| difference::is_named_after(&self.name, &group.name))
    }
}

/// All node groups of `cluster`; none when there is no such cluster.
pub(super) async fn standing(eks: &Client, cluster: &str) -> Result<Vec<Standing>, Fault> {
    let names = calls::names(eks, cluster).await?;
    let asked = names.iter().map(|name| calls::describe(eks, cluster, name));
    let lives = try_join_all(asked).await?.into_iter().flatten();
    let standing = |live: live::Live| Standing {
        template: live.template.map(|template| template.id),
        subnets: live.subnets,
        name: live.name,
        role: live.role,
        tags: live.tags,
    };
    Ok(lives.map(standing).collect())
}

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
    let inner = resource::Inner::new(environment, spec, images, &around.fates, session, hub);
    let groups = environment.node_groups.iter();
    let groups = groups.map(|group| NodeGroupResource::new(group, around, &inner)).collect();
    (groups, OtherGroups::new(environment, around, inner))
}
