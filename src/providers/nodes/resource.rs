use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::desired::{GroupWanted, desired};
use super::diff::{Difference, diff};
use crate::base::{ChangeKind, Fault, FaultKind, ResourceId, label};
use crate::engine::{Cx, Need, Resource, Seen, State, Step};
use crate::flow::{Flow, Tally};
use crate::k8s::{Hub, Kind, Live, Object, known_kind};
use crate::profile::Environment;

/// The value of the label `berth.dev/set` on nodes.
const SET: &str = "node-groups";

/// The rehearsed machines of an environment.
pub struct NodeGroups {
    id: ResourceId,
    cluster: ResourceId,
    groups: Vec<GroupWanted>,
    hub: Arc<Hub>,
}

impl NodeGroups {
    /// The nodes of `environment` in its kwok cluster `cluster`.
    pub fn new(environment: &Environment, cluster: ResourceId, hub: Arc<Hub>) -> Self {
        Self { id: ResourceId::new("node-groups"), cluster, groups: desired(environment), hub }
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let live = self.ours(cx).await?;
        let taken = self.taken(&live, &cx.flow).await?;
        let found = diff(&self.groups, &live, &taken);
        let mut seen = Seen::new(self.state(&live, &found));
        if found.is_empty() {
            if seen.state == State::Ready && !self.hub.takes_pods(&cx.flow).await? {
                seen.state =
                    State::Progressing("no pod can be made yet, for want of its account".to_string());
            }
            return Ok(seen);
        }
        if found.changes.iter().any(|change| change.kind == ChangeKind::Conflict) {
            seen.changes = found.changes;
            return Ok(seen);
        }
        let changes = found.changes.clone();
        Ok(seen.to_change(changes, NodesStep { hub: Arc::clone(&self.hub), found }))
    }

    /// The live nodes that berth made for this environment.
    async fn ours(&self, cx: &Cx) -> Result<Vec<Arc<Live>>, Fault> {
        let access = cx.outputs.cluster_access().ok_or_else(|| {
            Fault::new(FaultKind::Bug, "look at the nodes", "their cluster has not said how to reach it")
        })?;
        self.hub.connect(access).await?;
        let mut live = self.hub.list_owned(&node_kind(), &cx.flow).await?;
        live.retain(|node| node.is_of(&self.hub.settings().owner) && node.label(label::SET) == Some(SET));
        Ok(live)
    }

    /// The names of wanted nodes that belong to somebody else.
    async fn taken(&self, live: &[Arc<Live>], flow: &Flow) -> Result<BTreeSet<String>, Fault> {
        let wanted = || self.groups.iter().flat_map(|group| &group.nodes).map(|node| &node.name);
        let is_ours = |name: &String| live.iter().any(|node| node.name == *name);
        if wanted().all(is_ours) {
            return Ok(BTreeSet::new());
        }
        let present = self.hub.present(&node_kind(), flow).await?;
        Ok(wanted()
            .filter(|name| !is_ours(name) && present.contains(&(None, (*name).clone())))
            .cloned()
            .collect())
    }

    fn state(&self, live: &[Arc<Live>], found: &Difference) -> State {
        let conflict = found.changes.iter().find(|change| change.kind == ChangeKind::Conflict);
        if let Some(change) = conflict {
            let reason = change.told().unwrap_or_default();
            return State::Broken(format!("{}: {reason}", change.subject));
        }
        let wanted: usize = self.groups.iter().map(|group| group.nodes.len()).sum();
        if live.is_empty() && wanted > 0 {
            return State::Absent;
        }
        let ready = live.iter().filter(|node| !node.going && node.why_node_is_not_ready().is_none()).count();
        if ready == live.len() {
            return State::Ready;
        }
        // So that the next look is a fresh one.
        self.hub.forget(&node_kind());
        State::Progressing(format!("{ready} of {} nodes ready", live.len()))
    }
}

fn node_kind() -> Kind {
    known_kind("v1", "Node").expect("nodes are built in")
}

impl Resource for NodeGroups {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Inside(self.cluster.clone())]
    }

    fn outline(&self) -> String {
        let nodes: usize = self.groups.iter().map(|group| group.nodes.len()).sum();
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let groups = self.groups.len();
        format!("{nodes} node{} in {groups} group{}", plural(nodes), plural(groups))
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        self.look(cx).boxed()
    }

    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            let live = self.ours(cx).await?;
            remove(&self.hub, live, &cx.flow).await?;
            self.hub.forget(&node_kind());
            Ok(())
        }
        .boxed()
    }
}

/// Brings the nodes to where the profile wants them.
///
/// If this dies half way, each node is as it was, as it should be, or cordoned with a word on why;
/// the next run does the rest.
struct NodesStep {
    hub: Arc<Hub>,
    found: Difference,
}

impl Step for NodesStep {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let Self { hub, found } = *self;
            let (hub, flow) = (&hub, &cx.flow);
            let Difference { apply, uncordon, replace, remove: leaving, .. } = found;
            apply_all(hub, apply, flow).await?;
            patch_all(hub, uncordon, &cordon(false), flow).await?;
            let (old, new): (Vec<_>, Vec<_>) = replace.into_iter().unzip();
            remove(hub, old, flow).await?;
            apply_all(hub, new, flow).await?;
            remove(hub, leaving, flow).await?;
            hub.forget(&node_kind());
            Ok(())
        }
        .boxed()
    }
}

async fn apply_all(hub: &Hub, nodes: Vec<Object>, flow: &Flow) -> Result<(), Fault> {
    let mut tally = Tally::new(nodes.len(), "nodes accepted");
    flow.each(
        nodes,
        hub.width(),
        &mut tally,
        |node| async move { hub.apply(&node, SET, flow).await.map(|_| ()) },
    )
    .await
    .map(|_| ())
}

/// Cordons `nodes`, so that nothing new lands on one while its neighbours go, then removes them.
async fn remove(hub: &Hub, nodes: Vec<Arc<Live>>, flow: &Flow) -> Result<(), Fault> {
    let staying: Vec<Arc<Live>> = nodes.iter().filter(|node| !node.going).cloned().collect();
    patch_all(hub, staying.clone(), &cordon(true), flow).await?;
    let mut tally = Tally::new(staying.len(), "nodes removed");
    flow.each(staying, hub.width(), &mut tally, |node| async move { hub.delete(&node, flow).await })
        .await
        .map(|_| ())
}

async fn patch_all(hub: &Hub, nodes: Vec<Arc<Live>>, patch: &Value, flow: &Flow) -> Result<(), Fault> {
    let mut tally = Tally::new(nodes.len(), "nodes cordoned");
    flow.each(nodes, hub.width(), &mut tally, |node| async move {
        hub.merge_patch(&node, patch, flow).await.map(|_| ())
    })
    .await
    .map(|_| ())
}

fn cordon(is_leaving: bool) -> Value {
    if is_leaving {
        json!({"metadata": {"annotations": {(label::LEAVING): "true"}}, "spec": {"unschedulable": true}})
    } else {
        json!({"metadata": {"annotations": {(label::LEAVING): null}}, "spec": {"unschedulable": null}})
    }
}
