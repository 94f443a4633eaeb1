use std::borrow::Cow;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::object::Object;
use crate::base::{Owner, label};

/// The object as it is sent: with the owner mark, its set, and the hash of all that but what a Secret keeps. A `caBundle` that is
/// empty is left to whoever fills it.
pub fn finish(mut object: Object, owner: &Owner, set: &str) -> Object {
    if FILLED_BY_OTHERS.contains(&object.kind.group.as_str()) {
        drop_empty_bundles(&mut object.body);
    }
    let marks =
        [(label::OWNER, owner.id.as_str()), (label::ENVIRONMENT, &owner.environment), (label::SET, set)];
    if let Some(labels) = metadata_map(&mut object.body, "labels") {
        for (key, value) in marks {
            labels.insert(key.to_string(), Value::from(value));
        }
    }
    let hash = hash(&without_kept(&object.body));
    if let Some(annotations) = metadata_map(&mut object.body, "annotations") {
        annotations.insert(label::APPLIED.to_string(), Value::from(hash));
    }
    object
}

/// The groups of those kinds that name a program by its authority: webhook configurations, definitions
/// with a conversion webhook, aggregated APIs.
const FILLED_BY_OTHERS: [&str; 3] =
    ["admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io"];

fn drop_empty_bundles(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| key != "caBundle" || !(value.is_null() || *value == ""));
            map.values_mut().for_each(drop_empty_bundles);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty_bundles),
        _ => {}
    }
}

fn metadata_map<'a>(body: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    let metadata = body.get_mut("metadata")?.as_object_mut()?;
    metadata.entry(key).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}

/// The body of a Secret with the names of what it keeps alone: who sees the hash can guess at nothing, and
/// the values are compared themselves.
fn without_kept(body: &Value) -> Cow<'_, Value> {
    if body["apiVersion"] != "v1" || body["kind"] != "Secret" {
        return Cow::Borrowed(body);
    }
    let mut names = body.clone();
    let kept = names.get_mut("data").and_then(Value::as_object_mut);
    kept.into_iter().flat_map(Map::values_mut).for_each(|value| *value = Value::Null);
    Cow::Owned(names)
}

/// The first 16 hex digits of the SHA-256 of the object, whatever the order of its keys.
fn hash(body: &Value) -> String {
    let mut hasher = Sha256::new();
    feed(&mut hasher, body);
    let digest = format!("{:x}", hasher.finalize());
    digest[..16].to_string()
}

fn feed(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            hasher.update(b"{");
            for key in keys {
                hasher.update(Value::from(key.as_str()).to_string());
                hasher.update(b":");
                feed(hasher, &map[key]);
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                feed(hasher, item);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        scalar => hasher.update(scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn owner() -> Owner {
        Owner { id: "7f3k2q9d".to_string(), environment: "lab".to_string() }
    }

    fn namespace(labels: &Value) -> Object {
        let body =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "labels": labels}});
        Object::new(body).expect("a namespace")
    }

    #[test]
    fn the_mark_is_on_it() {
        let finished = finish(namespace(&json!({"team": "a"})), &owner(), "tenants");
        let labels = &finished.body["metadata"]["labels"];
        assert_eq!(labels[label::OWNER], "7f3k2q9d");
        assert_eq!(labels[label::SET], "tenants");
        assert_eq!(labels["team"], "a");
    }

    #[test]
    fn the_hash_sees_values_and_not_the_order_of_keys() {
        let hash_of = |labels| {
            finish(namespace(&labels), &owner(), "s").body["metadata"]["annotations"][label::APPLIED].clone()
        };
        assert_eq!(hash_of(json!({"a": "1", "b": "2"})), hash_of(json!({"b": "2", "a": "1"})));
        assert_ne!(hash_of(json!({"a": "1"})), hash_of(json!({"a": "2"})));
    }

    #[test]
    fn the_hash_of_a_secret_tells_nothing_of_what_it_keeps() {
        let hash_of = |data: Value| {
            let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "n"},
                "data": data});
            let object = Object::new(body).expect("built in");
            finish(object, &owner(), "s").body["metadata"]["annotations"][label::APPLIED].clone()
        };
        assert_eq!(hash_of(json!({"a": "MQ=="})), hash_of(json!({"a": "Mg=="})));
        assert_ne!(hash_of(json!({"a": "MQ=="})), hash_of(json!({"b": "MQ=="})));
    }

    #[test]
    fn an_empty_authority_is_left_to_whoever_fills_it() {
        let webhook = |bundle: &str| {
            let body = json!({"apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "x"},
                "webhooks": [{"name": "a", "clientConfig": {"url": "https://a", "caBundle": bundle}}]});
            finish(Object::new(body).expect("built in"), &owner(), "s").body
        };
        let bundle = |body: &Value| body.pointer("/webhooks/0/clientConfig/caBundle").cloned();
        assert_eq!(bundle(&webhook("")), None);
        assert_eq!(bundle(&webhook("QUJD")), Some(json!("QUJD")));
    }
}
