use std::net::IpAddr;

use crate::base::{AddressRange, Network, Subnet};
use crate::containers::EngineNetwork;

/// The network of the nodes of `cluster`, as the engine tells it.
pub(super) fn network_of(found: &EngineNetwork, engine: &str, cluster: &str) -> Network {
    let subnets = found.subnets.iter().filter_map(|(cidr, gateway)| {
        Some(Subnet { range: cidr.parse::<AddressRange>().ok()?, gateway: *gateway })
    });
    let used = found.containers.iter().flat_map(|(name, addresses)| {
        addresses.iter().map(move |address: &IpAddr| (*address, format!("container `{name}`")))
    });
    Network {
        title: format!("{engine} network `{}`", found.name),
        subnets: subnets.collect(),
        used: used.collect(),
        taken: Vec::new(),
        own: Vec::new(),
        seed: cluster.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_and_used_addresses_of_both_families_are_told() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let found = EngineNetwork {
            name: "kind".to_string(),
            subnets: vec![
                ("fc00::/64".to_string(), None),
                ("172.18.0.0/16".to_string(), Some(address("172.18.0.1"))),
            ],
            containers: vec![("lab-worker".to_string(), vec![address("172.18.0.2")])],
        };
        let network = network_of(&found, "docker", "lab");
        assert_eq!(network.title, "docker network `kind`");
        assert_eq!(network.subnets.len(), 2);
        assert_eq!(network.subnets[1].gateway, Some(address("172.18.0.1")));
        assert_eq!(network.used, [(address("172.18.0.2"), "container `lab-worker`".to_string())]);
    }
}
