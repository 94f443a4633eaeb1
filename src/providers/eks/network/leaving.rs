use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_eks::Client;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::resource::{Inner, NetworkResource};
use crate::base::{Change, ChangeKind, Fault, Note, ResourceId};
use crate::clouds::aws::{Aws, Refusal, fault};
use crate::engine::{Cx, Need, Resource, Seen, State};
use crate::flow::Flow;
use crate::profile::schema::Nat;
use crate::providers::eks::stack::title;
use crate::providers::eks::template::{
    AUTO_NODE_ROLE, CLUSTER_ROLE, LAUNCH_TEMPLATE_TYPE, NODE_ROLE, Template, carry_auto_mode,
    is_private_subnet, pod_role_id,
};
use crate::providers::eks::{PAUSES, PodRole, addons, association, node_groups};

/// A part of a stack that left the profile, and stays while something that stands uses it: a node group without its
/// launch template makes no machine any more, and pods without their role do nothing on AWS any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// What the template calls it.
    pub logical: String,
    /// ``launch template `LaunchTemplateGpu1a2b3c` ``
    title: String,
    /// `node group gpu`
    user: String,
    /// Whether the user leaves as well, in this very run.
    goes: bool,
    /// Whether it stays then with less than it has now.
    narrows: bool,
}

impl Kept {
    fn leaving(&self) -> Change {
        if self.narrows {
            let why = format!("policies no longer needed, once {} is off", self.user);
            return Change::new(ChangeKind::Update, &self.title).because(why);
        }
        let why = format!("no longer needed by the profile, once {} is gone", self.user);
        Change::new(ChangeKind::Delete, &self.title).because(why)
    }

    /// That it stays, where nobody is about to take away what uses it.
    pub fn note(&self) -> Option<Note> {
        let text = format!("{}: {} uses it, though the profile needs it no longer", self.title, self.user);
        (!self.goes).then(|| Note::new("kept", text))
    }
}

impl Inner {
    /// What of the stack that stands by `live` is not `wanted` any more, and in use all the same, where `made` tells
    /// the id of each thing. Asks only where something leaves.
    pub(super) async fn in_use(
        &self,
        live: &Template,
        wanted: &Template,
        made: &BTreeMap<String, String>,
        aws: &Aws,
        flow: &Flow,
    ) -> Result<Vec<Kept>, Fault> {
        let leaves = |id: &String| !wanted.resources().contains_key(id);
        let leaving: Vec<&String> = live.resources().keys().filter(|id| leaves(id)).collect();
        let kind = |id: &String| live.resources()[id]["Type"].as_str().unwrap_or_default();
        let (eks, cluster, owner) = (aws.eks(flow), self.names.cluster(), &self.environment.owner);
        let mut kept = Vec::new();
        let mut keep = |id: &String, user: String, goes: bool| {
            let narrows = wanted.resources().contains_key(id);
            kept.push(Kept { logical: id.clone(), title: title(kind(id), id), user, goes, narrows });
        };
        // Where gateways only become fewer, the routes lead to those that stay before any goes.
        let leaves_ways_out = self.spec.network.nat == Nat::None;
        let of_groups: Vec<&String> = leaving
            .iter()
            .filter(|id| {
                kind(id) == LAUNCH_TEMPLATE_TYPE
                    || id.as_str() == NODE_ROLE
                    || (leaves_ways_out && is_way_out(kind(id)))
            })
            .copied()
            .collect();
        if !of_groups.is_empty() {
            let groups = node_groups::standing(&eks, cluster).await?;
            let private: BTreeSet<&String> =
                made.iter().filter(|(id, _)| is_private_subnet(id)).map(|(_, subnet)| subnet).collect();
            for id in of_groups {
                let uses = |group: &&node_groups::Standing| match kind(id) {
                    LAUNCH_TEMPLATE_TYPE => group.template.as_ref() == made.get(id),
                    // A resource that is told by its status is known by its name, an output by its ARN.
                    _ if id == NODE_ROLE => made
                        .get(id)
                        .is_some_and(|role| group.role.rsplit('/').next() == role.rsplit('/').next()),
                    _ => group.subnets.iter().any(|subnet| private.contains(subnet)),
                };
                if let Some(group) = groups.iter().find(uses) {
                    let is_replaced = is_way_out(kind(id));
                    let leaves = is_replaced || group.is_none_of(&self.environment.node_groups);
                    keep(id, format!("node group {}", group.name), group.is_of(owner) && leaves);
                }
            }
        }
        for role in PodRole::ALL {
            let Some(id) = leaving.iter().find(|id| id.as_str() == pod_role_id(role)) else { continue };
            if let Some(said) = association::find(&eks, cluster, role).await? {
                let user = format!("the service account {}", association::account(role));
                let goes = match role {
                    PodRole::Autoscaler => said.is_of(owner),
                    // Their addons go where Auto Mode takes their place.
                    PodRole::EbsCsi | PodRole::VpcCni => {
                        self.spec.auto_mode && addons::is_of(&eks, cluster, role, owner).await?
                    }
                };
                keep(id, user, goes);
            }
        }
        // By these EKS ends what it made, when it is told to make no more.
        if carry_auto_mode(live) && !carry_auto_mode(wanted) && has_auto_mode(&eks, cluster).await? {
            for id in [CLUSTER_ROLE, AUTO_NODE_ROLE] {
                keep(&id.to_string(), "EKS Auto Mode".to_string(), true);
            }
        }
        Ok(kept)
    }
}

/// Whether EKS makes the nodes of `cluster`, if there is one.
async fn has_auto_mode(eks: &Client, cluster: &str) -> Result<bool, Fault> {
    match eks.describe_cluster().name(cluster).send().await {
        Ok(answer) => {
            let compute = answer.cluster().and_then(|cluster| cluster.compute_config());
            Ok(compute.and_then(aws_sdk_eks::types::ComputeConfigResponse::enabled).unwrap_or_default())
        }
        Err(error) if Refusal::of(&error).is_absent() => Ok(false),
        Err(error) => Err(fault(format!("look at the EKS cluster {cluster}"), &error)),
    }
}

/// Whether machines in private subnets reach the internet by a thing of this kind: the routes through gateways, these
/// and their addresses.
fn is_way_out(kind: &str) -> bool {
    matches!(kind, "AWS::EC2::NatGateway" | "AWS::EC2::EIP" | "AWS::EC2::Route")
}

/// Takes out of the stack what the profile needs no longer, once what used it is gone.
///
/// If a run dies before, the next one finds nothing that uses it, and takes it out with its first update.
pub struct LeavingParts {
    id: ResourceId,
    needs: Vec<Need>,
    network: NetworkResource,
    /// Whether this run found something that waits for its user.
    waits: AtomicBool,
}

impl LeavingParts {
    /// Of the stack of `network`, once `users` are gone.
    pub fn new(network: &NetworkResource, users: impl IntoIterator<Item = ResourceId>) -> Self {
        let needs = std::iter::once(network.id().clone()).chain(users).map(Need::Ready).collect();
        Self {
            id: ResourceId::new("stack/leaving"),
            needs,
            network: network.clone(),
            waits: AtomicBool::new(false),
        }
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let inner = &self.network.inner;
        if inner.run().kept.iter().any(|part| part.goes) {
            self.waits.store(true, Ordering::Relaxed);
        }
        if !self.waits.load(Ordering::Relaxed) {
            return Ok(Seen::new(State::Absent));
        }
        inner.run().settled = None;
        let mut seen = self.network.look(cx).await?;
        seen.notes.clear();
        let waiting: Vec<Kept> = inner.run().kept.iter().filter(|part| part.goes).cloned().collect();
        if let Some(first) = waiting.first() {
            // What else differs is a matter of the stack itself.
            seen.step = None;
            seen.state = State::Progressing(format!("{}: {} uses it", first.title, first.user));
            seen.changes = waiting.iter().map(Kept::leaving).collect();
        }
        Ok(seen)
    }
}

impl Resource for LeavingParts {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        self.needs.clone()
    }

    fn looks_alone(&self) -> bool {
        true
    }

    fn pauses(&self) -> (Duration, Duration) {
        PAUSES
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        self.look(cx).boxed()
    }

    /// It goes with the whole stack.
    fn delete<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}
