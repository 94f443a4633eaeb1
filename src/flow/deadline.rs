use std::time::Duration;

use tokio::time::Instant;

/// When something has to be at its end, whatever it does until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// So long from now.
    pub fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    /// Whether it has passed.
    pub fn is_over(self) -> bool {
        Instant::now() >= self.0
    }

    /// The same, so much later.
    #[must_use]
    pub fn later_by(self, time: Duration) -> Self {
        Self(self.0 + time)
    }

    pub(super) fn end(self) -> Instant {
        self.0
    }
}
