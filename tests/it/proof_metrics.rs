//! The metrics API of a rehearsal: what `kubectl top` says follows what pods are said to use, and an
//! autoscaler follows that, up and down.

use std::process::Command;

use serde_json::Value;

use super::support::{Berth, Finished, eventually, run};

const PROFILE: &str = "
apiVersion: berth.dev/v1alpha1
kind: Environment
name: scaled
cluster:
  kind: {version: \"1.36\"}
nodeGroups:
  - {name: general, nodes: 2}
addons:
  metrics-server: {}
";

/// Two containers, so that what the pod is said to use is seen to be the sum.
const APPLICATION: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: registry.example.com/web:1
          resources: {requests: {cpu: 300m, memory: 64Mi}}
        - name: side
          image: registry.example.com/side:1
          resources: {requests: {cpu: 100m}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 5
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
  behavior: {scaleDown: {stabilizationWindowSeconds: 0}}
";

/// A rehearsal with the application in it, taken away in the end.
struct Rehearsed {
    berth: Berth,
}

impl Rehearsed {
    fn new() -> Self {
        let rehearsed = Self { berth: Berth::new() };
        rehearsed.berth.profile("scaled", PROFILE);
        rehearsed.berth.run(&["up", "scaled", "--rehearse", "--yes"]).expect(0);
        let content = rehearsed.berth.run(&["kubeconfig", "scaled", "--rehearse", "--content"]).expect(0);
        std::fs::write(rehearsed.berth.work().join("kubeconfig"), content.stdout).expect("it is ours");
        std::fs::write(rehearsed.berth.work().join("web.yaml"), APPLICATION).expect("it is ours");
        rehearsed.kubectl(&["apply", "-f", "web.yaml"]).expect(0);
        rehearsed
    }

    fn kubectl(&self, arguments: &[&str]) -> Finished {
        let berth = self.berth.command(&[]);
        let mut kubectl = Command::new(super::support::tools().join("kubectl"));
        kubectl.env_clear().current_dir(self.berth.work());
        for (name, value) in berth.get_envs() {
            kubectl.env(name, value.unwrap_or_default());
        }
        kubectl.args(["--kubeconfig", "kubeconfig"]).args(arguments);
        run(kubectl)
    }

    /// Millicores of each line of `kubectl top WHAT`; none while it does not answer.
    fn top(&self, what: &str) -> Vec<u32> {
        let said = self.kubectl(&["top", what, "--no-headers"]);
        let cpu = |line: &str| line.split_whitespace().nth(1)?.strip_suffix('m')?.parse().ok();
        said.stdout.lines().filter_map(cpu).collect()
    }

    /// The same until `right` says that it is right.
    fn wait_for_top(&self, what: &str, right: impl Fn(&[u32]) -> bool) {
        eventually(&format!("`kubectl top {what}` is right"), || right(&self.top(what)).then_some(()));
    }

    fn say_that_pods_use(&self, cpu: &str) {
        let annotation = format!("kwok.x-k8s.io/usage-cpu={cpu}");
        self.kubectl(&["annotate", "pods", "-l", "app=web", "--overwrite", &annotation]).expect(0);
    }

    fn wait_for_replicas(&self, wanted: u64) {
        eventually(&format!("the autoscaler wants {wanted} pods"), || {
            let deployment = self.kubectl(&["get", "deployment", "web", "-o", "json"]).expect(0).stdout;
            let deployment: Value = serde_json::from_str(&deployment).ok()?;
            (deployment["spec"]["replicas"] == wanted).then_some(())
        });
    }
}

impl Drop for Rehearsed {
    fn drop(&mut self) {
        self.berth.run(&["down", "scaled", "--rehearse", "--yes"]);
    }
}

#[test]
fn an_autoscaler_follows_what_simulated_pods_are_said_to_use() {
    let rehearsed = Rehearsed::new();
    // Half of what they request, if nobody says otherwise.
    rehearsed.wait_for_top("pods", |cpu| cpu.len() == 2 && cpu.iter().all(|cpu| (195..=205).contains(cpu)));
    rehearsed.wait_for_top("nodes", |cpu| cpu.len() == 2 && (390..=410).contains(&cpu.iter().sum::<u32>()));
    rehearsed.wait_for_replicas(2);

    rehearsed.say_that_pods_use("900m");
    rehearsed.wait_for_replicas(5);
    rehearsed.wait_for_top("pods", |cpu| {
        // Those that came with it use half of what they request.
        cpu.len() == 5 && cpu.iter().filter(|cpu| (890..=910).contains(*cpu)).count() == 2
    });

    rehearsed.say_that_pods_use("30m");
    rehearsed.wait_for_replicas(2);
    rehearsed.wait_for_top("pods", |cpu| cpu.len() == 2 && cpu.iter().all(|cpu| (28..=32).contains(cpu)));
}
