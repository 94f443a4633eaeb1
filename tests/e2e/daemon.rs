//! The Docker daemon is restarted under a lab.

use std::env;
use std::process::Command;

use crate::lab::Lab;
use crate::support::{eventually, run};

#[test]
fn a_lab_comes_back_after_the_docker_daemon_was_restarted() {
    // Everybody's containers stop with it.
    let Some(dockerd) = env::var_os("BERTH_DOCKERD") else {
        eprintln!(
            "SKIPPED: daemon: BERTH_DOCKERD names no script that may stop the Docker daemon; `scripts/test e2e` names \
             scripts/kind-node/dockerd where that one has started it"
        );
        return;
    };
    let Some(lab) = Lab::alone("daemon") else { return };
    lab.profile("cluster:\n  kind: {version: \"1.36\"}\nnodeGroups:\n  - {name: general, nodes: 2}\n");
    lab.berth("up", &["--yes"]).expect(0);
    let made = lab.docker_says(&["inspect", "--format", "{{.Id}}", &lab.nodes()[0]]);

    for verb in ["stop", "start"] {
        let mut command = Command::new(&dockerd);
        command.arg(verb);
        run(command).expect(0);
    }
    lab.berth("up", &["--yes"]).expect(0);
    assert_eq!(lab.docker_says(&["inspect", "--format", "{{.Id}}", &lab.nodes()[0]]), made, "made anew");
    let ready = "jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
    eventually("all three nodes are ready", || {
        let told = lab.kubectl(&["get", "nodes", "-o", ready]);
        (told.stdout.trim() == "True True True").then_some(())
    });
    let again = lab.berth("plan", &["--detailed-exitcode"]).expect(0);
    assert_eq!(again.code, Some(0), "{}", again.said());
    lab.berth("down", &["--yes"]).expect(0);
    assert_eq!(lab.nodes(), Vec::<String>::new());
}
