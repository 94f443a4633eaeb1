//! The cluster itself, on real nodes: made once, kept, started again, made anew only when asked, taken away.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::lab::Lab;

const PLAIN: &str = "cluster: {kind: {}}\n";

/// What tells one container from another of the same name, and one start of it from another.
fn lives(lab: &Lab) -> Vec<String> {
    let facts = "{{.Id}} {{.State.StartedAt}}";
    lab.nodes().iter().map(|node| lab.docker_says(&["inspect", "--format", facts, node])).collect()
}

#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_mins(2), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_cluster_is_made_once_and_kept_and_nothing_is_left_of_it() {
    let Some(lab) = Lab::start("once") else { return };
    lab.profile(PLAIN);
    lab.berth("up", &["--yes"]).expect(0);
    let made = lives(&lab);
    let again = lab.berth("up", &[]).expect(0);
    assert!(again.stdout.contains("nothing had to change"), "{}", again.said());
    assert_eq!(lives(&lab), made);
    lab.berth("plan", &["--detailed-exitcode"]).expect(0);

    // Started again as it is.
    for node in lab.nodes() {
        lab.docker(&["stop", "--time", "1", &node]).expect(0);
    }
    lab.berth("up", &[]).expect(0);
    let ids = |lives: &[String]| -> Vec<String> {
        lives.iter().map(|one| one.split(' ').next().unwrap_or_default().to_string()).collect()
    };
    assert_eq!(ids(&lives(&lab)), ids(&made));

    // berth's own files are lost: the mark is enough.
    fs::remove_dir_all(lab.home().join(".local/state/berth")).expect("it is there");
    let listed = lab.berth_command(&["list"]).output().expect("started");
    assert!(String::from_utf8_lossy(&listed.stdout).contains(lab.name()), "{listed:?}");
    lab.berth("up", &[]).expect(0);
    assert_eq!(ids(&lives(&lab)), ids(&made));

    lab.berth("down", &["--yes"]).expect(0);
    assert_eq!(lab.nodes(), Vec::<String>::new());
    assert!(!lab.home().join(".local/state/berth").exists());
    lab.berth("down", &["--yes"]).expect(0);
}

#[test]
fn a_change_that_needs_a_new_cluster_is_refused_until_it_is_asked_for() {
    let Some(lab) = Lab::start("anew") else { return };
    lab.profile(PLAIN);
    lab.berth("up", &["--yes"]).expect(0);
    let made = lives(&lab);
    lab.profile(&format!("cluster: {{kind: {{ports: [{{host: {}, node: 30080}}]}}}}\n", lab.port(0)));
    let refused = lab.berth("up", &["--yes"]).expect(8);
    let told = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    let differs = format!("ports: none, the profile says 127.0.0.1:{} to 30080", lab.port(0));
    assert!(told.contains(&differs), "{}", refused.said());
    assert!(refused.stderr.contains("--recreate"), "{}", refused.said());
    lab.berth("up", &["--recreate"]).expect(8);
    assert_eq!(lives(&lab), made);
    lab.berth("up", &["--recreate", "--yes"]).expect(0);
    assert_ne!(lives(&lab), made);
    lab.berth("plan", &["--detailed-exitcode"]).expect(0);
    lab.berth("down", &["--yes"]).expect(0);
}

#[test]
fn a_cluster_of_somebody_else_is_left_alone_until_it_is_adopted() {
    let Some(lab) = Lab::start("theirs") else { return };
    let name = lab.name().to_string();
    let kubeconfig = lab.home().join("theirs").display().to_string();
    let mut words = vec!["create", "cluster", "--name", &name, "--kubeconfig", &kubeconfig];
    words.extend(lab.image().into_iter().flat_map(|image| ["--image", image]));
    lab.kind(&words).expect(0);
    let made = lives(&lab);
    lab.profile(PLAIN);
    let refused = lab.berth("up", &["--yes"]).expect(8);
    assert!(refused.stderr.contains("somebody else made it"), "{}", refused.said());
    lab.berth("down", &["--yes"]);
    assert_eq!(lives(&lab), made, "what is not ours stands as it was");
    lab.berth("up", &["--adopt", "--yes"]).expect(0);
    assert_eq!(lives(&lab), made);
    lab.berth("up", &[]).expect(0);
    lab.berth("down", &["--yes"]).expect(0);
    assert_eq!(lab.nodes(), Vec::<String>::new());
}

#[test]
fn labels_and_taints_are_brought_back_without_touching_a_container() {
    let Some(lab) = Lab::of_nodes("groups", 3) else { return };
    let profile = |team: &str| {
        format!(
            "cluster: {{kind: {{}}}}\nnodeGroups:\n  - {{name: general, labels: {{team: {team}, node-role.kubernetes.io/web: \"\"}}}}\n  \
             - {{name: batch, taints: [{{key: team, value: ml, effect: NoSchedule}}]}}\n"
        )
    };
    lab.profile(&profile("web"));
    lab.berth("up", &["--yes"]).expect(0);
    let made = lives(&lab);
    let batch = format!("{}-worker2", lab.name());
    let taints = || lab.kubectl_says(&["get", "node", &batch, "-o", "jsonpath={.spec.taints[*].key}"]);
    assert_eq!(taints(), "team");
    let general = || {
        lab.kubectl_says(&[
            "get",
            "nodes",
            "-l",
            "berth.dev/node-group=general,node-role.kubernetes.io/web",
            "-o",
            "jsonpath={.items[*].metadata.labels.team}",
        ])
    };
    assert_eq!(general(), "web");
    lab.kubectl(&["taint", "node", &batch, "team-", "theirs=x:NoSchedule"]).expect(0);
    lab.profile(&profile("shop"));
    lab.berth("plan", &["--detailed-exitcode"]).expect(2);
    lab.berth("up", &[]).expect(0);
    assert_eq!(general(), "shop");
    assert_eq!(taints(), "theirs team");
    lab.berth("plan", &["--detailed-exitcode"]).expect(0);
    assert_eq!(lives(&lab), made);
    lab.berth("down", &["--yes"]).expect(0);
}

#[test]
fn a_run_after_a_killed_one_waits_for_the_kind_that_lives_on() {
    let Some(lab) = Lab::start("orphan") else { return };
    lab.profile(PLAIN);
    let first = lab.start_berth("up", &["--yes"]);
    wait_until("the first container", || !lab.nodes().is_empty());
    first.signal(Signal::KILL);
    first.finish();
    let second = lab.berth("up", &["--yes", "--progress", "plain"]).expect(0);
    assert!(second.stderr.contains("waiting for `kind create cluster`"), "{}", second.said());
    assert_eq!(lab.nodes().len(), 1);
    lab.berth("plan", &["--detailed-exitcode"]).expect(0);
    lab.berth("down", &["--yes"]).expect(0);
}
