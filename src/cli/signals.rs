use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Exit;
use crate::base::{Fault, FaultKind};
use crate::flow::{Background, Cancel, Flow};

/// How long running changes may go on after the first signal before they are cut off.
const GRACE: Duration = Duration::from_mins(1);

/// Ctrl-C, SIGTERM and SIGHUP in two stages: the first lets running changes finish, the second stops now.
#[derive(Clone)]
pub(super) struct Signals {
    cancel: Cancel,
    first: Arc<Mutex<Option<Exit>>>,
    // Stops watching when the last one is dropped.
    _watch: Arc<Background>,
}

impl Signals {
    /// Watches from now on. Needs a runtime.
    pub(super) fn watch() -> Result<Self, Fault> {
        let mut streams = Streams::open().map_err(|error| {
            Fault::new(FaultKind::Bug, "watch for signals", error.to_string().to_lowercase())
        })?;
        let cancel = Cancel::default();
        let first = Arc::new(Mutex::new(None));
        let watch = {
            let (cancel, first) = (cancel.clone(), Arc::clone(&first));
            Background::run(async move {
                let exit = streams.next().await;
                *first.lock().unwrap_or_else(PoisonError::into_inner) = Some(exit);
                cancel.request();
                // A flow of its own: the run's is cancelled and would not wait.
                let grace = Flow::new(Cancel::default());
                tokio::select! {
                    _ = streams.next() => {}
                    _ = grace.pause(GRACE, "finish") => {}
                }
                cancel.request();
            })
        };
        Ok(Self { cancel, first, _watch: Arc::new(watch) })
    }

    /// The switch that the signals move.
    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// How the first signal ends a run; `None` while there was none.
    pub(super) fn stopped_by(&self) -> Option<Exit> {
        *self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Streams {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Streams {
    fn open() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            _ = self.hang_up.recv() => Exit::Terminated,
        }
    }
}
