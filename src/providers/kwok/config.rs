use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::folder::Folder;
use super::ports::Ports;
use crate::base::Fault;
use crate::os::files;

/// What a cluster is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Config {
    /// Whether its metrics API is enabled.
    pub(super) metrics: bool,
}

impl Config {
    /// The components that run as processes of their own.
    pub(super) fn components(self) -> Vec<&'static str> {
        let mut components =
            vec!["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller"];
        if self.metrics {
            components.push("metrics-server");
        }
        components
    }

    /// A short hash of everything that shapes the cluster, apart from where it lies and listens.
    pub(super) fn hash(self) -> String {
        let everything = json!([self.kwokctl(Path::new(""), Ports::default()), manifests(), usage()]);
        hash_of(&everything)
    }

    /// Writes what kwokctl reads.
    ///
    /// If this dies half way, the next run writes it again.
    pub(super) fn write(self, folder: &Folder, ports: Ports) -> Result<(), Fault> {
        let manifests_folder = manifests_folder(folder);
        if self.metrics {
            files::make_private_folder(&manifests_folder)?;
            let mut names = Vec::new();
            for (name, manifest) in manifests() {
                files::write_private(&manifests_folder.join(name), manifest.to_string().as_bytes())?;
                names.push(name);
            }
            let kustomization = json!({
                "apiVersion": "kustomize.config.k8s.io/v1beta1",
                "kind": "Kustomization",
                "resources": names,
            });
            let path = manifests_folder.join("kustomization.yaml");
            files::write_private(&path, kustomization.to_string().as_bytes())?;
        }
        // JSON is YAML, and kwokctl reads it as such.
        let mut config = self.kwokctl(&manifests_folder, ports);
        config["options"]["cacheDir"] = json!(folder.cache);
        let mut text = config.to_string();
        if self.metrics {
            text = format!("{text}\n---\n{}\n", usage());
        }
        files::write_private(&folder.config(), text.as_bytes())
    }

    fn kwokctl(self, manifests_folder: &Path, ports: Ports) -> Value {
        // kwokctl's default is to listen on every address of the machine.
        let mut options = json!({
            "bindAddress": "127.0.0.1",
            "etcdPort": ports.at(0),
            "etcdPeerPort": ports.at(1),
            "kubeApiserverPort": ports.at(2),
            "kubeControllerManagerPort": ports.at(3),
            "kubeSchedulerPort": ports.at(4),
            "kwokControllerPort": ports.at(5),
        });
        if self.metrics {
            options["enable"] = json!(["metrics-server"]);
            options["metricsServerPort"] = json!(ports.at(6));
            options["metricsServerManifests"] = json!([manifests_folder]);
        }
        // metrics-server answers after two looks at the nodes. Ten seconds apart is the least that it
        // takes, and one look has to be over well before the next.
        let looks = json!([
            {"key": "metric-resolution", "value": "10s", "override": true},
            {"key": "kubelet-request-timeout", "value": "5s"},
        ]);
        // Autoscalers look every 15 s otherwise, and who rehearses one waits for it.
        let autoscaling = json!([{"key": "horizontal-pod-autoscaler-sync-period", "value": "5s"}]);
        json!({
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokctlConfiguration",
            "options": options,
            "componentsPatches": [
                {"name": "metrics-server", "extraArgs": looks},
                {"name": "kube-controller-manager", "extraArgs": autoscaling},
            ],
        })
    }

    /// The arguments of `kwokctl create cluster` besides the paths of programs.
    pub(super) fn arguments(folder: &Folder) -> Vec<OsString> {
        let pki = folder.cluster_folder().join("pki");
        let signing = |key: &str, file: &str| {
            let mut argument = OsString::from(format!("kube-controller-manager={key}="));
            argument.push(pki.join(file));
            argument
        };
        vec![
            "create".into(),
            "cluster".into(),
            "--name".into(),
            folder.cluster.clone().into(),
            "--config".into(),
            folder.config().into(),
            "--runtime".into(),
            "binary".into(),
            "--kubeconfig".into(),
            folder.kwokctl_kubeconfig().into(),
            // So that certificate requests are signed, as every real cluster does.
            "--extra-args".into(),
            signing("cluster-signing-cert-file", "ca.crt"),
            "--extra-args".into(),
            signing("cluster-signing-key-file", "ca.key"),
        ]
    }
}

/// kwokctl keeps what it built of a folder under the folder's path for ever, so the path changes
/// with the content.
fn manifests_folder(folder: &Folder) -> PathBuf {
    folder.own.join("metrics-server").join(hash_of(&json!(manifests())))
}

fn hash_of(value: &Value) -> String {
    let digest = Sha256::digest(value.to_string());
    let first = digest.first_chunk::<8>().expect("SHA-256 has 32 bytes");
    format!("{:016x}", u64::from_be_bytes(*first))
}

/// What the containers of simulated pods use.
///
/// Half of what they request: a whole would send every autoscaler to its maximum. Something in any
/// case, since metrics-server passes over a container that uses no CPU or no memory. An annotation of
/// the pod says otherwise, for all its containers together.
fn usage() -> Value {
    let expression = |resource: &str, least: &str| {
        let annotation = format!("kwok.x-k8s.io/usage-{resource}");
        let expression = format!(
            "\"{annotation}\" in pod.metadata.annotations \
             ? Quantity(pod.metadata.annotations[\"{annotation}\"]) / size(pod.spec.containers) \
             : \"{resource}\" in container.resources.requests \
             ? container.resources.requests[\"{resource}\"] / 2 \
             : Quantity(\"{least}\")"
        );
        json!({"expression": expression})
    };
    json!({
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterResourceUsage",
        "metadata": {"name": "half-of-the-requests"},
        "spec": {"usages": [{"usage": {"cpu": expression("cpu", "1m"), "memory": expression("memory", "1Mi")}}]},
    })
}

/// What a cluster needs so that its metrics API is served by a process beside the API server.
/// kwokctl turns the Service into a name of this machine and sets the port of both.
///
/// No owner marks here: these belong to the cluster, which carries the mark as a whole.
fn manifests() -> Vec<(&'static str, Value)> {
    let labels = json!({"k8s-app": "metrics-server"});
    vec![
        (
            "service.yaml",
            json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "metrics-server", "namespace": "kube-system", "labels": labels},
                "spec": {"selector": labels, "ports": [{"name": "https", "port": 443, "protocol": "TCP"}]},
            }),
        ),
        (
            "apiservice.yaml",
            json!({
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": "v1beta1.metrics.k8s.io", "labels": labels},
                "spec": {
                    "group": "metrics.k8s.io",
                    "version": "v1beta1",
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    // The process serves with the cluster's admin certificate, which does not carry
                    // the name of the Service. It listens on the loopback address alone.
                    "insecureSkipTLSVerify": true,
                    "service": {"name": "metrics-server", "namespace": "kube-system", "port": 443},
                },
            }),
        ),
        (
            "reader.yaml",
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {
                    "name": "system:aggregated-metrics-reader",
                    "labels": {
                        "k8s-app": "metrics-server",
                        "rbac.authorization.k8s.io/aggregate-to-admin": "true",
                        "rbac.authorization.k8s.io/aggregate-to-edit": "true",
                        "rbac.authorization.k8s.io/aggregate-to-view": "true",
                    },
                },
                "rules": [{
                    "apiGroups": ["metrics.k8s.io"],
                    "resources": ["pods", "nodes"],
                    "verbs": ["get", "list"],
                }],
            }),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listener_is_bound_to_the_loopback_address() {
        let config = Config { metrics: false }.kwokctl(Path::new("/manifests"), Ports::default());
        assert_eq!(config["options"]["bindAddress"], "127.0.0.1");
    }

    #[test]
    fn the_metrics_api_is_part_of_the_hash() {
        assert_ne!(Config { metrics: true }.hash(), Config { metrics: false }.hash());
        assert_eq!(Config { metrics: true }.hash().len(), 16);
    }
}
