use std::net::IpAddr;

use super::{Container, Engine, PublishedPort};
use crate::base::Fault;

/// A container that runs, with what of this machine leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// Its name.
    pub container: String,
    /// The kind cluster that it is a node of; empty for none.
    pub cluster: String,
    /// Its ports on this machine.
    pub ports: Vec<PublishedPort>,
}

impl Engine {
    /// The containers that run, by name. What they publish is read from each of them: of the ways to ask for it in
    /// a list, none works with every engine.
    pub async fn running(&self) -> Result<Vec<Container>, Fault> {
        let listed = self.ask("list containers", ["ps", "--quiet", "--no-trunc"]).await?;
        let mut containers = self.inspect(&listed.stdout.split_whitespace().collect::<Vec<_>>()).await?;
        containers.retain(Container::runs);
        Ok(containers)
    }

    /// The containers that run and publish ports.
    pub async fn publishers(&self) -> Result<Vec<Publisher>, Fault> {
        Ok(self.running().await?.into_iter().filter_map(Publisher::of).collect())
    }

    /// The names of its networks.
    pub async fn network_names(&self) -> Result<Vec<String>, Fault> {
        let listed = self.ask("list networks", ["network", "ls", "--format", "{{.Name}}"]).await?;
        Ok(listed
            .stdout
            .lines()
            .map(|name| name.trim().to_string())
            .filter(|name| !name.is_empty())
            .collect())
    }
}

impl Publisher {
    /// `None` without published ports.
    fn of(container: Container) -> Option<Self> {
        let cluster = container.kind_cluster().unwrap_or_default().to_string();
        (!container.ports.is_empty()).then_some(Self {
            container: container.name,
            cluster,
            ports: container.ports,
        })
    }

    /// Whether one of its ports is in the way of listening at `port` of `address`.
    pub fn holds(&self, address: IpAddr, port: u16, protocol: &str) -> bool {
        self.ports.iter().any(|published| {
            let everywhere = |address: IpAddr| address.is_unspecified();
            let there = published.address.parse::<IpAddr>();
            published.host == port
                && published.protocol == protocol
                && there.is_ok_and(|there| there == address || everywhere(there) || everywhere(address))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::containers::ContainerState;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn container(ports: &[(&str, u16, &str)]) -> Container {
        let port = |(address, host, protocol): &(&str, u16, &str)| PublishedPort {
            container: 80,
            protocol: (*protocol).to_string(),
            address: (*address).to_string(),
            host: *host,
        };
        Container {
            id: "1f".to_string(),
            name: "lab-control-plane".to_string(),
            state: ContainerState::Running,
            restarted: false,
            started: None,
            image: String::new(),
            image_id: String::new(),
            labels: Container::kind_labels("lab", "control-plane"),
            mounts: Vec::new(),
            networks: BTreeMap::new(),
            ports: ports.iter().map(port).collect(),
        }
    }

    #[test]
    fn a_port_is_held_at_its_address_and_at_all_of_them() {
        let ports = [("0.0.0.0", 8001, "tcp"), ("::", 9000, "tcp"), ("127.0.0.1", 53, "udp")];
        let node = Publisher::of(container(&ports)).expect("it publishes ports");
        assert_eq!((node.container.as_str(), node.cluster.as_str()), ("lab-control-plane", "lab"));
        assert!(node.holds(address("127.0.0.1"), 8001, "tcp") && node.holds(address("127.0.0.1"), 53, "udp"));
        assert!(!node.holds(address("127.0.0.1"), 53, "tcp") && !node.holds(address("127.0.0.2"), 53, "udp"));
        assert!(node.holds(address("127.0.0.1"), 9000, "tcp"));
    }

    #[test]
    fn what_publishes_nothing_is_left_out() {
        assert_eq!(Publisher::of(container(&[])), None);
    }
}
