//! Machines and profiles that a lab on kind cannot stand on, as a user meets them: what is said, what to
//! type next, and how it ends. Programs that cannot be had here replay what real ones said.

use std::net::TcpListener;
use std::process::Command;

use super::support::{Berth, EngineShim, Finished, Programs, run};

/// A berth that finds nothing but `programs`.
fn command(berth: &Berth, programs: &Programs, arguments: &[&str]) -> Command {
    let mut command = berth.command(arguments);
    command.env("PATH", programs.folder());
    command
}

/// What `berth doctor` says of the lab, as levels and what follows, without this machine's own limits.
fn lab_of(finished: &Finished) -> Vec<String> {
    let lines = finished.stdout.lines().skip_while(|line| !line.contains("  container engine "));
    let squeezed = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut told: Vec<String> = Vec::new();
    let mut is_own = false;
    for line in squeezed {
        if !line.starts_with("next ") {
            is_own = [" inotify ", " memory ", "Subnet "].iter().any(|own| line.contains(own));
        }
        if !is_own {
            told.push(line);
        }
    }
    told
}

fn doctor(programs: &Programs) -> Vec<String> {
    lab_of(&run(command(&Berth::new(), programs, &["doctor"])).expect(0))
}

#[test]
fn a_machine_without_an_engine_and_kind_is_fine_for_rehearsals() {
    assert_eq!(
        doctor(&Programs::new()),
        [
            "warn container engine none of `docker`, `nerdctl`, `podman` is on PATH; a lab on kind needs it",
            "next install Docker, or rehearse without one: `berth up ENV --rehearse`",
            "warn kind not found on PATH; a lab on kind needs it",
            "next install kind 0.33 or newer so that it is on PATH: \
             https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
        ]
    );
}

#[test]
fn what_plays_a_lab_where_its_programs_are_missing_is_told_with_the_name_that_was_typed() {
    let berth = Berth::new();
    berth.profile(
        "mine",
        "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: mine\ncluster: {kind: {}}\n",
    );
    let no_kind = Programs::new().docker("docker-20.10-info.json");
    for programs in [Programs::new(), no_kind] {
        for typed in ["mine", "profiles/mine.yaml"] {
            let planned = run(command(&berth, &programs, &["plan", typed])).said();
            let told = planned.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(told.contains(&format!("`berth up {typed} --rehearse`")), "{planned}");
            assert!(!told.contains("ENV"), "{planned}");
        }
    }
}

#[test]
fn an_engine_that_does_not_run_or_lets_nobody_in_is_told_with_its_remedy() {
    for (recording, said, next) in [
        ("docker-not-running.txt", "Cannot connect to the Docker daemon", "next start Docker: "),
        ("docker-no-rights.txt", "permission denied while trying to connect", "next `sudo usermod "),
    ] {
        let told = doctor(&Programs::new().docker_that_fails(recording).kind("0.33.0"));
        assert!(told[0].starts_with(&format!("warn container engine {said}")), "{told:?}");
        assert!(told[1].starts_with(next), "{told:?}");
        assert!(told[2].starts_with("ok kind 0.33.0 "), "{told:?}");
    }
}

#[test]
fn an_engine_that_hangs_is_given_up() {
    let told = doctor(&Programs::new().script("docker", "exec /bin/sleep 60").kind("0.33.0"));
    assert!(told[0].starts_with("warn container engine no answer within 10 s"), "{told:?}");
}

#[test]
fn what_the_machine_lacks_is_told_beside_what_is_in_order() {
    let old = Programs::new().docker("docker-20.10-info.json").kind("0.26.0");
    assert_eq!(
        doctor(&old)[1..],
        [
            "warn cgroups version 1: the kubelet of Kubernetes 1.37 starts only if the node image sets \
             `failCgroupV1: false`",
            "next boot with `systemd.unified_cgroup_hierarchy=1`, or declare `version: \"1.34\"`",
            "warn kind 0.26.0 is too old for the node images of today; a lab on kind needs it",
            "next install kind 0.33 or newer so that it is on PATH: \
             https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
        ]
    );
}

#[test]
fn a_kind_that_fails_is_not_taken_for_one_that_works() {
    let programs =
        Programs::new().docker("docker-20.10-info.json").script("kind", "echo 'no such luck' >&2; exit 1");
    let told = doctor(&programs);
    assert!(told.contains(&"warn kind no such luck; a lab on kind needs it".to_string()), "{told:?}");
}

#[test]
fn a_proxy_on_this_machine_is_told_without_its_password() {
    let programs = Programs::new().docker("docker-20.10-info.json").kind("0.33.0");
    let berth = Berth::new();
    let mut command = command(&berth, &programs, &["doctor"]);
    command.env("https_proxy", "http://ann:s3cret@127.0.0.1:3128");
    let finished = run(command).expect(0);
    let told = lab_of(&finished).join("\n");
    assert!(told.contains("warn HTTPS_PROXY http://***@127.0.0.1:3128 is this machine"), "{told}");
    assert!(told.contains("`unset HTTPS_PROXY https_proxy`"), "{told}");
    assert!(!finished.said().contains("s3cret"), "{told}");
}

#[test]
fn what_a_profile_asks_of_the_machine_is_looked_at_before_anything_is_made() {
    let held = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = held.local_addr().expect("it is bound").port();
    let network = EngineShim::recorded("docker-20.10", "network-inspect.json");
    let networks =
        format!("'network ls'*) echo kind ;;\n'network inspect kind') /bin/cat '{}' ;;", network.display());
    let programs = Programs::new().docker_but("docker-20.10-info.json", &networks).kind("0.33.0");
    let berth = Berth::new();
    berth.profile(
        "lab",
        &format!(
            "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: lab\ncluster:\n  kind:\n    \
             image: localhost/node:v1\n    podSubnet: 172.16.0.0/12\n    ports: [{{host: {port}, node: 80}}]\n    \
             mounts: [{{host: ./nowhere, node: /data}}]\n"
        ),
    );
    let planned = run(command(&berth, &programs, &["plan", "lab"]));
    let told = planned.said().split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        format!("port {port} of 127.0.0.1"),
        format!("process {}", std::process::id()),
        "there is no such folder".to_string(),
        "podSubnet 172.16.0.0/12".to_string(),
        "docker network `kind` has".to_string(),
    ] {
        assert!(told.contains(&said), "{said}: {}", planned.said());
    }
    let refused = run(command(&berth, &programs, &["up", "lab", "--yes"]));
    assert_eq!(refused.code, Some(8), "{}", refused.said());
}

#[test]
fn the_network_that_was_chosen_is_the_one_that_must_leave_pods_their_addresses() {
    let labs = r#"'[{"Name": "labs", "IPAM": {"Config": [{"Subnet": "10.244.0.0/16"}]}}]'"#;
    let networks = format!("'network ls'*) echo labs ;;\n'network inspect labs') echo {labs} ;;");
    let programs = Programs::new().docker_but("docker-20.10-info.json", &networks).kind("0.33.0");
    let berth = Berth::new();
    let told = |chosen: &str| {
        let mut command = command(&berth, &programs, &["doctor"]);
        command.env("KIND_EXPERIMENTAL_DOCKER_NETWORK", chosen);
        let finished = run(command).expect(0);
        let of_pods = |line: &&str| line.contains("podSubnet 10.244.0.0/16") && line.contains("`labs` has");
        finished.stdout.lines().find(of_pods).unwrap_or_default().to_string()
    };
    assert!(told("labs").contains("a lab on kind needs it"), "{}", told("labs"));
    assert!(told("kind").contains("which pods cannot reach"), "{}", told("kind"));
}
