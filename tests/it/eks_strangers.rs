//! Networks and clusters that somebody else made: used, taken over where that is asked for, and never touched beyond.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::support::eks::{eventually_so, one_line, title};
use super::support::{EksProfile, EksStage};

const GENERAL: &str = "{name: general, machine: m7i.large, nodes: 1}";

/// A network with a role for a control plane in it, and what there was before anything else was made.
struct Theirs {
    stage: EksStage,
    subnets: Vec<String>,
    role: String,
    things: BTreeMap<String, Value>,
}

impl Theirs {
    fn new() -> Self {
        let stage = EksStage::at_speed(600, &EksProfile::new(GENERAL));
        let subnet = |zone: &str| json!({"zone": zone, "tags": {"kubernetes.io/role/internal-elb": "1", "team": "other"}});
        let spec = json!({"kind": "vpc", "tags": {"team": "other"}, "subnets": [subnet("a"), subnet("b")]});
        let network = stage.aws.post("make", &spec);
        let subnets = serde_json::from_value(network["subnets"].clone()).expect("ids");
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]},
        ]});
        let policies = ["arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"];
        let role = stage
            .aws
            .post("make", &json!({"kind": "role", "name": "theirs", "trust": trust, "policies": policies}));
        let role = role["arn"].as_str().expect("an ARN").to_string();
        let things = things(&stage);
        Self { stage, subnets, role, things }
    }

    /// The profile that uses the network.
    fn in_it(&self) -> EksProfile {
        let subnets = self.subnets.join(", ");
        EksProfile::new(GENERAL).with_cluster(&format!("network: {{subnets: [{subnets}]}}"))
    }

    /// Passes when all that there was before is there, with the same tags, and nothing else.
    #[track_caller]
    fn expect_as_before(&self) {
        assert_eq!(things(&self.stage), self.things);
        self.stage.expect_no_violations();
    }
}

/// All that exists, with its tags.
fn things(stage: &EksStage) -> BTreeMap<String, Value> {
    stage.aws.inventory().iter().map(|thing| (title(thing), thing["tags"].clone())).collect()
}

#[test]
fn in_a_network_of_somebody_else_an_environment_comes_and_goes_and_nothing_of_that_is_touched() {
    let theirs = Theirs::new();
    theirs.stage.declare(&theirs.in_it());
    theirs.stage.up().expect(0);
    let mine = theirs.stage.cluster()["resourcesVpcConfig"]["subnetIds"].clone();
    assert_eq!(mine, json!(theirs.subnets));
    assert_eq!(theirs.stage.group("general")["subnets"], json!(theirs.subnets));
    let before = theirs.stage.last();
    theirs.stage.up().expect(0);
    assert_eq!(theirs.stage.changes(before), Vec::<String>::new());
    let now = things(&theirs.stage);
    let changed: Vec<&String> =
        theirs.things.iter().filter(|(id, tags)| now.get(*id) != Some(*tags)).map(|(id, _)| id).collect();
    assert_eq!(changed, Vec::<&String>::new());

    // Its cluster is deleted by hand, and leaves something: only the profile tells where that is.
    let tags = json!({"kubernetes.io/cluster/dev": "owned"});
    let vpc = theirs.stage.cluster()["resourcesVpcConfig"]["vpcId"].clone();
    theirs.stage.aws.post("make", &json!({"kind": "balancer", "vpc": vpc, "name": "left", "tags": tags}));
    theirs.stage.cli(&["eks", "delete-nodegroup", "--cluster-name", "dev", "--nodegroup-name", "general"]);
    let has_groups = || theirs.stage.titles().iter().any(|title| title.starts_with("eks:nodegroup"));
    eventually_so("the nodes are gone", || !has_groups());
    theirs.stage.cli(&["eks", "delete-cluster", "--name", "dev"]);
    eventually_so("the cluster is gone", || theirs.stage.status().is_null());
    theirs.stage.down().expect(0);
    theirs.expect_as_before();
}

#[test]
fn a_cluster_of_somebody_else_is_taken_over_where_that_is_asked_for_and_can_be() {
    let theirs = Theirs::new();
    let stage = &theirs.stage;
    stage.aws.scenario(&json!({"iamPropagation": 0}));
    let inside = format!("subnetIds={}", theirs.subnets.join(","));
    let create = ["eks", "create-cluster", "--name", "dev", "--kubernetes-version", "1.36"];
    let with = ["--role-arn", &theirs.role, "--resources-vpc-config", &inside];
    stage.cli(&[&create[..], &with[..]].concat());
    eventually_so("their cluster is whole", || stage.status() == "ACTIVE");

    // By itself berth leaves it alone, and makes nothing beside it.
    let before = stage.last();
    let refused = |more: &[&str]| {
        let run = stage.run("up", &[&["--yes", "--timeout", "5m"], more].concat());
        one_line(&run.expect(8).said())
    };
    let said = refused(&[]);
    assert!(said.contains("berth did not make it; take it over with `--adopt`"), "{said}");
    expect_nothing_planned_but_the_conflict(stage);
    let down = stage.down().expect(0).stdout;
    assert!(down.contains("nothing of dev is there but what is kept\n  kept  EKS cluster dev"), "{down}");
    assert_eq!(stage.changes(before), Vec::<String>::new());
    // It cannot be moved to a network of berth's own.
    let said = refused(&["--adopt"]);
    assert!(said.contains("a cluster cannot move to a network of its own"), "{said}");
    let named = |subnets: &[String]| format!("write `network: {{subnets: [{}]}}`", subnets.join(", "));
    let mut sorted = theirs.subnets.clone();
    sorted.sort();
    assert!(said.contains(&named(&sorted)), "{said}");
    assert_eq!(stage.changes(before), Vec::<String>::new());

    // Where it is, it is taken over with what it has.
    stage.declare(&theirs.in_it());
    stage.run("up", &["--yes", "--timeout", "5m", "--adopt"]).expect(0);
    assert_eq!(stage.cluster()["tags"]["berth.dev/owner"], "7f3k2q9d");
    assert_eq!(stage.cluster()["roleArn"], *theirs.role);
    assert_eq!(stage.groups(), ["general"]);
    let before = stage.last();
    stage.up().expect(0);
    assert_eq!(stage.changes(before), Vec::<String>::new());
    // From then on it is one of berth's, and goes as such; what it stood on stays.
    stage.down().expect(0);
    theirs.expect_as_before();
}

/// That neither plan nor status say that anything would be made beside a cluster of somebody else.
fn expect_nothing_planned_but_the_conflict(stage: &EksStage) {
    let planned = stage.run("plan", &["--output", "json"]).expect(0);
    let plan: Value = serde_json::from_str(&planned.stdout).expect("a plan");
    assert_eq!(
        (&plan["summary"]["conflict"], &plan["summary"]["create"]),
        (&json!(1), &json!(0)),
        "{plan:#}"
    );
    let said = one_line(&stage.run("plan", &[]).expect(0).stdout);
    assert!(said.contains("1 in conflict: until that is solved `up` does none of it"), "{said}");
    let status = one_line(&stage.run("status", &[]).expect(0).stdout);
    assert!(status.contains("shows what is in the way of `berth up`"), "{status}");
}
