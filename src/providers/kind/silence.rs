use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// An API server whose containers all run and that has not answered for so long never will: after a restart
/// of the machine it takes less than a minute.
const LONGEST: SignedDuration = SignedDuration::from_mins(3);

/// Since when an API server was seen not to answer, in one run.
#[derive(Debug, Default)]
pub(super) struct Silence(Mutex<Option<Timestamp>>);

impl Silence {
    /// It answered, or it is no wonder that it does not.
    pub(super) fn is_over(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It does not answer at `now`: whether it has not for too long.
    pub(super) fn lasts_too_long(&self, now: Timestamp) -> bool {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.duration_since(*since.get_or_insert(now)) >= LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_counted_from_its_beginning_and_anew_after_an_answer() {
        let at = |seconds: i64| Timestamp::from_second(seconds).expect("a time");
        let silence = Silence::default();
        assert!(!silence.lasts_too_long(at(100)));
        assert!(!silence.lasts_too_long(at(279)));
        assert!(silence.lasts_too_long(at(280)));
        silence.is_over();
        assert!(!silence.lasts_too_long(at(1000)));
    }
}
