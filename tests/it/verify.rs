//! `verify` where nothing runs: what is played is told, never passed, and the canary goes again.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::support::{Berth, Inventory, eventually, kubectl, run};

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

    fn kubeconfig(&self) -> PathBuf {
        let kubeconfig = self.berth.home().join("kubeconfig-of-the-test");
        let content = self.berth.run(&["kubeconfig", "lab", "--rehearse", "--content"]).expect(0).stdout;
        fs::write(&kubeconfig, content).expect("the folder is ours");
        kubeconfig
    }

    /// The namespaces that berth made.
    fn namespaces(&self) -> Vec<String> {
        let titles = Inventory::of(&self.kubeconfig(), "berth.dev/owner").titles();
        titles.into_iter().filter(|title| title.starts_with("Namespace ")).collect()
    }

    /// What kubectl says, whose arguments these are.
    fn says(&self, arguments: &[&str]) -> String {
        run(kubectl(&self.kubeconfig(), arguments)).expect(0).stdout.trim().to_string()
    }

    fn apply(&self, object: &Value) {
        let file = self.berth.home().join("object-of-the-test.json");
        fs::write(&file, object.to_string()).expect("the folder is ours");
        self.says(&["apply", "-f", &file.display().to_string()]);
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
    eventually("the canary that was left is gone", || (lab.namespaces() == before).then_some(()));
}

#[test]
fn a_volume_that_was_made_for_a_canary_goes_with_it_also_after_a_kill_and_one_that_was_not_stays() {
    let lab = Lab::up();
    let before = lab.namespaces();
    lab.berth.run(&["verify", "lab", "--rehearse", "--keep"]).expect(0);
    let left = lab.namespaces().into_iter().find(|title| !before.contains(title)).expect("it was kept");
    let namespace = left.trim_start_matches("Namespace ");
    // As a run leaves them that is killed in the middle of its look at the storage, on a class that keeps volumes.
    for (name, made_by) in
        [("ours", json!({"pv.kubernetes.io/provisioned-by": "disks.example.com"})), ("theirs", json!({}))]
    {
        let sizes = json!({"storage": "1Gi"});
        lab.apply(&json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"storageClassName": "", "volumeName": name, "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": sizes}}}));
        let uid = lab.says(&["get", "pvc", name, "-n", namespace, "-o", "jsonpath={.metadata.uid}"]);
        lab.apply(&json!({"apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": made_by},
            "spec": {"capacity": sizes, "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "csi": {"driver": "disks.example.com", "volumeHandle": name},
                "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace,
                    "name": name, "uid": uid}}}));
    }
    lab.berth.run(&["verify", "lab", "--rehearse"]).expect(0);
    eventually("the canary that was left is gone", || (lab.namespaces() == before).then_some(()));
    let policy =
        |name: &str| lab.says(&["get", "pv", name, "-o", "jsonpath={.spec.persistentVolumeReclaimPolicy}"]);
    assert_eq!((policy("ours").as_str(), policy("theirs").as_str()), ("Delete", "Retain"));
}
