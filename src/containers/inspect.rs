use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Where an engine does not tell whether a container ended before, one that was started so long after it was made was
/// started again: its first start follows at once, unless the machine is very busy.
const STARTED_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name, without a slash.
    pub name: String,
    /// Whether it runs.
    pub state: ContainerState,
    /// Since when it runs, as far as the engine says it.
    pub started: Option<Timestamp>,
    /// Whether it runs and ran before, as far as the engine says it.
    pub restarted: bool,
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
    /// The ports that lead to it, also while it does not run.
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
        let started = time(&value["State"]["StartedAt"]).filter(|_| state == ContainerState::Running);
        let image_id = match text(&value["Image"]) {
            // Podman leaves out which hash it is.
            hash if hash.len() == 64 && !hash.contains(':') => format!("sha256:{hash}"),
            id => id,
        };
        // What bindings came to is known of one that runs, and of one that does not only what they were to be.
        let of_network = ports_of(&value["NetworkSettings"]["Ports"]);
        let ports = match state {
            ContainerState::Running if !of_network.is_empty() => of_network,
            _ => ports_of(&value["HostConfig"]["PortBindings"]),
        };
        Self {
            id: text(&value["Id"]),
            name: text(&value["Name"]).trim_start_matches('/').to_string(),
            restarted: started.is_some_and(|started| was_started_again(value, started)),
            started,
            state,
            image: text(&value["Config"]["Image"]),
            image_id,
            labels: texts(&value["Config"]["Labels"]),
            mounts: value["Mounts"].as_array().into_iter().flatten().map(mount_of).collect(),
            networks: networks_of(value),
            ports,
        }
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.state == ContainerState::Running
    }

    /// Whether its engine is removing it, or tried to: it never runs again.
    pub(super) fn is_going(&self) -> bool {
        let going = ["removing", "dead"];
        matches!(&self.state, ContainerState::Stopped { word, .. } if going.contains(&word.as_str()))
    }
}

/// The texts of an object by key, such as labels.
pub(super) fn texts(value: &Value) -> BTreeMap<String, String> {
    let all = value.as_object().into_iter().flatten();
    all.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))).collect()
}

/// The networks that a container is on. nerdctl calls them `unknown-eth0` and so on, and has their names in a label.
fn networks_of(value: &Value) -> BTreeMap<String, Attachment> {
    let told = value["NetworkSettings"]["Networks"].as_object();
    let names = value["Config"]["Labels"]["nerdctl/networks"].as_str();
    let names: Option<Vec<String>> = names.and_then(|names| serde_json::from_str(names).ok());
    match names {
        Some(names) => {
            let attachment = |(index, name): (usize, String)| {
                let told = told.and_then(|told| told.get(&format!("unknown-eth{index}")));
                (name, told.map(attachment_of).unwrap_or_default())
            };
            names.into_iter().enumerate().map(attachment).collect()
        }
        None => {
            told.into_iter().flatten().map(|(name, value)| (name.clone(), attachment_of(value))).collect()
        }
    }
}

impl Attachment {
    /// Those that it has.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        self.ipv4.into_iter().chain(self.ipv6).collect()
    }
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

/// Whether a container that runs since `started` had ended before.
fn was_started_again(value: &Value, started: Timestamp) -> bool {
    let state = &value["State"];
    match time(&state["FinishedAt"]) {
        Some(ended) if ended > Timestamp::UNIX_EPOCH => true,
        // Docker notes every end, also one that it was not there for. Podman writes the same for none, and
        // notes none that a reboot brought; nerdctl writes nothing of one that runs.
        Some(_) if state["OciVersion"].is_null() => false,
        _ => time(&value["Created"]).is_some_and(|created| started.duration_since(created) >= STARTED_AGAIN),
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn ports_of(bindings: &Value) -> Vec<PublishedPort> {
    let mut ports = Vec::new();
    for (port, hosts) in bindings.as_object().into_iter().flatten() {
        let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        for host in hosts.as_array().into_iter().flatten() {
            ports.push(PublishedPort {
                container: number.parse().unwrap_or_default(),
                protocol: protocol.to_string(),
                // Podman leaves out the address of all addresses.
                address: host["HostIp"].as_str().filter(|ip| !ip.is_empty()).unwrap_or("0.0.0.0").to_string(),
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
        let value = json!({"Id": "1f", "Name": "/lab-control-plane",
            "State": {"Status": "exited", "ExitCode": 137, "StartedAt": "2026-11-21T07:56:43.940671304Z"},
            "Config": {"Image": "kindest/node:v1.36.4", "Labels": {"io.x-k8s.kind.cluster": "lab"}},
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}}});
        let container = Container::of(&value);
        assert!(!container.runs() && container.started.is_none());
        assert_eq!(container.name, "lab-control-plane");
        assert_eq!(container.ports[0].host, 8080);
    }

    #[test]
    fn a_container_that_runs_is_told_with_its_beginning() {
        let text = include_str!("../../tests/fixtures/engines/docker-20.10/node-inspect.json");
        let values: Value = serde_json::from_str(text).expect("JSON");
        let container = Container::of(&values[0]);
        assert_eq!(container.started, "2026-11-21T07:56:43.940671304Z".parse().ok());
        let without = json!({"Name": "/lab-worker", "State": {"Status": "running", "StartedAt": "soon"}});
        assert_eq!(Container::of(&without).started, None);
    }

    #[test]
    fn what_never_ended_was_not_started_again_however_slow_its_first_start_was() {
        let of = |text: &str, change: &[(&str, &str)]| {
            let values: Value = serde_json::from_str(text).expect("JSON");
            let mut value = values[0].clone();
            for (field, time) in change {
                value["State"][*field] = json!(time);
            }
            Container::of(&value)
        };
        let (late, end) = ("2026-11-21T20:00:00.5Z", "2026-11-21T19:59:59.5Z");
        let docker = include_str!("../../tests/fixtures/engines/docker-20.10/node-inspect.json");
        let podman = include_str!("../../tests/fixtures/engines/podman-4.3.1/node-inspect.json");
        let nerdctl = include_str!("../../tests/fixtures/engines/nerdctl-2.2.1/container-inspect.json");
        for text in [docker, podman, nerdctl] {
            assert!(!of(text, &[]).restarted);
            assert!(of(text, &[("StartedAt", late), ("FinishedAt", end)]).restarted);
            assert!(!of(text, &[("Status", "exited"), ("FinishedAt", end)]).restarted);
        }
        assert!(!of(docker, &[("StartedAt", late)]).restarted);
        // These two do not tell of every end: what was started late is taken for started again.
        assert!(of(podman, &[("StartedAt", late)]).restarted);
        assert!(of(nerdctl, &[("StartedAt", late)]).restarted);
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
    fn a_node_in_podman_is_read_like_one_in_docker() {
        let text = include_str!("../../tests/fixtures/engines/podman-4.3.1/node-inspect.json");
        let values: Value = serde_json::from_str(text).expect("JSON");
        let container = Container::of(&values[0]);
        assert!(container.runs());
        assert_eq!(container.name, "lab-control-plane");
        assert_eq!(container.image, "localhost/realkind-node:v1.36.3-addons");
        assert_eq!(
            container.image_id,
            "sha256:3595b4632e8febcdb387f9397d9e39598dfa1eef77c6319ba4d3220bb3ab611d"
        );
        assert_eq!(container.labels["io.x-k8s.kind.role"], "control-plane");
        let mark =
            container.mounts.iter().find(|mount| mount.destination.starts_with("/etc/berth/7f3k2q9d/lab/"));
        assert_eq!(mark.map(|mark| (mark.source.as_str(), mark.writable)), Some(("/dev/null", false)));
        assert_eq!((container.ports[0].address.as_str(), container.ports[0].host), ("127.0.0.1", 35857));
        let addresses: [IpAddr; 2] =
            ["10.89.0.8", "fc00:8866:27d0:bd7e::3"].map(|ip| ip.parse().expect("an address"));
        assert_eq!(container.networks["kind"].addresses(), addresses);
    }

    #[test]
    fn what_podman_publishes_at_all_addresses_is_told_so() {
        // As podman 4.3.1 tells `--publish 26292:81`.
        let ports = json!({"81/tcp": [{"HostIp": "", "HostPort": "26292"}]});
        let value = json!({"Name": "web", "State": {"Status": "running"}, "HostConfig": {"PortBindings": ports},
            "NetworkSettings": {"Ports": ports}});
        assert_eq!(Container::of(&value).ports[0].address, "0.0.0.0");
    }

    #[test]
    fn a_network_of_podman_is_read_like_one_of_docker() {
        let text = include_str!("../../tests/fixtures/engines/podman-4.3.1/network-inspect.json");
        let values: Value = serde_json::from_str(text).expect("JSON");
        let network = network_of(&values[0]);
        assert_eq!(network.name, "kind");
        assert_eq!(network.subnets[1], ("10.89.0.0/24".to_string(), "10.89.0.1".parse().ok()));
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

    /// As nerdctl 2.2.1 tells it.
    #[test]
    fn what_nerdctl_leaves_out_is_in_its_labels_or_nowhere() {
        let network = network_of(&json!({"Name": "bridge", "Id": "17f29b073143",
            "IPAM": {"Config": [{"Subnet": "10.4.0.0/24", "Gateway": "10.4.0.1"}]},
            "Labels": {"nerdctl/default-network": "true"}, "Containers": {"a014eb2a": {"Name": "web"}}}));
        assert_eq!(network.subnets, [("10.4.0.0/24".to_string(), "10.4.0.1".parse().ok())]);
        assert_eq!(network.containers, [("web".to_string(), Vec::new())]);

        let recorded = |text: &str| {
            let values: Value = serde_json::from_str(text).expect("JSON");
            Container::of(&values[0])
        };
        let runs =
            recorded(include_str!("../../tests/fixtures/engines/nerdctl-2.2.1/container-inspect.json"));
        assert!(runs.runs());
        assert_eq!((runs.ports[0].address.as_str(), runs.ports[0].host), ("127.0.0.1", 26290));
        assert_eq!(runs.networks["bridge"].ipv4, "10.4.0.5".parse().ok());
        let mark = runs.mounts.iter().find(|mount| mount.source == "/dev/null");
        assert_eq!(
            mark.map(|mark| (mark.destination.as_str(), mark.writable)),
            Some(("/etc/berth/a/b/c", false))
        );
        let stopped = recorded(include_str!(
            "../../tests/fixtures/engines/nerdctl-2.2.1/container-inspect-stopped.json"
        ));
        assert_eq!(stopped.state, ContainerState::Stopped { word: "exited".to_string(), code: 2 });
        assert_eq!(
            (stopped.ports.as_slice(), stopped.networks.contains_key("bridge")),
            ([].as_slice(), true)
        );
    }
}
