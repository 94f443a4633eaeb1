use std::time::Duration;

use serde::Serialize;

use crate::base::Fault;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It was seen to work.
    Passed,
    /// It was seen not to work, or could not be seen.
    Failed,
    /// The platform does not do it, or nothing stands behind it here.
    NotApplicable,
}

/// One check and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Its name, stable over versions: `dns`, `scheduling/general`.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was seen, or why not.
    pub detail: String,
    /// What to look at, when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// All checks of an examination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// In the order in which they are shown.
    pub checks: Vec<Check>,
}

impl Report {
    /// How many checks ended like this.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }

    /// Whether no check failed.
    pub fn is_good(&self) -> bool {
        self.count(Verdict::Failed) == 0
    }
}

/// What a check found, when it did not break off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// It works; the text says what was seen.
    Works(String),
    /// It does not; why, and what to look at.
    Fails(String, String),
    /// There is nothing to be seen here, and why.
    Nothing(String),
}

impl Found {
    pub(super) fn fails(why: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Fails(why.into(), next.into())
    }

    pub(super) fn works(what: impl Into<String>) -> Self {
        Self::Works(what.into())
    }

    pub(super) fn nothing(why: impl Into<String>) -> Self {
        Self::Nothing(why.into())
    }

    /// What a fault means for the check that it ended.
    pub(super) fn broken_off(fault: &Fault) -> Self {
        let next = "see what the API server says with `kubectl get events -A`".to_string();
        Self::Fails(fault.to_string(), fault.hint.clone().unwrap_or(next))
    }

    /// The check called `name` that found this after `took`.
    pub(super) fn check(self, name: &str, took: Duration) -> Check {
        let (verdict, detail, next) = match self {
            Self::Works(what) => (Verdict::Passed, what, None),
            Self::Fails(why, next) => (Verdict::Failed, why, Some(next)),
            Self::Nothing(why) => (Verdict::NotApplicable, why, None),
        };
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Check { name: name.to_string(), verdict, detail, next, took_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_check_spoils_a_report_and_what_is_not_applicable_does_not() {
        let report = |found: &[Found]| {
            let checks = found.iter().map(|found| found.clone().check("one", Duration::ZERO));
            Report { checks: checks.collect() }
        };
        let (works, nothing) = (Found::works("seen"), Found::nothing("played"));
        assert!(report(&[works.clone(), nothing.clone()]).is_good());
        assert!(!report(&[works, Found::fails("refused", "look"), nothing]).is_good());
    }
}
