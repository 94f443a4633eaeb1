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
use crate::base::ChangeKind;
use crate::engine::{Direction, Outcome, Survey, converge, converge_seen};
use crate::plan::Plan;
use crate::providers;
use crate::ui::report::Report;
use crate::ui::{self, words};
use crate::verify::NETWORK_POLICY;

/// Flags that clear the way, each with what it does, and what can be done instead.
const FLAGS: [(&str, &str, &str); 3] = [
    ("--adopt", "takes over what somebody else made", "remove what is in the way"),
    ("--force-conflicts", "takes over fields that another program applies", "remove what is in the way"),
    (
        "--recreate",
        "makes the cluster anew, and all that is in it is lost",
        "take the change of the profile back",
    ),
];

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

/// What to do about `conflicts`, each with its reason, whose last part says how it can be solved; `again` is
/// the command with the flags that were given.
fn remedy(conflicts: &[String], again: &str) -> String {
    let asked = FLAGS.iter().filter(|(flag, ..)| conflicts.iter().any(|conflict| helps(flag, conflict)));
    let mut ways: Vec<String> =
        asked.map(|(flag, effect, other)| format!("`{again} {flag}` {effect}, or {other}")).collect();
    for conflict in conflicts.iter().filter(|conflict| !has_flag(conflict)) {
        let way = way_out(conflict).unwrap_or("remove what is in the way");
        let way = match way.split_once("; or rehearse") {
            // A rehearsal takes the place of the run.
            Some((own, rehearsal)) => format!("{own}, then `{again}`; or rehearse{rehearsal}"),
            None => format!("{way}, then `{again}`"),
        };
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    ways.join("; ")
}

/// What `conflict` says without how it can be solved, where that is told as what to do next.
fn found(conflict: &str) -> &str {
    match way_out(conflict) {
        Some(way) if !has_flag(conflict) => conflict[..conflict.len() - way.len()].trim_end_matches("; "),
        _ => conflict,
    }
}

/// What `conflict` says of how it can be solved: its last part, with what can be done instead of it.
fn way_out(conflict: &str) -> Option<&str> {
    let mut parts = conflict.rmatch_indices("; ").map(|(at, sign)| &conflict[at + sign.len()..]);
    parts.find(|part| !part.starts_with("or "))
}

/// Whether `flag` solves `conflict`, which says so.
fn helps(flag: &str, conflict: &str) -> bool {
    conflict.contains(&format!("`{flag}`"))
}

/// Whether there is a flag that solves `conflict`.
fn has_flag(conflict: &str) -> bool {
    FLAGS.iter().any(|(flag, ..)| helps(flag, conflict))
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

    #[test]
    fn a_flag_is_named_only_where_it_helps_and_never_twice() {
        let told = |conflicts: &[&str], again: &str| {
            let conflicts: Vec<String> = conflicts.iter().map(|text| (*text).to_string()).collect();
            remedy(&conflicts, again)
        };
        let taken = "Service n/web: somebody else made it; take it over with `--adopt`";
        assert_eq!(
            told(&[taken, taken], "berth up mi"),
            "`berth up mi --adopt` takes over what somebody else made, or remove what is in the way"
        );
        let second = "IngressClass ours: IngressClass theirs is the default already, and somebody else made it; \
                      take the default off one of them";
        assert_eq!(
            told(&[second], "berth up mi --adopt"),
            "take the default off one of them, then `berth up mi --adopt`"
        );
        let node = "Node a: a node of this name is there that berth did not make";
        assert_eq!(told(&[node], "berth up mi"), "remove what is in the way, then `berth up mi`");
    }

    #[test]
    fn what_can_be_done_instead_is_told_behind_the_remedy() {
        let told = |reason: &str| remedy(&[format!("GPUs: {reason}")], "berth up lab");
        assert_eq!(
            told("there is no runtime; install it; or rehearse: `berth up lab --rehearse`"),
            "install it, then `berth up lab`; or rehearse: `berth up lab --rehearse`"
        );
        assert_eq!(
            told("it is not on the network; connect it; or remove it"),
            "connect it; or remove it, then `berth up lab`"
        );
    }

    #[test]
    fn how_it_can_be_solved_is_told_once() {
        let quota = "quota of VPCs: the account has 5 of 5; have it raised: `aws service-quotas …`";
        assert_eq!(found(quota), "quota of VPCs: the account has 5 of 5");
        let instead = "store: it is not on the network; connect it; or remove it";
        assert_eq!(found(instead), "store: it is not on the network");
        // What to do next says less there than the conflict itself.
        let taken = "EKS cluster dev: it is there; take it over with `--adopt`, or choose another `name`";
        assert_eq!(found(taken), taken);
        assert_eq!(found("Namespace shop: made by somebody else"), "Namespace shop: made by somebody else");
    }
}
