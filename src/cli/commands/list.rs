use serde::Serialize;

use super::super::exit::{Exit, Failure};
use super::super::record::Record;
use super::super::settings::Settings;
use super::{print, print_json};
use crate::os::files;
use crate::ui::Table;

/// `berth list`
pub(super) fn run(settings: &Settings) -> Result<Exit, Failure> {
    let folder = settings.state()?.join("environments");
    let mut found = Vec::new();
    for name in files::names_in(&folder)? {
        if let Some(record) = Record::read(&folder.join(name))? {
            found.push(Listed { state: record.state(), record });
        }
    }
    if settings.json() {
        print_json(settings, &found)?;
        return Ok(Exit::Done);
    }
    if found.is_empty() {
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
    let paint = settings.printer.data_paint;
    let lines = table.lines(|row, _, cell| if row == 0 { paint.faint(&cell) } else { cell });
    print(settings, &lines.join("\n"))?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Listed {
    state: &'static str,
    #[serde(flatten)]
    record: Record,
}
