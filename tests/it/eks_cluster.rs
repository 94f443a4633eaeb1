//! A whole environment on EKS, by the real binary against the stand-in for AWS, behind which stands a real control
//! plane: made, left alone, changed in place, changed by replacement, refused.

use std::fs;

use serde_json::{Value, json};

use super::support::eks::{REGION, kubectl_as, one_line};
use super::support::{Berth, EksProfile, EksStage};

/// A workload that may not lose its only pod.
const DATABASE: &str = "
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: db, namespace: default}
spec: {minAvailable: 1, selector: {matchLabels: {app: db}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: default}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: example.com/db}]}
";

/// The session of the role that the profile makes one of the developers.
const DEVELOPER: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "ASIACHECKOUT00000001"),
    ("AWS_SECRET_ACCESS_KEY", "checkout-secret-key-of-the-stand-in-0001"),
    ("AWS_SESSION_TOKEN", "fake-token-of-checkout-dev-0001"),
];

fn profile(groups: &str) -> EksProfile {
    EksProfile::new(groups)
        .with("tenants:\n  - {name: checkout, namespaces: [checkout-ns], groups: {editor: [developers]}}")
}

/// That the calls since `since` are those of an `up` that changes nothing, and not one more (docs/adr/0005).
fn expect_few(stage: &EksStage, since: u64) {
    let names = stage.calls(since);
    let addons = stage.addons();
    assert!(!addons.contains(&"metrics-server".to_string()), "else the list of addons is not asked for");
    let (of_all, list_of_addons, roles_of_addons, caller) = (7, 1, 2, 1);
    // The administrators' entry and that of the editors of the tenant.
    let entries = 2;
    let fixed = of_all + list_of_addons + roles_of_addons + caller;
    assert_eq!(names.len(), fixed + stage.groups().len() + addons.len() + 2 * entries, "{names:?}");
    assert!(!names.iter().any(|name| name.contains("GetTemplate")), "{names:?}");
}

#[test]
fn an_environment_on_eks_comes_up_is_changed_in_place_and_by_replacement() {
    let stage = EksStage::new(&profile("{name: general, machine: m7i.large, nodes: 2}"));
    let up = stage.up().expect(0);
    assert!(one_line(&up.said()).contains("network policies: they are enforced (probed "), "{}", up.said());
    let cluster = stage.cluster();
    assert_eq!(cluster["accessConfig"], json!({"authenticationMode": "API"}));
    assert_eq!(cluster["upgradePolicy"]["supportType"], "STANDARD");
    assert_eq!(cluster["tags"]["berth.dev/owner"], "7f3k2q9d");
    assert_eq!(stage.group("general")["amiType"], "AL2023_x86_64_STANDARD");
    expect_in_its_namespace_alone(&stage);

    // Twice is once.
    let before = stage.last();
    let again = stage.up().expect(0);
    assert!(again.said().contains("nothing had to change"), "{}", again.said());
    assert_eq!(stage.changes(before), Vec::<String>::new());
    expect_few(&stage, before);

    // Whoever has the credentials finds it from anywhere.
    let elsewhere = stage.another_machine();
    let listed = elsewhere.run(&["list", "--region", REGION]).expect(0);
    assert!(listed.stdout.contains("control plane ACTIVE, in eu-central-1"), "{}", listed.said());

    what_cannot_be_asked_is_not_called_absent(&stage);

    // What is being deleted is not as the profile says: its end is waited for, and it is made anew.
    stage.aws.scenario(&json!({"durations": {"eks.nodegroup.delete": 1200}}));
    stage.cli(&["eks", "delete-nodegroup", "--cluster-name", "dev", "--nodegroup-name", "general"]);
    let planned = stage.run("plan", &["--detailed-exitcode"]).expect(2);
    let said = one_line(&planned.stdout);
    if stage.groups() == ["general"] {
        // It was still going when the plan was made.
        let told = "node group general (it is being deleted; once it is gone, it is made anew)";
        assert!(said.contains(told), "{said}");
    }
    stage.aws.scenario(&json!({"durations": {"eks.nodegroup.delete": 180}}));
    stage.run("up", &["--timeout", "5m"]).expect(0);
    assert_eq!(stage.group("general")["status"], "ACTIVE");

    // A launch template that changes rolls nodes, and the plan says which.
    stage.declare(&profile("{name: general, machine: m7i.large, nodes: 2, disk: 100Gi}"));
    let planned = stage.run("plan", &["--output", "json"]).expect(0);
    let plan: Value = serde_json::from_str(&planned.stdout).expect("a plan");
    let resources = plan["resources"].as_array().expect("some");
    let group = resources.iter().find(|one| one["id"] == "node-group/general").expect("the group");
    assert_eq!(group["changes"][0]["reason"], "its nodes are replaced, one after the other", "{plan:#}");
    assert!(plan["estimate"]["time"]["minutes"].is_u64(), "{plan:#}");

    // In place: one call for all of it.
    let before = stage.last();
    stage.declare(
        &profile("{name: general, machine: m7i.large, nodes: 3, labels: {team: web}, maxUnavailable: 33%}")
            .with_cluster("logging: [audit]"),
    );
    stage.up().expect(0);
    let mut changes = stage.changes(before);
    changes.retain(|action| action.contains("Nodegroup") || action.contains("Cluster"));
    changes.sort();
    assert_eq!(changes, ["UpdateClusterConfig", "UpdateNodegroupConfig"]);
    let group = stage.group("general");
    assert_eq!(
        (&group["scalingConfig"]["desiredSize"], &group["labels"]["team"], &group["updateConfig"]),
        (&json!(3), &json!("web"), &json!({"maxUnavailablePercentage": 33}))
    );

    // By replacement: the new group is there before the old one goes.
    let larger = profile("{name: general, machine: m7i.xlarge, nodes: 1}").with_cluster("logging: [audit]");
    take_back_while_it_drains(&stage, &larger);
    let before = stage.last();
    stage.declare(&larger);
    stage.run("up", &["--timeout", "5m"]).expect(8);
    let mut up = stage.start("up");
    up.until_told("left to move, pod default/db-");
    assert!(stage.groups().contains(&"general".to_string()), "its pods are still on it");
    stage.kubectl(&["delete", "poddisruptionbudget", "db"]).expect(0);
    up.finish().expect(0);
    stage.kubectl(&["delete", "deployment", "db"]).expect(0);
    let mut changes = stage.changes(before);
    changes.retain(|action| action.contains("Nodegroup"));
    assert_eq!(changes, ["CreateNodegroup", "DeleteNodegroup"]);
    let groups = stage.groups();
    assert!(matches!(&groups[..], [name] if name.starts_with("general-")), "{groups:?}");

    // One that the profile has no more goes as well.
    stage.declare(&profile("{name: other, machine: m7i.large, nodes: 1}").with_cluster("logging: [audit]"));
    stage.up().expect(0);
    assert_eq!(stage.groups(), ["other"]);
    stage.expect_no_violations();
}

/// With a cluster that EKS does not tell of: nothing of it is said to be missing, and other environments are listed.
fn what_cannot_be_asked_is_not_called_absent(stage: &EksStage) {
    stage.aws.scenario(&json!({"deny": ["eks:DescribeCluster"]}));
    let status = stage.run("status", &[]).expect(4);
    assert!(status.stdout.contains("unknown") && !status.stdout.contains("absent"), "{}", status.said());
    let planned = stage.run("plan", &["--output", "json"]).expect(4);
    let plan: Value = serde_json::from_str(&planned.stdout).expect("a plan");
    assert_eq!(plan["summary"]["create"], 0, "{plan:#}");
    let listed = stage.another_machine().run(&["list", "--region", REGION]).expect(0);
    assert!(listed.stdout.contains("control plane not known"), "{}", listed.said());
    stage.aws.scenario(&json!({"deny": []}));
}

/// That a developer gets into the namespace of the tenant by their own credentials, and nowhere else.
fn expect_in_its_namespace_alone(stage: &EksStage) {
    stage.berth.run(&["kubeconfig", "dev", "--merge", "--switch"]).expect(0);
    let pods = |namespace| kubectl_as(&stage.berth, &DEVELOPER, &["get", "pods", "--namespace", namespace]);
    pods("checkout-ns").expect(0);
    for elsewhere in ["default", "kube-system"] {
        let refused = pods(elsewhere).expect(1);
        assert!(refused.stderr.contains("(Forbidden)"), "{elsewhere}: {}", refused.said());
    }
}

/// A disruption budget lets no pod of the old nodes go, and the change is taken back: pods come to them again.
fn take_back_while_it_drains(stage: &EksStage, changed: &EksProfile) {
    let file = stage.berth.work().join("database.yaml");
    fs::write(&file, DATABASE).expect("the folder is ours");
    stage.kubectl(&["apply", "--filename", &file.display().to_string()]).expect(0);
    stage.kubectl(&["wait", "--for=condition=Available", "deployment/db", "--timeout=240s"]).expect(0);
    stage.declare(changed);
    let mut up = stage.start("up");
    up.until_told("left to move, pod default/db-");
    drop(up);
    let labels = "{name: general, machine: m7i.large, nodes: 3, labels: {team: web}}";
    stage.declare(&profile(labels).with_cluster("logging: [audit]"));
    stage.up().expect(0);
    assert_eq!(stage.groups(), ["general"]);
    let cordoned = ["get", "nodes", "--output", "jsonpath={.items[?(@.spec.unschedulable)].metadata.name}"];
    assert_eq!(stage.kubectl(&cordoned).expect(0).stdout, "");
    stage.run("plan", &["--detailed-exitcode"]).expect(0);
}

#[test]
fn what_aws_cannot_do_is_told_by_the_plan_before_anything_is_made() {
    let stage = EksStage::new(&profile(""));
    stage.aws.scenario(&json!({"quotas": {"L-DB2E81BA": 0}}));
    let refused = |groups: &str| {
        stage.declare(&profile(groups));
        one_line(&stage.run("up", &["--yes"]).expect(1).stderr)
    };
    let slip = refused(
        "{name: web, machine: m7i.large}, {name: general, machine: m7i.lage, resources: {cpu: 2, memory: 8Gi}}",
    );
    assert!(!slip.contains("and node group"), "the other one is as it should be: {slip}");
    assert!(
        slip.contains("has no machine type `m7i.lage`") && slip.contains("did you mean `m7i.large`"),
        "{slip}"
    );
    let gpus = refused("{name: general, machine: m7i.large}, {name: gpu, machine: g6.xlarge, nodes: 1}");
    assert!(gpus.contains("--quota-code L-DB2E81BA"), "{gpus}");
    let spelled_wrongly = profile("{name: general, machine: m7i.large}").text();
    stage.berth.profile("dev", &spelled_wrongly.replace("role/checkout-dev", "role/nobody"));
    let nobody = one_line(&stage.run("up", &["--yes"]).expect(1).stderr);
    assert!(nobody.contains("role/nobody") && nobody.contains("IAM has no such role"), "{nobody}");
    assert_eq!(stage.changes(0), Vec::<String>::new());
}

#[test]
fn a_plan_of_an_environment_on_eks_tells_what_it_costs_and_how_long_it_takes() {
    let stage = EksStage::new(&EksProfile::new("{name: general, machine: m7i.large, nodes: 2}"));
    let planned = stage.run("plan", &["--output", "json"]).expect(0);
    let plan: Value = serde_json::from_str(&planned.stdout).expect("a plan");
    assert_eq!(plan["estimate"]["time"], json!({"minutes": 14, "from": "published figures"}));
    let parts = json!([
        {"what": "control plane", "usdPerMonth": 73},
        {"what": "2 m7i.large", "usdPerMonth": 147},
        {"what": "1 NAT gateway", "usdPerMonth": 37},
    ]);
    assert_eq!(plan["estimate"]["parts"], parts);

    // What a network is spread over is known from AWS, and so is what support its version is in.
    let spread = EksProfile::new("{name: general, machine: m7i.large, nodes: 2, zones: [a, b]}");
    stage.declare(&spread.with_cluster("network: {nat: per-zone}, support: extended"));
    let planned = stage.run("plan", &["--output", "json"]).expect(0);
    let plan: Value = serde_json::from_str(&planned.stdout).expect("a plan");
    assert_eq!(plan["estimate"]["parts"][0], json!({"what": "control plane", "usdPerMonth": 73}));
    assert_eq!(plan["estimate"]["parts"][2]["what"], "3 NAT gateways");
    assert!(plan["estimate"].to_string().contains("extended support (438"), "{plan}");

    // Without credentials nothing is called absent: it is not known.
    let nobody = Berth::new().with_variable("AWS_EC2_METADATA_DISABLED", "true");
    nobody.profile("dev", &EksProfile::new("{name: general, machine: m7i.large, nodes: 2}").text());
    let status = nobody.run(&["status", "dev"]).expect(4);
    assert!(status.stdout.contains("no AWS credentials were found"), "{}", status.said());
    assert!(!status.stdout.contains("absent"), "{}", status.said());
}
