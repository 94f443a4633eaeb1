use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::mpsc;

use super::event::{EventKind, Events, milliseconds};
use super::graph::{Node, Removal};
use super::resource::{Cx, Outputs, State};
use super::run::Run;
use super::survey::{Look, Survey};
use super::telling::Telling;
use crate::base::{Change, ChangeKind, Fault, FaultKind, ResourceId};

/// How the work on a resource ended, when nothing failed.
pub(super) enum Ended {
    /// It is as it should be, or gone; the word says how that came.
    Done(&'static str),
    /// All of it was accepted, and it is not waited for any longer; this was seen last.
    NotReady(String),
    /// It was not begun: this one failed to bring what it needs.
    Behind(ResourceId),
}

/// What all works of a run share.
pub(super) struct Shared {
    began: Instant,
    publish: mpsc::UnboundedSender<Outputs>,
    /// When something failed for good first.
    failed: Mutex<Option<Instant>>,
}

impl Shared {
    pub(super) fn new(publish: mpsc::UnboundedSender<Outputs>) -> Self {
        Self { began: Instant::now(), publish, failed: Mutex::new(None) }
    }

    /// Something failed for good.
    pub(super) fn failed(&self) {
        lock(&self.failed).get_or_insert_with(Instant::now);
    }
}

/// The work on one resource.
pub(super) struct Work<'a> {
    node: &'a Node,
    cx: Cx,
    events: Events,
    shared: &'a Shared,
    grace: Duration,
    pub(super) telling: Telling,
    pub(super) changed: Mutex<bool>,
    pub(super) accepted: Mutex<Option<Duration>>,
}

impl<'a> Work<'a> {
    pub(super) fn new(node: &'a Node, run: &Run, outputs: Outputs, shared: &'a Shared) -> Self {
        let telling = Telling::begin(node.resource.id().clone(), &run.events, &run.flow);
        Self {
            node,
            cx: Cx { outputs, flow: telling.flow().clone(), clock: Arc::clone(&run.clock) },
            events: run.events.clone(),
            shared,
            grace: run.grace,
            telling,
            changed: Mutex::new(false),
            accepted: Mutex::new(None),
        }
    }

    fn id(&self) -> &ResourceId {
        self.node.resource.id()
    }

    /// Observes and takes steps until the resource is ready and nothing differs.
    pub(super) async fn raise(&self) -> Result<Ended, Fault> {
        let attempted = format!("bring up {}", self.id());
        let mut pace = Pace::of(self.node);
        let mut taken: Vec<Vec<Change>> = Vec::new();
        let mut waited = false;
        loop {
            let seen = match self.telling.alive(self.node.resource.observe(&self.cx)).await {
                Err(fault) if fault.kind == FaultKind::Cancelled && !taken.is_empty() => {
                    return Ok(Ended::NotReady("accepted, and not looked at again".to_string()));
                }
                seen => seen?,
            };
            // The receiver lives as long as the scheduler that polls this work.
            self.shared.publish.unbounded_send(seen.outputs.clone()).ok();
            if let Some(other) = seen.behind {
                return Ok(Ended::Behind(other));
            }
            match (seen.state, seen.step) {
                (State::Ready | State::Absent, None) if seen.changes.is_empty() => {
                    return Ok(Ended::Done(if taken.is_empty() && !waited { "unchanged" } else { "ready" }));
                }
                (state, Some(step)) => {
                    if taken.iter().filter(|earlier| **earlier == seen.changes).count() >= 2 {
                        return Err(match state {
                            State::Broken(reason) => broken(&attempted, &reason, &seen.changes),
                            _ => stuck(&attempted, &seen.changes),
                        });
                    }
                    self.cx.flow.check(&attempted)?;
                    let changed_before = std::mem::replace(&mut *lock(&self.changed), true);
                    self.events.send(EventKind::Step {
                        resource: self.id().clone(),
                        changes: counted(&seen.changes),
                    });
                    taken.push(seen.changes);
                    if let Err(fault) = self.telling.alive(step.take(&self.cx)).await {
                        *lock(&self.changed) = changed_before || !fault.untouched;
                        return Err(fault);
                    }
                    self.telling.goes_on();
                    let took_ms = milliseconds(self.telling.took());
                    *lock(&self.accepted) = Some(self.shared.began.elapsed());
                    self.events.send(EventKind::Accepted { resource: self.id().clone(), took_ms });
                    pace = Pace::of(self.node);
                }
                (State::Progressing(status), None) => {
                    waited = true;
                    self.telling.progress(status.clone());
                    match self.telling.alive(self.cx.flow.pause(pace.next(), &attempted)).await {
                        // All of it was accepted: it may be whole before anybody looks again.
                        Err(fault) if fault.kind == FaultKind::Cancelled => {
                            return Ok(Ended::NotReady(status));
                        }
                        Ok(()) if self.waits_in_vain() => return Ok(Ended::NotReady(status)),
                        paused => paused?,
                    }
                }
                (State::Broken(reason), None) => return Err(broken(&attempted, &reason, &seen.changes)),
                (State::Ready | State::Absent, None) => {
                    let conflict = seen.changes.iter().find(|change| change.kind == ChangeKind::Conflict);
                    return Err(match conflict.and_then(|change| Some((change, change.told()?))) {
                        Some((change, told)) => {
                            Fault::new(FaultKind::Conflict, attempted, format!("{}: {told}", change.subject))
                        }
                        None => Fault::new(FaultKind::Bug, attempted, "it differs and offers no step"),
                    });
                }
            }
        }
    }

    /// Deletes and observes until the resource is absent.
    pub(super) async fn remove(
        &self,
        look: Option<&Look>,
        survey: Option<&Survey>,
    ) -> Result<&'static str, Fault> {
        match (self.node.removal, look) {
            (Removal::Kept, _) => return Ok("kept"),
            (Removal::LookedAt, _) => return Ok("unchanged"),
            (_, Some(Look::After(_))) => return Ok("absent"),
            (Removal::WithContainer, _) => return Ok("goes with its cluster"),
            (Removal::Itself, Some(Look::Behind(_))) => {
                let fault = survey.and_then(Survey::first_fault).cloned();
                return Err(fault.unwrap_or_else(|| {
                    let attempted = format!("remove {}", self.id());
                    Fault::new(FaultKind::Transient, attempted, "what it lives in cannot be reached")
                }));
            }
            (Removal::Itself, _) => {}
        }
        let attempted = format!("remove {}", self.id());
        let pace = Pace::of(self.node);
        let mut begun = false;
        loop {
            let seen = self.telling.alive(self.node.resource.observe(&self.cx)).await?;
            self.shared.publish.unbounded_send(seen.outputs.clone()).ok();
            if seen.state == State::Absent {
                return Ok(if begun { "removed" } else { "absent" });
            }
            if begun {
                self.telling.progress(match seen.state {
                    State::Progressing(status) | State::Broken(status) => status,
                    _ => "going".to_string(),
                });
                self.telling.alive(self.cx.flow.pause(pace.next(), &attempted)).await?;
            }
            if !begun || seen.more_to_remove {
                self.cx.flow.check(&attempted)?;
                *lock(&self.changed) = true;
                begun = true;
                self.telling.alive(self.node.resource.delete(&self.cx)).await?;
            }
        }
    }

    /// Whether something else failed for good and this one has not moved for long: it may need, in a way that
    /// nobody can know, just what failed, and the run has to end with that anyway.
    fn waits_in_vain(&self) -> bool {
        let failed = *lock(&self.shared.failed);
        failed.is_some_and(|failed| failed.max(self.telling.moved()).elapsed() >= self.grace)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long to wait before looking again: a tenth of the time since the last step, so that what is
/// quick is seen quickly and what is slow is not asked all the time.
struct Pace {
    since: Instant,
    shortest: Duration,
    longest: Duration,
}

impl Pace {
    fn of(node: &Node) -> Self {
        let (shortest, longest) = node.resource.pauses();
        Self { since: Instant::now(), shortest, longest: longest.max(shortest) }
    }

    fn next(&self) -> Duration {
        (self.since.elapsed() / 10).clamp(self.shortest, self.longest)
    }
}

fn counted(changes: &[Change]) -> Vec<(ChangeKind, usize)> {
    let mut counts: BTreeMap<ChangeKind, usize> = BTreeMap::new();
    for change in changes {
        *counts.entry(change.kind).or_default() += 1;
    }
    counts.into_iter().collect()
}

fn stuck(attempted: &str, changes: &[Change]) -> Fault {
    let subjects: Vec<&str> = changes.iter().take(3).map(|change| change.subject.as_str()).collect();
    Fault::new(
        FaultKind::Bug,
        attempted,
        format!("the same {} changes are needed after two steps: {}", changes.len(), subjects.join(", ")),
    )
    .hint("something else may be changing it back; `berth plan` shows the fields")
}

fn broken(attempted: &str, reason: &str, changes: &[Change]) -> Fault {
    let in_the_way = changes.iter().any(|change| change.kind == ChangeKind::Conflict);
    Fault::new(if in_the_way { FaultKind::Conflict } else { FaultKind::Invalid }, attempted, reason)
}
