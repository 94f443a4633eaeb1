//! Standard output that cannot be written: who asked for an answer and got none must not take it for one.

use std::fs::OpenOptions;
use std::io;
use std::process::{Command, Output, Stdio};

use super::support::Berth;

/// A profile that needs nothing but the binary.
const SMALL: &str = "apiVersion: berth.dev/v1alpha1
kind: Environment
name: small
id: abcd1234
cluster:
  kwok: {version: \"1.36\"}
";

/// Commands that end well where nothing stands, in each form of their answer.
const COMMANDS: [&[&str]; 14] = [
    &["plan", "small"],
    &["plan", "small", "--markdown"],
    &["plan", "small", "--output", "json"],
    &["status", "small"],
    &["status", "small", "--output", "json"],
    &["render", "small", "--out", "rendered"],
    &["render", "small", "--out", "rendered", "--output", "json"],
    &["validate", "small"],
    &["validate", "small", "--output", "json"],
    &["down", "small", "--yes"],
    &["down", "small", "--yes", "--output", "json"],
    &["completions", "bash"],
    &["schema"],
    &["--help"],
];

fn berth() -> Berth {
    let berth = Berth::new();
    berth.profile("small", SMALL);
    berth
}

fn run_to(mut command: Command, stdout: impl Into<Stdio>) -> Output {
    command.stdin(Stdio::null()).stdout(stdout).output().expect("it starts")
}

#[test]
fn an_answer_that_could_not_be_written_ends_no_command_well() {
    let berth = berth();
    for arguments in COMMANDS {
        // Every write to it fails as one to a full disk does.
        let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
            eprintln!("SKIPPED: this system has no /dev/full");
            return;
        };
        let ended = run_to(berth.command(arguments), full);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {said}");
        let is_told = said.contains("standard output") && said.contains("no space left");
        assert!(is_told || arguments == ["--help"], "{arguments:?}: {said}");
    }
}

#[test]
fn a_reader_that_went_away_is_no_failure() {
    let berth = berth();
    for arguments in COMMANDS {
        let (reader, writer) = io::pipe().expect("the system has pipes");
        drop(reader);
        let ended = run_to(berth.command(arguments), writer);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(
            (ended.status.code(), said.contains("standard output")),
            (Some(0), false),
            "{arguments:?}"
        );
    }
}
