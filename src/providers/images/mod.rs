//! Images of this machine on the nodes of a kind cluster: what is wanted, which nodes lack it, and one stream
//! from the engine, or from an archive, into all of those at once.

mod batch;
mod node;
mod wanted;

use crate::base::{Fault, FaultKind};
use crate::containers::{Container, Engine};

pub use batch::{Batch, Landed, batches};
pub use node::Node;
pub use wanted::{Source, Wanted, is_file};

/// The label that kind gives the containers of a cluster.
const CLUSTER: &str = "io.x-k8s.kind.cluster";
/// The label that says what a container is in its cluster.
const ROLE: &str = "io.x-k8s.kind.role";
/// The roles of what runs pods; the load balancer of several control planes does not.
const NODE_ROLES: [&str; 2] = ["control-plane", "worker"];

/// The running nodes of the kind cluster `cluster`, each with the images that it has.
///
/// # Errors
/// When there is no such cluster, or one of its nodes does not run: it would lack the image later.
/// `up` is the command that makes or starts it.
pub async fn nodes(engine: &Engine, cluster: &str, up: &str) -> Result<Vec<Node>, Fault> {
    let attempted = format!("load images into `{cluster}`");
    let found = engine.containers_with(&format!("{CLUSTER}={cluster}")).await?;
    let nodes: Vec<&Container> = found.iter().filter(|container| is_node(container)).collect();
    if nodes.is_empty() {
        let reason = format!("{} has no cluster of this name", engine.kind());
        return Err(Fault::new(FaultKind::Invalid, attempted, reason).hint(format!("`{up}` makes it")));
    }
    let stopped: Vec<String> =
        nodes.iter().filter(|node| !node.runs()).map(|node| format!("`{}`", node.name)).collect();
    if !stopped.is_empty() {
        let reason = format!(
            "{} of its nodes {} not run: {}",
            stopped.len(),
            if stopped.len() == 1 { "does" } else { "do" },
            stopped.join(", ")
        );
        return Err(
            Fault::new(FaultKind::Invalid, attempted, reason).hint(format!("`{up}` starts the cluster"))
        );
    }
    let looks = nodes.iter().map(|node| Node::look(engine, &node.name));
    futures::future::try_join_all(looks).await
}

fn is_node(container: &Container) -> bool {
    container.labels.get(ROLE).is_some_and(|role| NODE_ROLES.contains(&role.as_str()))
}
