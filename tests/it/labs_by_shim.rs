//! What a lab on kind meets that cannot be provoked for real: its engine goes, hangs or is another one, its kind is
//! too old or says that all is well when it is not. The programs are played from recordings, the API server is real.

use std::fs;
use std::time::Duration;

use super::support::{Finished, LabShims, eventually};

/// A lab in Docker whose nodes register as soon as they are made.
fn lab(name: &'static str) -> LabShims {
    let lab = LabShims::new(name, "docker", "0.33.0");
    lab.register("control-plane");
    lab.register("worker");
    lab
}

/// Standard error in one line.
fn told(finished: &Finished) -> String {
    finished.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn called(lab: &LabShims, what: &str) -> usize {
    lab.calls().iter().filter(|call| call.starts_with(what)).count()
}

#[test]
fn an_engine_that_goes_while_the_cluster_is_made_is_named_and_the_next_up_makes_it_anew() {
    let lab = lab("shim-gone");
    lab.meanwhile(&format!(": >'{}'", lab.path("engine-is-gone").display()));
    let failed = lab.berth.run(&["up", lab.name, "--yes", "--timeout", "20s"]);
    assert!(matches!(failed.code, Some(1 | 6 | 7)), "{}", failed.said());
    assert!(told(&failed).contains("Cannot connect to the Docker daemon"), "{}", failed.said());
    lab.no_longer("engine-is-gone");
    lab.meanwhile(":");
    let made = called(&lab, "kind create cluster");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    assert_eq!(called(&lab, "kind create cluster"), made + 1);
}

#[test]
fn down_without_its_engine_says_what_it_could_not_reach_and_claims_nothing() {
    let lab = lab("shim-down");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    lab.now("engine-is-gone");
    let failed = lab.berth.run(&["down", lab.name, "--yes", "--timeout", "20s"]);
    assert!(failed.code != Some(0), "{}", failed.said());
    assert!(told(&failed).contains("Cannot connect to the Docker daemon"), "{}", failed.said());
    assert!(told(&failed).contains("start Docker"), "{}", failed.said());
    let claims = ["nothing is left", "is gone", "removed"];
    assert!(claims.iter().all(|claim| !failed.stdout.contains(claim)), "{}", failed.said());
    assert!(lab.stands());
    lab.no_longer("engine-is-gone");
    lab.berth.run(&["down", lab.name, "--yes"]).expect(0);
    assert!(!lab.stands());
}

#[test]
fn the_engine_that_was_found_is_the_one_that_kind_is_told_to_use() {
    let lab = LabShims::new("shim-podman", "podman", "0.33.0");
    lab.register("control-plane");
    lab.register("worker");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    let calls = lab.calls();
    let of_kind: Vec<&String> = calls.iter().filter(|call| call.starts_with("kind create")).collect();
    assert_eq!(of_kind.len(), 1, "{calls:?}");
    assert!(of_kind[0].ends_with("(podman)"), "{calls:?}");
    let status = lab.berth.run(&["status", lab.name]).expect(0);
    assert!(status.stdout.contains("ready"), "{}", status.said());
    lab.berth.run(&["down", lab.name, "--yes"]).expect(0);
    assert!(lab.calls().iter().any(|call| call.starts_with("kind delete") && call.ends_with("(podman)")));
}

#[test]
fn an_engine_that_hangs_is_given_up_at_the_deadline() {
    let lab = LabShims::new("shim-hangs", "docker", "0.33.0");
    lab.now("engine-hangs");
    let late = lab.berth.run(&["up", lab.name, "--yes", "--timeout", "2s"]);
    assert!(matches!(late.code, Some(1 | 7)), "{}", late.said());
    assert!(late.took < Duration::from_secs(15), "{:?}", late.took);
    assert_eq!(called(&lab, "kind create"), 0);
}

#[test]
fn a_kind_that_is_too_old_makes_nothing() {
    let lab = LabShims::new("shim-old", "docker", "0.26.0");
    let refused = lab.berth.run(&["up", lab.name, "--yes"]);
    assert!(refused.code != Some(0), "{}", refused.said());
    let said = format!("{} {}", refused.stdout, refused.stderr);
    assert!(said.contains("0.26.0 is too old"), "{}", refused.said());
    assert_eq!(called(&lab, "kind create"), 0);
}

#[test]
fn a_kind_that_says_all_is_well_is_not_believed_while_a_worker_is_missing() {
    let lab = LabShims::new("shim-worker", "docker", "0.33.0");
    lab.register("control-plane");
    let late = lab.berth.run(&["up", lab.name, "--yes", "--timeout", "5s"]).expect(7);
    assert!(told(&late).contains("general: 0 of 1 ready"), "{}", late.said());
    lab.register("worker");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    assert_eq!(called(&lab, "kind create"), 1);
}

#[test]
fn a_second_run_is_told_who_is_at_work() {
    let lab = lab("shim-two");
    let (begun, go) = (lab.path("begun"), lab.path("go"));
    lab.meanwhile(&format!(
        ": >'{}'; while [ ! -e '{}' ]; do sleep 0.05; done",
        begun.display(),
        go.display()
    ));
    let first = lab.berth.start(&["up", lab.name, "--yes"]);
    eventually("kind is at work", Duration::from_mins(1), || begun.exists().then_some(()));
    let second = lab.berth.run(&["up", lab.name, "--yes"]).expect(5);
    assert!(told(&second).contains(&format!("process {}", first.pid())), "{}", second.said());
    lab.now("go");
    first.finish().expect(0);
    assert_eq!(called(&lab, "kind create"), 1);
}

#[test]
fn a_second_look_asks_the_engine_no_more_than_it_has_to() {
    let lab = lab("shim-calls");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    assert_eq!(called(&lab, "docker info"), 1, "{:?}", lab.calls());
    for command in ["up", "status", "plan"] {
        lab.forget_calls();
        lab.berth.run(&[command, lab.name]).expect(0);
        // Once for the cluster and once for what its nodes know of registries: the names of the containers, then all
        // of them; and one look into each of the two nodes.
        let calls = lab.calls();
        assert!(
            calls.len() <= 6 && calls.iter().all(|call| call.starts_with("docker ")),
            "{command}: {calls:?}"
        );
        assert!(calls.iter().all(|call| !call.contains(" info ")), "{command}: {calls:?}");
    }
}

#[test]
fn the_machine_is_looked_at_only_before_something_is_made() {
    let lab = LabShims::new("shim-look", "docker", "0.26.0");
    for arguments in [vec!["status", lab.name], vec!["down", lab.name, "--yes"]] {
        lab.berth.run(&arguments).expect(0);
        let calls = lab.calls();
        assert!(calls.iter().all(|call| !call.starts_with("kind ") && !call.contains("info")), "{calls:?}");
    }
    lab.berth.run(&["plan", lab.name]);
    assert_eq!(called(&lab, "docker info"), 1, "{:?}", lab.calls());
}

#[test]
fn an_adopted_cluster_is_known_as_such_where_every_file_of_it_is_lost() {
    let lab = lab("shim-adopted");
    lab.is_made_by_somebody_else();
    let refused = lab.berth.run(&["up", lab.name, "--yes"]);
    assert!(refused.code != Some(0), "{}", refused.said());
    assert!(told(&refused).contains("somebody else made it"), "{}", refused.said());
    lab.berth.run(&["up", lab.name, "--yes", "--adopt"]).expect(0);
    let state = lab.berth.home().join(".local/state/berth");
    fs::remove_dir_all(&state).expect("it was made just now");
    let status = lab.berth.run(&["status", lab.name]).expect(0);
    assert!(!status.said().contains("somebody else"), "{}", status.said());
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    fs::remove_dir_all(&state).expect("it was made just now");
    lab.berth.run(&["down", lab.name, "--yes"]).expect(0);
    assert!(!lab.stands());
    assert_eq!(called(&lab, "kind create"), 0);
}

#[test]
fn the_network_that_all_labs_share_is_no_row_of_what_goes() {
    let lab = lab("shim-network");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    let with_pool =
        fs::read_to_string(lab.profile()).expect("it was written") + "addons: {metallb: {addresses: auto}}\n";
    fs::write(lab.profile(), with_pool).expect("the folder is ours");
    let down = lab.berth.run(&["down", lab.name, "--yes"]).expect(0);
    assert!(down.stdout.contains("cluster kind/shim-network"), "{}", down.said());
    assert!(
        !down.stdout.lines().any(|line| line.contains("delete") && line.contains(" network ")),
        "{}",
        down.said()
    );
}

#[test]
fn containers_that_stopped_are_started_again_each_in_its_own_way() {
    let lab = lab("shim-stopped");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    lab.is_now("control-plane", "exited");
    lab.is_now("worker", "paused");
    lab.forget_calls();
    let status = lab.berth.run(&["status", lab.name]).expect(1);
    assert!(status.stdout.contains("shim-stopped-worker (paused"), "{}", status.said());
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    let started: Vec<String> = lab
        .calls()
        .into_iter()
        .filter(|call| call.contains(" start ") || call.contains(" unpause "))
        .collect();
    assert_eq!(started, ["docker unpause shim-stopped-worker", "docker start shim-stopped-control-plane"]);
    assert_eq!(called(&lab, "kind create"), 0);
}

#[test]
fn a_change_that_needs_a_new_cluster_is_made_only_when_that_was_asked_for() {
    let lab = lab("shim-anew");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    let text = fs::read_to_string(lab.profile()).expect("it was written");
    fs::write(lab.profile(), text.replace("localhost/node:v1", "localhost/node:v2"))
        .expect("the folder is ours");
    lab.forget_calls();
    let refused = lab.berth.run(&["up", lab.name, "--yes"]).expect(8);
    assert!(told(&refused).contains("the profile's image changed"), "{}", refused.said());
    assert!(told(&refused).contains("--recreate"), "{}", refused.said());
    assert_eq!(called(&lab, "kind "), 0, "{:?}", lab.calls());
    let status = lab.berth.run(&["status", lab.name]).expect(0);
    let is_seen = |line: &str| line.starts_with("node groups") && line.contains("ready");
    assert!(status.stdout.lines().any(is_seen), "what is in it is looked at: {}", status.said());
    lab.berth.run(&["up", lab.name, "--yes", "--recreate"]).expect(0);
    let of_kind: Vec<String> = lab.calls().into_iter().filter(|call| call.starts_with("kind ")).collect();
    let verbs: Vec<&str> = of_kind.iter().filter_map(|call| call.split_whitespace().nth(1)).collect();
    assert_eq!(verbs.iter().filter(|verb| **verb == "create").count(), 1, "{of_kind:?}");
    assert!(
        verbs.iter().position(|verb| *verb == "delete") < verbs.iter().position(|verb| *verb == "create"),
        "{of_kind:?}"
    );
}
