use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many calls may be in flight: additive increase, halved when the other side throttles.
#[derive(Debug, Clone)]
pub struct Limiter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    permits: Semaphore,
    allowed: AtomicUsize,
    most: usize,
    successes: AtomicUsize,
}

impl Limiter {
    /// At most `most` calls in flight.
    pub fn new(most: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                permits: Semaphore::new(most),
                allowed: AtomicUsize::new(most),
                most,
                successes: AtomicUsize::new(0),
            }),
        }
    }

    /// Waits for a place.
    pub async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed; a place is worth waiting for.
        self.shared.permits.acquire().await.ok()
    }

    /// How many may be in flight now.
    pub fn allowed(&self) -> usize {
        self.shared.allowed.load(Ordering::Relaxed)
    }

    /// The other side asked for fewer calls: half as many from now on, at least one.
    pub fn throttled(&self) {
        let allowed = self.allowed();
        let fewer = (allowed / 2).max(1);
        let taken = self.shared.permits.forget_permits(allowed - fewer);
        self.shared.allowed.fetch_sub(taken, Ordering::Relaxed);
        self.shared.successes.store(0, Ordering::Relaxed);
    }

    /// A call was answered: after as many answers as are allowed in flight, one more is allowed.
    pub fn answered(&self) {
        let allowed = self.allowed();
        if allowed >= self.shared.most {
            return;
        }
        if self.shared.successes.fetch_add(1, Ordering::Relaxed) + 1 >= allowed {
            self.shared.successes.store(0, Ordering::Relaxed);
            self.shared.allowed.fetch_add(1, Ordering::Relaxed);
            self.shared.permits.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_halves_and_answers_raise_again() {
        let limiter = Limiter::new(8);
        limiter.throttled();
        assert_eq!(limiter.allowed(), 4);
        for _ in 0..4 {
            limiter.answered();
        }
        assert_eq!(limiter.allowed(), 5);
    }

    #[test]
    fn at_least_one_call_stays_allowed() {
        let limiter = Limiter::new(2);
        for _ in 0..5 {
            limiter.throttled();
        }
        assert_eq!(limiter.allowed(), 1);
    }
}
