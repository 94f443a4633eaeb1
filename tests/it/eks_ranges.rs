//! Node groups with a range of nodes: what adds nodes comes with them, has its role and knows of nodes that are not
//! there; what it wants is never undone. And new releases of machine images.

use serde_json::{Value, json};

use super::support::eks::{EksProfile, EksStage, eventually_so, one_line};

const GENERAL: &str = "{name: general, machine: m7i.large, nodes: {min: 1, max: 4}, labels: {team: web}}";
const GPU: &str = "{name: gpu, machine: g6.xlarge, nodes: {min: 0, max: 2}, disk: 200Gi}";
/// The tags of the scaling group of the node group `group`, without those of EKS itself.
fn hints(stage: &EksStage, group: &str) -> Value {
    let asg = &stage.group(group)["resources"]["autoScalingGroups"][0]["name"];
    let filter = format!("Name=auto-scaling-group,Values={}", asg.as_str().expect("a name"));
    let tags = stage.cli(&["autoscaling", "describe-tags", "--filters", &filter]);
    let prefix = "k8s.io/cluster-autoscaler/node-template/";
    let hint = |tag: &Value| {
        let key = tag["Key"].as_str()?.strip_prefix(prefix)?.to_string();
        assert_eq!(tag["PropagateAtLaunch"], false, "{tag}");
        Some((key, tag["Value"].clone()))
    };
    tags["Tags"].as_array().expect("tags").iter().filter_map(hint).collect()
}

/// The deployment of the autoscaler; null when there is none.
fn deployment(stage: &EksStage) -> Value {
    let arguments = ["get", "deployments", "-n", "cluster-autoscaler", "-o", "json"];
    let listed = stage.kubectl(&arguments).expect(0).stdout;
    serde_json::from_str::<Value>(&listed)
        .expect("JSON")
        .pointer_mut("/items/0")
        .map(Value::take)
        .unwrap_or_default()
}

/// Pods that fill a node each, and one that only a node with GPUs takes.
const PODS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: example.com/web:1, resources: {requests: {cpu: 1500m}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: train, namespace: default}
spec:
  replicas: 1
  selector: {matchLabels: {app: train}}
  template:
    metadata: {labels: {app: train}}
    spec:
      nodeSelector: {nvidia.com/gpu.present: \"true\"}
      tolerations: [{key: nvidia.com/gpu, operator: Exists}]
      containers: [{name: train, image: example.com/train:1}]
";

fn sizes(stage: &EksStage, group: &str) -> Value {
    stage.group(group)["scalingConfig"].clone()
}

/// Whether all these pods run.
fn run(stage: &EksStage, deployment: &str) -> bool {
    let arguments = ["get", "deployment", deployment, "-n", "default", "-o", "json"];
    let live: Value = serde_json::from_str(&stage.kubectl(&arguments).expect(0).stdout).expect("JSON");
    live["status"]["availableReplicas"] == live["spec"]["replicas"]
}

#[test]
fn a_range_brings_the_autoscaler_with_its_role_and_what_it_wants_is_left_alone() {
    let profile = EksProfile::new;
    let stage = EksStage::new(&profile(&format!("{GENERAL}, {GPU}")));
    let plan = stage.run("plan", &[]).expect(0).stdout;
    assert!(plan.contains("cluster-autoscaler: version 1.36.1"), "{plan}");
    assert!(plan.contains("role of cluster-autoscaler/cluster-autoscaler"), "{plan}");

    // A pod that begins before its role is there never gets it. And EKS hears of new access entries, and shows what
    // these may do, a while later.
    let lag = json!({"eks:AssociateAccessPolicy": 150, "eks:ListAssociatedAccessPolicies": 300});
    stage.aws.scenario(&json!({"deny": ["eks:CreatePodIdentityAssociation"], "lag": lag}));
    let refused = stage.up().expect(4);
    assert!(refused.said().contains("eks:CreatePodIdentityAssociation"), "{}", refused.said());
    assert_eq!(deployment(&stage), Value::Null);
    stage.aws.scenario(&json!({"deny": []}));
    stage.up().expect(0);
    let (calls, _) = stage.aws.calls(0);
    let rights = calls.iter().filter(|call| call["action"] == "AssociateAccessPolicy");
    let (early, heard): (Vec<&Value>, Vec<&Value>) =
        rights.partition(|call| call["code"] == "ResourceNotFoundException");
    assert!(!early.is_empty() && heard.len() == 2, "{} early, {} heard", early.len(), heard.len());

    let associations = stage.cli(&["eks", "list-pod-identity-associations", "--cluster-name", "dev"]);
    let of_it = |one: &&Value| one["namespace"] == "cluster-autoscaler";
    let association = associations["associations"].as_array().expect("a list").iter().find(of_it);
    let association = association.expect("one of the autoscaler");
    assert_eq!(association["serviceAccount"], "cluster-autoscaler");
    let container = &deployment(&stage)["spec"]["template"]["spec"]["containers"][0];
    let arguments: Vec<&str> =
        container["args"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let discovery =
        "--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/dev";
    assert!(arguments.contains(&discovery), "{arguments:?}");
    assert_eq!(container["env"], json!([{"name": "AWS_REGION", "value": "eu-central-1"}]));

    // What a node would be like is told by its scaling group: the one of GPUs has no node to look at.
    assert_eq!(sizes(&stage, "gpu"), json!({"minSize": 0, "maxSize": 2, "desiredSize": 0}));
    assert_eq!(
        hints(&stage, "gpu"),
        json!({
            "label/berth.dev/node-group": "gpu",
            "label/nvidia.com/gpu.present": "true",
            "taint/nvidia.com/gpu": "present:NoSchedule",
            "resources/ephemeral-storage": "200Gi",
            "resources/nvidia.com/gpu": "1",
        })
    );
    assert_eq!(hints(&stage, "general")["label/team"], "web");

    // Nodes come for pods that find no room, also to the group that has none. What the stand-in plays here for the
    // autoscaler, it plays only once that has its role.
    let manifest = stage.berth.work().join("pods.yaml");
    std::fs::write(&manifest, PODS).expect("ours");
    stage.kubectl(&["apply", "-f", &manifest.display().to_string()]).expect(0);
    eventually_so("all pods have a node", || run(&stage, "web") && run(&stage, "train"));
    eventually_so("the groups have settled", || {
        ["general", "gpu"].iter().all(|group| stage.group(group)["status"] == "ACTIVE")
    });
    let wants = sizes(&stage, "general")["desiredSize"].clone();
    assert!(wants.as_u64().is_some_and(|nodes| (3..=4).contains(&nodes)), "{wants}");
    assert_eq!(sizes(&stage, "gpu")["desiredSize"], 1);

    // What the autoscaler wants is nobody's drift, ...
    let before = stage.last();
    let again = stage.up().expect(0);
    assert!(again.said().contains("nothing had to change"), "{}", again.said());
    assert_eq!(stage.changes(before), Vec::<String>::new());
    // One call for the addon and one for the role of each account, and none for what its node groups say of themselves.
    let calls = stage.calls(before);
    let asked = |name: &str| calls.iter().filter(|call| *call == name).count();
    assert_eq!(asked("ListPodIdentityAssociations"), 1, "{calls:?}");
    assert_eq!(asked("DescribePodIdentityAssociation"), 3, "{calls:?}");
    assert_eq!(asked("DescribeAutoScalingGroups"), 0, "{calls:?}");

    // ... nor is it undone by a change of something else, and labels are told anew.
    let general = "{name: general, machine: m7i.large, nodes: {min: 1, max: 5}, labels: {tier: web}}";
    stage.declare(&profile(&format!("{general}, {GPU}")));
    stage.up().expect(0);
    assert_eq!(sizes(&stage, "general"), json!({"minSize": 1, "maxSize": 5, "desiredSize": wants}));
    assert_eq!(hints(&stage, "general")["label/tier"], "web");
    assert_eq!(hints(&stage, "general")["label/team"], Value::Null);

    // Only a size out of the range comes back into it; without a range the autoscaler goes, with all that it had.
    let fixed = "{name: general, machine: m7i.large, nodes: 2, labels: {tier: web}}";
    stage.declare(&profile(&format!("{fixed}, {{name: gpu, machine: g6.xlarge, nodes: 0, disk: 200Gi}}")));
    let plan = one_line(&stage.run("plan", &["--detailed-exitcode"]).expect(2).stdout);
    for gone in [
        "role of cluster-autoscaler/cluster-autoscaler (no longer in the profile)",
        "AutoscalerRole",
        "told to the autoscaler labels, taints, disk -> (unset)",
    ] {
        assert!(plan.contains(gone), "{gone}: {plan}");
    }
    stage.up().expect(0);
    assert_eq!(stage.group("general")["scalingConfig"]["desiredSize"], 2);
    assert_eq!(deployment(&stage), Value::Null);
    let left = stage.cli(&["eks", "list-pod-identity-associations", "--cluster-name", "dev"]);
    assert!(!left["associations"].as_array().expect("a list").iter().any(|one| of_it(&one)), "{left}");
    for group in ["general", "gpu"] {
        assert_eq!(hints(&stage, group), json!({}), "{group}");
    }
    stage.run("plan", &["--detailed-exitcode"]).expect(0);
    stage.expect_no_violations();
}

#[test]
fn a_newer_machine_image_is_told_by_the_plan_and_taken_where_the_profile_says_so() {
    let group = "{name: general, machine: m7i.large, nodes: 1}";
    let stage = EksStage::new(&EksProfile::new(group));
    stage.up().expect(0);
    let plan = |detailed: i32| stage.run("plan", &["--detailed-exitcode"]).expect(detailed).stdout;
    assert!(!plan(0).contains("release"));
    let release = stage.group("general")["releaseVersion"].as_str().expect("one").to_string();

    stage.aws.scenario(&json!({"eksNewestRelease": "20261120"}));
    let newest = format!("{}-20261120", release.split_once('-').expect("a date").0);
    let told = format!("node group general: release {release} -> {newest}");
    let before = stage.last();
    let said = one_line(&plan(0));
    assert!(said.contains(&told) && said.contains("newestImages: true"), "{said}");
    let asked = stage.calls(before).iter().filter(|call| *call == "GetParameters").count();
    assert_eq!(asked, 1);

    // By itself `up` leaves the nodes as they are, and does not even ask.
    let before = stage.last();
    stage.up().expect(0);
    assert!(!stage.calls(before).contains(&"GetParameters".to_string()));
    assert_eq!(stage.group("general")["releaseVersion"], *release);

    stage.declare(&EksProfile::new(group).with_cluster("newestImages: true"));
    let said = one_line(&plan(2));
    assert!(said.contains(&format!("release {release} -> {newest}")), "{said}");
    let before = stage.last();
    stage.up().expect(0);
    assert_eq!(stage.changes(before), ["UpdateNodegroupVersion"]);
    assert_eq!(stage.group("general")["releaseVersion"], *newest);
    let before = stage.last();
    stage.up().expect(0);
    assert_eq!(stage.changes(before), Vec::<String>::new());

    // Whoever may not read it is told so, and can go on.
    stage.aws.scenario(&json!({"deny": ["ssm:GetParameters"]}));
    let denied = one_line(&plan(0));
    assert!(denied.contains("whether there is a newer machine image is not known"), "{denied}");
    stage.expect_no_violations();
}
