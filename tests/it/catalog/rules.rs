//! What every addon keeps to.

use std::collections::BTreeSet;

use berth::k8s::Object;
use serde_json::Value;

use super::matrix::{Folder, Rendering, folders, renderings};

#[test]
fn every_addon_of_the_catalog_is_rendered_somewhere() {
    let renderings = renderings();
    for Folder { name, manifests, .. } in folders() {
        // Without manifests it is known, and not there yet.
        let rendered = renderings.iter().any(|it| it.addon == name && !it.objects.is_empty());
        assert_eq!(rendered, !manifests.is_empty(), "{name}");
    }
}

#[test]
fn every_option_that_the_schema_cannot_try_is_tried_by_a_file() {
    for folder in folders() {
        let mut untried: BTreeSet<String> = texts(&folder.definition["options"], "");
        for variant in &folder.variants {
            untried.retain(|path| !sets(&variant.options, path));
        }
        assert!(untried.is_empty(), "{}: no file in tests/fixtures/addons/{0} sets {untried:?}", folder.name);
    }
}

#[test]
fn every_image_of_a_version_is_used_and_no_other() {
    for folder in folders().iter().filter(|folder| !folder.manifests.is_empty()) {
        for version in folder.definition["versions"].as_array().expect("a list") {
            let number = version["version"].as_str().expect("a text");
            let named: BTreeSet<&str> =
                version["images"].as_object().expect("a map").values().filter_map(Value::as_str).collect();
            let renderings = renderings();
            let used: BTreeSet<&str> = renderings
                .iter()
                .filter(|it| it.addon == folder.name && it.version == number)
                .flat_map(|it| &it.objects)
                .flat_map(|object| images(&object.body))
                .collect();
            assert_eq!(used, named, "{} {number}", folder.name);
            for image in named {
                let tag = image.split('@').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
                let tag = tag.split_once(':').map(|(_, tag)| tag);
                assert!(tag.is_some_and(|tag| tag != "latest"), "{}: `{image}` floats", folder.name);
            }
        }
    }
}

#[test]
fn no_manifest_writes_an_image_out() {
    for folder in folders() {
        for (file, text) in &folder.manifests {
            for line in text.lines().filter(|line| line.trim_start_matches([' ', '-']).starts_with("image:"))
            {
                assert!(line.contains("{{ images"), "{file}: {line}");
            }
        }
    }
}

#[test]
fn every_workload_tells_its_version_outside_of_its_selector() {
    for (place, version, object) in workloads(renderings()) {
        let labels = &object.body["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/version"], version, "{place}: {}", object.title());
        for fixed in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
            let labels = object.body.pointer(fixed).unwrap_or(&Value::Null);
            // A selector cannot be changed, and pods are not replaced for a label.
            assert!(
                labels.get("app.kubernetes.io/version").is_none(),
                "{place}: {}: {fixed}",
                object.title()
            );
        }
    }
}

#[test]
fn no_container_can_gain_privileges_or_write_its_image() {
    for (place, _, object) in workloads(renderings()) {
        let pod = pod_of(object).expect("a workload");
        for container in containers(pod) {
            let context = &container["securityContext"];
            let title = format!("{place}: {}, container {}", object.title(), container["name"]);
            // To say it of a container with this capability is an error: that it has it is said in its addon's README.
            let administers = context["capabilities"]["add"] == serde_json::json!(["SYS_ADMIN"]);
            assert!(administers || context["allowPrivilegeEscalation"] == false, "{title}");
            assert_eq!(context["readOnlyRootFilesystem"], true, "{title}");
            assert_eq!(context["capabilities"]["drop"], serde_json::json!(["ALL"]), "{title}");
            assert_ne!(context["privileged"], true, "{title}");
            let profiles = [context, &pod["securityContext"]].map(|it| &it["seccompProfile"]["type"]);
            assert!(profiles.contains(&&Value::from("RuntimeDefault")), "{title}: no seccomp profile");
        }
    }
}

#[test]
fn every_container_says_what_it_needs() {
    for (place, _, object) in workloads(renderings()) {
        for container in containers(pod_of(object).expect("a workload")) {
            for resource in ["cpu", "memory"] {
                let request = &container["resources"]["requests"][resource];
                assert!(request.is_string(), "{place}: {}: no request of {resource}", object.title());
            }
        }
    }
}

#[test]
fn no_role_has_a_wildcard() {
    let renderings = renderings();
    let objects = renderings.iter().flat_map(|it| it.objects.iter().map(move |object| (it, object)));
    let mut roles = 0;
    for (it, object) in objects.filter(|(_, object)| object.kind.kind.ends_with("Role")) {
        roles += 1;
        for rule in object.body["rules"].as_array().expect("rules") {
            for part in ["apiGroups", "resources", "verbs"] {
                let any = rule[part].as_array().is_some_and(|names| names.contains(&Value::from("*")));
                assert!(!any, "{}: {}: any of {part} in {rule}", it.place, object.title());
            }
        }
    }
    assert!(roles > 0);
}

/// The paths of options whose values nobody can make up: texts, lists, maps.
fn texts(schema: &Value, path: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let inner = texts(schema, &path);
        let is_tried = schema.get("enum").is_some()
            || matches!(schema["type"].as_str(), Some("boolean" | "integer" | "number"));
        if inner.is_empty() && !is_tried {
            found.insert(path);
        } else {
            found.extend(inner);
        }
    }
    found
}

/// Whether `options` has something at the path `tls.secret`.
fn sets(options: &Value, path: &str) -> bool {
    let set = options.pointer(&format!("/{}", path.replace('.', "/")));
    !matches!(set, None | Some(Value::Null))
}

/// Every workload, with where it was rendered and the version of the addon.
fn workloads(renderings: &[Rendering]) -> impl Iterator<Item = (&str, &str, &Object)> {
    renderings.iter().flat_map(|it| {
        let workloads = it.objects.iter().filter(|object| pod_of(object).is_some());
        workloads.map(|object| (it.place.as_str(), it.version.as_str(), object))
    })
}

/// The pod that an object makes.
fn pod_of(object: &Object) -> Option<&Value> {
    let spec = &object.body["spec"];
    match object.kind.kind.as_str() {
        "Deployment" | "DaemonSet" | "StatefulSet" | "Job" => Some(&spec["template"]["spec"]),
        "CronJob" => Some(&spec["jobTemplate"]["spec"]["template"]["spec"]),
        "Pod" => Some(spec),
        _ => None,
    }
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"].into_iter().flat_map(|key| pod[key].as_array().into_iter().flatten())
}

/// Every value of a field `image`, wherever it stands.
fn images(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("image").and_then(Value::as_str);
            own.into_iter().chain(fields.values().flat_map(images)).collect()
        }
        Value::Array(elements) => elements.iter().flat_map(images).collect(),
        _ => Vec::new(),
    }
}
