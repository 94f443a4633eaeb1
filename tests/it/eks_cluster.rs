//! A whole environment on EKS, by the real binary against the stand-in for AWS, behind which stands a real control
//! plane: made, left alone, changed in place, changed by replacement, refused.

use std::fs::{self, File};
use std::process::Stdio;

use serde_json::{Value, json};

use super::support::eks::{REGION, eventually_so, one_line};
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

/// The access entries: the admins of the profile, the editors of its tenant, and whoever runs berth.
const ENTRIES: usize = 3;

fn profile(groups: &str) -> EksProfile {
    EksProfile::new(groups)
        .with("tenants:\n  - {name: checkout, namespaces: [checkout-ns], groups: {editor: [developers]}}")
}

/// That the calls since `since` are no more than an `up` that changes nothing may make: six, one for each node group
/// and addon, two for each access entry.
fn expect_few(stage: &EksStage, since: u64) {
    let names = stage.calls(since);
    let budget = 6 + stage.groups().len() + stage.addons().len() + 2 * ENTRIES;
    assert!(names.len() <= budget, "{} calls, {budget} are allowed: {names:?}", names.len());
    assert!(!names.iter().any(|name| name.contains("GetTemplate")), "{names:?}");
}

#[test]
fn an_environment_on_eks_comes_up_is_changed_in_place_and_by_replacement() {
    let stage = EksStage::new(&profile("{name: general, machine: m7i.large, nodes: 2}"));
    stage.up().expect(0);
    let cluster = stage.cluster();
    assert_eq!(cluster["accessConfig"], json!({"authenticationMode": "API"}));
    assert_eq!(cluster["upgradePolicy"]["supportType"], "STANDARD");
    assert_eq!(cluster["tags"]["berth.dev/owner"], "7f3k2q9d");
    assert_eq!(stage.group("general")["amiType"], "AL2023_x86_64_STANDARD");

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

    // In place: one call for all of it.
    let before = stage.last();
    stage.declare(
        &profile("{name: general, machine: m7i.large, nodes: 3, labels: {team: web}}")
            .with_cluster("logging: [audit]"),
    );
    stage.up().expect(0);
    let mut changes = stage.changes(before);
    changes.retain(|action| action.contains("Nodegroup") || action.contains("Cluster"));
    changes.sort();
    assert_eq!(changes, ["UpdateClusterConfig", "UpdateNodegroupConfig"]);
    let group = stage.group("general");
    assert_eq!(
        (&group["scalingConfig"]["desiredSize"], &group["labels"]["team"]),
        (&json!(3), &json!("web"))
    );

    // By replacement: the new group is there before the old one goes.
    let before = stage.last();
    stage
        .declare(&profile("{name: general, machine: m7i.xlarge, nodes: 1}").with_cluster("logging: [audit]"));
    stage.run("up", &["--timeout", "5m"]).expect(8);
    replace_with_a_budget_in_the_way(&stage);
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

/// Brings it up while a disruption budget lets no pod of the old nodes go, until it says so; then the budget goes.
fn replace_with_a_budget_in_the_way(stage: &EksStage) {
    let file = stage.berth.work().join("database.yaml");
    fs::write(&file, DATABASE).expect("the folder is ours");
    stage.kubectl(&["apply", "--filename", &file.display().to_string()]).expect(0);
    stage.kubectl(&["wait", "--for=condition=Available", "deployment/db", "--timeout=60s"]).expect(0);
    let log = stage.berth.work().join("up.log");
    let mut up = stage.berth.command(&["up", "dev", "--yes", "--timeout", "5m"]);
    up.stdout(Stdio::null()).stderr(File::create(&log).expect("the folder is ours"));
    let mut up = up.spawn().expect("berth starts");
    eventually_so("it says which pod may not go", 120, || {
        fs::read_to_string(&log).is_ok_and(|said| said.contains("left to move, pod default/db-"))
    });
    assert!(stage.groups().contains(&"general".to_string()), "its pods are still on it");
    stage.kubectl(&["delete", "poddisruptionbudget", "db"]).expect(0);
    assert!(up.wait().expect("it ends").success(), "{}", fs::read_to_string(&log).unwrap_or_default());
    stage.kubectl(&["delete", "deployment", "db"]).expect(0);
}

#[test]
fn what_aws_cannot_do_is_told_by_the_plan_before_anything_is_made() {
    let stage = EksStage::new(&profile(""));
    stage.aws.scenario(&json!({"quotas": {"L-DB2E81BA": 0}}));
    let refused = |groups: &str| {
        stage.declare(&profile(groups));
        one_line(&stage.run("up", &["--yes"]).expect(1).stderr)
    };
    let slip = refused("{name: general, machine: m7i.lage, resources: {cpu: 2, memory: 8Gi}}");
    assert!(
        slip.contains("has no machine type `m7i.lage`") && slip.contains("did you mean `m7i.large`"),
        "{slip}"
    );
    let gpus = refused("{name: gpu, machine: g6.xlarge, nodes: 1}");
    assert!(gpus.contains("--quota-code L-DB2E81BA"), "{gpus}");
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

    // Without credentials nothing is called absent: it is not known.
    let nobody = Berth::new().with_variable("AWS_EC2_METADATA_DISABLED", "true");
    nobody.profile("dev", &EksProfile::new("{name: general, machine: m7i.large, nodes: 2}").text());
    let status = nobody.run(&["status", "dev"]).expect(4);
    assert!(status.stdout.contains("no AWS credentials were found"), "{}", status.said());
    assert!(!status.stdout.contains("absent"), "{}", status.said());
}
