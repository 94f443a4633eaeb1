use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ProfilePath;

/// A cluster of kind: Kubernetes in containers on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct KindCluster {
    /// The Kubernetes minor, in quotes: `"1.36"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A node image of your own, instead of the one for the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The number of control planes.
    pub control_planes: u32,
    /// Ports of this machine that lead to ports of the nodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<KindPort>,
    /// Folders of this machine that the nodes see.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<KindMount>,
    /// The addresses of pods, a CIDR.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_subnet: Option<String>,
    /// The addresses of services, a CIDR.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_subnet: Option<String>,
    /// Feature gates of Kubernetes, switched on or off.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub feature_gates: BTreeMap<String, bool>,
    /// The families of addresses of pods and services. Default: `ipv4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_family: Option<KindIpFamily>,
    /// How services are reached on the nodes. Default: `iptables`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_proxy_mode: Option<KubeProxyMode>,
    /// Patches of the kubeadm configuration of every node, each a YAML text with its `kind`:
    /// `ClusterConfiguration`, `InitConfiguration`, `JoinConfiguration`, `KubeletConfiguration` or
    /// `KubeProxyConfiguration`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kubeadm_patches: Vec<String>,
}

/// The addresses of pods that kind takes by itself, of IPv4 and of IPv6.
const POD_SUBNETS: [&str; 2] = ["10.244.0.0/16", "fd00:10:244::/56"];
/// The addresses of services, likewise.
const SERVICE_SUBNETS: [&str; 2] = ["10.96.0.0/16", "fd00:10:96::/112"];

impl KindCluster {
    /// The addresses of pods, each a CIDR: as they are given, or else as kind takes them.
    pub fn pod_subnets(&self) -> Vec<&str> {
        self.given_or(self.pod_subnet.as_deref(), POD_SUBNETS)
    }

    /// The addresses of services, likewise.
    pub fn service_subnets(&self) -> Vec<&str> {
        self.given_or(self.service_subnet.as_deref(), SERVICE_SUBNETS)
    }

    fn given_or<'a>(&self, given: Option<&'a str>, [ipv4, ipv6]: [&'static str; 2]) -> Vec<&'a str> {
        match (given, self.ip_family) {
            (Some(text), _) => text.split(',').collect(),
            (None, None | Some(KindIpFamily::Ipv4)) => vec![ipv4],
            (None, Some(KindIpFamily::Ipv6)) => vec![ipv6],
            (None, Some(KindIpFamily::Dual)) => vec![ipv4, ipv6],
        }
    }
}

impl Default for KindCluster {
    fn default() -> Self {
        Self {
            version: None,
            image: None,
            control_planes: 1,
            ports: Vec::new(),
            mounts: Vec::new(),
            pod_subnet: None,
            service_subnet: None,
            feature_gates: BTreeMap::new(),
            ip_family: None,
            kube_proxy_mode: None,
            kubeadm_patches: Vec::new(),
        }
    }
}

/// Families of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KindIpFamily {
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
    /// Both.
    Dual,
}

impl KindIpFamily {
    /// As kind writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Dual => "dual",
        }
    }
}

/// How services are reached on the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KubeProxyMode {
    /// By rules of iptables.
    Iptables,
    /// By IPVS.
    Ipvs,
    /// By rules of nftables.
    Nftables,
    /// There is no kube-proxy: something else has to do its work.
    None,
}

impl KubeProxyMode {
    /// As kind writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iptables => "iptables",
            Self::Ipvs => "ipvs",
            Self::Nftables => "nftables",
            Self::None => "none",
        }
    }
}

/// A protocol whose ports lead to nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PortProtocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl PortProtocol {
    /// Its name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// A port of this machine that leads to a port of the nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KindPort {
    /// The port of this machine.
    pub host: u16,
    /// The port of the node.
    pub node: u16,
    /// The address of this machine that it listens on.
    #[serde(default = "loopback")]
    pub listen: String,
    /// The protocol. Default: `tcp`.
    #[serde(default)]
    pub protocol: PortProtocol,
}

fn loopback() -> String {
    "127.0.0.1".to_string()
}

/// A folder of this machine that the nodes see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KindMount {
    /// The folder of this machine. Relative to this file.
    pub host: ProfilePath,
    /// Where the nodes see it, an absolute path.
    pub node: String,
    /// Whether the nodes may only read it.
    #[serde(default)]
    pub read_only: bool,
}

/// A real control plane with simulated nodes on this machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct KwokCluster {
    /// The Kubernetes minor, in quotes: `"1.36"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A cluster that somebody else made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ExistingCluster {
    /// The kubeconfig file. Relative to this file; `~` is your home.
    #[serde(deserialize_with = "super::values::path")]
    #[schemars(with = "String")]
    pub kubeconfig: PathBuf,
    /// The context in it.
    pub context: String,
    /// The Kubernetes minor that it runs, in quotes: `"1.36"`. Without it, commands that reach the cluster ask
    /// it, and the others take it for 1.36.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}
