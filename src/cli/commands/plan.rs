use super::super::args::Plan as Arguments;
use super::super::exit::{Exit, Failure};
use super::super::saved::SavedPlan;
use super::super::session::{Asked, JOURNALS, Purpose, Session};
use super::super::settings::Settings;
use super::{print, print_json, unknown};
use crate::engine::{Direction, Look, Survey, past_runs};
use crate::plan::{Plan, hindrance};
use crate::providers::{self, Estimate};
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
    let mut plan = Plan::of(&survey, session.about.clone(), session.left_out());
    plan.estimate = estimate(&session, &survey)?;
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
                format!("`{}` brings it there; then plan again", session.again(Direction::Up)),
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

/// What the environment costs and how long its making takes: as past runs on this machine took, where there are any.
fn estimate(session: &Session<'_>, survey: &Survey) -> Result<Option<Estimate>, Failure> {
    let Some(mut estimate) = providers::estimate(&session.environment, survey) else { return Ok(None) };
    if survey.first_fault().is_some() {
        // What would be made is not known.
        estimate.time = None;
    }
    if let Some(hint) = &mut estimate.time
        && let Some(longest) = hint.longest
    {
        let mut took = Vec::new();
        for folder in session.folders()? {
            let runs = past_runs(&folder.join(JOURNALS))?;
            took.extend(runs.into_iter().filter(|run| run.made_most(longest)).map(|run| run.took));
        }
        took.sort_unstable();
        if let Some(middle) = took.get(took.len() / 2) {
            hint.minutes = middle.as_secs().div_ceil(60);
            hint.from = match took.len() {
                1 => "as long as the last such run here".to_string(),
                count => format!("the median of the last {count} such runs here"),
            };
        }
    }
    Ok(Some(estimate))
}
