//! What an `up` on EKS waits for, and what it says meanwhile: machines that do not come, changes of somebody else. One
//! environment goes through all of it.

use serde_json::{Value, json};

use super::support::eks::{Moment, eventually_so, one_line, run_on};
use super::support::{Berth, EksProfile, EksStage};

const GENERAL: &str = "{name: general, machine: m7i.large, nodes: 1}";
/// The session of the administrators of the profile.
const PLATFORM: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "ASIAPLATFORM00000001"),
    ("AWS_SECRET_ACCESS_KEY", "platform-secret-key-of-the-stand-in-0001"),
    ("AWS_SESSION_TOKEN", "fake-token-of-platform-0001"),
];
/// What a change of somebody else is told with.
const BUSY: &str =
    "control plane UPDATING, since somebody else is changing it: `up` waits for the end of that";

#[test]
fn what_an_environment_waits_for_is_told_while_it_waits() {
    let stage = EksStage::new(&EksProfile::new(GENERAL));
    machines_that_do_not_come(&stage);
    changes_of_somebody_else(&stage);
    whoever_ran_it_before(&stage);
    stage.expect_no_violations();
}

fn machines_that_do_not_come(stage: &EksStage) {
    let without = |zones: &[&str]| stage.aws.scenario(&json!({"typeWithoutCapacity": {"m7i.large": zones}}));
    let gives_up_after = |seconds: u64| {
        stage.aws.scenario(&json!({"durations": {"eks.nodegroup.fail": seconds}}));
    };
    without(&["eu-central-1a", "eu-central-1b", "eu-central-1c"]);
    // EKS gives the group up. What needs its nodes is no failure of its own.
    let said = one_line(&stage.up().expect(6).stderr);
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    assert!(said.contains("error: cannot make node group general"), "{said}");
    let (_, not_started) = said.split_once(" not started ").expect("some were not started");
    let (not_started, _) = not_started.split_once(", since node group general failed").expect("told why");
    for waits in ["eks addon aws-ebs-csi-driver", "eks addon coredns", "node groups"] {
        assert!(not_started.contains(waits), "`{waits}` is not in: {not_started}");
    }

    // EKS does not give it up: first the scaling group says why, then EKS, and all that before the group is made.
    gives_up_after(1_000_000);
    let mut up = stage.start("up");
    up.until_told(
        "node group general: general: CREATING: Could not launch On-Demand Instances. \
         InsufficientInstanceCapacity",
    );
    gives_up_after(1);
    up.until_told("node group general: general: CREATING: AsgInstanceLaunchFailures: Could not launch");
    assert_eq!(stage.group("general")["status"], "CREATING");
    without(&[]);
    up.finish().expect(0);
    gives_up_after(600);
}

/// Begins a change of the control plane by hand.
fn change(stage: &EksStage, more: &[&str]) {
    stage.cli(&[&["eks", "update-cluster-config", "--name", "dev"], more].concat());
}

/// How the calls of berth and others that change the configuration of the control plane ended, in the order in which they
/// came since `since`.
fn changes(stage: &EksStage, since: u64) -> Vec<Value> {
    let (calls, _) = stage.aws.calls(since);
    let is_one = |call: &&Value| call["action"] == "UpdateClusterConfig";
    calls.iter().filter(is_one).map(|call| call["status"].clone()).collect()
}

fn changes_of_somebody_else(stage: &EksStage) {
    let stay = |stay: bool| stage.aws.scenario(&json!({"eksUpdatesStay": stay}));
    stay(true);
    change(stage, &["--logging", "{\"clusterLogging\": [{\"types\": [\"api\"], \"enabled\": true}]}"]);
    for (command, code) in [("plan", 0), ("status", 0)] {
        let said = one_line(&stage.run(command, &[]).expect(code).stdout);
        assert!(said.contains(BUSY), "{said}");
    }
    // What the profile wants besides comes after that.
    stage.declare(&EksProfile::new(GENERAL).with_cluster("logging: [audit]"));
    let plan = one_line(&stage.run("plan", &[]).expect(0).stdout);
    assert!(plan.contains("EKS cluster dev (once the change that goes on is over)"), "{plan}");
    let before = stage.last();
    let mut up = stage.start("up");
    up.until_told(BUSY);
    assert_eq!(changes(stage, before), Vec::<Value>::new());
    stay(false);
    up.finish().expect(0);
    assert_eq!(changes(stage, before), [200]);
    assert_eq!(stage.cluster()["logging"]["clusterLogging"][0]["types"], json!(["audit"]));

    // It may begin between the look and the call.
    stage.declare(&EksProfile::new(GENERAL));
    let hold = stage.hold_of("UpdateClusterConfig", Moment::Before);
    let before = stage.last();
    let mut up = stage.start("up");
    hold.wait();
    stay(true);
    change(stage, &["--upgrade-policy", "supportType=EXTENDED"]);
    hold.release();
    up.until_told(BUSY);
    assert_eq!(changes(stage, before), [409, 200]);
    stay(false);
    up.finish().expect(0);
    assert_eq!(changes(stage, before), [409, 200, 200, 200]);
    let before = stage.last();
    stage.up().expect(0);
    assert_eq!(stage.changes(before), Vec::<String>::new());
}

/// Whoever ran berth, and is not named by the profile, stays an administrator; whoever runs it next is told what takes
/// that away.
fn whoever_ran_it_before(stage: &EksStage) {
    let platform = PLATFORM
        .iter()
        .fold(stage.another_machine(), |berth: Berth, (key, value)| berth.with_variable(key, value));
    let plan = || one_line(&run_on(&platform, "plan", &["--detailed-exitcode"]).expect(0).stdout);
    let told =
        "ran berth and administers the cluster, though the profile does not name it; remove it with `aws ";
    let said = plan();
    let (_, command) = said.split_once(told).unwrap_or_else(|| panic!("nothing is told of them: {said}"));
    let (command, _) = command.split_once('`').expect("a whole command");
    let entries = stage.access_entries().len();
    stage.cli(&command.split(' ').collect::<Vec<_>>());
    eventually_so("their entry is gone", || stage.access_entries().len() == entries - 1);
    assert!(!plan().contains("ran berth"));
}
