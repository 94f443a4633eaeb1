use super::super::args::Up;
use super::super::claim::claim;
use super::super::exit::{Exit, Failure};
use super::super::runtime;
use super::super::saved::SavedPlan;
use super::super::session::{Asked, Purpose, Session};
use super::super::settings::Settings;
use super::super::signals::Signals;
use super::super::work::{nothing_to_do, work};
use super::{print, unknown};
use crate::base::{Change, ChangeKind, Guard};
use crate::engine::{Direction, Outcome, Survey, converge, converge_seen};
use crate::plan::Plan;
use crate::providers;
use crate::ui::report::Report;
use crate::ui::{self, words};
use crate::verify::NETWORK_POLICY;

/// The guards of `up`, each with what its flag does, and what can be done instead.
const GUARDS: [(Guard, &str, &str); 3] = [
    (Guard::Adopt, "takes over what somebody else made", IN_THE_WAY),
    (Guard::ForceConflicts, "takes over fields that another program applies", IN_THE_WAY),
    (
        Guard::Recreate,
        "makes the cluster anew, and all that is in it is lost",
        "take the change of the profile back",
    ),
];
/// What can always be done.
const IN_THE_WAY: &str = "remove what is in the way";

/// `berth up [ENV|PLAN]`
pub(super) fn run(mut arguments: Up, settings: &Settings) -> Result<Exit, Failure> {
    let saved = SavedPlan::take(&mut arguments)?;
    let asked = Asked {
        target: &arguments.target,
        scope: &arguments.scope,
        leave: &arguments.leave,
        purpose: Purpose::Bring,
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
    let mut has_started = false;
    if survey.is_partial() && saved.is_none() {
        // What is in a stopped cluster is known once it runs: so it is started before anything is decided.
        let plan = show(session, &survey)?;
        // What stays in the way of all of it is said at once.
        free(&plan, session)?;
        let started = work(session, Direction::Up, &survey, signals, async |graph, run| {
            converge_seen(graph, &survey, run).await
        });
        let started = started.await?;
        if started.exit != Exit::Done {
            report(session, &started.outcome)?;
            return started.end();
        }
        has_started = started.outcome.changed;
        survey = session.survey(signals).await?;
    }
    // A plan with holes cannot be acted on, so there is nothing to show but what was in the way.
    unknown(&survey)?;
    let plan = show(session, &survey)?;
    if let Some(saved) = saved {
        saved.hold(&plan)?;
    }
    allow(&plan, arguments.yes, session, signals).await?;
    if !survey.is_clean() {
        claim(session, &survey, signals).await?;
    }
    let mut worked = work(session, Direction::Up, &survey, signals, async |graph, run| {
        if survey.is_clean() { nothing_to_do(&survey) } else { converge(graph, run).await }
    })
    .await?;
    worked.outcome.changed |= has_started;
    report(session, &worked.outcome)?;
    let notes = survey.resources.iter().flat_map(|seen| &seen.notes);
    for note in notes.filter(|note| note.topic == "provided" && survey.is_clean()) {
        session.settings.printer.talk(&note.text);
    }
    worked.end()
}

/// Shows what would change, if anything would.
fn show(session: &Session<'_>, survey: &Survey) -> Result<Plan, Failure> {
    let settings = session.settings;
    // What is not rehearsed is said once, at the end.
    let notes = session.left_out().into_iter().filter(|note| note.topic != "not rehearsed").collect();
    let plan = Plan::of(survey, session.about.clone(), notes);
    if !settings.json() && !survey.is_clean() {
        let printer = &settings.printer;
        print(settings, &format!("{}\n", ui::plan::text(&plan, printer.data_paint, printer.width)))?;
    }
    Ok(plan)
}

/// Refuses when something is in the way that a run does not clear.
fn free(plan: &Plan, session: &Session<'_>) -> Result<(), Failure> {
    let changes = plan.resources.iter().flat_map(|planned| &planned.changes);
    let conflicts: Vec<&Change> = changes.filter(|change| change.kind == ChangeKind::Conflict).collect();
    if let Some(first) = conflicts.first() {
        let more = conflicts.len() - 1;
        let others = if more == 0 { String::new() } else { format!("; and {}", words::count(more, "other")) };
        return Err(Failure::refused(
            format!("{} in the way, nothing was changed", words::things(conflicts.len(), "is", "are")),
            format!("{}{others}", found(first)),
            remedy(&conflicts, &again(plan, session)),
        ));
    }
    Ok(())
}

/// Refuses when somebody else's things are in the way; asks when something that stands would be lost.
async fn allow(plan: &Plan, yes: bool, session: &Session<'_>, signals: &Signals) -> Result<(), Failure> {
    free(plan, session)?;
    let lost = plan.destructive().count();
    if lost == 0 || yes {
        return Ok(());
    }
    let things = words::things(lost, "that stands", "that stand");
    if !session.settings.can_ask {
        return Err(Failure::refused(
            format!("{things} now would be lost, and nobody is here to be asked"),
            "standard input is no terminal",
            format!("`{} --yes`, once you have looked at the plan", session.again(Direction::Up)),
        ));
    }
    let question = format!("{things} now would be lost. Go on? [y/N]");
    let answer = session.ask(&question, signals).await?;
    let why = match answer.map(|answer| answer.to_lowercase()).as_deref() {
        Some("y" | "yes") => return Ok(()),
        Some(_) => "the answer was not `y`",
        None => "there was no answer",
    };
    let again = format!("`{}` asks again", session.again(Direction::Up));
    Err(Failure::refused("not confirmed, nothing was changed", why, again))
}

/// The command again, without an `--adopt` that found nothing that it could take over.
fn again(plan: &Plan, session: &Session<'_>) -> String {
    let mut changes = plan.resources.iter().flat_map(|planned| &planned.changes);
    let again = session.again(Direction::Up);
    if changes.any(|change| change.kind == ChangeKind::Adopt) { again } else { again.replace(" --adopt", "") }
}

/// What to do about `conflicts`; `again` is the command with the flags that were given.
fn remedy(conflicts: &[&Change], again: &str) -> String {
    let keeps = |guard: Guard| conflicts.iter().any(|conflict| conflict.guard() == Some(guard));
    let asked = GUARDS.iter().filter(|(guard, ..)| keeps(*guard));
    let mut ways: Vec<String> =
        asked.map(|(guard, effect, other)| format!("`{again} {guard}` {effect}, or {other}")).collect();
    for conflict in conflicts.iter().filter(|conflict| conflict.guard().is_none()) {
        let text = conflict.remedy.as_ref().map_or(IN_THE_WAY, |remedy| &remedy.text);
        // What is done instead takes the place of the run.
        let instead = conflict.remedy.as_ref().and_then(|remedy| remedy.instead.as_ref());
        let instead = instead.map(|instead| format!("; or {instead}")).unwrap_or_default();
        let way = format!("{text}, then `{again}`{instead}");
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    ways.join("; ")
}

/// What is in the way, and why. How it is solved is told as what to do next, where that does not say less.
fn found(conflict: &Change) -> String {
    let why = match conflict.guard() {
        Some(_) => conflict.told(),
        None => conflict.reason.clone(),
    };
    why.map_or_else(|| conflict.subject.clone(), |why| format!("{}: {why}", conflict.subject))
}

/// The last words: what stands, how to reach it, how long it took.
fn report(session: &Session<'_>, outcome: &Outcome) -> Result<(), Failure> {
    let settings = session.settings;
    let resume = session.again(Direction::Up);
    let away = providers::stands_in_cloud(&session.environment).then(|| session.again(Direction::Down));
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
        away: away.as_deref(),
    };
    if !outcome.is_whole() {
        for misfit in session.misfits(outcome) {
            settings.printer.talk(&format!("{}\n\n", misfit.render("error")));
        }
        // What failed is said to people, also where the events carry it.
        settings.printer.talk(&report.up(settings.printer.talk_paint, settings.printer.talk_width));
    } else if !settings.json() {
        print(settings, &report.up(settings.printer.data_paint, settings.printer.width))?;
    }
    let truth = outcome.outputs.text(NETWORK_POLICY);
    if let Some(truth) = truth.filter(|truth| outcome.changed || truth.starts_with("warning")) {
        settings.printer.talk(truth);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Conflict, Remedy};

    fn taken() -> Change {
        let remedy = "take it over with `--adopt`, or choose another `name`";
        Conflict::new("somebody else made it", remedy).guarded(Guard::Adopt).of("Service n/web")
    }

    #[test]
    fn a_flag_is_named_only_where_it_helps_and_never_twice() {
        assert_eq!(
            remedy(&[&taken(), &taken()], "berth up mi"),
            "`berth up mi --adopt` takes over what somebody else made, or remove what is in the way"
        );
        let second = Conflict::new("theirs is the default", "take it off").of("IngressClass ours");
        assert_eq!(remedy(&[&second], "berth up mi --adopt"), "take it off, then `berth up mi --adopt`");
        let node = Change::new(ChangeKind::Conflict, "Node a").because("berth did not make it");
        assert_eq!(remedy(&[&node], "berth up mi"), "remove what is in the way, then `berth up mi`");
    }

    #[test]
    fn what_can_be_done_instead_of_the_run_is_told_behind_it() {
        let install = Remedy::from("install it").or("rehearse: `berth up lab --rehearse`");
        let gpus = Conflict::new("there is no runtime", install).of("GPUs");
        assert_eq!(
            remedy(&[&gpus], "berth up lab"),
            "install it, then `berth up lab`; or rehearse: `berth up lab --rehearse`"
        );
    }

    #[test]
    fn how_it_can_be_solved_is_told_once() {
        let quota = Conflict::new("the account has 5 of 5", "have it raised").of("quota of VPCs");
        assert_eq!(found(&quota), "quota of VPCs: the account has 5 of 5");
        // What to do next says less there than the conflict itself.
        assert_eq!(
            found(&taken()),
            "Service n/web: somebody else made it; take it over with `--adopt`, or choose another `name`"
        );
    }
}
