use std::sync::Arc;

use futures::future::BoxFuture;

use super::config::Config;
use super::folder::{Folder, Mark};
use super::processes;
use super::step::{self, Make, RestoreKubeconfig, Start};
use super::verdict::{Sight, Verdict, judge};
use crate::base::{Change, ChangeKind, ClusterAccess, Fault, Note, Owner, ResourceId};
use crate::engine::{Cx, Need, Output, Outputs, Resource, Seen, State};
use crate::flow::Flow;
use crate::k8s::Hub;
use crate::os::FileLock;
use crate::profile::Environment;
use crate::providers::Local;
use crate::providers::kubeconfig::Kubeconfig;
use crate::providers::tools::{ToolSearch, minor};

/// The cluster of an environment that kwok plays.
pub struct ClusterResource {
    id: ResourceId,
    inner: Arc<Inner>,
}

/// What the resource and its steps share.
pub(super) struct Inner {
    pub(super) environment: String,
    pub(super) owner: Owner,
    pub(super) folder: Folder,
    pub(super) config: Config,
    pub(super) search: ToolSearch,
    declared: (u32, u32),
    hub: Arc<Hub>,
}

impl ClusterResource {
    /// The cluster of `environment` on this machine.
    pub fn new(environment: &Environment, local: &Local, hub: Arc<Hub>) -> Self {
        let metrics = environment.addons.iter().any(|addon| addon.name == "metrics-server");
        Self {
            id: ResourceId::new(format!("cluster/kwok/{}", environment.name)),
            inner: Arc::new(Inner {
                environment: environment.name.clone(),
                owner: environment.owner.clone(),
                folder: Folder::new(&local.dirs, &environment.owner),
                config: Config { metrics },
                search: local.tools.clone(),
                declared: environment.kubernetes,
                hub,
            }),
        }
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let inner = &self.inner;
        if let Some(held) = FileLock::holder(&inner.folder.lock())? {
            return Ok(Seen::new(State::Progressing(format!("waiting for {}", held.by))));
        }
        let sight = inner.sight().await?;
        let mut seen = match judge(&sight, inner.config) {
            Verdict::Absent => self.to_make(State::Absent, ChangeKind::Create, None),
            Verdict::Unfinished(why) => {
                self.to_make(State::Broken(why.clone()), ChangeKind::Create, Some(why))
            }
            Verdict::Lost(why) => self.to_make(State::Broken(why.clone()), ChangeKind::Replace, Some(why)),
            Verdict::Stopped(stopped) => self.to_start(&stopped, cx).await?,
            Verdict::Running => self.ask(cx).await?,
        };
        seen.notes.extend(note_on_version(inner.declared, &sight));
        if !inner.config.metrics && sight.mark.as_ref().is_some_and(|mark| mark.metrics) {
            let text = "metrics-server: it was enabled when the cluster was made, and goes with it";
            seen.notes.push(Note::new("kept", text));
        }
        Ok(seen)
    }

    fn subject(&self) -> String {
        format!("kwok cluster {}", self.inner.environment)
    }

    fn to_make(&self, state: State, kind: ChangeKind, why: Option<String>) -> Seen {
        let mut change = Change::new(kind, self.subject());
        change.reason = why;
        let mut seen = Seen::new(state).to_change(vec![change], Make { inner: Arc::clone(&self.inner) });
        if let Err(fault) = self.inner.search.tools() {
            let remedy = fault.hint.unwrap_or_default();
            seen.notes.push(Note::new("warning", format!("`kwokctl` was not found: {remedy}")));
        }
        seen
    }

    /// While the API server of a cluster still answers, what is in it can be looked at.
    async fn to_start(&self, stopped: &[&str], cx: &Cx) -> Result<Seen, Fault> {
        let state = State::Broken(format!("stopped: {}", stopped.join(", ")));
        let change = Change::new(ChangeKind::Start, self.subject()).because(stopped.join(", "));
        let seen = Seen::new(state).to_change(vec![change], Start { inner: Arc::clone(&self.inner) });
        Ok(match self.inner.answering_access(&cx.flow).await? {
            Some(access) => seen.output(Outputs::CLUSTER_ACCESS, Output::Access(Box::new(access))),
            None => seen,
        })
    }

    /// Asks the API server of a cluster whose processes all run.
    async fn ask(&self, cx: &Cx) -> Result<Seen, Fault> {
        // One that somebody damaged is as good as none: it can be written again.
        let kept = Kubeconfig::read(&self.inner.folder.kubeconfig()).ok().flatten();
        let (access, is_kept) = match kept.and_then(|kubeconfig| kubeconfig.access().ok()) {
            Some(access) => (access, true),
            None => (self.inner.access_from_kwokctl().await?, false),
        };
        if !self.inner.hub.is_ready(&access, &cx.flow).await? {
            return Ok(Seen::new(State::Progressing("its API server is not ready yet".to_string())));
        }
        let seen =
            Seen::new(State::Ready).output(Outputs::CLUSTER_ACCESS, Output::Access(Box::new(access.clone())));
        if is_kept {
            return Ok(seen);
        }
        let change =
            Change::new(ChangeKind::Update, self.subject()).because("its kubeconfig is gone or damaged");
        Ok(seen.to_change(vec![change], RestoreKubeconfig { inner: Arc::clone(&self.inner), access }))
    }
}

impl Inner {
    /// How to reach the API server, when it is known and answers.
    pub(super) async fn answering_access(&self, flow: &Flow) -> Result<Option<ClusterAccess>, Fault> {
        let kept = Kubeconfig::read(&self.folder.kubeconfig()).ok().flatten();
        let Some(access) = kept.and_then(|kubeconfig| kubeconfig.access().ok()) else { return Ok(None) };
        Ok(self.hub.is_ready(&access, flow).await?.then_some(access))
    }

    async fn sight(&self) -> Result<Sight, Fault> {
        let mark = Mark::read(&self.folder.mark())?;
        let running = processes::running(&self.folder.programs()).await?;
        // Asking a program for its version takes longer than all the rest, so it is asked only when
        // the answer may matter: there is no cluster, or it runs another minor than is declared.
        let is_as_declared =
            mark.as_ref().and_then(|mark| minor(mark.kubernetes.as_deref()?)) == Some(self.declared);
        let at_hand = match self.search.tools() {
            Ok(tools) if !is_as_declared => tools.kubernetes().await?,
            _ => None,
        };
        Ok(Sight {
            mark,
            folder_is_there: self.folder.cluster_folder().exists(),
            missing_part: self.folder.missing_part(),
            running: running.into_iter().map(|process| process.component).collect(),
            at_hand,
        })
    }

    /// How to reach the cluster, as kwokctl says.
    pub(super) async fn access_from_kwokctl(&self) -> Result<ClusterAccess, Fault> {
        let kwokctl = self.search.tools()?.kwokctl(&self.folder.kwok, &self.folder.cache);
        let finished = kwokctl.args(["get", "kubeconfig", "--name", &self.folder.cluster]).run().await?;
        if !finished.succeeded() {
            return Err(step::failed("get kubeconfig", &finished, &self.folder));
        }
        Kubeconfig::parse(&finished.stdout, "the output of `kwokctl get kubeconfig`")?.access()
    }
}

/// Says so when the cluster runs, or would run, another minor than is declared.
fn note_on_version(declared: (u32, u32), sight: &Sight) -> Option<Note> {
    let running = sight.mark.as_ref().and_then(|mark| mark.kubernetes.as_ref());
    let version = sight.at_hand.as_ref().or(running)?;
    if minor(version) == Some(declared) {
        return None;
    }
    let text = format!(
        "Kubernetes {}.{} is declared and rendered for; the cluster runs {version}, the nearest at hand",
        declared.0, declared.1
    );
    Some(Note::new("not rehearsed", text))
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
    fn another_minor_than_the_declared_one_is_said() {
        let sight = Sight {
            mark: None,
            folder_is_there: false,
            missing_part: None,
            running: Vec::new(),
            at_hand: Some("1.36.3".to_string()),
        };
        assert_eq!(note_on_version((1, 36), &sight), None);
        let note = note_on_version((1, 34), &sight).expect("another minor");
        assert_eq!(
            note.text,
            "Kubernetes 1.34 is declared and rendered for; the cluster runs 1.36.3, the nearest at hand"
        );
    }
}
