use crate::base::ResourceId;
use crate::engine::{Event, EventKind};
use crate::ui::words::{resource, throttled};

/// What is known of a run from its events so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    /// `up` or `down`.
    pub(super) command: String,
    /// How many resources there are; 0 while that is not known.
    pub(super) total: usize,
    /// What is being worked on, oldest first.
    pub(super) active: Vec<Active>,
    /// How many are as they should be, or gone.
    pub(super) done: usize,
    /// How many failed.
    pub(super) failed: usize,
    /// Whether the user asked to stop.
    pub(super) stopping: bool,
    /// Whether the run is over.
    pub(super) over: bool,
}

/// A resource that is being worked on.
#[derive(Debug, Clone)]
pub(super) struct Active {
    pub(super) id: ResourceId,
    pub(super) title: String,
    /// Milliseconds of the run at which it began.
    pub(super) since_ms: u64,
    pub(super) status: String,
    /// Done, total, unit.
    pub(super) counted: Option<(usize, usize, &'static str)>,
    /// The repetition that a hiccup led to.
    pub(super) retrying: Option<u32>,
}

impl Board {
    /// Takes notice of an event.
    pub(super) fn on(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted { command, .. } => self.command.clone_from(command),
            EventKind::Planned { .. } => self.total += 1,
            EventKind::Started { resource: id } => self.active.push(Active {
                id: id.clone(),
                title: resource(id),
                since_ms: event.elapsed_ms,
                status: String::new(),
                counted: None,
                retrying: None,
            }),
            EventKind::Step { resource, changes } => self.change(resource, |active| {
                active.counted = None;
                active.retrying = None;
                active.status = step(changes);
            }),
            EventKind::Counted { resource, done, total, unit } => self.change(resource, |active| {
                active.counted = Some((*done, *total, unit));
                active.retrying = None;
            }),
            EventKind::Progressing { resource, status } | EventKind::Heartbeat { resource, status, .. } => {
                self.change(resource, |active| {
                    if active.status != *status && !status.is_empty() {
                        active.counted = None;
                        active.retrying = None;
                        active.status.clone_from(status);
                    }
                });
            }
            EventKind::Retrying { resource, fault, attempt, reason, .. } => self.change(resource, |active| {
                active.retrying = Some(*attempt);
                active.status = format!("{}{reason}", throttled(*fault));
            }),
            EventKind::Accepted { resource, .. } => self.change(resource, |active| {
                active.counted = None;
                active.retrying = None;
                active.status = "accepted".to_string();
            }),
            EventKind::Finished { resource, .. } => self.end(resource, false),
            EventKind::Failed { resource, .. } => self.end(resource, true),
            EventKind::NotReady { resource, .. } | EventKind::NotStarted { resource, .. } => {
                self.active.retain(|active| active.id != *resource);
            }
            EventKind::Stopping { .. } => self.stopping = true,
            EventKind::RunFinished { .. } => self.over = true,
        }
    }

    fn change(&mut self, id: &ResourceId, change: impl FnOnce(&mut Active)) {
        if let Some(active) = self.active.iter_mut().find(|active| active.id == *id) {
            change(active);
        }
    }

    fn end(&mut self, id: &ResourceId, failed: bool) {
        self.active.retain(|active| active.id != *id);
        self.done += usize::from(!failed);
        self.failed += usize::from(failed);
    }
}

/// `3 to create, 1 to update`.
pub(super) fn step(changes: &[(crate::base::ChangeKind, usize)]) -> String {
    let parts: Vec<String> = changes
        .iter()
        .map(|(kind, many)| {
            let word = format!("{kind:?}").to_lowercase();
            format!("{} to {word}", crate::ui::words::number(*many))
        })
        .collect();
    parts.join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::base::RunId;
    use crate::engine::SCHEMA_VERSION;

    pub(in crate::ui::progress) fn started() -> EventKind {
        EventKind::RunStarted {
            schema: SCHEMA_VERSION,
            run: RunId::new(Timestamp::UNIX_EPOCH, 1),
            command: "up".to_string(),
            environment: "lab".to_string(),
            version: "0.1.0",
            notes: Vec::new(),
        }
    }

    pub(in crate::ui::progress) fn stream(kinds: Vec<(u64, EventKind)>) -> Vec<Event> {
        (1..)
            .zip(kinds)
            .map(|(seq, (elapsed_ms, kind))| Event { seq, time: Timestamp::UNIX_EPOCH, elapsed_ms, kind })
            .collect()
    }

    pub(in crate::ui::progress) fn id(text: &str) -> ResourceId {
        ResourceId::new(text)
    }

    #[test]
    fn what_is_not_begun_after_all_is_worked_on_no_longer() {
        let addon = id("eks-addon/coredns");
        let mut board = Board::default();
        let after = Some(id("node-group/general"));
        for event in stream(vec![
            (0, EventKind::Started { resource: addon.clone() }),
            (10, EventKind::NotStarted { resource: addon, after }),
        ]) {
            board.on(&event);
        }
        assert!(board.active.is_empty(), "{board:?}");
        assert_eq!((board.done, board.failed), (0, 0));
    }
}
