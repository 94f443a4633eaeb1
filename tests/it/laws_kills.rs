//! Killed or interrupted anywhere, the next run goes on where the last one stopped.

use rustix::process::Signal;

use super::laws::settles;
use super::support::{Action, Environment, Inventory, Matching, Rule, Turn, every_point};

/// A way to kill at the k-th write.
type Killing = fn(usize) -> Rule;

const PHASES: [(&str, Killing); 2] = [("before", Rule::kill_before), ("after", Rule::kill_after)];

/// A platform that was made without any trouble, to compare with; it is gone again.
pub fn golden(environment: &Environment) -> Inventory {
    environment.up().expect(0);
    let platform = environment.platform();
    environment.down().expect(0);
    platform
}

/// Runs `command`, killed at its 1st, then its 2nd, … write, until it comes to its end.
/// Returns how often it was killed.
pub fn staircase(environment: &Environment, command: &str, kill_at: Killing) -> usize {
    for k in 1..500 {
        let ended = environment.start_under(command, kill_at(k)).finish();
        if ended.code.is_some() {
            let ended = ended.expect(0);
            assert_eq!(environment.proxy.fired(), [0], "{}", ended.said());
            return k - 1;
        }
    }
    panic!("`{command}` did not come to its end");
}

fn up_survives(name: &str, kill_at: Killing) {
    let environment = Environment::new(name);
    let wanted = golden(&environment);
    let kills = staircase(&environment, "up", kill_at);
    assert!(kills >= 3, "only {kills} kills");
    assert_eq!(environment.platform(), wanted);
    settles(&environment);
}

fn down_survives(name: &str, kill_at: Killing) {
    let environment = Environment::new(name);
    environment.up().expect(0);
    let kills = staircase(&environment, "down", kill_at);
    assert!(kills >= 2, "only {kills} kills");
    let left = environment.inventory().titles();
    assert!(left.is_empty(), "`down` left {left:?}");
    environment.up().expect(0);
    settles(&environment);
}

#[test]
fn up_survives_a_staircase_of_kills_before_writes() {
    up_survives("law-up-before", Rule::kill_before);
}

#[test]
fn up_survives_a_staircase_of_kills_after_writes() {
    up_survives("law-up-after", Rule::kill_after);
}

#[test]
fn down_survives_a_staircase_of_kills_before_writes() {
    down_survives("law-down-before", Rule::kill_before);
}

#[test]
fn down_survives_a_staircase_of_kills_after_writes() {
    down_survives("law-down-after", Rule::kill_after);
}

#[test]
fn ctrl_c_at_every_tenth_write_stops_and_up_resumes() {
    let environment = Environment::new("law-ctrl-c");
    let wanted = golden(&environment);
    let mut stopped = 0;
    loop {
        let tenth = Rule::new(Matching::mutating(), Turn::At(10), Action::SignalBefore(Signal::INT));
        let ended = environment.start_under("up", tenth).finish();
        // A signal at the very last write finds nothing left to stop.
        if ended.code == Some(0) {
            break;
        }
        let ended = ended.expect(130);
        assert!(ended.stderr.contains("berth up"), "it does not say how to resume: {}", ended.said());
        stopped += 1;
        assert!(stopped < 20, "it never comes to its end");
    }
    assert!(stopped > 0, "it was never stopped");
    assert_eq!(environment.platform(), wanted);
    settles(&environment);
}

#[test]
fn sigterm_stops_down_too_and_down_resumes() {
    let environment = Environment::new("law-sigterm");
    environment.up().expect(0);
    let second = Rule::new(Matching::mutating(), Turn::At(2), Action::SignalBefore(Signal::TERM));
    environment.start_under("down", second).finish().expect(143);
    environment.proxy.obey(Vec::new());
    environment.down().expect(0);
    assert!(environment.inventory().titles().is_empty());
}

#[test]
fn up_survives_a_kill_at_every_single_write() {
    if every_point() {
        every_single_write("law-all-up", "up");
    }
}

#[test]
fn down_survives_a_kill_at_every_single_write() {
    if every_point() {
        every_single_write("law-all-down", "down");
    }
}

fn every_single_write(name: &str, command: &str) {
    let environment = Environment::new(name);
    let wanted = golden(&environment);
    for (phase, kill_at) in PHASES {
        for k in 1.. {
            if command == "down" {
                environment.proxy.obey(Vec::new());
                environment.up().expect(0);
            }
            let ended = environment.start_under(command, kill_at(k)).finish();
            let was_killed = ended.code.is_none();
            eprintln!(
                "{command}, {phase} write {k}: {}",
                if was_killed { "killed" } else { "came to its end" }
            );
            environment.proxy.obey(Vec::new());
            environment.up().expect(0);
            assert_eq!(environment.platform(), wanted, "{command}, {phase} write {k}");
            settles(&environment);
            if !was_killed {
                assert!(k > 5, "{command} writes more than that");
                break;
            }
        }
    }
}
