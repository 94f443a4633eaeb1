//! The registry of this machine: pushed to by docker through berth's credential helper, pulled from by the
//! nodes of two labs, and gone with the last of them.

use std::path::{Path, PathBuf};

use crate::lab::Lab;

/// What a pod runs here; it serves.
const IMAGE: &str = "localhost/hello:v1";

/// The name of the container of the registry at `port`.
fn container(port: u16) -> String {
    format!("berth-registry-{port}")
}

/// A profile with the registry at `port` and nothing else.
fn profile(port: u16) -> String {
    format!("cluster: {{kind: {{}}}}\nregistry: {{local: {{port: {port}}}}}\n")
}

/// Gives the lab berth's credential helper, and docker a configuration of its own.
fn with_helper(lab: Lab) -> Lab {
    let helper = PathBuf::from(env!("CARGO_BIN_EXE_docker-credential-berth"));
    let link = lab.programs().join("docker-credential-berth");
    std::os::unix::fs::symlink(helper, link).expect("the folder is ours");
    lab
}

/// Pushes the image under a name of the registry, as a user does.
fn push(lab: &Lab, port: u16, name: &str) -> String {
    let reference = format!("localhost:{port}/{name}");
    lab.docker(&["tag", IMAGE, &reference]).expect(0);
    let mut command = lab.docker_command(&["push", &reference]);
    command.env("PATH", search_path(lab.programs()));
    crate::support::run(command).expect(0);
    lab.docker(&["rmi", &reference]).expect(0);
    reference
}

fn search_path(first: &Path) -> String {
    format!("{}:{}", first.display(), std::env::var("PATH").unwrap_or_default())
}

/// Lets the nodes of a lab forget the image, which they may have from their own: what they have they do not
/// pull.
fn forget_image(lab: &Lab) {
    for node in lab.nodes() {
        lab.docker(&["exec", &node, "crictl", "rmi", IMAGE]);
    }
}

/// Runs a pod from `reference` until it is ready: the node has to pull it.
fn run_pod(lab: &Lab, name: &str, reference: &str) {
    lab.kubectl(&["run", name, "--image", reference, "--image-pull-policy", "Always"]).expect(0);
    let pod = format!("pod/{name}");
    lab.kubectl(&["wait", "--for=condition=Ready", &pod, "--timeout=90s"]).expect(0);
}

fn is_there(lab: &Lab, what: &str, name: &str) -> bool {
    lab.docker(&[what, "inspect", name]).code == Some(0)
}

#[test]
fn what_is_pushed_runs_in_both_labs_and_the_registry_goes_with_the_last() {
    let Some((mut one, two)) = Lab::pair("reg-one", "reg-two", 1) else { return };
    let port = one.port(0);
    let registry = container(port);
    one.removes(&registry);
    let (one, two) = (with_helper(one), with_helper(two));
    one.profile(&profile(port));
    two.profile(&profile(port));

    one.berth("up", &["--yes"]).expect(0);
    forget_image(&one);
    one.berth("registry login", &[]).expect(0);
    let reference = push(&one, port, "team/hello:v1");
    run_pod(&one, "first", &reference);
    let listed = one.berth("registry list", &[]).expect(0).stdout;
    assert!(listed.contains(&format!("localhost:{port}/team/hello")) && listed.contains("v1"), "{listed}");
    let hosting = ["-n", "kube-public", "get", "configmap", "local-registry-hosting", "-o", "yaml"];
    assert!(one.kubectl_says(&hosting).contains(&format!("localhost:{port}")));

    // A second look changes nothing and touches no container.
    let began = one.docker_says(&["inspect", "--format", "{{.State.StartedAt}}", &registry]);
    let again = one.berth("plan", &["--detailed-exitcode"]);
    assert_eq!(again.code, Some(0), "{}", again.said());
    assert_eq!(one.docker_says(&["inspect", "--format", "{{.State.StartedAt}}", &registry]), began);

    // The other lab shares it, with what was pushed.
    two.berth("up", &["--yes"]).expect(0);
    forget_image(&two);
    run_pod(&two, "second", &reference);

    // It comes up again with its images.
    one.docker(&["stop", "--time", "1", &registry]).expect(0);
    one.berth("up", &["--yes"]).expect(0);
    run_pod(&one, "third", &reference);

    // The first lab that goes leaves it to the other, and says so.
    let down = one.berth("down", &["--yes"]).expect(0);
    assert!(down.said().contains("uses it too"), "{}", down.said());
    assert!(is_there(&two, "container", &registry));
    run_pod(&two, "fourth", &reference);

    // The last one takes it along; its images stay until that is asked for.
    let down = two.berth("down", &["--yes"]).expect(0);
    assert!(down.said().contains("--registries"), "{}", down.said());
    assert!(!is_there(&two, "container", &registry));
    assert!(is_there(&two, "volume", &registry));

    // A lab that is made later finds what was pushed.
    one.berth("up", &["--yes"]).expect(0);
    forget_image(&one);
    let listed = one.berth("registry list", &[]).expect(0).stdout;
    assert!(listed.contains(&format!("localhost:{port}/team/hello")), "{listed}");
    run_pod(&one, "fifth", &reference);
    one.berth("down", &["--yes", "--registries"]).expect(0);
    assert!(!is_there(&one, "container", &registry) && !is_there(&one, "volume", &registry));
}

#[test]
fn a_registry_goes_that_the_profile_names_no_more_and_stays_for_another_owner() {
    let Some(mut lab) = Lab::start("reg-moves") else { return };
    let (old, new) = (lab.port(0), lab.port(1));
    for port in [old, new] {
        lab.removes(&container(port));
    }
    lab.profile(&profile(old));
    lab.berth("up", &["--yes"]).expect(0);

    // Another port: the old one goes with `up`, and its images stay.
    lab.profile(&profile(new));
    let planned = lab.berth("plan", &[]).expect(0).stdout;
    assert!(planned.contains(&format!("delete   local/nodes: registry `localhost:{old}`")), "{planned}");
    lab.berth("up", &["--yes"]).expect(0);
    assert!(!is_there(&lab, "container", &container(old)) && is_there(&lab, "volume", &container(old)));
    assert!(is_there(&lab, "container", &container(new)));
    let node = lab.nodes().remove(0);
    let known = lab.docker_says(&["exec", &node, "ls", "/etc/containerd/certs.d"]);
    assert!(!known.contains(&old.to_string()) && known.contains(&new.to_string()), "{known}");

    // A profile of the same name that is somebody else's takes nothing.
    lab.profile(&format!("id: zzzzzzzz\n{}", profile(new)));
    let down = lab.berth("down", &["--yes"]);
    assert!(down.said().contains("of another profile"), "{}", down.said());
    assert!(is_there(&lab, "container", &container(new)));

    // No registry any more: it goes too, and the last `down` takes all images.
    lab.profile("cluster: {kind: {}}\n");
    lab.berth("up", &["--yes"]).expect(0);
    assert!(!is_there(&lab, "container", &container(new)));
    lab.berth("down", &["--yes", "--registries"]).expect(0);
    assert!(!is_there(&lab, "volume", &container(old)) && !is_there(&lab, "volume", &container(new)));
}

#[test]
fn a_cache_serves_what_it_has_when_its_registry_is_gone() {
    let Some(mut lab) = Lab::start("reg-cache") else { return };
    let (port, upstream_port) = (lab.port(0), lab.port(1));
    let upstream = format!("{}-upstream", lab.name());
    let cache = format!("berth-cache-{upstream}-5000");
    for name in [&container(port), &upstream, &cache] {
        lab.removes(name);
    }
    let more = format!("    pullThrough: [\"http://{upstream}:5000\"]\n");
    lab.profile(&format!("cluster: {{kind: {{}}}}\nregistry:\n  local:\n    port: {port}\n{more}"));
    lab.berth("up", &["--yes"]).expect(0);
    let published = format!("127.0.0.1:{upstream_port}:5000");
    let run = ["run", "--detach", "--network", "kind", "--publish", &published, "--name", &upstream];
    lab.docker(&[&run[..], &["registry:3"]].concat()).expect(0);
    // It ended when it found nothing to cache, and is started as the warning says.
    lab.docker(&["restart", "--time", "1", &cache]).expect(0);
    let pushed = format!("localhost:{upstream_port}/team/cached:v1");
    lab.docker(&["tag", IMAGE, &pushed]).expect(0);
    push_until_it_answers(&lab, &pushed);
    forget_image(&lab);
    let reference = format!("{upstream}:5000/team/cached:v1");
    run_pod(&lab, "first", &reference);

    lab.docker(&["stop", "--time", "1", &upstream]).expect(0);
    let node = lab.nodes().remove(0);
    lab.kubectl(&["delete", "pod", "first", "--wait"]).expect(0);
    lab.docker(&["exec", &node, "crictl", "rmi", &reference]).expect(0);
    run_pod(&lab, "second", &reference);
    lab.berth("down", &["--yes", "--registries"]).expect(0);
    assert!(!is_there(&lab, "container", &cache) && !is_there(&lab, "volume", &cache));
}

/// A registry that has just been started refuses for a moment.
fn push_until_it_answers(lab: &Lab, reference: &str) {
    for _ in 0..50 {
        if lab.docker(&["push", reference]).code == Some(0) {
            lab.docker(&["rmi", reference]).expect(0);
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{reference} was never taken");
}
