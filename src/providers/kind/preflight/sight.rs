use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;

use super::machine::{self, Machine};
use super::{Proxies, Wanted, WantedGpus, WantedPort};
use crate::base::{AddressRange, Fault};
use crate::containers::{Engine, EngineKind, Info, Publisher};
use crate::flow::Flow;
use crate::os::ports::{Listener, Vacancy, listener, vacancy};
use crate::os::{Program, find_on_path};
use crate::providers::Local;
use crate::providers::kind::gpus::{self, GpuSight};
use crate::providers::kind::images;

/// An engine or a kind that does not answer within this time hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was seen of this machine.
#[derive(Debug, Clone)]
pub struct Sight {
    /// The container engine, or why there is none to work with.
    pub engine: Result<EngineSight, Fault>,
    /// The program `kind`.
    pub kind: KindSight,
    /// What the kernel tells.
    pub machine: Machine,
    /// The wanted ports that cannot be had.
    pub obstacles: Vec<Obstacle>,
    /// The folders to be mounted that are not there.
    pub missing_mounts: Vec<PathBuf>,
    /// The proxies that nodes would get.
    pub proxies: Proxies,
    /// The GPUs, where some are wanted and there is an engine.
    pub gpus: Option<GpuSight>,
}

/// An engine that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSight {
    /// Which.
    pub kind: EngineKind,
    /// Its program.
    pub path: PathBuf,
    /// What it tells of itself.
    pub info: Info,
    /// Bytes that are free where it keeps images, when that can be seen from here.
    pub free_disk: Option<u64>,
    /// The subnets of its networks, by name.
    pub networks: Vec<(String, AddressRange)>,
}

/// The program `kind`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindSight {
    /// It is not on PATH.
    Missing,
    /// It does not tell its version; why.
    Broken(String),
    /// It told it.
    Found {
        /// `0.33.0`
        version: String,
        /// `(0, 33)`
        minor: (u32, u32),
        /// The program.
        path: PathBuf,
    },
}

/// A wanted port that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The port.
    pub port: WantedPort,
    /// What is in the way.
    pub holder: Holder,
}

/// What is in the way of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A container that publishes it.
    Container {
        /// Its name.
        name: String,
        /// The kind cluster that it is a node of; empty for none.
        cluster: String,
    },
    /// A program.
    Program(Listener),
    /// Somebody who cannot be seen from here.
    Somebody,
    /// This machine has no such address.
    NoAddress,
    /// It takes more rights than programs of this user have.
    Privileged,
}

/// Looks at everything that matters to `wanted`, all at once.
pub async fn sight(local: &Local, wanted: &Wanted, flow: &Flow) -> Sight {
    let search_path = &local.engine.search_path;
    let found = local.engine.find().map(|engine| engine.patient(PATIENCE));
    let look_at_engine = async { engine_sight(found.clone()?, search_path, flow).await };
    let look_at_ports = obstacles(found.as_ref().ok(), wanted);
    let (engine, kind, obstacles) = tokio::join!(look_at_engine, kind(search_path, flow), look_at_ports);
    let gpus = match &wanted.gpus {
        Some(gpus) if engine.is_ok() => gpu_sight(local, gpus, wanted.kubernetes, &kind).await,
        _ => None,
    };
    Sight {
        engine,
        kind,
        machine: Machine::look(),
        obstacles,
        missing_mounts: wanted.mounts.iter().filter(|folder| !folder.exists()).cloned().collect(),
        proxies: local.proxies.clone(),
        gpus,
    }
}

/// Looks at the GPUs as nodes would see them. Starting a container may take longer than an answer does.
pub(super) async fn gpu_sight(
    local: &Local,
    wanted: &WantedGpus,
    kubernetes: (u32, u32),
    kind: &KindSight,
) -> Option<GpuSight> {
    let engine = local.engine.find().ok()?;
    let image = wanted.image.clone().or_else(|| {
        let KindSight::Found { version, .. } = kind else { return None };
        images::image_for(kubernetes, images::version(version)?).ok()
    });
    let looked = gpus::look(&engine, &wanted.owner, image.as_deref()).await;
    Some(looked.unwrap_or_else(|fault| GpuSight::NotGiven(fault.reason)))
}

async fn engine_sight(engine: Engine, search_path: &OsStr, flow: &Flow) -> Result<EngineSight, Fault> {
    let (info, networks) = tokio::join!(engine.info(), networks(&engine));
    let info = info?;
    let free_disk = machine::free_disk(Path::new(&info.root), search_path, PATIENCE, flow).await;
    Ok(EngineSight {
        kind: engine.kind(),
        path: engine.path().to_path_buf(),
        info,
        free_disk,
        networks: networks.unwrap_or_default(),
    })
}

/// The subnets of the engine's networks, by name.
async fn networks(engine: &Engine) -> Result<Vec<(String, AddressRange)>, Fault> {
    let names = engine.network_names().await?;
    let looked = join_all(names.iter().map(|name| engine.network(name))).await;
    let mut ranges = Vec::new();
    for network in looked.into_iter().flatten().flatten() {
        let subnets = network.subnets.iter().filter_map(|(subnet, _)| subnet.parse().ok());
        ranges.extend(subnets.map(|range: AddressRange| (network.name.clone(), range)));
    }
    Ok(ranges)
}

async fn kind(search_path: &OsStr, flow: &Flow) -> KindSight {
    let Some(path) = find_on_path("kind", search_path) else { return KindSight::Missing };
    let run = Program::new(&path).arg("version").run();
    let finished = match flow.within(PATIENCE, "ask kind for its version", run).await {
        Ok(finished) => finished,
        Err(fault) => return KindSight::Broken(fault.reason),
    };
    match version_of(&finished.stdout) {
        Some((version, minor)) => KindSight::Found { version, minor, path },
        None if finished.stderr.trim().is_empty() => {
            KindSight::Broken("it does not tell its version".to_string())
        }
        None => KindSight::Broken(finished.stderr_tail(1)),
    }
}

/// `0.33.0` and `(0, 33)` of `kind v0.33.0 go1.26.8 linux/amd64`.
fn version_of(text: &str) -> Option<(String, (u32, u32))> {
    let version = text.split_whitespace().find_map(|word| word.strip_prefix('v'))?;
    let (major, minor, _) = images::version(version)?;
    Some((version.to_string(), (major, minor)))
}

/// The wanted ports that cannot be had. Those that this cluster's own nodes hold go with them.
async fn obstacles(engine: Option<&Engine>, wanted: &Wanted) -> Vec<Obstacle> {
    let vacancies = wanted.ports.iter().map(|port| (port, vacancy(port.address, &port.protocol)));
    let blocked: Vec<(&WantedPort, Vacancy)> =
        vacancies.filter(|(_, found)| !matches!(found, Vacancy::Free | Vacancy::Unknown)).collect();
    let publishers = match engine {
        Some(engine) if blocked.iter().any(|(_, found)| *found == Vacancy::Taken) => {
            // Without an answer, the holders are looked for among programs alone.
            engine.publishers().await.unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let obstacle = |(port, found): (&WantedPort, Vacancy)| {
        let holder = match found {
            Vacancy::Free | Vacancy::Unknown => return None,
            Vacancy::NoAddress => Holder::NoAddress,
            Vacancy::Privileged => Holder::Privileged,
            Vacancy::Taken => holder(port, &publishers),
        };
        let own = matches!(&holder, Holder::Container { cluster, .. }
            if !cluster.is_empty() && *cluster == wanted.cluster);
        (!own).then(|| Obstacle { port: port.clone(), holder })
    };
    blocked.into_iter().filter_map(obstacle).collect()
}

fn holder(port: &WantedPort, publishers: &[Publisher]) -> Holder {
    let (address, number) = (port.address.ip(), port.address.port());
    if let Some(found) = publishers.iter().find(|found| found.holds(address, number, &port.protocol)) {
        return Holder::Container { name: found.container.clone(), cluster: found.cluster.clone() };
    }
    listener(port.address, &port.protocol).map_or(Holder::Somebody, Holder::Program)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;
    use crate::containers::PublishedPort;

    fn wanted(ports: Vec<WantedPort>) -> Wanted {
        Wanted { cluster: "lab".to_string(), ports, ..Wanted::usual("kind") }
    }

    #[tokio::test]
    async fn a_wanted_port_that_a_program_has_is_an_obstacle_and_a_free_one_is_not() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = held.local_addr().expect("it is bound");
        let port = |protocol: &str| WantedPort { address, protocol: protocol.to_string() };
        let found = obstacles(None, &wanted(vec![port("tcp"), port("udp")])).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].port, port("tcp"));
        if cfg!(target_os = "linux") {
            assert!(matches!(&found[0].holder, Holder::Program(it) if it.process == std::process::id()));
        }
    }

    #[tokio::test]
    async fn a_port_that_the_cluster_itself_has_is_in_nobodys_way() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = held.local_addr().expect("it is bound");
        let port = WantedPort { address, protocol: "tcp".to_string() };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let of = async |cluster: &str| {
            let number = address.port();
            let script = format!(
                r#"[ "$1" = ps ] && echo 1f || echo '[{{"Id": "1f", "Name": "node", "State": {{"Status": "running"}},
                "Config": {{"Labels": {{"io.x-k8s.kind.cluster": "{cluster}"}}}}, "HostConfig":
                {{"PortBindings": {{"80/tcp": [{{"HostIp": "127.0.0.1", "HostPort": "{number}"}}]}}}}}}]'"#
            );
            let engine = Engine::played(EngineKind::Docker, folder.path(), &script);
            obstacles(Some(&engine), &wanted(vec![port.clone()])).await
        };
        assert_eq!(of("lab").await, []);
        let held_by_another = of("dev").await;
        assert!(
            matches!(&held_by_another[..], [Obstacle { holder: Holder::Container { cluster, .. }, .. }] if cluster == "dev"),
            "{held_by_another:?}"
        );
    }

    #[test]
    fn the_container_that_publishes_a_port_has_it_rather_than_the_engines_own_program() {
        let published = PublishedPort {
            container: 80,
            protocol: "tcp".to_string(),
            address: "0.0.0.0".to_string(),
            host: 8080,
        };
        let publisher = Publisher {
            container: "dev-control-plane".to_string(),
            cluster: "dev".to_string(),
            ports: vec![published],
        };
        let address = "127.0.0.1:8080".parse().expect("an address");
        let port = WantedPort { address, protocol: "tcp".to_string() };
        let holder = holder(&port, &[publisher]);
        assert!(
            matches!(holder, Holder::Container { name, cluster } if name == "dev-control-plane" && cluster == "dev")
        );
    }

    #[test]
    fn the_version_is_read_from_what_kind_prints() {
        let of = |text: &str| version_of(text);
        assert_eq!(of("kind v0.33.0 go1.26.8 linux/amd64\n"), Some(("0.33.0".to_string(), (0, 33))));
        assert_eq!(of("kind v0.34.0-alpha+1f2e go1.26 darwin/arm64").map(|(_, minor)| minor), Some((0, 34)));
        assert_eq!(of("something else"), None);
    }
}
