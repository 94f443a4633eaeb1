//! How the API server of a kind cluster is reached: as berth keeps it, or as kind says.

use super::cluster::Inner;
use super::failure::failed;
use super::mark::Digest;
use super::step;
use super::verdict::Sight;
use crate::base::{ClusterAccess, Fault, FaultKind};
use crate::containers::{Container, Engine};
use crate::flow::Flow;
use crate::providers::kubeconfig::Kubeconfig;

impl Inner {
    /// Whether the API server at `access` is ready, and knows its roles: while it starts, it refuses kubeadm's
    /// administrator, who has his rights from one.
    pub(super) async fn is_ready(&self, access: &ClusterAccess, flow: &Flow) -> Result<bool, Fault> {
        match self.hub.is_ready(access, flow).await {
            Err(fault) if fault.kind == FaultKind::Denied => Ok(false),
            answer => answer,
        }
    }

    /// The access that berth keeps. One that somebody damaged is as good as none: it can be had again.
    pub(super) fn kept_access(&self) -> Option<ClusterAccess> {
        Kubeconfig::read(&self.folder.kubeconfig()).ok().flatten()?.access().ok()
    }

    /// How to reach the cluster, as kind says, where that is not `kept`: kind is asked once in a run.
    pub(super) async fn newer_access(
        &self,
        kept: &ClusterAccess,
        engine: &Engine,
        flow: &Flow,
    ) -> Option<ClusterAccess> {
        let asked = self.newer_access.get_or_try_init(|| self.access_from_kind(engine, flow)).await;
        // Without an answer there is nothing that could be better.
        asked.ok().filter(|newer| *newer != kept).cloned()
    }

    /// How to reach the cluster, as kind says.
    pub(super) async fn access_from_kind(
        &self,
        engine: &Engine,
        flow: &Flow,
    ) -> Result<ClusterAccess, Fault> {
        let kind = self.kind(engine)?;
        let program = kind.program(["get", "kubeconfig", "--name", &self.config.name]);
        let finished = step::patiently(flow, program.run()).await?;
        if !finished.succeeded() {
            return Err(failed("get kubeconfig", &finished, engine.kind(), None));
        }
        Kubeconfig::parse(&finished.stdout, "the output of `kind get kubeconfig`")?.access()
    }

    /// What the cluster says that it was adopted with, where berth's files of that are lost. One that does not
    /// run or answer says nothing, and is somebody else's until it does.
    pub(super) async fn adoption(&self, sight: &Sight, engine: &Engine, flow: &Flow) -> Option<Digest> {
        if !sight.containers.iter().all(Container::runs) {
            return None;
        }
        let access = self.access_from_kind(engine, flow).await.ok()?;
        if !self.is_ready(&access, flow).await.ok()? {
            return None;
        }
        Digest::parse(&self.hub.adoption(&access, flow).await.ok()??)
    }
}
