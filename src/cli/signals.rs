use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Exit;
use crate::base::{Fault, FaultKind};
use crate::flow::{Background, Cancel, Flow};
use crate::os::files;

/// How long running changes may go on after the first signal before they are cut off.
const GRACE: Duration = Duration::from_mins(1);

/// Ctrl-C, SIGTERM and SIGHUP (a terminal that was closed) in two stages: the first lets running changes finish, the
/// second stops now.
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
    /// None where a run is to outlive its terminal.
    hang_up: Option<Signal>,
}

impl Streams {
    fn open() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: (!outlives_its_terminal()).then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            _ = hung_up(self.hang_up.as_mut()) => Exit::Terminated,
        }
    }
}

async fn hung_up(signal: Option<&mut Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether berth was started so that SIGHUP does not reach it, as `nohup` does. Only Linux tells.
/// <https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>, `SigIgn`.
fn outlives_its_terminal() -> bool {
    let status = files::read_if_there(Path::new("/proc/self/status")).ok().flatten().unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default();
    // The first bit is that of signal 1.
    mask & 1 == 1
}
