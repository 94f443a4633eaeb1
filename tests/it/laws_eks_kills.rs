//! Killed at any call to AWS, the next run on EKS goes on where the last one stopped.

use serde_json::{Map, Value, json};

use super::support::eks::{Moment, run_on};
use super::support::{EksProfile, EksStage, every_point};

/// AWS's durations are divided by this: little is waited for but the control plane.
pub const SPEED: u32 = 600;

pub fn small() -> EksProfile {
    EksProfile::new("{name: general, machine: m7i.large, nodes: 1}")
}

fn with_gpus() -> EksProfile {
    EksProfile::new(
        "{name: general, machine: m7i.large, nodes: 1}, {name: gpu, machine: g6.xlarge, nodes: 1}",
    )
    .with("registry:")
    .with("  ecr:")
    .with("    repositories: [{name: checkout/api, immutable: true, keep: 10}, {name: checkout/web}]")
    .with("    pullThrough: [{from: quay.io}]")
    .with("addons: {metrics-server: {}, nvidia-device-plugin: {}}")
    .with("tenants:")
    .with("  - {name: checkout, namespaces: [checkout-ns], groups: {editor: [developers]}}")
}

/// What `with_gpus` and `small` become: control plane, network, node groups and registry change, one group is replaced.
fn changed(profile: &EksProfile) -> EksProfile {
    let mut profile = profile.clone().with_cluster("logging: [audit, api], network: {nat: per-zone}");
    profile.groups =
        profile.groups.replacen("m7i.large, nodes: 1", "m7i.xlarge, nodes: 2, labels: {team: web}", 1);
    profile.more = profile.more.replace("keep: 10", "keep: 20");
    profile
}

/// Reads that do not show what was just made, by half a second here.
fn lag(seconds: u32) -> Value {
    let reads = [
        "cloudformation:DescribeStacks",
        "ecr:DescribeRepositories",
        "eks:DescribeAccessEntry",
        "eks:DescribeAddon",
        "eks:DescribeCluster",
        "eks:DescribeNodegroup",
        "eks:ListNodegroups",
    ];
    reads.iter().map(|read| ((*read).to_string(), json!(seconds))).collect::<Map<_, _>>().into()
}

/// The commands, and what they are told besides.
const COMMANDS: [(&str, &[&str]); 2] = [("up", &[]), ("down", &["--registries"])];

/// Runs a command, killed at its 1st, then its 2nd, … changing call, until it comes to its end.
/// Returns how often it was killed.
fn staircase(stage: &EksStage, (command, more): (&str, &[&str]), moment: Moment) -> usize {
    for nth in 1..200 {
        let ended = stage.killed_at(command, more, nth, moment);
        if ended.code.is_some() {
            ended.expect(0);
            return nth - 1;
        }
    }
    panic!("`{command}` did not come to its end");
}

/// One environment that is changed, goes and comes, killed at each step: before its calls, then after them.
fn survives_staircases(profile: &EksProfile) {
    let [up, down] = COMMANDS;
    let stage = EksStage::at_speed(SPEED, profile);
    stage.up().expect(0);
    let wanted = stage.named();
    stage.declare(&changed(profile));
    let kills = staircase(&stage, up, Moment::Before);
    assert!(kills >= 3, "the change was killed only {kills} times");
    stage.expect_settled(&stage.named(), "changed, killed before its calls");
    stage.declare(profile);
    staircase(&stage, up, Moment::After);
    // The logs of the control plane stay for their days.
    let mut changed_back = wanted.clone();
    changed_back.insert("logs:log-group LogGroup".to_string(), 1);
    stage.expect_settled(&changed_back, "changed back, killed after its calls");
    for moment in [Moment::Before, Moment::After] {
        let kills = staircase(&stage, down, moment);
        assert!(kills >= 2, "`down` was killed only {kills} times");
        stage.expect_left(&[]);
        if moment == Moment::After {
            stage.aws.scenario(&json!({"lag": lag(300)}));
        }
        let kills = staircase(&stage, up, moment);
        // Calls beside the one at which it is killed may come to their end, on a busy machine most of them.
        assert!(kills >= 2, "`up` was killed only {kills} times");
        stage.expect_settled(&wanted, &format!("killed {moment:?} its calls"));
        stage.aws.scenario(&json!({"lag": lag(0)}));
    }
    stage.down_whole().expect(0);
    stage.expect_left(&[]);
}

#[test]
fn a_small_environment_survives_staircases_of_kills() {
    survives_staircases(&small());
}

#[test]
fn an_environment_with_gpus_survives_staircases_of_kills() {
    survives_staircases(&with_gpus());
}

#[test]
fn a_small_environment_survives_a_kill_before_every_single_call_of_up() {
    survives_each_call("small", &small(), "up", Moment::Before);
}

#[test]
fn a_small_environment_survives_a_kill_after_every_single_call_of_up() {
    survives_each_call("small", &small(), "up", Moment::After);
}

#[test]
fn a_small_environment_survives_a_kill_before_every_single_call_of_down() {
    survives_each_call("small", &small(), "down", Moment::Before);
}

#[test]
fn a_small_environment_survives_a_kill_after_every_single_call_of_down() {
    survives_each_call("small", &small(), "down", Moment::After);
}

#[test]
fn an_environment_with_gpus_survives_a_kill_before_every_single_call_of_up() {
    survives_each_call("with GPUs", &with_gpus(), "up", Moment::Before);
}

#[test]
fn an_environment_with_gpus_survives_a_kill_after_every_single_call_of_up() {
    survives_each_call("with GPUs", &with_gpus(), "up", Moment::After);
}

#[test]
fn an_environment_with_gpus_survives_a_kill_before_every_single_call_of_down() {
    survives_each_call("with GPUs", &with_gpus(), "down", Moment::Before);
}

#[test]
fn an_environment_with_gpus_survives_a_kill_after_every_single_call_of_down() {
    survives_each_call("with GPUs", &with_gpus(), "down", Moment::After);
}

#[test]
fn whatever_a_killed_up_of_a_small_environment_made_goes_from_another_machine() {
    goes_after_each_call("small", &small(), &[3, 9]);
}

#[test]
fn whatever_a_killed_up_of_an_environment_with_gpus_made_goes_from_another_machine() {
    goes_after_each_call("with GPUs", &with_gpus(), &[]);
}

/// For each changing call of `up`, or only the calls `few`: an environment that is made from nothing and killed right
/// after it, and then goes by a `down` that knows nothing but the profile.
fn goes_after_each_call(what: &str, profile: &EksProfile, few: &[usize]) {
    let points: Vec<usize> = if every_point() { (1..200).collect() } else { few.to_vec() };
    if points.is_empty() {
        return;
    }
    let stage = EksStage::at_speed(SPEED, profile);
    for nth in points {
        let was_killed = stage.killed_at("up", &[], nth, Moment::After).code.is_none();
        eprintln!(
            "{what}: `up` killed after call {nth}: {}",
            if was_killed { "killed" } else { "came to its end" }
        );
        run_on(&stage.another_machine(), "down", &["--registries", "--yes", "--timeout", "5m"]).expect(0);
        stage.expect_left(&[]);
        if !was_killed {
            assert!(nth > 9, "it makes more calls than {nth}");
            break;
        }
    }
}

/// For each changing call of a command: an environment that is made from nothing, killed there, brought to its end by
/// the next run of the same command, and gone again.
fn survives_each_call(what: &str, profile: &EksProfile, command: &str, moment: Moment) {
    if !every_point() {
        return;
    }
    let stage = EksStage::at_speed(SPEED, profile);
    stage.up().expect(0);
    let wanted = stage.named();
    let more: &[&str] = if command == "up" { &[] } else { &["--registries"] };
    for nth in 1.. {
        match command {
            "up" => stage.down_whole().expect(0),
            _ => stage.up().expect(0),
        };
        let when = format!("{what}: `{command}` killed {moment:?} call {nth}");
        let was_killed = stage.killed_at(command, more, nth, moment).code.is_none();
        eprintln!("{when}: {}", if was_killed { "killed" } else { "came to its end" });
        if command == "up" {
            stage.up().expect(0);
            stage.expect_settled(&wanted, &when);
        } else {
            stage.down_whole().expect(0);
            stage.expect_left(&[]);
        }
        if !was_killed {
            assert!(nth > 2, "{when}: it makes more calls than that");
            break;
        }
    }
    stage.down_whole().expect(0);
    stage.expect_left(&[]);
}
