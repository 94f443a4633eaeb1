use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc;
use futures::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};

use super::event::{EventKind, Events};
use super::graph::{Graph, Need, Node, Removal};
use super::resource::Outputs;
use super::survey::{Look, Survey};
use super::work::{Ended, Shared, Work, lock};
use crate::base::{Clock, Fault, ResourceId};
use crate::flow::Flow;

/// What a run is given to work with.
#[derive(Clone)]
pub struct Run {
    /// Deadline, cancelling.
    pub flow: Flow,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who is told what happens.
    pub events: Events,
    /// How long is still waited for what does not move, once something failed for good.
    pub grace: Duration,
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Resources that are as they should be, or gone, with the time each took.
    pub done: Vec<(ResourceId, Duration)>,
    /// Resources that `down` leaves: they were there before berth.
    pub kept: Vec<ResourceId>,
    /// Resources that could not be brought there.
    pub failed: Vec<(ResourceId, Fault)>,
    /// Resources of which all was accepted and that were not waited for, with what was seen last: the run was
    /// stopped, or something else failed for good.
    pub not_ready: Vec<(ResourceId, String)>,
    /// Resources that were not begun.
    pub not_started: Vec<ResourceId>,
    /// Whether a step or a deletion was begun.
    pub changed: bool,
    /// How long it took until the last step was accepted; what was made may have become ready later.
    pub accepted: Option<Duration>,
    /// All outputs.
    pub outputs: Outputs,
}

impl Outcome {
    /// Whether every resource is as it should be, or gone.
    pub fn is_whole(&self) -> bool {
        self.failed.is_empty() && self.not_ready.is_empty() && self.not_started.is_empty()
    }
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
    let mut outcome = schedule(graph, run, Direction::Down, Some(survey)).await;
    claim_what_went(graph, &mut outcome);
    outcome
}

/// Leaves in `outcome` as done only what is gone: not what stays, and nothing that was to go with something
/// that did not.
fn claim_what_went(graph: &Graph, outcome: &mut Outcome) {
    for node in graph.nodes() {
        let id = node.resource.id();
        let Some(index) = outcome.done.iter().position(|(done, _)| done == id) else { continue };
        let stands = |other: &ResourceId| {
            outcome.failed.iter().map(|(failed, _)| failed).chain(&outcome.not_started).any(|id| id == other)
        };
        // What only comes behind the cluster, as an addon of the cloud does, goes with it as well.
        let is_inside =
            |need: &Need| matches!(need, Need::Inside(outer) | Need::Ready(outer) if stands(outer));
        match node.removal {
            Removal::Kept => outcome.kept.push(id.clone()),
            Removal::WithContainer if node.needs.iter().any(is_inside) => {
                outcome.not_started.push(id.clone());
            }
            Removal::LookedAt => {}
            Removal::WithContainer | Removal::Itself => continue,
        }
        outcome.done.remove(index);
    }
}

/// Where a run takes an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To where the profile wants it.
    Up,
    /// Away.
    Down,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
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
    let shared = Shared::new(publish);
    let mut running = FuturesUnordered::new();
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
                    leave_out(node.resource.id(), Some(after), run, &mut outcome);
                }
                Readiness::Go if stopping => {
                    begun.insert(index);
                    fates.insert(index, Fate::NotStarted);
                    leave_out(node.resource.id(), None, run, &mut outcome);
                }
                Readiness::Go => {
                    begun.insert(index);
                    let work = Work::new(node, run, outcome.outputs.clone(), &shared);
                    let look = survey.and_then(|survey| survey.look_of(node.resource.id()));
                    running.push(async move {
                        let result = match direction {
                            Direction::Up => work.raise().await,
                            Direction::Down => work.remove(look, survey).await.map(Ended::Done),
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
                outcome.changed |= *lock(&work.changed);
                outcome.accepted = outcome.accepted.max(*lock(&work.accepted));
                while let Ok(outputs) = published.try_recv() {
                    outcome.outputs.extend(&outputs);
                }
                match result {
                    Ok(Ended::Done(result)) => {
                        work.telling.end(Ok(result));
                        fates.insert(index, Fate::Done);
                        outcome.done.push((id, took));
                    }
                    Ok(Ended::NotReady(status)) => {
                        work.telling.leave(status.clone());
                        fates.insert(index, Fate::Failed);
                        outcome.not_ready.push((id, status));
                    }
                    Ok(Ended::Behind(after)) => {
                        fates.insert(index, Fate::NotStarted);
                        leave_out(&id, Some(after), run, &mut outcome);
                    }
                    Err(fault) => {
                        shared.failed();
                        work.telling.end(Err(&fault));
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

/// Notes that `resource` is not begun: it waited for `after`, or the run is stopped.
fn leave_out(resource: &ResourceId, after: Option<ResourceId>, run: &Run, outcome: &mut Outcome) {
    run.events.send(EventKind::NotStarted { resource: resource.clone(), after });
    outcome.not_started.push(resource.clone());
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
