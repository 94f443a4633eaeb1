use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::gpus::{self, Shares};
use super::mark::{Digest, Mark};
use crate::base::{Owner, label};
use crate::profile::schema::KindCluster;
use crate::profile::{Environment, NodeGroup, Taint};
use crate::providers::nodes::{count, taints};

/// What a cluster is made with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Config {
    /// The cluster's name to kind, and what the names of its containers begin with.
    pub(super) name: String,
    owner: Owner,
    spec: KindCluster,
    groups: Vec<NodeGroup>,
    /// The declared Kubernetes.
    pub(super) kubernetes: (u32, u32),
}

/// A node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodePlan {
    /// The name of its container and of its Node object.
    pub(super) name: String,
    /// The position of its group in the profile; `None` for a control plane.
    pub(super) group: Option<usize>,
}

impl Config {
    /// What the cluster of `environment` is made with, which declares `spec`.
    pub(super) fn new(environment: &Environment, spec: &KindCluster) -> Self {
        Self {
            name: environment.name.clone(),
            owner: environment.owner.clone(),
            spec: spec.clone(),
            groups: environment.node_groups.clone(),
            kubernetes: environment.kubernetes,
        }
    }

    /// The node image that the profile names.
    pub(super) fn image(&self) -> Option<&str> {
        self.spec.image.as_deref()
    }

    /// Whether it has several control planes.
    pub(super) fn is_redundant(&self) -> bool {
        self.spec.control_planes > 1
    }

    /// The node groups, in the order of the profile.
    pub(super) fn groups(&self) -> &[NodeGroup] {
        &self.groups
    }

    /// The nodes: control planes first, then the groups in the order of the profile. kind numbers them by
    /// role, the first without a number.
    pub(super) fn nodes(&self) -> Vec<NodePlan> {
        let named = |role: &str, number: usize| {
            if number == 1 {
                format!("{}-{role}", self.name)
            } else {
                format!("{}-{role}{number}", self.name)
            }
        };
        let control_planes = (1..=self.spec.control_planes as usize)
            .map(|number| NodePlan { name: named("control-plane", number), group: None });
        let of_groups = self.groups.iter().enumerate();
        let of_groups = of_groups.flat_map(|(index, group)| (0..count(group)).map(move |_| index));
        let workers = of_groups
            .enumerate()
            .map(|(index, group)| NodePlan { name: named("worker", index + 1), group: Some(group) });
        control_planes.chain(workers).collect()
    }

    /// The names of the nodes that have GPUs, and how many each has.
    pub(super) fn nodes_with_gpus(&self) -> Vec<(String, u32)> {
        let gpus = |node: NodePlan| Some((node.name, self.groups[node.group?].resources.gpus));
        self.nodes().into_iter().filter_map(gpus).filter(|(_, count)| *count > 0).collect()
    }

    /// Whose it is.
    pub(super) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The mark that every node carries.
    pub(super) fn mark(&self) -> Mark {
        Mark { owner: self.owner.clone(), digest: self.digest() }
    }

    /// What cannot be changed without a new cluster. Labels and taints of nodes are none of it.
    pub(super) fn digest(&self) -> Digest {
        let spec = &self.spec;
        let image = match &spec.image {
            Some(image) => image.clone(),
            None => format!("Kubernetes {}.{}", self.kubernetes.0, self.kubernetes.1),
        };
        let groups: Vec<Value> =
            self.groups.iter().map(|group| json!([group.name, count(group), group.resources.gpus])).collect();
        Digest::new([
            ("image", hash(&json!(image))),
            ("nodes", hash(&json!([spec.control_planes, groups]))),
            ("ports", hash(&json!(spec.ports))),
            ("mounts", hash(&json!(spec.mounts))),
            ("networking", hash(&self.networking())),
            ("features", hash(&json!(spec.feature_gates))),
            ("patches", hash(&json!(spec.kubeadm_patches))),
        ])
    }

    /// The configuration that kind reads, with the GPUs of this machine given out as `shares` say. JSON is YAML, and
    /// kind reads it as such.
    pub(super) fn render(&self, shares: &Shares) -> Value {
        let nodes = self.nodes();
        let nodes =
            nodes.iter().enumerate().map(|(index, node)| self.node(index, node, shares.of(&node.name)));
        let nodes: Vec<Value> = nodes.collect();
        let mut config = json!({
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "name": self.name,
            "networking": self.networking(),
            "nodes": nodes,
        });
        if !self.spec.kubeadm_patches.is_empty() {
            config["kubeadmConfigPatches"] = json!(self.spec.kubeadm_patches);
        }
        if !self.spec.feature_gates.is_empty() {
            config["featureGates"] = json!(self.spec.feature_gates);
        }
        config
    }

    fn networking(&self) -> Value {
        let mut networking = json!({"apiServerAddress": "127.0.0.1"});
        let subnets = [("podSubnet", &self.spec.pod_subnet), ("serviceSubnet", &self.spec.service_subnet)];
        for (key, subnet) in subnets {
            if let Some(subnet) = subnet {
                networking[key] = json!(subnet);
            }
        }
        if let Some(family) = self.spec.ip_family {
            networking["ipFamily"] = json!(family.as_str());
        }
        if let Some(mode) = self.spec.kube_proxy_mode {
            networking["kubeProxyMode"] = json!(mode.as_str());
        }
        networking
    }

    fn node(&self, index: usize, plan: &NodePlan, gpus: &[String]) -> Value {
        let role = if plan.group.is_some() { "worker" } else { "control-plane" };
        let mut labels = json!({label::OWNER: self.owner.id, label::ENVIRONMENT: self.owner.environment});
        let mut node = json!({"role": role, "extraMounts": self.mounts(gpus)});
        if index == 0 && !self.spec.ports.is_empty() {
            node["extraPortMappings"] = self.port_mappings();
        }
        if let Some(group) = plan.group.map(|index| &self.groups[index]) {
            labels[label::NODE_GROUP] = json!(group.name);
            let taints = taints(group);
            if !taints.is_empty() {
                node["kubeadmConfigPatches"] = json!([registered_with(&taints)]);
            }
        }
        node["labels"] = labels;
        node
    }

    /// The mark, what the profile mounts, and the GPUs that the node asks for.
    fn mounts(&self, gpus: &[String]) -> Vec<Value> {
        let mark = json!({
            "hostPath": "/dev/null",
            "containerPath": self.mark().destination(),
            "readOnly": true,
        });
        let declared = self.spec.mounts.iter().map(|mount| {
            json!({
                "hostPath": mount.host.0,
                "containerPath": mount.node,
                "readOnly": mount.read_only,
            })
        });
        let gpus = gpus.iter().map(|id| json!({"hostPath": "/dev/null", "containerPath": gpus::mount(id)}));
        std::iter::once(mark).chain(declared).chain(gpus).collect()
    }

    /// A port of the machine leads to one container alone: the first control plane. Node ports are the same
    /// on all nodes.
    fn port_mappings(&self) -> Value {
        let ports = self.spec.ports.iter().map(|port| {
            json!({
                "containerPort": port.node,
                "hostPort": port.host,
                // kind's own default is every address of the machine.
                "listenAddress": port.listen,
                "protocol": port.protocol.as_str().to_uppercase(),
            })
        });
        Value::Array(ports.collect())
    }
}

/// The patch with which a worker carries `taints` from its first moment on, so that nothing lands on it that
/// the taints are to keep away. Without a version and as a map it fits every kubeadm that kind writes for.
fn registered_with(taints: &[Taint]) -> String {
    let taints: Vec<String> =
        taints.iter().map(|taint| format!("{}={}:{}", taint.key, taint.value, taint.effect)).collect();
    json!({
        "kind": "JoinConfiguration",
        "nodeRegistration": {"kubeletExtraArgs": {"register-with-taints": taints.join(",")}},
    })
    .to_string()
}

/// Eight letters that stand for `value`.
fn hash(value: &Value) -> String {
    let digest = Sha256::digest(value.to_string());
    digest.iter().take(4).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::profile::schema::{
        KindIpFamily, KindMount, KindPort, KubeProxyMode, PortProtocol, ProfilePath,
    };
    use crate::providers::nodes::sample_group;

    pub(in crate::providers::kind) fn config(groups: &[NodeGroup], spec: KindCluster) -> Config {
        Config {
            name: "lab".to_string(),
            owner: Owner { id: "7f3k2q9d".to_string(), environment: "lab".to_string() },
            spec,
            groups: groups.to_vec(),
            kubernetes: (1, 36),
        }
    }

    fn full() -> Config {
        let spec = KindCluster {
            ports: vec![KindPort {
                host: 8080,
                node: 80,
                listen: "127.0.0.1".to_string(),
                protocol: PortProtocol::Udp,
            }],
            mounts: vec![KindMount {
                host: ProfilePath("/src".into()),
                node: "/src".to_string(),
                read_only: false,
            }],
            pod_subnet: Some("10.1.0.0/16".to_string()),
            feature_gates: BTreeMap::from([("SomeGate".to_string(), true)]),
            ..KindCluster::default()
        };
        config(&[sample_group("general", 2, 2, 0), sample_group("batch", 1, 1, 0)], spec)
    }

    #[test]
    fn nodes_are_called_as_kind_calls_them_in_the_order_of_the_profile() {
        let nodes = full().nodes();
        let named: Vec<(&str, Option<usize>)> =
            nodes.iter().map(|node| (node.name.as_str(), node.group)).collect();
        assert_eq!(
            named,
            [
                ("lab-control-plane", None),
                ("lab-worker", Some(0)),
                ("lab-worker2", Some(0)),
                ("lab-worker3", Some(1))
            ]
        );
    }

    #[test]
    fn ports_lead_to_the_first_control_plane_and_stay_on_this_machine() {
        let rendered = full().render(&Shares::default());
        let mapping =
            json!({"containerPort": 80, "hostPort": 8080, "listenAddress": "127.0.0.1", "protocol": "UDP"});
        assert_eq!(rendered["nodes"][0]["extraPortMappings"], json!([mapping]));
        assert_eq!(rendered["nodes"][1]["extraPortMappings"], Value::Null);
    }

    #[test]
    fn every_node_carries_the_mark_and_the_mounts_of_the_profile() {
        let config = full();
        let rendered = config.render(&Shares::default());
        for node in rendered["nodes"].as_array().expect("nodes") {
            let mark = json!({"hostPath": "/dev/null", "containerPath": config.mark().destination(), "readOnly": true});
            let own = json!({"hostPath": "/src", "containerPath": "/src", "readOnly": false});
            assert_eq!(node["extraMounts"], json!([mark, own]));
            assert_eq!(node["labels"][label::OWNER], "7f3k2q9d");
        }
        assert_eq!(rendered["nodes"][3]["labels"][label::NODE_GROUP], "batch");
    }

    #[test]
    fn workers_carry_their_taints_from_the_first_moment_on() {
        let taint = |key: &str, value: &str| Taint {
            key: key.to_string(),
            value: value.to_string(),
            effect: "NoSchedule".to_string(),
        };
        let mut group = sample_group("gpu", 1, 1, 0);
        group.taints = vec![taint("team", "ml"), taint("example.com/slow", "")];
        let rendered = config(&[group], KindCluster::default()).render(&Shares::default());
        let patch = rendered["nodes"][1]["kubeadmConfigPatches"][0].as_str().expect("a patch");
        let patch: Value = serde_json::from_str(patch).expect("JSON");
        let taints = &patch["nodeRegistration"]["kubeletExtraArgs"]["register-with-taints"];
        assert_eq!(taints, "example.com/slow=:NoSchedule,team=ml:NoSchedule");
        assert_eq!(rendered["nodes"][0]["kubeadmConfigPatches"], Value::Null);
    }

    #[test]
    fn what_the_profile_says_of_the_network_and_of_kubeadm_reaches_kind() {
        let spec = KindCluster {
            service_subnet: Some("10.2.0.0/16".to_string()),
            ip_family: Some(KindIpFamily::Dual),
            kube_proxy_mode: Some(KubeProxyMode::Nftables),
            kubeadm_patches: vec!["kind: KubeletConfiguration".to_string()],
            ..full().spec
        };
        let rendered = config(&[], spec).render(&Shares::default());
        assert_eq!(
            rendered["networking"],
            json!({"apiServerAddress": "127.0.0.1", "podSubnet": "10.1.0.0/16", "serviceSubnet": "10.2.0.0/16",
                "ipFamily": "dual", "kubeProxyMode": "nftables"})
        );
        assert_eq!(rendered["kubeadmConfigPatches"], json!(["kind: KubeletConfiguration"]));
        assert_eq!(rendered["featureGates"], json!({"SomeGate": true}));
    }

    #[test]
    fn each_change_that_needs_a_new_cluster_shows_in_its_own_section() {
        let base = full();
        let changed = |change: fn(&mut Config)| {
            let mut other = full();
            change(&mut other);
            base.digest().differing(&other.digest()).into_iter().map(str::to_string).collect::<Vec<_>>()
        };
        assert_eq!(changed(|config| config.spec.image = Some("own".to_string())), ["image"]);
        assert_eq!(changed(|config| config.kubernetes = (1, 35)), ["image"]);
        assert_eq!(changed(|config| config.groups[0].min = 1), ["nodes"]);
        assert_eq!(changed(|config| config.groups[0].resources.gpus = 1), ["nodes"]);
        assert_eq!(changed(|config| config.spec.ports[0].host = 1), ["ports"]);
        assert_eq!(changed(|config| config.spec.mounts[0].read_only = true), ["mounts"]);
        assert_eq!(changed(|config| config.spec.pod_subnet = None), ["networking"]);
        assert_eq!(changed(|config| config.spec.feature_gates.clear()), ["features"]);
        assert_eq!(changed(|config| config.spec.kubeadm_patches.push("kind: x".to_string())), ["patches"]);
        let labels = changed(|config| {
            config.groups[0].labels.insert("a".to_string(), "b".to_string());
            config.groups[0].taints.clear();
        });
        assert_eq!(labels, Vec::<String>::new());
    }
}
