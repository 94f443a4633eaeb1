use serde::{Deserialize, Serialize};

use crate::base::{Change, ChangeKind, Note, ResourceId};
use crate::engine::{Look, State, Survey};
use crate::providers::Estimate;

/// The version of the plan's JSON; it grows when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// What would change in an environment, in a stable order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// What the plan is of.
    pub about: About,
    /// How many changes of each kind there are.
    pub summary: Summary,
    /// One entry per resource, in the order in which they are built.
    pub resources: Vec<Planned>,
    /// What the user should know that concerns no single resource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// What a rehearsal leaves out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_rehearsed: Vec<Note>,
    /// What the environment costs and how long its making takes, where somebody asks a price for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
}

/// What a plan or a status is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// The environment's name.
    pub environment: String,
    /// The owner mark.
    pub owner: String,
    /// The declared provider.
    pub provider: String,
    /// Whether kwok plays the cluster.
    pub rehearsal: bool,
    /// What `up` has to be given to get this environment: `lab`, `envs/prod.yaml`.
    pub profile: String,
    /// A hash of the composed profile, of the options that shape a plan and of berth's version.
    pub fingerprint: String,
    /// The version of berth.
    pub version: String,
}

/// How many changes of each kind there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Things to make.
    pub create: usize,
    /// Things to change in place.
    pub update: usize,
    /// Things to take over.
    pub adopt: usize,
    /// Things to start again.
    pub start: usize,
    /// Things to remove and make anew.
    pub replace: usize,
    /// Things to remove.
    pub delete: usize,
    /// Things of somebody else that are in the way.
    pub conflict: usize,
}

impl Summary {
    fn of<'a>(changes: impl Iterator<Item = &'a Change>) -> Self {
        let mut summary = Self::default();
        for change in changes {
            *match change.kind {
                ChangeKind::Create => &mut summary.create,
                ChangeKind::Update => &mut summary.update,
                ChangeKind::Adopt => &mut summary.adopt,
                ChangeKind::Start => &mut summary.start,
                ChangeKind::Replace => &mut summary.replace,
                ChangeKind::Delete => &mut summary.delete,
                ChangeKind::Conflict => &mut summary.conflict,
            } += 1;
        }
        summary
    }
}

/// In what a plan is another one than an earlier plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It is of another environment or owner.
    Environment,
    /// The profile, the options or berth itself changed.
    Inputs,
    /// What stands changed, as these resources show; none when the earlier plan has some that are no longer
    /// in the profile.
    World(Vec<String>),
}

/// What the plan says of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its id: `addon/traefik`.
    pub id: String,
    /// The layer of the platform that it belongs to.
    pub layer: String,
    /// `ready`, `progressing`, `broken`, `absent`; `after` and `behind` when it could not be asked
    /// because of another one; `unknown` when asking failed.
    pub state: String,
    /// Where it is, why it is broken, or which other resource comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How it differs from the profile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What the user should know besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

impl Plan {
    /// The plan that a survey amounts to.
    pub fn of(survey: &Survey, about: About, not_rehearsed: Vec<Note>) -> Self {
        let mut resources: Vec<(crate::base::Layer, Planned)> = survey
            .resources
            .iter()
            .map(|seen| {
                let (state, detail) = state_words(&seen.look);
                let layer = seen.id.layer();
                let planned = Planned {
                    id: seen.id.to_string(),
                    layer: layer.to_string(),
                    state: state.to_string(),
                    detail,
                    changes: seen.changes.clone(),
                    notes: seen.notes.clone(),
                };
                (layer, planned)
            })
            .collect();
        resources
            .sort_by(|(one, first), (other, second)| one.cmp(other).then_with(|| first.id.cmp(&second.id)));
        Self {
            schema: SCHEMA_VERSION,
            about,
            summary: Summary::of(survey.changes().map(|(_, change)| change)),
            resources: resources.into_iter().map(|(_, planned)| planned).collect(),
            notes: survey.notes.clone(),
            not_rehearsed,
            estimate: None,
        }
    }

    /// All changes that lose something which stands now.
    pub fn destructive(&self) -> impl Iterator<Item = &Change> {
        self.resources
            .iter()
            .flat_map(|planned| &planned.changes)
            .filter(|change| change.kind.is_destructive())
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.resources.iter().all(|planned| planned.changes.is_empty())
    }

    /// Why a resource that was not asked was not: the reason of the one that it is behind.
    pub fn hindrance(&self, behind: &Planned) -> String {
        let other = behind.detail.as_deref().unwrap_or_default();
        match self.resources.iter().find(|planned| planned.id == other) {
            Some(seen) => hindered_by(other, &seen.state, seen.detail.as_deref(), !seen.changes.is_empty()),
            None => hindered_by(other, "", None, false),
        }
    }

    /// In what this plan, made now, is another one than `earlier`; nothing when they are the same.
    pub fn differs_from(&self, earlier: &Self) -> Option<Difference> {
        if self.about.environment != earlier.about.environment || self.about.owner != earlier.about.owner {
            return Some(Difference::Environment);
        }
        if self.about.fingerprint != earlier.about.fingerprint {
            return Some(Difference::Inputs);
        }
        let all = |plan: &Self| -> Vec<(String, Vec<Change>)> {
            plan.resources.iter().map(|planned| (planned.id.clone(), planned.changes.clone())).collect()
        };
        let (now, then) = (all(self), all(earlier));
        if now == then {
            return None;
        }
        let changed = now.into_iter().filter(|entry| !then.contains(entry)).map(|(id, _)| id);
        Some(Difference::World(changed.collect()))
    }
}

/// The state of what was looked at in one word, and its detail.
pub fn state_words(look: &Look) -> (&'static str, Option<String>) {
    match look {
        Look::Seen(State::Ready) => ("ready", None),
        Look::Seen(State::Absent) => ("absent", None),
        Look::Seen(State::Progressing(status)) => ("progressing", Some(status.clone())),
        Look::Seen(State::Broken(reason)) => ("broken", Some(reason.clone())),
        Look::After(first) => ("after", Some(first.to_string())),
        Look::Behind(other) => ("behind", Some(other.to_string())),
        Look::Failed(fault) => ("unknown", Some(fault.to_string())),
    }
}

/// Why nothing behind `other` was asked: the reason that looking at that one gave.
pub fn hindrance(survey: &Survey, other: &ResourceId) -> String {
    match survey.resources.iter().find(|seen| seen.id == *other) {
        Some(seen) => {
            let (state, detail) = state_words(&seen.look);
            hindered_by(other.as_str(), state, detail.as_deref(), !seen.changes.is_empty())
        }
        None => hindered_by(other.as_str(), "", None, false),
    }
}

/// `differs`: whether something of `other` is to be changed.
fn hindered_by(other: &str, state: &str, detail: Option<&str>, differs: bool) -> String {
    match (state, detail) {
        ("ready", _) if differs => format!("`{other}` has to be changed first"),
        ("progressing" | "broken", Some(why)) => format!("`{other}` is not ready: {why}"),
        ("unknown", _) => format!("`{other}` could not be looked at"),
        _ => format!("`{other}` does not answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{about, mixed};
    use super::*;

    #[test]
    fn a_plan_survives_its_file() {
        let plan = Plan::of(&mixed(), about(), vec![Note::new("not rehearsed", "registry")]);
        let text = serde_json::to_string(&plan).expect("plain values");
        assert_eq!(serde_json::from_str::<Plan>(&text).expect("its own text"), plan);
    }

    #[test]
    fn resources_are_in_the_order_in_which_they_are_built() {
        let plan = Plan::of(&mixed(), about(), Vec::new());
        let ids: Vec<&str> = plan.resources.iter().map(|planned| planned.id.as_str()).collect();
        assert_eq!(ids, ["cluster/kwok/lab-rehearsal", "addon/metallb", "addon/traefik", "tenants"]);
    }

    #[test]
    fn a_plan_is_held_to_its_changes_and_its_profile() {
        let earlier = Plan::of(&mixed(), about(), Vec::new());
        assert_eq!(earlier.differs_from(&earlier), None);

        let other_profile = About { fingerprint: "beef".to_string(), ..about() };
        let now = Plan::of(&mixed(), other_profile, Vec::new());
        assert_eq!(now.differs_from(&earlier), Some(Difference::Inputs));

        let mut world = mixed();
        world.resources[1].changes.pop();
        let now = Plan::of(&world, about(), Vec::new());
        assert_eq!(now.differs_from(&earlier), Some(Difference::World(vec!["tenants".to_string()])));
    }

    #[test]
    fn a_state_that_moves_on_is_no_other_plan() {
        let earlier = Plan::of(&mixed(), about(), Vec::new());
        let mut world = mixed();
        world.resources[0].look = Look::Seen(State::Progressing("1 of 2 ready".to_string()));
        assert_eq!(Plan::of(&world, about(), Vec::new()).differs_from(&earlier), None);
    }
}
