//! What needs a control plane: the cluster and all of its parts. Network and registry are others' (`network`).

use serde_json::{Value, json};

use super::lacking::{Lacking, changing};
use super::network;
use crate::support::eks::eventually_so;
use crate::support::{EksProfile, EksStage};

const UP: [&str; 3] = ["up", "dev", "--yes"];
const SPEED: u32 = 480;
/// One node at once, more when they are needed.
const GENERAL: &str = "{name: general, machine: m7i.large, nodes: {min: 1, max: 3}, labels: {team: web}}";
const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-1111-2222-333344445555";

/// What it takes to make a cluster and its parts, and to look at them.
pub const MADE: &[&str] = &[
    "autoscaling:CreateOrUpdateTags",
    "autoscaling:DescribeAutoScalingGroups",
    "ec2:RunInstances",
    "eks:AssociateAccessPolicy",
    "eks:CreateAccessEntry",
    "eks:CreateAddon",
    "eks:CreateCluster",
    "eks:CreateNodegroup",
    "eks:CreatePodIdentityAssociation",
    "eks:DescribeAccessEntry",
    "eks:DescribeAddon",
    "eks:DescribeAddonVersions",
    "eks:DescribeNodegroup",
    "eks:DescribePodIdentityAssociation",
    "eks:ListAccessEntries",
    "eks:ListAddons",
    "eks:ListAssociatedAccessPolicies",
    "eks:ListNodegroups",
    "eks:ListPodIdentityAssociations",
    "eks:TagResource",
    "iam:CreateServiceLinkedRole",
    "iam:PassRole",
];
/// What it takes besides to change them.
pub const CHANGED: &[&str] = &[
    "autoscaling:DeleteTags",
    "eks:AssociateEncryptionConfig",
    "eks:DeleteAccessEntry",
    "eks:DeleteAddon",
    "eks:DeletePodIdentityAssociation",
    "eks:DescribeUpdate",
    "eks:DisassociateAccessPolicy",
    "eks:UpdateAccessEntry",
    "eks:UpdateAddon",
    "eks:UpdateClusterConfig",
    "eks:UpdateClusterVersion",
    "eks:UpdateNodegroupConfig",
    "eks:UpdateNodegroupVersion",
    "eks:UpdatePodIdentityAssociation",
];
/// What it takes besides to remove them.
pub const REMOVED: &[&str] = &["ec2:DescribeInstances", "eks:DeleteCluster", "eks:DeleteNodegroup"];

/// What a change goes without: it says what it could not ask for.
pub const SPARED: &[&str] = &["eks:ListInsights", "ssm:GetParameters"];

/// What a wait goes without: it cannot tell why no machine comes.
pub const WAITED: &[&str] = &["autoscaling:DescribeScalingActivities"];

/// What it takes for network and registry, which is denied elsewhere.
const GROUND: &[&[&str]] = &[network::MADE, network::CHANGED, network::REMOVED];

#[test]
fn whoever_may_make_no_cluster_is_told_right_by_right_until_one_stands_and_is_gone() {
    let stage = EksStage::at_speed(SPEED, &EksProfile::new(GENERAL));
    // Machines that are gone are shown as long as this takes.
    stage.aws.scenario(&json!({"deletedStay": 1_000_000}));
    // Roles of EKS are made with the first cluster and the first node group of an account.
    let mut caller = Lacking::all(&stage, None).but(GROUND).also(&["iam:CreateServiceLinkedRole"]);
    caller.until_done(&UP);
    caller.expect_named(MADE);
    let mut caller = Lacking::all(&stage, None).but(GROUND).but(&[MADE]);
    caller.until_done(&["down", "dev", "--yes"]);
    caller.expect_named(REMOVED);
    stage.expect_left(&[]);
}

#[test]
fn a_wait_goes_on_without_the_right_to_ask_why_no_machine_comes() {
    let stage = EksStage::at_speed(SPEED, &EksProfile::new("{name: general, machine: m7i.large, nodes: 1}"));
    let caller = Lacking::all(&stage, None);
    stage.aws.scenario(&json!({
        "deny": WAITED,
        "typeWithoutCapacity": {"m7i.large": ["*"]},
        // AWS gives up a group without machines: not before this is over.
        "durations": {"eks.nodegroup.fail": 1_000_000},
    }));
    let running = stage.start("up");
    eventually_so("it asks why", || stage.calls(0).iter().any(|call| call == "DescribeScalingActivities"));
    stage.aws.scenario(&json!({"typeWithoutCapacity": {"m7i.large": []}}));
    running.finish().expect(0);
    caller.expect_spared(WAITED);
}

#[test]
fn changes_of_a_cluster_name_the_rights_that_they_lack() {
    let extra = "{name: extra, machine: c7i.large, nodes: 1}";
    let first = EksProfile::new(&format!("{GENERAL}, {extra}"));
    let stage = EksStage::at_speed(SPEED, &first);
    let guests = "groups:\n    guests: {eks: [\"arn:aws:iam::123456789012:role/stranger\"]}";
    let text = first.text().replace("version: \"1.36\"", "version: \"1.35\"").replace("groups:", guests);
    stage.berth.profile("dev", &text);
    stage.aws.scenario(&json!({"eksAddonFails": {"aws-ebs-csi-driver": "a role is missing"}}));
    stage.up().expect(6);
    stage.aws.scenario(&json!({"eksAddonFails": {"aws-ebs-csi-driver": null}}));
    let autoscaler = ["--cluster-name", "dev"];
    let list = ["eks", "list-pod-identity-associations", "--namespace", "cluster-autoscaler"];
    let found = stage.cli(&[&list, &autoscaler[..]].concat());
    let id = found["associations"][0]["associationId"].as_str().expect("an id").to_string();
    let roles = stage.aws.inventory();
    let is_other = |one: &&Value| one["id"].as_str().is_some_and(|id| id.ends_with("-ebs-csi"));
    let role = roles.iter().find(is_other).and_then(|one| one["arn"].as_str()).expect("a role").to_string();
    let change = ["eks", "update-pod-identity-association", "--association-id", &id, "--role-arn", &role];
    stage.cli(&[&change, &autoscaler[..]].concat());
    // A new version, another administrator, guests that go, a key, logs, other labels, a group less.
    let other = GENERAL.replace("team: web", "tier: front").replace("max: 3", "max: 4");
    let changed = EksProfile::new(&other)
        .with_cluster(&format!("logging: [audit], secretsKey: \"{KEY}\""))
        .with("protected: true");
    let text = changed
        .text()
        .replace("admins: [platform]", "admins: [builders]")
        .replace("developers:", "builders:");
    stage.berth.profile("dev", &text);
    let mut caller = Lacking::all(&stage, None).but(GROUND).but(&[MADE]);
    caller.until_done(&UP);
    // Nothing that adds nodes any more.
    stage.berth.profile("dev", &text.replace("{min: 1, max: 4}", "1"));
    caller.until_done(&UP);
    caller.until_done(&["plan", "dev"]);
    caller.expect_named(CHANGED);
    caller.expect_spared(SPARED);
    // Whoever may only look sees all of it.
    stage.aws.scenario(&json!({"deny": changing()}));
    stage.run("plan", &["--detailed-exitcode"]).expect(0);
    stage.run("status", &[]).expect(0);
    stage.expect_no_violations();
}
