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

/// Whether `text` says `what`, also where it is broken into lines.
fn told_in(text: &str, what: &str) -> bool {
    text.split_whitespace().collect::<Vec<_>>().join(" ").contains(what)
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
    assert!(claims.iter().all(|claim| !failed.said().contains(claim)), "{}", failed.said());
    let rows = failed.stderr.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    assert!(rows.into_iter().any(|row| row == "gone nothing"), "{}", failed.said());
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
    assert!(late.took < Duration::from_mins(2), "{:?}", late.took);
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
    lab.berth.start(&["up", lab.name, "--yes"]).stopped_once_told("general: 0 of 1 ready");
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
    eventually("kind is at work", || begun.exists().then_some(()));
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
    // The node image is asked for its version before anything is made, by the plan and by what follows it.
    assert_eq!(called(&lab, "docker run --rm"), 1, "{:?}", lab.calls());
    for command in ["up", "status", "plan"] {
        lab.forget_calls();
        lab.berth.run(&[command, lab.name]).expect(0);
        // For the cluster the names of its containers, then all of them; for what its nodes know of registries all of
        // them again, the names of registries, and one look into each of the two nodes. And whether a MetalLB that
        // left the profile has left a note of its pools.
        let calls = lab.calls();
        assert!(
            calls.len() <= 7 && calls.iter().all(|call| call.starts_with("docker ")),
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
    assert!(told_in(&status.stdout, "`berth up shim-stopped` brings it there"), "{}", status.said());
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
    assert!(told(&refused).contains("the profile says `localhost/node:v2`"), "{}", refused.said());
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

#[test]
fn addresses_that_the_network_cannot_give_are_shown_where_they_are_written() {
    let lab = LabShims::new("shim-pool", "docker", "0.33.0");
    let text = fs::read_to_string(lab.profile()).expect("it was written");
    let write = |addresses: &[&str]| {
        let items = addresses.join("\n      - ");
        let with_pool = format!("{text}addons:\n  metallb:\n    addresses:\n      - {items}\n");
        fs::write(lab.profile(), with_pool).expect("the folder is ours");
    };
    write(&["192.0.2.0/28", "172.18.0.1-172.18.0.9"]);
    for arguments in [&["plan", lab.name][..], &["up", lab.name, "--yes"]] {
        let refused = lab.berth.run(arguments).expect(3);
        for told in [
            "profiles/shim-pool.yaml:12:9: error: 192.0.2.0/28 lies outside of docker network `kind`",
            "12 |       - 192.0.2.0/28",
            "profiles/shim-pool.yaml:13:9: error: 172.18.0.1-172.18.0.9 holds 172.18.0.1, the gateway of docker network",
        ] {
            assert!(refused.stderr.contains(told), "{told}: {}", refused.said());
        }
        assert_eq!(called(&lab, "kind create"), 0);
    }
    lab.forget_calls();
    // What makes nothing asks no engine for that, and a rehearsal has another network.
    lab.berth.run(&["validate", lab.name]).expect(0);
    assert_eq!(lab.calls(), Vec::<String>::new());
    lab.berth.run(&["down", lab.name, "--yes"]).expect(0);
    write(&["172.18.200.0/28"]);
    lab.berth.run(&["plan", lab.name]).expect(0);
}

#[test]
fn addresses_of_a_network_that_comes_with_the_cluster_are_shown_where_they_are_written_too() {
    let lab = lab("shim-first");
    let text = fs::read_to_string(lab.profile()).expect("it was written");
    fs::write(lab.profile(), format!("{text}addons:\n  metallb: {{addresses: 192.0.2.0/28}}\n"))
        .expect("the folder is ours");
    lab.now("no-network");
    lab.meanwhile(&format!("rm -f '{}'", lab.path("no-network").display()));
    lab.berth.run(&["plan", lab.name]).expect(0);
    let failed = lab.berth.run(&["up", lab.name, "--yes", "--timeout", "5m"]).expect(6);
    let told_at = "profiles/shim-first.yaml:10:24: error: 192.0.2.0/28 lies outside of docker network `kind`";
    assert!(failed.stderr.contains(told_at), "{}", failed.said());
    lab.berth.run(&["plan", lab.name]).expect(3);
}

#[test]
fn one_look_tells_what_may_help_where_the_api_server_is_silent_and_its_containers_are_old() {
    let lab = lab("shim-silent");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    lab.is_silent();
    lab.runs_since("2020-01-01T00:00:00Z");
    let old = lab.berth.run(&["status", lab.name]).expect(1);
    assert!(told_in(&old.stdout, "all its containers run for"), "{}", old.said());
    assert!(told_in(&old.stdout, "`docker restart shim-silent-control-plane` may help"), "{}", old.said());
    let verify = lab.berth.run(&["verify", lab.name]).expect(8);
    assert!(
        told_in(&verify.stderr, "`docker restart shim-silent-control-plane` may help"),
        "{}",
        verify.said()
    );
    lab.runs_since(&jiff::Timestamp::now().to_string());
    let young = lab.berth.run(&["status", lab.name]).expect(1);
    assert!(told_in(&young.stdout, "its API server does not answer yet"), "{}", young.said());
    assert!(!young.stdout.contains("docker restart"), "{}", young.said());
}

#[test]
fn a_node_that_somebody_put_into_a_group_is_taken_out_of_it_or_is_in_the_way() {
    let lab = lab("shim-group");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    let node = format!("{}-control-plane", lab.name);
    let group = || {
        let path = "jsonpath={.metadata.labels.berth\\.dev/node-group}";
        lab.plane.kubectl(&["get", "node", &node, "-o", path]).expect(0).stdout
    };
    lab.plane.kubectl(&["label", "node", &node, "berth.dev/node-group=general"]).expect(0);
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    assert_eq!(group(), "");

    let labelled = serde_json::json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": node, "labels": {"berth.dev/node-group": "general"}}});
    lab.plane.apply_as("theirs", &labelled.to_string());
    let refused = lab.berth.run(&["up", lab.name, "--yes"]).expect(8);
    assert!(told(&refused).contains("`theirs` applies"), "{}", refused.said());
    assert!(told(&refused).contains("--force-conflicts"), "{}", refused.said());
    assert_eq!(group(), "general");
    lab.berth.run(&["up", lab.name, "--yes", "--force-conflicts"]).expect(0);
    assert_eq!(group(), "");
}
