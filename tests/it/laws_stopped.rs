//! The laws on a cluster that stands and does not run: what is in it is known only once it runs.

use std::time::{Duration, Instant};

use super::support::{Berth, Inventory, eventually, run};

const BEFORE: &str = "\
apiVersion: berth.dev/v1alpha1
kind: Environment
name: asleep
cluster:
  kwok: {version: \"1.36\"}
nodeGroups:
  - {name: general, nodes: 1}
  - {name: more, nodes: 1}
tenants:
  - {name: one, namespaces: [one-ns], groups: {editor: [devs]}}
  - {name: two, namespaces: [two-ns], groups: {editor: [devs]}}
";

struct Asleep {
    berth: Berth,
}

impl Asleep {
    /// A cluster that was made, shut down in an orderly way, and whose profile has lost a tenant and a
    /// node group since.
    fn new() -> Self {
        let asleep = Self { berth: Berth::new() };
        asleep.berth.profile("asleep", BEFORE);
        asleep.berth.run(&["up", "asleep"]).expect(0);
        asleep.shut_down();
        let after: Vec<&str> =
            BEFORE.lines().filter(|line| !line.contains("two-ns") && !line.contains("name: more")).collect();
        asleep.berth.profile("asleep", &after.join("\n"));
        asleep
    }

    /// Ends every program of the cluster as a shutdown of the machine does: what has not ended when it was asked to is
    /// ended after a while.
    fn shut_down(&self) {
        for signal in ["-TERM", "-KILL"] {
            for pid in self.programs() {
                let mut kill = std::process::Command::new("kill");
                // One that is gone already needs no signal, so the exit code tells nothing.
                kill.args([signal, &pid]);
                run(kill);
            }
            let end = Instant::now() + Duration::from_secs(10);
            while !self.programs().is_empty() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        eventually("its programs are gone", || self.programs().is_empty().then_some(()));
    }

    /// The process numbers of the programs of the cluster.
    fn programs(&self) -> Vec<String> {
        let mut list = std::process::Command::new("ps");
        list.args(["-A", "-o", "pid,args"]);
        let home = self.berth.home().display().to_string();
        let listed = run(list).expect(0).stdout;
        let of_it = listed.lines().filter(|line| line.contains(&home));
        of_it.filter_map(|line| line.split_whitespace().next()).map(str::to_string).collect()
    }

    fn titles(&self) -> std::collections::BTreeSet<String> {
        let kubeconfig = self.berth.home().join("kubeconfig-of-the-test");
        let content = self.berth.run(&["kubeconfig", "asleep", "--content"]).expect(0).stdout;
        std::fs::write(&kubeconfig, content).expect("the folder is ours");
        Inventory::of(&kubeconfig, "berth.dev/owner").titles()
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        self.berth.run(&["down", "asleep", "--yes"]);
    }
}

#[test]
fn a_stopped_cluster_is_started_before_anything_in_it_is_decided() {
    let asleep = Asleep::new();
    let plan = asleep.berth.run(&["plan", "asleep", "-o", "kept.json"]).expect(8);
    assert!(plan.stdout.contains("start"), "{}", plan.said());
    assert!(!plan.stdout.contains("+ create"), "nothing is guessed: {}", plan.said());

    let refused = asleep.berth.run(&["up", "asleep"]).expect(8);
    assert!(refused.stdout.contains("node group more"), "{}", refused.said());
    let titles = asleep.titles();
    for kept in ["Node more-0", "RoleBinding two-ns/berth-editor", "NetworkPolicy two-ns/default-deny"] {
        assert!(titles.iter().any(|title| title == kept), "`{kept}` is not in {titles:?}");
    }

    asleep.berth.run(&["up", "asleep", "--yes"]).expect(0);
    let titles = asleep.titles();
    for gone in ["Node more-0", "RoleBinding two-ns/berth-editor"] {
        assert!(titles.iter().all(|title| title != gone), "`{gone}` is still in {titles:?}");
    }
    asleep.berth.run(&["plan", "asleep", "--detailed-exitcode"]).expect(0);
}
