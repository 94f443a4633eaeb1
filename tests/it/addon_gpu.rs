//! The GPU plugin: what its options come to, where its pods land, and when it counts as ready.

use serde_json::{Value, json};

use super::addons::{Objects, on, refusal};

const EKS: &str = "eks: {account: \"123456789012\", region: eu-central-1}";

fn plugin(options: &str) -> Objects {
    on(EKS, &format!("nvidia-device-plugin: {options}"))
}

fn container(objects: &Objects) -> Value {
    objects.one("DaemonSet")["spec"]["template"]["spec"]["containers"][0].clone()
}

fn variable(objects: &Objects, name: &str) -> Option<String> {
    let container = container(objects);
    let variables = container["env"].as_array().expect("a list");
    let found = variables.iter().find(|variable| variable["name"] == name)?;
    Some(found["value"].as_str().expect("a text").to_string())
}

#[test]
fn time_slicing_is_a_file_of_the_program_and_another_file_is_another_pod() {
    let plain = plugin("{}");
    assert!(plain.all("ConfigMap").is_empty());
    assert_eq!(variable(&plain, "CONFIG_FILE"), None);
    let sliced = plugin("{timeSlicing: {replicas: 4, renameByDefault: true}}");
    let file: Value =
        serde_json::from_str(sliced.one("ConfigMap")["data"]["config.yaml"].as_str().expect("a text"))
            .expect("JSON");
    let wanted = json!({"version": "v1", "sharing": {"timeSlicing": {
        "renameByDefault": true, "failRequestsGreaterThanOne": true,
        "resources": [{"name": "nvidia.com/gpu", "replicas": 4}],
    }}});
    assert_eq!(file, wanted);
    let annotations =
        |objects: &Objects| objects.one("DaemonSet")["spec"]["template"]["metadata"]["annotations"].clone();
    assert_ne!(
        annotations(&sliced),
        annotations(&plugin("{timeSlicing: {replicas: 2, renameByDefault: true}}"))
    );
    assert!(variable(&sliced, "CONFIG_FILE").is_some());
}

#[test]
fn it_administers_only_where_parts_of_gpus_or_mounts_need_it() {
    let rights = |options: &str| container(&plugin(options))["securityContext"].clone();
    assert_eq!(
        rights("{}"),
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
    );
    for options in ["{migStrategy: single}", "{deviceListStrategy: volume-mounts}"] {
        assert_eq!(
            rights(options),
            json!({"readOnlyRootFilesystem": true, "capabilities": {"add": ["SYS_ADMIN"], "drop": ["ALL"]}}),
            "{options}"
        );
    }
    assert_eq!(variable(&plugin("{migStrategy: single}"), "MIG_STRATEGY").as_deref(), Some("single"));
    assert_eq!(
        variable(&plugin("{deviceListStrategy: cdi-cri}"), "DEVICE_LIST_STRATEGY").as_deref(),
        Some("cdi-cri")
    );
}

#[test]
fn wrong_options_are_refused_by_their_path() {
    for (options, message) in [
        ("{timeSlicing: {}}", "timeSlicing`: `replicas` is missing"),
        ("{timeSlicing: {replicas: 1}}", "timeSlicing.replicas`: 1 is too small"),
        ("{timeSlicing: {replicas: 2, renamed: true}}", "timeSlicing.renamed`: no such option"),
        ("{migStrategy: some}", "migStrategy`: `some` is not allowed"),
        ("{migStrategy: mixed, timeSlicing: {replicas: 2}}", "timeSlicing`: with the strategy `mixed`"),
    ] {
        let error = refusal(EKS, &format!("nvidia-device-plugin: {options}"));
        let start = format!("`addons.nvidia-device-plugin.{message}");
        assert!(error.to_string().starts_with(&start), "{options}: {error}");
    }
}
