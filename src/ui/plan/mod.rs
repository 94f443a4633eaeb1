//! A plan for people: as text, as Markdown for a pull request, and the words of its parts.

mod markdown;
mod text;

use super::words::{count, list, number, resource_name};
use crate::base::Note;
use crate::plan::{About, Difference, Plan, Planned, Summary};
use crate::providers::Estimate;

pub use markdown::markdown;
pub use text::{note_lines, text};

/// What a plan or a status is of: `lab-rehearsal (kind, rehearsed)`.
pub fn title(about: &About) -> String {
    let rehearsed = if about.rehearsal { ", rehearsed" } else { "" };
    format!("{} ({}{rehearsed})", about.environment, about.provider)
}

/// `3 to create, 1 to update, 0 to delete`, and the other kinds where there are any.
pub fn summary(summary: &Summary) -> String {
    let mut text = format!("{} to create, {} to update", number(summary.create), number(summary.update));
    for (many, what) in [(summary.adopt, "adopt"), (summary.start, "start"), (summary.replace, "replace")] {
        if many > 0 {
            text.push_str(&format!(", {} to {what}", number(many)));
        }
    }
    text.push_str(&format!(", {} to delete", number(summary.delete)));
    if summary.conflict > 0 {
        let many = number(summary.conflict);
        text.push_str(&format!(", {many} in conflict: until that is solved `up` does none of it"));
    }
    text
}

/// [`summary`], and how much of the plan is not known.
pub fn verdict(plan: &Plan) -> String {
    let hidden = plan.resources.iter().filter(|planned| is_hidden(planned)).count();
    if hidden == 0 {
        return summary(&plan.summary);
    }
    let of = format!("{hidden} of {} not known", count(plan.resources.len(), "resource"));
    if plan.is_empty() {
        format!("the plan is not known: {of}")
    } else {
        format!("{}; {of}", summary(&plan.summary))
    }
}

/// What the user should know besides: what is not ready though nothing of it is to be changed, what is kept, what is
/// not rehearsed, what it costs.
fn notes(plan: &Plan) -> Vec<Note> {
    let is_on_its_way = |planned: &&Planned| planned.state == "progressing" && planned.changes.is_empty();
    let not_ready = plan.resources.iter().filter(is_on_its_way).map(|planned| {
        let how = planned.detail.as_deref().unwrap_or("on its way");
        Note::new("not ready", format!("{}: {how}", resource_name(&planned.id)))
    });
    let of_parts = plan.resources.iter().flat_map(|planned| &planned.notes);
    let of_all = plan.notes.iter().chain(&plan.not_rehearsed);
    let estimate = plan.estimate.as_ref().map(Estimate::notes).unwrap_or_default();
    not_ready.chain(of_parts.chain(of_all).cloned()).chain(estimate).collect()
}

/// Whether it is not known how the resource is.
fn is_hidden(planned: &Planned) -> bool {
    matches!(planned.state.as_str(), "unknown" | "behind")
}

/// In what a plan made now is another one than the one of `earlier`.
pub fn difference(difference: &Difference, earlier: &About) -> String {
    match difference {
        Difference::Environment => {
            format!("it is of environment `{}`, owner `{}`", earlier.environment, earlier.owner)
        }
        Difference::Inputs => "the profile, the options or berth itself changed since".to_string(),
        Difference::World(ids) if ids.is_empty() => {
            "it has resources that are no longer in the profile".to_string()
        }
        Difference::World(ids) => {
            let ids: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
            format!("what stands changed since: {}", list(&ids))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples::about;

    #[test]
    fn a_plan_that_no_longer_fits_says_why() {
        let words = |ids: &[&str]| {
            let ids = ids.iter().map(ToString::to_string).collect();
            difference(&Difference::World(ids), &about())
        };
        assert_eq!(
            difference(&Difference::Environment, &about()),
            "it is of environment `lab-rehearsal`, owner `7f3k2q9d`"
        );
        assert!(difference(&Difference::Inputs, &about()).contains("profile"));
        assert_eq!(words(&["addon/a", "tenants"]), "what stands changed since: `addon/a` and `tenants`");
        assert_eq!(words(&[]), "it has resources that are no longer in the profile");
    }
}
