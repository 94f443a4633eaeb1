use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::NETWORK;
use super::pools::{self, Neighbour};
use crate::base::{AddressRange, Fault, FaultKind, Network, Note, Owner, ResourceId, Subnet};
use crate::containers::{Container, Engine, EngineNetwork, EngineSearch, Info};
use crate::engine::{Cx, Need, Output, Outputs, Resource, Seen, State};
use crate::flow::Flow;
use crate::k8s::{Hub, Kind, Served};

/// The network that the nodes of a kind cluster are on, as a resource that only looks: environments whose
/// addons announce addresses have one. It stands as long as the cluster does.
pub struct NetworkResource {
    id: ResourceId,
    inside: ResourceId,
    hub: Arc<Hub>,
    cluster: String,
    engine: EngineSearch,
}

impl NetworkResource {
    /// The network of the nodes of `cluster`, which is the resource `inside`.
    pub fn new(cluster: &str, engine: &EngineSearch, inside: ResourceId, hub: Arc<Hub>) -> Self {
        let (id, engine) = (ResourceId::new("network"), engine.clone());
        Self { id, inside, hub, cluster: cluster.to_string(), engine }
    }
}

/// The pools of this environment that stand in its cluster, by name.
pub(super) async fn own_pools(hub: &Hub, cx: &Cx) -> Result<Vec<(String, AddressRange)>, Fault> {
    let Some(access) = cx.outputs.cluster_access() else { return Ok(Vec::new()) };
    hub.connect(access).await?;
    let served = Served { plural: "ipaddresspools".to_string(), namespaced: true };
    let kind = Kind::named("metallb.io/v1beta1", "IPAddressPool").served_as(served);
    let owner = &hub.settings().owner;
    let pools = hub.list_owned(&kind, &cx.flow).await?;
    let own = pools.iter().filter(|pool| pool.is_of(owner));
    Ok(own
        .flat_map(|pool| pools::ranges(&pool.body).into_iter().map(|range| (pool.name.clone(), range)))
        .collect())
}

impl Resource for NetworkResource {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Inside(self.inside.clone())]
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            let engine = self.engine.find()?;
            let owner = &self.hub.settings().owner;
            let own = own_pools(&self.hub, cx).await?;
            let found = network(&engine, &self.cluster, owner, own, &cx.flow).await?;
            let Some((network, notes)) = found else {
                let reason = format!("no network that `{}` is on", self.cluster);
                return Err(Fault::new(FaultKind::Transient, "look at the network of the nodes", reason));
            };
            let mut seen = Seen::new(State::Ready);
            seen.notes = notes;
            Ok(seen.output(Outputs::CLUSTER_NETWORK, Output::Network(Box::new(network))))
        }
        .boxed()
    }

    /// It is kind's own and all clusters': nothing of it goes with one of them.
    fn delete<'a>(&'a self, _: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}

/// The network that the nodes of `cluster` are on, with `own` as the pools that `owner` has on it, and what
/// is not known of it. `None` when the cluster has no nodes, or they are on no network.
///
/// The pools of other clusters are asked for only while there are none of its own, when they may matter.
pub async fn network(
    engine: &Engine,
    cluster: &str,
    owner: &Owner,
    own: Vec<(String, AddressRange)>,
    flow: &Flow,
) -> Result<Option<(Network, Vec<Note>)>, Fault> {
    look(engine, cluster, owner, own, None, flow).await
}

/// The network that the nodes of `cluster` are on, or will be: then the one called `expected`. `None` when there is
/// none of that name yet. It is not asked which pools `owner` has on it.
pub async fn network_ahead(
    engine: &Engine,
    cluster: &str,
    owner: &Owner,
    expected: &str,
    flow: &Flow,
) -> Result<Option<Network>, Fault> {
    let found = look(engine, cluster, owner, Vec::new(), Some(expected), flow).await?;
    Ok(found.map(|(network, _)| network))
}

async fn look(
    engine: &Engine,
    cluster: &str,
    owner: &Owner,
    own: Vec<(String, AddressRange)>,
    expected: Option<&str>,
    flow: &Flow,
) -> Result<Option<(Network, Vec<Note>)>, Fault> {
    let (containers, info) = futures::try_join!(engine.kind_containers(None), engine.info())?;
    let nodes = |container: &&Container| container.kind_cluster() == Some(cluster);
    let name = network_name(containers.iter().filter(nodes)).or(expected.map(str::to_string));
    let Some(name) = name else { return Ok(None) };
    let Some(found) = engine.network_in_use(&name).await? else { return Ok(None) };
    let mut network = Network {
        title: format!("{} network `{name}`", engine.kind()),
        subnets: found.subnets.iter().filter_map(|(range, gateway)| subnet(range, *gateway)).collect(),
        used: used(&found),
        taken: Vec::new(),
        own,
        seed: pools::seed(owner),
        rivals: Vec::new(),
        reachable: is_reachable(&info),
    };
    let mut notes = Vec::new();
    if network.own.is_empty() {
        let neighbours = neighbours(&containers, cluster, &name);
        notes = pools::ask(engine, &neighbours, &mut network, flow).await;
    }
    Ok(Some((network, notes)))
}

/// The name of the network that `nodes` are on.
fn network_name<'a>(nodes: impl Iterator<Item = &'a Container>) -> Option<String> {
    let names: Vec<&String> = nodes.flat_map(|node| node.networks.keys()).collect();
    let usual = names.iter().find(|name| **name == NETWORK);
    usual.or(names.first()).map(ToString::to_string)
}

/// The other clusters with nodes on the network `name`, by name.
fn neighbours(containers: &[Container], cluster: &str, name: &str) -> Vec<Neighbour> {
    let mut found: BTreeMap<&str, Neighbour> = BTreeMap::new();
    for container in containers.iter().filter(|container| container.networks.contains_key(name)) {
        let Some(other) = container.kind_cluster().filter(|other| *other != cluster) else {
            continue;
        };
        let neighbour = found.entry(other).or_insert_with(|| Neighbour::new(other));
        neighbour.seed = neighbour.seed.take().or_else(|| pools::seed_of(container));
        if container.is_kind_control_plane() {
            let place = if container.runs() { &mut neighbour.control_plane } else { &mut neighbour.stopped };
            place.get_or_insert_with(|| container.name.clone());
        }
    }
    found.into_values().collect()
}

fn subnet(range: &str, gateway: Option<std::net::IpAddr>) -> Option<Subnet> {
    Some(Subnet { range: range.parse().ok()?, gateway })
}

fn used(found: &EngineNetwork) -> Vec<(std::net::IpAddr, String)> {
    let of = |(name, addresses): &(String, Vec<std::net::IpAddr>)| {
        let whose = format!("container `{name}`");
        addresses.iter().map(|address| (*address, whose.clone())).collect::<Vec<_>>()
    };
    found.containers.iter().flat_map(of).collect()
}

/// Whether this machine reaches containers by their addresses: not when they are in a virtual machine, and
/// not when the engine has a network namespace of its own.
fn is_reachable(info: &Info) -> bool {
    cfg!(target_os = "linux") && !info.rootless && !info.system.contains("Docker Desktop")
}

#[cfg(test)]
mod tests {
    use crate::containers::{Attachment, ContainerState, Mount};

    use super::*;

    fn node(name: &str, cluster: &str, role: &str, runs: bool) -> Container {
        let stopped = ContainerState::Stopped { word: "exited".to_string(), code: 137 };
        Container {
            id: name.to_string(),
            name: name.to_string(),
            state: if runs { ContainerState::Running } else { stopped },
            restarted: false,
            started: None,
            image: String::new(),
            image_id: String::new(),
            labels: Container::kind_labels(cluster, role),
            mounts: Vec::new(),
            networks: BTreeMap::from([("kind".to_string(), Attachment::default())]),
            ports: Vec::new(),
        }
    }

    fn marked(mut container: Container, destination: &str) -> Container {
        let destination = destination.to_string();
        container.mounts.push(Mount { source: "/dev/null".to_string(), destination, writable: false });
        container
    }

    #[test]
    fn neighbours_are_told_with_who_answers_for_them_and_whose_they_are() {
        let containers = [
            node("lab-control-plane", "lab", "control-plane", true),
            node("dev-worker", "dev", "worker", true),
            marked(node("dev-control-plane", "dev", "control-plane", true), "/etc/berth/0a1b/dev/image-77aa"),
            marked(
                node("old-control-plane", "old", "control-plane", false),
                "/etc/berth/2c3d/old/image-77aa",
            ),
            node("far-control-plane", "far", "control-plane", true),
        ];
        let mut containers = containers.to_vec();
        containers[4].networks = BTreeMap::from([("other".to_string(), Attachment::default())]);
        let found = neighbours(&containers, "lab", "kind");
        let told: Vec<_> = found
            .iter()
            .map(|one| {
                let (runs, stopped) = (one.control_plane.as_deref(), one.stopped.as_deref());
                (one.cluster.as_str(), runs, stopped, one.seed.as_deref())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("dev", Some("dev-control-plane"), None, Some("0a1b/dev")),
                ("old", None, Some("old-control-plane"), Some("2c3d/old"))
            ]
        );
    }

    #[test]
    fn of_several_networks_the_one_of_kind_is_meant() {
        let mut lab = node("lab-control-plane", "lab", "control-plane", true);
        lab.networks.insert("extra".to_string(), Attachment::default());
        assert_eq!(network_name([&lab].into_iter()), Some("kind".to_string()));
        lab.networks.remove("kind");
        assert_eq!(network_name([&lab].into_iter()), Some("extra".to_string()));
        lab.networks.clear();
        assert_eq!(network_name([&lab].into_iter()), None);
    }

    #[test]
    fn addresses_in_a_virtual_machine_or_of_a_user_are_not_reachable() {
        let plain = Info { system: "Debian GNU/Linux 12 (bookworm)".to_string(), ..Info::default() };
        assert_eq!(is_reachable(&plain), cfg!(target_os = "linux"));
        assert!(!is_reachable(&Info { rootless: true, ..plain.clone() }));
        assert!(!is_reachable(&Info { system: "Docker Desktop".to_string(), ..plain }));
    }
}
