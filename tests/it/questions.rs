//! The questions of `up` and `down`, on a terminal.

use std::path::Path;
use std::process::{Command, Stdio};

use super::support::{Environment, Finished, Running, Tenant};

/// `berth COMMAND NAME` on a terminal of its own, where somebody types `answer`; no answer is Ctrl-D.
/// `None` on systems whose `script` is another one.
fn on_a_terminal(environment: &Environment, command: &str, answer: Option<&str>) -> Option<Finished> {
    const SCRIPT: &str = "/usr/bin/script";
    let known = Command::new(SCRIPT).arg("--version").stderr(Stdio::null()).output();
    if !known.is_ok_and(|known| String::from_utf8_lossy(&known.stdout).contains("util-linux")) {
        eprintln!("skipped: no `script` of util-linux, which makes terminals");
        return None;
    }
    let berth = environment.berth.command(&[]);
    let typed = answer.map(|answer| format!("{answer}\\n")).unwrap_or_default();
    let line = format!(
        "printf '{typed}' | {SCRIPT} -qefc \"{} {command} {}\" /dev/null",
        Path::new(berth.get_program()).display(),
        environment.name
    );
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &line]).env_clear().current_dir(environment.berth.work());
    for (key, value) in berth.get_envs() {
        shell.env(key, value.expect("it is set"));
    }
    Some(Running::start(shell).finish())
}

#[test]
fn down_goes_on_only_with_the_name_of_the_environment() {
    let environment = Environment::new("ask-down");
    environment.up().expect(0);
    let platform = environment.platform();
    for (answer, why) in [
        (Some("yes"), "the answer was not `ask-down`"),
        (Some(""), "the answer was not `ask-down`"),
        (None, "there was no answer"),
    ] {
        let Some(ended) = on_a_terminal(&environment, "down", answer) else { return };
        let ended = ended.expect(8);
        for words in [
            "Type `ask-down` to remove it:",
            "not confirmed, nothing was removed",
            why,
            "`berth down ask-down` asks again",
        ] {
            assert!(ended.stdout.contains(words), "it does not say `{words}`: {}", ended.said());
        }
        assert_eq!(environment.platform(), platform);
    }
    let Some(ended) = on_a_terminal(&environment, "down", Some("ask-down")) else { return };
    assert!(ended.expect(0).stdout.contains("nothing is left"));
}

#[test]
fn up_asks_before_something_that_stands_is_lost() {
    let environment = Environment::new("ask-up");
    environment.up().expect(0);
    environment.declare(&[Tenant::new("one")]);
    let platform = environment.platform();
    for (answer, why) in [(Some("n"), "the answer was not `y`"), (None, "there was no answer")] {
        let Some(ended) = on_a_terminal(&environment, "up", answer) else { return };
        let ended = ended.expect(8);
        for words in [
            "would be lost. Go on? [y/N]",
            "not confirmed, nothing was changed",
            why,
            "`berth up ask-up` asks again",
        ] {
            assert!(ended.stdout.contains(words), "it does not say `{words}`: {}", ended.said());
        }
        assert_eq!(environment.platform(), platform);
    }
    let Some(ended) = on_a_terminal(&environment, "up", Some("y")) else { return };
    ended.expect(0);
    assert_ne!(environment.platform(), platform);
}
