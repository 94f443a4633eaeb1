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
        && names("resources", &object.kind.plural)
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
