use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::cluster::Inner;
use super::failure::failed;
use super::gpus::{self, GpuSight, Shares};
use super::images;
use super::inventory::PATIENCE;
use super::mark::Mark;
use super::preflight::{Level, gpu_finding};
use super::program::Kind;
use super::restart::is_paused;
use crate::base::{ClusterAccess, Fault, FaultKind};
use crate::containers::{Container, Engine};
use crate::engine::{Cx, Step};
use crate::flow::{Flow, Patience};
use crate::os::{FileLock, files};
use crate::providers::kubeconfig::{self, Kubeconfig};
use crate::providers::leftover;

/// Makes the cluster from nothing, or anew.
///
/// If this dies half way, `kind.yaml` in the environment's folder says so, and the next run makes the cluster
/// anew; a kind that lives on holds the lock and is waited for first.
pub(super) struct Make {
    pub(super) inner: Arc<Inner>,
}

impl Step for Make {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        Box::pin(async move { self.inner.make(cx).await })
    }
}

/// Starts the containers that do not run. If this dies half way, the next run starts the rest.
pub(super) struct Start {
    pub(super) inner: Arc<Inner>,
    pub(super) stopped: Vec<Container>,
}

impl Step for Start {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        Box::pin(async move { self.inner.start(&self.stopped, cx).await })
    }
}

/// Takes over a cluster that somebody else made. If this dies half way, the next run does it.
pub(super) struct Adopt {
    pub(super) inner: Arc<Inner>,
    pub(super) access: ClusterAccess,
}

impl Step for Adopt {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            let Self { inner, access } = *self;
            inner.folder.make().map_err(Fault::untouched)?;
            // In the cluster first: what is known there alone is still known.
            inner.hub.keep_adoption(&access, &inner.config.digest().to_string(), &cx.flow).await?;
            inner.note_adoption()?;
            inner.keep_access(&access)
        })
    }
}

/// Takes over the access of a finished cluster. If this dies half way, the next run does it.
pub(super) struct KeepAccess {
    pub(super) inner: Arc<Inner>,
    pub(super) access: ClusterAccess,
}

impl Step for KeepAccess {
    fn take<'a>(self: Box<Self>, _cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            if self.inner.is_adopted() {
                self.inner.note_adoption()?;
            }
            self.inner.keep_access(&self.access)
        })
    }
}

impl Inner {
    async fn make(&self, cx: &Cx) -> Result<(), Fault> {
        let engine = self.engine().map_err(Fault::untouched)?;
        let kind = self.kind(&engine).map_err(Fault::untouched)?;
        let image = self.image(&kind, &cx.flow).await.map_err(Fault::untouched)?;
        let _gpus = self.hold_gpus(cx).await.map_err(Fault::untouched)?;
        let shares = self.shares(&engine, &image, &cx.flow).await.map_err(Fault::untouched)?;
        self.folder.make().map_err(Fault::untouched)?;
        let lock = leftover::lock(&self.folder.lock(), "kind create cluster", &self.config.name, cx)
            .map_err(Fault::untouched)?;
        files::remove_if_there(&self.folder.kubeconfig())?;
        files::remove_if_there(&self.folder.kind_kubeconfig())?;
        files::write_private(&self.folder.making(), self.config.render(&shares).to_string().as_bytes())?;
        let create = || self.create(&engine, &kind, &image, &lock, &cx.flow);
        cx.flow.retry(Patience::BRIEF, "create the kind cluster", create).await?;
        let Some(kubeconfig) = Kubeconfig::read(&self.folder.kind_kubeconfig())? else {
            return Err(Fault::new(
                FaultKind::Invalid,
                "run `kind create cluster`",
                "it ended well and wrote no kubeconfig",
            ));
        };
        self.keep_access(&kubeconfig.access()?)
    }

    /// One attempt at creating the cluster, on clean ground.
    async fn create(
        &self,
        engine: &Engine,
        kind: &Kind,
        image: &str,
        lock: &FileLock,
        flow: &Flow,
    ) -> Result<(), Fault> {
        self.clear(engine, Some(kind), None, flow).await?;
        let program = kind
            .program(["create", "cluster", "--name", &self.config.name, "--image", image, "--config"])
            .arg(self.folder.making())
            .arg("--kubeconfig")
            .arg(self.folder.kind_kubeconfig())
            .holding(lock.share(&self.folder.lock())?);
        let finished = flow.within(LONGEST_CREATE, "run `kind create cluster`", program.run()).await?;
        if finished.succeeded() {
            return Ok(());
        }
        Err(failed("create cluster", &finished, engine.kind(), Some(image)))
    }

    /// The node image: of the profile, else of this machine, else of the table.
    async fn image(&self, kind: &Kind, flow: &Flow) -> Result<String, Fault> {
        match self.config.image().or(self.choices.image.as_deref()) {
            Some(image) => Ok(image.to_string()),
            None => images::image_for(self.config.kubernetes, patiently(flow, kind.version()).await?),
        }
    }

    /// Keeps the GPUs of this machine from other labs until the nodes that get them are there: two runs that look at the
    /// same time would both see them free.
    async fn hold_gpus(&self, cx: &Cx) -> Result<Option<FileLock>, Fault> {
        if self.wanted.gpus.is_none() {
            return Ok(None);
        }
        let state = &self.local.dirs.state;
        files::make_private_folder(state)?;
        let name = &self.config.name;
        leftover::take(&state.join("gpus.lock"), "kind create cluster", name, cx).await.map(Some)
    }

    /// The GPUs of this machine for the nodes that want some: looked at just before the cluster is made, with its own
    /// image. None are taken for less than what is wanted.
    async fn shares(&self, engine: &Engine, image: &str, flow: &Flow) -> Result<Shares, Fault> {
        let Some(wanted) = &self.wanted.gpus else { return Ok(Shares::default()) };
        let attempted = "find the GPUs of this machine";
        let mut sight = gpus::look(engine, self.config.owner(), Some(image)).await?;
        if sight == GpuSight::NoImage {
            // kind would pull it too.
            let pull = engine.program().args(["pull", "--quiet", image]).run();
            let finished = flow.within(LONGEST_CREATE, "pull the node image", pull).await?;
            if !finished.succeeded() {
                return Err(engine.failed(&format!("pull the node image `{image}`"), &finished));
            }
            sight = gpus::look(engine, self.config.owner(), Some(image)).await?;
        }
        if let Some(found) = gpu_finding(&sight, wanted).filter(|found| found.level == Level::Fail) {
            return Err(Fault::new(FaultKind::Invalid, attempted, found.found).hint(found.remedy.to_string()));
        }
        let shares = match &sight {
            GpuSight::Given { gpus, held } => {
                gpus::split(&self.config.nodes_with_gpus(), &gpus::free(gpus, held))
            }
            _ => None,
        };
        shares.ok_or_else(|| Fault::new(FaultKind::Bug, attempted, "too few were taken for enough"))
    }

    /// Control planes come first: workers that find none start again and again.
    async fn start(&self, stopped: &[Container], cx: &Cx) -> Result<(), Fault> {
        let engine = self.engine().map_err(Fault::untouched)?;
        let paused = |one: &&Container| is_paused(one);
        for (command, containers) in [
            ("unpause", stopped.iter().filter(paused).collect::<Vec<_>>()),
            ("start", stopped.iter().filter(|one| !paused(one)).collect()),
        ] {
            if containers.is_empty() {
                continue;
            }
            let names = containers.iter().map(|one| one.name.clone());
            let arguments = std::iter::once(command.to_string()).chain(names);
            patiently(&cx.flow, engine.call(&format!("{command} containers"), arguments)).await?;
        }
        self.unpaused.note(stopped, cx.clock.now());
        Ok(())
    }

    /// Writes down here that the cluster was adopted: it is known also while the cluster does not run.
    fn note_adoption(&self) -> Result<(), Fault> {
        self.folder.make()?;
        files::write_private(&self.folder.adopted(), self.config.digest().to_string().as_bytes())
    }

    fn keep_access(&self, access: &ClusterAccess) -> Result<(), Fault> {
        let context = format!("berth-{}", self.config.name);
        let text = kubeconfig::render(access, &context).ok_or_else(|| {
            Fault::new(FaultKind::Bug, "write the kubeconfig", "kind gave no client certificate")
        })?;
        self.folder.make()?;
        files::write_private(&self.folder.kubeconfig(), text.as_bytes())?;
        files::remove_if_there(&self.folder.making())?;
        files::remove_if_there(&self.folder.kind_kubeconfig())
    }

    /// Removes every container of the cluster, with its volumes; that there is none is fine. None of them is somebody
    /// else's. They are listed unless it is `known` which there are.
    async fn clear(
        &self,
        engine: &Engine,
        kind: Option<&Kind>,
        known: Option<Vec<Container>>,
        flow: &Flow,
    ) -> Result<(), Fault> {
        let containers = match known {
            Some(containers) => containers,
            None => self.containers(engine, flow).await?,
        };
        self.clear_containers(engine, kind, containers, flow).await?;
        let nodes: Vec<String> = self.config.nodes().into_iter().map(|node| node.name).collect();
        patiently_long(flow, engine.remove_kind_volumes(&nodes)).await
    }

    async fn clear_containers(
        &self,
        engine: &Engine,
        kind: Option<&Kind>,
        containers: Vec<Container>,
        flow: &Flow,
    ) -> Result<(), Fault> {
        if containers.is_empty() {
            return Ok(());
        }
        let owner = &self.config.mark().owner;
        let is_adopted = self.is_adopted();
        let is_ours = |one: &&Container| match Mark::of(one) {
            Some(mark) => mark.owner == *owner,
            None => is_adopted,
        };
        if let Some(foreign) = containers.iter().filter(|one| one.is_kind_node()).find(|one| !is_ours(one)) {
            let reason = format!("container `{}` carries another mark or none", foreign.name);
            return Err(Fault::new(FaultKind::Conflict, "remove the kind cluster", reason));
        }
        let left = match kind {
            Some(kind) => {
                let program = kind
                    .program(["delete", "cluster", "--name", &self.config.name, "--kubeconfig"])
                    .arg(self.folder.kind_kubeconfig());
                // Whatever it says of itself: what counts is what is left.
                patiently_long(flow, program.run()).await?;
                self.containers(engine, flow).await?
            }
            None => containers,
        };
        if !left.is_empty() {
            let names = left.into_iter().map(|one| one.name);
            let arguments = ["rm", "--force", "--volumes"].map(str::to_string).into_iter().chain(names);
            patiently_long(flow, engine.call("remove containers", arguments)).await?;
        }
        self.forget_adoption()
    }
}

/// How long kind may take: pulling an image over a slow line is most of it.
const LONGEST_CREATE: Duration = Duration::from_hours(2);
/// How long an engine may take for what changes something.
const LONG: Duration = Duration::from_mins(2);

/// What an engine answers, unless it hangs.
pub(super) async fn patiently<T>(
    flow: &Flow,
    call: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    flow.within(PATIENCE, "ask the container engine", call).await
}

async fn patiently_long<T>(flow: &Flow, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    flow.within(LONG, "wait for the container engine", call).await
}

/// Removes the cluster, also half-made and without kind, and berth's own files of it.
///
/// If this dies half way, the rest carries the mark still, and the next run removes it.
pub(super) async fn delete(inner: &Inner, cx: &Cx) -> Result<(), Fault> {
    // What a kind that lives on makes meanwhile was not seen yet.
    let known = if FileLock::holder(&inner.folder.lock())?.is_none() { inner.take_found() } else { None };
    leftover::wait(&inner.folder.lock(), &cx.flow).await?;
    let engine = inner.engine()?;
    inner.clear(&engine, inner.kind(&engine).ok().as_ref(), known, &cx.flow).await?;
    inner.folder.remove()
}
