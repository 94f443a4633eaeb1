//! `berth image load` before engines that are played from recordings: what it asks of them, what it sends to which
//! node, and what it says when they fail. Real nodes are in tests/e2e.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::support::{Berth, EngineShim, Finished, eventually};

const PROFILE: &str = "apiVersion: berth.dev/v1alpha1
kind: Environment
name: lab
id: abcd1234
cluster: {kind: {version: \"1.36\"}}
";

/// The image of the recordings.
const HELLO: &str = "sha256:8c763776351868fbf235aa6aa2c5da20d87fc31175c3abf0f30ac5738655fe0e";

/// A home whose only profile is `lab`, with `shim` in place of the engines of this machine.
fn stage(shim: &EngineShim) -> Berth {
    let berth = Berth::new().with_path_first(&shim.folder()).with_variable("BERTH_ENGINE", "");
    berth.profile("lab", PROFILE);
    berth
}

fn load(berth: &Berth, images: &[&str]) -> Finished {
    berth.run(&[&["image", "load"], images].concat())
}

/// An engine with the cluster `lab` of two nodes. The worker has the image already; the control plane has it as soon as
/// something was sent to it.
fn engine_with_lab(name: &str, recorded: &str, folder: &Path) -> EngineShim {
    engine_with_lab_of(Some("abcd1234"), name, recorded, folder)
}

/// The same, whose nodes carry the mark of the profile with the id `owner`, or none.
fn engine_with_lab_of(owner: Option<&str>, name: &str, recorded: &str, folder: &Path) -> EngineShim {
    let mounts: Vec<Value> = owner
        .map(|id| json!({"Source": "/dev/null", "Destination": format!("/etc/berth/{id}/lab/image-0a1b2c3d"), "RW": false}))
        .into_iter()
        .collect();
    let node = |name: &str, role: &str, state: &str| {
        json!({"Id": name, "Name": format!("/{name}"), "State": {"Status": state, "ExitCode": 0}, "Mounts": mounts, "Config":
            {"Labels": {"io.x-k8s.kind.cluster": "lab", "io.x-k8s.kind.role": role}}})
    };
    let nodes = json!([
        node("lab-control-plane", "control-plane", "running"),
        node("lab-worker", "worker", "running"),
        node("lab-external-load-balancer", "external-load-balancer", "running"),
    ]);
    let full = EngineShim::recorded("docker-20.10", "node-images.txt");
    let text = fs::read_to_string(&full).expect("it belongs to the repository");
    let empty = folder.join("empty-node.txt");
    fs::write(&empty, format!("{{\"images\": []}}{}", &text[text.find("\n>\n").expect("parts")..]))
        .expect("the folder is ours");
    let inspected = folder.join("nodes.json");
    fs::write(&inspected, nodes.to_string()).expect("the folder is ours");
    let look =
        format!("if [ -s \"$KEPT\" ]; then cat '{}'; else cat '{}'; fi", full.display(), empty.display());
    EngineShim::new(name)
        .prints("info *", &EngineShim::recorded(recorded, "info.json"))
        .does("ps --all *", "printf 'a\\nb\\nc\\n'")
        .prints("container inspect *", &inspected)
        .does("exec lab-control-plane sh *", &look)
        .prints("exec lab-worker sh *", &full)
        .does("exec --interactive *", "cat >\"$KEPT\"")
}

/// The recorded image under `tags`, as `image inspect` prints it.
fn inspected(recorded: &str, tags: &[&str], folder: &Path) -> PathBuf {
    let file = EngineShim::recorded(recorded, "image-inspect.json");
    let text = fs::read_to_string(file).expect("it belongs to the repository");
    let mut images: Value = serde_json::from_str(&text).expect("it was recorded whole");
    images[0]["Id"] = json!(HELLO);
    images[0]["RepoTags"] = json!(tags);
    let path = folder.join("image.json");
    fs::write(&path, images.to_string()).expect("the folder is ours");
    path
}

#[test]
fn an_image_is_saved_once_and_sent_only_to_nodes_that_lack_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shim = engine_with_lab("docker", "docker-20.10", folder.path())
        .prints("image inspect *", &inspected("docker-20.10", &["hello:ld"], folder.path()))
        .does("save docker.io/library/hello:ld", "printf archive");
    let berth = stage(&shim);
    // Typed twice is wanted once.
    let done = load(&berth, &["hello:ld", "hello:ld", "--output", "json"]).expect(0);
    let told: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let outcome = |index: usize| told["images"][0]["nodes"][index]["outcome"].as_str().map(str::to_string);
    assert_eq!(
        (outcome(0).as_deref(), outcome(1).as_deref()),
        (Some("loaded"), Some("present")),
        "{}",
        done.said()
    );
    assert_eq!(told["images"].as_array().map(Vec::len), Some(1), "{}", done.said());
    assert_eq!(told["images"][0]["id"], HELLO);
    assert_eq!(
        told["images"][0]["nodes"].as_array().map(Vec::len),
        Some(2),
        "the load balancer runs no pods"
    );
    assert_eq!(fs::read_to_string(shim.kept()).expect("it was sent"), "archive");
    let calls = shim.calls();
    assert_eq!(calls.matches("save ").count(), 1, "{calls}");
    assert!(
        calls.contains("exec --interactive lab-control-plane ctr --namespace=k8s.io images import"),
        "{calls}"
    );
    assert!(
        !calls.contains("exec --interactive lab-worker") && !calls.contains("--all-platforms"),
        "{calls}"
    );

    let again = load(&berth, &["hello:ld"]).expect(0);
    assert!(again.stdout.contains("2 nodes had it already"), "{}", again.said());
    assert_eq!(shim.calls().matches("save ").count(), 1, "nothing is saved when nobody lacks it");
}

#[test]
fn a_cluster_of_somebody_else_gets_no_images() {
    for (owner, whose) in [
        (None, "somebody else made it"),
        (Some("other123"), "it is environment lab of a profile with the id other123"),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shim = engine_with_lab_of(owner, "docker", "docker-20.10", folder.path())
            .prints("image inspect *", &inspected("docker-20.10", &["hello:ld"], folder.path()))
            .does("save *", "printf archive");
        let refused = load(&stage(&shim), &["hello:ld"]);
        let told = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(refused.code != Some(0) && told.contains(whose), "{}", refused.said());
        assert!(refused.stderr.contains("`berth up lab`"), "{}", refused.said());
        let calls = shim.calls();
        assert!(!calls.contains("exec ") && !calls.contains("save "), "{calls}");
    }
}

#[test]
fn an_image_that_cannot_be_saved_whole_is_on_no_node() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shim = engine_with_lab("docker", "docker-20.10", folder.path())
        .prints("image inspect *", &inspected("docker-20.10", &["hello:ld"], folder.path()))
        .does(
            "save *",
            "printf half; echo 'write /var/lib/docker/tmp/x: no space left on device' >&2; exit 1",
        );
    let failed = load(&stage(&shim), &["hello:ld"]).expect(1);
    assert!(failed.stderr.contains("no space left on device"), "{}", failed.said());
    assert!(failed.stderr.contains("docker system prune"), "{}", failed.said());
    assert!(failed.stdout.contains("FAILED on 1 node"), "{}", failed.said());
}

#[test]
fn a_node_that_refuses_is_named_with_its_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shim = EngineShim::new("docker").fails(
        "exec --interactive *",
        "ctr: failed to ingest \"layer.tar\": failed to copy: write /var/lib/containerd/x: no space left on device",
        1,
    );
    let rest = engine_with_lab("docker", "docker-20.10", folder.path())
        .prints("image inspect *", &inspected("docker-20.10", &["hello:ld"], folder.path()))
        .does("save *", "head -c 3000000 /dev/zero");
    let failed = load(&stage(&shim.followed_by(rest)), &["hello:ld"]).expect(1);
    assert!(failed.stderr.contains("into node `lab-control-plane`"), "{}", failed.said());
    assert!(failed.stderr.contains("no space left on device"), "{}", failed.said());
}

/// The last event of a run that was told as JSON.
fn last_event(finished: &Finished) -> Value {
    let mut events = finished.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.rfind(|event| event["type"].is_string()).unwrap_or_default()
}

#[test]
fn one_node_that_refuses_keeps_the_image_from_no_other() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lab = engine_with_lab("docker", "docker-20.10", folder.path())
        .prints("image inspect *", &inspected("docker-20.10", &["hello:ld"], folder.path()))
        .does("save *", "printf archive");
    let shim = EngineShim::new("docker")
        .fails("exec --interactive lab-worker *", "ctr: no space left on device", 1)
        .prints("exec lab-worker sh *", &folder.path().join("empty-node.txt"))
        .followed_by(lab);
    let partly = load(&stage(&shim), &["hello:ld", "--progress", "json"]).expect(6);
    assert!(partly.stderr.contains("into node `lab-worker`"), "{}", partly.said());
    assert!(partly.stdout.contains("FAILED on 1 node"), "{}", partly.said());
    let last = last_event(&partly);
    assert_eq!((&last["type"], &last["exit_code"]), (&json!("run_finished"), &json!(6)), "{last}");
    assert_eq!((&last["done"], &last["failed"]), (&json!(0), &json!(1)), "{last}");
}

#[test]
fn an_engine_with_images_for_several_platforms_is_asked_for_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = fs::read_to_string(EngineShim::recorded("docker-20.10", "info.json")).expect("recorded");
    let mut info: Value = serde_json::from_str(&text).expect("JSON");
    info["DriverStatus"] = json!([["driver-type", "io.containerd.snapshotter.v1"]]);
    let desktop = folder.path().join("info.json");
    fs::write(&desktop, info.to_string()).expect("the folder is ours");
    let image = inspected("docker-20.10", &["hello:ld"], folder.path());
    let shim = EngineShim::new("docker")
        .prints("info *", &desktop)
        .prints("image inspect --platform linux/amd64 *", &image)
        .does("save --platform linux/amd64 docker.io/library/hello:ld", "printf archive")
        .followed_by(engine_with_lab("docker", "docker-20.10", folder.path()));
    load(&stage(&shim), &["hello:ld"]).expect(0);

    // Docker 25 to 27 have that store too, and no such flag.
    let older = EngineShim::new("docker")
        .prints("info *", &desktop)
        .fails(
            "image inspect --platform *",
            "\"--platform\" requires API version 1.49, but the Docker daemon API version is 1.46",
            1,
        )
        .prints("image inspect hello:ld", &image)
        .does("save docker.io/library/hello:ld", "printf archive")
        .followed_by(engine_with_lab("docker", "docker-20.10", folder.path()));
    load(&stage(&older), &["hello:ld"]).expect(0);
}

#[test]
fn podman_is_used_in_its_own_words() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let image = inspected("podman-4.3.1", &["localhost/hello:v2", "localhost/hello:v3"], folder.path());
    let full = fs::read_to_string(EngineShim::recorded("docker-20.10", "node-images.txt")).expect("recorded");
    let named = full
        .replace("docker.io/library/hello:ld", "localhost/hello:v2")
        .replace("docker.io/library/hello:gz", "localhost/hello:v3");
    let after = folder.path().join("after.txt");
    fs::write(&after, named).expect("the folder is ours");
    let shim = EngineShim::new("podman")
        .prints("image inspect *", &image)
        .does("save --multi-image-archive localhost/hello:v2 localhost/hello:v3", "printf archive")
        .does(
            "exec lab-control-plane sh *",
            &format!("[ -s \"$KEPT\" ] && cat '{}' || printf '{{}}\\n>\\nREF\\n>\\n'", after.display()),
        )
        .prints("exec lab-worker sh *", &after)
        .followed_by(engine_with_lab("podman", "podman-4.3.1", folder.path()));
    // Docker comes first where both are there; here its name leads nowhere.
    let berth = stage(&shim)
        .with_variable("BERTH_ENGINE", "podman")
        .with_variable("KIND_EXPERIMENTAL_PROVIDER", "podman");
    let done = load(&berth, &["hello:v2", "hello:v3"]).expect(0);
    assert!(done.stdout.contains("localhost/hello:v2"), "{}", done.said());
}

#[test]
fn an_unknown_image_is_told_with_the_nearest() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shim = engine_with_lab("docker", "docker-20.10", folder.path())
        .fails(
            "image inspect *",
            "Error response from daemon: no such image: helo:v1: No such image: helo:v1",
            1,
        )
        .does("image ls *", "printf 'hello:v1\\n<none>:<none>\\n'");
    let failed = load(&stage(&shim), &["helo:v1"]).expect(1);
    assert!(failed.stderr.contains("did you mean `hello:v1`?"), "{}", failed.said());
    assert!(failed.stderr.contains("docker pull helo:v1"), "{}", failed.said());
}

#[test]
fn what_is_wrong_with_the_engine_is_told_with_its_remedy() {
    for (words, code, remedy) in [
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            1,
            "DOCKER_HOST",
        ),
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get \
             \"http://%2Fvar%2Frun%2Fdocker.sock/v1.50/info\": dial unix /var/run/docker.sock: connect: permission denied",
            4,
            "usermod",
        ),
    ] {
        let shim = EngineShim::new("docker").fails("*", words, 1);
        let failed = load(&stage(&shim), &["hello:v1"]).expect(code);
        assert!(failed.stderr.contains(remedy), "{}", failed.said());
    }
}

#[test]
fn a_hanging_engine_is_left_at_the_first_signal() {
    let shim = EngineShim::new("docker").hangs("*");
    let berth = stage(&shim);
    let running = berth.start(&["image", "load", "hello:v1"]);
    eventually("the engine is asked", || (shim.calls().lines().count() >= 2).then_some(()));
    running.signal(Signal::INT);
    let stopped = running.finish().expect(130);
    assert!(stopped.stderr.contains("stopped by a signal"), "{}", stopped.said());
}

#[test]
fn a_cluster_that_is_not_there_or_stopped_is_told_with_the_command_that_helps() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let info = EngineShim::recorded("docker-20.10", "info.json");
    let image = inspected("docker-20.10", &["hello:ld"], folder.path());
    let absent = EngineShim::new("docker")
        .prints("info *", &info)
        .prints("image inspect *", &image)
        .does("ps --all *", ":");
    let failed = load(&stage(&absent), &["hello:ld"]).expect(1);
    assert!(failed.stderr.contains("`berth up lab` makes it"), "{}", failed.said());

    let stopped = folder.path().join("stopped.json");
    let label = json!({"io.x-k8s.kind.cluster": "lab", "io.x-k8s.kind.role": "control-plane"});
    let mount =
        json!({"Source": "/dev/null", "Destination": "/etc/berth/abcd1234/lab/image-0a1b2c3d", "RW": false});
    let node = json!([{"Id": "a", "Name": "/lab-control-plane", "State": {"Status": "exited", "ExitCode": 137},
        "Mounts": [mount], "Config": {"Labels": label}}]);
    fs::write(&stopped, node.to_string()).expect("the folder is ours");
    let shim = EngineShim::new("docker")
        .prints("info *", &info)
        .prints("image inspect *", &image)
        .does("ps --all *", "echo a")
        .prints("container inspect *", &stopped);
    let failed = load(&stage(&shim), &["hello:ld"]).expect(1);
    assert!(failed.stderr.contains("`berth up lab` starts the cluster"), "{}", failed.said());
}

#[test]
fn only_nodes_of_this_machine_take_images() {
    let shim = EngineShim::new("docker").hangs("*");
    let berth = stage(&shim);
    berth.profile("played", &PROFILE.replace("name: lab", "name: played").replace("kind: {", "kwok: {"));
    let failed = load(&berth, &["hello:v1", "--environment", "played"]).expect(1);
    assert!(failed.stderr.contains("its nodes are simulated"), "{}", failed.said());
    assert_eq!(shim.calls(), "");
}

#[test]
fn a_broken_archive_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shim = engine_with_lab("docker", "docker-20.10", folder.path());
    let berth = stage(&shim);
    fs::write(berth.work().join("images.tar"), [0; 4096]).expect("the folder is ours");
    let failed = load(&berth, &["images.tar"]).expect(1);
    assert!(failed.stderr.contains("no archive of images"), "{}", failed.said());
    let missing = load(&berth, &["nothing.tar"]).expect(1);
    assert!(missing.stderr.contains("nothing.tar"), "{}", missing.said());
    assert!(!shim.calls().contains("--interactive"), "{}", shim.calls());
}
