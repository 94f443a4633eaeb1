use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use super::Choices;
use super::config::Config;
use super::difference::Roles;
use super::folder::Folder;
use super::mark::Digest;
use super::preflight::{self, Wanted};
use super::program::Kind;
use super::restart::Unpaused;
use super::step::{self, Adopt, Make, Start};
use super::verdict::{Sight, Verdict, ended, judge};
use crate::base::{Change, ChangeKind, ClusterAccess, Conflict, Fault, Guard, Note, ResourceId};
use crate::containers::{Container, Engine};
use crate::engine::{Cx, Need, Output, Outputs, Resource, Seen, State};
use crate::flow::{Flow, Silence};
use crate::k8s::Hub;
use crate::os::{FileLock, files};
use crate::profile::Environment;
use crate::profile::schema::KindCluster;
use crate::providers::{Leave, Local};

/// The cluster of an environment in containers of this machine.
pub struct ClusterResource {
    id: ResourceId,
    pub(super) inner: Arc<Inner>,
}

/// What the resource and its steps share.
pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) folder: Folder,
    pub(super) choices: Choices,
    pub(super) hub: Arc<Hub>,
    pub(super) local: Local,
    pub(super) wanted: Wanted,
    pub(super) leave: Leave,
    pub(super) silence: Silence,
    /// What this run let go on.
    pub(super) unpaused: Unpaused,
    /// The access that kind gave when the kept one led to nobody.
    pub(super) newer_access: OnceCell<ClusterAccess>,
    /// Whether the cluster itself says that it was adopted.
    says_adopted: AtomicBool,
    /// The containers that the last look found: what is removed right behind it needs no other.
    found: Mutex<Option<Vec<Container>>>,
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
                unpaused: Unpaused::default(),
                newer_access: OnceCell::new(),
                says_adopted: AtomicBool::new(false),
                found: Mutex::new(None),
                hub,
            }),
        }
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let inner = &self.inner;
        inner.take_found();
        if let Some(held) = FileLock::holder(&inner.folder.lock())? {
            return Ok(Seen::new(State::Progressing(format!("waiting for {}", held.by))));
        }
        let engine = inner.engine()?;
        let mut sight = inner.sight(&engine, &cx.flow).await?;
        inner.keep_found(&sight.containers);
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
                match self.misfit(&sight) {
                    Some(misfit) => self.not_adopted(misfit),
                    None => self.to_adopt(&engine, &cx.flow).await?,
                }
            }
            Verdict::Foreign { whose, adoptable, id } => self.in_the_way(&whose, adoptable, id.as_deref()),
            Verdict::Incomplete(gone) => {
                let why = format!("{} gone", listed(&gone));
                self.needs_a_new_one(State::Broken(why.clone()), &why)
            }
            Verdict::Differs(differences) => {
                let seen = self.needs_a_new_one(State::Ready, &differences.join("; "));
                // The connection of a run is made once: of a new cluster, if there is to be one.
                if inner.leave.recreate { seen } else { self.with_access(seen, &engine, cx).await? }
            }
            Verdict::Stopped(names) => self.to_start(&sight, &names),
            Verdict::Running => self.ask(&sight, &engine, cx).await?,
        };
        self.with_preflight(with_nodes(seen, &sight), &engine, &cx.flow).await
    }

    /// Before a cluster is made, with what of this machine it would stumble over.
    async fn with_preflight(&self, mut seen: Seen, engine: &Engine, flow: &Flow) -> Result<Seen, Fault> {
        let is_made = |change: &Change| matches!(change.kind, ChangeKind::Create | ChangeKind::Replace);
        if self.inner.leave.makes && seen.step.is_some() && seen.changes.iter().any(is_made) {
            // A program that is not there is no finding, but what an engine is that is not there.
            self.inner.kind(engine)?;
            let findings = preflight::check(&self.inner.local, &self.inner.wanted, flow).await;
            let (conflicts, notes) = preflight::told(&findings);
            seen.notes.extend(notes);
            if !conflicts.is_empty() {
                seen.changes.extend(conflicts);
                seen.step = None;
            }
        }
        Ok(seen)
    }

    pub(super) fn subject(&self) -> String {
        format!("kind cluster {}", self.inner.config.name)
    }

    pub(super) fn to_make(&self, state: State, kind: ChangeKind, why: Option<String>) -> Seen {
        let outline = self.inner.config.outline(self.inner.choices.image.as_deref());
        let reason = why.map(|why| format!("{why}; {outline}")).unwrap_or(outline);
        let change = Change::new(kind, self.subject()).because(reason);
        let mut seen = Seen::new(state).to_change(vec![change], Make { inner: Arc::clone(&self.inner) });
        seen.notes.extend(self.is_frail());
        seen
    }

    /// A cluster that cannot become what the profile says: made anew only when that was asked for.
    pub(super) fn needs_a_new_one(&self, state: State, why: &str) -> Seen {
        if self.inner.leave.recreate {
            return self.to_make(state, ChangeKind::Replace, Some(why.to_string()));
        }
        let why = format!("{why}, and only a new cluster can have that");
        let conflict = Conflict::new(why, "make it anew with `--recreate`").guarded(Guard::Recreate);
        let mut seen = Seen::new(state);
        seen.changes = vec![conflict.of(self.subject())];
        seen
    }

    fn in_the_way(&self, whose: &str, adoptable: bool, id: Option<&str>) -> Seen {
        let why = format!("a kind cluster of this name is there, and {whose}");
        let conflict = match id {
            _ if adoptable => {
                let remedy = "take it over with `--adopt`, or give the environment another `name`";
                Conflict::new(why, remedy).guarded(Guard::Adopt)
            }
            // Without an `id` of its own a profile gets one of its path, and has another when it is moved.
            Some(id) => Conflict::new(
                why,
                format!(
                    "if it is this environment, whose profile lay elsewhere, write `id: {id}` at the top of the \
                     profile, else give one of the two another `name`"
                ),
            ),
            None => Conflict::new(why, "give one of the two environments another `name`"),
        };
        // Nothing of ours is there: there is nothing to be looked at in it, and nothing to take away.
        let mut seen = Seen::new(State::Absent);
        seen.changes = vec![conflict.of(self.subject())];
        if !self.inner.leave.makes {
            // Who makes nothing shall not think that there is none.
            let stays = format!("{}: {whose}; it is left as it is", self.subject());
            seen.notes.push(Note::new("kept", stays));
        }
        seen
    }

    /// Why a cluster that somebody else made cannot be the one of the profile: none of its nodes would ever come or
    /// go.
    fn misfit(&self, sight: &Sight) -> Option<Conflict> {
        let nodes: Vec<&Container> = sight.containers.iter().filter(|one| one.is_kind_node()).collect();
        let (there, declared) = (Roles::of(&nodes), Roles::wanted(&self.inner.config));
        (there != declared).then(|| {
            let nodes =
                if there.workers == 1 { "1 node".to_string() } else { format!("{} nodes", there.workers) };
            Conflict::new(
                format!("it has {}, and the profile says {}", there.words(), declared.words()),
                format!(
                    "write `controlPlanes: {}` under `cluster.kind`, and `nodeGroups` of {nodes} in all",
                    there.control_planes
                ),
            )
        })
    }

    /// A cluster that is left as it is, though it was asked to be taken over.
    fn not_adopted(&self, misfit: Conflict) -> Seen {
        let mut seen = Seen::new(State::Absent);
        seen.changes = vec![misfit.of(self.subject())];
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
}

impl Inner {
    pub(super) fn engine(&self) -> Result<Engine, Fault> {
        self.local.engine.find()
    }

    pub(super) fn kind(&self, engine: &Engine) -> Result<Kind, Fault> {
        Kind::find(&self.local.engine, engine, &self.choices)
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

    fn keep_found(&self, containers: &[Container]) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(containers.to_vec());
    }

    /// The containers that the last look found, once.
    pub(super) fn take_found(&self) -> Option<Vec<Container>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).take()
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
}

/// Whoever can ask the cluster is told which containers its nodes are.
fn with_nodes(seen: Seen, sight: &Sight) -> Seen {
    if !seen.outputs.has(Outputs::CLUSTER_ACCESS) {
        return seen;
    }
    let nodes = sight.containers.iter().filter(|one| one.is_kind_node());
    let names = nodes.map(|node| node.name.clone()).collect();
    seen.output(Outputs::CLUSTER_NODES, Output::Names(names))
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
