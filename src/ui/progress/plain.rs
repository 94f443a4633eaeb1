use std::collections::BTreeMap;
use std::io::Write;

use super::board::{Board, step};
use crate::base::{FaultKind, Layer, ResourceId};
use crate::engine::{Event, EventKind, Listener};
use crate::ui::words::{self, milliseconds, number, resource, throttled};

/// Counts below this many are not worth a line of their own.
const COUNTED_FROM: usize = 100;
/// No more than one line of counting per resource in this time.
const COUNT_PAUSE_MS: u64 = 5_000;

/// One line per change of state with the time since the run began: for logs and screen readers.
pub struct Plain<W> {
    out: W,
    board: Board,
    counted_at: BTreeMap<ResourceId, u64>,
    /// Why what failed did so, each told once.
    failed: BTreeMap<String, ResourceId>,
}

impl<W: Write> Plain<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, board: Board::default(), counted_at: BTreeMap::new(), failed: BTreeMap::new() }
    }

    /// What to say of an event; nothing of those that change no state.
    fn line(&mut self, event: &Event) -> Option<String> {
        let progress = |board: &Board| {
            if board.total == 0 { String::new() } else { format!("  [{}/{}]", board.done, board.total) }
        };
        Some(match &event.kind {
            EventKind::RunStarted { command, environment, .. } => format!("{command} {environment}"),
            // What changes nothing that the profile speaks of says what it does by itself.
            EventKind::Step { changes, .. } if changes.is_empty() => return None,
            EventKind::Step { resource: id, changes } => format!("{}: {}", resource(id), step(changes)),
            EventKind::Accepted { resource: id, took_ms } => {
                format!("{}: accepted{}", resource(id), took(*took_ms))
            }
            EventKind::Counted { resource: id, done, total, unit } => {
                let last = self.counted_at.get(id).copied().unwrap_or(0);
                let due = *total >= COUNTED_FROM && event.elapsed_ms >= last + COUNT_PAUSE_MS;
                if !due {
                    return None;
                }
                self.counted_at.insert(id.clone(), event.elapsed_ms);
                format!("{}: {} of {} {unit}", resource(id), number(*done), number(*total))
            }
            EventKind::Progressing { resource: id, status } => format!("{}: {status}", resource(id)),
            EventKind::Heartbeat { resource: id, since_ms, status } => {
                let at = if status.is_empty() { String::new() } else { format!(": {status}") };
                format!("{}: still working after {}{at}", resource(id), milliseconds(*since_ms))
            }
            EventKind::Retrying { resource: id, fault, reason, attempt, pause_ms } => format!(
                "{}: {}{reason}; trying again in {} (attempt {})",
                resource(id),
                throttled(*fault),
                milliseconds(*pause_ms),
                attempt + 1
            ),
            EventKind::Finished { resource: id, result: "unchanged" | "goes with its cluster", .. }
                if id.layer() == Layer::Records =>
            {
                return None;
            }
            EventKind::Finished { resource: id, result, took_ms } => {
                format!("{}: {result}{}{}", resource(id), took(*took_ms), progress(&self.board))
            }
            EventKind::NotReady { resource: id, status, took_ms } => {
                format!("{}: not waited for any longer{}: {status}", resource(id), took(*took_ms))
            }
            EventKind::Failed { resource: id, fault: FaultKind::Cancelled, took_ms, .. } => {
                format!("{}: stopped{}", resource(id), took(*took_ms))
            }
            EventKind::Failed { resource: id, reason, took_ms, .. } => {
                // What was attempted stands before why it failed.
                let why = reason.split_once(": ").map_or(reason.as_str(), |(_, why)| why).to_string();
                let first = self.failed.entry(why).or_insert_with(|| id.clone());
                let told = if first == id { reason.clone() } else { format!("as {}", resource(first)) };
                format!("{}: FAILED{}: {told}", resource(id), took(*took_ms))
            }
            EventKind::Stopping { running } if running.is_empty() => "stopping".to_string(),
            EventKind::Stopping { running } => {
                let names: Vec<String> = running.iter().map(resource).collect();
                format!(
                    "stopping: finishing what runs in {}; a second Ctrl-C stops at once",
                    words::list(&names)
                )
            }
            // What runs shows by its steps and signs of life; the rest stands in the plan and the report.
            EventKind::Started { .. }
            | EventKind::Planned { .. }
            | EventKind::NotStarted { .. }
            | EventKind::RunFinished { .. } => return None,
        })
    }
}

impl<W: Write + Send> Listener for Plain<W> {
    fn on(&mut self, event: &Event) {
        self.board.on(event);
        if let Some(line) = self.line(event) {
            let line = words::cut(&line, 500);
            // Nobody reads a closed standard error; the run goes on.
            writeln!(self.out, "{:>9}  {line}", milliseconds(event.elapsed_ms)).ok();
        }
    }
}

/// ` (3.4 s)`; nothing of what took no time.
fn took(time: u64) -> String {
    if time < 50 { String::new() } else { format!(" ({})", milliseconds(time)) }
}

#[cfg(test)]
mod tests {
    use super::super::board::tests::{id, started, stream};
    use super::*;
    use crate::base::ChangeKind;

    fn told(kinds: Vec<(u64, EventKind)>) -> String {
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out);
        for event in stream(kinds) {
            plain.on(&event);
        }
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_run_is_told_line_by_line() {
        let cluster = id("cluster/kwok/lab");
        let planned =
            |text: &str| EventKind::Planned { resource: id(text), changes: Vec::new(), notes: Vec::new() };
        let text = told(vec![
            (0, started()),
            (0, planned("cluster/kwok/lab")),
            (0, planned("tenants")),
            (10, EventKind::Started { resource: cluster.clone() }),
            (20, EventKind::Step { resource: cluster.clone(), changes: vec![(ChangeKind::Create, 1)] }),
            (
                900,
                EventKind::Retrying {
                    resource: cluster.clone(),
                    fault: FaultKind::Transient,
                    reason: "cannot ask the API server: connection refused".to_string(),
                    attempt: 1,
                    pause_ms: 250,
                },
            ),
            (
                950,
                EventKind::Retrying {
                    resource: cluster.clone(),
                    fault: FaultKind::Throttled,
                    reason: "cannot list nodes: slow down".to_string(),
                    attempt: 1,
                    pause_ms: 250,
                },
            ),
            (
                10_000,
                EventKind::Heartbeat {
                    resource: cluster.clone(),
                    since_ms: 9_990,
                    status: "starting".to_string(),
                },
            ),
            (10_100, EventKind::Finished { resource: cluster.clone(), result: "ready", took_ms: 10_090 }),
            (10_200, EventKind::NotStarted { resource: id("tenants"), after: Some(id("node-groups")) }),
        ]);
        let expected = "    0.0 s  up lab
    0.0 s  cluster kwok/lab: 1 to create
    0.9 s  cluster kwok/lab: cannot ask the API server: connection refused; trying again in 0.3 s (attempt 2)
    1.0 s  cluster kwok/lab: throttled: cannot list nodes: slow down; trying again in 0.3 s (attempt 2)
   10.0 s  cluster kwok/lab: still working after 10.0 s: starting
   10.1 s  cluster kwok/lab: ready (10.1 s)  [1/2]
";
        assert_eq!(text, expected);
    }

    #[test]
    fn why_several_failed_alike_is_told_once() {
        let failed = |text: &str, reason: &str| EventKind::Failed {
            resource: id(text),
            fault: FaultKind::Transient,
            reason: reason.to_string(),
            hint: None,
            took_ms: 0,
        };
        let text = told(vec![
            (0, failed("cluster/kind/lab", "cannot list containers: no engine")),
            (0, failed("registry/local", "cannot look at containers: no engine")),
        ]);
        let expected = "    0.0 s  cluster kind/lab: FAILED: cannot list containers: no engine
    0.0 s  registry local: FAILED: as cluster kind/lab
";
        assert_eq!(text, expected);
    }

    #[test]
    fn counting_is_told_now_and_then() {
        let counted =
            |done| EventKind::Counted { resource: id("tenants"), done, total: 900, unit: "objects" };
        let text = told((0..900).map(|n| (u64::try_from(n).expect("small") * 10, counted(n))).collect());
        assert_eq!(text, "    5.0 s  tenants: 500 of 900 objects\n");
    }
}
