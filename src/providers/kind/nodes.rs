use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::config::{Config, NodePlan};
use crate::base::{Fault, FaultKind, ResourceId};
use crate::engine::{Cx, Need, Resource, Seen, State};
use crate::k8s::{Hub, Live, known_kind};
use crate::profile::Environment;
use crate::profile::schema::KindCluster;

/// The nodes of a kind cluster: made with it, looked at here.
pub struct NodeGroups {
    id: ResourceId,
    cluster: ResourceId,
    config: Config,
    hub: Arc<Hub>,
}

impl NodeGroups {
    /// The nodes of `environment` in its kind cluster `cluster`, which is declared by `spec`.
    pub fn new(environment: &Environment, spec: &KindCluster, cluster: ResourceId, hub: Arc<Hub>) -> Self {
        Self { id: ResourceId::new("node-groups"), cluster, config: Config::new(environment, spec), hub }
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let access = cx.outputs.cluster_access().ok_or_else(|| {
            Fault::new(FaultKind::Bug, "look at the nodes", "their cluster has not said how to reach it")
        })?;
        self.hub.connect(access).await?;
        let kind = known_kind("v1", "Node").expect("nodes are built in");
        let live = self.hub.list_all(&kind, &cx.flow).await?;
        Ok(Seen::new(state(&self.config.nodes(), &live)))
    }
}

/// Whether every node that should be there says that it is ready. That kind ended well says nothing of it.
fn state(wanted: &[NodePlan], live: &[Live]) -> State {
    let is_up = |node: &&NodePlan| live.iter().any(|live| live.name == node.name && is_ready(live));
    let up = wanted.iter().filter(is_up).count();
    if up == wanted.len() {
        return State::Ready;
    }
    State::Progressing(format!("{up} of {} nodes ready", wanted.len()))
}

fn is_ready(node: &Live) -> bool {
    let conditions = node.body["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

impl Resource for NodeGroups {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Inside(self.cluster.clone())]
    }

    fn outline(&self) -> String {
        match self.config.nodes().len() {
            1 => "1 node".to_string(),
            several => format!("{several} nodes"),
        }
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        self.look(cx).boxed()
    }

    /// They go with their cluster.
    fn delete<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}
