use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::WantedGpus;
use crate::base::AddressRange;
use crate::containers::EngineKind;
use crate::profile::Environment;
use crate::profile::schema::KindCluster;
use crate::providers::Local;
use crate::providers::nodes::count;

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
    /// A cluster as `berth doctor` expects one, which knows no profile: of the newest Kubernetes, one node, on the
    /// engine's `network`.
    pub fn usual(network: &str) -> Self {
        Self {
            cluster: String::new(),
            network: network.to_string(),
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
            network: network(local).to_string(),
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

/// The network of the engine of this machine that nodes are on.
pub fn network(local: &Local) -> &str {
    // Without any it does not come so far.
    local.kind.network(local.engine.find().map_or(EngineKind::Docker, |engine| engine.kind()))
}

/// The subnets by the name of their field, as they are given or as kind takes them.
fn subnets(spec: &KindCluster) -> Vec<(&'static str, AddressRange)> {
    let fields = [("podSubnet", spec.pod_subnets()), ("serviceSubnet", spec.service_subnets())];
    let each = fields.into_iter().flat_map(|(field, texts)| texts.into_iter().map(move |text| (field, text)));
    each.filter_map(|(field, text)| Some((field, text.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::schema::KindIpFamily;

    #[test]
    fn subnets_are_those_that_are_given_or_those_of_kind_for_the_family() {
        let told = |spec: &KindCluster| {
            let all = subnets(spec).into_iter().map(|(field, range)| format!("{field} {range}"));
            all.collect::<Vec<_>>()
        };
        let of = |ip_family| KindCluster { ip_family, ..KindCluster::default() };
        let ipv4 = ["podSubnet 10.244.0.0/16", "serviceSubnet 10.96.0.0/16"];
        let ipv6 = ["podSubnet fd00:10:244::/56", "serviceSubnet fd00:10:96::/112"];
        assert_eq!(told(&of(None)), ipv4);
        assert_eq!(told(&of(Some(KindIpFamily::Ipv6))), ipv6);
        assert_eq!(told(&of(Some(KindIpFamily::Dual))), [ipv4[0], ipv6[0], ipv4[1], ipv6[1]]);
        let given = KindCluster {
            pod_subnet: Some("10.1.0.0/16,fd00::/56".to_string()),
            ..of(Some(KindIpFamily::Dual))
        };
        assert_eq!(told(&given), ["podSubnet 10.1.0.0/16", "podSubnet fd00::/56", ipv4[1], ipv6[1]]);
    }
}
