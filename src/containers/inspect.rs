use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name, without a slash.
    pub name: String,
    /// Whether it runs.
    pub state: ContainerState,
    /// The reference that it was made from.
    pub image: String,
    /// The id of its image.
    pub image_id: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What is mounted into it.
    pub mounts: Vec<Mount>,
    /// The networks that it is on, by name.
    pub networks: BTreeMap<String, Attachment>,
    /// The ports that it was made with, also while it does not run.
    pub ports: Vec<PublishedPort>,
}

/// How a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// It runs.
    Running,
    /// It does not: `exited`, `created`, `paused`, with its exit code.
    Stopped {
        /// In the engine's word.
        word: String,
        /// The last exit code.
        code: i64,
    },
}

/// A mount of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The path on the machine; empty for volumes.
    pub source: String,
    /// The path in the container.
    pub destination: String,
    /// Whether the container may write.
    pub writable: bool,
}

/// A container on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// Its IPv4 address; none while it does not run.
    pub ipv4: Option<IpAddr>,
    /// Its IPv6 address, if it has one.
    pub ipv6: Option<IpAddr>,
}

/// A port of a container that a port of the machine leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// In the container.
    pub container: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// The address of the machine.
    pub address: String,
    /// The port of the machine; 0 when the engine picks one.
    pub host: u16,
}

/// A network of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineNetwork {
    /// Its name.
    pub name: String,
    /// Its subnets as CIDRs with their gateways, in the order in which the engine tells them.
    pub subnets: Vec<(String, Option<IpAddr>)>,
    /// The containers on it that run: name and addresses.
    pub containers: Vec<(String, Vec<IpAddr>)>,
}

impl Container {
    /// From one item of `docker container inspect`.
    pub(super) fn of(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let word = text(&value["State"]["Status"]);
        let state = if word == "running" {
            ContainerState::Running
        } else {
            ContainerState::Stopped { word, code: value["State"]["ExitCode"].as_i64().unwrap_or_default() }
        };
        let image_id = match text(&value["Image"]) {
            // Podman leaves out which hash it is.
            hash if hash.len() == 64 && !hash.contains(':') => format!("sha256:{hash}"),
            id => id,
        };
        // nerdctl tells no bindings, only what they came to.
        let bindings = &value["HostConfig"]["PortBindings"];
        let bindings = match bindings.as_object() {
            Some(all) if !all.is_empty() => bindings,
            _ => &value["NetworkSettings"]["Ports"],
        };
        let networks = value["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
        Self {
            id: text(&value["Id"]),
            name: text(&value["Name"]).trim_start_matches('/').to_string(),
            state,
            image: text(&value["Config"]["Image"]),
            image_id,
            labels: texts(&value["Config"]["Labels"]),
            mounts: value["Mounts"].as_array().into_iter().flatten().map(mount_of).collect(),
            networks: networks.map(|(name, value)| (name.clone(), attachment_of(value))).collect(),
            ports: ports_of(bindings),
        }
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.state == ContainerState::Running
    }
}

/// The texts of an object by key, such as labels.
pub(super) fn texts(value: &Value) -> BTreeMap<String, String> {
    let all = value.as_object().into_iter().flatten();
    all.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))).collect()
}

fn mount_of(value: &Value) -> Mount {
    Mount {
        source: value["Source"].as_str().unwrap_or_default().to_string(),
        destination: value["Destination"].as_str().unwrap_or_default().to_string(),
        writable: value["RW"].as_bool().unwrap_or_default(),
    }
}

fn attachment_of(value: &Value) -> Attachment {
    let address = |key: &str| value[key].as_str().and_then(|text| text.parse().ok());
    Attachment { ipv4: address("IPAddress"), ipv6: address("GlobalIPv6Address") }
}

fn ports_of(bindings: &Value) -> Vec<PublishedPort> {
    let mut ports = Vec::new();
    for (port, hosts) in bindings.as_object().into_iter().flatten() {
        let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        for host in hosts.as_array().into_iter().flatten() {
            ports.push(PublishedPort {
                container: number.parse().unwrap_or_default(),
                protocol: protocol.to_string(),
                address: host["HostIp"].as_str().unwrap_or_default().to_string(),
                host: host["HostPort"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default(),
            });
        }
    }
    ports
}

/// From one item of `docker network inspect`, or of podman's, which has shapes of its own.
pub(super) fn network_of(value: &Value) -> EngineNetwork {
    let (name, subnets, containers) = if value["subnets"].is_array() {
        (&value["name"], podman_subnets(value), podman_containers(value))
    } else {
        (&value["Name"], docker_subnets(value), docker_containers(value))
    };
    let mut containers = containers;
    containers.sort();
    EngineNetwork { name: name.as_str().unwrap_or_default().to_string(), subnets, containers }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn fields(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_object().into_iter().flatten().map(|(_, field)| field)
}

/// The address in `10.89.0.2/24`.
fn address_in(value: &Value) -> Option<IpAddr> {
    value.as_str()?.split('/').next()?.parse().ok()
}

fn subnet_of(value: &Value, subnet: &str, gateway: &str) -> Option<(String, Option<IpAddr>)> {
    Some((value[subnet].as_str()?.to_string(), address_in(&value[gateway])))
}

fn docker_subnets(value: &Value) -> Vec<(String, Option<IpAddr>)> {
    items(&value["IPAM"]["Config"]).filter_map(|config| subnet_of(config, "Subnet", "Gateway")).collect()
}

fn podman_subnets(value: &Value) -> Vec<(String, Option<IpAddr>)> {
    items(&value["subnets"]).filter_map(|subnet| subnet_of(subnet, "subnet", "gateway")).collect()
}

fn docker_containers(value: &Value) -> Vec<(String, Vec<IpAddr>)> {
    let container = |container: &Value| {
        let addresses = ["IPv4Address", "IPv6Address"].map(|key| address_in(&container[key]));
        (
            container["Name"].as_str().unwrap_or_default().to_string(),
            addresses.into_iter().flatten().collect(),
        )
    };
    fields(&value["Containers"]).map(container).collect()
}

/// Only podman 5 and later tells them.
fn podman_containers(value: &Value) -> Vec<(String, Vec<IpAddr>)> {
    let container = |container: &Value| {
        let subnets = fields(&container["interfaces"]).flat_map(|interface| items(&interface["subnets"]));
        let addresses = subnets.filter_map(|subnet| address_in(&subnet["ipnet"])).collect();
        (container["name"].as_str().unwrap_or_default().to_string(), addresses)
    };
    fields(&value["containers"]).map(container).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stopped_container_is_told_with_its_exit_code() {
        let value = json!({"Id": "1f", "Name": "/lab-control-plane", "State": {"Status": "exited", "ExitCode": 137},
            "Config": {"Image": "kindest/node:v1.36.4", "Labels": {"io.x-k8s.kind.cluster": "lab"}},
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}}});
        let container = Container::of(&value);
        assert!(!container.runs());
        assert_eq!(container.name, "lab-control-plane");
        assert_eq!(container.ports[0].host, 8080);
    }

    #[test]
    fn a_network_is_read_whatever_family_comes_first() {
        let value = json!({"Name": "kind", "IPAM": {"Config": [{"Subnet": "fc00::/64"},
            {"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]},
            "Containers": {"1f": {"Name": "lab-control-plane", "IPv4Address": "172.18.0.2/16", "IPv6Address": ""}}});
        let network = network_of(&value);
        assert_eq!(network.subnets[1], ("172.18.0.0/16".to_string(), "172.18.0.1".parse().ok()));
        assert_eq!(network.containers[0].1, ["172.18.0.2".parse::<IpAddr>().expect("an address")]);
    }

    #[test]
    fn a_container_of_podman_is_read_like_one_of_docker() {
        let text = include_str!("../../tests/fixtures/engines/podman-4.3.1/container-inspect.json");
        let values: Value = serde_json::from_str(text).expect("JSON");
        let container = Container::of(&values[0]);
        assert_eq!(container.name, "ld-pod-1");
        assert_eq!(container.image, "localhost/hello:v1");
        assert_eq!(
            container.image_id,
            "sha256:8c763776351868fbf235aa6aa2c5da20d87fc31175c3abf0f30ac5738655fe0e"
        );
        assert_eq!(container.labels["io.x-k8s.kind.role"], "control-plane");
        assert_eq!(
            (container.mounts[0].destination.as_str(), container.mounts[0].writable),
            ("/etc/berth/x", false)
        );
        assert_eq!((container.ports[0].address.as_str(), container.ports[0].host), ("127.0.0.1", 20400));
        assert_eq!(container.state, ContainerState::Stopped { word: "created".to_string(), code: 0 });
    }

    #[test]
    fn a_network_of_podman_is_read_like_one_of_docker() {
        let text = include_str!("../../tests/fixtures/engines/podman-4.3.1/network-inspect.json");
        let values: Value = serde_json::from_str(text).expect("JSON");
        let network = network_of(&values[0]);
        assert_eq!(network.name, "kind");
        assert_eq!(network.subnets, [("10.99.7.0/24".to_string(), "10.99.7.1".parse().ok())]);
        assert!(network.containers.is_empty());
    }

    /// As in <https://github.com/containers/podman/pull/21860>.
    #[test]
    fn podman_5_tells_who_is_on_a_network() {
        let value = json!({"name": "kind", "subnets": [{"subnet": "10.89.0.0/24", "gateway": "10.89.0.1"}],
            "containers": {"7c0d": {"name": "c2", "interfaces": {"eth0": {"subnets": [
                {"ipnet": "10.89.0.4/24", "gateway": "10.89.0.1"},
                {"ipnet": "fda3:b4da:da1e:7e9d::4/64", "gateway": "fda3:b4da:da1e:7e9d::1"}]}}}}});
        let addresses = ["10.89.0.4", "fda3:b4da:da1e:7e9d::4"].map(|ip| ip.parse().expect("an address"));
        assert_eq!(network_of(&value).containers, [("c2".to_string(), addresses.to_vec())]);
    }

    /// As in <https://github.com/containerd/nerdctl/pull/283> and <https://github.com/containerd/nerdctl/issues/2999>.
    #[test]
    fn nerdctl_leaves_out_what_docker_tells() {
        let network = network_of(&json!({"Name": "kind", "Id": "19",
            "IPAM": {"Config": [{"Subnet": "10.4.19.0/24", "Gateway": "10.4.19.1"}]}, "Labels": {}}));
        assert_eq!(network.subnets, [("10.4.19.0/24".to_string(), "10.4.19.1".parse().ok())]);
        let container =
            Container::of(&json!({"Id": "1f", "Name": "lab-worker", "State": {"Status": "running"},
            "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]},
                "Networks": {"unknown-eth0": {"IPAddress": "10.4.0.50"}}}}));
        assert!(container.runs());
        assert_eq!(container.ports[0].host, 8080);
        assert_eq!(container.networks["unknown-eth0"].ipv4, "10.4.0.50".parse().ok());
    }
}
