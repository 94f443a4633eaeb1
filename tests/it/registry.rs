//! `berth registry` and the credential helper, with the real binaries and a registry that is none.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use super::support::Berth;

const HELPER: &str = env!("CARGO_BIN_EXE_docker-credential-berth");

/// A home with the profile `lab`, whose registry is at `port`.
fn lab(port: u16) -> Berth {
    let berth = Berth::new();
    berth.profile(
        "lab",
        &format!(
            "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: lab\ncluster: {{kind: {{}}}}\n\
             registry: {{local: {{port: {port}}}}}\n"
        ),
    );
    berth
}

/// The same with the credential helper on PATH, and nothing else of what lies beside it.
fn with_helper(berth: Berth) -> Berth {
    let folder = berth.home().join("bin");
    fs::create_dir(&folder).expect("the home is ours");
    symlink(HELPER, folder.join("docker-credential-berth")).expect("the folder is ours");
    berth.with_path_first(&folder)
}

fn config(berth: &Berth) -> PathBuf {
    berth.home().join(".docker/config.json")
}

/// What the helper prints and whether it succeeds, asked as docker asks.
fn ask(verb: &str, input: &str) -> (String, bool) {
    let mut child = Command::new(HELPER)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it was built");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    (String::from_utf8_lossy(&output.stdout).trim().to_string(), output.status.success())
}

#[test]
fn docker_is_told_that_the_registry_of_this_machine_needs_no_login() {
    assert_eq!(
        ask("get", "localhost:5001\n"),
        ("credentials not found in native keychain".to_string(), false)
    );
    assert_eq!(ask("list", ""), ("{}".to_string(), true));
    let (said, kept) =
        ask("store", "{\"ServerURL\":\"localhost:5001\",\"Username\":\"a\",\"Secret\":\"word\"}");
    assert!(!kept && !said.contains("\"word\""), "{said}");
}

#[test]
fn the_helper_finds_berth_on_path_and_says_so_where_there_is_none() {
    let berth = lab(5001);
    let alone = berth.home().join("docker-credential-berth");
    fs::copy(HELPER, &alone).expect("the home is ours");
    let ask = |path: &Path| {
        let output = Command::new(&alone).arg("list").env("PATH", path).output().expect("it was copied");
        (String::from_utf8_lossy(&output.stdout).trim().to_string(), output.status.success())
    };
    let (said, succeeded) = ask(&berth.home());
    assert!(!succeeded && said.starts_with("cannot start `berth`"), "{said}");
    symlink(env!("CARGO_BIN_EXE_berth"), berth.home().join("berth")).expect("the home is ours");
    assert_eq!(ask(&berth.home()), ("{}".to_string(), true));
}

#[test]
fn a_login_names_the_helper_once_and_keeps_what_else_is_in_the_file() {
    let berth = with_helper(lab(5001));
    fs::create_dir(berth.home().join(".docker")).expect("the home is ours");
    fs::write(
        config(&berth),
        "{\"auths\": {\"ghcr.io\": {\"auth\": \"c2VjcmV0\"}}, \"credsStore\": \"pass\"}",
    )
    .expect("the home is ours");
    let first = berth.run(&["registry", "login", "lab"]).expect(0);
    assert!(first.stdout.contains("docker push localhost:5001/NAME:TAG"), "{}", first.said());
    assert!(!first.said().contains("c2VjcmV0"), "{}", first.said());
    assert!(first.stderr.contains("delete \"localhost:5001\" below `credHelpers`"), "{}", first.said());
    let written = fs::read_to_string(config(&berth)).expect("written");
    let value: Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(value["credHelpers"]["localhost:5001"], "berth");
    assert_eq!(value["auths"]["ghcr.io"]["auth"], "c2VjcmV0");
    assert_eq!(value["credsStore"], "pass");

    let second = berth.run(&["registry", "login", "lab"]).expect(0);
    assert!(second.stderr.contains("already"), "{}", second.said());
    assert_eq!(fs::read_to_string(config(&berth)).expect("there"), written);
}

#[test]
fn a_login_without_the_helper_on_path_is_refused_and_writes_nothing() {
    let berth = lab(5001);
    let refused = berth.run(&["registry", "login", "lab"]).expect(1);
    assert!(refused.stderr.contains("docker-credential-berth` is not on PATH"), "{}", refused.stderr);
    assert!(refused.stderr.contains("export PATH"), "{}", refused.stderr);
    assert!(!config(&berth).exists());
}

#[test]
fn a_registry_that_wants_a_login_is_left_to_docker_login() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("bound").port();
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody asks");
        let length = stream.read(&mut [0; 1024]).expect("a request");
        assert!(length > 0, "it asks nothing");
        let answer = "HTTP/1.0 401 Unauthorized\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).expect("it reads");
    });
    let berth = with_helper(lab(port));
    let refused = berth.run(&["registry", "login", "lab"]).expect(1);
    thread.join().expect("it answered");
    assert!(refused.stderr.contains(&format!("docker login localhost:{port}")), "{}", refused.stderr);
    assert!(!config(&berth).exists(), "the helper would keep no password");
}

#[test]
fn a_registry_that_does_not_answer_says_how_to_start_it() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let silent = lab(port).run(&["registry", "list", "lab"]).expect(1);
    assert!(silent.stderr.contains("berth up"), "{}", silent.stderr);
}

#[test]
fn what_has_no_registry_here_says_so() {
    let rehearsed = lab(5001).run(&["registry", "list", "lab", "--rehearse"]).expect(1);
    assert!(rehearsed.stderr.contains("a rehearsal has no registry"), "{}", rehearsed.stderr);
}

/// Answers so many requests like a registry with two repositories, one of which has lost its last tag.
fn registry(requests: usize) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("bound").port();
    let thread = thread::spawn(move || {
        for _ in 0..requests {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            let mut bytes = [0; 1024];
            let length = stream.read(&mut bytes).expect("a request");
            let request = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let body = if request.starts_with("GET /v2/_catalog") {
                "{\"repositories\": [\"team/web\", \"empty\"]}"
            } else if request.starts_with("GET /v2/empty/") {
                "{\"name\": \"empty\", \"tags\": null}"
            } else {
                "{\"name\": \"team/web\", \"tags\": [\"v2\", \"v1\"]}"
            };
            let answer = format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).expect("it reads");
        }
    });
    (port, thread)
}

#[test]
fn repositories_are_listed_with_their_tags() {
    let (port, thread) = registry(3);
    let listed = lab(port).run(&["registry", "list", "lab"]).expect(0).stdout;
    thread.join().expect("it answered all");
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    let (empty, web) = (format!("localhost:{port}/empty"), format!("localhost:{port}/team/web"));
    assert_eq!(
        rows,
        [vec!["REPOSITORY", "TAGS"], vec![empty.as_str(), "-"], vec![web.as_str(), "v1,", "v2"]],
        "{listed}"
    );
}
