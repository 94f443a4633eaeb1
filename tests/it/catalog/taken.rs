//! A real API server takes everything that is rendered for its minor.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use berth::k8s::Object;
use serde_json::{Value, json};

use super::matrix::{API_SERVER, Rendering, renderings};
use crate::support::ControlPlane;

/// What has to stand before the rest can be tried: namespaces and definitions, as one rendering has
/// them.
type Ground = Vec<String>;

#[test]
fn the_api_server_takes_every_object_in_a_strict_dry_run() {
    // Not the shared one: namespaces and definitions of every addon are made in it.
    let plane = ControlPlane::own();
    let renderings: Vec<&Rendering> = renderings().iter().filter(|it| it.minor == API_SERVER).collect();
    let mut grounds: BTreeMap<Ground, BTreeMap<String, String>> = BTreeMap::new();
    for rendering in &renderings {
        let (ground, rest): (Vec<&Object>, Vec<&Object>) =
            rendering.objects.iter().partition(|object| is_ground(object));
        let ground = ground.iter().map(|object| object.body.to_string()).collect();
        let objects = grounds.entry(ground).or_default();
        // Equal ones are tried once.
        objects.extend(rest.iter().map(|object| (object.body.to_string(), rendering.place.clone())));
    }
    let mut refused = Vec::new();
    for (ground, objects) in &grounds {
        let standing: Vec<Value> = ground.iter().map(|text| parse(text)).collect();
        let namespaces: BTreeSet<String> = objects.keys().filter_map(|text| namespace_of(text)).collect();
        let made = standing.iter().filter(|body| body["kind"] == "Namespace");
        let made: BTreeSet<&str> = made.filter_map(|body| body["metadata"]["name"].as_str()).collect();
        for name in namespaces.iter().filter(|name| !made.contains(name.as_str())) {
            // Named by an option, or there in every cluster.
            plane.kubectl(&["create", "namespace", name]);
        }
        refused.extend(apply(plane, &standing, &[]));
        let definitions = standing.iter().filter(|body| body["kind"] == "CustomResourceDefinition");
        for definition in definitions.filter_map(|body| body["metadata"]["name"].as_str()) {
            let name = format!("crd/{definition}");
            plane.kubectl(&["wait", "--for=condition=Established", "--timeout=240s", &name]).expect(0);
        }
        let bodies: Vec<Value> = objects.keys().map(|text| parse(text)).collect();
        if let Some(said) = apply(plane, &bodies, &["--dry-run=server"]) {
            let places: BTreeSet<&String> = objects.values().collect();
            refused.push(format!("{said}\n  in one of {places:?}"));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(grounds.len() > 1, "nothing was tried");
}

#[test]
fn the_strict_dry_run_refuses_a_field_that_does_not_exist() {
    let plane = ControlPlane::own();
    let mut wrong =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}});
    assert_eq!(apply(plane, std::slice::from_ref(&wrong), &["--dry-run=server"]), None);
    wrong["datum"] = json!({});
    let said = apply(plane, &[wrong], &["--dry-run=server"]).expect("refused");
    assert!(said.contains("datum"), "{said}");
}

fn is_ground(object: &Object) -> bool {
    matches!(object.kind.kind.as_str(), "Namespace" | "CustomResourceDefinition")
}

/// What the API server said against the objects, warnings too; nothing, when it took them all.
fn apply(plane: &ControlPlane, objects: &[Value], how: &[&str]) -> Option<String> {
    if objects.is_empty() {
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("objects.json");
    fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string())
        .expect("written");
    let file = file.display().to_string();
    let apply = ["apply", "--server-side", "--field-manager=berth", "--validate=strict", "-f", &file];
    let done = plane.kubectl(&[&apply, how].concat());
    (done.code != Some(0) || !done.stderr.is_empty()).then(|| done.said())
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("it was JSON before")
}

fn namespace_of(text: &str) -> Option<String> {
    parse(text)["metadata"]["namespace"].as_str().map(str::to_string)
}
