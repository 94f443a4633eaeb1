//! `verify` where nothing runs: what is played is told, never passed, and the canary goes again.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::support::{Berth, Inventory, eventually};

/// A rehearsal of the shipped profile `lab`.
struct Lab {
    berth: Berth,
}

impl Lab {
    fn up() -> Self {
        let lab = Self { berth: Berth::new() };
        lab.berth.run(&["up", "lab", "--rehearse", "--yes"]).expect(0);
        lab
    }

    /// The namespaces that berth made.
    fn namespaces(&self) -> Vec<String> {
        let kubeconfig = self.berth.home().join("kubeconfig-of-the-test");
        let content = self.berth.run(&["kubeconfig", "lab", "--rehearse", "--content"]).expect(0).stdout;
        fs::write(&kubeconfig, content).expect("the folder is ours");
        let titles = Inventory::of(&kubeconfig, "berth.dev/owner").titles();
        titles.into_iter().filter(|title| title.starts_with("Namespace ")).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.berth.run(&["down", "lab", "--rehearse", "--yes"]);
    }
}

#[test]
fn on_a_rehearsal_pods_are_scheduled_and_nothing_else_is_said_to_work() {
    let lab = Lab::up();
    let before = lab.namespaces();
    let junit = lab.berth.work().join("checks.xml");
    let junit_text = junit.display().to_string();
    let told = lab.berth.run(&["verify", "lab", "--rehearse", "--output", "json", "--junit", &junit_text]);
    let told: Value = serde_json::from_str(&told.expect(0).stdout).expect("JSON");
    let checks = told["checks"].as_array().expect("a list of checks");
    let of = |verdict: &str| -> Vec<&str> {
        let ended = checks.iter().filter(|check| check["verdict"] == verdict);
        ended.filter_map(|check| check["name"].as_str()).collect()
    };
    assert_eq!(of("passed"), ["scheduling/general"], "{told:#}");
    assert_eq!(of("failed"), Vec::<&str>::new(), "{told:#}");
    let not_applicable =
        ["canary", "dns", "service", "network-policy", "storage", "load-balancer", "ingress", "metrics"];
    assert_eq!(of("not-applicable"), not_applicable, "{told:#}");
    let silent = checks.iter().find(|check| check["detail"].as_str().is_none_or(str::is_empty));
    assert_eq!(silent, None, "every result has its reason");
    assert_eq!(told["good"], true);

    let xml = fs::read_to_string(&junit).expect("written");
    assert!(xml.contains("tests=\"9\" failures=\"0\" errors=\"0\" skipped=\"8\""), "{xml}");
    assert_eq!(lab.namespaces(), before, "the canary is gone");
}

#[test]
fn a_canary_that_was_left_is_no_drift_and_goes_with_the_next() {
    let lab = Lab::up();
    let before = lab.namespaces();
    lab.berth.run(&["verify", "lab", "--rehearse", "--keep"]).expect(0);
    assert_eq!(lab.namespaces().len(), before.len() + 1);
    lab.berth.run(&["plan", "lab", "--rehearse", "--detailed-exitcode"]).expect(0);
    lab.berth.run(&["verify", "lab", "--rehearse"]).expect(0);
    eventually("the canary that was left is gone", Duration::from_mins(1), || {
        (lab.namespaces() == before).then_some(())
    });
}
