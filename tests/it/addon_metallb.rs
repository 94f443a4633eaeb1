//! What the options of `MetalLB` come to, and that a real API server keeps its objects as they are.

use std::fs;

use serde_json::{Value, json};

use super::addons::{Objects, on, refusal};
use super::rendering::holds;
use super::support::ControlPlane;

const KIND: &str = "kind: {}";
const EXISTING: &str = "existing: {kubeconfig: /nonexistent, context: acme}";
const POOLS: &str = "metallb: {pools: [\
    {name: apps, addresses: [192.0.2.10-192.0.2.20, \"2001:db8::/120\"], interfaces: [eth1]}, \
    {name: mail, addresses: 192.0.2.240/28, autoAssign: false, avoidBuggyIPs: true, namespaces: [mail], \
    serviceSelector: {app: postfix}}]}";

fn arguments(objects: &Objects, kind: &str) -> Vec<String> {
    let arguments = objects.one(kind)["spec"]["template"]["spec"]["containers"][0]["args"].clone();
    serde_json::from_value(arguments).expect("a list of texts")
}

#[test]
fn each_pool_is_announced_by_an_object_of_its_own() {
    let objects = on(EXISTING, POOLS);
    let specs = |kind: &str| -> Vec<Value> {
        objects.all(kind).iter().map(|object| object["spec"].clone()).collect()
    };
    assert_eq!(
        specs("IPAddressPool"),
        [
            json!({
                "addresses": ["192.0.2.10-192.0.2.20", "2001:db8::/120"],
                "autoAssign": true,
                "avoidBuggyIPs": false,
            }),
            json!({
                "addresses": ["192.0.2.240/28"],
                "autoAssign": false,
                "avoidBuggyIPs": true,
                "serviceAllocation": {
                    "namespaces": ["mail"],
                    "serviceSelectors": [{"matchLabels": {"app": "postfix"}}],
                },
            }),
        ]
    );
    assert_eq!(
        specs("L2Advertisement"),
        [json!({"ipAddressPools": ["apps"], "interfaces": ["eth1"]}), json!({"ipAddressPools": ["mail"]})]
    );
}

#[test]
fn excluded_nodes_answer_on_kind_and_where_it_is_asked_for() {
    let flag = "--ignore-exclude-lb".to_string();
    let given = |cluster, more: &str| {
        let addons = format!("metallb: {{addresses: 192.0.2.240/28{more}}}");
        arguments(&on(cluster, &addons), "DaemonSet").contains(&flag)
    };
    assert!(given(KIND, ""));
    assert!(!given(EXISTING, ""));
    assert!(given(EXISTING, ", excludedNodes: true"));
}

#[test]
fn class_and_log_level_reach_both_programs() {
    let objects =
        on(EXISTING, "metallb: {addresses: 192.0.2.240/28, loadBalancerClass: a.example/b, logLevel: debug}");
    let plain = on(EXISTING, "metallb: {addresses: 192.0.2.240/28}");
    for kind in ["Deployment", "DaemonSet"] {
        assert_eq!(arguments(&objects, kind), ["--port=9120", "--log-level=debug", "--lb-class=a.example/b"]);
        assert_eq!(arguments(&plain, kind), ["--port=9120", "--log-level=info"]);
    }
}

#[test]
fn what_its_controller_writes_is_left_to_it() {
    let objects = on(KIND, "metallb: {}");
    let text = |kind: &str| Value::Array(objects.all(kind)).to_string();
    assert!(!text("CustomResourceDefinition").contains("caBundle"));
    assert!(!text("ValidatingWebhookConfiguration").contains("caBundle"));
    let secrets = objects.all("Secret");
    let [certificate] = secrets.as_slice() else { unreachable!("{secrets:?}") };
    assert_eq!(certificate["metadata"]["name"], "metallb-webhook-cert");
    assert!(certificate.get("data").is_none() && certificate.get("stringData").is_none());
}

#[test]
fn a_pool_that_cannot_be_is_refused_by_its_place() {
    for (cluster, options, path) in [
        (KIND, "{addresses: 192.0.2.0/33}", "addons.metallb.addresses"),
        (EXISTING, "{addresses: auto}", "addons.metallb.addresses"),
        (EXISTING, "{}", "addons.metallb"),
        (KIND, "{pools: [{name: a, addresses: [auto]}]}", "addons.metallb.pools[0].addresses[0]"),
    ] {
        assert_eq!(refusal(cluster, &format!("metallb: {options}")).path().as_deref(), Some(path));
    }
}

#[test]
fn the_api_server_keeps_every_object_as_it_was_sent() {
    let plane = ControlPlane::own();
    let objects = on(EXISTING, POOLS);
    let kinds = [
        &["Namespace", "CustomResourceDefinition"][..],
        &[
            "ServiceAccount",
            "Role",
            "ClusterRole",
            "RoleBinding",
            "ClusterRoleBinding",
            "Secret",
            "ConfigMap",
            "Service",
            "Deployment",
            "DaemonSet",
        ],
        // Nobody answers the webhook here, so it is not there while pools are written.
        &["IPAddressPool", "L2Advertisement"],
        &["ValidatingWebhookConfiguration"],
    ];
    let mut tried = 0;
    for kinds in kinds {
        let items: Vec<Value> = kinds.iter().flat_map(|kind| objects.all(kind)).collect();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("objects.json");
        fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())
            .expect("written");
        let file = file.display().to_string();
        let how: &[&str] =
            if kinds.contains(&"ValidatingWebhookConfiguration") { &["--dry-run=server"] } else { &[] };
        let apply = ["apply", "--server-side", "--field-manager=berth", "--validate=strict", "-o", "json"];
        let applied = plane.kubectl(&[&apply, how, &["-f", &file]].concat()).expect(0);
        assert_eq!(applied.stderr, "", "a warning");
        let live: Value = serde_json::from_str(&applied.stdout).expect("a list");
        let live = live["items"].as_array().cloned().unwrap_or_else(|| vec![live]);
        assert_eq!(live.len(), items.len());
        for (wanted, live) in items.iter().zip(&live) {
            // A field that the API server drops or rewrites would look like drift for ever.
            holds(wanted, live, &format!("{} {}", wanted["kind"], wanted["metadata"]["name"]));
        }
        if kinds.contains(&"CustomResourceDefinition") {
            plane
                .kubectl(&["wait", "--for=condition=Established", "--timeout=240s", "crd", "--all"])
                .expect(0);
        }
        tried += items.len();
    }
    assert_eq!(tried, 30, "an object was not tried");
    let pools = plane.kubectl(&["get", "ipaddresspools", "-n", "metallb-system"]).expect(0).stdout;
    assert!(pools.contains("ADDRESSES") && pools.contains("192.0.2.240/28"), "{pools}");
}
