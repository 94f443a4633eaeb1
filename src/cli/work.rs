//! The part of `up` and `down` in which the world is changed: told from the first event to the last.

use std::sync::Arc;
use std::time::Duration;

use super::args::Progress;
use super::exit::{Exit, Failure};
use super::record::Record;
use super::session::{Running, Session};
use super::signals::Signals;
use crate::base::{Change, ChangeKind};
use crate::engine::{
    EventKind, Events, Graph, Look, Observed, Outcome, Removal, Run, SCHEMA_VERSION, State, Survey,
};
use crate::ui::words;

/// How long is still waited for what does not move, once something else failed for good.
const GRACE: Duration = Duration::from_mins(1);

/// Runs `act` on the session's graph, with journal, progress and record, and says how it ended.
pub(super) async fn work(
    session: &Session<'_>,
    command: &str,
    survey: &Survey,
    signals: &Signals,
    act: impl AsyncFnOnce(&Graph, &Run) -> Outcome,
) -> Result<(Outcome, Exit), Failure> {
    let running = Running::default();
    // Where nothing has to be done there is nothing to follow.
    let progress =
        if command == "up" && survey.is_clean() { Progress::Quiet } else { session.settings.progress };
    let events = session.events(&running, progress)?;
    let before = Record::read(&session.folder)?;
    let record = Record::begun(session, command);
    record.write(&session.folder)?;
    begin(&events, session, command, survey);
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
    let exit = Exit::of_outcome(&outcome, signals.stopped_by());
    events.send(EventKind::RunFinished {
        exit_code: exit.code(),
        done: outcome.done.len() + outcome.kept.len(),
        failed: outcome.failed.len(),
        not_ready: outcome.not_ready.len(),
        not_started: outcome.not_started.len(),
    });
    match before {
        // What this run came upon is as the last one left it; what none has made is nothing to be listed.
        Some(before) if exit != Exit::Done && !outcome.changed => before.write(&session.folder)?,
        None if exit != Exit::Done && !outcome.changed => Record::remove(&session.folder)?,
        _ => record.ended(exit).write(&session.folder)?,
    }
    Ok((outcome, exit))
}

fn begin(events: &Events, session: &Session<'_>, command: &str, survey: &Survey) {
    events.send(EventKind::RunStarted {
        schema: SCHEMA_VERSION,
        run: session.run.clone(),
        command: command.to_string(),
        environment: session.about.environment.clone(),
        version: env!("CARGO_PKG_VERSION"),
    });
    for seen in &survey.resources {
        let changes = match command {
            // What the profile wants is nothing to a command that takes away.
            "down" if goes(session, seen) => {
                vec![Change::new(ChangeKind::Delete, words::resource(&seen.id))]
            }
            "down" => Vec::new(),
            _ => seen.changes.clone(),
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
