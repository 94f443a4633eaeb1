//! What `status` shows: how every resource is now.

use serde::Serialize;

use super::plan::title;
use super::words::{count, item, resource, tame, wrap};
use super::{Paint, Table};
use crate::base::{ChangeKind, Note};
use crate::engine::{Look, State, Survey};
use crate::plan::{About, hindrance, state_words};

/// The version of the status JSON; it grows when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// How an environment is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// What the status is of.
    pub about: About,
    /// Whether everything works and is as the profile says.
    pub ready: bool,
    /// One entry per resource, in the order in which they are built.
    pub resources: Vec<Standing>,
    /// What the user should know that concerns no single resource.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// What a rehearsal leaves out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_rehearsed: Vec<Note>,
}

/// How one resource is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Its id.
    pub id: String,
    /// Its name for people.
    #[serde(skip)]
    pub title: String,
    /// `ready`, `differs`, `progressing`, `broken`, `absent`, `unknown`; `none` when nothing is there and
    /// nothing should be.
    pub state: &'static str,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The one that it is behind, where it was not asked.
    #[serde(skip)]
    pub behind: Option<String>,
    /// How many changes `up` would make.
    pub changes: usize,
    /// Whether something is in the way of it that `up` does not clear.
    #[serde(skip)]
    pub blocked: bool,
    /// What the user should know besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
}

impl Status {
    /// The status that a survey amounts to.
    pub fn of(survey: &Survey, about: About, not_rehearsed: Vec<Note>) -> Self {
        let standing = |seen: &crate::engine::Observed| {
            let (word, detail) = state_words(&seen.look);
            let differs = seen.look == Look::Seen(State::Ready) && !seen.changes.is_empty();
            let (state, detail) = match word {
                // Nothing there and nothing to make: what left the profile is gone.
                "absent" | "after" if seen.changes.is_empty() => ("none", None),
                // What was found out is told as a note: that it is known says nothing of how it is.
                "ready" if seen.id.as_str() == crate::verify::NETWORK_POLICY => ("none", None),
                "ready" if differs => {
                    ("differs", Some(format!("{} to make", count(seen.changes.len(), "change"))))
                }
                "after" => ("absent", None),
                "behind" => ("unknown", hindrance_of(survey, &seen.look)),
                other => (other, detail),
            };
            Standing {
                id: seen.id.to_string(),
                title: resource(&seen.id),
                state,
                detail,
                behind: match &seen.look {
                    Look::Behind(other) => Some(other.to_string()),
                    _ => None,
                },
                changes: seen.changes.len(),
                blocked: seen.changes.iter().any(|change| change.kind == ChangeKind::Conflict),
                notes: seen.notes.clone(),
            }
        };
        let mut ordered: Vec<&crate::engine::Observed> = survey.resources.iter().collect();
        ordered.sort_by(|one, other| (one.id.layer(), &one.id).cmp(&(other.id.layer(), &other.id)));
        Self {
            schema: SCHEMA_VERSION,
            about,
            ready: survey.is_clean(),
            resources: ordered.into_iter().map(standing).collect(),
            notes: survey.notes.clone(),
            not_rehearsed,
        }
    }

    /// Whether something of it is broken, or could not be looked at.
    pub fn is_in_doubt(&self) -> bool {
        self.resources.iter().any(|standing| matches!(standing.state, "broken" | "unknown"))
    }

    /// Whether nothing of the environment is there.
    pub fn is_absent(&self) -> bool {
        self.resources.iter().all(|standing| matches!(standing.state, "absent" | "none"))
    }

    /// The status as a table of at most `columns` columns.
    pub fn text(&self, paint: Paint, columns: usize) -> String {
        let mut table = Table::titled(&["RESOURCE", "STATE", "DETAIL"]);
        let widest = self.resources.iter().map(|standing| super::words::width(&standing.title)).max();
        let room = columns.saturating_sub(widest.unwrap_or(0).max(8) + 2 + 11 + 2).max(20);
        for standing in self.resources.iter().filter(|standing| standing.state != "none") {
            // A reason that several have is told once: with the one that the others are behind.
            let same = |other: &&Standing| {
                let is_alike = other.state == "unknown" && other.detail == standing.detail;
                // That something of it differs is no reason.
                let has_reason = other.detail.is_some() && other.state != "differs";
                is_alike || (has_reason && standing.behind.as_ref() == Some(&other.id))
            };
            let detail = match self.resources.iter().find(same) {
                Some(first) if standing.state == "unknown" && first.id != standing.id => {
                    format!("as {}", first.title)
                }
                _ => tame(standing.detail.as_deref().unwrap_or_default()),
            };
            let lines = wrap(&detail, room);
            table.row([standing.title.as_str(), standing.state, lines.first().map_or("", String::as_str)]);
            for line in lines.iter().skip(1) {
                table.row(["", "", line]);
            }
        }
        let mut lines = vec![paint.strong(&title(&self.about))];
        lines.extend(table.lines(|row, column, text| match (row, column) {
            (0, _) => paint.faint(&text),
            (_, 1) => match text.trim_end() {
                "" => text,
                "ready" => paint.good(&text),
                "broken" | "unknown" => paint.bad(&text),
                _ => paint.notice(&text),
            },
            _ => text,
        }));
        lines.push(String::new());
        lines.push(self.verdict());
        let mut text = lines.join("\n") + "\n";
        for note in self.resources.iter().flat_map(|standing| &standing.notes).chain(&self.notes) {
            text.push_str(&item(&format!("{}: {}", note.topic, note.text), columns));
        }
        text
    }

    fn verdict(&self) -> String {
        let name = &self.about.profile;
        let rehearse = if self.about.rehearsal { " --rehearse" } else { "" };
        let shown = || self.resources.iter().filter(|standing| standing.state != "none");
        let not_ready = shown().filter(|standing| standing.state != "ready").count();
        if self.ready {
            return "everything is ready and as the profile says".to_string();
        }
        let is_blocked = self.resources.iter().any(|standing| standing.blocked);
        if self.is_absent() && !is_blocked {
            return format!("nothing of it stands: `berth up {name}{rehearse}` makes it");
        }
        let all = count(shown().count(), "resource");
        if shown().all(|standing| standing.state == "unknown") {
            return format!("how it is, is not known: none of {all} could be asked");
        }
        let unknown: Vec<&Standing> = shown().filter(|standing| standing.state == "unknown").collect();
        if !unknown.is_empty() {
            // Why stands with each of them.
            let mut lines = vec![format!("{} of {all} could not be looked at", unknown.len())];
            match not_ready - unknown.len() {
                0 => {}
                1 => lines.push("1 other is not ready".to_string()),
                others => lines.push(format!("{others} others are not ready")),
            }
            // Where looking failed, the error says what helps.
            if is_blocked {
                lines.push(format!("`berth plan {name}{rehearse}` shows what is in the way of `berth up`"));
            } else if unknown.iter().all(|standing| standing.behind.is_some()) {
                lines
                    .push(format!("`berth up {name}{rehearse}` brings it there, or says what is in the way"));
            }
            return lines.join("\n");
        }
        if is_blocked {
            return format!(
                "{not_ready} of {all} not ready: `berth plan {name}{rehearse}` shows what is in the way of `berth up`"
            );
        }
        format!(
            "{not_ready} of {all} not ready: `berth up {name}{rehearse}` brings it there, `berth plan` shows how"
        )
    }
}

/// Why a resource that was not asked was not.
fn hindrance_of(survey: &Survey, look: &Look) -> Option<String> {
    match look {
        Look::Behind(other) => Some(hindrance(survey, other)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Change, ResourceId};
    use crate::plan::samples::{about, mixed, observed, survey};

    #[test]
    fn every_resource_has_its_state_and_reason() {
        let expected = "\
lab-rehearsal (kind, rehearsed)
RESOURCE                    STATE    DETAIL
cluster kwok/lab-rehearsal  ready
addon metallb               unknown  cannot list pods: forbidden
addon traefik               absent
tenants                     differs  3 changes to make

1 of 4 resources could not be looked at
2 others are not ready
`berth plan lab --rehearse` shows what is in the way of `berth up`
  kept, cordoned: namespace `old-ns` of tenant `old`
";
        assert_eq!(Status::of(&mixed(), about(), Vec::new()).text(Paint::PLAIN, 100), expected);
    }

    #[test]
    fn a_reason_is_told_once_and_what_is_behind_something_has_the_reason_of_that() {
        let cluster = ResourceId::new("cluster/kind/lab");
        let why = "node lab-worker started again, and not heard of yet";
        let behind = |id: &str| observed(id, Look::Behind(cluster.clone()), Vec::new());
        let world = survey(vec![
            observed(cluster.as_str(), Look::Seen(State::Progressing(why.to_string())), Vec::new()),
            behind("node-groups"),
            behind("tenants"),
        ]);
        let expected = "\
lab-rehearsal (kind, rehearsed)
RESOURCE          STATE        DETAIL
cluster kind/lab  progressing  node lab-worker started again, and not heard of yet
node groups       unknown      as cluster kind/lab
tenants           unknown      as cluster kind/lab

2 of 3 resources could not be looked at
1 other is not ready
`berth up lab --rehearse` brings it there, or says what is in the way
";
        assert_eq!(Status::of(&world, about(), Vec::new()).text(Paint::PLAIN, 120), expected);
    }

    #[test]
    fn what_is_behind_something_that_differs_has_a_reason_of_its_own() {
        let access = "access/eks/lab";
        let change = Change::new(ChangeKind::Create, "access of role/ci");
        let behind = |id: &str| observed(id, Look::Behind(ResourceId::new(access)), Vec::new());
        let world = survey(vec![
            observed(access, Look::Seen(State::Ready), vec![change]),
            behind("node-groups"),
            behind("tenants"),
        ]);
        let text = Status::of(&world, about(), Vec::new()).text(Paint::PLAIN, 120);
        let rows = "\
access eks/lab  differs  1 change to make
node groups     unknown  `access/eks/lab` has to be changed first
tenants         unknown  as node groups
";
        assert!(text.contains(rows), "{text}");
    }

    #[test]
    fn what_concerns_no_single_resource_is_told_last() {
        let mut world = mixed();
        world.notes.push(Note::new("credentials", "they end at 12:00 UTC"));
        let status = Status::of(&world, about(), Vec::new());
        let text = status.text(Paint::PLAIN, 100);
        assert!(text.ends_with("`old`\n  credentials: they end at 12:00 UTC\n"), "{text}");
        assert!(status.resources.iter().flat_map(|standing| &standing.notes).count() == 1, "{status:?}");
    }

    #[test]
    fn what_left_the_profile_and_is_gone_is_not_shown() {
        let world = survey(vec![
            observed("tenants", Look::Seen(State::Ready), Vec::new()),
            observed("leftovers", Look::Seen(State::Absent), Vec::new()),
        ]);
        let text = Status::of(&world, about(), Vec::new()).text(Paint::PLAIN, 80);
        assert!(!text.contains("left the profile") && text.contains("everything is ready"), "{text}");
    }

    #[test]
    fn what_is_in_the_way_of_an_environment_that_is_not_there_is_not_called_made_by_up() {
        let taken = Change::new(ChangeKind::Conflict, "cluster lab").because("somebody else made it");
        let cluster = ResourceId::new("cluster/kind/lab");
        let world = survey(vec![
            observed(cluster.as_str(), Look::Seen(State::Absent), vec![taken]),
            observed("tenants", Look::After(cluster.clone()), Vec::new()),
        ]);
        let text = Status::of(&world, about(), Vec::new()).text(Paint::PLAIN, 120);
        let verdict = "\n1 of 1 resource not ready: `berth plan lab --rehearse` shows what is in the way of `berth up`\n";
        assert!(text.ends_with(verdict), "{text}");
    }

    #[test]
    fn an_environment_that_is_not_there_says_how_to_make_it() {
        let change = Change::new(ChangeKind::Create, "cluster lab");
        let world = survey(vec![observed("cluster/kwok/lab", Look::Seen(State::Absent), vec![change])]);
        let text = Status::of(&world, about(), Vec::new()).text(Paint::PLAIN, 80);
        assert!(text.ends_with("\nnothing of it stands: `berth up lab --rehearse` makes it\n"), "{text}");
    }
}
