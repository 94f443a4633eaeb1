use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::config::Config;
use crate::base::{Change, ChangeKind, Fault, FaultKind, FieldChange, ResourceId, label};
use crate::engine::{Cx, Need, Resource, Seen, State, Step};
use crate::flow::Tally;
use crate::k8s::{Hub, Live, Object, known_kind};
use crate::profile::schema::KindCluster;
use crate::profile::{Environment, Taint};
use crate::providers::nodes::{taint_text, taints, taints_of};

/// The value of the label `berth.dev/set` on nodes.
const SET: &str = "node-groups";
/// Annotation: the taints that berth set. Those of others are left alone.
const TAINTS: &str = "berth.dev/taints";
/// The taint of control planes. kind takes it off when there is one node alone.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
/// The label that keeps load balancers away from a node, likewise.
const NOT_BALANCED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The nodes of a kind cluster: made with it, labelled and tainted here.
pub struct NodeGroups {
    id: ResourceId,
    cluster: ResourceId,
    groups: usize,
    wanted: Vec<NodeWanted>,
    hub: Arc<Hub>,
}

/// A node as it should be.
#[derive(Debug, Clone, PartialEq)]
struct NodeWanted {
    name: String,
    /// Its node group; control planes have none.
    group: Option<String>,
    /// What the profile gives it besides what kind gave it when it was made.
    labels: BTreeMap<String, String>,
    taints: Vec<Taint>,
    /// Whether it is a control plane that has to take pods, since there is no other node.
    takes_pods: bool,
}

/// What has to be done to one node.
#[derive(Debug, Clone, PartialEq)]
struct NodeChange {
    live: Live,
    /// What berth says of it, when that is not what it says already.
    object: Option<Object>,
    /// What is not berth's alone to say: the list of taints is one field to the API server.
    patch: Option<Value>,
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
        let (changes, nodes) = diff(&self.wanted, &live);
        if changes.is_empty() {
            return Ok(seen);
        }
        Ok(seen.to_change(changes, LabelNodes { hub: Arc::clone(&self.hub), nodes }))
    }
}

fn wanted(config: &Config) -> Vec<NodeWanted> {
    let nodes = config.nodes();
    let workers = nodes.iter().filter(|node| node.group.is_some()).count();
    nodes
        .into_iter()
        .map(|node| {
            let group = node.group.map(|index| &config.groups()[index]);
            let mut labels = group.map(|group| group.labels.clone()).unwrap_or_default();
            if group.is_some_and(|group| group.resources.gpus > 0) {
                labels.insert("nvidia.com/gpu.present".to_string(), "true".to_string());
            }
            NodeWanted {
                name: node.name,
                group: group.map(|group| group.name.clone()),
                labels,
                taints: group.map(taints).unwrap_or_default(),
                takes_pods: workers == 0,
            }
        })
        .collect()
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

/// What differs, one change for each group, and what has to be done to which node.
fn diff(wanted: &[NodeWanted], live: &[Live]) -> (Vec<Change>, Vec<NodeChange>) {
    let mut changes: Vec<Change> = Vec::new();
    let mut nodes = Vec::new();
    for node in wanted {
        // One that has not come yet is waited for.
        let Some(live) = live.iter().find(|live| live.name == node.name) else { continue };
        let (fields, change) = diff_node(node, live);
        if fields.is_empty() {
            continue;
        }
        nodes.push(change);
        let subject = match &node.group {
            Some(group) => format!("node group {group}"),
            None => "control plane".to_string(),
        };
        match changes.iter_mut().find(|change| change.subject == subject) {
            Some(change) => {
                let new: Vec<FieldChange> =
                    fields.into_iter().filter(|field| !change.fields.contains(field)).collect();
                change.fields.extend(new);
            }
            None => changes.push(Change::new(ChangeKind::Update, subject).fields(fields)),
        }
    }
    (changes, nodes)
}

fn diff_node(node: &NodeWanted, live: &Live) -> (Vec<FieldChange>, NodeChange) {
    let mut fields = Vec::new();
    let mut field = |path: String, from: Option<&str>, to: Option<&str>| {
        fields.push(FieldChange { path, from: from.map(str::to_string), to: to.map(str::to_string) });
    };
    for (key, value) in &node.labels {
        if live.label(key) != Some(value) {
            field(format!("labels.{key}"), live.label(key), Some(value));
        }
    }
    let marks = [label::OWNER, label::ENVIRONMENT, label::SET, label::NODE_GROUP];
    for key in live.applied_labels() {
        if !node.labels.contains_key(&key) && !marks.contains(&key.as_str()) {
            field(format!("labels.{key}"), live.label(&key), None);
        }
    }
    // A mark that only kind gave was given to a cluster that was adopted by nobody.
    if live.label(label::NODE_GROUP) != node.group.as_deref() {
        field(format!("labels.{}", label::NODE_GROUP), live.label(label::NODE_GROUP), node.group.as_deref());
    }
    let there = taints_of(live);
    let ours: Vec<&str> = live.annotation(TAINTS).unwrap_or_default().split(',').collect();
    let mut keep: Vec<Value> = Vec::new();
    for taint in &there {
        let text = taint_text(taint);
        let is_wanted = node.taints.iter().any(|wanted| taint_text(wanted) == text);
        let is_in_the_way = node.takes_pods && taint.key == CONTROL_PLANE;
        if (ours.contains(&text.as_str()) && !is_wanted) || is_in_the_way {
            field("taints".to_string(), Some(&text), None);
        } else {
            keep.push(json!({"key": taint.key, "value": taint.value, "effect": taint.effect}));
        }
    }
    let mut patched = keep.len() != there.len();
    for taint in node.taints.iter().filter(|taint| !there.contains(taint)) {
        field("taints".to_string(), None, Some(&taint_text(taint)));
        keep.push(json!({"key": taint.key, "value": taint.value, "effect": taint.effect}));
        patched = true;
    }
    let mut patch = json!({});
    if patched {
        patch["spec"]["taints"] = Value::Array(keep);
    }
    if node.takes_pods && live.label(NOT_BALANCED).is_some() {
        field(format!("labels.{NOT_BALANCED}"), live.label(NOT_BALANCED), None);
        patch["metadata"]["labels"][NOT_BALANCED] = Value::Null;
    }
    let texts: Vec<String> = node.taints.iter().map(taint_text).collect();
    let noted = (!texts.is_empty()).then(|| texts.join(","));
    if live.annotation(TAINTS) != noted.as_deref() {
        field(format!("annotations.{TAINTS}"), live.annotation(TAINTS), noted.as_deref());
    }
    let is_patch = patch.as_object().is_some_and(|patch| !patch.is_empty());
    let patch = is_patch.then(|| {
        // Somebody else may change the list meanwhile: then the API server refuses, and it is looked at again.
        patch["metadata"]["resourceVersion"] = live.body["metadata"]["resourceVersion"].clone();
        patch
    });
    let change = NodeChange { live: live.clone(), object: Some(node.object(noted)), patch };
    (fields, change)
}

impl NodeWanted {
    /// What berth says of the node.
    fn object(&self, taints: Option<String>) -> Object {
        let mut labels: BTreeMap<&str, &str> =
            self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        if let Some(group) = &self.group {
            labels.insert(label::NODE_GROUP, group);
        }
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": labels},
        });
        if let Some(taints) = taints {
            body["metadata"]["annotations"] = json!({TAINTS: taints});
        }
        Object::new(body).expect("a node with a name is an object")
    }
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
    use super::super::config::tests::config;
    use super::*;
    use crate::providers::nodes::sample_group;

    fn taint(key: &str) -> Taint {
        Taint { key: key.to_string(), value: String::new(), effect: "NoSchedule".to_string() }
    }

    fn one_worker(change: impl FnOnce(&mut crate::profile::NodeGroup)) -> Vec<NodeWanted> {
        let mut group = sample_group("general", 1, 1, 0);
        group.labels.clear();
        group.taints.clear();
        change(&mut group);
        wanted(&config(&[group], KindCluster::default()))
    }

    /// The nodes as kind makes them.
    fn made(wanted: &[NodeWanted]) -> Vec<Live> {
        wanted.iter().map(|node| live(node, &node.taints, &json!({}))).collect()
    }

    fn live(node: &NodeWanted, taints: &[Taint], annotations: &Value) -> Live {
        let mut labels = json!({label::OWNER: "7f3k2q9d"});
        if let Some(group) = &node.group {
            labels[label::NODE_GROUP] = json!(group);
        }
        let taints: Vec<Value> = taints
            .iter()
            .map(|one| json!({"key": one.key, "value": one.value, "effect": one.effect}))
            .collect();
        let body = json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": node.name, "labels": labels, "annotations": annotations, "resourceVersion": "7"},
            "spec": {"taints": taints},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        let mut live = Live::of(&Object::new(body.clone()).expect("a node"));
        live.body = body;
        live
    }

    #[test]
    fn nodes_without_labels_and_taints_of_the_profile_are_left_as_kind_made_them() {
        let wanted = one_worker(|_| ());
        assert_eq!(diff(&wanted, &made(&wanted)), (Vec::new(), Vec::new()));
        assert_eq!(state(&wanted, &made(&wanted)), State::Ready);
    }

    #[test]
    fn a_restricted_label_goes_through_the_api() {
        let wanted = one_worker(|group| {
            group.labels.insert("node-role.kubernetes.io/batch".to_string(), String::new());
        });
        let (changes, nodes) = diff(&wanted, &made(&wanted));
        assert_eq!(changes[0].fields[0].path, "labels.node-role.kubernetes.io/batch");
        let object = nodes[0].object.as_ref().expect("to apply");
        assert_eq!(object.body["metadata"]["labels"]["node-role.kubernetes.io/batch"], "");
        assert_eq!(nodes[0].patch, None);
    }

    #[test]
    fn only_taints_that_berth_set_are_taken_off() {
        let tainted = one_worker(|group| group.taints = vec![taint("team")]);
        let node = &tainted[1];
        let noted = live(node, &[taint("team"), taint("theirs")], &json!({TAINTS: "team:NoSchedule"}));
        assert_eq!(diff(&tainted[1..], std::slice::from_ref(&noted)).0, Vec::new());
        let plain = one_worker(|_| ());
        let (_, nodes) = diff(&plain[1..], &[noted]);
        let patch = nodes[0].patch.as_ref().expect("a patch");
        assert_eq!(patch["spec"]["taints"], json!([{"key": "theirs", "value": "", "effect": "NoSchedule"}]));
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
    }

    #[test]
    fn a_taint_that_is_gone_comes_back_beside_those_of_others() {
        let wanted = one_worker(|group| group.taints = vec![taint("team")]);
        let there = live(&wanted[1], &[taint("node.kubernetes.io/not-ready")], &json!({}));
        let (changes, nodes) = diff(&wanted[1..], &[there]);
        assert_eq!(changes[0].fields[0].to.as_deref(), Some("team:NoSchedule"));
        let patch = nodes[0].patch.as_ref().expect("a patch");
        assert_eq!(patch["spec"]["taints"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn control_planes_take_pods_where_there_is_no_other_node_and_only_there() {
        let alone = wanted(&config(&[], KindCluster { control_planes: 3, ..KindCluster::default() }));
        let there: Vec<Live> =
            alone.iter().map(|node| live(node, &[taint(CONTROL_PLANE)], &json!({}))).collect();
        let (_, nodes) = diff(&alone, &there);
        assert_eq!(nodes.len(), 3);
        assert_eq!(nodes[0].patch.as_ref().expect("a patch")["spec"]["taints"], json!([]));
        let with_worker = one_worker(|_| ());
        let there = live(&with_worker[0], &[taint(CONTROL_PLANE)], &json!({}));
        assert_eq!(diff(&with_worker[..1], &[there]).0, Vec::new());
    }

    #[test]
    fn nodes_that_are_not_ready_are_counted_by_group() {
        let wanted = one_worker(|group| (group.min, group.max) = (2, 2));
        let mut there = made(&wanted);
        there.pop();
        assert_eq!(state(&wanted, &there), State::Progressing("general: 1 of 2 ready".to_string()));
        there[0].body["status"]["conditions"][0] = json!({"type": "Ready", "status": "False",
            "reason": "KubeletNotReady", "message": "container runtime network not ready"});
        let told = "control plane: 0 of 1 ready, general: 1 of 2 ready: node lab-control-plane: \
                    KubeletNotReady: container runtime network not ready";
        assert_eq!(state(&wanted, &there), State::Progressing(told.to_string()));
    }
}
