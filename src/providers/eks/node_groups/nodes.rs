use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::difference::field;
use crate::base::{Change, ChangeKind, Fault, label};
use crate::engine::{Cx, Step};
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

/// The nodes of the group of AWS `name`.
pub(super) async fn of_group(hub: &Hub, name: &str, flow: &Flow) -> Result<Vec<Live>, Fault> {
    let mut nodes = all(hub, flow).await?;
    nodes.retain(|node| node.label(OF_GROUP) == Some(name));
    Ok(nodes)
}

/// Drives all pods out of the nodes of the group of AWS `name`, as their disruption budgets allow.
pub(super) async fn drain_group(hub: &Hub, name: &str, flow: &Flow) -> Result<(), Fault> {
    hub.drain(&of_group(hub, name, flow).await?, LEAVING, flow).await
}

/// Those of `nodes` that a run which was stopped cordoned to take them away.
pub(super) fn cordoned(nodes: &[Live]) -> Vec<Live> {
    nodes.iter().filter(|node| node.annotation(label::LEAVING).is_some()).cloned().collect()
}

/// Those of `nodes` that were to leave and are wanted again: nodes of `group`, unless it is one of AWS that another one
/// is taking the place of.
pub(super) fn wanted_again(nodes: &[Live], group: &str) -> Vec<Live> {
    let of_group: Vec<Live> =
        nodes.iter().filter(|node| node.label(label::NODE_GROUP) == Some(group)).cloned().collect();
    let of_aws: BTreeSet<Option<&str>> = of_group.iter().map(|node| node.label(OF_GROUP)).collect();
    if of_aws.len() == 1 { cordoned(&of_group) } else { Vec::new() }
}

/// Lets pods come again to nodes that were to leave.
///
/// If this dies half way, some of them take pods, and the next run sees to the rest.
pub(super) struct Uncordon {
    pub hub: Arc<Hub>,
    pub nodes: Vec<Live>,
}

impl Uncordon {
    /// What it changes, in words.
    pub fn changes(&self) -> Vec<Change> {
        let change = |node: &Live| {
            Change::new(ChangeKind::Update, format!("node {}", node.name))
                .because("it was to leave and is wanted again")
                .fields(vec![field("unschedulable", "true", "")])
        };
        self.nodes.iter().map(change).collect()
    }
}

impl Step for Uncordon {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move { self.hub.uncordon(&self.nodes, &cx.flow).await }.boxed()
    }
}
