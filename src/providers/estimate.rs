use serde::{Deserialize, Serialize};

use crate::base::Note;

/// What an environment costs and how long its making takes, roughly: hints of a size, neither a bill nor a promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Estimate {
    /// What the parts below come to, in USD a month.
    pub usd_per_month: u64,
    /// What is counted.
    pub parts: Vec<CostPart>,
    /// What costs too and is not counted, with what is known of its price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Which prices these are: `us-east-1, 2026-06`.
    pub prices: String,
    /// How long `up` will take; `None` where nothing is made that takes long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeHint>,
}

/// What one thing costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CostPart {
    /// `2 m7i.large`
    pub what: String,
    /// In USD, rounded.
    pub usd_per_month: u64,
}

/// How long something takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeHint {
    /// Rounded up.
    pub minutes: u64,
    /// Where the figure is from: `published figures`, `the last 3 such runs here`.
    pub from: String,
    /// With what the id of a resource begins whose making takes most of it; `None` where a change does.
    #[serde(skip)]
    pub longest: Option<&'static str>,
}

impl Estimate {
    /// For people.
    pub fn notes(&self) -> Vec<Note> {
        let shown = |part: &CostPart| format!("{} {}", part.what, part.usd_per_month);
        let parts: Vec<String> = self.parts.iter().map(shown).collect();
        let without = if self.without.is_empty() {
            String::new()
        } else {
            format!("; not counted: {}", self.without.join(", "))
        };
        let cost = format!(
            "about {} USD a month at list prices ({}): {}{without}; traffic and volumes come on top",
            self.usd_per_month,
            self.prices,
            parts.join(", ")
        );
        let time = self.time.as_ref().map(|time| format!("about {} min ({})", time.minutes, time.from));
        [Some(cost), time].into_iter().flatten().map(|text| Note::new("estimate", text)).collect()
    }
}
