//! docs/reference/iam-policy.json is what berth needs on AWS: held against the rights that a run of it needed, those
//! that `CloudFormation` needs in its name among them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::support::eks::one_line;
use super::support::{EksProfile, EksStage};

/// Rights of the policy that this run does not need, by the reason.
const BEYOND: [(&str, &[&str]); 6] = [
    (
        "AWS asks for them beside the call's own, the stand-in does not \
         <https://docs.aws.amazon.com/service-authorization/latest/reference/list_eks.html>",
        &[
            "cloudformation:TagResource",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:RunInstances",
            "ecr:TagResource",
            "eks:CreatePodIdentityAssociation",
            "eks:DeletePodIdentityAssociation",
            "eks:DescribePodIdentityAssociation",
            "eks:TagResource",
            "eks:UpdatePodIdentityAssociation",
            "iam:CreateServiceLinkedRole",
            "iam:ListRoleTags",
            "iam:PassRole",
            "iam:UntagRole",
        ],
    ),
    (
        "a change of the profile needs them",
        &[
            "cloudformation:UpdateStack",
            "cloudformation:UpdateTerminationProtection",
            "ec2:CreateLaunchTemplateVersion",
            "ec2:ModifyVpcEndpoint",
            "ec2:ReplaceRoute",
            "ecr:DeleteRepositoryPolicy",
            "ecr:PutImageScanningConfiguration",
            "ecr:PutImageTagMutability",
            "ecr:SetRepositoryPolicy",
            "eks:AssociateEncryptionConfig",
            "eks:DeleteAccessEntry",
            "eks:DescribeUpdate",
            "eks:DisassociateAccessPolicy",
            "eks:ListInsights",
            "eks:UpdateAccessEntry",
            "eks:UpdateAddon",
            "eks:UpdateClusterConfig",
            "eks:UpdateClusterVersion",
            "eks:UpdateNodegroupConfig",
            "eks:UpdateNodegroupVersion",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
        ],
    ),
    (
        "pull-through caches and groups with GPUs need them, logins and lists of images do",
        &[
            "ecr:CreatePullThroughCacheRule",
            "ecr:CreateRepositoryCreationTemplate",
            "ecr:DeletePullThroughCacheRule",
            "ecr:DeleteRepositoryCreationTemplate",
            "ecr:DescribeImages",
            "ecr:DescribePullThroughCacheRules",
            "ecr:DescribeRepositoryCreationTemplates",
            "ecr:GetAuthorizationToken",
            "ecr:UpdatePullThroughCacheRule",
            "servicequotas:GetServiceQuota",
        ],
    ),
    (
        "a range of nodes needs them, and the role of what scales it",
        &[
            "autoscaling:CreateOrUpdateTags",
            "autoscaling:DeleteTags",
            "autoscaling:DescribeAutoScalingGroups",
            "eks:ListPodIdentityAssociations",
            "iam:DeleteRolePolicy",
            "iam:PutRolePolicy",
        ],
    ),
    (
        "a stack that failed needs them, and a wait that lasts",
        &[
            "autoscaling:DescribeScalingActivities",
            "cloudformation:ContinueUpdateRollback",
            "cloudformation:DescribeStackEvents",
            "cloudformation:GetTemplate",
            "eks:DeleteAddon",
        ],
    ),
    (
        "what a cluster left behind needs them, and that is not the same in each run",
        &[
            "ec2:DeleteNetworkInterface",
            "ec2:DeleteSecurityGroup",
            "ec2:DeleteVolume",
            "ec2:DeleteVpcEndpoints",
            "ec2:DescribeInstances",
            "ec2:DescribeVolumes",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
            "elasticloadbalancing:DeleteLoadBalancer",
            "elasticloadbalancing:DeleteTargetGroup",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeTags",
            "elasticloadbalancing:DescribeTargetGroups",
        ],
    ),
];

/// By this `CloudFormation` is known in a call that it makes for somebody.
const THROUGH_STACKS: &str = "aws:CalledVia";

fn policy() -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reference/iam-policy.json");
    serde_json::from_str(&fs::read_to_string(path).expect("it is there")).expect("JSON")
}

fn actions(statement: &Value) -> BTreeSet<String> {
    serde_json::from_value(statement["Action"].clone()).expect("a list of actions")
}

#[test]
fn the_policy_has_the_rights_that_up_status_and_down_need_and_no_others() {
    let profile = EksProfile::new("{name: general, machine: m7i.large, nodes: 1}")
        .with_cluster("logging: [audit]")
        .with("registry:\n  ecr: {repositories: [{name: checkout/api, keep: 10}]}")
        .with("addons: {traefik: {}}");
    let EksStage { aws, berth } = EksStage::new(&profile);
    berth.run(&["up", "dev", "--yes", "--timeout", "5m"]).expect(0);
    berth.run(&["status", "dev"]).expect(0);
    berth.run(&["down", "dev", "--yes", "--registries", "--timeout", "5m"]).expect(0);

    let policy = policy();
    let statements = policy["Statement"].as_array().expect("statements");
    let given: BTreeSet<String> = statements.iter().flat_map(actions).collect();
    let needed: BTreeSet<String> = serde_json::from_value(aws.get("rights")).expect("a list of actions");
    let missing: Vec<&String> = needed.difference(&given).collect();
    assert_eq!(missing, Vec::<&String>::new(), "not in the policy");
    let beyond: BTreeSet<&str> = BEYOND.iter().flat_map(|(_, rights)| *rights).copied().collect();
    let idle: Vec<&String> =
        given.difference(&needed).filter(|right| !beyond.contains(right.as_str())).collect();
    assert_eq!(idle, Vec::<&String>::new(), "in the policy, and nothing needs it");

    // What only CloudFormation may do, berth does not do itself.
    let by_stacks: BTreeSet<String> = statements
        .iter()
        .filter(|statement| statement["Condition"]["ForAnyValue:StringEquals"][THROUGH_STACKS].is_string())
        .flat_map(actions)
        .collect();
    assert!(by_stacks.contains("ec2:CreateVpc") && by_stacks.contains("iam:CreateRole"));
    let (calls, _) = aws.calls(0);
    let name = |call: &Value| {
        format!(
            "{}:{}",
            call["service"].as_str().unwrap_or_default(),
            call["action"].as_str().unwrap_or_default()
        )
    };
    let own: Vec<String> = calls.iter().map(name).filter(|call| by_stacks.contains(call)).collect();
    assert_eq!(own, Vec::<String>::new());
}

#[test]
fn the_policy_fits_into_a_role() {
    // Without white space, 10,240 characters for all policies within a role:
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    assert!(policy().to_string().len() <= 10_240);
}

/// An environment comes up and goes without a single right of berth's own at first. Each run names some of those that
/// it lacks; with these the next goes on where it stopped.
#[test]
fn each_right_that_is_missing_is_named_with_the_policy_that_gives_it() {
    let profile = EksProfile::new("{name: general, machine: m7i.large, nodes: 1}")
        .with_cluster("logging: [audit]")
        .with("registry:\n  ecr: {repositories: [{name: checkout/api, keep: 10}]}");
    let EksStage { aws, berth } = EksStage::at_speed(480, &profile);
    let policy = policy();
    let statements = policy["Statement"].as_array().expect("statements");
    // What only CloudFormation does is told by the stack, one resource at a time.
    let own = statements
        .iter()
        .filter(|one| one["Condition"]["ForAnyValue:StringEquals"][THROUGH_STACKS].is_null());
    let mut lacking: BTreeSet<String> = own.flat_map(actions).collect();
    let mut named: BTreeSet<String> = BTreeSet::new();
    for command in [&["up", "dev", "--yes"][..], &["down", "dev", "--yes", "--registries"]] {
        loop {
            aws.scenario(&json!({"deny": lacking}));
            // Without node groups the addons that need a node are waited for, for a minute: the next run goes on.
            let ended = berth.run(&[command, &["--timeout", "20s"]].concat());
            if ended.code == Some(0) {
                break;
            }
            let said = one_line(&ended.said());
            let is_told = |right: &&String| said.contains(&format!("\"Action\": \"{right}\""));
            let told: BTreeSet<String> = lacking.iter().filter(is_told).cloned().collect();
            assert!(!told.is_empty() || ended.code == Some(7), "{}", ended.said());
            lacking.retain(|right| !told.contains(right));
            named.extend(told);
        }
    }
    for right in [
        "cloudformation:CreateStack",
        "cloudformation:DeleteStack",
        "ecr:CreateRepository",
        "ecr:DeleteRepository",
        "eks:AssociateAccessPolicy",
        "eks:CreateAccessEntry",
        "eks:CreateAddon",
        "eks:CreateCluster",
        "eks:CreateNodegroup",
        "eks:DeleteCluster",
        "eks:DeleteNodegroup",
        "iam:GetRole",
        "sts:GetCallerIdentity",
        "tag:GetResources",
    ] {
        assert!(named.contains(right), "{right}: {named:?}");
    }
    aws.scenario(&json!({"deny": []}));
    assert_eq!(aws.inventory(), Vec::<Value>::new());
}
