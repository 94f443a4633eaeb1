use std::collections::BTreeSet;

use super::super::args::{Down, Leave};
use super::super::claim::claim;
use super::super::exit::{Exit, Failure};
use super::super::merge;
use super::super::runtime::{self, reading};
use super::super::session::{Asked, Purpose, Session, looking};
use super::super::settings::Settings;
use super::super::signals::Signals;
use super::super::work::{goes, work};
use super::{print, unknown};
use crate::engine::{Direction, Look, Outcome, Removal, State, Survey, remove};
use crate::flow::{Cancel, Flow};
use crate::ui::inventory::Inventory;
use crate::ui::report::Report;
use crate::ui::{self, Table, words};

/// `berth down [ENV]`
pub(super) fn run(arguments: &Down, settings: &Settings) -> Result<Exit, Failure> {
    let scope = looking(&arguments.live);
    let leave = Leave { prune_crds: arguments.prune_crds, ..Leave::default() };
    let asked = Asked {
        target: &arguments.target,
        scope: &scope,
        leave: &leave,
        purpose: Purpose::TakeAway { registries: arguments.registries },
    };
    let session = Session::open(&asked, settings)?;
    if session.environment.protected {
        return Err(Failure::refused(
            format!("{} is protected", session.about.environment),
            format!("`protected: true` in `{}`", session.profile),
            format!("set it to `false` there, then `{}`", session.again(Direction::Down)),
        ));
    }
    let lock = session.lock("down")?;
    runtime::run(|signals| {
        let session = &session;
        async move {
            let exit = lower(session, arguments, &signals).await;
            session.close().await;
            if matches!(exit, Ok(Exit::Done)) {
                session.forget()?;
            }
            drop(lock);
            exit
        }
    })
}

async fn lower(session: &Session<'_>, arguments: &Down, signals: &Signals) -> Result<Exit, Failure> {
    let settings = session.settings;
    let survey = session.survey(signals).await?;
    let in_time = session.flow(signals).check(&format!("remove {}", session.about.environment));
    if session.cluster_stays() || in_time.is_err() {
        // What lies in it has to be taken out one by one, and can only be when it can be asked.
        unknown(&survey)?;
    }
    in_time?;
    let goes = going(session, &survey);
    if !goes.is_empty() {
        announce(session, &goes, &contents(session, signals).await?)?;
        confirm(session, arguments, signals).await?;
        claim(session, &survey, signals).await?;
    }
    let worked = work(session, Direction::Down, &survey, signals, async |graph, run| {
        remove(graph, &survey, run).await
    })
    .await?;
    let outcome = &worked.outcome;
    let resume = session.again(Direction::Down);
    let report = Report {
        about: &session.about,
        outcome,
        took: session.took(),
        reach: &[],
        not_rehearsed: &[],
        resume: &resume,
        away: None,
    };
    settings.printer.talk(&report.down(settings.printer.talk_paint, settings.printer.talk_width));
    if worked.exit != Exit::Done {
        if outcome.changed && session.cluster_stays() && signals.stopped_by().is_none() {
            tell(session, &inventory(session, outcome).await?)?;
        }
        return worked.end();
    }
    if !session.cluster_stays() {
        session.assembly.hub.forget_lock().await;
    }
    session.forget_cluster()?;
    let mut inventory = inventory(session, outcome).await?;
    inventory.left.extend(forget_context(session).await);
    inventory.was_there = !goes.is_empty();
    tell(session, &inventory)?;
    Ok(if inventory.left.is_empty() { Exit::Done } else { Exit::Failed })
}

/// What stands, or may stand, and would go; in the order in which it goes.
fn going<'s>(session: &Session<'_>, survey: &'s Survey) -> Vec<(String, &'s str)> {
    let standing = survey.resources.iter().rev().filter(|seen| goes(session, seen));
    standing
        .map(|seen| {
            let part = seen.notes.iter().find(|note| note.topic == "only a part");
            let state = match (&seen.look, part) {
                (_, Some(part)) => &part.text,
                (Look::Seen(State::Ready), _) => "ready",
                (Look::Seen(State::Progressing(status)), _) => status,
                (Look::Seen(State::Broken(_)), _) => "broken",
                (Look::Seen(State::Absent) | Look::After(_), _) => "absent",
                (Look::Behind(_) | Look::Failed(_), _) => "not known",
            };
            (words::resource(&seen.id), state)
        })
        .collect()
}

/// What goes out of a cluster that stays, by name: namespaces with all in them, and what lies in none of
/// those. Nothing where the whole cluster goes.
async fn contents(session: &Session<'_>, signals: &Signals) -> Result<Contents, Failure> {
    if !session.cluster_stays() || session.settings.json() {
        return Ok(Contents::default());
    }
    let flow = session.flow(signals);
    let remains = reading(signals, session.remains(&flow)).await??;
    let titles: Vec<String> = remains
        .left
        .into_iter()
        .filter(|(_, where_or_why)| where_or_why != "on this machine")
        .map(|(title, _)| title)
        .collect();
    Ok(Contents { go: grouped(&titles), kept: remains.kept })
}

/// What lies in a cluster that stays.
#[derive(Default)]
struct Contents {
    /// What goes, by name.
    go: Vec<String>,
    /// What stays, with the reason.
    kept: Vec<(String, String)>,
}

/// Namespaces first, then what lies outside of them.
fn grouped(titles: &[String]) -> Vec<String> {
    let namespaces: BTreeSet<&str> =
        titles.iter().filter_map(|title| title.strip_prefix("Namespace ")).collect();
    let is_inside = |title: &&String| {
        let place = title.split_once(' ').and_then(|(_, name)| name.split_once('/'));
        place.is_some_and(|(namespace, _)| namespaces.contains(namespace))
    };
    let outside: BTreeSet<&String> =
        titles.iter().filter(|title| !is_inside(title) && !title.starts_with("Namespace ")).collect();
    let inside = namespaces.iter().map(|name| format!("Namespace {name}, with all in it"));
    inside.chain(outside.into_iter().cloned()).collect()
}

fn announce(session: &Session<'_>, goes: &[(String, &str)], contents: &Contents) -> Result<(), Failure> {
    let settings = session.settings;
    if settings.json() {
        return Ok(());
    }
    let paint = settings.printer.data_paint;
    let mut text = format!("{}\n", paint.strong(&format!("{} would go:", ui::plan::title(&session.about))));
    let mut table = Table::new();
    for (resource, state) in goes {
        table.row(["-", "delete", resource, &format!("({})", words::tame(state))]);
    }
    for line in table.lines(|_, column, cell| if column < 2 { paint.bad(&cell) } else { cell }) {
        text.push_str(&format!("  {line}\n"));
    }
    if !contents.go.is_empty() {
        text.push_str(&format!("{}\n", paint.strong("out of the cluster, which stays:")));
    }
    for content in &contents.go {
        text.push_str(&format!("  {}  {}\n", paint.bad("-"), words::tame(content)));
    }
    for (title, why) in &contents.kept {
        text.push_str(&format!("  kept  {}  {}\n", words::tame(title), words::tame(why)));
    }
    print(settings, &text)
}

async fn confirm(session: &Session<'_>, arguments: &Down, signals: &Signals) -> Result<(), Failure> {
    if arguments.yes {
        return Ok(());
    }
    let name = &session.about.environment;
    if !session.settings.can_ask {
        return Err(Failure::refused(
            format!("{name} would be removed, and nobody is here to be asked"),
            "standard input is no terminal",
            format!("`{} --yes`", session.again(Direction::Down)),
        ));
    }
    let answer = session.ask(&format!("Type `{name}` to remove it:"), signals).await?;
    let why = match answer {
        Some(answer) if answer == *name => return Ok(()),
        Some(_) => format!("the answer was not `{name}`"),
        None => "there was no answer".to_string(),
    };
    let again = format!("`{}` asks again", session.again(Direction::Down));
    Err(Failure::refused("not confirmed, nothing was removed", why, again))
}

/// What still carries the mark, and what stays on purpose.
async fn inventory(session: &Session<'_>, outcome: &Outcome) -> Result<Inventory, Failure> {
    let mut inventory = Inventory::default();
    for (id, removal) in session.assembly.graph.removals() {
        if removal == Removal::Kept && outcome.kept.contains(id) {
            inventory.kept.push((words::resource(id), "it was there before berth".to_string()));
        }
    }
    let remains = session.remains(&session.last_look()).await?;
    inventory.left = remains.left;
    inventory.kept.extend(remains.kept);
    Ok(inventory)
}

/// Shows the inventory; beside a stream of events only when something is left.
fn tell(session: &Session<'_>, inventory: &Inventory) -> Result<(), Failure> {
    let printer = session.settings.printer;
    let name = &session.about.environment;
    if !session.settings.json() {
        return print(session.settings, &inventory.text(name, printer.data_paint));
    }
    if !inventory.left.is_empty() {
        printer.talk(&inventory.text(name, printer.talk_paint));
    }
    Ok(())
}

/// Takes the environment's context out of the user's kubeconfigs, where it is there; says where it could not.
async fn forget_context(session: &Session<'_>) -> Vec<(String, String)> {
    let name = merge::context_name(&session.about.environment);
    let flow = Flow::new(Cancel::default());
    let mut left = Vec::new();
    for path in session.settings.user_kubeconfigs().into_iter().filter(|path| path.exists()) {
        let file = path.display();
        match merge::remove(&path, &name, &flow).await {
            Ok(true) => session.settings.printer.talk(&format!("context `{name}` is out of `{file}`")),
            Ok(false) => {}
            Err(fault) => left.push((format!("context {name}"), format!("may be in `{file}`: {fault}"))),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_stands_for_all_in_it() {
        let titles = ["RoleBinding shop/admin", "ClusterRole editor", "Namespace shop", "ConfigMap other/a"];
        assert_eq!(
            grouped(&titles.map(str::to_string)),
            ["Namespace shop, with all in it", "ClusterRole editor", "ConfigMap other/a"]
        );
    }
}
