//! `verify` and what `up` finds out about network policies, on clusters of both kinds: one whose network
//! enforces policies and one whose network does not.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::Value;

use crate::lab::{Ground, Lab, skipped};
use crate::support::eventually;

const WITH_ADDONS: &str = "cluster: {kind: {version: \"1.36\"}}
addons: {traefik: {}, metallb: {addresses: auto}, metrics-server: {}}
tenants: [{name: shop, namespaces: [shop-ns]}]
";

/// The result of each check, by name.
fn verdicts(text: &str) -> Vec<(String, String)> {
    let told: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let checks = told["checks"].as_array().expect("a list of checks").iter();
    let text = |value: &Value| value.as_str().expect("a word").to_string();
    checks.map(|check| (text(&check["name"]), text(&check["verdict"]))).collect()
}

/// The canaries that are there, by the names of their namespaces.
fn canaries(lab: &Lab) -> Vec<String> {
    let told = lab.kubectl_says(&["get", "namespaces", "-l", "berth.dev/trial", "-o", "name"]);
    told.lines().map(str::to_string).collect()
}

/// From now on Docker says that it is Docker Desktop, whose containers run in a virtual machine.
fn containers_run_elsewhere(lab: &Lab) {
    let link = lab.programs().join("docker");
    let docker = fs::read_link(&link).expect("it is a link");
    let script = format!(
        "#!/bin/sh\ncase $1 in\ninfo) '{docker}' \"$@\" | sed 's/\"OperatingSystem\":\"[^\"]*\"/\"OperatingSystem\":\"Docker Desktop\"/' ;;\n\
         *) exec '{docker}' \"$@\" ;;\nesac\n",
        docker = docker.display()
    );
    fs::remove_file(&link).expect("the folder is ours");
    fs::write(&link, script).expect("the folder is ours");
    fs::set_permissions(&link, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

#[test]
fn a_whole_lab_is_proven_and_nothing_of_the_canary_stays() {
    let Some(lab) = Lab::start("verify") else { return };
    lab.profile(WITH_ADDONS);
    lab.berth("up", &["--yes"]).expect(0);
    let status = lab.berth("status", &[]).expect(0);
    assert!(status.stdout.contains("network policies: they are enforced"), "{}", status.said());
    let again = lab.berth("up", &["--yes"]).expect(0);
    assert!(again.stdout.contains("nothing had to change"), "{}", again.said());

    let verified = lab.berth("verify", &["--output", "json"]);
    let ended = verdicts(&verified.stdout);
    let not_passed: Vec<_> = ended.iter().filter(|(_, verdict)| verdict != "passed").collect();
    assert!(not_passed.is_empty() && ended.len() == 9, "{not_passed:?} {}", verified.said());
    assert_eq!((verified.code, canaries(&lab)), (Some(0), Vec::new()));

    containers_run_elsewhere(&lab);
    let elsewhere = lab.berth("verify", &["--output", "json"]).expect(0);
    let ended = verdicts(&elsewhere.stdout);
    let out_of_reach: Vec<&str> = ended
        .iter()
        .filter(|(_, verdict)| verdict == "not-applicable")
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(out_of_reach, ["load-balancer", "ingress"], "{}", elsewhere.said());
    assert!(elsewhere.stdout.contains("this machine does not reach addresses of docker network"));

    let stopped = lab.start_berth("verify", &[]);
    eventually("a canary", || canaries(&lab).first().cloned());
    stopped.signal(Signal::INT);
    stopped.finish().expect(130);
    eventually("the canary of the stopped run is gone", || canaries(&lab).is_empty().then_some(()));

    let killed = lab.start_berth("verify", &[]);
    let left = eventually("a canary", || canaries(&lab).first().cloned());
    killed.signal(Signal::KILL);
    killed.finish();
    lab.berth("verify", &[]).expect(0);
    eventually("the canary of the killed run is gone", || (!canaries(&lab).contains(&left)).then_some(()));
    lab.berth("down", &["--yes"]).expect(0);
}

#[test]
fn a_cluster_that_enforces_no_policies_is_told_from_one_that_does() {
    let Some(lab) = Lab::start("verify-open") else { return };
    let Some(image) = Ground::find("verify-open").and_then(Ground::image_without_policies) else {
        skipped("verify-open", "there is no node image without network policies");
        return;
    };
    let lab = lab.with_variable("BERTH_KIND_IMAGE", &image);
    lab.profile("cluster: {kind: {version: \"1.36\"}}\ntenants: [{name: shop, namespaces: [shop-ns]}]\n");
    let up = lab.berth("up", &["--yes"]).expect(0);
    assert!(up.stderr.contains("network policies are NOT enforced"), "{}", up.said());
    let status = lab.berth("status", &[]).expect(0);
    assert!(status.stdout.contains("network policies are NOT enforced"), "{}", status.said());
    let verified = lab.berth("verify", &["--output", "json"]).expect(1);
    let failed: Vec<String> = verdicts(&verified.stdout)
        .into_iter()
        .filter(|(_, verdict)| verdict == "failed")
        .map(|(name, _)| name)
        .collect();
    assert_eq!(failed, ["network-policy"], "{}", verified.said());
    lab.berth("down", &["--yes"]).expect(0);
}
