use std::net::IpAddr;

use super::kind::CLUSTER;
use super::{Engine, PublishedPort};
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
    /// The containers that run and publish ports.
    pub async fn publishers(&self) -> Result<Vec<Publisher>, Fault> {
        let listed =
            self.ask("list containers", ["ps", "--no-trunc", "--format", columns().as_str()]).await?;
        Ok(listed.stdout.lines().filter_map(publisher_of).collect())
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

/// Names, clusters and ports, with a tab between them.
fn columns() -> String {
    format!("{{{{.Names}}}}\t{{{{.Label \"{CLUSTER}\"}}}}\t{{{{.Ports}}}}")
}

/// One line of the list; `None` without published ports.
fn publisher_of(line: &str) -> Option<Publisher> {
    let mut columns = line.split('\t');
    let (container, cluster, ports) = (columns.next()?, columns.next()?, columns.next()?);
    let ports: Vec<PublishedPort> = ports.split(',').flat_map(|port| published(port.trim())).collect();
    let cluster = if cluster == "<no value>" { "" } else { cluster };
    (!ports.is_empty()).then(|| Publisher {
        container: container.to_string(),
        cluster: cluster.to_string(),
        ports,
    })
}

/// `127.0.0.1:8080->80/tcp`, or for ports in a row `0.0.0.0:8000-8002->80-82/tcp`.
fn published(text: &str) -> Vec<PublishedPort> {
    let parse = || {
        let (host, container) = text.split_once("->")?;
        let (container, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
        let (address, hosts) = host.rsplit_once(':')?;
        let address = address.trim_matches(['[', ']']);
        let first = |range: &str| range.split('-').next()?.parse::<u16>().ok();
        let last = hosts.rsplit('-').next()?.parse::<u16>().ok()?;
        let (first_host, first_container) = (first(hosts)?, first(container)?);
        let of = |host: u16| PublishedPort {
            container: first_container.saturating_add(host - first_host),
            protocol: protocol.to_string(),
            // Podman leaves out the address of all addresses.
            address: if address.is_empty() { "0.0.0.0".to_string() } else { address.to_string() },
            host,
        };
        Some((first_host..=last).map(of).collect())
    };
    parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn what_docker_lists_is_read_with_ranges_and_both_families() {
        let line =
            "web\t<no value>\t0.0.0.0:8000-8002->80-82/tcp, [::]:9000->90/tcp, 443/tcp, 127.0.0.1:53->53/udp";
        let web = publisher_of(line).expect("it publishes ports");
        assert_eq!((web.container.as_str(), web.cluster.as_str(), web.ports.len()), ("web", "", 5));
        assert_eq!((web.ports[2].host, web.ports[2].container), (8002, 82));
        assert!(web.holds(address("127.0.0.1"), 8001, "tcp") && web.holds(address("127.0.0.1"), 53, "udp"));
        assert!(!web.holds(address("127.0.0.1"), 53, "tcp") && !web.holds(address("127.0.0.2"), 53, "udp"));
        assert!(web.holds(address("127.0.0.1"), 9000, "tcp"));
    }

    #[test]
    fn nodes_of_a_cluster_are_known_and_what_publishes_nothing_is_left_out() {
        let node =
            publisher_of("lab-control-plane\tlab\t127.0.0.1:36777->6443/tcp").expect("it publishes a port");
        assert_eq!(node.cluster, "lab");
        for line in ["lab-worker\tlab\t", "db\t\t5432/tcp", "", "x\ty\tnonsense->"] {
            assert_eq!(publisher_of(line), None, "{line}");
        }
    }
}
