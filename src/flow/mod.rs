//! **Owns** the passing of time: cancelling, deadlines, retries, pauses, limits on what is in
//! flight, how long something was silent, joining of concurrent work, and the notices that say so.
//! **May name** base.
//! **Never** knows what the work is about. It is the only room that sleeps or spawns tasks.
//! **Start reading at** [`Flow`].

mod background;
mod cancel;
mod deadline;
mod join;
mod limit;
mod retry;
mod silence;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::{Fault, FaultKind};

pub use background::Background;
pub use cancel::{Cancel, Stage};
pub use deadline::Deadline;
pub use join::Tally;
pub use limit::Limiter;
pub use retry::Patience;
pub use silence::Silence;

/// What a long piece of work says about itself while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// So many of so many are done.
    Counted {
        /// How many are done.
        done: usize,
        /// How many there are.
        total: usize,
        /// What is counted: `objects accepted`, `objects ready`.
        unit: &'static str,
    },
    /// What is being waited for.
    Waiting(String),
    /// A call failed and is made again after a pause.
    Retrying {
        /// The fault of the call.
        fault: Fault,
        /// Which repetition comes next, from 1.
        attempt: u32,
        /// The pause before it.
        pause: Duration,
    },
}

type Reporter = Arc<dyn Fn(Notice) + Send + Sync>;

/// The handle through which work waits, repeats, reports and learns that it should stop.
#[derive(Clone)]
pub struct Flow {
    cancel: Cancel,
    deadline: Option<Deadline>,
    report: Reporter,
}

impl Flow {
    /// A flow that obeys `cancel`, without a deadline and with nobody listening.
    pub fn new(cancel: Cancel) -> Self {
        Self { cancel, deadline: None, report: Arc::new(|_| {}) }
    }

    /// The same flow with an end: after `limit`, waits and retries fail with a deadline fault.
    #[must_use]
    pub fn within_limit(&self, limit: Duration) -> Self {
        self.until(Deadline::after(limit))
    }

    /// The same flow with its end at `deadline`, or sooner where it has a sooner one.
    #[must_use]
    pub fn until(&self, deadline: Deadline) -> Self {
        Self { deadline: Some(self.deadline.map_or(deadline, |own| own.min(deadline))), ..self.clone() }
    }

    /// The same flow whose notices go to `report`.
    #[must_use]
    pub fn reporting(&self, report: impl Fn(Notice) + Send + Sync + 'static) -> Self {
        Self { report: Arc::new(report), ..self.clone() }
    }

    /// Tells whoever listens.
    pub fn report(&self, notice: Notice) {
        (self.report)(notice);
    }

    /// The switch that stops this flow.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Fails when the user asked to stop or the deadline passed, so that nothing new is started.
    pub fn check(&self, attempted: &str) -> Result<(), Fault> {
        if self.cancel.stage() != Stage::Running {
            return Err(Fault::new(FaultKind::Cancelled, attempted, "stopped by a signal"));
        }
        match self.deadline {
            Some(deadline) if deadline.is_over() => Err(Self::too_late(attempted)),
            _ => Ok(()),
        }
    }

    /// Waits for `pause`, or less when the flow has to stop; then fails.
    pub async fn pause(&self, pause: Duration, attempted: &str) -> Result<(), Fault> {
        self.check(attempted)?;
        let wake = Instant::now() + pause;
        let end = self.deadline.map_or(wake, |deadline| deadline.end().min(wake));
        tokio::select! {
            () = tokio::time::sleep_until(end) => {}
            () = self.cancel.requested() => {}
        }
        self.check(attempted)
    }

    /// Runs `work`, giving up on it after `limit` or at the flow's deadline, whichever is sooner. Once that deadline is
    /// over, `work` is not begun.
    pub async fn within<T>(
        &self,
        limit: Duration,
        attempted: &str,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let own = Deadline::after(limit);
        match self.deadline {
            // Polling it once would begin it.
            Some(deadline) if deadline.is_over() => Err(Self::too_late(attempted)),
            Some(sooner) if sooner < own => tokio::time::timeout_at(sooner.end(), work)
                .await
                .unwrap_or_else(|_| Err(Self::too_late(attempted))),
            _ => tokio::time::timeout_at(own.end(), work).await.unwrap_or_else(|_| {
                Err(Fault::new(
                    FaultKind::Transient,
                    attempted,
                    format!("no answer within {} s", limit.as_secs()),
                ))
            }),
        }
    }

    fn too_late(attempted: &str) -> Fault {
        Fault::new(FaultKind::Deadline, attempted, "the time given with `--timeout` is over")
            .hint("run the same command again: it goes on where this one stopped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soonest_end_counts() {
        let (soon, late) = (Deadline::after(Duration::from_secs(1)), Deadline::after(Duration::from_mins(1)));
        let flow = Flow::new(Cancel::default());
        assert_eq!(flow.until(soon).until(late).deadline, Some(soon));
        assert_eq!(flow.until(late).until(soon).deadline, Some(soon));
        assert_eq!(flow.until(soon).within_limit(Duration::from_mins(1)).deadline, Some(soon));
    }

    #[tokio::test]
    async fn nothing_is_begun_once_the_time_is_over() {
        let flow = Flow::new(Cancel::default()).within_limit(Duration::ZERO);
        let work = async { Ok("it was begun") };
        let late = flow.within(Duration::from_mins(1), "work", work).await.expect_err("the time is over");
        assert_eq!(late.kind, FaultKind::Deadline);
    }
}
