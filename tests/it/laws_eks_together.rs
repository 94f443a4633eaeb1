//! Two runs at once on EKS, and runs that are stopped and go on elsewhere.

use std::collections::BTreeMap;

use rustix::process::Signal;

use super::laws_eks_kills::{SPEED, small};
use super::support::eks::{Moment, OWNER, down_on, eventually_so, one_line, run_on, start_on, up_on};
use super::support::{EksProfile, EksStage, Finished, Running};

/// What a small environment is that nobody disturbed; it is gone again.
fn undisturbed(stage: &EksStage) -> BTreeMap<String, usize> {
    stage.up().expect(0);
    let wanted = stage.named();
    stage.down().expect(0);
    stage.expect_left(&[]);
    wanted
}

/// The same with other labels on its nodes, which AWS changes in place.
fn relabelled() -> EksProfile {
    let mut profile = small();
    profile.groups = profile.groups.replace("nodes: 1", "nodes: 1, labels: {team: web}");
    profile
}

/// What was changed since `before` but by attempts at `call`, by name.
fn besides(stage: &EksStage, before: u64, call: &str) -> Vec<String> {
    stage.changes(before).into_iter().filter(|change| change != call).collect()
}

/// One does the work; the other does it with it, waits for it and finds it done, or says that it is locked out.
fn both_end_well(runs: [Running; 2]) {
    let ended: Vec<Finished> = runs.into_iter().map(Running::finish).collect();
    assert!(ended.iter().any(|run| run.code == Some(0)), "{} {}", ended[0].said(), ended[1].said());
    for run in ended {
        // What it did on AWS beside the other one, before that one held the cluster, counts as a part.
        let is_locked_out = run.code == Some(5) || run.code == Some(6) && names_another(&run);
        assert!(run.code == Some(0) || is_locked_out, "{}", run.said());
    }
}

/// Whether another run holds the cluster, and is named.
fn names_another(run: &Finished) -> bool {
    one_line(&run.stderr).contains("is at work on it")
}

/// Passes when the run ended before it changed anything, since another one holds the cluster.
#[track_caller]
fn is_locked_out(run: &Finished) {
    assert!(run.code == Some(5) && names_another(run), "{}", run.said());
}

#[test]
fn two_ups_at_once_make_one_environment_and_up_beside_down_is_locked_out() {
    let stage = EksStage::at_speed(SPEED, &small());
    let other = stage.another_machine();

    // Of two machines.
    both_end_well([stage.start("up"), start_on(&other, "up", &[])]);
    let twice = stage.named();
    stage.expect_settled(&twice, "two machines at once");

    // `down` beside an `up` that has something to change.
    let before = stage.last();
    stage.declare(&relabelled());
    let changing = stage.hold_every(1);
    let up = stage.start("up");
    changing.wait();
    is_locked_out(&down_on(&other));
    changing.release();
    up.finish().expect(0);
    assert_eq!(besides(&stage, before, "UpdateNodegroupConfig"), Vec::<String>::new());

    // `up` beside a `down`. While the API server answers, one that looked before anything went finds nothing to do, and
    // any later one is locked out; neither changes anything.
    let before = stage.last();
    let deleting = stage.hold_every(2);
    let down = start_on(&other, "down", &[]);
    let soon = stage.start("up").finish();
    if soon.code != Some(0) {
        is_locked_out(&soon);
    }
    deleting.wait();
    assert_eq!(stage.groups(), Vec::<String>::new());
    is_locked_out(&stage.up());
    assert_eq!(stage.status(), "ACTIVE");
    assert_eq!(besides(&stage, before, "DeleteCluster"), ["DeleteNodegroup"]);
    deleting.release();
    down.finish().expect(0);
    stage.expect_left(&[]);
    stage.declare(&small());

    // Of one machine; it is the same that one run makes, too.
    both_end_well([stage.start("up"), stage.start("up")]);
    stage.expect_settled(&twice, "one machine twice at once");
    stage.down().expect(0);
    stage.expect_left(&[]);
    assert_eq!(undisturbed(&stage), twice);
}

#[test]
fn stopped_while_the_control_plane_is_on_its_way_up_goes_on_from_another_machine() {
    let stage = EksStage::at_speed(SPEED, &small());
    let wanted = undisturbed(&stage);
    let running = stage.start("up");
    eventually_so("the control plane is CREATING", || stage.status() == "CREATING");
    running.signal(Signal::INT);
    let stopped = running.finish().expect(130);
    assert!(stopped.stderr.contains("berth up"), "it does not say how to resume: {}", stopped.said());
    let since = stage.last();
    let elsewhere = stage.another_machine();
    up_on(&elsewhere).expect(0);
    let changes = stage.changes(since);
    assert!(
        !changes.iter().any(|change| change == "CreateCluster" || change == "CreateStack"),
        "{changes:?}"
    );
    stage.expect_settled(&wanted, "stopped by Ctrl-C");

    // `down` is stopped in the middle, and goes on from the other machine.
    let hold = stage.hold(1, Moment::After);
    let running = stage.start("down");
    hold.wait();
    running.signal(Signal::TERM);
    hold.release();
    let stopped = running.finish().expect(143);
    assert!(stopped.stderr.contains("berth down"), "it does not say how to resume: {}", stopped.said());
    assert_ne!(stage.titles(), Vec::<String>::new());
    // What is going is not as the profile says.
    run_on(&elsewhere, "plan", &["--detailed-exitcode"]).expect(2);
    down_on(&elsewhere).expect(0);
    stage.expect_left(&[]);
}

#[test]
fn a_terminal_that_is_closed_ends_a_run_in_good_order() {
    let stage = EksStage::at_speed(SPEED, &small());
    stage.up().expect(0);
    stage.declare(&relabelled());
    let before = stage.last();
    let hold = stage.hold_of("UpdateNodegroupConfig", Moment::After);
    let running = stage.start("up");
    hold.wait();
    let lease = format!("berth-{OWNER}");
    let holder = || {
        let asked = ["--namespace", "berth-system", "get", "lease", &lease, "--output"];
        stage.kubectl(&[&asked[..], &["jsonpath={.spec.holderIdentity}"]].concat()).expect(0).stdout
    };
    assert_ne!(holder(), "");
    running.signal(Signal::HUP);
    hold.release();
    let stopped = running.finish().expect(143);
    let said = one_line(&stopped.stderr);
    let end =
        ["finishing what runs in node group general", "not started node groups", "to go on `berth up dev`"];
    for words in end {
        assert!(said.contains(words), "`{words}` is not in: {}", stopped.said());
    }
    assert_eq!(holder(), "", "the next run would wait for it");
    assert_eq!(stage.changes(before), ["UpdateNodegroupConfig"]);
    stage.up().expect(0);
    assert_eq!(stage.changes(before), ["UpdateNodegroupConfig"]);

    // Whoever starts it with nohup wants it to go on.
    stage.declare(&small());
    let lasting = stage.another_machine().with_prefix(vec!["nohup".to_string()]);
    let hold = stage.hold_of("UpdateNodegroupConfig", Moment::Before);
    let running = start_on(&lasting, "up", &[]);
    hold.wait();
    running.signal(Signal::HUP);
    hold.release();
    running.finish().expect(0);
}
