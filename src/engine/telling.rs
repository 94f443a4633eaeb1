use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::event::{EventKind, Events, milliseconds};
use crate::base::{Fault, FaultKind, ResourceId};
use crate::flow::{Flow, Notice};

/// What is told of the work on one thing as it goes: its beginning, what it says of itself, signs of life, its end.
pub struct Telling {
    resource: ResourceId,
    events: Events,
    flow: Flow,
    began: Instant,
    status: Arc<Mutex<String>>,
    /// What keeps it from being done, as far as was seen: told when its time is over.
    hindrance: Arc<Mutex<Option<String>>>,
}

impl Telling {
    /// Tells `events` that work on `resource` begins, which goes by `flow`.
    pub fn begin(resource: ResourceId, events: &Events, flow: &Flow) -> Self {
        events.send(EventKind::Started { resource: resource.clone() });
        let (status, hindrance) = (Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(None)));
        let flow = {
            let (resource, events) = (resource.clone(), events.clone());
            let (status, hindrance) = (Arc::clone(&status), Arc::clone(&hindrance));
            flow.reporting(move |notice| {
                *lock(&hindrance) = Some(in_words(&notice));
                send_notice(&events, &resource, &status, notice);
            })
        };
        Self { resource, events: events.clone(), flow, began: Instant::now(), status, hindrance }
    }

    /// The flow for the work, whose notices are told.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// How long it has taken so far.
    pub fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits for `work` and gives signs of life meanwhile: after 10 s, 30 s, then every 60 s.
    pub async fn alive<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        let quiet = Flow::new(self.flow.cancel().clone());
        loop {
            let passed = self.took();
            let next = next_heartbeat(passed);
            tokio::select! {
                result = &mut work => return result,
                Ok(()) = quiet.pause(next.saturating_sub(passed), "wait") => {
                    let status = lock(&self.status).clone();
                    self.events.send(EventKind::Heartbeat {
                        resource: self.resource.clone(),
                        since_ms: milliseconds(self.took()),
                        status,
                    });
                }
            }
        }
    }

    /// Tells how it ended: with what came of it, `ready`, or why nothing did.
    pub fn end(&self, result: Result<&'static str, &Fault>) {
        let (resource, took_ms) = (self.resource.clone(), milliseconds(self.took()));
        self.events.send(match result {
            Ok(result) => EventKind::Finished { resource, result, took_ms },
            Err(fault) => EventKind::Failed {
                resource,
                fault: fault.kind,
                reason: fault.to_string(),
                hint: fault.hint.clone(),
                took_ms,
            },
        });
    }

    /// Tells where it is, unless that was the last thing told.
    pub(super) fn progress(&self, status: String) {
        *lock(&self.hindrance) = Some(status.clone());
        let mut last = lock(&self.status);
        if *last != status {
            self.events
                .send(EventKind::Progressing { resource: self.resource.clone(), status: status.clone() });
            *last = status;
        }
    }

    /// What was in its way so far is not any more.
    pub(super) fn goes_on(&self) {
        *lock(&self.hindrance) = None;
    }

    /// A fault that says only that the time is over, with what was waited for.
    pub(super) fn explained(&self, fault: Fault) -> Fault {
        match lock(&self.hindrance).as_ref() {
            Some(hindrance) if fault.kind == FaultKind::Deadline => {
                Fault { reason: format!("{}; seen last: {hindrance}", fault.reason), ..fault }
            }
            _ => fault,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_words(notice: &Notice) -> String {
    match notice {
        Notice::Counted { done, total, unit } => format!("{done} of {total} {unit}"),
        Notice::Waiting(text) => text.clone(),
        Notice::Retrying { fault, .. } => fault.to_string(),
    }
}

fn send_notice(events: &Events, id: &ResourceId, status: &Mutex<String>, notice: Notice) {
    let resource = id.clone();
    match notice {
        Notice::Counted { done, total, unit } => {
            *lock(status) = format!("{done} of {total} {unit}");
            events.send(EventKind::Counted { resource, done, total, unit });
        }
        Notice::Waiting(text) => {
            lock(status).clone_from(&text);
            events.send(EventKind::Progressing { resource, status: text });
        }
        Notice::Retrying { fault, attempt, pause } => events.send(EventKind::Retrying {
            resource,
            fault: fault.kind,
            reason: fault.to_string(),
            attempt,
            pause_ms: milliseconds(pause),
        }),
    }
}

/// The age at which the next sign of life is due.
fn next_heartbeat(age: Duration) -> Duration {
    let seconds = age.as_secs();
    Duration::from_secs(match seconds {
        0..10 => 10,
        10..30 => 30,
        _ => (seconds / 60 + 1) * 60,
    })
}
