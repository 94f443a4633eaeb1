//! What is rendered for a minor is what that minor serves, by its `OpenAPI` documents.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde_json::{Value, json};

use super::matrix::{MINORS, renderings};
use crate::support::openapi::{OpenApi, folder_of};

#[test]
fn every_object_is_what_its_minor_serves() {
    let renderings = renderings();
    let mut wrong = BTreeMap::new();
    for minor in MINORS {
        let Some(folder) = folder_of(&format!("1.{minor}")) else {
            // Past the capture of a test that passes.
            writeln!(
                std::io::stderr(),
                "NOT CHECKED: 1.{minor}: scripts/openapi has no OpenAPI documents of it"
            )
            .expect("somebody reads it");
            continue;
        };
        let served = OpenApi::read(&folder);
        let mut seen = BTreeSet::new();
        for rendering in renderings.iter().filter(|it| it.minor == minor) {
            let bodies = rendering.objects.iter().map(|object| &object.body);
            let definitions: Vec<&Value> =
                bodies.clone().filter(|body| body["kind"] == "CustomResourceDefinition").collect();
            for body in bodies.filter(|body| seen.insert(body.to_string())) {
                for problem in served.problems(body, &definitions) {
                    let problem = format!("1.{minor}: {}: {problem}", body["metadata"]["name"]);
                    wrong.entry(problem).or_insert(&rendering.place);
                }
            }
        }
        assert!(!seen.is_empty(), "nothing is rendered for 1.{minor}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_check_finds_what_an_api_server_would_refuse() {
    let served = OpenApi::of("apps/v1", schemas());
    let right = json!({
        "apiVersion": "apps/v1",
        "kind": "Thing",
        "metadata": {"name": "a", "labels": {"x": "y"}},
        "spec": {"port": "http", "size": 3, "raw": {"any": ["thing"]}, "names": ["a"], "mode": "Fast"},
    });
    assert_eq!(served.problems(&right, &[]), Vec::<String>::new());
    for (pointer, value, problem) in [
        ("/spec/colour", json!("red"), "Thing.spec.colour: no such field"),
        ("/spec/size", json!("3"), "Thing.spec.size: expected integer, found \"3\""),
        ("/spec/size", json!(1.5), "Thing.spec.size: expected integer, found 1.5"),
        ("/spec/size", json!(null), "Thing.spec.size: expected integer, found null"),
        ("/spec/size", json!(10), "Thing.spec.size: 10 is beyond its limits"),
        ("/spec/port", json!(true), "Thing.spec.port: true is none of what is allowed"),
        ("/spec/names", json!("a"), "Thing.spec.names: expected array, found \"a\""),
        ("/spec/names", json!(["a", 1]), "Thing.spec.names[1]: expected string, found 1"),
        ("/spec/mode", json!("Slow"), "Thing.spec.mode: \"Slow\" is not one of [\"Fast\"]"),
        ("/metadata/labels/z", json!(1), "Thing.metadata.labels.z: expected string, found 1"),
        ("/spec", json!({}), "Thing.spec.size: required and missing"),
        ("/kind", json!("Other"), "`Other` of `apps/v1` is not served"),
        ("/apiVersion", json!("apps/v2"), "`Thing` of `apps/v2` is not served"),
    ] {
        let mut wrong = right.clone();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        wrong.pointer_mut(parent).expect("there")[key] = value;
        assert_eq!(served.problems(&wrong, &[]), [problem], "{pointer}");
    }
}

#[test]
fn the_check_reads_the_definitions_of_custom_resources() {
    let definition = json!({"spec": {
        "group": "example.com",
        "names": {"kind": "Pool"},
        "versions": [{"name": "v1", "served": true, "schema": {"openAPIV3Schema": {
            "type": "object",
            "properties": {"spec": {"type": "object", "properties": {
                "first": {"x-kubernetes-int-or-string": true},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }}},
        }}}],
    }});
    let pool = |spec: Value| json!({"apiVersion": "example.com/v1", "kind": "Pool", "metadata": {"name": "a"}, "spec": spec});
    let served = OpenApi::of("apps/v1", schemas());
    let problems = |spec: Value| served.problems(&pool(spec), &[&definition]);
    assert_eq!(problems(json!({"first": "10%", "free": {"a": 1}})), Vec::<String>::new());
    assert_eq!(problems(json!({"first": []})), ["Pool.spec.first: expected a number or a text, found []"]);
    assert_eq!(problems(json!({"last": 1})), ["Pool.spec.last: no such field"]);
    assert_eq!(served.problems(&pool(json!({})), &[]), ["`Pool` of `example.com/v1` is not served"]);
}

/// Schemas with everything that the documents of Kubernetes use.
fn schemas() -> Value {
    json!({
        "Thing": {
            "type": "object",
            "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Thing"}],
            "required": ["spec"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object", "properties": {
                    "name": {"type": "string"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string", "default": ""}},
                }},
                "spec": {"default": {}, "allOf": [{"$ref": "#/components/schemas/Spec"}]},
            },
        },
        "Spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "port": {"$ref": "#/components/schemas/IntOrString"},
                "size": {"type": "integer", "maximum": 9},
                "raw": {"type": "object"},
                "names": {"type": "array", "items": {"type": "string"}},
                "mode": {"type": "string", "enum": ["Fast"]},
            },
        },
        "IntOrString": {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"},
    })
}
