use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::graph::{Graph, Need, Node};
use super::resource::{Cx, Outputs, Seen, State};
use crate::base::{Change, ChangeKind, Clock, Fault, FaultKind, Note, ResourceId};
use crate::flow::Flow;

/// What observing the whole graph once found, in the order of the graph.
#[derive(Debug)]
pub struct Survey {
    /// One entry per resource.
    pub resources: Vec<Observed>,
    /// What the user should know that concerns no single resource. Nothing, until somebody knows of something.
    pub notes: Vec<Note>,
    /// All outputs that were published.
    pub outputs: Outputs,
}

/// What one resource looks like.
#[derive(Debug)]
pub struct Observed {
    /// Which.
    pub id: ResourceId,
    /// What looking at it gave.
    pub look: Look,
    /// How it differs from the profile.
    pub changes: Vec<Change>,
    /// What the user should know besides.
    pub notes: Vec<Note>,
}

/// What looking at a resource gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It was observed and is in this state.
    Seen(State),
    /// It was not asked, since what it lives in is not there: it is to be made after that.
    After(ResourceId),
    /// It was not asked, since this one could not be observed, or stands and cannot be reached before
    /// it is started.
    Behind(ResourceId),
    /// It could not be observed.
    Failed(Fault),
}

impl Survey {
    /// Whether nothing would change and everything works.
    pub fn is_clean(&self) -> bool {
        self.resources.iter().all(|seen| {
            seen.changes.is_empty() && matches!(seen.look, Look::Seen(State::Ready | State::Absent))
        })
    }

    /// Whether something would change.
    pub fn has_changes(&self) -> bool {
        self.resources.iter().any(|seen| !seen.changes.is_empty())
    }

    /// All changes, with the resource that they belong to.
    pub fn changes(&self) -> impl Iterator<Item = (&ResourceId, &Change)> {
        self.resources.iter().flat_map(|seen| seen.changes.iter().map(move |change| (&seen.id, change)))
    }

    /// Whether something was not asked since what it lives in stands and has to be started first.
    pub fn is_partial(&self) -> bool {
        self.first_fault().is_none() && self.resources.iter().any(|seen| matches!(seen.look, Look::Behind(_)))
    }

    /// What looking at a resource gave.
    pub fn look_of(&self, id: &ResourceId) -> Option<&Look> {
        self.resources.iter().find(|seen| seen.id == *id).map(|seen| &seen.look)
    }

    /// What could not be observed first.
    pub fn first_fault(&self) -> Option<&Fault> {
        self.resources.iter().find_map(|seen| match &seen.look {
            Look::Failed(fault) => Some(fault),
            _ => None,
        })
    }
}

/// Observes every resource once, as many at a time as their needs allow. Changes nothing.
pub async fn survey(graph: &Graph, flow: &Flow, clock: &Arc<dyn Clock>) -> Survey {
    let nodes = graph.nodes();
    let mut found: Vec<Option<Observed>> = nodes.iter().map(|_| None).collect();
    let mut begun = vec![false; nodes.len()];
    let mut outputs = Outputs::default();
    let mut running = FuturesUnordered::new();
    loop {
        for (index, node) in nodes.iter().enumerate() {
            if begun[index] {
                continue;
            }
            match standing(node, nodes, &found, &outputs) {
                Standing::Wait => continue,
                Standing::Settled(look) => found[index] = Some(unasked(node, look, &found)),
                Standing::Go => {
                    let cx = Cx { outputs: outputs.clone(), flow: flow.clone(), clock: Arc::clone(clock) };
                    running.push(async move { (index, node.resource.observe(&cx).await) });
                }
            }
            begun[index] = true;
        }
        let Some((index, result)) = running.next().await else { break };
        if let Ok(seen) = &result {
            outputs.extend(&seen.outputs);
        }
        found[index] = Some(observed(nodes[index].resource.id(), result));
    }
    let mut resources: Vec<Observed> = found.into_iter().flatten().collect();
    for node in nodes.iter().rev() {
        if is_for_nothing(node, nodes, &resources)
            && let Some(seen) = resources.iter_mut().find(|seen| seen.id == *node.resource.id())
        {
            seen.changes.retain(|change| change.kind == ChangeKind::Conflict);
        }
    }
    Survey { resources, notes: Vec::new(), outputs }
}

/// Whether it would be made for something alone that is not made, since somebody else's thing is in the way of that.
fn is_for_nothing(node: &Node, nodes: &[Node], all: &[Observed]) -> bool {
    let id = node.resource.id();
    let look_at = |id: &ResourceId| all.iter().find(|seen| seen.id == *id);
    let is_absent = |seen: &Observed| seen.look == Look::Seen(State::Absent);
    let is_kept_out = |seen: &&Observed| match &seen.look {
        Look::After(first) => look_at(first).is_some_and(is_in_conflict),
        _ => is_absent(seen) && is_in_conflict(seen),
    };
    let is_left = |seen: &&Observed| seen.changes.iter().all(|change| change.kind == ChangeKind::Conflict);
    let needs_it = |other: &&Node| other.needs.iter().any(|need| need.on() == id);
    let users = || nodes.iter().filter(needs_it).filter_map(|other| look_at(other.resource.id()));
    look_at(id).is_some_and(is_absent)
        && users().any(|seen| is_kept_out(&seen))
        && users().all(|seen| is_left(&seen))
}

enum Standing {
    Go,
    Wait,
    Settled(Look),
}

/// Whether a node can be asked. Its needs come before it in the graph, so one pass in order
/// settles everything that waits for nothing running.
fn standing(node: &Node, nodes: &[Node], found: &[Option<Observed>], outputs: &Outputs) -> Standing {
    for need in &node.needs {
        let looks_alone = node.resource.looks_alone();
        if matches!(need, Need::Ready(_)) && !looks_alone {
            continue;
        }
        let other = need.on();
        let Some(index) = nodes.iter().position(|candidate| candidate.resource.id() == other) else {
            continue;
        };
        let Some(seen) = &found[index] else { return Standing::Wait };
        if looks_alone {
            let is_beside = node.resource.beside() == Some(other);
            match &seen.look {
                // Whether there is one at all is not known: nothing can be said of what lives beside it.
                Look::Failed(fault) if is_beside && is_unanswered(fault) => {
                    return Standing::Settled(Look::Behind(other.clone()));
                }
                // What lives beside that of somebody else is none of ours.
                Look::Seen(State::Absent) if is_beside && is_in_conflict(seen) => {
                    return Standing::Settled(Look::After(other.clone()));
                }
                _ => continue,
            }
        }
        let reachable = match need {
            Need::Output { key, .. } => outputs.has(key),
            _ => outputs.has(Outputs::CLUSTER_ACCESS),
        };
        match &seen.look {
            Look::After(first) => return Standing::Settled(Look::After(first.clone())),
            // Who is behind somebody who was not asked is behind the same.
            Look::Behind(first) => return Standing::Settled(Look::Behind(first.clone())),
            Look::Seen(_) if reachable => {}
            Look::Seen(_) if is_to_be_made(seen) => return Standing::Settled(Look::After(other.clone())),
            _ => return Standing::Settled(Look::Behind(other.clone())),
        }
    }
    Standing::Go
}

/// Whether a fault says nothing of the live world: nobody answered. What the profile asks for in vain is another thing:
/// what else it asks for in vain is told with it.
fn is_unanswered(fault: &Fault) -> bool {
    !matches!(fault.kind, FaultKind::Invalid | FaultKind::Quota | FaultKind::Conflict)
}

/// Whether nothing can be inside: it is not there, or it is made anew. What is made of something that stands is a part
/// of it.
fn is_to_be_made(seen: &Observed) -> bool {
    let stands = seen.look == Look::Seen(State::Ready);
    let made = |change: &Change| match change.kind {
        ChangeKind::Create => !stands,
        kind => kind == ChangeKind::Replace,
    };
    seen.look == Look::Seen(State::Absent) || seen.changes.iter().any(made)
}

/// Whether somebody else's thing is in the way of it.
fn is_in_conflict(seen: &Observed) -> bool {
    seen.changes.iter().any(|change| change.kind == ChangeKind::Conflict)
}

fn unasked(node: &Node, look: Look, found: &[Option<Observed>]) -> Observed {
    let outline = node.resource.outline();
    let comes = |other: &ResourceId| {
        let is_it = |seen: &&Observed| seen.id == *other;
        found.iter().flatten().find(is_it).is_none_or(|seen| !is_in_conflict(seen))
    };
    let changes = match &look {
        Look::After(other) if !outline.is_empty() && comes(other) => {
            vec![Change::new(ChangeKind::Create, outline).because(format!("after {other}"))]
        }
        _ => Vec::new(),
    };
    Observed { id: node.resource.id().clone(), look, changes, notes: Vec::new() }
}

fn observed(id: &ResourceId, result: Result<Seen, Fault>) -> Observed {
    match result {
        Ok(Seen { behind: Some(other), notes, .. }) => {
            Observed { id: id.clone(), look: Look::Behind(other), changes: Vec::new(), notes }
        }
        Ok(seen) => Observed {
            id: id.clone(),
            look: Look::Seen(seen.state),
            changes: seen.changes,
            notes: seen.notes,
        },
        Err(fault) => {
            Observed { id: id.clone(), look: Look::Failed(fault), changes: Vec::new(), notes: Vec::new() }
        }
    }
}
