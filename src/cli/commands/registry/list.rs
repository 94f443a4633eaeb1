use serde_json::json;

use super::super::{print, print_json};
use super::chosen;
use crate::cli::args::RegistryList;
use crate::cli::exit::{Exit, Failure};
use crate::cli::runtime::{self, reading};
use crate::cli::settings::Settings;
use crate::flow::Flow;
use crate::registry::local;
use crate::ui::{Table, words};

/// The version of the JSON.
const SCHEMA_VERSION: u32 = 1;

/// `berth registry list [ENV]`
pub(super) fn run(arguments: &RegistryList, settings: &Settings) -> Result<Exit, Failure> {
    let (environment, port) = chosen(&arguments.target, "list the images in the registry", settings)?;
    let up = format!("berth up {}", arguments.target.environment.as_deref().unwrap_or(&environment.name));
    let found = runtime::run(|signals| async move {
        let flow = Flow::new(signals.cancel().clone());
        Ok(reading(&signals, local::repositories(port, &up, &flow)).await??)
    })?;
    let host = local::host(port);
    if settings.json() {
        let value = json!({"schema": SCHEMA_VERSION, "environment": environment.name, "registry": host,
            "repositories": found});
        print_json(settings, &value)?;
        return Ok(Exit::Done);
    }
    if found.is_empty() {
        settings.printer.talk(&format!("{host} is empty: `docker push {host}/NAME` fills it"));
        return Ok(Exit::Done);
    }
    let mut table = Table::titled(&["REPOSITORY", "TAGS"]);
    for repository in &found {
        let tags = if repository.tags.is_empty() { "-".to_string() } else { repository.tags.join(", ") };
        let name = format!("{host}/{}", repository.name);
        table.row([words::tame(&name), words::tame(&tags)]);
    }
    let paint = settings.printer.data_paint;
    let lines = table.lines(|row, _, cell| if row == 0 { paint.faint(&cell) } else { cell });
    print(settings, &lines.join("\n"))?;
    Ok(Exit::Done)
}
