use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long reads of AWS may not show what was made.
const LAG: Duration = Duration::from_mins(1);

/// What this run made, by name. Reads of AWS are eventually consistent: for a while they may say that it is not there,
/// and making it again would not help.
#[derive(Debug, Clone, Default)]
pub(super) struct Lately(Arc<Mutex<BTreeMap<String, Instant>>>);

impl Lately {
    /// Notes that `name` was made.
    pub fn made(&self, name: &str) {
        self.known().insert(name.to_string(), Instant::now());
    }

    /// Notes that the removal of `name` was begun: now it may well not be there.
    pub fn removed(&self, name: &str) {
        self.known().remove(name);
    }

    /// Whether `name`, of which AWS says that it is not there, was made so shortly before that it may be all the same.
    pub fn may_hide(&self, name: &str) -> bool {
        self.known().get(name).is_some_and(|made| made.elapsed() < LAG)
    }

    /// Whether this run made `name`: what failed of it would fail again.
    pub fn was_made(&self, name: &str) -> bool {
        self.known().contains_key(name)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_may_be_hidden_until_it_is_removed() {
        let lately = Lately::default();
        assert!(!lately.may_hide("general"));
        lately.clone().made("general");
        assert!(lately.may_hide("general") && !lately.may_hide("gpu"));
        assert!(lately.was_made("general") && !lately.was_made("gpu"));
        lately.removed("general");
        assert!(!lately.may_hide("general"));
    }
}
