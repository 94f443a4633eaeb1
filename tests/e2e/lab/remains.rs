use std::env;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::ground::Ground;

/// What a lab leaves in the container engine: its nodes, the containers on its ports, the registries of
/// its ports with their volumes, and the containers that the test named. Dropped, all of it is removed.
pub struct Remains {
    cluster: String,
    ports: Range<u16>,
    containers: Vec<String>,
    docker: PathBuf,
}

impl Remains {
    /// Those of the lab of this name and these ports.
    pub fn of(cluster: &str, ports: Range<u16>, ground: &Ground) -> Self {
        Self { cluster: cluster.to_string(), ports, containers: Vec::new(), docker: ground.docker.clone() }
    }

    /// One container more.
    pub fn add(&mut self, container: &str) {
        self.containers.push(container.to_string());
    }

    /// Removes all of it, with the volumes that belong to nobody else.
    pub fn remove(&self) {
        let mut found = self.nodes();
        for port in self.ports.clone() {
            found.extend(self.listed(&format!("publish={port}")));
            // One that does not run publishes nothing.
            found.extend(self.listed(&format!("name=^/?berth-registry-{port}$")));
        }
        for name in &self.containers {
            found.extend(self.listed(&format!("name=^/?{name}$")));
        }
        found.sort();
        found.dedup();
        if !found.is_empty() {
            let arguments = ["rm", "--force", "--volumes"].into_iter().map(ToString::to_string);
            self.docker(&arguments.chain(found).collect::<Vec<_>>());
        }
        for name in &self.containers {
            // The volume of a registry is called like its container.
            self.docker(&["volume", "rm", name].map(ToString::to_string));
        }
        let volumes = self.ports.clone().map(|port| format!("berth-registry-{port}"));
        let arguments = ["volume", "rm", "--force"].into_iter().map(ToString::to_string);
        self.docker(&arguments.chain(volumes).collect::<Vec<_>>());
    }

    /// Says how its nodes are, for a test that failed.
    fn tell(&self) {
        for container in self.nodes() {
            let facts =
                "{{.Name}}: {{.State.Status}}, exit code {{.State.ExitCode}}, image {{.Config.Image}}";
            eprintln!(
                "{}",
                self.docker(&["inspect", "--format", facts, &container].map(ToString::to_string))
            );
        }
        let control_plane = format!("{}-control-plane", self.cluster);
        let wanted: [&[&str]; 3] = [
            &["get", "nodes", "-o", "wide"],
            &["get", "pods,jobs,services", "-A", "-o", "wide"],
            &["get", "events", "-A", "--field-selector", "type=Warning"],
        ];
        for words in wanted {
            let kubectl = ["exec", &control_plane, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"];
            let words = kubectl.iter().chain(words).map(ToString::to_string);
            eprintln!("{}", self.docker(&words.collect::<Vec<_>>()));
        }
    }

    fn nodes(&self) -> Vec<String> {
        self.listed(&format!("label=io.x-k8s.kind.cluster={}", self.cluster))
    }

    fn listed(&self, filter: &str) -> Vec<String> {
        let listed = self.docker(&["ps", "--all", "--quiet", "--filter", filter].map(ToString::to_string));
        listed.lines().map(ToString::to_string).collect()
    }

    /// What it prints; nothing when it fails, for this goes on whatever the engine says.
    fn docker(&self, arguments: &[String]) -> String {
        let mut command = Command::new(&self.docker);
        let output = command.args(arguments).stdin(Stdio::null()).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        if env::var_os("BERTH_E2E_KEEP").is_some() {
            eprintln!("KEPT: {}: `kind delete cluster --name {}` removes it", self.cluster, self.cluster);
        } else {
            self.remove();
        }
    }
}
