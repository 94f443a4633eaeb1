//! Two runs at once on EKS, and runs that are stopped and go on elsewhere.

use std::collections::BTreeMap;

use rustix::process::Signal;

use super::laws_eks_kills::{SPEED, small};
use super::support::eks::{Moment, down_on, eventually_so, start_on, up_on};
use super::support::{EksStage, Finished, Running};

/// What a small environment is that nobody disturbed; it is gone again.
fn undisturbed(stage: &EksStage) -> BTreeMap<String, usize> {
    stage.up().expect(0);
    let wanted = stage.named();
    stage.down().expect(0);
    stage.expect_left(&[]);
    wanted
}

/// One does the work; the other does it with it, waits for it and finds it done, or says that it is locked out.
fn both_end_well(runs: [Running; 2]) {
    let ended: Vec<Finished> = runs.into_iter().map(Running::finish).collect();
    assert!(ended.iter().any(|run| run.code == Some(0)), "{} {}", ended[0].said(), ended[1].said());
    for run in ended {
        // What it did on AWS beside the other one, before that one held the cluster, counts as a part.
        let is_locked_out =
            run.code == Some(5) || run.code == Some(6) && run.stderr.contains("is at work on it");
        assert!(run.code == Some(0) || is_locked_out, "{}", run.said());
    }
}

#[test]
fn two_ups_at_once_make_one_environment_and_up_and_down_at_once_leave_one_to_be_made_whole() {
    let stage = EksStage::at_speed(SPEED, &small());
    let other = stage.another_machine();

    // Of two machines.
    both_end_well([stage.start("up"), start_on(&other, "up", &[])]);
    let twice = stage.named();
    stage.expect_settled(&twice, "two machines at once");

    // Whatever came first: the next `up` makes it whole, the next `down` takes it away.
    let runs = [stage.start("up"), start_on(&other, "down", &[])];
    for ended in runs.map(Running::finish) {
        assert!(matches!(ended.code, Some(0 | 1 | 5 | 6)), "{}", ended.said());
    }
    stage.up().expect(0);
    stage.expect_settled(&twice, "`up` beside `down`");
    stage.down().expect(0);
    stage.expect_left(&[]);

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
    eventually_so("the control plane is CREATING", 120, || stage.status() == "CREATING");
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
    down_on(&elsewhere).expect(0);
    stage.expect_left(&[]);
}
