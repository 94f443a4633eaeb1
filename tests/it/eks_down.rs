//! `down` of an environment on EKS, by the real binary against the stand-in for AWS: half made, with its control plane
//! dead, with its cluster gone, and beside things that are not ours. Nothing is left.

use serde_json::{Value, json};

use super::support::eks::{Moment, down_on, eventually_so, one_line};
use super::support::{EksProfile, EksStage};

/// What makes something outside of a cluster, and what would hold its nodes.
const WORKLOADS: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default, annotations: {service.beta.kubernetes.io/aws-load-balancer-type: nlb}}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: old, namespace: default}
spec: {type: LoadBalancer, selector: {app: old}, ports: [{port: 80}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: never, namespace: default}
spec: {minAvailable: 1, selector: {matchLabels: {app: db}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: default}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: example.com/db, volumeMounts: [{name: data, mountPath: /data}]}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 20Gi}}}
";

fn profile() -> EksProfile {
    EksProfile::new("{name: general, machine: m7i.large, nodes: 2}").with_cluster("logging: [audit]")
}

/// Lets the cluster make load balancers and volumes.
pub fn work(stage: &EksStage) {
    let file = stage.berth.work().join("workloads.yaml");
    std::fs::write(&file, WORKLOADS).expect("the folder is ours");
    stage.kubectl(&["apply", "-f", file.to_str().expect("UTF-8")]).expect(0);
    eventually_so("load balancers and a volume are there", || {
        let made = |kind: &str| stage.of_cluster().iter().filter(|one| one["kind"] == kind).count();
        made("elasticloadbalancing:loadbalancer") == 2 && made("ec2:volume") == 1
    });
}

/// Somebody deletes the stack of the network: all that can be done then is told, and nothing is promised.
pub fn its_stack_is_deleted_under_it(stage: &EksStage) {
    let told =
        |command: &str, more: &[&str], code: i32| one_line(&stage.run(command, more).expect(code).said());
    let way = "`berth down dev` removes both";
    stage.cli(&["cloudformation", "delete-stack", "--stack-name", "berth-dev"]);
    // Most likely it is still going.
    let plan = told("plan", &["--detailed-exitcode"], 2);
    assert!(plan.contains(way) && !plan.contains("made anew"), "{plan}");
    eventually_so("not all of the stack could be deleted", || {
        let stacks = stage.cli(&["cloudformation", "describe-stacks", "--stack-name", "berth-dev"]);
        stacks["Stacks"][0]["StackStatus"] == "DELETE_FAILED"
    });
    let plan = told("plan", &["--detailed-exitcode"], 2);
    assert!(plan.contains("conflict eks/dev: stack `berth-dev`") && plan.contains(way), "{plan}");
    let before = stage.last();
    let up = told("up", &[], 8);
    assert!(up.contains(&format!("next {way}")) && !up.contains("to go on"), "{up}");
    assert_eq!(stage.changes(before), Vec::<String>::new());
    let status = told("status", &[], 1);
    assert!(status.contains("`berth plan dev` shows what is in the way of `berth up`"), "{status}");
    assert!(status.contains(way) && !status.contains("brings it there"), "{status}");
}

#[test]
fn behind_a_dead_control_plane_all_but_volumes_is_swept_up_by_its_tags() {
    let stage = EksStage::new(&profile());
    stage.up().expect(0);
    work(&stage);
    stage.aws.post("eks/kill", &json!({"name": "dev"}));
    eventually_so("nobody answers", || {
        stage.kubectl(&["get", "--raw", "/readyz", "--request-timeout=2s"]).code != Some(0)
    });
    let disk = stage.of_cluster().into_iter().find(|one| one["kind"] == "ec2:volume").expect("it was made");
    let disk = disk["id"].as_str().expect("an id").to_string();
    let gone = stage.down().expect(0);
    let kept = format!("kept volume {disk} of default/data-db-0 no cluster said that it may go");
    assert!(one_line(&gone.stdout).contains(&kept), "{}", gone.said());
    stage.expect_left(&[&disk]);
    // A later run knows no more of it.
    assert!(one_line(&stage.down().expect(0).stdout).contains(&kept), "{}", gone.said());
}

#[test]
fn what_is_not_ours_stays_and_what_its_owner_retains_is_told() {
    let stage = EksStage::new(&profile());
    stage.up().expect(0);
    work(&stage);
    let volume = stage.kubectl(&["get", "pv", "-o", "jsonpath={.items[0].metadata.name}"]).expect(0).stdout;
    let retain = "{\"spec\": {\"persistentVolumeReclaimPolicy\": \"Retain\"}}";
    stage.kubectl(&["patch", "pv", &volume, "-p", retain]).expect(0);
    let disk =
        stage.kubectl(&["get", "pv", "-o", "jsonpath={.items[0].spec.csi.volumeHandle}"]).expect(0).stdout;
    let tags = json!({"kubernetes.io/cluster/dev2": "owned", "CSIVolumeName": "pvc-1"});
    let other = stage.aws.post("make", &json!({"kind": "volume", "tags": tags}));
    let other = other["volume"].as_str().expect("an id").to_string();
    let gone = stage.down().expect(0);
    let said = one_line(&gone.stdout);
    assert!(said.contains(&format!("kept volume {disk} of default/data-db-0")), "{}", gone.said());
    assert!(said.contains("says Retain; 20 GiB") && !said.contains(&other), "{}", gone.said());
    stage.expect_left(&[&disk, &other]);
}

#[test]
fn an_environment_that_was_never_whole_goes_at_whatever_it_came_to() {
    let stage = EksStage::new(&profile());
    // Its control plane is on its way.
    let running = stage.start("up");
    eventually_so("the cluster is CREATING", || stage.status() == "CREATING");
    drop(running);
    down_on(&stage.another_machine()).expect(0);
    stage.expect_left(&[]);
    // Only its network is there, and not all of that.
    let running = stage.start("up");
    let has_network = || stage.aws.inventory().iter().any(|one| one["kind"] == "ec2:vpc");
    eventually_so("the network is on its way", has_network);
    drop(running);
    stage.down().expect(0);
    stage.expect_left(&[]);
    // The cluster was deleted by hand, and load balancers stayed.
    up_where_nothing_can_be_written(&stage);
    stage.up().expect(0);
    work(&stage);
    let group = ["eks", "delete-nodegroup", "--cluster-name", "dev", "--nodegroup-name", "general"];
    stage.cli(&group);
    eventually_so("the nodes are gone", || {
        let listed = stage.cli(&["eks", "list-nodegroups", "--cluster-name", "dev"]);
        listed["nodegroups"] == json!([])
    });
    stage.cli(&["eks", "delete-cluster", "--name", "dev"]);
    eventually_so("the cluster is gone", || stage.status().is_null());
    let left = stage.of_cluster();
    let disk = left.iter().find(|one| one["kind"] == "ec2:volume").expect("nobody was there to remove it");
    assert_ne!(left.len(), 1, "load balancers too");
    stage.down().expect(0);
    stage.expect_left(&[disk["id"].as_str().expect("an id")]);
}

/// Nothing can be written on this machine any more, as on a full disk: the platform is made whole all the same, and told.
fn up_where_nothing_can_be_written(stage: &EksStage) {
    let hold = stage.hold_of("CreateNodegroup", Moment::Before);
    let running = stage.start("up");
    hold.wait();
    let folder = stage.berth.home().join(".local/state/berth/environments/dev-7f3k2q9d");
    let files = [folder.join("record.json"), folder.join("kubeconfig")];
    for file in &files {
        std::fs::remove_file(file).ok();
        // Not even root can put a file in the place of a folder with something in it.
        std::fs::create_dir_all(file.join("full")).expect("it is ours");
    }
    hold.release();
    let up = running.finish().expect(6);
    let said = one_line(&up.said());
    assert!(said.contains("berth status dev"), "what stands is told: {said}");
    assert!(said.contains("record.json") && said.contains("kubeconfig"), "{said}");
    assert!(said.contains("then `berth up dev` again: what stands stays as it is"), "{said}");
    for file in &files {
        std::fs::remove_dir_all(file).expect("it is ours");
    }
    let before = stage.last();
    stage.up().expect(0);
    assert_eq!(stage.changes(before), Vec::<String>::new());
    assert!(files.iter().all(|file| file.is_file()));
}

#[test]
fn a_cluster_of_somebody_else_is_told_and_nothing_of_it_is_touched() {
    let stage = EksStage::new(&profile());
    let network = stage.aws.post("make", &json!({"kind": "vpc", "tags": {"team": "other"}}));
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]},
    ]});
    let policies = ["arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"];
    let role = stage
        .aws
        .post("make", &json!({"kind": "role", "name": "other", "trust": trust, "policies": policies}));
    let subnets: Vec<&str> =
        network["subnets"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let inside = format!("subnetIds={}", subnets.join(","));
    let role = role["arn"].as_str().expect("an ARN").to_string();
    stage.aws.scenario(&json!({"iamPropagation": 0}));
    let create =
        ["eks", "create-cluster", "--name", "dev", "--role-arn", &role, "--resources-vpc-config", &inside];
    stage.cli(&create);
    eventually_so("their cluster is whole", || stage.status() == "ACTIVE");
    let tags = json!({"kubernetes.io/cluster/dev": "owned"});
    let vpc = network["vpc"].as_str();
    stage.aws.post("make", &json!({"kind": "balancer", "vpc": vpc, "name": "theirs", "tags": tags}));
    let tags = json!({"kubernetes.io/cluster/dev": "owned", "CSIVolumeName": "pvc-1"});
    stage.aws.post("make", &json!({"kind": "volume", "tags": tags}));
    let before = stage.titles();
    let gone = stage.down().expect(0);
    let said = one_line(&gone.stdout);
    assert!(
        said.contains("kept EKS cluster dev berth did not make it; it is left as it is"),
        "{}",
        gone.said()
    );
    assert_eq!(stage.titles(), before);
}
