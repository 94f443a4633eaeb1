use std::time::Duration;

use serde::Serialize;

use super::super::exit::{Exit, Failure};
use super::super::record::Record;
use super::super::runtime;
use super::super::settings::Settings;
use super::{print, print_json};
use crate::base::{Owner, ProviderKind};
use crate::flow::Flow;
use crate::os::files;
use crate::providers::kind;
use crate::ui::{Table, words};

/// A list waits no longer for a container engine.
const PATIENCE: Duration = Duration::from_secs(5);

/// `berth list`
pub(super) fn run(settings: &Settings) -> Result<Exit, Failure> {
    let folder = settings.state()?.join("environments");
    let mut found = Vec::new();
    for name in files::names_in(&folder)? {
        if let Some(record) = Record::read(&folder.join(name))? {
            found.push(Listed { state: record.state(), record });
        }
    }
    let marked = marked(settings, &found)?;
    if settings.json() {
        let all: Vec<Entry<'_>> =
            found.iter().map(Entry::Recorded).chain(marked.iter().map(Entry::Marked)).collect();
        print_json(settings, &all)?;
        return Ok(Exit::Done);
    }
    if found.is_empty() && marked.is_empty() {
        settings.printer.talk("no environments here: `berth up lab --rehearse` makes one");
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

/// The kind clusters that berth made and that no record tells of: they are known by their marks.
fn marked(settings: &Settings, found: &[Listed]) -> Result<Vec<Marked>, Failure> {
    let engine = settings.local(None)?.engine;
    let standing = runtime::run(|signals| async move {
        let flow = Flow::new(signals.cancel().clone()).within_limit(PATIENCE);
        Ok(kind::standing(&engine, &flow).await)
    })?;
    let is_recorded = |owner: &Owner| {
        let about = found.iter().map(|one| &one.record.about);
        about.into_iter().any(|about| about.owner == owner.id && about.environment == owner.environment)
    };
    let unknown = standing.into_iter().filter(|(owner, ..)| !is_recorded(owner));
    Ok(unknown
        .map(|(owner, running, all)| Marked {
            state: format!("{running} of {} running", words::count(all, "node")),
            about: MarkedAbout {
                environment: owner.environment,
                owner: owner.id,
                provider: ProviderKind::Kind.to_string(),
            },
        })
        .collect())
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
