use std::time::Duration;

use serde::Serialize;

use super::super::args::List as Arguments;
use super::super::exit::{Exit, Failure};
use super::super::record::Record;
use super::super::runtime::{self, reading};
use super::super::settings::Settings;
use super::{print, print_json};
use crate::base::{Owner, ProviderKind};
use crate::clouds::aws::{Session, Whose};
use crate::flow::Flow;
use crate::os::files;
use crate::providers::eks;
use crate::providers::kind::{self, Standing};
use crate::ui::{Table, words};

/// A list waits no longer for an answer of a container engine.
const PATIENCE: Duration = Duration::from_secs(5);
/// The version of the JSON; it grows when a field changes its meaning or goes.
const SCHEMA_VERSION: u32 = 1;

/// `berth list`
pub(super) fn run(arguments: &Arguments, settings: &Settings) -> Result<Exit, Failure> {
    let folder = settings.state()?.join("environments");
    let mut found = Vec::new();
    for name in files::names_in(&folder)? {
        if let Some(record) = Record::read(&folder.join(name))? {
            found.push(Listed { state: record.state(), record });
        }
    }
    let standing = standing(settings)?;
    // Whoever asks for regions of AWS wants to know nothing of the engines of this machine.
    let asks_engines = arguments.region.is_empty();
    for (engine, fault) in standing.unanswered.iter().filter(|_| asks_engines) {
        // As for `doctor`: rehearsals and clusters of others need no engine, so this is no failure.
        let next = fault.hint.as_ref().map(|hint| format!("\n  next  {hint}")).unwrap_or_default();
        let text =
            format!("warning: which kind clusters are in {engine} is not known: {}{next}", fault.reason);
        settings.printer.talk(&text);
    }
    let mut known: Vec<Known> = standing.clusters.into_iter().map(on_kind).collect();
    known.extend(on_aws(&arguments.region)?);
    let marked = marked(known, &found);
    if settings.json() {
        let environments =
            found.iter().map(Entry::Recorded).chain(marked.iter().map(Entry::Marked)).collect();
        let unanswered = standing.unanswered.iter().map(|(engine, fault)| Unanswered {
            engine: engine.to_string(),
            reason: fault.reason.clone(),
            next: fault.hint.clone(),
        });
        let list = List { schema: SCHEMA_VERSION, environments, unanswered: unanswered.collect() };
        print_json(settings, &list)?;
        return Ok(Exit::Done);
    }
    if found.is_empty() && marked.is_empty() {
        settings.printer.talk(if !arguments.region.is_empty() {
            "no environment is recorded here, and none is in these regions"
        } else if standing.unanswered.is_empty() {
            "no environments here: `berth up lab --rehearse` makes one"
        } else {
            "no environment is recorded here"
        });
        return Ok(Exit::Done);
    }
    let mut table = Table::titled(&["ENVIRONMENT", "PROVIDER", "ID", "LAST RUN", "STATE", "PROFILE"]);
    for Listed { state, record } in &found {
        let about = &record.about;
        let provider =
            if about.rehearsal { format!("{}, rehearsed", about.provider) } else { about.provider.clone() };
        let began = record.began.strftime("%Y-%m-%d %H:%M UTC").to_string();
        table.row([&about.environment, &provider, &about.owner, &began, *state, &record.profile]);
    }
    for Marked { state, about } in &marked {
        let cells = [&about.environment, &about.provider, &about.owner, "-", state, "not known"];
        table.row(cells);
    }
    let paint = settings.printer.data_paint;
    let lines = table.lines(|row, _, cell| if row == 0 { paint.faint(&cell) } else { cell });
    print(settings, &lines.join("\n"))?;
    Ok(Exit::Done)
}

/// The kind clusters that berth made, as far as the engines of this machine tell.
fn standing(settings: &Settings) -> Result<Standing, Failure> {
    let engine = settings.local(None)?.engine;
    runtime::run(|signals| async move {
        let flow = Flow::new(signals.cancel().clone());
        reading(&signals, Box::pin(kind::standing(&engine, PATIENCE, &flow))).await
    })
}

/// An environment that stands, whether a record tells of it or not.
struct Known {
    owner: Owner,
    provider: ProviderKind,
    state: String,
}

fn on_kind((owner, running, all): (Owner, usize, usize)) -> Known {
    let state = format!("{running} of {} running", words::count(all, "node"));
    Known { owner, provider: ProviderKind::Kind, state }
}

/// The environments that AWS has in `regions`, of the account of the credentials.
fn on_aws(regions: &[String]) -> Result<Vec<Known>, Failure> {
    if regions.is_empty() {
        return Ok(Vec::new());
    }
    runtime::run(|signals| async move {
        let flow = Flow::new(signals.cancel().clone());
        let mut found = Vec::new();
        for region in regions {
            let session = Session::new(Whose { region: region.clone(), ..Whose::default() });
            for standing in reading(&signals, Box::pin(eks::standing(&session, &flow))).await?? {
                let state = format!("{}, in {region}", standing.state);
                found.push(Known { owner: standing.owner, provider: ProviderKind::Eks, state });
            }
        }
        Ok(found)
    })
}

/// Those of `known` that no record tells of: they are known by their marks.
fn marked(known: Vec<Known>, found: &[Listed]) -> Vec<Marked> {
    let is_recorded = |owner: &Owner| {
        let about = found.iter().map(|one| &one.record.about);
        about.into_iter().any(|about| about.owner == owner.id && about.environment == owner.environment)
    };
    let unknown = known.into_iter().filter(|known| !is_recorded(&known.owner));
    unknown
        .map(|Known { owner, provider, state }| Marked {
            state,
            about: MarkedAbout {
                environment: owner.environment,
                owner: owner.id,
                provider: provider.to_string(),
            },
        })
        .collect()
}

/// The list, as JSON.
#[derive(Serialize)]
struct List<'a> {
    schema: u32,
    environments: Vec<Entry<'a>>,
    /// The engines that did not say which clusters they have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unanswered: Vec<Unanswered>,
}

#[derive(Serialize)]
struct Unanswered {
    engine: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One line of the list, as JSON.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Recorded(&'a Listed),
    Marked(&'a Marked),
}

/// An environment that is known by its mark alone.
#[derive(Serialize)]
struct Marked {
    state: String,
    about: MarkedAbout,
}

#[derive(Serialize)]
struct MarkedAbout {
    environment: String,
    owner: String,
    provider: String,
}

#[derive(Serialize)]
struct Listed {
    state: &'static str,
    #[serde(flatten)]
    record: Record,
}
