//! The policy that berth needs on AWS (docs/reference/iam-policy.json, `clouds::aws::rights`): each right of it is denied
//! once, and the run that lacks it says so with the statement that gives it.

mod cluster;
mod lacking;
mod network;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use berth::clouds::aws::rights::{Condition, Part, STATEMENTS, Statement, document};
use serde_json::{Value, json};

/// Rights that no run here fails for want of, each with its reason.
const BESIDE: [(&str, &str); 1] = [(
    "iam:GetRolePolicy",
    "the schema of AWS::IAM::Role lists it among the rights to make and to read one; AWS does not say when it asks for it, and \
     the stand-in never does",
)];

/// By whom rights are denied one after the other.
const DENIED: [&[&str]; 10] = [
    network::MADE,
    network::CHANGED,
    network::REMOVED,
    network::SPARED,
    network::LOGS,
    cluster::MADE,
    cluster::CHANGED,
    cluster::REMOVED,
    cluster::SPARED,
    cluster::WAITED,
];

#[test]
fn every_right_is_denied_somewhere_or_it_is_said_why_not() {
    let given: BTreeSet<&str> = STATEMENTS.iter().flat_map(|statement| statement.actions).copied().collect();
    let denied: BTreeSet<&str> = DENIED.into_iter().flatten().copied().collect();
    let explained: BTreeSet<&str> = BESIDE.iter().map(|(action, _)| *action).collect();
    let open: Vec<_> =
        given.iter().filter(|action| !denied.contains(*action) && !explained.contains(*action)).collect();
    assert!(open.is_empty(), "nothing denies them, and nothing says why: {open:#?}");
    let both: Vec<_> = denied.intersection(&explained).collect();
    assert!(both.is_empty(), "denied and explained: {both:#?}");
    let gone: Vec<_> = explained.difference(&given).collect();
    assert!(gone.is_empty(), "explained, and not in the policy: {gone:#?}");
}

/// Without white space: 6,144 characters for a managed policy, 10,240 for all within a role.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
#[test]
fn the_policy_fits_into_a_role_and_its_halves_into_managed_policies() {
    assert!(whole().to_string().len() <= 10_240, "{}", whole().to_string().len());
    for part in [Part::Look, Part::Change] {
        let length = part.policy().to_string().len();
        assert!(length <= 6_144, "{part:?}: {length}");
    }
}

/// AWS's own checker knows every action, and which resources each can be given for.
#[test]
fn the_policies_pass_the_checker_of_aws() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("policies.json");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/aws-fake");
    let check = |policy: &Value| {
        let resource = json!({"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": policy}});
        let template = json!({"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Policy": resource}});
        std::fs::write(&path, template.to_string()).expect("the folder is ours");
        let checked = Command::new(&script)
            .args(["--run", "cfn-lint", "--include-checks", "I", "--regions", "eu-central-1", "--template"])
            .arg(&path)
            .output()
            .expect("scripts/aws-fake runs");
        String::from_utf8_lossy(&checked.stdout).into_owned()
    };
    assert_eq!(check(&whole()), "");
    // It would tell.
    let wrong = json!({"Effect": "Allow", "Action": "eks:MakeCluster", "Resource": "*"});
    assert!(check(&document([wrong])).contains("makecluster"));
}

#[test]
fn what_only_stacks_make_is_given_to_nobody_else() {
    let by_stacks = |action: &str| {
        let of_action = STATEMENTS.iter().filter(|statement| statement.actions.contains(&action));
        of_action.clone().count() == 1
            && of_action.clone().all(|one| one.conditions.contains(&Condition::ByStacks))
    };
    for action in
        ["ec2:CreateVpc", "ec2:DeleteVpc", "iam:CreateRole", "iam:PutRolePolicy", "logs:CreateLogGroup"]
    {
        assert!(by_stacks(action), "{action}");
    }
}

fn whole() -> Value {
    document(STATEMENTS.iter().map(Statement::whole))
}
