//! Node groups with GPUs on kind: given only where the machine has them for containers, set up in the node, and never
//! replaced by nodes without. No machine of the tests has a GPU: what Docker, kind and NVIDIA's programs say is played
//! from what was recorded or published, the API server is real.

use std::fs;
use std::io::Write;

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Finished, LabShims, eventually};

const FIRST: &str = "GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c";

/// A lab with one worker that has one of the machine's four GPUs.
fn lab(name: &'static str) -> LabShims {
    let lab = LabShims::new(name, "docker", "0.33.0");
    lab.has_gpus();
    lab.register("control-plane");
    lab.register("worker");
    lab
}

/// Everything that was said, in one line.
fn told(finished: &Finished) -> String {
    let said = format!("{} {}", finished.stdout, finished.stderr);
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn called(lab: &LabShims, what: &str) -> usize {
    lab.calls().iter().filter(|call| call.contains(what)).count()
}

/// Refused before anything was made, with `typed` among what to type.
#[track_caller]
fn is_refused(lab: &LabShims, typed: &str) {
    let refused = lab.berth.run(&["up", lab.name, "--yes"]);
    assert!(refused.code != Some(0), "{}", refused.said());
    let rehearsal = format!("`berth up {} --rehearse`", lab.name);
    for wanted in ["GPUs of node group `general`", typed, &rehearsal] {
        assert!(told(&refused).contains(wanted), "{wanted}: {}", refused.said());
    }
    assert_eq!(called(lab, "kind create"), 0);
}

#[test]
fn a_machine_whose_docker_has_no_runtime_of_nvidia_is_told_what_to_install() {
    let lab = lab("gpu-none");
    let able = fs::read_to_string(lab.path("info.json")).expect("it was written");
    let plain = able.replace("\"DefaultRuntime\": \"nvidia\"", "\"DefaultRuntime\": \"runc\"");
    fs::write(lab.path("info.json"), &plain).expect("the folder is ours");
    is_refused(&lab, "container toolkit (https://docs.nvidia.com/");
    assert_eq!(called(&lab, "container-devices/all"), 0);
    // It is there, and not what containers get.
    let beside = plain
        .replace("\"Runtimes\": {", "\"Runtimes\": {\"nvidia\": {\"path\": \"nvidia-container-runtime\"},");
    assert!(beside != plain);
    fs::write(lab.path("info.json"), beside).expect("the folder is ours");
    is_refused(
        &lab,
        "make it the default: `sudo nvidia-ctk runtime configure --runtime=docker --set-as-default",
    );
    assert_eq!(called(&lab, "container-devices/all"), 0);
}

#[test]
fn a_runtime_that_heeds_no_mounts_is_found_out_before_anything_is_made() {
    let lab = lab("gpu-mounts");
    lab.now("no-gpus");
    is_refused(&lab, "--set accept-nvidia-visible-devices-as-volume-mounts=true");
}

#[test]
fn more_gpus_than_there_are_are_refused() {
    let lab = lab("gpu-many");
    let profile = fs::read_to_string(lab.profile()).expect("it was written");
    let many = profile.replace("nvidia.com/gpu: 1", "nvidia.com/gpu: 8");
    fs::write(lab.profile(), many).expect("the folder is ours");
    is_refused(&lab, "8 wanted (`general`: 1 node with 8), 4 free: this machine has 4");
}

#[test]
fn podman_has_no_way_to_give_gpus_to_nodes() {
    let lab = LabShims::new("gpu-podman", "podman", "0.33.0");
    let profile = fs::read_to_string(lab.profile()).expect("it was written");
    let group = "{name: general, nodes: 1, resources: {nvidia.com/gpu: 1}}";
    fs::write(lab.profile(), profile.replace("{name: general, nodes: 1}", group))
        .expect("the folder is ours");
    is_refused(&lab, "use Docker: `BERTH_ENGINE=docker`");
}

#[test]
fn a_worker_is_given_its_gpus_and_set_up_once_and_again_what_a_start_undoes() {
    let lab = lab("gpu-up");
    let plan = lab.berth.run(&["plan", lab.name]).expect(0);
    assert!(plan.stdout.contains("1 node set up for GPUs"), "{}", plan.said());
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    let config = fs::read_to_string(lab.path("kind.yaml")).expect("kind read it");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    let mounts = |node: usize| config["nodes"][node]["extraMounts"].as_array().expect("a list").clone();
    let is_gpu = |mount: &&Value| {
        mount["containerPath"]
            .as_str()
            .is_some_and(|path| path.starts_with("/var/run/nvidia-container-devices/"))
    };
    assert_eq!(mounts(0).iter().filter(is_gpu).count(), 0);
    let given: Vec<Value> = mounts(1).iter().filter(is_gpu).cloned().collect();
    assert_eq!(given.len(), 1, "{given:?}");
    assert_eq!(given[0]["hostPath"], "/dev/null");
    assert_eq!(given[0]["containerPath"], format!("/var/run/nvidia-container-devices/{FIRST}"));
    assert_eq!(called(&lab, "berth-gpus.lock"), 1);

    lab.forget_calls();
    let again = lab.berth.run(&["up", lab.name]).expect(0);
    assert!(again.stdout.contains("nothing had to change"), "{}", again.said());
    assert_eq!(
        (called(&lab, "berth-gpus.lock"), called(&lab, "container-devices/all")),
        (0, 0),
        "{:?}",
        lab.calls()
    );

    // Mounts and device files of a container are gone with each start of it.
    lab.is_started_anew();
    let plan = lab.berth.run(&["plan", lab.name]).expect(0);
    let row = "device files that stay as they are, no GPUs of others";
    assert!(told(&plan).contains(row), "{}", plan.said());
    lab.berth.run(&["up", lab.name]).expect(0);
    assert_eq!((called(&lab, "berth-gpus.lock"), called(&lab, "kind create")), (1, 0), "{:?}", lab.calls());
    lab.berth.run(&["down", lab.name, "--yes"]).expect(0);
}

#[test]
fn two_labs_that_are_made_at_once_choose_their_gpus_one_after_the_other() {
    let lab = lab("gpu-turns");
    let lock = lab.berth.home().join(".local/state/berth/gpus.lock");
    fs::create_dir_all(lock.parent().expect("a folder")).expect("the folder is ours");
    let other = fs::File::create(&lock).expect("the folder is ours");
    other.lock().expect("nobody else has it");
    (&other).write_all(b"`kind create cluster` of environment other").expect("the file is ours");
    let waits = "`kind create cluster` of environment other";
    lab.berth.start(&["up", lab.name, "--yes"]).stopped_once_told(waits);
    assert_eq!(called(&lab, "kind create"), 0);
    other.unlock().expect("it is ours");
    drop(other);

    // Others cannot have it for as long as the nodes are on their way.
    let held = lab.path("gpus-are-held");
    lab.meanwhile(&format!(
        "if ! flock --nonblock --close '{}' true; then : >'{}'; fi",
        lock.display(),
        held.display()
    ));
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    assert!(held.exists());
}

#[test]
fn a_set_up_that_was_killed_is_done_by_the_next_run_in_the_same_cluster() {
    let lab = lab("gpu-killed");
    lab.now("set-up-waits");
    let first = lab.berth.start(&["up", lab.name, "--yes"]);
    let begun = lab.path("set-up-begun");
    eventually("the set-up is at work", || begun.exists().then_some(()));
    first.signal(Signal::KILL);
    first.finish();
    lab.no_longer("set-up-waits");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    assert_eq!(called(&lab, "kind create"), 1);
    let again = lab.berth.run(&["up", lab.name]).expect(0);
    assert!(again.stdout.contains("nothing had to change"), "{}", again.said());
}

#[test]
fn a_node_that_cannot_fetch_the_toolkit_is_told_with_the_ways_out() {
    let lab = lab("gpu-offline");
    lab.now("no-network");
    let failed = lab.berth.run(&["up", lab.name, "--yes", "--timeout", "30s"]);
    assert!(failed.code != Some(0), "{}", failed.said());
    for wanted in
        ["Could not resolve host: nvidia.github.io", "https://nvidia.github.io", "`cluster.kind.image`"]
    {
        assert!(told(&failed).contains(wanted), "{wanted}: {}", failed.said());
    }
    lab.no_longer("no-network");
    lab.berth.run(&["up", lab.name, "--yes"]).expect(0);
    assert_eq!(called(&lab, "kind create"), 1);
}

#[test]
fn doctor_looks_for_gpus_only_where_a_profile_wants_some() {
    let lab = lab("gpu-doctor");
    let well = lab.berth.run(&["doctor"]).expect(0);
    assert!(
        told(&well).contains("ok GPUs for gpu-doctor 1 wanted, 4 free: this machine has 4"),
        "{}",
        well.said()
    );
    lab.now("no-gpus");
    let ill = lab.berth.run(&["doctor"]).expect(0);
    assert!(
        told(&ill).contains("warn GPUs for gpu-doctor Docker's NVIDIA runtime gave none"),
        "{}",
        ill.said()
    );
    assert!(told(&ill).contains("`sudo systemctl restart docker`"), "{}", ill.said());
    let plain = LabShims::new("gpu-doctor-none", "docker", "0.33.0");
    let none = plain.berth.run(&["doctor"]).expect(0);
    assert!(!none.stdout.contains("GPUs"), "{}", none.said());
    assert_eq!(called(&plain, "container-devices/all"), 0);
}
