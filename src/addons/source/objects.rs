//! From the documents of a chart or of manifests to objects that can be applied as one set. Pure.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Document, Fetched};
use crate::addons::AddonError;
use crate::base::Note;
use crate::k8s::{Kinds, Object};
use crate::profile::{AddonSpec, Reach};

/// Under this annotation a chart says that an object is not applied but run at some moment.
const HOOK: &str = "helm.sh/hook";
/// Namespaces that every cluster has.
const SYSTEM: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
/// More names than that are counted.
const NAMED: usize = 10;

/// What the documents of a source come to.
pub(in crate::addons) struct SourceObjects {
    pub objects: Vec<Object>,
    pub notes: Vec<Note>,
}

/// The objects of `fetched`, all of them where `reach` lets them be. Each lies in a namespace if its kind
/// does. The namespace itself comes first when something lies in it and the source does not bring it.
pub(in crate::addons) fn of_source(
    spec: &AddonSpec,
    fetched: &Fetched,
    reach: &Reach,
    kinds: &Kinds,
) -> Result<SourceObjects, AddonError> {
    let refuse = |problem: String, hint: &str| AddonError::source(&spec.name, problem, hint);
    let mut objects: Vec<Object> = Vec::new();
    let (mut hooks, mut tests, mut outside) = (Vec::new(), 0, Vec::new());
    let mut titles = BTreeSet::new();
    for document in flat(&fetched.documents) {
        let Document { place, body } = document;
        let unfit = |why: &str| refuse(format!("{place} is no Kubernetes object: {why}"), NO_OBJECT);
        if !body.is_object() {
            return Err(unfit("it is no map"));
        }
        if let Some(events) = body["metadata"]["annotations"][HOOK].as_str() {
            if events.split(',').all(|event| event.trim().starts_with("test")) {
                tests += 1;
            } else {
                hooks.push(format!("{} ({events})", rough_title(&body)));
            }
            continue;
        }
        let body = tidy(body, reach, kinds);
        let object = Object::of(body, kinds).map_err(|error| unfit(&error.to_string()))?;
        if home(&object).is_some_and(|home| !reach.holds(home)) {
            outside.push(object.title());
        }
        if !titles.insert((object.kind.group.clone(), object.title())) {
            let hint = "leave one of them out: by the chart's values, or in the file";
            return Err(refuse(format!("{} is there twice, again in {place}", object.title()), hint));
        }
        objects.push(object);
    }
    if !hooks.is_empty() {
        let hint = "turn them off by the chart's `values` (often `….enabled: false`), or make what they make \
                    yourself: berth applies objects and runs no hooks";
        return Err(refuse(format!("it has hooks of Helm: {}", listed(&hooks)), hint));
    }
    if !outside.is_empty() {
        let homes: BTreeSet<&str> =
            objects.iter().filter_map(home).filter(|home| !reach.holds(home)).collect();
        let homes = homes.into_iter().collect::<Vec<_>>().join(", ");
        let hint = format!("if it may, say so: `namespaces: [{homes}]`; else set its `values` otherwise");
        let problem = format!("writes outside of its namespace `{}`: {}", reach.namespace, listed(&outside));
        return Err(refuse(problem, &hint));
    }
    if objects.is_empty() {
        return Err(refuse("there is no object in it".to_string(), "look at its `values` or its path"));
    }
    objects.splice(0..0, missing_namespace(&objects, reach));
    let notes = (tests > 0).then(|| {
        let objects = if tests == 1 { "1 object".to_string() } else { format!("{tests} objects") };
        Note::new("left out", format!("addon {}: {objects} that only `helm test` makes", spec.name))
    });
    Ok(SourceObjects { objects, notes: notes.into_iter().collect() })
}

const NO_OBJECT: &str = "what berth applies has `apiVersion`, `kind` and `metadata.name`: look at that document, and at \
                         the chart's `values`";

/// The documents, with the items of lists in the place of their lists.
fn flat(documents: &[Document]) -> Vec<Document> {
    let mut flat_documents = Vec::new();
    for document in documents {
        let is_list = document.body["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match document.body["items"].as_array().filter(|_| is_list) {
            Some(items) => {
                let items = items.iter().enumerate().map(|(index, item)| Document {
                    place: format!("item {} of {}", index + 1, document.place),
                    body: item.clone(),
                });
                flat_documents.extend(flat(&items.collect::<Vec<_>>()));
            }
            None => flat_documents.push(document.clone()),
        }
    }
    flat_documents
}

/// The body as Kubernetes would take it, so that it does not differ from what stands for ever: without
/// `status` and empty values, in the namespace that its kind wants, secrets as they are kept.
fn tidy(mut body: Value, reach: &Reach, kinds: &Kinds) -> Value {
    drop_nulls(&mut body);
    let text = |body: &Value, key: &str| body[key].as_str().unwrap_or_default().to_string();
    let kind = kinds.find(&text(&body, "apiVersion"), &text(&body, "kind"));
    if let Some(fields) = body.as_object_mut() {
        fields.shift_remove("status");
    }
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        match kind.map(|kind| kind.namespaced) {
            Some(true) => {
                metadata.entry("namespace").or_insert_with(|| Value::from(reach.namespace.clone()));
            }
            Some(false) => {
                metadata.shift_remove("namespace");
            }
            None => {}
        }
    }
    if body["apiVersion"] == "v1" && body["kind"] == "Secret" {
        as_kept(&mut body);
    }
    body
}

/// Kubernetes takes nothing for absent.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// A Secret's `stringData` is never shown again: it is kept as `data`, without line breaks.
fn as_kept(secret: &mut Value) {
    let Some(fields) = secret.as_object_mut() else { return };
    let plain = fields.shift_remove("stringData");
    let mut data = match fields.shift_remove("data") {
        Some(Value::Object(data)) => data,
        Some(other) => {
            fields.insert("data".to_string(), other);
            return;
        }
        None => Map::new(),
    };
    for value in data.values_mut() {
        if let Some(text) = value.as_str() {
            *value = Value::from(text.split_whitespace().collect::<String>());
        }
    }
    if let Some(Value::Object(plain)) = plain {
        for (key, value) in plain {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
            data.insert(key, Value::from(STANDARD.encode(text)));
        }
    }
    if !data.is_empty() {
        fields.insert("data".to_string(), Value::Object(data));
    }
}

/// The addon's namespace, when something lies in it and nobody else brings it.
fn missing_namespace(objects: &[Object], reach: &Reach) -> Option<Object> {
    let name = &reach.namespace;
    let is_it = |object: &Object| object.kind.kind == "Namespace" && object.name == *name;
    let is_used = objects.iter().any(|object| object.namespace.as_ref() == Some(name));
    if SYSTEM.contains(&name.as_str()) || !is_used || objects.iter().any(is_it) {
        return None;
    }
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    Some(Object::new(body).expect("a namespace with a name is an object"))
}

fn home(object: &Object) -> Option<&str> {
    if object.kind.kind == "Namespace" { Some(&object.name) } else { object.namespace.as_deref() }
}

/// `Job web-migrate`, of something that may be no object.
fn rough_title(body: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_string();
    format!("{} {}", text(&body["kind"]), text(&body["metadata"]["name"]))
}

fn listed(titles: &[String]) -> String {
    let more = titles.len().saturating_sub(NAMED);
    let named = titles[..titles.len() - more].join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}
