//! What needs no control plane: network and roles, repositories, and what a cluster left behind that is gone. The right
//! to make a cluster is never given.

use serde_json::{Value, json};

use super::lacking::{Lacking, changing};
use crate::support::eks::eventually_so;
use crate::support::{EksProfile, EksStage};

const NEVER: &str = "eks:CreateCluster";
const GENERAL: &str = "{name: general, machine: m7i.large, nodes: 1, zones: [a, b]}";
/// AWS's durations are divided by this: nothing here is waited for but by berth.
const SPEED: u32 = 600;

const UP: [&str; 3] = ["up", "dev", "--yes"];

const REGISTRY: &str = "registry:
  ecr:
    repositories:
      - {name: checkout/api, keep: 10, pull: [\"210987654321\"]}
      - {name: secret, kmsKey: \"arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000001\"}
    pullThrough:
      - {from: quay.io}
      - {from: docker.io, secret: \"arn:aws:secretsmanager:eu-central-1:123456789012:secret:ecr-pullthroughcache/one-AbCdEf\"}";

/// What it takes to make network and registry, and to look at them.
pub const MADE: &[&str] = &[
    "cloudformation:CreateStack",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStacks",
    "cloudformation:GetTemplate",
    "cloudformation:ListStackResources",
    "cloudformation:TagResource",
    "cloudformation:UpdateStack",
    "ec2:AllocateAddress",
    "ec2:AssociateRouteTable",
    "ec2:AttachInternetGateway",
    "ec2:CreateInternetGateway",
    "ec2:CreateLaunchTemplate",
    "ec2:CreateNatGateway",
    "ec2:CreateRoute",
    "ec2:CreateRouteTable",
    "ec2:CreateSubnet",
    "ec2:CreateTags",
    "ec2:CreateVpc",
    "ec2:CreateVpcEndpoint",
    "ec2:DescribeAddresses",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeNatGateways",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcs",
    "ec2:ModifySubnetAttribute",
    "ec2:ModifyVpcAttribute",
    "ecr:CreatePullThroughCacheRule",
    "ecr:CreateRepository",
    "ecr:CreateRepositoryCreationTemplate",
    "ecr:DescribeImages",
    "ecr:DescribePullThroughCacheRules",
    "ecr:DescribeRepositories",
    "ecr:DescribeRepositoryCreationTemplates",
    "ecr:GetAuthorizationToken",
    "ecr:GetLifecyclePolicy",
    "ecr:GetRepositoryPolicy",
    "ecr:ListTagsForResource",
    "ecr:PutLifecyclePolicy",
    "ecr:SetRepositoryPolicy",
    "ecr:TagResource",
    "eks:DescribeCluster",
    "eks:DescribeClusterVersions",
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:CreateServiceLinkedRole",
    "iam:GetRole",
    "iam:PutRolePolicy",
    "iam:TagRole",
    "kms:CreateGrant",
    "kms:DescribeKey",
    "kms:RetireGrant",
    "logs:CreateLogGroup",
    "logs:DescribeLogGroups",
    "logs:PutRetentionPolicy",
    "logs:TagResource",
    "tag:GetResources",
];
/// What it takes besides to change them.
pub const CHANGED: &[&str] = &[
    "cloudformation:ContinueUpdateRollback",
    "cloudformation:UpdateTerminationProtection",
    "ec2:CreateLaunchTemplateVersion",
    "ec2:DeleteTags",
    "ec2:ModifyVpcEndpoint",
    "ec2:ReplaceRoute",
    "ecr:DeleteRepositoryPolicy",
    "ecr:PutImageScanningConfiguration",
    "ecr:PutImageTagMutability",
    "ecr:UpdatePullThroughCacheRule",
    "iam:DetachRolePolicy",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
    "logs:UntagResource",
];
/// What it takes besides to remove them, and what clusters leave.
pub const REMOVED: &[&str] = &[
    "cloudformation:DeleteStack",
    "ec2:DeleteInternetGateway",
    "ec2:DeleteLaunchTemplate",
    "ec2:DeleteNatGateway",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteRoute",
    "ec2:DeleteRouteTable",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteSubnet",
    "ec2:DeleteVolume",
    "ec2:DeleteVpc",
    "ec2:DeleteVpcEndpoints",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeVolumes",
    "ec2:DetachInternetGateway",
    "ec2:DisassociateRouteTable",
    "ec2:ReleaseAddress",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    "ecr:DeletePullThroughCacheRule",
    "ecr:DeleteRepository",
    "ecr:DeleteRepositoryCreationTemplate",
    "elasticloadbalancing:DeleteLoadBalancer",
    "elasticloadbalancing:DeleteTargetGroup",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTags",
    "elasticloadbalancing:DescribeTargetGroups",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "logs:DeleteLogGroup",
];

/// What it takes to see whose logs stand where the control plane is to write its own.
pub const LOGS: &[&str] = &["logs:ListTagsForResource"];

/// What is gone without: it is said of what could not be asked for.
pub const SPARED: &[&str] = &["servicequotas:GetServiceQuota"];

fn profile() -> EksProfile {
    EksProfile::new(GENERAL).with_cluster("logging: [audit]").with(REGISTRY)
}

/// Makes network and registry.
fn stand(stage: &EksStage) {
    stage.aws.scenario(&json!({"deny": [NEVER]}));
    stage.up().expect(4);
}

/// What `aws cloudformation` says of the stack.
fn stack(stage: &EksStage, arguments: &[&str]) -> Value {
    let (call, more) = arguments.split_first().expect("a call");
    let named = ["cloudformation", call, "--stack-name", "berth-dev"];
    stage.aws.cli("us-east-1", &[&named, more].concat())
}

#[test]
fn whoever_may_nothing_is_told_right_by_right_until_network_and_registry_stand() {
    let stage = EksStage::at_speed(SPEED, &profile());
    // Whoever may only look can plan it.
    stage.aws.scenario(&json!({"deny": changing()}));
    stage.run("plan", &["--detailed-exitcode"]).expect(2);
    let mut caller = Lacking::all(&stage, Some(NEVER));
    caller.until_done(&UP);
    caller.until_done(&["registry", "login", "dev", "--print-password"]);
    caller.until_done(&["registry", "list", "dev"]);
    caller.expect_named(MADE);
    caller.expect_spared(SPARED);
    stage.expect_no_violations();
}

#[test]
fn changes_of_network_and_registry_name_the_rights_that_they_lack() {
    // A region with more zones than a network begins with.
    let stage = EksStage::at_speed(SPEED, &profile());
    stage.aws.post("reset", &json!({"region": "us-east-1"}));
    let declare = |profile: &EksProfile| {
        stage.berth.profile("dev", &profile.text().replace("eu-central-1", "us-east-1"));
    };
    declare(&profile());
    stand(&stage);
    // Somebody changed it by hand, and that was taken back half.
    let mut template = stack(&stage, &["get-template"])["TemplateBody"].take();
    template["Resources"]["Vpc"]["Properties"]["EnableDnsHostnames"] = false.into();
    stage.aws.scenario(&json!({"stuckResources": [
        {"logicalId": "Vpc", "on": "update", "reason": "it cannot be changed", "times": 1},
        {"logicalId": "Vpc", "on": "rollback", "reason": "it cannot be changed back", "times": 1},
    ]}));
    let body = template.to_string();
    stack(&stage, &["update-stack", "--capabilities", "CAPABILITY_NAMED_IAM", "--template-body", &body]);
    eventually_so("it is taken back half", || {
        stage.aws.inventory().iter().any(|one| one["state"] == "UPDATE_ROLLBACK_FAILED")
    });
    let mut caller = Lacking::all(&stage, Some(NEVER));
    // Another zone, a gateway in each, other machines, a role more; repositories that are otherwise.
    let larger = "{name: general, machine: m7i.large, nodes: 1, disk: 200Gi, zones: [a, b, c, d]}";
    let scaled = "{name: more, machine: m7i.large, nodes: {min: 1, max: 3}}";
    let registry = REGISTRY
        .replace(", pull: [\"210987654321\"]", ", scanOnPush: false")
        .replace("keep: 10", "keep: 20, immutable: true")
        .replace("one-AbCdEf", "two-AbCdEf");
    let changed = EksProfile::new(&format!("{larger}, {scaled}"))
        .with_cluster("logging: [audit], network: {nat: per-zone}")
        .with(&registry)
        .with("protected: true");
    declare(&changed);
    caller.until_done(&UP);
    change_by_hand(&stage);
    // Nodes that EKS makes, nothing pulled through, and one gateway.
    let auto = EksProfile::new("").with_cluster("logging: [audit], autoMode: true, network: {nat: single}");
    declare(&auto);
    caller.until_done(&UP);
    caller.expect_named(CHANGED);
    stage.expect_no_violations();
}

/// Changes what a profile never does: what a role says of itself, who may take it, and what carries tags.
fn change_by_hand(stage: &EksStage) {
    stage.aws.scenario(&json!({"deny": [NEVER]}));
    let mut template = stack(stage, &["get-template"])["TemplateBody"].take();
    let resources = &mut template["Resources"];
    for logical in ["ClusterRole", "LogGroup", "Vpc"] {
        let tags = resources[logical]["Properties"]["Tags"].as_array_mut().expect("the mark of the owner");
        tags.push(json!({"Key": "by", "Value": "hand"}));
    }
    let role = &mut resources["ClusterRole"]["Properties"];
    role["Description"] = json!("changed by hand");
    role["AssumeRolePolicyDocument"]["Statement"][0]["Sid"] = json!("ByHand");
    let body = template.to_string();
    stack(stage, &["update-stack", "--capabilities", "CAPABILITY_NAMED_IAM", "--template-body", &body]);
    let status = || stack(stage, &["describe-stacks"])["Stacks"][0]["StackStatus"].take();
    eventually_so("it is changed by hand", || status() == "UPDATE_COMPLETE");
}

#[test]
fn whose_logs_stand_in_the_way_is_not_guessed() {
    let stage = EksStage::at_speed(SPEED, &profile());
    stage.cli(&["logs", "create-log-group", "--log-group-name", "/aws/eks/dev/cluster"]);
    let mut caller = Lacking::all(&stage, None).but(&[MADE]);
    let refused = caller.until(&UP, 8);
    assert!(refused.stderr.contains("aws logs delete-log-group"), "{}", refused.said());
    caller.expect_named(LOGS);
    assert_eq!(stage.changes(0), ["CreateLogGroup"]);
}

#[test]
fn whoever_may_nothing_is_told_right_by_right_until_nothing_is_left() {
    let stage = EksStage::at_speed(SPEED, &profile());
    stand(&stage);
    leave(&stage);
    let mut caller = Lacking::all(&stage, None);
    caller.until_done(&["down", "dev", "--registries", "--yes"]);
    caller.expect_named(REMOVED);
    stage.expect_left(&[]);
}

/// Leaves in the network what a cluster leaves there.
fn leave(stage: &EksStage) {
    let vpc = "berth.dev/owner=7f3k2q9d";
    let tags =
        json!({"kubernetes.io/cluster/dev": "owned", "CSIVolumeName": "pvc-1", "berth.dev/released": ""});
    let make = |spec: Value| {
        let mut spec = spec;
        (spec["vpc"], spec["tags"]) = (json!(vpc), tags.clone());
        stage.aws.post("make", &spec)
    };
    make(json!({"kind": "balancer", "name": "web", "targetGroup": "web"}));
    make(json!({"kind": "balancer", "name": "old", "type": "classic"}));
    make(json!({"kind": "interface"}));
    make(json!({"kind": "volume"}));
    stage.aws.post("make", &json!({"kind": "endpoint", "vpc": vpc}));
    let one = make(json!({"kind": "group", "name": "one"}));
    make(json!({"kind": "group", "name": "two", "lets": one["group"]}));
}
