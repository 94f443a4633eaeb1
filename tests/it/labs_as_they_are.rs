//! What a lab on kind really is, against what its profile says and what etcd still tells of it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::support::{Finished, LabShims};

/// A lab in Docker whose nodes register as soon as they are made.
fn lab(name: &'static str) -> LabShims {
    let lab = LabShims::new(name, "docker", "0.33.0");
    lab.register("control-plane");
    lab.register("worker");
    lab
}

/// All that was said, in one line.
fn told(finished: &Finished) -> String {
    let said = format!("{} {}", finished.stdout, finished.stderr);
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn made(lab: &LabShims) -> usize {
    lab.calls().iter().filter(|call| call.starts_with("kind create")).count()
}

const NO_CHANGE: &str = "nothing had to change";

#[test]
fn nodes_that_were_started_again_count_once_they_are_heard_of() {
    let lab = lab("shim-again");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    let started = |at: Timestamp| {
        lab.containers(|nodes| {
            for node in nodes {
                node["State"]["StartedAt"] = json!(at.to_string());
                node["State"]["FinishedAt"] = json!(at.to_string());
            }
        });
    };
    // Nothing renews a lease after this.
    started(Timestamp::now() + SignedDuration::from_hours(1));
    let status = lab.berth.run(&["status", lab.name]).expect(1);
    let remedy = format!("`berth up {}` brings it there, or says what is in the way", lab.name);
    assert!(told(&status).contains(&remedy), "{}", status.said());
    let both = "nodes shim-again-control-plane, shim-again-worker started again, and not heard of yet";
    assert!(told(&status).contains(both), "{}", status.said());
    assert!(!told(&status).contains("everything is ready"), "{}", status.said());
    let behind = format!("not looked at, since `cluster/kind/shim-again` is not ready: {both}");
    let plan = lab.berth.run(&["plan", lab.name]).expect(0);
    assert!(told(&plan).contains(&behind), "{}", plan.said());
    for one_look in [&status, &plan] {
        assert!(!told(one_look).contains("does not answer"), "{}", one_look.said());
    }
    let kept = lab.berth.run(&["plan", lab.name, "-o", "/nowhere/plan.json"]).expect(8);
    assert!(
        told(&kept).contains(&format!("why `cluster/kind/shim-again` is not ready: {both}")),
        "{}",
        kept.said()
    );
    lab.berth.start(&["up", lab.name]).stopped_once_told(both);
    started(Timestamp::now() - SignedDuration::from_mins(5));
    let up = lab.berth.run(&["up", lab.name]).expect(0);
    assert!(told(&up).contains(NO_CHANGE), "{}", up.said());
}

#[test]
fn what_was_started_is_a_change_in_the_last_words() {
    let lab = lab("shim-start");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    lab.containers(|nodes| nodes[0]["State"]["Status"] = json!("exited"));
    let up = lab.berth.run(&["up", lab.name]).expect(0);
    assert!(told(&up).contains("1 to start") && !told(&up).contains(NO_CHANGE), "{}", up.said());
    let up = lab.berth.run(&["up", lab.name]).expect(0);
    assert!(told(&up).contains(NO_CHANGE), "{}", up.said());
}

#[test]
fn a_cluster_with_other_nodes_than_the_profile_is_not_adopted() {
    let lab = lab("shim-misfit");
    // The labs share an API server, and what was adopted is known there.
    lab.rewrite("id: abcd1234", "id: misf1234");
    lab.is_made_by_somebody_else();
    lab.containers(|nodes| drop(nodes.pop()));
    let why = "it has 1 control plane, no workers, and the profile says 1 control plane, 1 worker; write \
               `controlPlanes: 1` under `cluster.kind`, and `nodeGroups` of 0 nodes in all";
    let plan = lab.berth.run(&["plan", lab.name, "--adopt"]);
    assert!(told(&plan).contains(why), "{}", plan.said());
    let up = lab.berth.run(&["up", lab.name, "--yes", "--adopt"]).expect(8);
    assert!(told(&up).contains("nothing was changed"), "{}", up.said());
    lab.rewrite("nodeGroups:\n  - {name: general, nodes: 1}\n", "");
    lab.berth.run(&["up", lab.name, "--yes", "--adopt"]).expect(0);
    assert!(told(&lab.berth.run(&["up", lab.name]).expect(0)).contains(NO_CHANGE));
}

#[test]
fn an_image_of_another_kubernetes_is_refused_before_anything_is_made() {
    let lab = lab("shim-image");
    fs::write(lab.path("kubernetes"), "v1.35.8\n").expect("the folder is ours");
    let up = lab.berth.run(&["up", lab.name, "--yes"]).expect(8);
    let why = "it has Kubernetes v1.35.8, and the profile says 1.36; write `version: \"1.35\"`";
    assert!(told(&up).contains(why), "{}", up.said());
    assert_eq!(made(&lab), 0);
}

#[test]
fn a_kubernetes_that_no_image_is_known_of_is_refused_by_plan() {
    let lab = lab("shim-unknown");
    lab.rewrite("version: \"1.36\", image: localhost/node:v1", "version: \"1.33\"");
    let plan = lab.berth.run(&["plan", lab.name]);
    assert!(told(&plan).contains("for kind 0.33.0 berth knows the images of 1.34"), "{}", plan.said());
    lab.berth.run(&["up", lab.name, "--yes"]).expect(8);
    assert_eq!(made(&lab), 0);
}

#[test]
fn a_profile_that_is_corrected_to_what_runs_is_no_change() {
    let lab = lab("shim-words");
    // The image does not say what it has, and it is not what the profile says.
    fs::remove_file(lab.path("kubernetes")).expect("it was written");
    lab.rewrite("version: \"1.36\", image: localhost/node:v1", "version: \"1.35\"");
    let up = lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    assert_eq!(made(&lab), 1, "{}", up.said());
    let advice = "write `version: \"1.36\"`";
    let plan = lab.berth.run(&["plan", lab.name]);
    assert!(told(&plan).contains(advice), "{}", plan.said());
    lab.rewrite("\"1.35\"", "\"1.36\"");
    assert!(told(&lab.berth.run(&["up", lab.name]).expect(0)).contains(NO_CHANGE));
    let mut image = String::new();
    lab.containers(|nodes| image = nodes[0]["Config"]["Image"].as_str().expect("an image").to_string());
    lab.rewrite("version: \"1.36\"", &format!("version: \"1.36\", image: \"{image}\""));
    assert!(told(&lab.berth.run(&["up", lab.name]).expect(0)).contains(NO_CHANGE));
    lab.rewrite(&format!("version: \"1.36\", image: \"{image}\""), "version: \"1.37\"");
    let up = lab.berth.run(&["up", lab.name]).expect(8);
    assert!(told(&up).contains("the profile says 1.37") && told(&up).contains("--recreate"), "{}", up.said());
}

#[test]
fn a_lost_node_is_told_with_the_one_thing_that_helps() {
    let lab = lab("shim-lost");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    lab.containers(|nodes| drop(nodes.pop()));
    let gone = "shim-lost-worker is gone";
    for arguments in [vec!["up", lab.name], vec!["verify", lab.name]] {
        let refused = lab.berth.run(&arguments).expect(8);
        assert!(told(&refused).contains(gone), "{}", refused.said());
        assert!(told(&refused).contains("berth up shim-lost --recreate"), "{}", refused.said());
        assert!(!told(&refused).contains("to go on"), "{}", refused.said());
    }
}

#[test]
fn the_port_of_an_api_server_that_moved_is_asked_for() {
    let lab = lab("shim-port");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    let folder = lab.berth.home().join(".local/state/berth/environments/shim-port-abcd1234");
    let right = fs::read_to_string(folder.join("kubeconfig")).expect("it was written");
    let server = right.lines().find(|line| line.contains("server:")).expect("a server");
    let nobody = server.split("https://").next().expect("a key").to_string() + "https://127.0.0.1:1";
    fs::write(folder.join("kubeconfig"), right.replace(server, &nobody)).expect("the folder is ours");
    lab.berth.run(&["up", lab.name]).expect(0);
    assert_eq!(fs::read_to_string(folder.join("kubeconfig")).expect("it was written"), right);
}

#[test]
fn what_will_be_made_is_said_beforehand() {
    let lab = lab("shim-outline");
    let plan = lab.berth.run(&["plan", lab.name]);
    let outline = "Kubernetes 1.36, 1 control plane, 1 worker (general), image `localhost/node:v1`";
    assert!(told(&plan).contains(outline), "{}", plan.said());
}

#[test]
fn doctor_looks_at_the_ports_and_images_of_the_profiles_here() {
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = held.local_addr().expect("it is bound").port();
    let lab = lab("shim-doctor");
    fs::write(lab.path("kubernetes"), "v1.35.8\n").expect("the folder is ours");
    lab.rewrite(
        "image: localhost/node:v1",
        &format!("image: localhost/node:v1, ports: [{{host: {port}, node: 80}}]"),
    );
    let doctor = lab.berth.run(&["doctor"]);
    assert!(told(&doctor).contains(&format!("port {port} of 127.0.0.1 of shim-doctor")), "{}", doctor.said());
    assert!(told(&doctor).contains("node image localhost/node:v1 of shim-doctor"), "{}", doctor.said());
}
