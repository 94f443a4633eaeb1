use std::fmt;
use std::time::Duration;

/// What went wrong with the outside world, classified where it arose.
///
/// A fault says what was attempted, on what, why it failed and what to type next. It never
/// carries secret material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// How the rest of berth has to treat it.
    pub kind: FaultKind,
    /// What berth was doing and with what, as a verb phrase: ``apply Service `traefik/traefik` ``.
    pub attempted: String,
    /// Why it failed, in the words of whoever refused. Lower case, no full stop.
    pub reason: String,
    /// What to type or change next.
    pub hint: Option<String>,
    /// Whether it arose before anything was changed, in a step that was meant to change something.
    pub untouched: bool,
    /// Where in the profile its cause stands, if it does: `addons.metallb.addresses`.
    pub in_profile: Option<String>,
    /// How long the other side asked to be left alone (`Retry-After`).
    pub retry_after: Option<Duration>,
}

/// The classes of faults. Only [`FaultKind::Transient`] and [`FaultKind::Throttled`] are retried,
/// and only by the flow room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// A hiccup: the same call may succeed in a moment.
    Transient,
    /// The other side asked for fewer calls.
    Throttled,
    /// Credentials are missing, expired or not sufficient.
    Denied,
    /// A quota or capacity limit was reached.
    Quota,
    /// What was asked for can never work as it stands.
    Invalid,
    /// Something is in the way that is not ours, or that we may not change unasked.
    Conflict,
    /// Another run of berth holds the environment.
    Locked,
    /// A deadline passed; the work may go on without us.
    Deadline,
    /// The user asked to stop.
    Cancelled,
    /// A mistake in berth itself.
    Bug,
}

impl Fault {
    /// A fault of `kind` while doing `attempted`, refused with `reason`.
    pub fn new(kind: FaultKind, attempted: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            kind,
            attempted: attempted.into(),
            reason: reason.into(),
            hint: None,
            untouched: false,
            in_profile: None,
            retry_after: None,
        }
    }

    /// The same fault with what to type or change next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same fault, of a step that had not changed anything yet.
    #[must_use]
    pub fn untouched(mut self) -> Self {
        self.untouched = true;
        self
    }

    /// The same fault, caused by what stands at `path` in the profile.
    #[must_use]
    pub fn in_profile(mut self, path: impl Into<String>) -> Self {
        self.in_profile = Some(path.into());
        self
    }

    /// The same fault with the pause that the other side asked for.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// Whether the flow room may repeat the call.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, FaultKind::Transient | FaultKind::Throttled)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.attempted, self.reason)
    }
}

impl std::error::Error for Fault {}
