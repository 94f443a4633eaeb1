use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;

use super::Choices;
use super::config::Config;
use super::failure::failed;
use super::folder::Folder;
use super::mark::Digest;
use super::preflight::{self, Wanted};
use super::program::Kind;
use super::silence::{Silence, Silent};
use super::step::{self, Adopt, KeepAccess, Make, Start};
use super::verdict::{Sight, Verdict, ended, judge};
use crate::base::{Change, ChangeKind, ClusterAccess, Fault, FaultKind, Note, ResourceId};
use crate::containers::{Container, Engine};
use crate::engine::{Cx, Need, Output, Outputs, Resource, Seen, State};
use crate::flow::Flow;
use crate::k8s::{Hub, Server};
use crate::os::{FileLock, files};
use crate::profile::Environment;
use crate::profile::schema::KindCluster;
use crate::providers::kubeconfig::Kubeconfig;
use crate::providers::{Leave, Local};

/// The cluster of an environment in containers of this machine.
pub struct ClusterResource {
    id: ResourceId,
    inner: Arc<Inner>,
}

/// What the resource and its steps share.
pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) folder: Folder,
    pub(super) choices: Choices,
    pub(super) hub: Arc<Hub>,
    local: Local,
    pub(super) wanted: Wanted,
    leave: Leave,
    silence: Silence,
    /// Whether the cluster itself says that it was adopted.
    says_adopted: AtomicBool,
}

impl ClusterResource {
    /// The cluster of `environment`, which declares `spec`.
    pub fn new(
        environment: &Environment,
        spec: &KindCluster,
        local: &Local,
        leave: Leave,
        hub: Arc<Hub>,
    ) -> Self {
        Self {
            id: ResourceId::new(format!("cluster/kind/{}", environment.name)),
            inner: Arc::new(Inner {
                config: Config::new(environment, spec),
                folder: Folder::new(&local.dirs, &environment.owner),
                choices: local.kind.clone(),
                local: local.clone(),
                wanted: Wanted::of(environment, spec, local),
                leave,
                silence: Silence::default(),
                says_adopted: AtomicBool::new(false),
                hub,
            }),
        }
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let inner = &self.inner;
        if let Some(held) = FileLock::holder(&inner.folder.lock())? {
            return Ok(Seen::new(State::Progressing(format!("waiting for {}", held.by))));
        }
        let engine = inner.engine()?;
        let mut sight = inner.sight(&engine, &cx.flow).await?;
        let mut verdict = judge(&sight, &inner.config);
        if matches!(verdict, Verdict::Foreign { adoptable: true, .. }) {
            sight.adopted = inner.adoption(&sight, &engine, &cx.flow).await;
            inner.says_adopted.store(sight.adopted.is_some(), Ordering::Relaxed);
            verdict = judge(&sight, &inner.config);
        }
        if verdict != Verdict::Running {
            inner.silence.is_over();
        }
        let seen = match verdict {
            Verdict::Absent => self.to_make(State::Absent, ChangeKind::Create, None),
            Verdict::Unfinished(why) => {
                self.to_make(State::Broken(why.clone()), ChangeKind::Create, Some(why))
            }
            Verdict::Foreign { adoptable: true, .. } if inner.hub.settings().adopt => {
                self.to_adopt(&engine, &cx.flow).await?
            }
            Verdict::Foreign { whose, adoptable } => self.in_the_way(&whose, adoptable),
            Verdict::Incomplete(gone) => {
                let why = format!("{} gone", listed(&gone));
                self.needs_a_new_one(State::Broken(why.clone()), &why)
            }
            Verdict::Differs(sections) => {
                let why = format!("the profile's {} changed since it was made", sections.join(" and "));
                let seen = self.needs_a_new_one(State::Ready, &why);
                // The connection of a run is made once: of a new cluster, if there is to be one.
                if inner.leave.recreate { seen } else { self.with_access(seen, &engine, cx).await? }
            }
            Verdict::Stopped(names) => self.to_start(&sight, &names),
            Verdict::Running => self.ask(&sight, &engine, cx).await?,
        };
        Ok(self.with_preflight(seen, &cx.flow).await)
    }

    /// Before a cluster is made, with what of this machine it would stumble over.
    async fn with_preflight(&self, mut seen: Seen, flow: &Flow) -> Seen {
        let is_made = |change: &Change| matches!(change.kind, ChangeKind::Create | ChangeKind::Replace);
        if self.inner.leave.makes && seen.step.is_some() && seen.changes.iter().any(is_made) {
            let findings = preflight::check(&self.inner.local, &self.inner.wanted, flow).await;
            let (conflicts, notes) = preflight::told(&findings);
            seen.notes.extend(notes);
            if !conflicts.is_empty() {
                seen.changes.extend(conflicts);
                seen.step = None;
            }
        }
        seen
    }

    fn subject(&self) -> String {
        format!("kind cluster {}", self.inner.config.name)
    }

    fn to_make(&self, state: State, kind: ChangeKind, why: Option<String>) -> Seen {
        let mut change = Change::new(kind, self.subject());
        change.reason = why;
        let mut seen = Seen::new(state).to_change(vec![change], Make { inner: Arc::clone(&self.inner) });
        seen.notes.extend(self.is_frail());
        seen
    }

    /// A cluster that cannot become what the profile says: made anew only when that was asked for.
    fn needs_a_new_one(&self, state: State, why: &str) -> Seen {
        if self.inner.leave.recreate {
            return self.to_make(state, ChangeKind::Replace, Some(why.to_string()));
        }
        let reason = format!("{why}, and only a new cluster can have that; make it anew with `--recreate`");
        let mut seen = Seen::new(state);
        seen.changes = vec![Change::new(ChangeKind::Conflict, self.subject()).because(reason)];
        seen
    }

    fn in_the_way(&self, whose: &str, adoptable: bool) -> Seen {
        let way = if adoptable {
            "take it over with `--adopt`, or give the environment another `name`"
        } else {
            "give one of the two environments another `name`"
        };
        let reason = format!("a kind cluster of this name is there, and {whose}; {way}");
        // Nothing of ours is there: there is nothing to be looked at in it, and nothing to take away.
        let mut seen = Seen::new(State::Absent);
        seen.changes = vec![Change::new(ChangeKind::Conflict, self.subject()).because(reason)];
        seen
    }

    /// Takes a cluster as it is: what it was made with is not known, and is taken to be right.
    async fn to_adopt(&self, engine: &Engine, flow: &Flow) -> Result<Seen, Fault> {
        let access = self.inner.access_from_kind(engine, flow).await?;
        let change = Change::new(ChangeKind::Adopt, self.subject()).because("somebody else made it");
        let seen =
            Seen::new(State::Ready).output(Outputs::CLUSTER_ACCESS, Output::Access(Box::new(access.clone())));
        Ok(seen.to_change(vec![change], Adopt { inner: Arc::clone(&self.inner), access }))
    }

    fn to_start(&self, sight: &Sight, names: &[String]) -> Seen {
        let stopped = sight.containers.iter().filter(|container| !container.runs());
        let stopped: Vec<Container> = stopped.cloned().collect();
        let words: Vec<String> = stopped.iter().map(ended).collect();
        let state = State::Broken(format!("stopped: {}", words.join(", ")));
        let change = Change::new(ChangeKind::Start, self.subject()).because(names.join(", "));
        let start = Start { inner: Arc::clone(&self.inner), stopped };
        let mut seen = Seen::new(state).to_change(vec![change], start);
        seen.notes.extend(self.is_frail());
        seen
    }

    /// Asks the API server of a cluster whose containers all run.
    async fn ask(&self, sight: &Sight, engine: &Engine, cx: &Cx) -> Result<Seen, Fault> {
        let inner = &self.inner;
        let (access, is_kept) = match inner.kept_access() {
            Some(access) => (access, true),
            None => match inner.access_from_kind(engine, &cx.flow).await {
                Ok(access) => (access, false),
                // kind reads it inside of a node, which has none before its making came that far.
                Err(_) if !sight.has_kubeconfig && !sight.kind_ended => {
                    let why = "its control plane was never set up".to_string();
                    return Ok(self.to_make(State::Broken(why.clone()), ChangeKind::Replace, Some(why)));
                }
                Err(fault) => return Err(fault),
            },
        };
        if !inner.is_ready(&access, &cx.flow).await? {
            return Ok(Seen::new(self.silent(sight, engine, cx)));
        }
        inner.silence.is_over();
        let server = inner.hub.probe(&access, &cx.flow).await?;
        let mut seen =
            Seen::new(State::Ready).output(Outputs::CLUSTER_ACCESS, Output::Access(Box::new(access.clone())));
        seen.notes.extend(other_version(&server, inner.config.kubernetes));
        if is_kept && !sight.is_making {
            return Ok(seen);
        }
        let why = if sight.kind_ended { "kind has made it" } else { "its kubeconfig is gone or damaged" };
        let change = Change::new(ChangeKind::Update, self.subject()).because(why);
        Ok(seen.to_change(vec![change], KeepAccess { inner: Arc::clone(inner), access }))
    }

    /// Of a cluster whose API server does not answer: it will, or it has not for too long.
    fn silent(&self, sight: &Sight, engine: &Engine, cx: &Cx) -> State {
        let name = &self.inner.config.name;
        let remedy = format!(
            "`{} restart {name}-control-plane` may help, `berth up {name} --recreate` makes the cluster anew, with all \
             that is in it lost",
            engine.kind()
        );
        self.inner.silence.judge(&Silent {
            containers: &sight.containers,
            now: cx.clock.now(),
            waits: self.inner.leave.makes,
            remedy: &remedy,
        })
    }

    /// That several control planes do not find each other again: their etcd knows them by addresses that
    /// change (<https://github.com/kubernetes-sigs/kind/issues/1689>).
    fn is_frail(&self) -> Option<Note> {
        let name = &self.inner.config.name;
        self.inner.config.is_redundant().then(|| {
            let text = format!(
                "several control planes of kind often do not survive a restart of the machine or of the container \
                 engine, since their addresses change; `berth up {name} --recreate` then makes the cluster anew"
            );
            Note::new("warning", text)
        })
    }

    /// What is in a cluster can be looked at as long as its API server answers.
    async fn with_access(&self, seen: Seen, engine: &Engine, cx: &Cx) -> Result<Seen, Fault> {
        let access = match self.inner.kept_access() {
            Some(access) => Some(access),
            None => self.inner.access_from_kind(engine, &cx.flow).await.ok(),
        };
        Ok(match access {
            Some(access) if self.inner.is_ready(&access, &cx.flow).await? => {
                seen.output(Outputs::CLUSTER_ACCESS, Output::Access(Box::new(access)))
            }
            _ => seen,
        })
    }
}

impl Inner {
    /// Whether the API server at `access` is ready, and knows its roles: while it starts, it refuses kubeadm's
    /// administrator, who has his rights from one.
    async fn is_ready(&self, access: &ClusterAccess, flow: &Flow) -> Result<bool, Fault> {
        match self.hub.is_ready(access, flow).await {
            Err(fault) if fault.kind == FaultKind::Denied => Ok(false),
            answer => answer,
        }
    }

    pub(super) fn engine(&self) -> Result<Engine, Fault> {
        self.local.engine.find()
    }

    pub(super) fn kind(&self, engine: &Engine) -> Result<Kind, Fault> {
        Kind::find(&self.local.engine.search_path, engine, &self.choices)
    }

    /// The containers of the cluster, and berth's files of it.
    pub(super) async fn sight(&self, engine: &Engine, flow: &Flow) -> Result<Sight, Fault> {
        Ok(Sight {
            containers: self.containers(engine, flow).await?,
            has_kubeconfig: self.kept_access().is_some(),
            kind_ended: self.folder.kind_kubeconfig().exists(),
            is_making: self.folder.making().exists(),
            adopted: files::read_if_there(&self.folder.adopted())?.and_then(|text| Digest::parse(&text)),
        })
    }

    /// What the cluster says that it was adopted with, where berth's files of that are lost. One that does not
    /// run or answer says nothing, and is somebody else's until it does.
    async fn adoption(&self, sight: &Sight, engine: &Engine, flow: &Flow) -> Option<Digest> {
        if !sight.containers.iter().all(Container::runs) {
            return None;
        }
        let access = self.access_from_kind(engine, flow).await.ok()?;
        if !self.is_ready(&access, flow).await.ok()? {
            return None;
        }
        Digest::parse(&self.hub.adoption(&access, flow).await.ok()??)
    }

    /// Whether the cluster was adopted, as far as is known here or was seen in it.
    pub(super) fn is_adopted(&self) -> bool {
        self.folder.adopted().exists() || self.says_adopted.load(Ordering::Relaxed)
    }

    /// Forgets that the cluster was adopted: it is gone.
    pub(super) fn forget_adoption(&self) -> Result<(), Fault> {
        self.says_adopted.store(false, Ordering::Relaxed);
        files::remove_if_there(&self.folder.adopted())
    }

    pub(super) async fn containers(&self, engine: &Engine, flow: &Flow) -> Result<Vec<Container>, Fault> {
        step::patiently(flow, engine.kind_containers(Some(&self.config.name))).await
    }

    /// The access that berth keeps. One that somebody damaged is as good as none: it can be had again.
    fn kept_access(&self) -> Option<ClusterAccess> {
        Kubeconfig::read(&self.folder.kubeconfig()).ok().flatten()?.access().ok()
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
}

/// That the node image has another Kubernetes than the profile says.
fn other_version(server: &Server, declared: (u32, u32)) -> Option<Note> {
    let minor = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    (server.version != declared).then(|| {
        let text = format!(
            "the node image has Kubernetes {}, and the profile says {}: write `version: \"{}\"` under `cluster.kind`, \
             or make the cluster anew of another image",
            server.full_version,
            minor(declared),
            minor(server.version)
        );
        Note::new("warning", text)
    })
}

/// `lab-worker is`, `lab-worker, lab-worker2 are`
fn listed(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

impl Resource for ClusterResource {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn outline(&self) -> String {
        self.subject()
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        Box::pin(self.look(cx))
    }

    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(step::delete(&self.inner, cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_image_of_another_kubernetes_is_told_with_what_to_write() {
        let server = Server { version: (1, 36), full_version: "v1.36.3".to_string() };
        assert_eq!(other_version(&server, (1, 36)), None);
        let told = other_version(&server, (1, 34)).expect("they differ").text;
        assert!(told.contains("v1.36.3") && told.contains("write `version: \"1.36\"`"), "{told}");
    }
}
