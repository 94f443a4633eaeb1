//! Machines on which a rehearsal cannot go well: each says what to do about it, and leaves nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::support::{Berth, Finished, without_signs_of_life};

/// A home whose first `kwokctl` on PATH is this shell script.
fn with_kwokctl(script: &str) -> Berth {
    let berth = Berth::new();
    let folder = berth.work().join("programs");
    fs::create_dir(&folder).expect("the folder is ours");
    let kwokctl = folder.join("kwokctl");
    fs::write(&kwokctl, format!("#!/bin/sh\n{script}\n")).expect("the folder is ours");
    fs::set_permissions(&kwokctl, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let berth = berth.with_path_first(&folder);
    berth.profile(
        "tiny",
        "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: tiny\ncluster:\n  kwok: {}\n",
    );
    berth
}

#[track_caller]
fn says(ended: &Finished, expected: &[&str]) {
    for words in expected {
        assert!(ended.stderr.contains(words), "it does not say `{words}`: {}", ended.said());
    }
}

/// The files below a home's state folder: after `down` there is none, and no folder either.
fn state_is_empty(berth: &Berth) -> bool {
    !berth.home().join(".local/state/berth").exists()
}

#[test]
fn a_provider_that_is_not_built_in_is_told_first_and_nothing_is_touched() {
    let berth = Berth::new();
    for command in ["up", "plan", "status", "down"] {
        let refused = berth.run(&[command, "prod-gke"]).expect(3);
        assert_eq!(
            refused.stderr,
            "error: cannot make the cluster of environment prod-gke\n  \
             why   this build of berth has the providers eks, kind, kwok, existing, not gke\n  \
             next  rehearse it on this machine: `berth up prod-gke --rehearse`\n",
        );
        assert_eq!(refused.stdout, "");
    }
    assert!(state_is_empty(&berth));
}

#[test]
fn without_the_tools_of_a_rehearsal_it_says_how_to_get_them() {
    let berth = Berth::new();
    let mut command = berth.command(&["up", "lab", "--rehearse"]);
    command.env("PATH", berth.work());
    let refused = super::support::run(command).expect(1);
    says(&refused, &["error: cannot find `kwokctl`", "\n  next  in a checkout of berth run `scripts/tools`"]);
    berth.run(&["down", "lab", "--rehearse", "--yes"]).expect(0);
    assert!(state_is_empty(&berth));
}

#[test]
fn a_kwokctl_that_hangs_is_given_up_at_the_deadline() {
    let berth = with_kwokctl("exec sleep 600");
    let late = berth.run(&["up", "tiny", "--timeout", "5s"]).expect(7);
    says(&late, &["error: cannot run `kwokctl create cluster`", "and kwokctl had not ended"]);
    assert!(late.took < Duration::from_mins(2), "{:?}", late.took);
    berth.run(&["down", "tiny", "--yes"]).expect(0);
    assert!(state_is_empty(&berth));
}

#[test]
fn a_kwokctl_that_does_nothing_is_not_believed() {
    let berth = with_kwokctl("exit 0");
    let refused = berth.run(&["up", "tiny"]).expect(6);
    says(
        &refused,
        &[
            "error: cannot run `kwokctl create cluster`",
            "it ended well, and the cluster has no kwok.yaml",
            "`--tools`",
        ],
    );
    berth.run(&["down", "tiny", "--yes"]).expect(0);
    assert!(state_is_empty(&berth));
}

#[test]
fn a_home_that_is_no_folder_is_named() {
    let berth = Berth::new();
    let mut command = berth.command(&["up", "lab", "--rehearse"]);
    command.env("XDG_STATE_HOME", "/dev/null");
    let refused = super::support::run(command).expect(1);
    says(&refused, &["error: cannot create folder `/dev/null/berth/environments/lab-rehearsal-"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let berth = Berth::new();
    let mut child = {
        let mut command = berth.command(&["plan", "lab", "--rehearse"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn().expect("it is built")
    };
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it is our child");
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(without_signs_of_life(&String::from_utf8_lossy(&ended.stderr)), "");
}
