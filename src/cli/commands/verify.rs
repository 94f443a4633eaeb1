use super::super::args::{Leave, Live, Verify as Arguments};
use super::super::exit::{Exit, Failure};
use super::super::runtime;
use super::super::session::{Asked, Purpose, Session, looking};
use super::super::settings::Settings;
use super::super::signals::Signals;
use super::{print, print_json, unknown};
use crate::base::{ChangeKind, Fault, FaultKind, Guard, ResourceId};
use crate::engine::{Direction, Look, State, Survey};
use crate::k8s;
use crate::os::files;
use crate::plan;
use crate::ui::Complaint;
use crate::ui::verify::Examined;
use crate::verify::{Habits, examine};

/// The word by which the canary's namespace is known.
const PURPOSE: &str = "verify";

/// `berth verify [ENV]`
pub(super) fn run(arguments: &Arguments, settings: &Settings) -> Result<Exit, Failure> {
    let live = Live { timeout: arguments.timeout, tools: arguments.tools.clone() };
    let scope = looking(&live);
    let leave = Leave::default();
    let asked = Asked { target: &arguments.target, scope: &scope, leave: &leave, purpose: Purpose::Look };
    let session = Session::open(&asked, settings)?;
    let lock = session.lock(PURPOSE)?;
    let ended = runtime::run(|signals| {
        let session = &session;
        async move {
            let examined = verify(session, arguments, &signals).await;
            session.close().await;
            examined
        }
    });
    drop(lock);
    let examined = ended?;
    if let Some(file) = &arguments.junit {
        files::write(file, examined.junit().as_bytes())?;
    }
    if settings.json() {
        print_json(settings, &examined)?;
    } else {
        print(settings, &examined.text(settings.printer.data_paint, settings.printer.width))?;
    }
    for left in &examined.left {
        settings.printer.talk(left);
    }
    Ok(if examined.is_good() { Exit::Done } else { Exit::Failed })
}

async fn verify(
    session: &Session<'_>,
    arguments: &Arguments,
    signals: &Signals,
) -> Result<Examined, Failure> {
    let survey = session.survey(signals).await?;
    stands(session, &survey)?;
    let subject =
        plan::subject(&session.environment, &session.sources, &survey.outputs, arguments.image.as_deref())?;
    session
        .settings
        .printer
        .talk(&format!("verifying {}: a canary comes and goes …", session.about.environment));
    let purpose = k8s::Purpose { name: PURPOSE, now: session.clock.now(), lasts: arguments.timeout.0 };
    // What is found out is kept beside the records: where there are none, nothing shall stay behind.
    let records = survey.look_of(&ResourceId::new("records"));
    let remember = records == Some(&Look::Seen(State::Ready));
    let again = session.typed(PURPOSE);
    let habits = Habits { remember, keep: arguments.keep, again: &again };
    let flow = session.flow(signals);
    let found = examine(&session.assembly.hub, &subject, &purpose, habits, &flow).await;
    let found = found.map_err(|fault| ended(session, &fault, signals))?;
    Ok(Examined::new(session.about.clone(), found.report, found.left, session.took()))
}

/// What a fault means for the whole examination; by then the canary was told to go.
fn ended(session: &Session<'_>, fault: &Fault, signals: &Signals) -> Failure {
    match signals.stopped_by() {
        Some(exit) if fault.kind == FaultKind::Cancelled => {
            let what = format!("{} was not verified", session.about.environment);
            // The canary tells what it left, if anything.
            let left = fault.hint.as_deref().unwrap_or("the canary is removed");
            let complaint = Complaint::new(what)
                .because(format!("stopped by a signal; {left}"))
                .next(format!("`{}`", session.typed(PURPOSE)));
            Failure::new(exit, complaint)
        }
        _ => Failure::from(fault.clone()),
    }
}

/// Fails where there is no cluster that could be asked.
fn stands(session: &Session<'_>, survey: &Survey) -> Result<(), Failure> {
    if survey.outputs.cluster_access().is_some() && survey.first_fault().is_none() {
        return Ok(());
    }
    unknown(survey)?;
    let cluster = survey.resources.iter().find(|seen| seen.id.as_str().starts_with("cluster/"));
    let up = session.again(Direction::Up);
    let (why, next) = match cluster.map(|seen| (&seen.look, seen.changes.first())) {
        // What `up` would not do either is said with what does it.
        Some((Look::Seen(_), Some(change))) if change.kind == ChangeKind::Conflict => {
            let next = if change.guard() == Some(Guard::Recreate) {
                format!("`{up} --recreate` makes it anew, and all that is in it is lost")
            } else {
                format!("`{up}` says what to do about it")
            };
            (format!("its cluster: {}", change.told().unwrap_or_default()), next)
        }
        Some((Look::Seen(State::Broken(why) | State::Progressing(why)), _)) => {
            (format!("its cluster: {why}"), format!("`{up}` brings it there"))
        }
        _ => ("its cluster does not stand".to_string(), format!("`{up}` makes it")),
    };
    Err(Failure::refused(format!("{} cannot be verified", session.about.environment), why, next))
}
