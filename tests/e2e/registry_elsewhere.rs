//! A registry that runs already where `registry.local` is to be: in a container that somebody else started,
//! and as a program of this machine that wants a login. Nodes pull from it, and nobody takes it away.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::lab::Lab;
use crate::support::{Running, eventually};

/// What a pod runs here; it serves.
const IMAGE: &str = "localhost/hello:v1";
const PASSWORD: &str = "only-to-pull";
/// `ann` with this password, as `htpasswd -nbB` writes it.
const HTPASSWD: &str = "ann:$2b$05$abcdefghijklmnopqrstuuXRpVmpE5hsN1XRwuoksvEeKo81ZipFO\n";

fn write_profile(lab: &Lab, port: u16, pull_secrets: &str) {
    lab.profile(&format!(
        "cluster: {{kind: {{}}}}\nregistry:\n  local: {{port: {port}}}\n{pull_secrets}tenants:\n  \
         - {{name: shop, namespaces: [shop-ns], podSecurity: baseline}}\n"
    ));
}

/// Pushes the image under a name of the registry.
fn push(lab: &Lab, port: u16, name: &str) -> String {
    let reference = format!("localhost:{port}/{name}");
    lab.docker(&["tag", IMAGE, &reference]).expect(0);
    let pushed = lab.docker(&["push", &reference]);
    lab.docker(&["rmi", &reference]).expect(0);
    pushed.expect(0);
    reference
}

fn start_pod(lab: &Lab, namespace: &str, name: &str, image: &str) {
    let run = ["--namespace", namespace, "run", name, "--image", image, "--image-pull-policy", "Always"];
    lab.kubectl(&run).expect(0);
}

fn wait_for_pod(lab: &Lab, namespace: &str, name: &str) {
    let pod = format!("pod/{name}");
    let wait = ["--namespace", namespace, "wait", "--for=condition=Ready", &pod, "--timeout=90s"];
    lab.kubectl(&wait).expect(0);
}

/// What the cluster tells of its registry.
fn hosting(lab: &Lab) -> String {
    lab.kubectl_says(&[
        "-n",
        "kube-public",
        "get",
        "configmap",
        "local-registry-hosting",
        "-o",
        "jsonpath={.data}",
    ])
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Starts the registry program of this machine at `address`, with a login; it ends with what is returned.
fn start_program(lab: &Lab, address: &str) -> Running {
    let mut command = Command::new(lab.work().join("registry"));
    command.args(["serve", "registry.yml"]).current_dir(lab.work());
    command.env("REGISTRY_HTTP_ADDR", address).env("OTEL_TRACES_EXPORTER", "none");
    Running::start(command)
}

/// Waits until the registry answers: an engine accepts connections before the program in the container does.
fn wait_for_answer(address: &str) {
    eventually("an answer of the registry", || {
        let mut connection = TcpStream::connect(address).ok()?;
        connection.write_all(b"GET /v2/ HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.").then_some(())
    });
}

/// Takes the program out of the container and writes what it needs to run on this machine.
fn take_program(lab: &Lab, container: &str) {
    lab.docker(&["cp", &format!("{container}:/bin/registry"), "registry"]).expect(0);
    fs::write(lab.work().join("htpasswd"), HTPASSWD).expect("the folder is ours");
    let folder = lab.work().display().to_string();
    let configuration = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/images}}}}\n\
         http: {{secret: shared}}\nauth: {{htpasswd: {{realm: test, path: {folder}/htpasswd}}}}\n"
    );
    fs::write(lab.work().join("registry.yml"), configuration).expect("the folder is ours");
}

/// `docker login`, with the password on standard input.
fn log_in(lab: &Lab, port: u16) {
    fs::write(lab.work().join("password"), PASSWORD).expect("the folder is ours");
    let password = File::open(lab.work().join("password")).expect("just written");
    let host = format!("localhost:{port}");
    let mut login = lab.docker_command(&["login", "--username", "ann", "--password-stdin", &host]);
    let done = login.stdin(password).output().expect("docker starts");
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn a_registry_that_somebody_else_runs_is_used_and_left_alone() {
    let Some(mut lab) = Lab::start("reg-theirs") else { return };
    let port = lab.port(0);
    let (host, theirs) = (format!("localhost:{port}"), format!("{}-theirs", lab.name()));
    lab.removes(&theirs);
    write_profile(&lab, port, "");

    // A container, on a network of its own.
    let published = format!("127.0.0.1:{port}:5000");
    lab.docker(&["run", "--detach", "--publish", &published, "--name", &theirs, "registry:3"]).expect(0);
    wait_for_answer(&format!("127.0.0.1:{port}"));
    let whose = format!("registry at {host} (container `{theirs}`): berth did not start it");
    let planned = lab.berth("plan", &[]).expect(0);
    assert!(planned.stdout.contains(&whose), "{}", planned.said());
    // What will be missing is told before anything is made.
    assert!(planned.stdout.contains(&format!("network connect kind {theirs}")), "{}", planned.said());
    let alone = lab.berth("up", &["--yes"]).expect(6);
    assert!(alone.stderr.contains(&format!("docker network connect kind {theirs}")), "{}", alone.said());
    lab.docker(&["network", "connect", "kind", &theirs]).expect(0);
    lab.berth("up", &["--yes"]).expect(0);
    let status = lab.berth("status", &[]).expect(0);
    assert!(status.stdout.contains(&whose), "{}", status.said());
    // What programs in the cluster are told is where nodes reach it.
    let told = hosting(&lab);
    assert!(told.contains(&format!("{theirs}:5000")) && !told.contains("berth-registry"), "{told}");
    let node = lab.nodes().remove(0);
    lab.docker(&["exec", &node, "crictl", "rmi", IMAGE]).expect(0);
    let reference = push(&lab, port, "team/hello:v1");
    start_pod(&lab, "default", "first", &reference);
    wait_for_pod(&lab, "default", "first");

    // A program of this machine that wants a login, in its place.
    take_program(&lab, &theirs);
    lab.docker(&["rm", "--force", "--volumes", &theirs]).expect(0);
    let address = format!("127.0.0.1:{port}");
    let program = start_program(&lab, &address);
    wait_for_answer(&address);
    let gateway =
        lab.docker_says(&["inspect", "--format", "{{.NetworkSettings.Networks.kind.Gateway}}", &node]);
    let unreached = lab.berth("up", &["--yes"]);
    assert!(unreached.stderr.contains(&format!("{gateway}:{port} too")), "{}", unreached.said());
    assert_ne!(unreached.code, Some(0));
    // Standard output tells the reason once.
    let status = lab.berth("status", &[]);
    let why = format!("nothing answers the nodes at {gateway}:{port}");
    assert_eq!(in_one_line(&status.stdout).matches(&why).count(), 1, "{}", status.said());
    let at_gateway = format!("{gateway}:{port}");
    let _for_nodes = start_program(&lab, &at_gateway);
    wait_for_answer(&at_gateway);
    let refused = lab.berth("registry login", &[]).expect(1);
    assert!(refused.stderr.contains(&format!("docker login {host}")), "{}", refused.said());

    // Tenants pull with the login that docker keeps, and nobody else does.
    write_profile(&lab, port, &format!("  pullSecrets: [\"{host}\"]\n"));
    let no_login = lab.berth("up", &["--yes"]).expect(4);
    assert!(no_login.stderr.contains(&format!("there is no login for `{host}`")), "{}", no_login.said());
    log_in(&lab, port);
    lab.berth("up", &["--yes"]).expect(0);
    let told = hosting(&lab);
    assert!(told.contains(&at_gateway) && !told.contains(&theirs), "{told}");
    let private = push(&lab, port, "team/private:v1");
    start_pod(&lab, "default", "stranger", &private);
    start_pod(&lab, "shop-ns", "tenant", &private);
    wait_for_pod(&lab, "shop-ns", "tenant");
    let reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
    eventually("the pod without a login is refused", || {
        let reason = lab.kubectl_says(&["get", "pod", "stranger", "-o", reason]);
        ["ErrImagePull", "ImagePullBackOff"].contains(&reason.as_str()).then_some(())
    });
    lab.berth("plan", &["--detailed-exitcode"]).expect(0);

    // It stays, with its images.
    let down = lab.berth("down", &["--yes", "--registries"]).expect(0);
    assert!(down.stdout.contains("berth did not start it"), "{}", down.said());
    push(&lab, port, "team/private:v2");
    program.signal(rustix::process::Signal::TERM);
    program.finish();
}
