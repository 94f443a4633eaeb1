use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::port::{self, Holder, Port};
use super::store::{INNER_PORT, host};
use crate::base::{Fault, FaultKind};
use crate::containers::{Container, Engine};
use crate::flow::Flow;
use crate::os::ports::{Vacancy, vacancy};

/// Where nodes reach the registry at `port` of this machine that berth did not start, if there is one: `node`
/// is asked for all of them, `networks` are theirs.
pub(super) async fn elsewhere(
    port: u16,
    node: &Container,
    networks: &BTreeSet<&str>,
    engine: &Engine,
    flow: &Flow,
) -> Result<Option<String>, Fault> {
    let Port::Registry(holder) = port::look(port, engine, flow).await? else { return Ok(None) };
    if let Holder::Container(container) = &holder
        && networks.iter().any(|network| container.networks.contains_key(*network))
    {
        let inner = container.ports.iter().find(|published| published.host == port);
        let inner = inner.map_or(INNER_PORT, |published| published.container);
        return Ok(Some(format!("http://{}:{inner}", container.name)));
    }
    let mut gateways = Vec::new();
    for network in networks {
        let subnets = engine.network(network).await?.into_iter().flat_map(|network| network.subnets);
        gateways.extend(subnets.filter_map(|(_, gateway)| gateway).filter(IpAddr::is_ipv4));
    }
    for gateway in &gateways {
        let address = SocketAddr::from((*gateway, port));
        if answers(node, address, engine).await? {
            return Ok(Some(format!("http://{address}")));
        }
    }
    let network = networks.first().copied().unwrap_or_default();
    let attempted = format!("find a way from the nodes to the registry at {}", host(port));
    let nowhere = match gateways.first() {
        Some(gateway) => {
            format!("nothing answers the nodes at {gateway}:{port}, where they reach this machine")
        }
        None => "the nodes have no way to this machine".to_string(),
    };
    Err(match holder {
        Holder::Container(container) => {
            let name = &container.name;
            let why = format!(
                "it runs in container `{name}`, which is not on their network `{network}`, and {nowhere}"
            );
            Fault::new(FaultKind::Conflict, attempted, why).hint(format!(
                "connect it: `{} network connect {network} {name}`; or remove it, and berth runs its own",
                engine.kind()
            ))
        }
        holder => {
            let why = format!("it is {holder}, and {nowhere}");
            let too = gateways.first().map_or_else(String::new, |gateway| {
                format!("let it listen at {gateway}:{port} too, not at 127.0.0.1 alone; or ")
            });
            Fault::new(FaultKind::Conflict, attempted, why).hint(format!(
                "{too}end it, or choose another `registry.local.port`: berth then runs its own"
            ))
        }
    })
}

/// Why nodes that are still to be made on `network` will find no way to the registry at `port` that `holder` runs, as
/// far as it can be seen before: with what to do about it.
pub(super) async fn out_of_reach(
    port: u16,
    holder: &Holder,
    network: &str,
    engine: &Engine,
) -> Result<Option<String>, Fault> {
    let remedy = "or choose another `registry.local.port`: berth then runs its own";
    match holder {
        Holder::Container(container) => {
            let mut published = container.ports.iter().filter(|published| published.host == port);
            let is_local = published.all(|published| published.address.starts_with("127."));
            let is_apart = !container.networks.contains_key(network);
            Ok((is_local && is_apart).then(|| {
                format!(
                    "nodes will have no way to container `{0}`, which is published at 127.0.0.1 alone: let it join their \
                     network (`{1} network connect {network} {0}`), {remedy}",
                    container.name,
                    engine.kind()
                )
            }))
        }
        holder => {
            // What listens at all addresses has this one, too.
            let elsewhere = vacancy(SocketAddr::from(([127, 0, 0, 2], port)), "tcp");
            let found = engine.network(network).await?;
            let gateways = found.into_iter().flat_map(|network| network.subnets);
            let mut gateways = gateways.filter_map(|(_, gateway)| gateway);
            let has_gateway =
                gateways.any(|gateway| vacancy(SocketAddr::from((gateway, port)), "tcp") == Vacancy::Taken);
            Ok((elsewhere == Vacancy::Free && !has_gateway).then(|| {
                format!(
                    "nodes will have no way to {holder}, which listens at 127.0.0.1 alone: let it listen at the gateway of \
                     their network too (`{} network inspect {network}`), {remedy}",
                    engine.kind()
                )
            }))
        }
    }
}

/// Whether something takes a connection of `node` at `address`. Asked from there: a firewall may let this
/// machine through and nodes not.
async fn answers(node: &Container, address: SocketAddr, engine: &Engine) -> Result<bool, Fault> {
    let script = format!("</dev/tcp/{}/{}", address.ip(), address.port());
    Ok(engine.exec(&node.name, ["timeout", "3", "bash", "-c", script.as_str()], None).await?.succeeded())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::containers::{Attachment, ContainerState, EngineKind, PublishedPort};

    #[tokio::test]
    async fn a_container_is_told_to_join_the_network_that_the_nodes_will_have() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = Engine::played(EngineKind::Docker, folder.path(), "exit 70");
        let published = PublishedPort {
            container: INNER_PORT,
            protocol: "tcp".to_string(),
            address: "127.0.0.1".to_string(),
            host: 5001,
        };
        let container = Container {
            id: "1f".to_string(),
            name: "theirs".to_string(),
            state: ContainerState::Running,
            restarted: false,
            started: None,
            image: "registry:3".to_string(),
            image_id: String::new(),
            labels: BTreeMap::new(),
            mounts: Vec::new(),
            networks: BTreeMap::from([("labs".to_string(), Attachment::default())]),
            ports: vec![published],
        };
        let holder = Holder::Container(Box::new(container));
        let told = out_of_reach(5001, &holder, "kind", &engine).await.expect("nobody is asked");
        assert!(told.is_some_and(|why| why.contains("`docker network connect kind theirs`")));
        let told = out_of_reach(5001, &holder, "labs", &engine).await.expect("nobody is asked");
        assert_eq!(told, None);
    }
}
