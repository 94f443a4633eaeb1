use super::super::args::Up;
use super::super::exit::{Exit, Failure};
use super::super::prompt;
use super::super::runtime;
use super::super::saved::SavedPlan;
use super::super::session::{Asked, Session};
use super::super::settings::Settings;
use super::super::signals::Signals;
use super::super::sources::Fetch;
use super::super::work::{nothing_to_do, work};
use super::{print, unknown};
use crate::base::ChangeKind;
use crate::engine::{Outcome, Survey, converge, converge_seen};
use crate::plan::Plan;
use crate::ui::report::Report;
use crate::ui::{self, words};

/// `berth up [ENV|PLAN]`
pub(super) fn run(mut arguments: Up, settings: &Settings) -> Result<Exit, Failure> {
    let saved = SavedPlan::take(&mut arguments)?;
    let asked = Asked {
        target: &arguments.target,
        scope: &arguments.scope,
        leave: &arguments.leave,
        fetch: Fetch::Needed,
    };
    let session = Session::open(&asked, settings)?;
    let _lock = session.lock("up")?;
    runtime::run(|signals| async move {
        let exit = raise(&session, &arguments, saved.as_ref(), &signals).await;
        session.close().await;
        exit
    })
}

async fn raise(
    session: &Session<'_>,
    arguments: &Up,
    saved: Option<&SavedPlan>,
    signals: &Signals,
) -> Result<Exit, Failure> {
    let mut survey = session.survey(signals).await?;
    if survey.is_partial() && saved.is_none() {
        // What is in a stopped cluster is known once it runs: so it is started before anything is decided.
        show(session, &survey)?;
        let started = work(session, "up", &survey, signals, async |graph, run| {
            converge_seen(graph, &survey, run).await
        });
        let (outcome, exit) = started.await?;
        if exit != Exit::Done {
            report(session, &outcome)?;
            return Ok(exit);
        }
        survey = session.survey(signals).await?;
    }
    // A plan with holes cannot be acted on, so there is nothing to show but what was in the way.
    unknown(&survey)?;
    let plan = show(session, &survey)?;
    if let Some(saved) = saved {
        saved.hold(&plan)?;
    }
    allow(&plan, arguments.yes, session, signals).await?;
    let (outcome, exit) = work(session, "up", &survey, signals, async |graph, run| {
        if survey.is_clean() { nothing_to_do(&survey) } else { converge(graph, run).await }
    })
    .await?;
    report(session, &outcome)?;
    let notes = survey.resources.iter().flat_map(|seen| &seen.notes);
    for note in notes.filter(|note| note.topic == "provided" && survey.is_clean()) {
        session.settings.printer.talk(&note.text);
    }
    Ok(exit)
}

/// Shows what would change, if anything would.
fn show(session: &Session<'_>, survey: &Survey) -> Result<Plan, Failure> {
    let settings = session.settings;
    // What is not rehearsed is said once, at the end.
    let plan = Plan::of(survey, session.about.clone(), Vec::new());
    if !settings.json() && !survey.is_clean() {
        let printer = &settings.printer;
        print(settings, &format!("{}\n", ui::plan::text(&plan, printer.data_paint, printer.width)))?;
    }
    Ok(plan)
}

/// Refuses when somebody else's things are in the way; asks when something that stands would be lost.
async fn allow(plan: &Plan, yes: bool, session: &Session<'_>, signals: &Signals) -> Result<(), Failure> {
    let conflicts: Vec<String> = plan
        .resources
        .iter()
        .flat_map(|planned| &planned.changes)
        .filter(|change| change.kind == ChangeKind::Conflict)
        .map(|change| match &change.reason {
            Some(reason) => format!("{}: {reason}", change.subject),
            None => change.subject.clone(),
        })
        .collect();
    if let Some(first) = conflicts.first() {
        let more = conflicts.len() - 1;
        let others = if more == 0 { String::new() } else { format!("; and {}", words::count(more, "other")) };
        return Err(Failure::refused(
            format!("{} in the way, nothing was changed", words::things(conflicts.len(), "is", "are")),
            format!("{first}{others}"),
            format!(
                "`{} --adopt` takes over what somebody else made, `--force-conflicts` fields that another \
                 program applies; or remove what is in the way",
                session.again("up")
            ),
        ));
    }
    let lost = plan.destructive().count();
    if lost == 0 || yes {
        return Ok(());
    }
    let things = words::things(lost, "that stands", "that stand");
    if !session.settings.can_ask {
        return Err(Failure::refused(
            format!("{things} now would be lost, and nobody is here to be asked"),
            "standard input is no terminal",
            format!("`{} --yes`, once you have looked at the plan", session.again("up")),
        ));
    }
    let question = format!("{things} now would be lost. Go on? [y/N]");
    let answer = prompt::ask(&question, session.settings, signals).await?;
    let why = match answer.map(|answer| answer.to_lowercase()).as_deref() {
        Some("y" | "yes") => return Ok(()),
        Some(_) => "the answer was not `y`",
        None => "there was no answer",
    };
    let again = format!("`{}` asks again", session.again("up"));
    Err(Failure::refused("not confirmed, nothing was changed", why, again))
}

/// The last words: what stands, how to reach it, how long it took.
fn report(session: &Session<'_>, outcome: &Outcome) -> Result<(), Failure> {
    let settings = session.settings;
    let resume = session.again("up");
    let not_rehearsed: Vec<_> =
        session.left_out().into_iter().filter(|note| note.topic == "not rehearsed").collect();
    let reach = session.reach(outcome);
    let report = Report {
        about: &session.about,
        outcome,
        took: session.took(),
        reach: &reach,
        not_rehearsed: &not_rehearsed,
        resume: &resume,
    };
    let whole = outcome.failed.is_empty() && outcome.not_started.is_empty();
    if !whole {
        // What failed is said to people, also where the events carry it.
        settings.printer.talk(&report.up(settings.printer.talk_paint, settings.printer.talk_width));
    } else if !settings.json() {
        print(settings, &report.up(settings.printer.data_paint, settings.printer.width))?;
    }
    Ok(())
}
