use std::fmt;

use serde::{Deserialize, Serialize};

use super::change::{Change, ChangeKind};

/// What is in the way of a change that nobody makes unasked: why, and what solves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    why: String,
    remedy: Remedy,
}

/// What solves a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// What to type or change: ``take it over with `--adopt`, or choose another `name` ``.
    pub text: String,
    /// The guard that `up` takes away, where that solves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// What can be done instead of the same command: ``rehearse: `berth up lab --rehearse` ``.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
}

/// What `up` does not do unless a flag says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Guard {
    /// To take over what somebody else made.
    #[serde(rename = "--adopt")]
    Adopt,
    /// To take over fields that another program applies.
    #[serde(rename = "--force-conflicts")]
    ForceConflicts,
    /// To make a cluster anew.
    #[serde(rename = "--recreate")]
    Recreate,
}

impl Conflict {
    /// Something that is in the way since `why`, until somebody does what `remedy` says.
    pub fn new(why: impl Into<String>, remedy: impl Into<Remedy>) -> Self {
        Self { why: why.into(), remedy: remedy.into() }
    }

    /// The same, which `up` solves itself with the flag of `guard`.
    #[must_use]
    pub fn guarded(mut self, guard: Guard) -> Self {
        self.remedy.guard = Some(guard);
        self
    }

    /// That it is `subject` which is in the way.
    pub fn of(self, subject: impl Into<String>) -> Change {
        let change = Change::new(ChangeKind::Conflict, subject).because(self.why);
        Change { remedy: Some(self.remedy), ..change }
    }
}

impl Remedy {
    /// The same, or `instead` of the same command.
    #[must_use]
    pub fn or(self, instead: impl Into<String>) -> Self {
        Self { instead: Some(instead.into()), ..self }
    }
}

impl From<String> for Remedy {
    fn from(text: String) -> Self {
        Self { text, guard: None, instead: None }
    }
}

impl From<&str> for Remedy {
    fn from(text: &str) -> Self {
        text.to_string().into()
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.why, self.remedy)
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.instead.iter().try_for_each(|instead| write!(f, "; or {instead}"))
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Adopt => "--adopt",
            Self::ForceConflicts => "--force-conflicts",
            Self::Recreate => "--recreate",
        })
    }
}
