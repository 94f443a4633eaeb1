use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::config::Config;
use crate::base::{Change, ChangeKind, Conflict, FieldChange, label};
use crate::k8s::{Live, Object};
use crate::profile::Taint;
use crate::providers::nodes::{taint_text, taints, taints_of};

/// Annotation: the taints that berth set. Those of others are left alone.
const TAINTS: &str = "berth.dev/taints";
/// The taint of control planes. kind takes it off when there is one node alone.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
/// The label that keeps load balancers away from a node, likewise.
const NOT_BALANCED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// A node as it should be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NodeWanted {
    pub(super) name: String,
    /// Its node group; control planes have none.
    pub(super) group: Option<String>,
    /// What the profile gives it besides what kind gave it when it was made.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) taints: Vec<Taint>,
    /// Whether it is a control plane that has to take pods, since there is no other node.
    pub(super) takes_pods: bool,
}

/// How nodes differ from what they should be.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    /// What differs: one change for each group, and one for each node that others hold a part of.
    pub(super) changes: Vec<Change>,
    /// What has to be done to which node.
    pub(super) nodes: Vec<NodeChange>,
}

/// What has to be done to one node.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NodeChange {
    pub(super) live: Live,
    /// What berth says of it, when that is not what it says already.
    pub(super) object: Option<Object>,
    /// What is not berth's alone to say: the list of taints is one field to the API server.
    pub(super) patch: Option<Value>,
}

/// The nodes of a cluster that is made with `config`.
pub(super) fn wanted(config: &Config) -> Vec<NodeWanted> {
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

/// How `live` differs from `wanted`. What another program applies is in the way, unless it is to be taken over.
pub(super) fn diff(wanted: &[NodeWanted], live: &[Live], force_conflicts: bool) -> Difference {
    let mut found = Difference::default();
    for node in wanted {
        // One that has not come yet is waited for.
        let Some(live) = live.iter().find(|live| live.name == node.name) else { continue };
        let (fields, change) = diff_node(node, live);
        if fields.is_empty() {
            continue;
        }
        if let Some(conflict) = held_by_another(live, &fields).filter(|_| !force_conflicts) {
            found.changes.push(conflict.of(live.title()).fields(fields));
            continue;
        }
        found.nodes.push(change);
        let subject = match &node.group {
            Some(group) => format!("node group {group}"),
            None => "control plane".to_string(),
        };
        match found.changes.iter_mut().find(|change| change.subject == subject) {
            Some(change) => {
                let new: Vec<FieldChange> =
                    fields.into_iter().filter(|field| !change.fields.contains(field)).collect();
                change.fields.extend(new);
            }
            None => found.changes.push(Change::new(ChangeKind::Update, subject).fields(fields)),
        }
    }
    found
}

/// Why one of `fields` is not berth's to change: another program applies it.
fn held_by_another(live: &Live, fields: &[FieldChange]) -> Option<Conflict> {
    fields.iter().find_map(|field| live.held_by_another(&format!("metadata.{}", field.path)))
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
    let mut patch = json!({});
    if live.label(label::NODE_GROUP) != node.group.as_deref() {
        field(format!("labels.{}", label::NODE_GROUP), live.label(label::NODE_GROUP), node.group.as_deref());
        if node.group.is_none() {
            // Whoever gave it to a control plane, berth applies nothing there that would take it off.
            patch["metadata"]["labels"][label::NODE_GROUP] = Value::Null;
        }
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

#[cfg(test)]
pub(super) mod tests {
    use super::super::config::tests::config;
    use super::*;
    use crate::profile::schema::KindCluster;
    use crate::providers::nodes::sample_group;

    fn taint(key: &str) -> Taint {
        Taint { key: key.to_string(), value: String::new(), effect: "NoSchedule".to_string() }
    }

    pub(in crate::providers::kind) fn one_worker(
        change: impl FnOnce(&mut crate::profile::NodeGroup),
    ) -> Vec<NodeWanted> {
        let mut group = sample_group("general", 1, 1, 0);
        group.labels.clear();
        group.taints.clear();
        change(&mut group);
        wanted(&config(&[group], KindCluster::default()))
    }

    /// The nodes as kind makes them.
    pub(in crate::providers::kind) fn made(wanted: &[NodeWanted]) -> Vec<Live> {
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
        assert_eq!(diff(&wanted, &made(&wanted), false), Difference::default());
    }

    #[test]
    fn a_restricted_label_goes_through_the_api() {
        let wanted = one_worker(|group| {
            group.labels.insert("node-role.kubernetes.io/batch".to_string(), String::new());
        });
        let Difference { changes, nodes } = diff(&wanted, &made(&wanted), false);
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
        assert_eq!(diff(&tainted[1..], std::slice::from_ref(&noted), false), Difference::default());
        let plain = one_worker(|_| ());
        let nodes = diff(&plain[1..], &[noted], false).nodes;
        let patch = nodes[0].patch.as_ref().expect("a patch");
        assert_eq!(patch["spec"]["taints"], json!([{"key": "theirs", "value": "", "effect": "NoSchedule"}]));
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
    }

    #[test]
    fn a_taint_that_is_gone_comes_back_beside_those_of_others() {
        let wanted = one_worker(|group| group.taints = vec![taint("team")]);
        let there = live(&wanted[1], &[taint("node.kubernetes.io/not-ready")], &json!({}));
        let Difference { changes, nodes } = diff(&wanted[1..], &[there], false);
        assert_eq!(changes[0].fields[0].to.as_deref(), Some("team:NoSchedule"));
        let patch = nodes[0].patch.as_ref().expect("a patch");
        assert_eq!(patch["spec"]["taints"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn control_planes_take_pods_where_there_is_no_other_node_and_only_there() {
        let alone = wanted(&config(&[], KindCluster { control_planes: 3, ..KindCluster::default() }));
        let there: Vec<Live> =
            alone.iter().map(|node| live(node, &[taint(CONTROL_PLANE)], &json!({}))).collect();
        let nodes = diff(&alone, &there, false).nodes;
        assert_eq!(nodes.len(), 3);
        assert_eq!(nodes[0].patch.as_ref().expect("a patch")["spec"]["taints"], json!([]));
        let with_worker = one_worker(|_| ());
        let there = live(&with_worker[0], &[taint(CONTROL_PLANE)], &json!({}));
        assert_eq!(diff(&with_worker[..1], &[there], false), Difference::default());
    }

    /// The only control plane, with a label that makes it one of a node group.
    fn grouped_control_plane(wanted: &[NodeWanted]) -> Live {
        let mut there = live(&wanted[0], &[], &json!({}));
        there.body["metadata"]["labels"][label::NODE_GROUP] = json!("general");
        there
    }

    #[test]
    fn a_control_plane_that_somebody_put_into_a_group_is_taken_out_of_it() {
        let wanted = one_worker(|_| ());
        let Difference { changes, nodes } = diff(&wanted[..1], &[grouped_control_plane(&wanted)], false);
        assert_eq!(changes[0].kind, ChangeKind::Update);
        let patch = nodes[0].patch.as_ref().expect("a patch");
        assert_eq!(patch["metadata"]["labels"], json!({label::NODE_GROUP: null}));
    }

    #[test]
    fn a_label_that_another_program_applies_is_in_the_way_until_it_is_to_be_taken_over() {
        let wanted = one_worker(|_| ());
        let theirs = json!({"f:metadata": {"f:labels": {format!("f:{}", label::NODE_GROUP): {}}}});
        let control_plane = grouped_control_plane(&wanted).also_applied_by("theirs", &theirs);
        let mut worker = live(&wanted[1], &[], &json!({})).also_applied_by("theirs", &theirs);
        worker.body["metadata"]["labels"][label::NODE_GROUP] = json!("other");
        let there = [control_plane, worker];
        let Difference { changes, nodes } = diff(&wanted, &there, false);
        let told: Vec<_> = changes.iter().map(|change| (change.kind, change.subject.as_str())).collect();
        assert_eq!(
            told,
            [(ChangeKind::Conflict, "Node lab-control-plane"), (ChangeKind::Conflict, "Node lab-worker")]
        );
        let why = "`theirs` applies `metadata.labels.berth.dev/node-group`; let it go there, or take it over with \
                   `--force-conflicts`";
        assert_eq!((changes[1].told().as_deref(), nodes.len()), (Some(why), 0));
        let forced = diff(&wanted, &there, true);
        assert!(
            forced.nodes.len() == 2 && forced.changes.iter().all(|change| change.kind == ChangeKind::Update)
        );
    }
}
