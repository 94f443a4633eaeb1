//! What the options of metrics-server come to.

use serde_json::{Value, json};

use super::addons::{on, refusal};

const KIND: &str = "kind: {}";

fn deployment(options: &str) -> Value {
    on(KIND, &format!("metrics-server: {options}")).one("Deployment")
}

fn arguments(options: &str) -> Vec<Value> {
    deployment(options)["spec"]["template"]["spec"]["containers"][0]["args"]
        .as_array()
        .expect("a list")
        .clone()
}

#[test]
fn two_pods_lie_on_two_nodes_and_one_of_them_stays() {
    let alone = on(KIND, "metrics-server: {}");
    assert!(alone.all("PodDisruptionBudget").is_empty());
    assert_eq!(alone.one("Deployment")["spec"]["template"]["spec"].get("affinity"), None);
    let two = on(KIND, "metrics-server: {replicas: 2}");
    assert_eq!(two.one("PodDisruptionBudget")["spec"]["minAvailable"], 1);
    let deployment = two.one("Deployment");
    assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 1);
    let rules = &deployment["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"];
    assert_eq!(
        rules["requiredDuringSchedulingIgnoredDuringExecution"][0]["topologyKey"],
        "kubernetes.io/hostname"
    );
}

#[test]
fn a_short_resolution_leaves_the_kubelets_less_time() {
    assert!(arguments("{}").contains(&json!("--metric-resolution=15s")));
    let timeout = json!("--kubelet-request-timeout=9s");
    assert!(!arguments("{resolutionSeconds: 12}").contains(&timeout));
    let short = arguments("{resolutionSeconds: 10}");
    assert!(short.contains(&json!("--metric-resolution=10s")) && short.contains(&timeout));
}

#[test]
fn wrong_options_are_refused_by_their_path() {
    for (options, message) in [
        ("{resolutionSeconds: 9}", "resolutionSeconds`: 9 is too small"),
        ("{resolutionSeconds: 15s}", "resolutionSeconds`: expected a whole number, but it is a text"),
        ("{replicas: 3}", "replicas`: 3 is too great"),
        ("{resources: {requests: {cpus: 1}}}", "resources.requests.cpus`: no such option"),
    ] {
        let error = refusal(KIND, &format!("metrics-server: {options}"));
        let start = format!("`addons.metrics-server.{message}");
        assert!(error.to_string().starts_with(&start), "{options}: {error}");
    }
}
