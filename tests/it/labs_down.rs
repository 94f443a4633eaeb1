//! The end of a lab on kind, also where its engine or its cluster went before: what is removed, what is claimed, what is
//! told. The programs are played, the API server is real.

use std::fs;

use super::support::{Finished, LabShims};

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
fn down_ends_where_the_cluster_never_came_or_was_taken_away_by_hand() {
    let lab = lab("shim-by-hand");
    let folder = || {
        let names = fs::read_dir(lab.berth.home().join(".local/state/berth/environments")).ok();
        names.into_iter().flatten().count()
    };
    // Making it begins and fails, and its engine keeps nothing of it.
    lab.meanwhile(&format!("rm -f '{}'; exit 1", lab.path("nodes.json").display()));
    let failed = lab.berth.run(&["up", lab.name, "--yes", "--timeout", "20s"]);
    assert!(failed.code != Some(0) && folder() == 1, "{}", failed.said());
    lab.berth.run(&["down", lab.name, "--yes"]).expect(0);
    assert_eq!(folder(), 0);
    lab.meanwhile(":");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    fs::remove_file(lab.path("nodes.json")).expect("it was made");
    let down = lab.berth.run(&["down", lab.name, "--yes"]).expect(0);
    assert!(down.stdout.contains("nothing is left"), "{}", down.said());
    assert_eq!(folder(), 0);
}

#[test]
fn a_lab_that_never_was_is_not_listed_when_its_engine_could_not_be_asked() {
    let lab = lab("shim-never");
    lab.now("engine-is-gone");
    lab.berth.run(&["down", lab.name, "--yes", "--timeout", "20s"]);
    let listed = lab.berth.run(&["list"]);
    assert!(!listed.stdout.contains(lab.name), "{}", listed.said());
    lab.no_longer("engine-is-gone");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    lab.now("engine-is-gone");
    lab.berth.run(&["down", lab.name, "--yes", "--timeout", "20s"]);
    let listed = lab.berth.run(&["list"]);
    assert!(listed.stdout.contains(lab.name) && !listed.stdout.contains("down"), "{}", listed.said());
}

#[test]
fn down_says_that_a_cluster_of_this_name_stands_which_is_somebody_elses() {
    let lab = lab("shim-theirs");
    // The API server is that of other tests, and keeps what they adopted under the usual id.
    let own = fs::read_to_string(lab.profile()).expect("it was written");
    fs::write(lab.profile(), own.replace("abcd1234", "theirs12")).expect("the folder is ours");
    lab.is_made_by_somebody_else();
    let down = lab.berth.run(&["down", lab.name, "--yes"]).expect(0);
    assert!(
        down.stdout.contains("kept  kind cluster shim-theirs  somebody else made it; it is left as it is"),
        "{}",
        down.said()
    );
    assert!(lab.stands());
}

#[test]
fn a_profile_that_was_moved_takes_its_lab_up_again_by_the_id_that_is_told() {
    let lab = lab("shim-moved");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    let own = fs::read_to_string(lab.profile()).expect("it was written");
    fs::write(lab.profile(), own.replace("id: abcd1234\n", "")).expect("the folder is ours");
    for arguments in [vec!["up", lab.name, "--yes"], vec!["up", lab.name, "--yes", "--adopt"]] {
        let refused = lab.berth.run(&arguments).expect(8);
        let told = told(&refused);
        assert!(told.contains("a profile with the id abcd1234"), "{told}");
        assert!(told.contains("write `id: abcd1234` at the top of the profile"), "{told}");
        assert!(!told.contains("--adopt"), "{told}");
    }
    let down = lab.berth.run(&["down", lab.name, "--yes"]).expect(0);
    assert!(lab.stands() && down.stdout.contains("with the id abcd1234"), "{}", down.said());
    fs::write(lab.profile(), own).expect("the folder is ours");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    assert_eq!(called(&lab, "kind create"), 1);
}

#[test]
fn nodes_that_kind_leaves_are_removed_whatever_it_says() {
    let lab = lab("shim-nodes-left");
    for says in ["kind-cannot-remove", "kind-removes-nothing"] {
        lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
        lab.now(says);
        let down = lab.berth.run(&["down", lab.name, "--yes", "--timeout", "5m"]).expect(0);
        assert!(!lab.stands() && down.stdout.contains("nothing is left"), "{says}: {}", down.said());
        lab.no_longer(says);
    }
    assert_eq!((called(&lab, "kind delete"), called(&lab, "docker rm --force --volumes")), (2, 2));
}

#[test]
fn a_list_says_which_engine_did_not_answer_and_shows_what_is_known_without_it() {
    let lab = lab("shim-list");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    lab.now("engine-is-gone");
    let known = lab.berth.run(&["list"]).expect(0);
    assert!(known.stdout.contains(lab.name), "{}", known.said());
    assert!(
        told(&known).contains("warning: which kind clusters are in docker is not known"),
        "{}",
        known.said()
    );
    assert!(told(&known).contains("next start Docker"), "{}", known.said());
    let json = lab.berth.run(&["list", "--output", "json"]).expect(0);
    let listed: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(listed["schema"], 1);
    assert_eq!(listed["environments"][0]["about"]["environment"], lab.name);
    assert_eq!(listed["unanswered"][0]["engine"], "docker");
    lab.no_longer("engine-is-gone");
    fs::remove_dir_all(lab.berth.home().join(".local/state/berth")).expect("it was made just now");
    lab.now("engine-hangs");
    let nothing = lab.berth.run(&["list"]).expect(0);
    assert!(told(&nothing).contains("docker is not known: no answer within 5 s"), "{}", nothing.said());
    assert!(!told(&nothing).contains("no environments here"), "{}", nothing.said());
}

#[test]
fn an_engine_that_is_away_is_one_readable_complaint() {
    let lab = lab("shim-once");
    lab.now("engine-is-gone");
    for arguments in [vec!["status", lab.name], vec!["plan", lab.name], vec!["down", lab.name, "--yes"]] {
        let failed = lab.berth.run(&arguments);
        let complaints = failed.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(complaints, 1, "{}", failed.said());
        let said = told(&failed).matches("Is the docker daemon running?").count();
        assert!(said <= 2, "{}", failed.said());
    }
}

#[test]
fn a_missing_program_ends_every_command_alike() {
    let lab = lab("shim-missing");
    fs::remove_file(lab.path("bin/kind")).expect("it was written");
    for arguments in [vec!["plan", lab.name], vec!["up", lab.name, "--yes"]] {
        let refused = lab.berth.run(&arguments).expect(1);
        assert!(told(&refused).contains("find `kind`"), "{}", refused.said());
    }
    assert!(!lab.stands());
}

#[test]
fn the_events_of_down_plan_nothing_but_deletions() {
    let lab = lab("shim-events");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    let down = lab.berth.run(&["down", lab.name, "--yes", "--output", "json"]).expect(0);
    let events =
        down.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let planned: Vec<serde_json::Value> = events.filter(|event| event["type"] == "planned").collect();
    let kinds = |event: &serde_json::Value| -> Vec<serde_json::Value> {
        event["changes"].as_array().expect("a list").iter().map(|change| change["kind"].clone()).collect()
    };
    let cluster = planned.iter().find(|event| event["resource"] == "cluster/kind/shim-events");
    assert_eq!(kinds(cluster.expect("it stood")), ["delete"]);
    assert!(planned.iter().flat_map(kinds).all(|kind| kind == "delete"), "{}", down.said());
}
