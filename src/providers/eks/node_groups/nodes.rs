use std::time::Duration;

use crate::base::Fault;
use crate::flow::Flow;
use crate::k8s::{Hub, Live, known_kind};

/// The label by which EKS says which group of AWS a node is of.
const OF_GROUP: &str = "eks.amazonaws.com/nodegroup";

/// How long the pods of a group may take to leave it.
const LEAVING: Duration = Duration::from_mins(15);

/// All nodes of the cluster. The hub has to be connected.
pub(super) async fn all(hub: &Hub, flow: &Flow) -> Result<Vec<Live>, Fault> {
    let kind = known_kind("v1", "Node").expect("nodes are built in");
    hub.list_all(&kind, flow).await
}

/// How many nodes of the group of AWS `name` are ready.
pub(super) async fn ready_in_group(hub: &Hub, name: &str, flow: &Flow) -> Result<usize, Fault> {
    let nodes = all(hub, flow).await?;
    let is_ready =
        |node: &&Live| node.label(OF_GROUP) == Some(name) && node.why_node_is_not_ready().is_none();
    Ok(nodes.iter().filter(is_ready).count())
}

/// Drives all pods out of the nodes of the group of AWS `name`, as their disruption budgets allow.
pub(super) async fn drain_group(hub: &Hub, name: &str, flow: &Flow) -> Result<(), Fault> {
    let nodes = all(hub, flow).await?;
    let nodes: Vec<Live> = nodes.into_iter().filter(|node| node.label(OF_GROUP) == Some(name)).collect();
    hub.drain(&nodes, LEAVING, flow).await
}
