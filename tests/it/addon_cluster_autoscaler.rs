//! What the options of cluster-autoscaler come to.

use serde_json::{Value, json};

use super::addons::{on, refusal};

fn eks(version: &str) -> String {
    format!("eks: {{region: eu-central-1, version: \"{version}\"}}")
}

fn container(options: &str) -> Value {
    let deployment = on(&eks("1.36"), &format!("cluster-autoscaler: {options}")).one("Deployment");
    deployment["spec"]["template"]["spec"]["containers"][0].clone()
}

fn has(options: &str, argument: &str) -> bool {
    container(options)["args"].as_array().expect("a list").contains(&json!(argument))
}

#[test]
fn each_minor_has_the_program_that_is_made_for_it() {
    for (kubernetes, version) in
        [("1.33", "1.33.5"), ("1.34", "1.34.4"), ("1.35", "1.35.2"), ("1.36", "1.36.1"), ("1.37", "1.36.1")]
    {
        let objects = on(&eks(kubernetes), "cluster-autoscaler: {}");
        let image = objects.one("Deployment")["spec"]["template"]["spec"]["containers"][0]["image"].clone();
        let wanted = format!("registry.k8s.io/autoscaling/cluster-autoscaler:v{version}");
        assert!(image.as_str().is_some_and(|image| image.starts_with(&wanted)), "{kubernetes}: {image}");
        // An API that is not there yet could not be read, and would be waited for.
        let reads_claims = objects.one("ClusterRole").to_string().contains("resourceclaims");
        assert_eq!(reads_claims, version > "1.35", "{kubernetes}");
    }
}

#[test]
fn it_looks_for_the_groups_of_its_cluster_and_is_told_where_it_is() {
    let discovery =
        "--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/dev";
    assert!(has("{}", discovery), "{:#}", container("{}"));
    assert_eq!(container("{}")["env"], json!([{"name": "AWS_REGION", "value": "eu-central-1"}]));
}

#[test]
fn options_become_arguments() {
    for (options, argument) in [
        ("{}", "--expander=least-waste"),
        ("{expander: random}", "--expander=random"),
        ("{}", "--scale-down-enabled=true"),
        ("{scaleDown: {enabled: false}}", "--scale-down-enabled=false"),
        ("{scaleDown: {afterMinutes: 5}}", "--scale-down-unneeded-time=5m"),
        ("{scaleDown: {belowPercent: 65}}", "--scale-down-utilization-threshold=0.65"),
        ("{}", "--skip-nodes-with-local-storage=false"),
        ("{scaleDown: {dropsLocalFiles: false}}", "--skip-nodes-with-local-storage=true"),
    ] {
        assert!(has(options, argument), "{options}: {argument}: {:#}", container(options)["args"]);
    }
    assert!(on(&eks("1.36"), "cluster-autoscaler: {}").all("PodDisruptionBudget").is_empty());
    let two = on(&eks("1.36"), "cluster-autoscaler: {replicas: 2}");
    assert_eq!(two.one("PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
}

#[test]
fn wrong_options_are_refused_by_their_path() {
    for (options, message) in [
        ("{expander: price}", "expander`: "),
        ("{scaleDown: {afterMinutes: 0}}", "scaleDown.afterMinutes`: 0 is too small"),
        ("{replicas: 3}", "replicas`: 3 is too great"),
    ] {
        let error = refusal(&eks("1.36"), &format!("cluster-autoscaler: {options}"));
        let start = format!("`addons.cluster-autoscaler.{message}");
        assert!(error.to_string().starts_with(&start), "{options}: {error}");
    }
}
