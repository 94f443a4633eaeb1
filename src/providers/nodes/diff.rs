use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::desired::{GroupWanted, NodeWanted};
use super::taints::{taint_text, taints_of};
use crate::base::{Change, ChangeKind, FieldChange, Quantity, label};
use crate::k8s::{Live, Object};
use crate::profile::Taint;

/// How many of the nodes that go are named.
const NAMES_SHOWN: usize = 10;

/// What has to be done so that the nodes are as wanted.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) changes: Vec<Change>,
    pub(super) apply: Vec<Object>,
    /// Cordoned by a run that was stopped before it removed them, and wanted again.
    pub(super) uncordon: Vec<Arc<Live>>,
    /// Of another machine type than wanted: removed and made anew.
    pub(super) replace: Vec<(Arc<Live>, Object)>,
    /// Wanted no more, newest first.
    pub(super) remove: Vec<Arc<Live>>,
}

impl Difference {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Compares the wanted groups with the live nodes that berth made. `taken` are names of nodes that
/// are not ours.
pub(super) fn diff(wanted: &[GroupWanted], live: &[Arc<Live>], taken: &BTreeSet<String>) -> Difference {
    let mut by_group: BTreeMap<&str, Vec<&Arc<Live>>> = BTreeMap::new();
    for node in live.iter().filter(|node| !node.going) {
        by_group.entry(node.label(label::NODE_GROUP).unwrap_or_default()).or_default().push(node);
    }
    let mut found = Difference::default();
    for group in wanted {
        let standing = by_group.remove(group.name.as_str()).unwrap_or_default();
        diff_group(group, &standing, taken, &mut found);
    }
    for (name, nodes) in by_group {
        let change = Change::new(ChangeKind::Delete, subject(name))
            .fields(vec![field("nodes", Some(nodes.len().to_string()), None)])
            .because("no longer in the profile");
        found.changes.push(change);
        found.remove.extend(newest_first(nodes));
    }
    found
}

fn subject(group: &str) -> String {
    format!("node group {group}")
}

fn field(path: impl Into<String>, from: Option<String>, to: Option<String>) -> FieldChange {
    FieldChange { path: path.into(), from, to }
}

fn diff_group(
    group: &GroupWanted,
    standing: &[&Arc<Live>],
    taken: &BTreeSet<String>,
    found: &mut Difference,
) {
    let mut fields = Vec::new();
    let mut missing = Vec::new();
    let mut is_replaced = false;
    if standing.len() != group.nodes.len() {
        let from = (!standing.is_empty()).then(|| standing.len().to_string());
        fields.push(field("nodes", from, Some(group.nodes.len().to_string())));
    }
    for node in &group.nodes {
        let Some(live) = standing.iter().find(|live| live.name == node.name) else {
            if taken.contains(&node.name) {
                let change = Change::new(ChangeKind::Conflict, format!("Node {}", node.name));
                found.changes.push(change.because("a node of this name is there that berth did not make"));
            } else {
                missing.push(node.name.as_str());
                found.apply.push(node.object(&[]));
            }
            continue;
        };
        if let Some(machine) = other_machine(group, node, live) {
            is_replaced = true;
            add_new(&mut fields, vec![machine]);
            found.replace.push((Arc::clone(live), node.object(&[])));
            continue;
        }
        let differing = differing_fields(node, live);
        if !differing.is_empty() {
            found.apply.push(node.object(&foreign_taints(live)));
            add_new(&mut fields, differing);
        }
        if live.annotation(label::LEAVING).is_some() {
            add_new(&mut fields, vec![field("unschedulable", Some("true".to_string()), None)]);
            found.uncordon.push(Arc::clone(live));
        }
    }
    let extra: Vec<&Arc<Live>> = standing
        .iter()
        .copied()
        .filter(|live| group.nodes.iter().all(|node| node.name != live.name))
        .collect();
    let reason = (standing.len() == group.nodes.len() && !missing.is_empty())
        .then(|| format!("missing: {}", missing.join(", ")));
    if fields.is_empty() && missing.is_empty() && extra.is_empty() {
        return;
    }
    let extra = newest_first(extra);
    let parts: Vec<String> = reason.into_iter().chain((!extra.is_empty()).then(|| leaving(&extra))).collect();
    let reason = (!parts.is_empty()).then(|| parts.join("; "));
    found.remove.extend(extra);
    let kind = match (standing.is_empty(), is_replaced) {
        (true, _) => ChangeKind::Create,
        (false, true) => ChangeKind::Replace,
        (false, false) => ChangeKind::Update,
    };
    let mut change = Change::new(kind, subject(&group.name)).fields(fields);
    change.reason = reason;
    found.changes.push(change);
}

/// `general-3, general-2 go`, in the order in which they go.
fn leaving(nodes: &[Arc<Live>]) -> String {
    let names: Vec<&str> = nodes.iter().take(NAMES_SHOWN).map(|node| node.name.as_str()).collect();
    let verb = if nodes.len() == 1 { "goes" } else { "go" };
    match nodes.len() - names.len() {
        0 => format!("{} {verb}", names.join(", ")),
        more => format!("{} and {more} more {verb}", names.join(", ")),
    }
}

/// Adds those of `more` that are not in `fields` yet: all nodes of a group differ alike.
fn add_new(fields: &mut Vec<FieldChange>, more: Vec<FieldChange>) {
    for one in more {
        if !fields.contains(&one) {
            fields.push(one);
        }
    }
}

/// The field that tells that the live node is another machine, which cannot be changed in place.
fn other_machine(group: &GroupWanted, node: &NodeWanted, live: &Live) -> Option<FieldChange> {
    let machine = live.label("node.kubernetes.io/instance-type").unwrap_or_default();
    if machine != group.machine {
        return Some(field("machine", Some(machine.to_string()), Some(group.machine.clone())));
    }
    let capacity = &live.body["status"]["capacity"];
    let quantity = |text: Option<&str>| text.and_then(|text| text.parse::<Quantity>().ok());
    node.capacity.iter().find_map(|(resource, wanted)| {
        let there = capacity[resource].as_str();
        let is_same = quantity(there).is_some() && quantity(there) == quantity(Some(wanted));
        (!is_same)
            .then(|| field(format!("capacity.{resource}"), there.map(str::to_string), Some(wanted.clone())))
    })
}

/// The labels and taints in which a live node differs.
fn differing_fields(node: &NodeWanted, live: &Live) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    for (key, wanted) in &node.labels {
        let there = live.label(key);
        if there != Some(wanted) {
            fields.push(named("labels", key, node, there, Some(wanted)));
        }
    }
    let marks = [label::OWNER, label::ENVIRONMENT, label::SET];
    for key in live.applied_labels() {
        if !node.labels.contains_key(&key)
            && !marks.contains(&key.as_str())
            && let Some(there) = live.label(&key)
        {
            fields.push(named("labels", &key, node, Some(there), None));
        }
    }
    for (key, wanted) in &node.annotations {
        let there = live.annotation(key);
        if there != Some(wanted) {
            fields.push(named("annotations", key, node, there, Some(wanted)));
        }
    }
    let ours: Vec<Taint> = taints_of(live).into_iter().filter(|taint| !is_foreign(taint)).collect();
    for taint in node.taints.iter().filter(|taint| !ours.contains(taint)) {
        fields.push(field("taints", None, Some(taint_text(taint))));
    }
    for taint in ours.iter().filter(|taint| !node.taints.contains(taint)) {
        fields.push(field("taints", Some(taint_text(taint)), None));
    }
    fields
}

/// A label or annotation that differs. Values that carry the node's own name differ from node to
/// node: they are shown without it, so that the group has one line for all.
fn named(map: &str, key: &str, node: &NodeWanted, from: Option<&str>, to: Option<&String>) -> FieldChange {
    let shown = |text: &str| text.replace(&node.name, "NODE");
    field(format!("{map}.{key}"), from.map(shown), to.map(|text| shown(text)))
}

fn newest_first(mut nodes: Vec<&Arc<Live>>) -> Vec<Arc<Live>> {
    let index = |live: &Live| live.name.rsplit('-').next().and_then(|digits| digits.parse::<u32>().ok());
    nodes.sort_by_key(|live| std::cmp::Reverse(index(live)));
    nodes.into_iter().map(Arc::clone).collect()
}

/// Taints that Kubernetes itself sets by the state of a node.
fn is_foreign(taint: &Taint) -> bool {
    taint.key.split_once('/').is_some_and(|(domain, _)| domain.ends_with("kubernetes.io"))
}

fn foreign_taints(live: &Live) -> Vec<Taint> {
    taints_of(live).into_iter().filter(is_foreign).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::desired::tests::group;
    use super::*;
    use crate::profile::NodeGroup;

    fn wanted(groups: &[NodeGroup]) -> Vec<GroupWanted> {
        super::super::desired::groups(crate::base::ProviderKind::Gke, groups)
    }

    fn live(groups: &[GroupWanted]) -> Vec<Arc<Live>> {
        let nodes = groups.iter().flat_map(|group| &group.nodes);
        nodes.map(|node| Arc::new(Live::of(&node.object(&[])))).collect()
    }

    fn names(nodes: &[Arc<Live>]) -> Vec<&str> {
        nodes.iter().map(|node| node.name.as_str()).collect()
    }

    fn diff_of(before: &[NodeGroup], after: &[NodeGroup]) -> Difference {
        diff(&wanted(after), &live(&wanted(before)), &BTreeSet::new())
    }

    type Fields<'a> = Vec<(&'a str, Option<&'a str>, Option<&'a str>)>;

    fn only_change(found: &Difference) -> (ChangeKind, &str, Fields<'_>) {
        assert_eq!(found.changes.len(), 1, "{:?}", found.changes);
        let change = &found.changes[0];
        let fields = change.fields.iter();
        let fields =
            fields.map(|field| (field.path.as_str(), field.from.as_deref(), field.to.as_deref())).collect();
        (change.kind, &change.subject, fields)
    }

    #[test]
    fn nodes_as_wanted_differ_in_nothing() {
        let groups = [group("general", 2, 2, 0), group("gpu", 1, 1, 1)];
        assert!(diff_of(&groups, &groups).is_empty());
    }

    #[test]
    fn a_new_group_is_made() {
        let found = diff_of(&[], &[group("gpu", 3, 3, 1)]);
        assert_eq!(
            only_change(&found),
            (ChangeKind::Create, "node group gpu", vec![("nodes", None, Some("3"))])
        );
        assert_eq!(found.apply.len(), 3);
    }

    #[test]
    fn scaling_down_takes_the_newest() {
        let found = diff_of(&[group("general", 12, 12, 0)], &[group("general", 9, 9, 0)]);
        assert_eq!(
            only_change(&found),
            (ChangeKind::Update, "node group general", vec![("nodes", Some("12"), Some("9"))])
        );
        assert_eq!(names(&found.remove), ["general-11", "general-10", "general-9"]);
        assert_eq!(found.changes[0].reason.as_deref(), Some("general-11, general-10, general-9 go"));
        assert!(found.apply.is_empty());
    }

    #[test]
    fn a_group_that_left_the_profile_goes() {
        let found = diff_of(&[group("a", 1, 1, 0), group("b", 2, 2, 0)], &[group("a", 1, 1, 0)]);
        assert_eq!(
            only_change(&found),
            (ChangeKind::Delete, "node group b", vec![("nodes", Some("2"), None)])
        );
        assert_eq!(names(&found.remove), ["b-1", "b-0"]);
    }

    #[test]
    fn changed_labels_and_taints_are_one_change_of_the_group() {
        let mut after = group("general", 2, 2, 0);
        after.labels.clear();
        after.labels.insert("tier".to_string(), "web".to_string());
        after.taints.push(Taint {
            key: "dedicated".to_string(),
            value: String::new(),
            effect: "NoExecute".to_string(),
        });
        let found = diff_of(&[group("general", 2, 2, 0)], &[after]);
        let expected = vec![
            ("labels.tier", None, Some("web")),
            ("labels.team", Some("ml"), None),
            ("taints", None, Some("dedicated:NoExecute")),
        ];
        assert_eq!(only_change(&found), (ChangeKind::Update, "node group general", expected));
        assert_eq!(found.apply.len(), 2);
    }

    #[test]
    fn taints_of_kubernetes_itself_are_no_difference_and_stay() {
        let groups = [group("gpu", 1, 1, 1)];
        let mut node = wanted(&groups)[0].nodes[0].object(&[]);
        let unreachable = json!({"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"});
        node.body["spec"]["taints"].as_array_mut().expect("a list").push(unreachable.clone());
        let there = vec![Arc::new(Live::of(&node))];
        assert!(diff(&wanted(&groups), &there, &BTreeSet::new()).is_empty());
        let mut labelled = groups.clone();
        labelled[0].labels.insert("tier".to_string(), "web".to_string());
        let found = diff(&wanted(&labelled), &there, &BTreeSet::new());
        let taints = found.apply[0].body["spec"]["taints"].as_array().expect("a list");
        assert!(taints.contains(&unreachable));
        assert_eq!(taints.len(), 2);
    }

    #[test]
    fn another_machine_type_needs_new_nodes() {
        let mut after = group("gpu", 1, 1, 1);
        after.machine = "g2-standard-16".to_string();
        let found = diff_of(&[group("gpu", 1, 1, 1)], &[after]);
        let fields = vec![("machine", Some("g2-standard-8"), Some("g2-standard-16"))];
        assert_eq!(only_change(&found), (ChangeKind::Replace, "node group gpu", fields));
        assert_eq!(found.replace.len(), 1);
    }

    #[test]
    fn a_node_of_our_name_that_is_not_ours_is_a_conflict() {
        let taken = BTreeSet::from(["gpu-0".to_string()]);
        let found = diff(&wanted(&[group("gpu", 1, 1, 1)]), &[], &taken);
        assert!(found.changes.iter().any(|change| change.kind == ChangeKind::Conflict));
        assert!(found.apply.is_empty());
    }

    #[test]
    fn a_node_that_was_cordoned_to_leave_and_is_wanted_again_is_uncordoned() {
        let groups = [group("general", 1, 1, 0)];
        let mut node = wanted(&groups)[0].nodes[0].object(&[]);
        node.body["metadata"]["annotations"][label::LEAVING] = json!("true");
        let found = diff(&wanted(&groups), &[Arc::new(Live::of(&node))], &BTreeSet::new());
        assert_eq!(found.uncordon.len(), 1);
        assert_eq!(only_change(&found).0, ChangeKind::Update);
    }
}
