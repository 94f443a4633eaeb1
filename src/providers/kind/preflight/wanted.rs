use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::WantedGpus;
use crate::base::AddressRange;
use crate::profile::Environment;
use crate::profile::schema::{KindCluster, KindIpFamily};
use crate::providers::Local;
use crate::providers::kind::Choices;
use crate::providers::nodes::count;

/// The addresses of pods that kind takes by itself, of IPv4 and of IPv6.
const POD_SUBNETS: [&str; 2] = ["10.244.0.0/16", "fd00:10:244::/56"];
/// The addresses of services, likewise.
const SERVICE_SUBNETS: [&str; 2] = ["10.96.0.0/16", "fd00:10:96::/112"];

/// What a kind cluster will ask of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The name of the cluster: its own containers are not in its way.
    pub cluster: String,
    /// The engine's network that the nodes are on.
    pub network: String,
    /// The Kubernetes minor.
    pub kubernetes: (u32, u32),
    /// Control planes.
    pub control_planes: u64,
    /// Workers.
    pub workers: u64,
    /// Ports of this machine.
    pub ports: Vec<WantedPort>,
    /// The field and its addresses: those of pods and of services.
    pub subnets: Vec<(&'static str, AddressRange)>,
    /// Folders of this machine that nodes are to see.
    pub mounts: Vec<PathBuf>,
    /// GPUs of this machine.
    pub gpus: Option<WantedGpus>,
}

/// A port of this machine that a node is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPort {
    /// Where it listens.
    pub address: SocketAddr,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

impl Wanted {
    /// A cluster as `berth doctor` expects one, which knows no profile: of the newest Kubernetes, one node.
    pub fn usual() -> Self {
        Self {
            cluster: String::new(),
            network: Choices::default().network().to_string(),
            kubernetes: crate::profile::NEWEST,
            control_planes: 1,
            workers: 0,
            ports: Vec::new(),
            subnets: subnets(&KindCluster::default()),
            mounts: Vec::new(),
            gpus: None,
        }
    }

    /// What the cluster of `environment` asks for, which declares `spec`.
    pub fn of(environment: &Environment, spec: &KindCluster, local: &Local) -> Self {
        let ports = spec.ports.iter().filter_map(|port| {
            let address: IpAddr = port.listen.parse().ok()?;
            Some(WantedPort {
                address: SocketAddr::new(address, port.host),
                protocol: port.protocol.as_str().to_string(),
            })
        });
        Self {
            cluster: environment.name.clone(),
            network: local.kind.network().to_string(),
            kubernetes: environment.kubernetes,
            control_planes: u64::from(spec.control_planes),
            workers: environment.node_groups.iter().map(|group| u64::from(count(group))).sum(),
            ports: ports.collect(),
            subnets: subnets(spec),
            mounts: spec.mounts.iter().map(|mount| mount.host.0.clone()).collect(),
            gpus: WantedGpus::of(environment, spec, local),
        }
    }
}

/// The subnets by the name of their field, as they are given or as kind takes them.
fn subnets(spec: &KindCluster) -> Vec<(&'static str, AddressRange)> {
    let fields = [
        ("podSubnet", &spec.pod_subnet, POD_SUBNETS),
        ("serviceSubnet", &spec.service_subnet, SERVICE_SUBNETS),
    ];
    let mut subnets = Vec::new();
    for (field, given, usual) in fields {
        let texts: Vec<&str> = match (given, spec.ip_family) {
            (Some(text), _) => text.split(',').map(str::trim).collect(),
            (None, None | Some(KindIpFamily::Ipv4)) => usual[..1].to_vec(),
            (None, Some(KindIpFamily::Ipv6)) => usual[1..].to_vec(),
            (None, Some(KindIpFamily::Dual)) => usual.to_vec(),
        };
        subnets.extend(texts.iter().filter_map(|text| Some((field, text.parse().ok()?))));
    }
    subnets
}
