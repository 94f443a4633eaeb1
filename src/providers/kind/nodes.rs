use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::config::Config;
use super::node::{Difference, NodeChange, NodeWanted, diff, wanted};
use crate::base::{ChangeKind, Fault, FaultKind, ResourceId};
use crate::engine::{Cx, Need, Resource, Seen, State, Step};
use crate::flow::Tally;
use crate::k8s::{Hub, Live, known_kind};
use crate::profile::Environment;
use crate::profile::schema::KindCluster;

/// The value of the label `berth.dev/set` on nodes.
const SET: &str = "node-groups";
/// The nodes of a kind cluster: made with it, labelled and tainted here.
pub struct NodeGroups {
    id: ResourceId,
    cluster: ResourceId,
    groups: usize,
    wanted: Vec<NodeWanted>,
    hub: Arc<Hub>,
}

impl NodeGroups {
    /// The nodes of `environment` in its kind cluster `cluster`, which is declared by `spec`.
    pub fn new(environment: &Environment, spec: &KindCluster, cluster: ResourceId, hub: Arc<Hub>) -> Self {
        Self {
            id: ResourceId::new("node-groups"),
            cluster,
            groups: environment.node_groups.len(),
            wanted: wanted(&Config::new(environment, spec)),
            hub,
        }
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let access = cx.outputs.cluster_access().ok_or_else(|| {
            Fault::new(FaultKind::Bug, "look at the nodes", "their cluster has not said how to reach it")
        })?;
        self.hub.connect(access).await?;
        let kind = known_kind("v1", "Node").expect("nodes are built in");
        let live = self.hub.list_all(&kind, &cx.flow).await?;
        let seen = Seen::new(state(&self.wanted, &live));
        let force_conflicts = self.hub.settings().force_conflicts;
        let Difference { changes, nodes } = diff(&self.wanted, &live, force_conflicts);
        let conflict = changes.iter().find(|change| change.kind == ChangeKind::Conflict);
        if let Some(change) = conflict {
            let why = change.told().unwrap_or_default();
            let state = State::Broken(format!("{}: {why}", change.subject));
            return Ok(Seen { changes, ..Seen::new(state) });
        }
        if changes.is_empty() {
            return Ok(seen);
        }
        Ok(seen.to_change(changes, LabelNodes { hub: Arc::clone(&self.hub), nodes }))
    }
}

/// Whether every node that should be there says that it is ready. That kind ended well says nothing of it.
fn state(wanted: &[NodeWanted], live: &[Live]) -> State {
    let is_up = |node: &NodeWanted| {
        live.iter().any(|live| live.name == node.name && live.why_node_is_not_ready().is_none())
    };
    let mut tally: Vec<(&str, usize, usize)> = Vec::new();
    for node in wanted {
        let group = node.group.as_deref().unwrap_or("control plane");
        let up = usize::from(is_up(node));
        match tally.iter_mut().find(|(known, ..)| *known == group) {
            Some((_, ready, all)) => {
                *ready += up;
                *all += 1;
            }
            None => tally.push((group, up, 1)),
        }
    }
    let behind = tally.iter().filter(|(_, ready, all)| ready < all);
    let behind: Vec<String> =
        behind.map(|(group, ready, all)| format!("{group}: {ready} of {all} ready")).collect();
    if behind.is_empty() {
        return State::Ready;
    }
    // One that has not come yet says nothing.
    let why = wanted.iter().find_map(|node| {
        let live = live.iter().find(|live| live.name == node.name)?;
        Some(format!(": node {}: {}", node.name, live.why_node_is_not_ready()?))
    });
    State::Progressing(format!("{}{}", behind.join(", "), why.unwrap_or_default()))
}

/// Brings labels and taints of the nodes to what the profile says.
///
/// If this dies half way, each node is as it was or as it should be, and the next run does the rest.
struct LabelNodes {
    hub: Arc<Hub>,
    nodes: Vec<NodeChange>,
}

impl Step for LabelNodes {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let Self { hub, nodes } = *self;
            let (hub, flow) = (&hub, &cx.flow);
            let mut tally = Tally::new(nodes.len(), "nodes accepted");
            let each = flow.each(nodes, hub.width(), &mut tally, |node| async move {
                // First what needs the version that was seen.
                if let Some(patch) = &node.patch {
                    hub.merge_patch(&node.live, patch, flow).await?;
                }
                if let Some(object) = &node.object {
                    hub.apply(object, SET, flow).await?;
                }
                Ok(())
            });
            each.await.map(|_| ())
        }
        .boxed()
    }
}

impl Resource for NodeGroups {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Inside(self.cluster.clone())]
    }

    fn outline(&self) -> String {
        let count = |number: usize, what: &str| match number {
            1 => format!("1 {what}"),
            several => format!("{several} {what}s"),
        };
        let nodes = count(self.wanted.len(), "node");
        if self.groups == 0 { nodes } else { format!("{nodes}, {}", count(self.groups, "group")) }
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        self.look(cx).boxed()
    }

    /// They go with their cluster.
    fn delete<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::node::tests::{made, one_worker};
    use super::*;

    #[test]
    fn nodes_that_are_not_ready_are_counted_by_group() {
        let wanted = one_worker(|group| (group.min, group.max) = (2, 2));
        let mut there = made(&wanted);
        assert_eq!(state(&wanted, &there), State::Ready);
        there.pop();
        assert_eq!(state(&wanted, &there), State::Progressing("general: 1 of 2 ready".to_string()));
        there[0].body["status"]["conditions"][0] = json!({"type": "Ready", "status": "False",
            "reason": "KubeletNotReady", "message": "container runtime network not ready"});
        let told = "control plane: 0 of 1 ready, general: 1 of 2 ready: node lab-control-plane: \
                    KubeletNotReady: container runtime network not ready";
        assert_eq!(state(&wanted, &there), State::Progressing(told.to_string()));
    }
}
