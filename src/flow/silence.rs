use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Since when something was seen not to answer, in one run.
#[derive(Debug, Default)]
pub struct Silence(Mutex<Option<Timestamp>>);

impl Silence {
    /// It answered, or it is no wonder that it does not.
    pub fn is_over(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It does not answer at `now`: whether it has not for as long as `longest`.
    pub fn lasts(&self, now: Timestamp, longest: SignedDuration) -> bool {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.duration_since(*since.get_or_insert(now)) >= longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_counted_from_its_beginning_and_anew_after_an_answer() {
        let silence = Silence::default();
        let lasts_at = |second: i64| {
            let now = Timestamp::from_second(second).expect("a time");
            silence.lasts(now, SignedDuration::from_secs(180))
        };
        assert!(!lasts_at(100));
        assert!(!lasts_at(279));
        assert!(lasts_at(280));
        silence.is_over();
        assert!(!lasts_at(1000));
    }
}
