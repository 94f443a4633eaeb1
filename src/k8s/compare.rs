use serde_json::{Map, Value};

use super::told::{on_one_line, told, without_secrets};
use crate::base::{FieldChange, Quantity, label};

/// The fields in which `live` differs from what berth sets. Fields that berth does not set are
/// not looked at; values that the API server writes in another way are equal.
pub(super) fn differing_fields(wanted: &Value, live: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare(&mut Path::default(), wanted, live, &mut found);
    without_secrets(wanted, found)
}

/// The fields that berth applied once (`applied`, in the form of `fieldsV1`) and wants no more.
pub(super) fn removed_fields(wanted: &Value, applied: &str, live: &Value) -> Vec<FieldChange> {
    let mut found = Vec::new();
    if let Ok(Value::Object(fields)) = serde_json::from_str(applied) {
        walk_applied(&mut Path::default(), &fields, Some(wanted), Some(live), &mut found);
    }
    without_secrets(wanted, found)
}

/// Whether the manager that applied `fields` (in the form of `fieldsV1`) holds the field of `live` at
/// `path`, as it stands in a [`FieldChange`].
pub(super) fn holds(fields: &str, path: &str, live: &Value) -> bool {
    let mut held = Vec::new();
    if let Ok(Value::Object(fields)) = serde_json::from_str(fields) {
        walk_applied(&mut Path::default(), &fields, None, Some(live), &mut held);
    }
    let is_in = |field: &FieldChange| {
        let below = path.strip_prefix(field.path.as_str());
        below.is_some_and(|below| below.is_empty() || below.starts_with(['.', '[']))
    };
    held.iter().any(is_in)
}

/// Whether `field` is one that the API server took from berth (`applied`, in the form of `fieldsV1`) and
/// leaves out of what it shows, as it does with `false` and `0` of many types. Somebody who removes a
/// field takes it from berth too.
pub(super) fn is_left_out(field: &FieldChange, applied: &str, live: &Value) -> bool {
    field.from.is_none()
        && matches!(field.to.as_deref(), Some("false" | "0"))
        && holds(applied, &field.path, live)
}

/// A path in an object, written as `spec.template.spec.containers[traefik].image`.
#[derive(Default)]
struct Path {
    text: String,
}

impl Path {
    fn within<T>(&mut self, step: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.text.len();
        if !step.starts_with('[') && length > 0 {
            self.text.push('.');
        }
        self.text.push_str(step);
        let result = work(self);
        self.text.truncate(length);
        result
    }

    fn last_key(&self) -> &str {
        self.text.rsplit(['.', ']']).next().unwrap_or_default()
    }

    /// Whether the values of this map are quantities.
    fn holds_quantities(&self) -> bool {
        const MAPS: [&str; 9] = [
            "hard",
            "requests",
            "limits",
            "default",
            "defaultRequest",
            "max",
            "min",
            "capacity",
            "allocatable",
        ];
        MAPS.contains(&self.last_key()) || self.text.ends_with("sizeLimit")
    }
}

fn compare(path: &mut Path, wanted: &Value, live: &Value, found: &mut Vec<FieldChange>) {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            let quantities = path.holds_quantities();
            for (key, value) in wanted {
                if is_identity(path, key) {
                    continue;
                }
                path.within(key, |path| match live.get(key) {
                    Some(Value::String(_) | Value::Number(_))
                        if quantities && same_quantity(value, &live[key]) => {}
                    Some(there) => compare(path, value, there, found),
                    None if is_empty(value) => {}
                    None => found.push(change(path, None, Some(value))),
                });
            }
        }
        (Value::Array(wanted), Value::Array(live)) => compare_lists(path, wanted, live, found),
        _ if same_scalar(wanted, live) || is_empty(wanted) && is_empty(live) => {}
        _ => found.push(change(path, Some(live), Some(wanted))),
    }
}

/// Lists whose items have names are compared by name, since others may add items of their own;
/// other lists by position, and their lengths must agree.
fn compare_lists(path: &mut Path, wanted: &[Value], live: &[Value], found: &mut Vec<FieldChange>) {
    if let Some(named) = by_name(wanted) {
        for (name, item) in named {
            let there = live.iter().find(|candidate| candidate["name"] == name);
            path.within(&format!("[{name}]"), |path| match there {
                Some(there) => compare(path, item, there, found),
                None => found.push(change(path, None, Some(item))),
            });
        }
        return;
    }
    if wanted.len() != live.len() {
        found.push(changed_list(path, wanted, live));
        return;
    }
    for (index, (wanted, live)) in wanted.iter().zip(live).enumerate() {
        path.within(&format!("[{index}]"), |path| compare(path, wanted, live, found));
    }
}

/// A list that got longer or shorter: the items that only one side has, and how many both have.
fn changed_list(path: &mut Path, wanted: &[Value], live: &[Value]) -> FieldChange {
    let mut going: Vec<&Value> = live.iter().collect();
    let mut coming: Vec<&Value> = Vec::new();
    for item in wanted {
        let alike = going.iter().position(|there| {
            let mut differences = Vec::new();
            compare(path, item, there, &mut differences);
            differences.is_empty()
        });
        match alike {
            Some(index) => drop(going.remove(index)),
            None => coming.push(item),
        }
    }
    let alike = wanted.len() - coming.len();
    let listed = |items: &[&Value]| {
        let mut texts: Vec<String> = items.iter().map(ToString::to_string).collect();
        if alike > 0 {
            texts.push(format!("… {alike} alike"));
        }
        Value::from(format!("[{}]", texts.join(", ")))
    };
    change(path, Some(&listed(&going)), Some(&listed(&coming)))
}

/// The items with their names, when every item has one and no two are alike. Subjects of a role
/// binding have names too, but are one whole, as are the references that carry a kind.
fn by_name(items: &[Value]) -> Option<Vec<(&str, &Value)>> {
    let mut named: Vec<(&str, &Value)> = Vec::with_capacity(items.len());
    for item in items {
        let name = item.get("name")?.as_str()?;
        if item.get("kind").is_some() || named.iter().any(|(other, _)| *other == name) {
            return None;
        }
        named.push((name, item));
    }
    (!named.is_empty()).then_some(named)
}

fn is_identity(path: &Path, key: &str) -> bool {
    match path.text.as_str() {
        "" => matches!(key, "apiVersion" | "kind" | "status"),
        "metadata" => matches!(key, "name" | "namespace"),
        "metadata.annotations" => key == label::APPLIED,
        _ => false,
    }
}

fn same_scalar(one: &Value, other: &Value) -> bool {
    one == other
        || matches!((one.as_f64(), other.as_f64()), (Some(one), Some(other)) if one.to_bits() == other.to_bits())
}

fn same_quantity(one: &Value, other: &Value) -> bool {
    let quantity = |value: &Value| match value {
        Value::String(text) => text.parse::<Quantity>().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    };
    matches!((quantity(one), quantity(other)), (Some(one), Some(other)) if one == other)
}

/// What the API server may leave out of its answer.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn change(path: &Path, from: Option<&Value>, to: Option<&Value>) -> FieldChange {
    told(&path.text, from, to)
}

/// Walks `fieldsV1`. With `wanted`, finds the leaves that are in `applied` and not in `wanted`;
/// without, every leaf.
fn walk_applied(
    path: &mut Path,
    applied: &Map<String, Value>,
    wanted: Option<&Value>,
    live: Option<&Value>,
    found: &mut Vec<FieldChange>,
) {
    let collecting = wanted.is_none();
    for (step, below) in applied {
        let Some((mark, name)) = step.split_once(':') else { continue };
        let child = |parent: Option<&Value>| -> Option<Value> {
            let parent = parent?;
            match mark {
                "f" => parent.get(name).cloned(),
                "k" => item_with_keys(parent.as_array()?, name).cloned(),
                "v" => {
                    let item: Value = serde_json::from_str(name).ok()?;
                    parent.as_array()?.iter().find(|candidate| **candidate == item).cloned()
                }
                _ => None,
            }
        };
        if mark == "f" && is_identity(path, name) {
            continue;
        }
        let label = match mark {
            "f" => name.to_string(),
            _ => format!("[{}]", item_label(name, child(live).as_ref())),
        };
        let below = below.as_object();
        let deeper = below.filter(|below| below.keys().any(|key| key.contains(':')));
        path.within(&label, |path| {
            let (wanted_child, live_child) = (child(wanted), child(live));
            if !collecting && wanted_child.is_none() {
                // Gone from what is wanted; gone from the cluster, too, means there is nothing to do.
                if let Some(live_child) = live_child {
                    found.push(change(path, Some(&live_child), None));
                }
                return;
            }
            match deeper {
                Some(below) => walk_applied(path, below, wanted_child.as_ref(), live_child.as_ref(), found),
                None if collecting => found.push(change(path, None, None)),
                None => {}
            }
        });
    }
}

/// The item of a list that the keys of `fieldsV1` (`{"name":"web"}`) choose.
fn item_with_keys<'a>(items: &'a [Value], keys: &str) -> Option<&'a Value> {
    let Ok(Value::Object(keys)) = serde_json::from_str(keys) else { return None };
    items.iter().find(|item| {
        keys.iter().all(|(key, value)| item.get(key).is_none_or(|there| there == value))
            && keys.keys().any(|key| item.get(key).is_some())
    })
}

/// An item of a list by its name, as in [`compare_lists`], or else by what tells it from the others.
fn item_label(keys: &str, item: Option<&Value>) -> String {
    if let Some(name) = item.and_then(|item| item.get("name")?.as_str()) {
        return name.to_string();
    }
    match serde_json::from_str(keys) {
        Ok(Value::Object(keys)) => match keys.get("name").and_then(Value::as_str) {
            Some(name) => name.to_string(),
            None => keys.values().map(on_one_line).collect::<Vec<_>>().join("/"),
        },
        _ => keys.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(changes: &[FieldChange]) -> Vec<&str> {
        changes.iter().map(|change| change.path.as_str()).collect()
    }

    #[test]
    fn a_list_that_grew_is_shown_by_what_came_and_went() {
        let many: Vec<String> = (0..100).map(|number| format!("--option-number={number}")).collect();
        let mut edited = many.clone();
        edited.push("--api.insecure=true".to_string());
        let differing = |wanted: Value, live: Value| {
            differing_fields(&json!({"spec": {"args": wanted}}), &json!({"spec": {"args": live}}))
        };
        let [change] = &differing(json!(many), json!(edited))[..] else { unreachable!("one change") };
        assert_eq!(change.path, "spec.args");
        assert_eq!(change.from.as_deref(), Some("[\"--api.insecure=true\", … 100 alike]"));
        assert_eq!(change.to.as_deref(), Some("[… 100 alike]"));
        let rule = |resource: &str| json!({"apiGroups": [""], "resources": [resource], "verbs": ["get"]});
        let swapped = json!({"verbs": ["get"], "resources": ["pods"], "apiGroups": [""]});
        let [change] = &differing(json!([rule("pods")]), json!([swapped, rule("*")]))[..] else {
            unreachable!("one change")
        };
        assert!(change.from.as_deref().is_some_and(|from| from.contains("\"*\"") && !from.contains("pods")));
    }

    #[test]
    fn fields_that_berth_does_not_set_are_not_looked_at() {
        let live = json!({"spec": {"a": 1, "added": true}, "status": {"x": 1}});
        assert!(differing_fields(&json!({"spec": {"a": 1}}), &live).is_empty());
    }

    #[test]
    fn a_differing_field_is_named_with_both_values() {
        let found = differing_fields(&json!({"spec": {"replicas": 2}}), &json!({"spec": {"replicas": 5}}));
        assert_eq!(
            found,
            [FieldChange { path: "spec.replicas".into(), from: Some("5".into()), to: Some("2".into()) }]
        );
    }

    #[test]
    fn what_a_secret_keeps_is_in_no_change() {
        const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
        let secret = |data: Value, more: Value| {
            json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data, "stringData": more,
                "metadata": {"name": "s", "labels": {"app": "one"}, "annotations": {ANNOTATION: data.to_string()}}})
        };
        let wanted = secret(json!({"password": "bmV3", "added": "bmV3"}), json!({"plain": "bmV3"}));
        let mut live = secret(json!({"password": "b2xk", "gone": "b2xk"}), json!({"plain": "b2xk"}));
        live["metadata"]["labels"]["app"] = json!("two");
        let mut found = differing_fields(&wanted, &live);
        let applied = json!({"f:data": {"f:password": {}, "f:gone": {}}}).to_string();
        found.extend(removed_fields(&wanted, &applied, &live));
        // A Secret that has nothing yet is filled as a whole.
        found.extend(differing_fields(
            &wanted,
            &json!({"metadata": {"labels": {"app": "one"}}, "type": "Opaque"}),
        ));
        let of = |path: &str| {
            let change = found.iter().find(|change| change.path == path).expect(path);
            (change.from.as_deref(), change.to.as_deref())
        };
        assert_eq!(of("data.password"), (Some("(secret)"), Some("(secret, changed)")));
        assert_eq!(of("data.added"), (None, Some("(secret)")));
        assert_eq!(of("data.gone"), (Some("(secret)"), None));
        assert_eq!(of("metadata.labels.app"), (Some("two"), Some("one")));
        let all = serde_json::to_string(&found).expect("plain values");
        assert!(!all.contains("bmV3") && !all.contains("b2xk"), "{all}");
    }

    #[test]
    fn equal_quantities_are_equal_and_other_texts_are_not() {
        let wanted = json!({"spec": {"hard": {"requests.cpu": "10", "pods": 5, "limits.memory": "1024Mi"}}});
        let live = json!({"spec": {"hard": {"requests.cpu": "10000m", "pods": "5", "limits.memory": "1Gi"}}});
        assert!(differing_fields(&wanted, &live).is_empty());
        let labels = |value: &str| json!({"metadata": {"labels": {"size": value}}});
        assert_eq!(paths(&differing_fields(&labels("1000m"), &labels("1"))), ["metadata.labels.size"]);
    }

    #[test]
    fn what_the_server_leaves_out_because_it_is_empty_is_equal() {
        let wanted = json!({"spec": {"podSelector": {}, "args": []}});
        assert!(differing_fields(&wanted, &json!({"spec": {}})).is_empty());
    }

    #[test]
    fn a_false_that_is_gone_differs() {
        let wanted = json!({"automountServiceAccountToken": false});
        assert_eq!(paths(&differing_fields(&wanted, &json!({}))), ["automountServiceAccountToken"]);
    }

    #[test]
    fn named_items_are_found_by_name() {
        let wanted = json!({"c": [{"name": "web", "image": "a"}]});
        let live = json!({"c": [{"name": "sidecar"}, {"name": "web", "image": "b"}]});
        assert_eq!(paths(&differing_fields(&wanted, &live)), ["c[web].image"]);
    }

    #[test]
    fn subjects_are_one_whole() {
        let subject = |name: &str| json!({"kind": "Group", "name": name});
        let wanted = json!({"subjects": [subject("a")]});
        let live = json!({"subjects": [subject("a"), subject("intruder")]});
        assert_eq!(paths(&differing_fields(&wanted, &live)), ["subjects"]);
    }

    #[test]
    fn a_field_that_was_applied_and_is_wanted_no_more_is_found() {
        let applied = json!({
            "f:metadata": {"f:labels": {"f:old": {}, "f:kept": {}}},
            "f:spec": {"f:ports": {".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}},
                                    "k:{\"port\":81,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}
        });
        let wanted = json!({"metadata": {"labels": {"kept": "1"}}, "spec": {"ports": [{"port": 80, "protocol": "TCP"}]}});
        let live = json!({"metadata": {"labels": {"kept": "1", "old": "1"}},
            "spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 81, "protocol": "TCP"}]}});
        let found = removed_fields(&wanted, &applied.to_string(), &live);
        assert_eq!(paths(&found), ["metadata.labels.old", "spec.ports[81/TCP]"]);
        assert_eq!(found[0].to, None);
    }

    #[test]
    fn the_holder_of_a_field_is_known() {
        let fields = json!({"f:spec": {"f:replicas": {}, "f:template": {"f:metadata": {}}}}).to_string();
        let live = json!({"spec": {"replicas": 1}});
        assert!(holds(&fields, "spec.replicas", &live));
        assert!(!holds(&fields, "spec.selector", &live));
    }

    #[test]
    fn a_false_that_the_server_took_and_leaves_out_is_no_difference() {
        let found = differing_fields(
            &json!({"spec": {"hostNetwork": false, "list": [{"name": "a", "weight": 0}]}}),
            &json!({"spec": {"list": [{"name": "a"}]}}),
        );
        assert_eq!(paths(&found), ["spec.hostNetwork", "spec.list[a].weight"]);
        let live = json!({"spec": {"list": [{"name": "a"}]}});
        let ours = json!({"f:spec": {"f:hostNetwork": {}, "f:list": {}}}).to_string();
        assert!(found.iter().all(|field| is_left_out(field, &ours, &live)));
        let taken = json!({"f:spec": {"f:replicas": {}}}).to_string();
        assert!(!found.iter().any(|field| is_left_out(field, &taken, &live)));
    }

    #[test]
    fn the_holder_of_an_item_is_known_by_the_items_name() {
        let port = |target: &str| json!({"spec": {"ports": [{"name": "web", "port": 80, "protocol": "TCP", "targetPort": target}]}});
        let found = differing_fields(&port("web"), &port("admin"));
        let fields = json!({"f:spec": {"f:ports": {
            "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:targetPort": {}}}}});
        assert_eq!(paths(&found), ["spec.ports[web].targetPort"]);
        assert!(holds(&fields.to_string(), &found[0].path, &port("admin")));
    }
}
