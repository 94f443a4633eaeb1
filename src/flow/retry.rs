use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::{Flow, Notice};
use crate::base::Fault;

/// How often a call is made again before its fault counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Repetitions after the first call.
    pub retries: u32,
    /// The first pause; each further one is twice as long.
    pub first_pause: Duration,
    /// No pause is longer than this, except when the other side asks for it.
    pub longest_pause: Duration,
}

impl Patience {
    /// For calls in the middle of a run: about 25 s of hiccups are ridden out.
    pub const STEADY: Self =
        Self { retries: 9, first_pause: Duration::from_millis(100), longest_pause: Duration::from_secs(5) };
    /// For the first contact, where a wrong address should be reported soon: about 2 s.
    pub const BRIEF: Self =
        Self { retries: 3, first_pause: Duration::from_millis(250), longest_pause: Duration::from_secs(1) };

    fn pause(self, attempted: &str, attempt: u32, fault: &Fault) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << attempt.min(16));
        let capped = doubled.min(self.longest_pause);
        // Spread over 75 % to 125 %, by name, so that calls that failed together do not return together.
        let mut hasher = DefaultHasher::new();
        (attempted, attempt).hash(&mut hasher);
        let share = 75 + u32::try_from(hasher.finish() % 51).unwrap_or_default();
        let spread = capped.saturating_mul(share) / 100;
        fault.retry_after.map_or(spread, |asked| asked.max(spread))
    }
}

impl Flow {
    /// Makes `call` until it succeeds, fails for good, or `patience` is used up.
    pub async fn retry<T, F>(
        &self,
        patience: Patience,
        attempted: &str,
        mut call: impl FnMut() -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let mut attempt = 0;
        loop {
            self.check(attempted)?;
            let fault = match call().await {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            if !fault.is_retryable() || attempt >= patience.retries {
                return Err(fault);
            }
            let pause = patience.pause(attempted, attempt, &fault);
            attempt += 1;
            self.report(Notice::Retrying { fault, attempt, pause });
            self.pause(pause, attempted).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::base::FaultKind;
    use crate::flow::Cancel;

    const SHORT: Patience = Patience {
        retries: 3,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(2),
    };

    async fn calls_made(kind: FaultKind, failures: u32) -> (u32, bool) {
        let calls = AtomicU32::new(0);
        let flow = Flow::new(Cancel::default());
        let result = flow
            .retry(SHORT, "ask", || async {
                if calls.fetch_add(1, Ordering::Relaxed) < failures {
                    Err(Fault::new(kind, "ask", "no"))
                } else {
                    Ok(())
                }
            })
            .await;
        (calls.into_inner(), result.is_ok())
    }

    #[tokio::test]
    async fn a_hiccup_is_ridden_out() {
        assert_eq!(calls_made(FaultKind::Transient, 2).await, (3, true));
    }

    #[tokio::test]
    async fn patience_ends() {
        assert_eq!(calls_made(FaultKind::Throttled, 100).await, (4, false));
    }

    #[tokio::test]
    async fn a_refusal_is_final() {
        assert_eq!(calls_made(FaultKind::Denied, 100).await, (1, false));
    }

    #[test]
    fn the_pause_that_the_server_asked_for_is_kept() {
        let fault = Fault::new(FaultKind::Throttled, "ask", "no").retry_after(Duration::from_secs(7));
        assert_eq!(SHORT.pause("ask", 0, &fault), Duration::from_secs(7));
    }
}
