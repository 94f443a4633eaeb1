use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::client::MANAGER;
use super::compare::holds;
use super::object::Kind;
use crate::base::{Conflict, Guard, Owner, label};

/// An object as it stands in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; `None` for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its unique id: another object of the same name has another one.
    pub uid: String,
    /// Whether its removal was asked for.
    pub going: bool,
    /// The object without its managed fields.
    pub body: Value,
    /// The fields that berth applied, as `fieldsV1` JSON; `None` when berth never applied it.
    pub(super) applied: Option<String>,
    /// The fields that other managers applied, by manager.
    pub(super) others: BTreeMap<String, String>,
}

/// An object without its managed fields: these are larger than the rest of most objects, so each is
/// read and let go before the next one of a list.
pub(super) struct Bare {
    body: Value,
    applied: Option<String>,
    others: BTreeMap<String, String>,
}

impl Bare {
    fn of(mut body: Value) -> Self {
        let managed = body
            .pointer_mut("/metadata")
            .and_then(Value::as_object_mut)
            .and_then(|metadata| metadata.remove("managedFields"));
        let (mut applied, mut others) = (None, BTreeMap::new());
        for entry in managed.as_ref().and_then(Value::as_array).into_iter().flatten() {
            if entry["operation"] != "Apply" {
                continue;
            }
            let manager = entry["manager"].as_str().unwrap_or_default();
            let fields = entry["fieldsV1"].to_string();
            if manager == MANAGER {
                applied = Some(fields);
            } else {
                others.insert(manager.to_string(), fields);
            }
        }
        Self { body, applied, others }
    }
}

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::of)
    }
}

impl Live {
    /// The object that the API server answered.
    pub(super) fn new(kind: &Kind, body: Value) -> Self {
        Self::from_bare(kind, Bare::of(body))
    }

    pub(super) fn from_bare(kind: &Kind, bare: Bare) -> Self {
        let Bare { body, applied, others } = bare;
        let text =
            |body: &Value, pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_string);
        Self {
            kind: kind.clone(),
            namespace: text(&body, "/metadata/namespace"),
            name: text(&body, "/metadata/name").unwrap_or_default(),
            uid: text(&body, "/metadata/uid").unwrap_or_default(),
            going: body.pointer("/metadata/deletionTimestamp").is_some(),
            body,
            applied,
            others,
        }
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.body["metadata"]["labels"][key].as_str()
    }

    /// The value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.body["metadata"]["annotations"][key].as_str()
    }

    /// The keys of the labels that berth applied.
    pub fn applied_labels(&self) -> BTreeSet<String> {
        let fields: Option<Value> = self.applied.as_ref().and_then(|text| serde_json::from_str(text).ok());
        let labels = fields.as_ref().and_then(|fields| fields.pointer("/f:metadata/f:labels")?.as_object());
        labels
            .into_iter()
            .flatten()
            .filter_map(|(key, _)| Some(key.strip_prefix("f:")?.to_string()))
            .collect()
    }

    /// That a manager besides berth applies the field at `path`, such as `metadata.labels.team`. Who only edited it is
    /// none.
    pub fn held_by_another(&self, path: &str) -> Option<Conflict> {
        let (manager, _) = self.others.iter().find(|(_, fields)| holds(fields, path, &self.body))?;
        let remedy = "let it go there, or take it over with `--force-conflicts`";
        Some(Conflict::new(format!("`{manager}` applies `{path}`"), remedy).guarded(Guard::ForceConflicts))
    }

    /// Whether berth made it for `owner`: it carries the mark *and* berth applied it. People copy
    /// objects together with their labels, so the label alone proves nothing.
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.applied.is_some() && self.label(label::OWNER) == Some(owner.id.as_str())
    }

    /// `Service traefik/traefik`, `Namespace checkout-ns`.
    pub fn title(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind.kind, self.name),
            None => format!("{} {}", self.kind.kind, self.name),
        }
    }

    /// `waiting for Pool net/one to be gone (held by finalizer example.org/pools)`.
    pub(super) fn awaited(&self) -> String {
        let held = self.held_by().map(|holder| format!(" ({holder})")).unwrap_or_default();
        format!("waiting for {} to be gone{held}", self.title())
    }

    /// What is known of why it is not gone yet: its finalizers, or what a namespace says of what is in it.
    pub(super) fn held_by(&self) -> Option<String> {
        const TOLD: [&str; 3] = [
            "NamespaceFinalizersRemaining",
            "NamespaceDeletionContentFailure",
            "NamespaceDeletionDiscoveryFailure",
        ];
        let items = |list: &Value| list.as_array().cloned().unwrap_or_default();
        let finalizers = items(&self.body["metadata"]["finalizers"]);
        let finalizers: Vec<&str> = finalizers.iter().filter_map(Value::as_str).collect();
        if !finalizers.is_empty() {
            return Some(format!("held by finalizer {}", finalizers.join(", ")));
        }
        let conditions = items(&self.body["status"]["conditions"]);
        let holds = |condition: &&Value| {
            condition["status"] == "True" && TOLD.iter().any(|kind| condition["type"] == *kind)
        };
        conditions.iter().find(holds)?["message"].as_str().map(str::to_string)
    }

    /// What tells it from others of its kind.
    pub(super) fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }
}

/// Namespace and name of an object.
pub(super) type Key = (Option<String>, String);

#[cfg(test)]
impl Live {
    /// The object that the API server would show after berth applied `object`.
    pub(crate) fn of(object: &super::object::Object) -> Self {
        let labels: serde_json::Map<String, Value> = object.body["metadata"]["labels"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| (format!("f:{key}"), serde_json::json!({})))
            .collect();
        let mut body = object.body.clone();
        body["metadata"]["uid"] = Value::from("uid");
        body["metadata"]["managedFields"] = serde_json::json!([
            {"manager": MANAGER, "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": labels}}}
        ]);
        Self::new(&object.kind, body)
    }

    /// The same, with `fields` (in the form of `fieldsV1`) that `manager` applies.
    pub(crate) fn also_applied_by(mut self, manager: &str, fields: &Value) -> Self {
        self.others.insert(manager.to_string(), fields.to_string());
        self
    }
}
