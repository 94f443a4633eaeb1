use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;

use super::attempt::Canary;
use super::examine::why_nothing_runs;
use super::policy::{Truth, probe};
use crate::base::{Fault, FaultKind, Note, ResourceId};
use crate::engine::{Cx, Need, Output, Resource, Seen, State, Step};
use crate::flow::{Background, Cancel, Flow, Notice};
use crate::k8s::{Hub, Purpose, Trial, known_kind};

/// The id of the resource, and the key of its output: the truth in words.
pub const ID: &str = "network-policy";

/// Under these keys the cluster keeps what was found out, and when.
const TRUTH: &str = "networkPolicy";
const PROBED: &str = "networkPolicyProbed";
const ENFORCED: &str = "enforced";
const NOT_ENFORCED: &str = "not enforced";

/// How long the probe may take, with the pull of its image: `up` waits no longer for it.
const LIMIT: Duration = Duration::from_secs(100);
/// How long asking for the removal of its namespace may take.
const LEAVING: Duration = Duration::from_secs(10);

/// Whether the cluster enforces network policies, found out once and kept in the cluster.
pub struct PolicyTruth {
    id: ResourceId,
    needs: Vec<Need>,
    image: String,
    hub: Arc<Hub>,
    /// Whether a node comes for the pods of the probe where there is none.
    nodes_come: bool,
    probing: Arc<Mutex<Option<Probing>>>,
    /// What this run could not find out.
    not_known: Mutex<Option<String>>,
    /// Whether this run takes it all away.
    going: AtomicBool,
}

/// A probe that is under way.
struct Probing {
    /// Stops it when it is dropped.
    _task: Background,
    told: oneshot::Receiver<Result<Truth, Fault>>,
}

impl PolicyTruth {
    /// The truth about the hub's cluster, found out with `image` once `needs` stand; where there is no node, only if
    /// `nodes_come`.
    pub fn new(needs: Vec<Need>, hub: Arc<Hub>, image: impl Into<String>, nodes_come: bool) -> Self {
        Self {
            id: ResourceId::new(ID),
            needs,
            image: image.into(),
            hub,
            nodes_come,
            probing: Arc::default(),
            not_known: Mutex::default(),
            going: AtomicBool::new(false),
        }
    }

    /// Waits for the probe of this run, if one is under way.
    async fn wait(&self, flow: &Flow) -> Result<(), Fault> {
        let Some(probing) = locked(&self.probing).take() else { return Ok(()) };
        flow.report(Notice::Waiting("probing whether network policies act".to_string()));
        let why = match probing.told.await {
            Ok(Ok(Truth::NotKnown(why))) => why,
            Ok(Ok(Truth::Enforced(_) | Truth::NotEnforced)) => return Ok(()),
            Ok(Err(fault)) if fault.kind == FaultKind::Cancelled => return Err(fault),
            Ok(Err(fault)) if fault.kind == FaultKind::Deadline => "the time for it was over".to_string(),
            Ok(Err(fault)) => fault.to_string(),
            Err(oneshot::Canceled) => "the probe was stopped".to_string(),
        };
        *locked(&self.not_known) = Some(why);
        Ok(())
    }

    /// Whether a probe left anything, as the lists of this run have it: a trial goes with the next one, and
    /// with `down`.
    async fn was_left(&self, flow: &Flow) -> Result<bool, Fault> {
        Ok(Trial::seen(&self.hub, flow).await? || self.hub.has_findings(flow).await?)
    }

    /// What is left to be removed.
    async fn left(&self, flow: &Flow) -> Result<State, Fault> {
        if let Some(trial) = Trial::standing(&self.hub, flow).await?.first() {
            return Ok(State::Progressing(format!("waiting for {} to be gone", trial.title())));
        }
        let kept = self.hub.has_findings(flow).await?;
        Ok(if kept { State::Ready } else { State::Absent })
    }
}

impl Resource for PolicyTruth {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        self.needs.clone()
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            let access = cx.outputs.cluster_access().ok_or_else(|| {
                Fault::new(FaultKind::Bug, "probe network policies", "the cluster has not said where it is")
            })?;
            self.hub.connect(access).await?;
            if self.going.load(Ordering::Relaxed) {
                return Ok(Seen::new(self.left(&cx.flow).await?));
            }
            self.wait(&cx.flow).await?;
            let known = told(&self.hub.findings(&cx.flow).await?);
            let is_there = known.is_some() || self.was_left(&cx.flow).await?;
            let mut seen = Seen::new(if is_there { State::Ready } else { State::Absent });
            let not_known = locked(&self.not_known).clone();
            let note = match (known, not_known) {
                (Some(note), _) => note,
                (None, Some(why)) => {
                    Note::new("network policies", format!("whether they act could not be told: {why}"))
                }
                (None, None) => {
                    seen.step = Some(Box::new(Probe {
                        hub: Arc::clone(&self.hub),
                        image: self.image.clone(),
                        nodes_come: self.nodes_come,
                        probing: Arc::clone(&self.probing),
                    }));
                    Note::new(
                        "network policies",
                        "whether they act is not known yet: `verify` probes it, and so does an `up` that changes something",
                    )
                }
            };
            let text = format!("{}: {}", note.topic, note.text);
            seen.notes.push(note);
            Ok(seen.output(ID, Output::Text(text)))
        }
        .boxed()
    }

    /// If this dies half way, what is left is found by its mark and removed by the next run.
    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            self.going.store(true, Ordering::Relaxed);
            Trial::remove_all(&self.hub, &cx.flow).await?;
            self.hub.drop_findings(&cx.flow).await
        }
        .boxed()
    }
}

/// Begins the probe.
struct Probe {
    hub: Arc<Hub>,
    image: String,
    nodes_come: bool,
    probing: Arc<Mutex<Option<Probing>>>,
}

impl Step for Probe {
    /// If this dies, its namespace is removed by the next run, which probes again.
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let (tell, told) = oneshot::channel();
            let Self { hub, image, nodes_come, probing } = *self;
            let (flow, now) = (cx.flow.within_limit(LIMIT), cx.clock.now());
            let task = Background::run(async move {
                let truth = find_out(&hub, &image, nodes_come, now, &flow).await;
                // Nobody listens when the run was stopped for good.
                tell.send(truth).ok();
            });
            *locked(&probing) = Some(Probing { _task: task, told });
            Ok(())
        }
        .boxed()
    }
}

/// Probes, and keeps what was found out in the cluster.
async fn find_out(
    hub: &Hub,
    image: &str,
    nodes_come: bool,
    now: Timestamp,
    flow: &Flow,
) -> Result<Truth, Fault> {
    let kind = known_kind("v1", "Node").expect("nodes are built in");
    let nodes: Vec<Value> = hub.list_all(&kind, flow).await?.into_iter().map(|node| node.body).collect();
    if let Some(why) = why_nothing_runs(&nodes).filter(|_| !nodes.is_empty() || !nodes_come) {
        return Ok(Truth::NotKnown(why.to_string()));
    }
    let purpose = Purpose { name: "policies", now, lasts: LIMIT };
    let trial = Trial::open(hub, &purpose, flow).await?;
    let truth = probe(&Canary { trial: &trial, image, remedy: "", flow }).await;
    // A flow of its own: the namespace goes also after a stop. It goes by itself; nobody waits for it.
    trial.leave(&Flow::new(Cancel::default()).within_limit(LEAVING)).await?;
    let truth = truth?;
    keep(hub, &truth, now, flow).await?;
    Ok(truth)
}

/// Keeps in the cluster what was found out at `now`; nothing where it could not be.
pub(super) async fn keep(hub: &Hub, truth: &Truth, now: Timestamp, flow: &Flow) -> Result<(), Fault> {
    let word = match truth {
        Truth::Enforced(_) => ENFORCED,
        Truth::NotEnforced => NOT_ENFORCED,
        Truth::NotKnown(_) => return Ok(()),
    };
    let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let pairs = [(TRUTH, word.to_string()), (PROBED, time)];
    let found = pairs.map(|(key, value)| (key.to_string(), value)).into_iter().collect();
    hub.keep_findings(&found, flow).await
}

/// What was found out, for people; `None` when nothing was.
pub fn told(findings: &BTreeMap<String, String>) -> Option<Note> {
    let probed = findings.get(PROBED).map(|when| format!(" (probed {when})")).unwrap_or_default();
    match findings.get(TRUTH)?.as_str() {
        ENFORCED => Some(Note::new("network policies", format!("they are enforced{probed}"))),
        NOT_ENFORCED => Some(Note::new(
            "warning",
            format!(
                "network policies are NOT enforced on this cluster{probed}: tenants are isolated on paper only; use \
                 a network plugin that enforces them, or switch that on in yours, then `verify` looks again"
            ),
        )),
        _ => None,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_enforces_nothing_is_a_warning() {
        let findings = |word: &str| {
            let pairs = [(TRUTH, word), (PROBED, "2026-11-21T12:00:00Z")];
            pairs.map(|(key, value)| (key.to_string(), value.to_string())).into_iter().collect()
        };
        let enforced = Note::new("network policies", "they are enforced (probed 2026-11-21T12:00:00Z)");
        assert_eq!(told(&findings(ENFORCED)), Some(enforced));
        let warned = told(&findings(NOT_ENFORCED)).expect("known");
        assert_eq!(warned.topic, "warning");
        assert!(warned.text.contains("NOT enforced") && warned.text.contains("on paper only"));
        assert_eq!((told(&findings("perhaps")), told(&BTreeMap::new())), (None, None));
    }
}
