use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

/// What an engine tells of itself and its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    /// The engine's version: `28.2.2`.
    pub version: String,
    /// What it runs on: `Debian GNU/Linux 12 (bookworm)`, `Docker Desktop`.
    pub system: String,
    /// 1 or 2.
    pub cgroups: Option<u32>,
    /// Whether it runs without root.
    pub rootless: bool,
    /// Whether it can limit memory, processes and CPU of containers: without root, only where the system
    /// hands these controllers to the user.
    pub limits: bool,
    /// Cores of the machine, or of the virtual machine that the containers run in.
    pub cores: u64,
    /// Memory in bytes, likewise.
    pub memory: u64,
    /// The names of its container runtimes, such as `runc` and `nvidia`.
    pub runtimes: Vec<String>,
    /// The runtime that containers get when they name none.
    pub default_runtime: String,
    /// Where it keeps images and containers.
    pub root: String,
    /// Whether its images are in containerd's own store.
    pub containerd_store: bool,
    /// Proxies that it uses, by name of the setting; values may hold credentials.
    pub proxies: BTreeMap<String, String>,
}

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

impl Info {
    /// From `docker info --format '{{json .}}'`. Podman tells the same in other words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text.trim()).map_err(|error| error.to_string())?;
        Ok(Self::of(&value))
    }

    fn of(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_string();
        let entries = |key: &str| value[key].as_array().cloned().unwrap_or_default();
        let driver = entries("DriverStatus");
        let proxy = |key: &str| Some((key.to_string(), text(key))).filter(|(_, value)| !value.is_empty());
        Self {
            version: text("ServerVersion"),
            system: text("OperatingSystem"),
            cgroups: text("CgroupVersion").parse().ok(),
            rootless: entries("SecurityOptions")
                .iter()
                .any(|option| option.as_str().is_some_and(|option| option.contains("rootless"))),
            limits: ["MemoryLimit", "PidsLimit", "CPUShares"].iter().all(|key| value[key] == true),
            cores: value["NCPU"].as_u64().unwrap_or_default(),
            memory: value["MemTotal"].as_u64().unwrap_or_default(),
            runtimes: value["Runtimes"]
                .as_object()
                .map(|all| all.keys().cloned().collect())
                .unwrap_or_default(),
            default_runtime: text("DefaultRuntime"),
            root: text("DockerRootDir"),
            containerd_store: driver.iter().any(|pair| {
                pair[0] == "driver-type" && pair[1].as_str().is_some_and(|name| name.contains("containerd"))
            }),
            proxies: ["HttpProxy", "HttpsProxy", "NoProxy"].into_iter().filter_map(proxy).collect(),
        }
    }
}

impl Container {
    /// From one item of `docker container inspect`.
    pub(super) fn of(value: &Value) -> Self {
        let texts = |value: &Value| -> BTreeMap<String, String> {
            let all = value.as_object().into_iter().flatten();
            all.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))).collect()
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let word = text(&value["State"]["Status"]);
        let state = if word == "running" {
            ContainerState::Running
        } else {
            ContainerState::Stopped { word, code: value["State"]["ExitCode"].as_i64().unwrap_or_default() }
        };
        let networks = value["NetworkSettings"]["Networks"].as_object().into_iter().flatten();
        Self {
            id: text(&value["Id"]),
            name: text(&value["Name"]).trim_start_matches('/').to_string(),
            state,
            image: text(&value["Config"]["Image"]),
            image_id: text(&value["Image"]),
            labels: texts(&value["Config"]["Labels"]),
            mounts: value["Mounts"].as_array().into_iter().flatten().map(mount_of).collect(),
            networks: networks.map(|(name, value)| (name.clone(), attachment_of(value))).collect(),
            ports: ports_of(&value["HostConfig"]["PortBindings"]),
        }
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.state == ContainerState::Running
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

/// From one item of `docker network inspect`.
pub(super) fn network_of(value: &Value) -> EngineNetwork {
    let subnets = value["IPAM"]["Config"].as_array().into_iter().flatten().filter_map(|config| {
        let gateway = config["Gateway"].as_str().and_then(|text| text.parse().ok());
        Some((config["Subnet"].as_str()?.to_string(), gateway))
    });
    let containers = value["Containers"].as_object().into_iter().flatten().map(|(_, container)| {
        let address = |key: &str| container[key].as_str()?.split('/').next()?.parse().ok();
        let addresses = ["IPv4Address", "IPv6Address"].into_iter().filter_map(address).collect();
        (container["Name"].as_str().unwrap_or_default().to_string(), addresses)
    });
    let mut containers: Vec<(String, Vec<IpAddr>)> = containers.collect();
    containers.sort();
    EngineNetwork {
        name: value["Name"].as_str().unwrap_or_default().to_string(),
        subnets: subnets.collect(),
        containers,
    }
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
}
