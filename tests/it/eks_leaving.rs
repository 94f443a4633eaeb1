//! What leaves the profile of an environment on EKS, and what it stands on: a node group keeps its launch template, and
//! pods keep their role, until they are gone. And roles of pods that somebody changed.

use serde_json::Value;

use super::support::eks::{Moment, one_line};
use super::support::{EksProfile, EksStage};

const RANGE: &str = "{name: general, machine: m7i.large, nodes: {min: 1, max: 2}}";
const FIXED: &str = "{name: general, machine: m7i.large, nodes: 1}";
const OTHER: &str = "{name: other, machine: m7i.large, nodes: 1}";
const ROLE: &str = "arn:aws:iam::123456789012:role/berth-dev-eu-central-1-";

/// The pod identity association of a service account; null when there is none.
fn association(stage: &EksStage, account: &str) -> Value {
    let list =
        ["eks", "list-pod-identity-associations", "--cluster-name", "dev", "--service-account", account];
    let listed = stage.cli(&list);
    let Some(id) = listed["associations"][0]["associationId"].as_str() else { return Value::Null };
    let describe =
        ["eks", "describe-pod-identity-association", "--cluster-name", "dev", "--association-id", id];
    stage.cli(&describe)["association"].take()
}

/// How many things of this kind there are whose name has this in it.
fn count(stage: &EksStage, kind: &str, part: &str) -> usize {
    let named = stage.named();
    let is = |title: &&String| title.starts_with(kind) && title.contains(part);
    named.iter().filter(|(title, _)| is(title)).map(|(_, count)| count).sum()
}

#[test]
fn what_leaves_the_profile_keeps_what_it_stands_on_until_it_is_gone() {
    let stage = EksStage::at_speed(240, &EksProfile::new(&format!("{RANGE}, {OTHER}")));
    stage.up().expect(0);
    a_role_that_somebody_changed_is_mended(&stage);
    stage.declare(&EksProfile::new(FIXED));
    let plan = one_line(&stage.run("plan", &[]).expect(0).stdout);
    for told in [
        "role of cluster-autoscaler/cluster-autoscaler (no longer in the profile)",
        "no longer needed by the profile, once node group other is gone",
        "no longer needed by the profile, once the service account cluster-autoscaler/cluster-autoscaler is gone",
    ] {
        assert!(plan.contains(told), "{told}: {plan}");
    }

    // Whenever it is killed, the next run goes on, in this order.
    let before = stage.last();
    let mut kills = 0;
    while stage.killed_at("up", &[], 1, Moment::After).code.is_none() {
        kills += 1;
        assert!(kills < 20, "it does not come to its end");
    }
    // A group goes before what it stands on, which every `UpdateStack` takes out as far as it is free.
    let changes = stage.changes(before);
    let at = |call: &str| changes.iter().rposition(|change| change == call);
    let gone = at("DeleteNodegroup").max(at("DeletePodIdentityAssociation"));
    assert!(gone.is_some() && gone < at("UpdateStack"), "{changes:?}");
    assert!(changes.iter().filter(|change| *change == "UpdateStack").count() <= 2, "{changes:?}");
    assert_eq!(stage.groups(), ["general"]);
    assert_eq!((count(&stage, "ec2:launch-template", ""), count(&stage, "iam:role", "autoscaler")), (1, 0));

    // Nodes move to public subnets before their way out of the private ones goes.
    stage.declare(&EksProfile::new(FIXED).with_cluster("network: {nat: none}"));
    let plan = one_line(&stage.run("plan", &[]).expect(0).stdout);
    assert!(
        plan.contains(
            "NAT gateway `NatGatewayA` (no longer needed by the profile, once node group general is gone"
        ),
        "{plan}"
    );
    let moving = stage.last();
    stage.up().expect(0);
    assert_eq!(stage.changes(moving), ["CreateNodegroup", "DeleteNodegroup", "UpdateStack"]);
    assert_eq!((count(&stage, "ec2:natgateway", ""), count(&stage, "ec2:elastic-ip", "")), (0, 0));
    let settled = stage.last();
    stage.up().expect(0);
    assert_eq!(stage.changes(settled), Vec::<String>::new());

    let states = stage.aws.states(before);
    assert!(states.contains(&"nodegroup/dev/other DELETING".to_string()), "{states:?}");
    assert!(!states.iter().any(|state| state.contains("DEGRADED")), "{states:?}");
    stage.down().expect(0);
    stage.expect_left(&[]);
}

/// The roles of the autoscaler and of an addon of EKS.
fn a_role_that_somebody_changed_is_mended(stage: &EksStage) {
    let id = association(stage, "cluster-autoscaler")["associationId"].as_str().expect("one").to_string();
    let stranger = format!("{ROLE}vpc-cni");
    stage.cli(&[
        "eks",
        "update-pod-identity-association",
        "--cluster-name",
        "dev",
        "--association-id",
        &id,
        "--role-arn",
        &stranger,
    ]);
    let said = format!("serviceAccount=ebs-csi-controller-sa,roleArn={stranger}");
    stage.cli(&[
        "eks",
        "update-addon",
        "--cluster-name",
        "dev",
        "--addon-name",
        "aws-ebs-csi-driver",
        "--pod-identity-associations",
        &said,
    ]);
    stage.cli(&[
        "eks",
        "wait",
        "addon-active",
        "--cluster-name",
        "dev",
        "--addon-name",
        "aws-ebs-csi-driver",
    ]);
    let plan = one_line(&stage.run("plan", &["--detailed-exitcode"]).expect(2).stdout);
    for role in ["autoscaler", "ebs-csi"] {
        assert!(plan.contains(&format!("role {stranger} -> {ROLE}{role}")), "{plan}");
    }
    let before = stage.last();
    stage.up().expect(0);
    let mut changes = stage.changes(before);
    changes.sort();
    assert_eq!(changes, ["UpdateAddon", "UpdatePodIdentityAssociation"]);
    for (account, role) in [("cluster-autoscaler", "autoscaler"), ("ebs-csi-controller-sa", "ebs-csi")] {
        assert_eq!(association(stage, account)["roleArn"], format!("{ROLE}{role}"));
    }
}
