use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};

use super::asked_for;
use super::node::{Lack, NodeSight, READ, SET_UP, Verdict, own};
use crate::base::{Change, ChangeKind, Fault, FaultKind, ResourceId};
use crate::containers::{Container, Engine, EngineSearch};
use crate::engine::{Cx, Need, Resource, Seen, State, Step};
use crate::flow::Tally;
use crate::profile::Environment;
use crate::profile::schema::KindCluster;
use crate::providers::kind::config::Config;

/// What the nodes of the groups with GPUs need so that pods can have them: kind's node image lacks it, and a node that
/// was started again has lost a part of it.
pub struct GpuSetup {
    id: ResourceId,
    inside: ResourceId,
    cluster: String,
    nodes: Vec<String>,
    search: EngineSearch,
}

/// A node and how it is.
struct Found {
    name: String,
    /// The GPUs that it asks for.
    asked: Vec<String>,
    verdict: Verdict,
}

impl GpuSetup {
    /// Of the nodes of `environment` in the cluster that is the resource `inside` and declared by `spec`; `None` when
    /// none of them has GPUs.
    pub fn new(
        environment: &Environment,
        spec: &KindCluster,
        search: &EngineSearch,
        inside: ResourceId,
    ) -> Option<Self> {
        let nodes = Config::new(environment, spec).nodes_with_gpus();
        (!nodes.is_empty()).then(|| Self {
            id: ResourceId::new("gpus"),
            inside,
            cluster: environment.name.clone(),
            nodes: nodes.into_iter().map(|(name, _)| name).collect(),
            search: search.clone(),
        })
    }

    async fn look(&self, engine: &Engine) -> Result<Vec<Found>, Fault> {
        let containers = engine.kind_containers(Some(&self.cluster)).await?;
        let wanted = |container: &&Container| self.nodes.contains(&container.name) && container.runs();
        try_join_all(containers.iter().filter(wanted).map(|container| look_into(container, engine))).await
    }
}

async fn look_into(container: &Container, engine: &Engine) -> Result<Found, Fault> {
    let (name, asked) = (container.name.clone(), asked_for(container));
    let found = |verdict| Found { name, asked: asked.iter().map(ToString::to_string).collect(), verdict };
    if asked.is_empty() {
        let why = "it was made without GPUs, and only a new cluster can have them: `--recreate`";
        return Ok(found(Verdict::Broken(why.to_string())));
    }
    let finished = engine.exec(&container.name, ["sh", "-c", READ], None).await?;
    // The last program of it may fail, and says why; without an answer there is nothing to go by.
    if finished.stdout.is_empty() {
        return Err(engine.failed(&format!("look for GPUs in node `{}`", container.name), &finished));
    }
    let verdict = match NodeSight::parse(&finished.stdout).judge(&asked) {
        Verdict::Broken(why) => Verdict::Broken(format!(
            "{why}; once `nvidia-smi -L` lists it on this machine, `{} restart {}` gives it to the node anew",
            engine.kind(),
            container.name
        )),
        other => other,
    };
    Ok(found(verdict))
}

fn seen(found: Vec<Found>, engine: Engine) -> Seen {
    let broken = found.iter().find_map(|node| match &node.verdict {
        Verdict::Broken(why) => Some(format!("node `{}`: {why}", node.name)),
        _ => None,
    });
    let waiting = found.iter().find_map(|node| match node.verdict {
        Verdict::Waiting(why) => Some(format!("node `{}`: {why}", node.name)),
        _ => None,
    });
    let all = found.len();
    let lacking: Vec<(Found, Vec<Lack>)> = found
        .into_iter()
        .filter_map(|node| match &node.verdict {
            Verdict::Lacking(lacks) => Some(lacks.clone()).map(|lacks| (node, lacks)),
            _ => None,
        })
        .collect();
    if let Some(why) = broken {
        return Seen::new(State::Broken(why));
    }
    if lacking.is_empty() {
        return Seen::new(waiting.map_or(State::Ready, State::Progressing));
    }
    let is_new = |lacks: &[Lack]| lacks.contains(&Lack::Runtime);
    let changes = lacking.iter().map(|(node, lacks)| {
        let kind = if is_new(lacks) { ChangeKind::Create } else { ChangeKind::Update };
        let words: Vec<&str> = lacks.iter().map(|lack| lack.words()).collect();
        Change::new(kind, format!("GPUs of node `{}`", node.name)).because(words.join(", "))
    });
    let changes = changes.collect();
    let state = if lacking.len() == all && lacking.iter().all(|(_, lacks)| is_new(lacks)) {
        State::Absent
    } else {
        State::Broken(format!("{} of {all} nodes have to be set up for their GPUs", lacking.len()))
    };
    Seen::new(state).to_change(changes, SetUp { nodes: lacking, engine })
}

/// Sets nodes up. If this dies half way, what was begun in a node goes on there, the next run waits for it and does
/// the rest.
struct SetUp {
    nodes: Vec<(Found, Vec<Lack>)>,
    engine: Engine,
}

impl Step for SetUp {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let Self { nodes, engine } = *self;
            let (all, mut tally) = (nodes.len(), Tally::new(nodes.len(), "nodes set up for GPUs"));
            let work = |(node, lacks): (Found, Vec<Lack>)| {
                let engine = &engine;
                async move { set_up(&node, &lacks, engine).await }
            };
            cx.flow.each(nodes, all.max(1), &mut tally, work).await.map(drop)
        }
        .boxed()
    }
}

async fn set_up(node: &Found, lacks: &[Lack], engine: &Engine) -> Result<(), Fault> {
    let asked: Vec<&str> = node.asked.iter().map(String::as_str).collect();
    let command = ["sh", "-c", SET_UP, "sh"].into_iter().chain(own(&asked));
    let finished = engine.exec(&node.name, command, None).await?;
    if finished.succeeded() {
        return Ok(());
    }
    let mut fault = engine.failed(&format!("set up node `{}` for its GPUs", node.name), &finished);
    if lacks.contains(&Lack::Toolkit) && fault.hint.is_none() {
        // What the script tried says more than what the engine would mean by the same words.
        fault.kind = FaultKind::Transient;
        fault = fault.hint(
            "the node installs NVIDIA's container toolkit from https://nvidia.github.io/libnvidia-container and the \
             packages of its distribution: it has to reach both; or name a node image that has the toolkit, \
             `cluster.kind.image`",
        );
    }
    Err(fault)
}

impl Resource for GpuSetup {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Inside(self.inside.clone())]
    }

    fn outline(&self) -> String {
        let count = self.nodes.len();
        format!("{count} node{} set up for GPUs", if count == 1 { "" } else { "s" })
    }

    fn observe<'a>(&'a self, _: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            let engine = self.search.find()?;
            Ok(seen(self.look(&engine).await?, engine))
        }
        .boxed()
    }

    /// It goes with the nodes.
    fn delete<'a>(&'a self, _: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}
