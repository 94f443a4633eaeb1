//! docs/how-to/local-lab.md tells people to type what works: every `sh` block of it is run, in turn, in one
//! home and one folder. Only the name of the cluster and the ports are the test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::lab::{Ground, Lab};
use crate::support::{Finished, run};

const PAGE: &str = "docs/how-to/local-lab.md";

#[test]
fn the_commands_of_local_lab_work() {
    let Some(lab) = Lab::of_nodes("how-to", 4) else { return };
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(repository.join(PAGE)).unwrap();
    let profile = fs::read_to_string(repository.join("profiles/lab.yaml")).unwrap();
    let profile = replaced(&profile, &[("name: lab\n", &format!("name: {}\n", lab.name()))]);
    fs::write(lab.work().join("profiles/lab.yaml"), at_ports(&lab, &profile)).unwrap();
    pulls_what_is_there(&lab);

    let finished = bash(&lab, &at_ports(&lab, &shell_blocks(&page)));
    assert_eq!(finished.code, Some(0), "{PAGE}: {}", finished.said());
    assert_eq!(lab.nodes(), [""; 0], "{PAGE} leaves nodes behind: {}", finished.said());
}

/// The fenced blocks that are marked `sh`, as one script.
fn shell_blocks(page: &str) -> String {
    let blocks = page.split("\n```sh\n").skip(1);
    blocks.map(|rest| rest.split_once("\n```").expect("a block ends").0.to_string() + "\n").collect()
}

/// `text` at the ports of this lab: other tests and people have the usual ones.
fn at_ports(lab: &Lab, text: &str) -> String {
    let (registry, forward) = (lab.port(0).to_string(), lab.port(1).to_string());
    replaced(text, &[("5001", &registry), ("8081", &forward)])
}

fn replaced(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_string(), |text, (from, to)| text.replace(from, to))
}

/// A docker that finds its images up to date without asking where they come from: here is no registry that
/// could be asked. All else is the real one's.
fn pulls_what_is_there(lab: &Lab) {
    let real = &Ground::find("how-to").expect("the lab stands on it").docker;
    let real = real.display();
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = pull ] && '{real}' image inspect \"$2\" >/dev/null 2>&1; then exit 0; fi\n\
         exec '{real}' \"$@\"\n"
    );
    let path = lab.programs().join("docker");
    fs::remove_file(&path).expect("a link to the real one");
    fs::write(&path, script).expect("the folder is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

fn bash(lab: &Lab, script: &str) -> Finished {
    let berth = lab.berth_command(&[]);
    // `timeout` ends what the script started too.
    let mut bash = Command::new("timeout");
    bash.env_clear().current_dir(lab.work());
    bash.args(["--kill-after=10", "280", "bash", "-euxo", "pipefail", "-c", script]);
    for (name, value) in berth.get_envs() {
        bash.env(name, value.unwrap_or_default());
    }
    let bin = Path::new(env!("CARGO_BIN_EXE_berth")).parent().unwrap();
    let path = berth.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value).unwrap();
    bash.env("PATH", format!("{}:{}", bin.display(), path.display()));
    run(bash)
}
