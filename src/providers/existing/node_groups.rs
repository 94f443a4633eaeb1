use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::base::{Fault, FaultKind, Note, ResourceId, label};
use crate::engine::{Cx, Need, Resource, Seen, State};
use crate::k8s::{Hub, Live, known_kind};
use crate::profile::{Environment, NodeGroup};
use crate::providers::nodes::gpus_offered;

/// The node groups of a cluster that somebody else made: looked at, never changed.
pub struct NodeGroupsCheck {
    id: ResourceId,
    cluster: ResourceId,
    groups: Vec<NodeGroup>,
    hub: Arc<Hub>,
}

impl NodeGroupsCheck {
    /// The node groups that `environment` expects of `cluster`.
    pub fn new(environment: &Environment, cluster: ResourceId, hub: Arc<Hub>) -> Self {
        Self { id: ResourceId::new("node-groups"), cluster, groups: environment.node_groups.clone(), hub }
    }
}

/// What a node has to carry to count for `group`: the labels of the profile, or else the group's name.
pub(in crate::providers) fn selector(group: &NodeGroup) -> BTreeMap<&str, &str> {
    if group.labels.is_empty() {
        return BTreeMap::from([(label::NODE_GROUP, group.name.as_str())]);
    }
    group.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// What is missing of `groups`: too few nodes is a state, GPUs that are not offered yet a word, since
/// an addon may bring them.
fn check(groups: &[NodeGroup], nodes: &[Live]) -> (State, Vec<Note>) {
    let mut missing = Vec::new();
    let mut remarks = Vec::new();
    for group in groups {
        let selector = selector(group);
        let matching: Vec<&Live> = nodes
            .iter()
            .filter(|node| selector.iter().all(|(key, value)| node.label(key) == Some(value)))
            .collect();
        let unready: Vec<String> = matching
            .iter()
            .filter_map(|node| Some(format!("node {}: {}", node.name, node.why_node_is_not_ready()?)))
            .collect();
        let ready = matching.len() - unready.len();
        if ready < group.min as usize {
            let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let why = unready.first().map(|why| format!(" ({why})")).unwrap_or_default();
            missing.push(format!(
                "node group {} wants {} nodes and {ready} with its labels are ready{why}: add nodes, or mark \
                 them with `kubectl label node NODE {}`",
                group.name,
                group.min,
                labels.join(" ")
            ));
        }
        let without: Vec<&str> = matching
            .iter()
            .filter(|node| gpus_offered(node) < group.resources.gpus)
            .map(|node| node.name.as_str())
            .collect();
        if let Some(first) = without.first() {
            remarks.push(Note::new(
                "warning",
                format!(
                    "node group {}: {} of {} nodes ({first}, ...) do not offer {} `nvidia.com/gpu`; they need \
                     the driver and a device plugin (addon nvidia-device-plugin)",
                    group.name,
                    without.len(),
                    matching.len(),
                    group.resources.gpus
                ),
            ));
        }
    }
    let state = if missing.is_empty() { State::Ready } else { State::Broken(missing.join("; ")) };
    (state, remarks)
}

impl Resource for NodeGroupsCheck {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Inside(self.cluster.clone())]
    }

    fn outline(&self) -> String {
        format!("{} node groups, checked only", self.groups.len())
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            if self.groups.is_empty() {
                return Ok(Seen::new(State::Ready));
            }
            let access = cx.outputs.cluster_access().ok_or_else(|| {
                Fault::new(FaultKind::Bug, "look at the nodes", "their cluster has not said how to reach it")
            })?;
            self.hub.connect(access).await?;
            let kind = known_kind("v1", "Node").expect("nodes are built in");
            let nodes = self.hub.list_all(&kind, &cx.flow).await?;
            let (state, remarks) = check(&self.groups, &nodes);
            let mut seen = Seen::new(state);
            seen.notes = remarks;
            Ok(seen)
        }
        .boxed()
    }

    /// Somebody else made them: they stay.
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

    fn node(name: &str, gpus: &str) -> Live {
        let body = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"team": "ml"}},
            "status": {
                "allocatable": {"nvidia.com/gpu": gpus},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        });
        Live::of(&Object::new(body).expect("a node"))
    }

    #[test]
    fn too_few_nodes_are_named_with_the_remedy() {
        let (state, _) = check(&[sample_group("gpu", 2, 4, 0)], &[node("one", "0")]);
        let State::Broken(why) = state else { unreachable!("one of two") };
        assert!(why.contains("wants 2 nodes and 1"), "{why}");
        assert!(why.contains("kubectl label node NODE team=ml"), "{why}");
    }

    #[test]
    fn a_node_that_is_not_ready_is_named_with_its_own_words() {
        let mut sick = node("two", "0");
        sick.body["status"] = json!({"conditions": [{"type": "Ready", "status": "Unknown",
            "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}]});
        let (state, _) = check(&[sample_group("gpu", 2, 4, 0)], &[node("one", "0"), sick]);
        let State::Broken(why) = state else { unreachable!("one of two") };
        let told = "are ready (node two: NodeStatusUnknown: Kubelet stopped posting node status.): add nodes";
        assert!(why.contains(told), "{why}");
    }

    #[test]
    fn gpus_that_are_not_offered_are_a_warning() {
        let group = [sample_group("gpu", 1, 4, 1)];
        assert_eq!(check(&group, &[node("one", "1")]), (State::Ready, Vec::new()));
        let (state, remarks) = check(&group, &[node("one", "0")]);
        assert_eq!(state, State::Ready);
        assert_eq!(remarks.len(), 1);
    }
}
