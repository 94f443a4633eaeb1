//! The part of `up` and `down` in which the world is changed: told from the first event to the last.

use std::sync::Arc;
use std::time::Duration;

use super::args::Progress;
use super::exit::{Exit, Failure};
use super::record::Record;
use super::running::Running;
use super::session::Session;
use super::signals::Signals;
use crate::base::{Change, ChangeKind, Fault, FaultKind};
use crate::engine::{
    Direction, EventKind, Events, Graph, Look, Observed, Outcome, Removal, Run, SCHEMA_VERSION, State, Survey,
};
use crate::ui::{Complaint, words};

/// How long is still waited for what does not move, once something else failed for good.
const GRACE: Duration = Duration::from_mins(1);

/// Runs `act` on the session's graph, with journal, progress and record, and says how it ended.
pub(super) async fn work(
    session: &Session<'_>,
    direction: Direction,
    survey: &Survey,
    signals: &Signals,
    act: impl AsyncFnOnce(&Graph, &Run) -> Outcome,
) -> Result<Worked, Failure> {
    let running = Running::default();
    // Where nothing has to be done there is nothing to follow.
    let progress = match direction {
        Direction::Up if survey.is_clean() => Progress::Quiet,
        _ => session.settings.progress,
    };
    let events = session.events(&running, progress)?;
    let before = Record::read(&session.folder)?;
    let record = Record::begun(session, direction);
    record.write(&session.folder)?;
    begin(&events, session, direction, survey);
    let run = Run {
        flow: session.flow(signals),
        clock: Arc::clone(&session.clock),
        events: events.clone(),
        grace: GRACE,
    };
    let outcome = {
        let acting = act(&session.assembly.graph, &run);
        tokio::pin!(acting);
        tokio::select! {
            outcome = &mut acting => outcome,
            () = signals.cancel().requested() => {
                events.send(EventKind::Stopping { running: running.now() });
                acting.await
            }
        }
    };
    let ended = Exit::of_outcome(&outcome, signals.stopped_by());
    let unkept = match direction {
        Direction::Up => session.keep_kubeconfig(&outcome).err(),
        Direction::Down => None,
    };
    let exit = if unkept.is_some() { ended.unkept(outcome.changed) } else { ended };
    let recorded = match before {
        // What this run came upon is as the last one left it; what none has made is nothing to be listed.
        Some(before) if exit != Exit::Done && !outcome.changed => before.write(&session.folder),
        None if exit != Exit::Done && !outcome.changed => Record::remove(&session.folder),
        _ => record.ended(exit).write(&session.folder),
    };
    let mut unkept: Vec<Fault> = unkept.into_iter().chain(recorded.err()).collect();
    if direction == Direction::Down && exit == Exit::Done {
        // Nothing is to be known of what is gone.
        unkept.clear();
    }
    let exit = if unkept.is_empty() { exit } else { exit.unkept(outcome.changed) };
    events.send(EventKind::RunFinished {
        exit_code: exit.code(),
        done: outcome.done.len() + outcome.kept.len(),
        failed: outcome.failed.len(),
        not_ready: outcome.not_ready.len(),
        not_started: outcome.not_started.len(),
    });
    Ok(Worked {
        outcome,
        exit,
        unkept: unkept.iter().map(|fault| unwritten(fault, direction, session)).collect(),
    })
}

/// How the part of a run ended in which the world was changed.
pub(super) struct Worked {
    /// What became of the resources.
    pub(super) outcome: Outcome,
    /// How the run ends.
    pub(super) exit: Exit,
    /// What berth could not write down on this machine. The work itself went on: nothing of it needs that.
    unkept: Vec<Complaint>,
}

impl Worked {
    /// How the run ends once its outcome was told: with what could not be written down, if anything.
    pub(super) fn end(self) -> Result<Exit, Failure> {
        if self.unkept.is_empty() {
            return Ok(self.exit);
        }
        Err(Failure { exit: self.exit, complaints: self.unkept, text: String::new(), answered: false })
    }
}

/// That something could not be written down.
fn unwritten(fault: &Fault, direction: Direction, session: &Session<'_>) -> Complaint {
    let first = match (&fault.hint, fault.kind) {
        (_, FaultKind::Quota) => "make room on that disk",
        (Some(hint), _) => hint,
        (None, _) => "see to that path",
    };
    let again = session.again(direction);
    let then = match direction {
        Direction::Up => " again: what stands stays as it is",
        Direction::Down => "",
    };
    Complaint { next: Some(format!("{first}, then `{again}`{then}")), ..Complaint::of(fault) }
}

fn begin(events: &Events, session: &Session<'_>, direction: Direction, survey: &Survey) {
    events.send(EventKind::RunStarted {
        schema: SCHEMA_VERSION,
        run: session.run.clone(),
        command: direction.to_string(),
        environment: session.about.environment.clone(),
        version: env!("CARGO_PKG_VERSION"),
        notes: survey.notes.clone(),
    });
    for seen in &survey.resources {
        let changes = match direction {
            Direction::Up => seen.changes.clone(),
            // What the profile wants is nothing to a command that takes away.
            Direction::Down if goes(session, seen) => {
                vec![Change::new(ChangeKind::Delete, words::resource(&seen.id))]
            }
            Direction::Down => Vec::new(),
        };
        events.send(EventKind::Planned { resource: seen.id.clone(), changes, notes: seen.notes.clone() });
    }
}

/// Whether `down` takes away what was seen: it stands, or may stand.
pub(super) fn goes(session: &Session<'_>, seen: &Observed) -> bool {
    let mut removals = session.assembly.graph.removals();
    let removal = removals.find(|(known, _)| **known == seen.id).map(|(_, how)| how);
    !matches!(removal, Some(Removal::Kept | Removal::LookedAt))
        && !matches!(seen.look, Look::Seen(State::Absent) | Look::After(_))
}

/// The outcome of a run that had nothing to do.
pub(super) fn nothing_to_do(survey: &Survey) -> Outcome {
    let there = |look: &Look| *look == Look::Seen(State::Ready);
    let done = survey.resources.iter().filter(|seen| there(&seen.look));
    Outcome {
        done: done.map(|seen| (seen.id.clone(), Duration::ZERO)).collect(),
        outputs: survey.outputs.clone(),
        ..Outcome::default()
    }
}
