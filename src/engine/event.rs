use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use crate::base::{Change, ChangeKind, Clock, FaultKind, Note, ResourceId, RunId};

/// The version of the event schema; it grows when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// One thing that happened in a run. The journal, the progress display and `--output json` are
/// three readers of the same stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Counts from 1 within a run.
    pub seq: u64,
    /// When it happened.
    pub time: Timestamp,
    /// Milliseconds since the run began.
    pub elapsed_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// The first event of a run.
    RunStarted {
        /// The schema version of all events of this run.
        schema: u32,
        /// The run.
        run: RunId,
        /// `up` or `down`.
        command: String,
        /// The environment's name.
        environment: String,
        /// The version of berth.
        version: &'static str,
        /// What the user should know that concerns no single resource.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        notes: Vec<Note>,
    },
    /// What the plan says of one resource.
    Planned {
        /// Which.
        resource: ResourceId,
        /// What would change.
        changes: Vec<Change>,
        /// What the user should know besides.
        notes: Vec<Note>,
    },
    /// Work on a resource began.
    Started {
        /// Which.
        resource: ResourceId,
    },
    /// A step is taken.
    Step {
        /// Which resource.
        resource: ResourceId,
        /// How many changes it makes, by kind.
        changes: Vec<(ChangeKind, usize)>,
    },
    /// Everything that a step asked for was accepted; it may still have to become ready.
    Accepted {
        /// Which resource.
        resource: ResourceId,
        /// Milliseconds since work on the resource began.
        took_ms: u64,
    },
    /// So many of so many are done.
    Counted {
        /// Which resource.
        resource: ResourceId,
        /// How many are done.
        done: usize,
        /// How many there are.
        total: usize,
        /// What is counted.
        unit: &'static str,
    },
    /// A resource is on its way.
    Progressing {
        /// Which.
        resource: ResourceId,
        /// Where it is.
        status: String,
    },
    /// A resource has been worked on for a while: a sign of life after 10, 30, then every 60 s.
    Heartbeat {
        /// Which.
        resource: ResourceId,
        /// For how long.
        since_ms: u64,
        /// Where it is.
        status: String,
    },
    /// A call failed and is made again.
    Retrying {
        /// Which resource.
        resource: ResourceId,
        /// The class of the fault.
        fault: FaultKind,
        /// What was attempted and why it failed.
        reason: String,
        /// Which repetition comes next, from 1.
        attempt: u32,
        /// The pause before it.
        pause_ms: u64,
    },
    /// A resource is as it should be, or gone.
    Finished {
        /// Which.
        resource: ResourceId,
        /// `ready`, `unchanged`, `removed`, `absent`, `kept`.
        result: &'static str,
        /// How long it took.
        took_ms: u64,
    },
    /// A resource could not be brought to where it should be.
    Failed {
        /// Which.
        resource: ResourceId,
        /// The class of the fault.
        fault: FaultKind,
        /// What was attempted and why it failed.
        reason: String,
        /// What to type next.
        hint: Option<String>,
        /// How long was tried.
        took_ms: u64,
    },
    /// Everything that was asked of a resource was accepted, and it is not waited for until it is ready: the run
    /// was stopped, or another resource failed for good and this one did not move any more.
    NotReady {
        /// Which.
        resource: ResourceId,
        /// Where it was when it was looked at last.
        status: String,
        /// How long it was waited for.
        took_ms: u64,
    },
    /// A resource was not begun because another one failed or the run was stopped.
    NotStarted {
        /// Which.
        resource: ResourceId,
        /// Which one it waited for.
        after: Option<ResourceId>,
    },
    /// The user asked to stop.
    Stopping {
        /// What is still running and is being finished.
        running: Vec<ResourceId>,
    },
    /// The last event of a run.
    RunFinished {
        /// The exit code of the run.
        exit_code: u8,
        /// How many resources are as they should be, or gone.
        done: usize,
        /// How many failed.
        failed: usize,
        /// How many were accepted and not waited for.
        not_ready: usize,
        /// How many were not begun.
        not_started: usize,
    },
}

/// Somebody who is told every event, in order.
pub trait Listener: Send {
    /// Takes notice of `event`.
    fn on(&mut self, event: &Event);
}

/// The stream of events of one run; cheap to clone.
#[derive(Clone)]
pub struct Events {
    shared: Arc<Mutex<Shared>>,
    clock: Arc<dyn Clock>,
    began: Instant,
}

struct Shared {
    seq: u64,
    listeners: Vec<Box<dyn Listener>>,
}

impl Events {
    /// A stream to `listeners`, whose times come from `clock`.
    pub fn new(clock: Arc<dyn Clock>, listeners: Vec<Box<dyn Listener>>) -> Self {
        Self { shared: Arc::new(Mutex::new(Shared { seq: 0, listeners })), clock, began: Instant::now() }
    }

    /// Tells every listener.
    pub fn send(&self, kind: EventKind) {
        let mut shared = self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.seq += 1;
        let event = Event {
            seq: shared.seq,
            time: self.clock.now(),
            elapsed_ms: milliseconds(self.began.elapsed()),
            kind,
        };
        for listener in &mut shared.listeners {
            listener.on(&event);
        }
    }
}

/// Whole milliseconds of `time`.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
