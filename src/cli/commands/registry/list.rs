use serde_json::{Value, json};

use super::super::{print, print_json};
use super::{Place, chosen};
use crate::base::Fault;
use crate::cli::args::RegistryList;
use crate::cli::exit::{Exit, Failure};
use crate::cli::runtime::{self, reading};
use crate::cli::settings::Settings;
use crate::flow::Flow;
use crate::profile::Environment;
use crate::registry::{ecr, local};
use crate::ui::{Table, words};

/// The version of the JSON.
const SCHEMA_VERSION: u32 = 1;

/// What is in a registry.
struct Listed {
    host: String,
    /// As JSON shows it.
    repositories: Value,
    /// The rows of the table, without the host before the name.
    rows: Vec<Vec<String>>,
    titles: &'static [&'static str],
    /// What to say where there is nothing.
    empty: String,
}

/// `berth registry list [ENV]`
pub(super) fn run(arguments: &RegistryList, settings: &Settings) -> Result<Exit, Failure> {
    let (environment, place) = chosen(&arguments.target, "list the images in the registry", settings)?;
    let typed = arguments.target.environment.as_deref().unwrap_or(&environment.name);
    let up = format!("berth up {typed}");
    let listed = runtime::run(|signals| {
        let (place, environment, up) = (&place, &environment, &up);
        async move {
            let flow = Flow::new(signals.cancel().clone());
            Ok(Box::pin(reading(&signals, look(place, environment, up, &flow))).await??)
        }
    })?;
    let host = &listed.host;
    if settings.json() {
        let value = json!({"schema": SCHEMA_VERSION, "environment": environment.name, "registry": host,
            "repositories": listed.repositories});
        print_json(settings, &value)?;
        return Ok(Exit::Done);
    }
    if listed.rows.is_empty() {
        settings.printer.talk(&listed.empty);
        return Ok(Exit::Done);
    }
    let mut table = Table::titled(listed.titles);
    for row in &listed.rows {
        table.row(row.iter().enumerate().map(|(column, cell)| match column {
            0 => words::tame(&format!("{host}/{cell}")),
            _ => words::tame(cell),
        }));
    }
    let paint = settings.printer.data_paint;
    let lines = table.lines(|row, _, cell| if row == 0 { paint.faint(&cell) } else { cell });
    print(settings, &lines.join("\n"))?;
    Ok(Exit::Done)
}

async fn look(place: &Place, environment: &Environment, up: &str, flow: &Flow) -> Result<Listed, Fault> {
    match place {
        Place::Local(port) => {
            let found = local::repositories(*port, up, flow).await?;
            let host = local::host(*port);
            let rows = found.iter().map(|one| vec![one.name.clone(), in_line(&one.tags)]).collect();
            let empty = format!("{host} is empty: `docker push {host}/NAME` fills it");
            let titles = &["REPOSITORY", "TAGS"];
            Ok(Listed { host, repositories: json!(found), rows, titles, empty })
        }
        Place::Ecr(spec, session) => {
            let (host, found) = ecr::repositories(environment, spec, session, flow).await?;
            let row = |one: &ecr::Repository| {
                vec![one.name.clone(), in_line(&one.tags), one.untagged.to_string(), megabytes(one.bytes)]
            };
            let rows = found.iter().map(row).collect();
            let empty = format!("{host} has no repository of {}: `{up}` makes them", environment.name);
            let titles = &["REPOSITORY", "TAGS", "UNTAGGED", "SIZE"];
            Ok(Listed { host, repositories: json!(found), rows, titles, empty })
        }
    }
}

fn in_line(tags: &[String]) -> String {
    if tags.is_empty() { "-".to_string() } else { tags.join(", ") }
}

/// `12 MB`, rounded up.
fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}
