use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::id_of;
use super::nodes::{self, Uncordon};
use crate::base::{Fault, FaultKind, ResourceId, label};
use crate::engine::{Cx, Need, Resource, Seen, State};
use crate::k8s::{Hub, Live};
use crate::profile::{Environment, NodeGroup};
use crate::providers::eks::{Around, PAUSES};
use crate::providers::nodes::gpus_offered;

/// The addon that offers GPUs to pods.
const PLUGIN: &str = "nvidia-device-plugin";

/// Whether the nodes of all node groups are there: others wait for them. Nodes that were to leave and are wanted again
/// take pods again; nothing else of them is changed.
pub struct NodeGroupsWatch {
    id: ResourceId,
    door: ResourceId,
    groups: Vec<NodeGroup>,
    /// Whether something offers the GPUs of nodes.
    has_plugin: bool,
    hub: Arc<Hub>,
}

impl NodeGroupsWatch {
    /// The nodes of `environment`.
    pub(in crate::providers::eks) fn new(environment: &Environment, around: &Around, hub: Arc<Hub>) -> Self {
        Self {
            id: ResourceId::new("node-groups"),
            door: around.door.clone(),
            groups: environment.node_groups.clone(),
            has_plugin: environment.addons.iter().any(|addon| addon.name == PLUGIN),
            hub,
        }
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        if self.groups.is_empty() {
            return Ok(Seen::new(State::Ready));
        }
        let access = cx.outputs.cluster_access().ok_or_else(|| {
            Fault::new(FaultKind::Bug, "look at the nodes", "their cluster has not said how to reach it")
        })?;
        self.hub.connect(access).await?;
        let nodes = nodes::all(&self.hub, &cx.flow).await?;
        let seen = Seen::new(judge(&self.groups, &nodes, self.has_plugin));
        let nodes: Vec<Live> =
            self.groups.iter().flat_map(|group| nodes::wanted_again(&nodes, &group.name)).collect();
        if nodes.is_empty() {
            return Ok(seen);
        }
        let uncordon = Uncordon { hub: Arc::clone(&self.hub), nodes };
        Ok(seen.to_change(uncordon.changes(), uncordon))
    }
}

/// Whether each of `groups` has as many ready nodes as it should have at the least, with their GPUs where something
/// offers them.
fn judge(groups: &[NodeGroup], nodes: &[Live], has_plugin: bool) -> State {
    let mut ready = 0;
    let mut wanted = 0;
    let mut missing = None;
    for group in groups {
        let of_group: Vec<&Live> =
            nodes.iter().filter(|node| node.label(label::NODE_GROUP) == Some(&group.name)).collect();
        let why_not = |node: &&Live| {
            let gpus = if has_plugin { group.resources.gpus } else { 0 };
            node.why_node_is_not_ready()
                .or_else(|| {
                    (gpus_offered(node) < gpus)
                        .then(|| format!("offers {} of {gpus} GPUs", gpus_offered(node)))
                })
                .map(|why| format!("node {}: {why}", node.name))
        };
        let unready: Vec<String> = of_group.iter().filter_map(why_not).collect();
        let least = group.min as usize;
        let there = of_group.len() - unready.len();
        ready += there.min(least);
        wanted += least;
        if there < least && missing.is_none() {
            let why = unready.first().map(|why| format!(", {why}")).unwrap_or_default();
            missing = Some(format!("{}: {there} of {least} ready{why}", group.name));
        }
    }
    match missing {
        Some(missing) => State::Progressing(format!("{ready} of {wanted} nodes ready, {missing}")),
        None => State::Ready,
    }
}

impl Resource for NodeGroupsWatch {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        let group = |group: &NodeGroup| Need::Ready(id_of(&group.name));
        std::iter::once(Need::Inside(self.door.clone())).chain(self.groups.iter().map(group)).collect()
    }

    /// The groups say themselves what is made.
    fn outline(&self) -> String {
        String::new()
    }

    fn pauses(&self) -> (Duration, Duration) {
        PAUSES
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        self.look(cx).boxed()
    }

    /// They go with their groups.
    fn delete<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::k8s::Object;
    use crate::providers::nodes::sample_group;

    fn node(name: &str, group: &str, ready: &str, gpus: &str) -> Live {
        let body = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {(label::NODE_GROUP): group}},
            "status": {
                "allocatable": {"nvidia.com/gpu": gpus},
                "conditions": [{"type": "Ready", "status": ready, "reason": "KubeletNotReady", "message": "cni"}],
            },
        });
        Live::of(&Object::new(body).expect("a node"))
    }

    #[test]
    fn a_group_with_too_few_nodes_is_named_with_what_its_node_says() {
        let groups = [sample_group("general", 1, 3, 0), sample_group("gpu", 2, 2, 1)];
        let nodes = [node("a", "general", "True", "0"), node("b", "gpu", "False", "0")];
        let State::Progressing(why) = judge(&groups, &nodes, false) else { unreachable!("one is missing") };
        assert_eq!(why, "1 of 3 nodes ready, gpu: 0 of 2 ready, node b: KubeletNotReady: cni");
    }

    #[test]
    fn gpus_count_where_something_offers_them() {
        let groups = [sample_group("gpu", 1, 1, 1)];
        let bare = [node("b", "gpu", "True", "0")];
        assert_eq!(judge(&groups, &bare, false), State::Ready);
        assert!(
            matches!(judge(&groups, &bare, true), State::Progressing(why) if why.contains("offers 0 of 1 GPUs"))
        );
        assert_eq!(judge(&groups, &[node("b", "gpu", "True", "1")], true), State::Ready);
    }

    #[test]
    fn nodes_that_were_to_leave_take_pods_again_once_theirs_is_the_only_group_of_that_name() {
        let leaving = |name: &str, of_aws: &str, mark: &str| {
            let mut body = node(name, "general", "True", "0").body.clone();
            body["metadata"]["labels"]["eks.amazonaws.com/nodegroup"] = json!(of_aws);
            body["metadata"]["annotations"][mark] = json!("true");
            Live::of(&Object::new(body).expect("a node"))
        };
        let (left, by_hand) = (leaving("a", "general", label::LEAVING), leaving("b", "general", "other"));
        let nodes = [left.clone(), by_hand.clone()];
        let again = nodes::wanted_again(&nodes, "general");
        assert_eq!(again.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["a"]);
        assert!(nodes::wanted_again(&nodes, "gpu").is_empty());
        let replaced = [left, by_hand, leaving("c", "general-1a2b3c", "other")];
        assert!(nodes::wanted_again(&replaced, "general").is_empty(), "its group is just replaced");
    }

    #[test]
    fn a_group_that_may_be_empty_is_not_waited_for() {
        assert_eq!(judge(&[sample_group("gpu", 0, 4, 1)], &[], true), State::Ready);
    }
}
