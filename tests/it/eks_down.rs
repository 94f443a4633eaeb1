//! `down` of an environment on EKS, by the real binary against the stand-in for AWS: whole, half made, with its
//! control plane dead, with its cluster gone, and beside things that are not ours. Nothing is left.

use serde_json::{Value, json};

use super::support::eks::{down_on, eventually_so, one_line};
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
fn work(stage: &EksStage) {
    let file = stage.berth.work().join("workloads.yaml");
    std::fs::write(&file, WORKLOADS).expect("the folder is ours");
    stage.kubectl(&["apply", "-f", file.to_str().expect("UTF-8")]).expect(0);
    eventually_so("load balancers and a volume are there", 60, || {
        let made = |kind: &str| stage.of_cluster().iter().filter(|one| one["kind"] == kind).count();
        made("elasticloadbalancing:loadbalancer") == 2 && made("ec2:volume") == 1
    });
}

#[test]
fn a_whole_environment_goes_from_another_machine_with_all_that_its_cluster_made() {
    let stage = EksStage::new(&profile());
    stage.up().expect(0);
    work(&stage);
    stage.aws.scenario(&json!({"eksLeakedInterfaces": 2}));
    stage.aws.post("make", &json!({"kind": "endpoint", "vpc": "berth.dev/owner=7f3k2q9d"}));
    let gone = down_on(&stage.another_machine()).expect(0);
    assert!(gone.stdout.contains("dev is gone: nothing is left"), "{}", gone.said());
    stage.expect_left(&[]);
    // Twice is once.
    let again = stage.down().expect(0);
    assert!(again.stdout.contains("dev is gone: nothing is left"), "{}", again.said());
}

#[test]
fn behind_a_dead_control_plane_everything_is_swept_up_by_its_tags() {
    let stage = EksStage::new(&profile());
    stage.up().expect(0);
    work(&stage);
    stage.aws.post("eks/kill", &json!({"name": "dev"}));
    eventually_so("nobody answers", 30, || {
        stage.kubectl(&["get", "--raw", "/readyz", "--request-timeout=2s"]).code != Some(0)
    });
    stage.down().expect(0);
    stage.expect_left(&[]);
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
    eventually_so("the cluster is CREATING", 60, || stage.status() == "CREATING");
    drop(running);
    down_on(&stage.another_machine()).expect(0);
    stage.expect_left(&[]);
    // Only its network is there, and not all of that.
    let running = stage.start("up");
    let has_network = || stage.aws.inventory().iter().any(|one| one["kind"] == "ec2:vpc");
    eventually_so("the network is on its way", 60, has_network);
    drop(running);
    stage.down().expect(0);
    stage.expect_left(&[]);
    // The cluster was deleted by hand, and load balancers stayed.
    stage.up().expect(0);
    work(&stage);
    let group = ["eks", "delete-nodegroup", "--cluster-name", "dev", "--nodegroup-name", "general"];
    stage.cli(&group);
    eventually_so("the nodes are gone", 60, || {
        let listed = stage.cli(&["eks", "list-nodegroups", "--cluster-name", "dev"]);
        listed["nodegroups"] == json!([])
    });
    stage.cli(&["eks", "delete-cluster", "--name", "dev"]);
    eventually_so("the cluster is gone", 60, || stage.status().is_null());
    assert_ne!(stage.of_cluster(), Vec::<Value>::new());
    stage.down().expect(0);
    stage.expect_left(&[]);
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
    eventually_so("their cluster is whole", 60, || stage.status() == "ACTIVE");
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
