use super::super::args::Plan as Arguments;
use super::super::exit::{Exit, Failure};
use super::super::saved::SavedPlan;
use super::super::session::{Asked, Purpose, Session};
use super::super::settings::Settings;
use super::{print, print_json, unknown};
use crate::engine::Look;
use crate::plan::{Plan, hindrance};
use crate::providers;
use crate::ui;

/// `berth plan [ENV]`
pub(super) fn run(arguments: &Arguments, settings: &Settings) -> Result<Exit, Failure> {
    let asked = Asked {
        target: &arguments.target,
        scope: &arguments.scope,
        leave: &arguments.leave,
        purpose: Purpose::Plan,
    };
    let session = Session::open(&asked, settings)?;
    let survey = session.look()?;
    let estimate = providers::estimate(&session.environment);
    let notes = session.left_out().into_iter().chain(estimate).collect();
    let plan = Plan::of(&survey, session.about.clone(), notes);
    match (settings.json(), arguments.markdown) {
        (true, _) => print_json(settings, &plan)?,
        (false, true) => print(settings, &ui::plan::markdown(&plan))?,
        (false, false) => {
            print(settings, &ui::plan::text(&plan, settings.printer.data_paint, settings.printer.width))?;
        }
    }
    unknown(&survey).map_err(Failure::answered)?;
    // What could not be looked at yet may have to change.
    let changes = !plan.is_empty() || survey.is_partial();
    if let Some(path) = &arguments.out {
        let behind = survey.resources.iter().find_map(|seen| match &seen.look {
            Look::Behind(other) => Some(other),
            _ => None,
        });
        if let Some(other) = behind {
            return Err(Failure::refused(
                "the plan is not kept: it is not whole",
                hindrance(&survey, other),
                format!("`{}` brings it there; then plan again", session.again("up")),
            ));
        }
        SavedPlan::new(arguments, plan).write(path)?;
        settings.printer.talk(&format!(
            "the plan is in `{0}`: `berth up {0}` makes exactly these changes",
            path.display()
        ));
    }
    Ok(if changes && arguments.detailed_exitcode { Exit::Changes } else { Exit::Done })
}
