//! Killed at any call to AWS, the next run on EKS goes on where the last one stopped.

use super::support::eks::Moment;
use super::support::{EksProfile, EksStage, every_point};

/// AWS's durations are divided by this: little is waited for but the control plane.
pub const SPEED: u32 = 600;

pub fn small() -> EksProfile {
    EksProfile::new("{name: general, machine: m7i.large, nodes: 1}").with_cluster("logging: [audit]")
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

/// `down` and what it is told besides.
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

/// One environment that goes and comes, killed at each step: before its calls, then after them.
fn survives_staircases(profile: &EksProfile) {
    let [up, down] = COMMANDS;
    let stage = EksStage::at_speed(SPEED, profile);
    stage.up().expect(0);
    let wanted = stage.named();
    for moment in [Moment::Before, Moment::After] {
        let kills = staircase(&stage, down, moment);
        assert!(kills >= 2, "`down` was killed only {kills} times");
        stage.expect_left(&[]);
        let kills = staircase(&stage, up, moment);
        assert!(kills >= 4, "`up` was killed only {kills} times");
        stage.expect_settled(&wanted, &format!("killed {moment:?} its calls"));
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
fn a_small_environment_survives_a_kill_at_every_single_call() {
    if every_point() {
        survives_each_call("small", &small());
    }
}

#[test]
fn an_environment_with_gpus_survives_a_kill_at_every_single_call() {
    if every_point() {
        survives_each_call("with GPUs", &with_gpus());
    }
}

/// For each changing call of `up` and of `down`, before and after it: an environment that is made from nothing, killed
/// there, made or taken away by the next run, and gone again.
fn survives_each_call(what: &str, profile: &EksProfile) {
    let stage = EksStage::at_speed(SPEED, profile);
    stage.up().expect(0);
    let wanted = stage.named();
    stage.down_whole().expect(0);
    for (command, more) in COMMANDS {
        for moment in [Moment::Before, Moment::After] {
            for nth in 1.. {
                let when = format!("{what}: `{command}` killed {moment:?} call {nth}");
                if command == "down" {
                    stage.up().expect(0);
                }
                let was_killed = stage.killed_at(command, more, nth, moment).code.is_none();
                eprintln!("{when}: {}", if was_killed { "killed" } else { "came to its end" });
                if command == "up" {
                    stage.up().expect(0);
                    stage.expect_settled(&wanted, &when);
                }
                stage.down_whole().expect(0);
                stage.expect_left(&[]);
                if !was_killed {
                    assert!(nth > 4, "{when}: it makes more calls than that");
                    break;
                }
            }
        }
    }
}
