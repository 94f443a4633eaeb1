//! What of an addon is applied in a rehearsal. No program runs there, so nobody answers a webhook: what asks
//! one on every write could not be written.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::k8s::{Object, Wave};

/// More objects of one kind than that are told by their number.
const NAMED: usize = 2;

/// Parts `objects` into those that a rehearsal applies, and webhook configurations with the custom resources
/// that these guard. Conversion webhooks stay: they are asked only where there is something to convert.
pub(super) fn split(objects: Vec<Object>) -> (Vec<Object>, Vec<Object>) {
    let webhooks: Vec<Value> = objects
        .iter()
        .filter(|object| object.kind.wave() == Wave::Webhooks)
        .flat_map(|object| object.body["webhooks"].as_array().cloned().unwrap_or_default())
        .collect();
    let rules: Vec<&Value> =
        webhooks.iter().flat_map(|webhook| webhook["rules"].as_array().into_iter().flatten()).collect();
    objects.into_iter().partition(|object| match object.kind.wave() {
        Wave::Webhooks => false,
        Wave::CustomResources => !rules.iter().any(|rule| guards(rule, object)),
        _ => true,
    })
}

/// Whether a webhook with `rule` is asked when `object` is written.
fn guards(rule: &Value, object: &Object) -> bool {
    let names = |key: &str, wanted: &str| {
        let listed = rule[key].as_array().into_iter().flatten();
        listed.filter_map(Value::as_str).any(|name| name == wanted || name == "*" || name == "*/*")
    };
    // A webhook is asked for all versions of a resource, not only for those that it names, so these say nothing.
    names("apiGroups", &object.kind.group)
        && object.kind.served.as_ref().is_none_or(|served| names("resources", &served.plural))
        && (names("operations", "CREATE") || names("operations", "UPDATE"))
}

/// `left_out` in a few words: `ValidatingWebhookConfiguration x, 3 IPAddressPools`.
pub(super) fn words(left_out: &[Object]) -> Vec<String> {
    let mut kinds: BTreeMap<(Wave, &str), Vec<&Object>> = BTreeMap::new();
    for object in left_out {
        kinds.entry((object.kind.wave(), &object.kind.kind)).or_default().push(object);
    }
    let named = |objects: Vec<&Object>| objects.into_iter().map(Object::title).collect();
    let counted = |kind: &str, objects: &[&Object]| vec![format!("{} {kind}s", objects.len())];
    let words =
        kinds.into_iter().map(
            |((_, kind), objects)| {
                if objects.len() > NAMED { counted(kind, &objects) } else { named(objects) }
            },
        );
    words.collect::<Vec<Vec<String>>>().concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::k8s::Kinds;

    fn definition(group: &str, kind: &str, plural: &str) -> Value {
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
                "versions": [{"name": "v1", "served": true, "storage": true}],
            },
        })
    }

    fn named(api_version: &str, kind: &str, name: &str) -> Value {
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "a"}})
    }

    fn webhook(kind: &str, rules: &Value) -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "guard"},
            "webhooks": [{"name": "a", "rules": rules}],
        })
    }

    fn left_out(extra: Value) -> Vec<String> {
        let mut bodies = vec![
            definition("example.com", "Pool", "pools"),
            definition("example.com", "Peer", "peers"),
            named("example.com/v1", "Pool", "p"),
            named("example.com/v1", "Peer", "q"),
            named("v1", "ConfigMap", "c"),
        ];
        bodies.push(extra);
        let mut kinds = Kinds::default();
        for body in &bodies {
            kinds.learn(body);
        }
        let object = |body| Object::of(body, &kinds).expect("an object");
        let (applied, left_out) = split(bodies.into_iter().map(object).collect());
        assert!(applied.len() >= 3, "definitions and built-in kinds are applied");
        left_out.iter().map(Object::title).collect()
    }

    #[test]
    fn what_a_webhook_guards_goes_with_it() {
        let rule = |groups: &str, resources: &str, operation: &str| json!([{"apiGroups": [groups], "apiVersions": ["v1"], "resources": [resources], "operations": [operation]}]);
        let validating = "ValidatingWebhookConfiguration";
        for (kind, rules, guarded) in [
            (validating, rule("example.com", "pools", "CREATE"), vec!["Pool a/p"]),
            (
                "MutatingWebhookConfiguration",
                rule("example.com", "*", "UPDATE"),
                vec!["Pool a/p", "Peer a/q"],
            ),
            (validating, rule("*", "*/*", "*"), vec!["Pool a/p", "Peer a/q"]),
            (validating, rule("example.com", "pools", "DELETE"), vec![]),
            (validating, rule("example.com", "pools/status", "CREATE"), vec![]),
            (validating, rule("example.org", "pools", "CREATE"), vec![]),
        ] {
            let mut wanted: Vec<String> = guarded.into_iter().map(str::to_string).collect();
            wanted.push(format!("{kind} guard"));
            assert_eq!(left_out(webhook(kind, &rules)), wanted, "{rules}");
        }
    }

    #[test]
    fn without_a_webhook_all_is_applied() {
        assert_eq!(left_out(named("v1", "Secret", "s")), [""; 0]);
    }

    #[test]
    fn many_of_a_kind_are_told_by_their_number() {
        let mut kinds = Kinds::default();
        kinds.learn(&definition("example.com", "Pool", "pools"));
        let pool = |name: &str| Object::of(named("example.com/v1", "Pool", name), &kinds).expect("a pool");
        let guard = Object::new(webhook("ValidatingWebhookConfiguration", &json!([]))).expect("built in");
        let few = [pool("a"), guard.clone(), pool("b")];
        assert_eq!(words(&few), ["ValidatingWebhookConfiguration guard", "Pool a/a", "Pool a/b"]);
        let many = [pool("a"), pool("b"), pool("c"), guard];
        assert_eq!(words(&many), ["ValidatingWebhookConfiguration guard", "3 Pools"]);
    }
}
