//! Stacks that others left, or a run that was killed, in whole runs of the real binary: none of them is a dead end, and
//! each tells why it came to that. Nobody may make control planes here, so that each run is short.

use serde_json::{Value, json};

use super::support::eks::{Moment, REGION, eventually_so, one_line};
use super::support::{EksProfile, EksStage};

const TAGS: [&str; 3] =
    ["--tags", "Key=berth.dev/owner,Value=7f3k2q9d", "Key=berth.dev/environment,Value=dev"];

struct Stacks(EksStage);

impl Stacks {
    fn new(profile: &EksProfile) -> Self {
        let stage = EksStage::at_speed(600, profile);
        stage.aws.scenario(&json!({"deny": ["eks:CreateCluster"]}));
        Self(stage)
    }

    /// The status of the stack; empty when there is none.
    fn status(&self) -> String {
        let things = self.0.aws.inventory();
        let stack = things.iter().find(|thing| thing["kind"] == "cloudformation:stack");
        stack.and_then(|stack| stack["state"].as_str()).unwrap_or_default().to_string()
    }

    #[track_caller]
    fn becomes(&self, status: &str) {
        eventually_so(&format!("the stack is {status}"), || self.status() == status);
    }

    /// Lets resources of the stack fail.
    fn stuck(&self, rules: &[(&str, &str, &str)]) {
        let rule = |(id, on, reason): &(&str, &str, &str)| json!({"logicalId": id, "on": on, "reason": reason, "times": 1});
        self.0.aws.scenario(&json!({"stuckResources": rules.iter().map(rule).collect::<Vec<_>>()}));
    }

    /// Somebody makes a stack of our name with our mark, with the settings of the console.
    fn make(&self) {
        let subnet = json!({"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.0.0.0/24", "AvailabilityZone": format!("{REGION}a")});
        let template = json!({"Resources": {
            "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}},
            "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": subnet},
        }});
        let text = template.to_string();
        let create =
            ["cloudformation", "create-stack", "--stack-name", "berth-dev", "--template-body", &text];
        self.0.aws.cli(REGION, &[&create[..], &TAGS[..]].concat());
    }

    /// Somebody updates it, with the settings of the console.
    fn update(&self) {
        let found = self.0.cli(&["cloudformation", "get-template", "--stack-name", "berth-dev"]);
        let mut template = found["TemplateBody"].clone();
        template["Resources"]["Vpc"]["Properties"]["EnableDnsHostnames"] = Value::Bool(false);
        let text = template.to_string();
        let update =
            ["cloudformation", "update-stack", "--stack-name", "berth-dev", "--template-body", &text];
        self.0.cli(&[&update[..], &["--capabilities", "CAPABILITY_NAMED_IAM"]].concat());
    }

    fn delete(&self) {
        self.0.cli(&["cloudformation", "delete-stack", "--stack-name", "berth-dev"]);
    }

    /// `up` tells the reason, and brings the stack to where the control plane could begin.
    #[track_caller]
    fn comes_up(&self, reason: &str) {
        let up = self.0.up().expect(4);
        let said = one_line(&up.said());
        assert!(said.contains(reason), "{reason}: {said}");
        assert!(said.contains("eks:CreateCluster"), "{said}");
        let status = self.status();
        assert!(
            matches!(status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "UPDATE_ROLLBACK_COMPLETE"),
            "{status}"
        );
        // Nothing is left to be changed of it.
        let plan = one_line(&self.0.run("plan", &[]).expect(0).stdout);
        assert!(!plan.contains("berth-dev"), "{plan}");
    }

    #[track_caller]
    fn goes(&self) {
        self.0.down().expect(0);
        self.0.expect_left(&[]);
    }
}

#[test]
fn a_stack_that_somebody_left_in_any_state_is_brought_up_and_goes() {
    let stacks = Stacks::new(&EksProfile::new("{name: general, machine: m7i.large, nodes: 1}"));

    // Made and taken back, whole and half.
    let no_luck = ("Subnet", "create", "no such luck");
    stacks.stuck(&[no_luck]);
    stacks.make();
    stacks.becomes("ROLLBACK_COMPLETE");
    stacks.goes();
    stacks.stuck(&[no_luck, ("Vpc", "delete", "it is held")]);
    stacks.make();
    stacks.becomes("ROLLBACK_FAILED");
    stacks.comes_up("what is left of the last one is removed first: subnet `Subnet`: no such luck");

    // Updated and taken back, whole and half.
    stacks.stuck(&[("Vpc", "update", "it cannot be changed")]);
    stacks.update();
    stacks.becomes("UPDATE_ROLLBACK_COMPLETE");
    let half = [("Vpc", "update", "it cannot be changed"), ("Vpc", "rollback", "it cannot be changed back")];
    stacks.stuck(&half);
    stacks.update();
    stacks.becomes("UPDATE_ROLLBACK_FAILED");
    stacks.comes_up("an update of it was taken back, and not to the end: VPC `Vpc`: it cannot be changed");
    stacks.stuck(&half);
    stacks.update();
    stacks.becomes("UPDATE_ROLLBACK_FAILED");
    stacks.goes();

    // Looked at by a change set, and never made; then deleted, and not whole.
    let tags = json!({"berth.dev/owner": "7f3k2q9d", "berth.dev/environment": "dev"});
    stacks.0.aws.post("make", &json!({"kind": "stack", "name": "berth-dev", "tags": tags}));
    stacks.comes_up("stack `berth-dev` is REVIEW_IN_PROGRESS");
    stacks.stuck(&[("Vpc", "delete", "it is held")]);
    stacks.delete();
    stacks.becomes("DELETE_FAILED");
    stacks.comes_up("what is left of the last one is removed first: VPC `Vpc`: it is held");
    stacks.stuck(&[("Vpc", "delete", "it is held")]);
    stacks.delete();
    stacks.becomes("DELETE_FAILED");
    stacks.goes();
}

#[test]
fn a_stack_that_is_not_shown_yet_is_not_made_twice_after_a_kill() {
    let profile =
        EksProfile::new("{name: general, machine: m7i.large, nodes: 1}").with_cluster("logging: [audit]");
    let stacks = Stacks::new(&profile);
    stacks.0.aws.scenario(
        &json!({"lag": {"cloudformation:DescribeStacks": 3000, "cloudformation:ListStackResources": 3000}}),
    );
    let killed = stacks.0.killed_at("up", &[], 1, Moment::After);
    assert_eq!(killed.code, None);
    let named = |kind: &str| stacks.0.titles().iter().filter(|title| title.starts_with(kind)).count();
    // Its log group is there before it is shown, and is none of an earlier cluster.
    eventually_so("its log group is there", || named("logs:log-group") == 1);
    let up = stacks.0.up().expect(4);
    assert!(one_line(&up.said()).contains("eks:CreateCluster"), "{}", up.said());
    assert_eq!((named("cloudformation:stack"), named("ec2:vpc "), named("logs:log-group")), (1, 1, 1));
    stacks.0.aws.scenario(
        &json!({"lag": {"cloudformation:DescribeStacks": 0, "cloudformation:ListStackResources": 0}}),
    );
    stacks.goes();
}
