use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::allocatable::allocatable;
use super::taints::taints;
use crate::base::{ProviderKind, label};
use crate::k8s::Object;
use crate::profile::schema::MaxUnavailable;
use crate::profile::{Environment, MachineResources, NodeGroup, Taint};

/// What a machine offers besides pods, when the profile says nothing of its disk.
const DISK: &str = "100Gi";

/// The kubelet's default. EKS allows fewer on small machines, GKE the same.
const PODS: u32 = 110;

/// The nodes that a node group should have.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupWanted {
    /// The group's name.
    pub name: String,
    /// Its machine type.
    pub machine: String,
    /// Its nodes, oldest first.
    pub nodes: Vec<NodeWanted>,
}

/// A node as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeWanted {
    /// Its name: the group's and a number from 0.
    pub name: String,
    /// All labels, without the owner mark.
    pub labels: BTreeMap<String, String>,
    /// All annotations that berth sets.
    pub annotations: BTreeMap<String, String>,
    /// All taints that berth sets, sorted.
    pub taints: Vec<Taint>,
    /// What the machine has: quantities by resource.
    pub capacity: BTreeMap<String, String>,
    /// What pods may ask for of it.
    pub allocatable: BTreeMap<String, String>,
    /// `amd64` or `arm64`.
    pub architecture: String,
}

/// The nodes of all groups of `environment`, as the declared provider would make them.
pub fn desired(environment: &Environment) -> Vec<GroupWanted> {
    let provider = environment.cluster.provider();
    match stand_in(environment) {
        Some(group) => groups(provider, &[group]),
        None => groups(provider, &environment.node_groups),
    }
}

/// The node group that a rehearsal has when the profile declares none: the real cluster has nodes all the
/// same, its own, one of kind or those that the cloud adds, and without any no pod would ever run.
pub fn stand_in(environment: &Environment) -> Option<NodeGroup> {
    let nodes = match environment.cluster.provider() {
        // On kind the control plane's own node takes the pods.
        ProviderKind::Kind => 1,
        ProviderKind::Eks | ProviderKind::Gke | ProviderKind::Existing => 3,
        // Its nodes are those of the profile, rehearsed or not.
        ProviderKind::Kwok => return None,
    };
    (environment.rehearsal && environment.node_groups.is_empty()).then(|| plain_group(nodes))
}

/// So many machines of the size that most clusters have.
fn plain_group(nodes: u32) -> NodeGroup {
    let quantity = |text: &str| text.parse().expect("a number and a unit");
    NodeGroup {
        name: "general".to_string(),
        machine: "standard".to_string(),
        other_machines: Vec::new(),
        resources: MachineResources {
            cpu: quantity("8"),
            memory: quantity("32Gi"),
            gpus: 0,
            architecture: "amd64".to_string(),
        },
        min: nodes,
        max: nodes,
        zones: Vec::new(),
        spot: false,
        disk: None,
        max_unavailable: MaxUnavailable::default(),
        labels: BTreeMap::new(),
        taints: Vec::new(),
    }
}

pub(super) fn groups(provider: ProviderKind, groups: &[NodeGroup]) -> Vec<GroupWanted> {
    groups
        .iter()
        .map(|group| GroupWanted {
            name: group.name.clone(),
            machine: group.machine.clone(),
            nodes: (0..count(group)).map(|index| node(provider, group, index)).collect(),
        })
        .collect()
}

/// A range counts as its lower end, and as one where that is zero, so that something is there to see.
pub(in crate::providers) fn count(group: &NodeGroup) -> u32 {
    group.min.max(1).min(group.max)
}

fn node(provider: ProviderKind, group: &NodeGroup, index: u32) -> NodeWanted {
    let name = format!("{}-{index}", group.name);
    let zone = (!group.zones.is_empty()).then(|| &group.zones[index as usize % group.zones.len()]);
    let mut labels = group.labels.clone();
    labels.extend(machine_labels(provider, group));
    labels.insert("kubernetes.io/hostname".to_string(), name.clone());
    if let Some(zone) = zone {
        labels.insert("topology.kubernetes.io/zone".to_string(), zone.clone());
        if let Some(region) = region(provider, zone) {
            labels.insert("topology.kubernetes.io/region".to_string(), region.to_string());
        }
    }
    let annotations = BTreeMap::from([
        ("kwok.x-k8s.io/node".to_string(), "fake".to_string()),
        (
            "metrics.k8s.io/resource-metrics-path".to_string(),
            format!("/metrics/nodes/{name}/metrics/resource"),
        ),
    ]);
    let capacity = capacity(group);
    NodeWanted {
        name,
        labels,
        annotations,
        taints: taints(group),
        allocatable: allocatable(provider, &capacity, PODS),
        capacity,
        architecture: group.resources.architecture.clone(),
    }
}

/// The labels that follow from the machine and from who runs it.
///
/// Sources: <https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html>,
/// <https://cloud.google.com/kubernetes-engine/docs/concepts/nodes>.
fn machine_labels(provider: ProviderKind, group: &NodeGroup) -> BTreeMap<String, String> {
    let mut labels = vec![
        (label::NODE_GROUP, group.name.as_str()),
        ("node.kubernetes.io/instance-type", &group.machine),
        ("kubernetes.io/arch", &group.resources.architecture),
        ("kubernetes.io/os", "linux"),
    ];
    if group.resources.gpus > 0 {
        labels.push(("nvidia.com/gpu.present", "true"));
    }
    match provider {
        ProviderKind::Eks => {
            labels.push(("eks.amazonaws.com/nodegroup", &group.name));
            let capacity = if group.spot { "SPOT" } else { "ON_DEMAND" };
            labels.push(("eks.amazonaws.com/capacityType", capacity));
        }
        ProviderKind::Gke => {
            labels.push(("cloud.google.com/gke-nodepool", &group.name));
            if group.spot {
                labels.push(("cloud.google.com/gke-spot", "true"));
            }
            if let Some(accelerator) = accelerator(&group.machine).filter(|_| group.resources.gpus > 0) {
                labels.push(("cloud.google.com/gke-accelerator", accelerator));
            }
        }
        ProviderKind::Kind | ProviderKind::Kwok | ProviderKind::Existing => {}
    }
    labels.into_iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// The GPU of a Google machine type that always has one.
/// Source: <https://cloud.google.com/compute/docs/gpus>.
fn accelerator(machine: &str) -> Option<&'static str> {
    const BY_PREFIX: &[(&str, &str)] = &[
        ("g2-", "nvidia-l4"),
        ("a2-highgpu-", "nvidia-tesla-a100"),
        ("a2-megagpu-", "nvidia-tesla-a100"),
        ("a2-ultragpu-", "nvidia-a100-80gb"),
        ("a3-highgpu-", "nvidia-h100-80gb"),
        ("a3-megagpu-", "nvidia-h100-mega-80gb"),
        ("a3-ultragpu-", "nvidia-h200-141gb"),
        ("a4-highgpu-", "nvidia-b200"),
    ];
    BY_PREFIX.iter().find(|(prefix, _)| machine.starts_with(prefix)).map(|(_, name)| *name)
}

/// The region of a zone: `eu-central-1` of `eu-central-1a`, `europe-west4` of `europe-west4-b`.
fn region(provider: ProviderKind, zone: &str) -> Option<&str> {
    let region = match provider {
        ProviderKind::Eks => zone.strip_suffix(|last: char| last.is_ascii_lowercase())?,
        ProviderKind::Gke => zone.rsplit_once('-')?.0,
        ProviderKind::Kind | ProviderKind::Kwok | ProviderKind::Existing => return None,
    };
    (!region.is_empty()).then_some(region)
}

fn capacity(group: &NodeGroup) -> BTreeMap<String, String> {
    let disk = group.disk.as_ref().map_or(DISK, |disk| disk.as_str());
    let mut capacity = BTreeMap::from([
        ("cpu".to_string(), group.resources.cpu.to_string()),
        ("memory".to_string(), group.resources.memory.to_string()),
        ("ephemeral-storage".to_string(), disk.to_string()),
        ("pods".to_string(), PODS.to_string()),
    ]);
    if group.resources.gpus > 0 {
        capacity.insert("nvidia.com/gpu".to_string(), group.resources.gpus.to_string());
    }
    capacity
}

impl NodeWanted {
    /// The object to apply. `foreign` are taints of others, which stay: the list of taints is one
    /// field to the API server, so that what is not sent is lost.
    pub(super) fn object(&self, foreign: &[Taint]) -> Object {
        let taints: Vec<Value> = self.taints.iter().chain(foreign).map(taint_json).collect();
        Object::new(json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": self.labels, "annotations": self.annotations},
            "spec": {"taints": taints},
            // Kept when the node is made, as a kubelet's would be; ignored afterwards.
            "status": {
                "capacity": self.capacity,
                "allocatable": self.allocatable,
                "nodeInfo": {"architecture": self.architecture, "operatingSystem": "linux"},
            },
        }))
        .expect("Node is a cluster-scoped kind that is built in")
    }
}

fn taint_json(taint: &Taint) -> Value {
    let mut json = json!({"key": taint.key, "effect": taint.effect});
    if !taint.value.is_empty() {
        json["value"] = Value::from(taint.value.as_str());
    }
    json
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::base::Owner;
    use crate::profile::ClusterSpec;
    use crate::profile::schema::{GkeCluster, KindCluster, KwokCluster};

    pub(in crate::providers) fn group(name: &str, min: u32, max: u32, gpus: u32) -> NodeGroup {
        let quantity = |text: &str| text.parse().expect("a quantity");
        NodeGroup {
            name: name.to_string(),
            machine: "g2-standard-8".to_string(),
            other_machines: Vec::new(),
            resources: MachineResources {
                cpu: quantity("8"),
                memory: quantity("32Gi"),
                gpus,
                architecture: "amd64".to_string(),
            },
            min,
            max,
            zones: vec!["europe-west4-a".to_string(), "europe-west4-b".to_string()],
            spot: false,
            disk: None,
            max_unavailable: MaxUnavailable::default(),
            labels: BTreeMap::from([("team".to_string(), "ml".to_string())]),
            taints: Vec::new(),
        }
    }

    #[test]
    fn a_range_counts_as_its_lower_end_and_at_least_one() {
        assert_eq!(count(&group("a", 0, 4, 0)), 1);
        assert_eq!(count(&group("a", 2, 6, 0)), 2);
        assert_eq!(count(&group("a", 0, 0, 0)), 0);
    }

    #[test]
    fn a_rehearsal_has_nodes_where_the_profile_declares_none_and_only_there() {
        let declared = |cluster: ClusterSpec, node_groups: Vec<NodeGroup>| Environment {
            name: "lab".to_string(),
            owner: Owner { id: "7f3k2q9d".to_string(), environment: "lab".to_string() },
            rehearsal: false,
            protected: false,
            cluster,
            kubernetes: (1, 36),
            kubernetes_assumed: false,
            admins: Vec::new(),
            members: std::collections::BTreeMap::new(),
            node_groups,
            registry: None,
            mirrors: BTreeMap::new(),
            pull_secrets: Vec::new(),
            addons: Vec::new(),
            addons_from: Vec::new(),
            tenants: Vec::new(),
        };
        let names = |environment: &Environment| -> Vec<String> {
            desired(environment).into_iter().flat_map(|group| group.nodes).map(|node| node.name).collect()
        };
        let on_gke = || ClusterSpec::Gke(GkeCluster::default());
        assert_eq!(names(&declared(on_gke(), Vec::new())), [""; 0]);
        assert_eq!(
            names(&declared(on_gke(), Vec::new()).rehearse()),
            ["general-0", "general-1", "general-2"]
        );
        assert_eq!(names(&declared(on_gke(), vec![group("own", 1, 1, 0)]).rehearse()), ["own-0"]);
        let on_kind = ClusterSpec::Kind(KindCluster::default());
        assert_eq!(names(&declared(on_kind, Vec::new()).rehearse()), ["general-0"]);
        let on_kwok = ClusterSpec::Kwok(KwokCluster::default());
        assert_eq!(names(&declared(on_kwok, Vec::new()).rehearse()), [""; 0]);
    }

    #[test]
    fn nodes_are_spread_over_the_zones() {
        let zones: Vec<String> = (0..3)
            .map(|index| node(ProviderKind::Gke, &group("a", 3, 3, 0), index))
            .map(|node| node.labels["topology.kubernetes.io/zone"].clone())
            .collect();
        assert_eq!(zones, ["europe-west4-a", "europe-west4-b", "europe-west4-a"]);
    }

    #[test]
    fn a_gpu_node_looks_like_one_of_the_declared_provider() {
        let node = node(ProviderKind::Gke, &group("gpu", 0, 4, 1), 0);
        assert_eq!(node.name, "gpu-0");
        for (key, value) in [
            ("cloud.google.com/gke-nodepool", "gpu"),
            ("cloud.google.com/gke-accelerator", "nvidia-l4"),
            ("nvidia.com/gpu.present", "true"),
            ("topology.kubernetes.io/region", "europe-west4"),
            ("team", "ml"),
        ] {
            assert_eq!(node.labels.get(key).map(String::as_str), Some(value), "{key}");
        }
        assert_eq!(node.capacity["nvidia.com/gpu"], "1");
        assert_eq!(node.taints[0].key, "nvidia.com/gpu");
    }

    #[test]
    fn regions_are_read_from_zones() {
        assert_eq!(region(ProviderKind::Eks, "eu-central-1a"), Some("eu-central-1"));
        assert_eq!(region(ProviderKind::Gke, "europe-west4-b"), Some("europe-west4"));
        assert_eq!(region(ProviderKind::Kwok, "a"), None);
    }
}
