use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::channel::mpsc;
use futures::stream::FuturesUnordered;

use super::event::{EventKind, Events, milliseconds};
use super::graph::{Graph, Need, Node, Removal};
use super::resource::{Cx, Outputs, State};
use super::survey::{Look, Survey};
use super::telling::Telling;
use crate::base::{Change, ChangeKind, Clock, Fault, FaultKind, ResourceId};
use crate::flow::Flow;

/// The pauses between two observations.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a run is given to work with.
#[derive(Clone)]
pub struct Run {
    /// Deadline, cancelling.
    pub flow: Flow,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who is told what happens.
    pub events: Events,
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Resources that are as they should be, or gone, with the time each took.
    pub done: Vec<(ResourceId, Duration)>,
    /// Resources that could not be brought there.
    pub failed: Vec<(ResourceId, Fault)>,
    /// Resources that were not begun.
    pub not_started: Vec<ResourceId>,
    /// Whether a step or a deletion was begun.
    pub changed: bool,
    /// How long it took until the last step was accepted; what was made may have become ready later.
    pub accepted: Option<Duration>,
    /// All outputs.
    pub outputs: Outputs,
}

/// Brings every resource to where the profile wants it, each as soon as what it needs stands.
pub async fn converge(graph: &Graph, run: &Run) -> Outcome {
    schedule(graph, run, Direction::Up, None).await
}

/// Brings only those resources up that `survey` could look at, so that the others can be looked at.
pub async fn converge_seen(graph: &Graph, survey: &Survey, run: &Run) -> Outcome {
    schedule(graph, run, Direction::Up, Some(survey)).await
}

/// Removes every resource, in reverse order; ends when each is seen to be absent. What `survey`
/// found to lie in something absent is absent without being asked.
pub async fn remove(graph: &Graph, survey: &Survey, run: &Run) -> Outcome {
    schedule(graph, run, Direction::Down, Some(survey)).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

enum Fate {
    Done,
    Failed,
    NotStarted,
}

async fn schedule(graph: &Graph, run: &Run, direction: Direction, survey: Option<&Survey>) -> Outcome {
    let nodes = graph.nodes();
    // The outer things that publish how the inner ones are reached go last: so what the survey saw counts.
    let known = survey.map(|survey| survey.outputs.clone()).unwrap_or_default();
    let mut outcome = Outcome { outputs: known, ..Outcome::default() };
    let mut fates: BTreeMap<usize, Fate> = BTreeMap::new();
    let mut begun: BTreeSet<usize> = match (direction, survey) {
        (Direction::Up, Some(survey)) => not_seen(nodes, survey),
        _ => BTreeSet::new(),
    };
    let (publish, mut published) = mpsc::unbounded::<Outputs>();
    let mut running = FuturesUnordered::new();
    let run_began = Instant::now();
    loop {
        let stopping = run.flow.check("start").is_err();
        for (index, node) in in_order(nodes, direction) {
            if begun.contains(&index) {
                continue;
            }
            match readiness(index, nodes, &fates, &outcome.outputs, direction) {
                Readiness::Blocked(after) => {
                    begun.insert(index);
                    fates.insert(index, Fate::NotStarted);
                    let resource = node.resource.id().clone();
                    run.events.send(EventKind::NotStarted { resource: resource.clone(), after: Some(after) });
                    outcome.not_started.push(resource);
                }
                Readiness::Go if stopping => {
                    begun.insert(index);
                    fates.insert(index, Fate::NotStarted);
                    let resource = node.resource.id().clone();
                    run.events.send(EventKind::NotStarted { resource: resource.clone(), after: None });
                    outcome.not_started.push(resource);
                }
                Readiness::Go => {
                    begun.insert(index);
                    let work = Work::new(node, run, run_began, outcome.outputs.clone(), publish.clone());
                    let look = survey.and_then(|survey| survey.look_of(node.resource.id()));
                    running.push(async move {
                        let result = match direction {
                            Direction::Up => work.raise().await,
                            Direction::Down => work.remove(look, survey).await,
                        };
                        let result = result.map_err(|fault| work.telling.explained(fault));
                        (index, work, result)
                    });
                }
                Readiness::Wait => {}
            }
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            Some((index, work, result)) = running.next() => {
                let id = nodes[index].resource.id().clone();
                let took = work.telling.took();
                work.telling.end(result.as_ref().copied());
                outcome.changed |= *lock(&work.changed);
                outcome.accepted = outcome.accepted.max(*lock(&work.accepted));
                while let Ok(outputs) = published.try_recv() {
                    outcome.outputs.extend(&outputs);
                }
                match result {
                    Ok(_) => {
                        fates.insert(index, Fate::Done);
                        outcome.done.push((id, took));
                    }
                    Err(fault) => {
                        fates.insert(index, Fate::Failed);
                        outcome.failed.push((id, fault));
                    }
                }
            }
            Some(outputs) = published.next() => outcome.outputs.extend(&outputs),
        }
    }
    outcome
}

/// The resources that `survey` could not look at.
fn not_seen(nodes: &[Node], survey: &Survey) -> BTreeSet<usize> {
    let seen = |node: &Node| matches!(survey.look_of(node.resource.id()), Some(Look::Seen(_)));
    nodes.iter().enumerate().filter(|(_, node)| !seen(node)).map(|(index, _)| index).collect()
}

fn in_order(nodes: &[Node], direction: Direction) -> Vec<(usize, &Node)> {
    let mut ordered: Vec<(usize, &Node)> = nodes.iter().enumerate().collect();
    if direction == Direction::Down {
        ordered.reverse();
    }
    ordered
}

enum Readiness {
    Go,
    Wait,
    Blocked(ResourceId),
}

fn readiness(
    index: usize,
    nodes: &[Node],
    fates: &BTreeMap<usize, Fate>,
    outputs: &Outputs,
    direction: Direction,
) -> Readiness {
    let this = &nodes[index];
    let position = |id: &ResourceId| nodes.iter().position(|node| node.resource.id() == id);
    let before: Vec<(usize, bool)> = match direction {
        Direction::Up => this
            .needs
            .iter()
            .filter_map(|need| {
                let satisfied_early = matches!(need, Need::Output { key, .. } if outputs.has(key));
                position(need.on()).map(|other| (other, satisfied_early))
            })
            .collect(),
        Direction::Down => nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.needs.iter().any(|need| need.on() == this.resource.id()))
            .map(|(other, _)| (other, false))
            .collect(),
    };
    let mut wait = false;
    for (other, satisfied_early) in before {
        match fates.get(&other) {
            Some(Fate::Done) => {}
            _ if satisfied_early => {}
            Some(Fate::Failed | Fate::NotStarted) => {
                return Readiness::Blocked(nodes[other].resource.id().clone());
            }
            None => wait = true,
        }
    }
    if wait { Readiness::Wait } else { Readiness::Go }
}

/// The work on one resource.
struct Work<'a> {
    node: &'a Node,
    cx: Cx,
    events: Events,
    publish: mpsc::UnboundedSender<Outputs>,
    telling: Telling,
    changed: Mutex<bool>,
    run_began: Instant,
    accepted: Mutex<Option<Duration>>,
}

impl<'a> Work<'a> {
    fn new(
        node: &'a Node,
        run: &Run,
        run_began: Instant,
        outputs: Outputs,
        publish: mpsc::UnboundedSender<Outputs>,
    ) -> Self {
        let telling = Telling::begin(node.resource.id().clone(), &run.events, &run.flow);
        Self {
            node,
            cx: Cx { outputs, flow: telling.flow().clone(), clock: Arc::clone(&run.clock) },
            events: run.events.clone(),
            publish,
            telling,
            changed: Mutex::new(false),
            run_began,
            accepted: Mutex::new(None),
        }
    }

    fn id(&self) -> &ResourceId {
        self.node.resource.id()
    }

    /// Observes and takes steps until the resource is ready and nothing differs.
    async fn raise(&self) -> Result<&'static str, Fault> {
        let attempted = format!("bring up {}", self.id());
        let mut pace = Pace::new();
        let mut taken: Vec<Vec<Change>> = Vec::new();
        let mut waited = false;
        loop {
            let seen = self.telling.alive(self.node.resource.observe(&self.cx)).await?;
            // The receiver lives as long as the scheduler that polls this work.
            self.publish.unbounded_send(seen.outputs.clone()).ok();
            match (seen.state, seen.step) {
                (State::Ready | State::Absent, None) if seen.changes.is_empty() => {
                    return Ok(if taken.is_empty() && !waited { "unchanged" } else { "ready" });
                }
                (_, Some(step)) => {
                    if taken.iter().filter(|earlier| **earlier == seen.changes).count() >= 2 {
                        return Err(stuck(&attempted, &seen.changes));
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
                    *lock(&self.accepted) = Some(self.run_began.elapsed());
                    self.events.send(EventKind::Accepted { resource: self.id().clone(), took_ms });
                    pace = Pace::new();
                }
                (State::Progressing(status), None) => {
                    waited = true;
                    self.telling.progress(status);
                    self.telling.alive(self.cx.flow.pause(pace.next(), &attempted)).await?;
                }
                (State::Broken(reason), None) => return Err(broken(&attempted, &reason, &seen.changes)),
                (State::Ready | State::Absent, None) => {
                    let conflict = seen.changes.iter().find(|change| change.kind == ChangeKind::Conflict);
                    return Err(match conflict.and_then(|change| Some((change, change.reason.as_ref()?))) {
                        Some((change, why)) => {
                            Fault::new(FaultKind::Conflict, attempted, format!("{}: {why}", change.subject))
                        }
                        None => Fault::new(FaultKind::Bug, attempted, "it differs and offers no step"),
                    });
                }
            }
        }
    }

    /// Deletes and observes until the resource is absent.
    async fn remove(&self, look: Option<&Look>, survey: Option<&Survey>) -> Result<&'static str, Fault> {
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
        let pace = Pace::new();
        let mut begun = false;
        loop {
            let seen = self.telling.alive(self.node.resource.observe(&self.cx)).await?;
            self.publish.unbounded_send(seen.outputs.clone()).ok();
            if seen.state == State::Absent {
                return Ok(if begun { "removed" } else { "absent" });
            }
            if begun {
                self.telling.progress(match seen.state {
                    State::Progressing(status) => status,
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
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long to wait before looking again: a twelfth of the time since the last step, so that what is
/// quick is seen quickly and what is slow is not asked all the time.
struct Pace(Instant);

impl Pace {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn next(&self) -> Duration {
        (self.0.elapsed() / 12).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
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
