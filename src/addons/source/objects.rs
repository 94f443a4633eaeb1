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
/// does.
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
        let Document { place, mut body } = document;
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
        tidy(&mut body);
        settle(&mut body, &reach.namespace, kinds);
        let mut object = Object::of(body, kinds).map_err(|error| unfit(&error.to_string()))?;
        object.home = object.kind.namespaced().is_none().then(|| reach.namespace.clone());
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
    let notes = (tests > 0).then(|| {
        let objects = if tests == 1 { "1 object".to_string() } else { format!("{tests} objects") };
        Note::new("left out", format!("addon {}: {objects} that only `helm test` makes", spec.name))
    });
    Ok(SourceObjects { objects, notes: notes.into_iter().collect() })
}

const NO_OBJECT: &str = "what berth applies has `apiVersion`, `kind` and `metadata.name`: look at that document, and at \
                         the chart's `values`";

/// The documents of what an addon of the catalog downloads, as Kubernetes would take them.
pub(in crate::addons) fn downloaded(fetched: &Fetched) -> Vec<Document> {
    let mut documents = flat(&fetched.documents);
    for document in &mut documents {
        tidy(&mut document.body);
    }
    documents
}

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

/// Makes the body what Kubernetes keeps, so that it does not differ for ever from what stands: without
/// `status` and empty values, secrets as they are kept.
fn tidy(body: &mut Value) {
    drop_nulls(body);
    if let Some(fields) = body.as_object_mut() {
        fields.shift_remove("status");
    }
    if body["apiVersion"] == "v1" && body["kind"] == "Secret" {
        as_kept(body);
    }
}

/// Puts an object without a namespace into `namespace` where its kind has one, and takes it out of any where
/// its kind has none: so do helm and kubectl.
fn settle(body: &mut Value, namespace: &str, kinds: &Kinds) {
    let text = |key: &str| body[key].as_str().unwrap_or_default();
    let namespaced = kinds.find(text("apiVersion"), text("kind")).and_then(|kind| kind.namespaced());
    let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    match namespaced {
        Some(true) => {
            metadata.entry("namespace").or_insert_with(|| Value::from(namespace));
        }
        Some(false) => {
            metadata.shift_remove("namespace");
        }
        None => {}
    }
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

/// The addon's namespace, when something lies in it and the source does not bring it. Addons from elsewhere
/// can share one: it belongs to the first of them in `all`, whatever else is fetched or not.
pub(in crate::addons) fn missing_namespace(
    objects: &[Object],
    spec: &AddonSpec,
    reach: &Reach,
    all: &[AddonSpec],
) -> Option<Object> {
    let name = &reach.namespace;
    let shares = |other: &&AddonSpec| other.source.reach().is_some_and(|reach| reach.namespace == *name);
    let mut sharers = all.iter().filter(shares);
    let is_first = sharers.next().is_none_or(|first| first.name == spec.name);
    let is_it = |object: &Object| object.kind.kind == "Namespace" && object.name == *name;
    let is_used = objects.iter().any(|object| object.namespace.as_ref() == Some(name));
    let is_there = SYSTEM.contains(&name.as_str()) || objects.iter().any(is_it);
    if is_there || !is_first || !(is_used || sharers.next().is_some()) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{AddonSource, ManifestsPlace, ManifestsSpec};

    fn reach(further: &[&str]) -> Reach {
        let further = further.iter().map(ToString::to_string).collect();
        Reach { namespace: "web".to_string(), further }
    }

    fn spec(name: &str) -> AddonSpec {
        let place = ManifestsPlace::Path("/web.yaml".into());
        let manifests = ManifestsSpec { place, reach: reach(&[]), image_fields: Vec::new() };
        AddonSpec { source: AddonSource::Manifests(manifests), ..AddonSpec::of_catalog(name, json!({})) }
    }

    fn objects_of(bodies: Vec<Value>, reach: &Reach) -> Result<SourceObjects, AddonError> {
        let numbered = bodies.into_iter().enumerate();
        let documents: Vec<Document> = numbered
            .map(|(index, body)| Document { place: format!("document {}", index + 1), body })
            .collect();
        let mut kinds = Kinds::default();
        for document in &documents {
            kinds.learn(&document.body);
        }
        of_source(&spec("web"), &Fetched { version: String::new(), documents }, reach, &kinds)
    }

    fn titles(bodies: Vec<Value>) -> Vec<String> {
        let objects = objects_of(bodies, &reach(&[])).expect("objects").objects;
        objects.iter().map(Object::title).collect()
    }

    fn refusal(bodies: Vec<Value>) -> (String, String) {
        let error = objects_of(bodies, &reach(&[])).err().expect("refused");
        (error.to_string(), error.hint().unwrap_or_default())
    }

    fn config(name: &str, metadata: &Value) -> Value {
        let mut body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
        body["metadata"]["name"] = Value::from(name);
        body
    }

    fn plain(name: &str) -> Value {
        config(name, &json!({}))
    }

    #[test]
    fn lists_are_laid_flat_and_namespaces_follow_the_kind() {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [
            plain("a"),
            {"apiVersion": "v1", "kind": "ConfigMapList", "items": [config("b", &json!({"namespace": null}))]},
        ]});
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "c", "namespace": "web"}});
        assert_eq!(titles(vec![list, role]), ["ConfigMap web/a", "ConfigMap web/b", "ClusterRole c"]);
    }

    #[test]
    fn what_kubernetes_would_change_is_not_sent_so() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "labels": null},
            "data": {"old": "YQ==\n", "both": "YQ=="}, "stringData": {"both": "b", "number": 1}, "status": {}});
        let found = objects_of(vec![secret], &reach(&[])).expect("objects");
        assert_eq!(
            found.objects[0].body,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "web"},
                "data": {"old": "YQ==", "both": "Yg==", "number": "MQ=="}})
        );
    }

    #[test]
    fn hooks_are_refused_by_name_and_tests_are_left_out() {
        let hook = |name: &str, events: &str| config(name, &json!({"annotations": {HOOK: events}}));
        let (message, hint) =
            refusal(vec![hook("a", "pre-install,pre-upgrade"), plain("b"), hook("c", "post-install")]);
        assert_eq!(
            message,
            "`addons.web`: it has hooks of Helm: ConfigMap a (pre-install,pre-upgrade), ConfigMap c (post-install)"
        );
        assert!(hint.contains("`values`"), "{hint}");
        let found = objects_of(vec![hook("t", "test-success"), plain("b")], &reach(&[])).expect("objects");
        assert_eq!(found.objects.len(), 1);
        assert_eq!(found.notes[0].text, "addon web: 1 object that only `helm test` makes");
    }

    #[test]
    fn what_lies_elsewhere_is_refused_until_the_profile_allows_it() {
        let bodies = || {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}});
            vec![config("a", &json!({"namespace": "kube-system"})), namespace, plain("b")]
        };
        let (message, hint) = refusal(bodies());
        assert_eq!(
            message,
            "`addons.web`: writes outside of its namespace `web`: ConfigMap kube-system/a, Namespace other"
        );
        assert!(hint.contains("`namespaces: [kube-system, other]`"), "{hint}");
        assert!(objects_of(bodies(), &reach(&["kube-system", "other"])).is_ok());
    }

    #[test]
    fn what_is_no_object_is_named_by_its_document() {
        let unnamed = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-"}});
        for (body, why) in [
            (json!("hello"), "it is no map"),
            (json!({"welcome": true}), "the object has no `apiVersion`"),
            (unnamed, "no `metadata.name`"),
        ] {
            let (message, _) = refusal(vec![plain("a"), body]);
            assert!(message.starts_with("`addons.web`: document 2 is no Kubernetes object: "), "{message}");
            assert!(message.contains(why), "{message}");
        }
        assert!(refusal(vec![plain("a"), plain("a")]).0.contains("is there twice"));
        assert!(refusal(Vec::new()).0.contains("no object"));
    }

    #[test]
    fn a_namespace_is_added_once_where_something_lies_in_it() {
        let reach = reach(&[]);
        let objects = objects_of(vec![plain("a")], &reach).expect("objects").objects;
        let added = |name: &str, all: &[&str], objects: &[Object]| {
            let all: Vec<AddonSpec> = all.iter().map(|name| spec(name)).collect();
            missing_namespace(objects, &spec(name), &reach, &all).map(|namespace| namespace.title())
        };
        assert_eq!(added("a", &["a"], &objects), Some("Namespace web".to_string()));
        assert_eq!(added("b", &["a", "b"], &objects), None);
        assert_eq!(added("a", &["a", "b"], &[]), Some("Namespace web".to_string()));
        assert_eq!(added("a", &["a"], &[]), None);
    }
}
