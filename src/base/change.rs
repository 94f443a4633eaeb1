use serde::{Deserialize, Serialize};

use super::conflict::{Guard, Remedy};

/// One difference between the profile and the live world, as shown by `plan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What would happen.
    pub kind: ChangeKind,
    /// What it would happen to: `Namespace checkout-ns`, `node group gpu`.
    pub subject: String,
    /// The fields that differ, for updates; short words on the rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    /// Why, where it is not plain: `no longer in the profile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What solves it, for a conflict of which that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Remedy>,
}

impl Change {
    /// A change of `kind` on `subject`.
    pub fn new(kind: ChangeKind, subject: impl Into<String>) -> Self {
        Self { kind, subject: subject.into(), fields: Vec::new(), reason: None, remedy: None }
    }

    /// The same change with its reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The guard that keeps it from happening, where its flag would let it happen.
    pub fn guard(&self) -> Option<Guard> {
        self.remedy.as_ref()?.guard
    }

    /// Why, and what solves it, where there is anything to say.
    pub fn told(&self) -> Option<String> {
        match (&self.reason, &self.remedy) {
            (Some(reason), Some(remedy)) => Some(format!("{reason}; {remedy}")),
            (reason, _) => reason.clone(),
        }
    }

    /// The same change with the fields that differ.
    #[must_use]
    pub fn fields(mut self, fields: Vec<FieldChange>) -> Self {
        self.fields = fields;
        self
    }
}

/// What would happen to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is made.
    Create,
    /// It is changed in place.
    Update,
    /// It is taken over; somebody else made it and `--adopt` was given.
    Adopt,
    /// It is started again.
    Start,
    /// It is removed and made anew.
    Replace,
    /// It is removed.
    Delete,
    /// Somebody else's thing is in the way: nothing happens until the user decides.
    Conflict,
}

impl ChangeKind {
    /// Whether something that stands now would be lost.
    pub fn is_destructive(self) -> bool {
        matches!(self, Self::Replace | Self::Delete)
    }
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The path: `spec.hard.requests.cpu`.
    pub path: String,
    /// What is live now; `None` when the field is not set.
    pub from: Option<String>,
    /// What the profile says; `None` when the field goes.
    pub to: Option<String>,
}

/// Something the user should know that is no change: kept namespaces, parts not rehearsed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// `kept, cordoned`, `not rehearsed`, `warning`.
    pub topic: String,
    /// What it is about, in a few words.
    pub text: String,
}

impl Note {
    /// A note on `topic`.
    pub fn new(topic: impl Into<String>, text: impl Into<String>) -> Self {
        Self { topic: topic.into(), text: text.into() }
    }
}
