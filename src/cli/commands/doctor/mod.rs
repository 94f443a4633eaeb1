mod lab;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use serde::Serialize;

use super::super::args::Doctor;
use super::super::exit::{Exit, Failure};
use super::super::runtime;
use super::super::settings::Settings;
use super::{print, print_json};
use crate::addons::{GET_HELM, HelmSearch};
use crate::base::{Clock, SystemClock};
use crate::flow::Flow;
use crate::os::{Program, files};
use crate::providers::ToolSearch;
use crate::ui::Table;

/// A tool that does not tell its version within this time is broken.
const PATIENCE: Duration = Duration::from_secs(10);
/// The programs of a rehearsal and how each tells its version.
const TOOLS: [(&str, &[&str]); 8] = [
    ("kwokctl", &["--version"]),
    ("kwok", &["--version"]),
    ("etcd", &["--version"]),
    ("kube-apiserver", &["--version"]),
    ("kube-controller-manager", &["--version"]),
    ("kube-scheduler", &["--version"]),
    ("metrics-server", &["--version"]),
    ("kubectl", &["version", "--client"]),
];
/// The version of the JSON; it grows when a field changes its meaning or goes.
const SCHEMA_VERSION: u32 = 1;
const GET_TOOLS: &str = "run `scripts/tools` in a checkout of berth, or install it so that it is on PATH";

/// What was found, as JSON.
#[derive(Serialize)]
struct Findings<'a> {
    schema: u32,
    checks: &'a [Check],
}

/// What is known of one thing that berth needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    what: String,
    level: Level,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warn,
    Fail,
}

impl Check {
    fn ok(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), level: Level::Ok, found: found.into(), remedy: None }
    }

    fn wrong(
        what: impl Into<String>,
        level: Level,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), level, found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// `berth doctor`
pub(super) fn run(arguments: &Doctor, settings: &Settings) -> Result<Exit, Failure> {
    let mut checks = vec![
        folder("state folder", settings.state().map_err(Failure::from)?),
        folder("cache folder", settings.cache().map_err(Failure::from)?),
        user_kubeconfig(settings),
        clock(),
    ];
    let local = settings.local(arguments.tools.as_deref())?;
    let helm = settings.helm();
    let labs = lab::labs(&local, settings);
    checks.extend(runtime::run(|signals| async move {
        let flow = Flow::new(signals.cancel().clone());
        let tools = join_all(TOOLS.map(|(name, version)| tool(name, version, &local.tools, &flow)));
        let (mut tools, helm, lab) =
            tokio::join!(tools, helm_check(&helm, &flow), lab::checks(&local, &labs, &flow));
        tools.push(helm);
        tools.extend(lab);
        Ok(tools)
    })?);
    if settings.json() {
        print_json(settings, &Findings { schema: SCHEMA_VERSION, checks: &checks })?;
    } else {
        print(settings, &text(&checks, settings))?;
    }
    let failed = checks.iter().any(|check| check.level == Level::Fail);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn text(checks: &[Check], settings: &Settings) -> String {
    let paint = settings.printer.data_paint;
    let mut table = Table::new();
    for check in checks {
        let level = match check.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        table.row([level, &check.what, &check.found]);
    }
    let lines = table.lines(|row, column, cell| match (column, checks[row].level) {
        (0, Level::Ok) => paint.good(&cell),
        (0, Level::Warn) => paint.notice(&cell),
        (0, Level::Fail) => paint.bad(&cell),
        _ => cell,
    });
    let mut text = String::new();
    for (index, (line, check)) in lines.iter().zip(checks).enumerate() {
        text.push_str(&format!("{line}\n"));
        // One remedy for several checks in a row is told behind the last.
        let again = checks.get(index + 1).is_some_and(|next| next.remedy == check.remedy);
        if let Some(remedy) = check.remedy.as_ref().filter(|_| !again) {
            text.push_str(&format!("      next  {remedy}\n"));
        }
    }
    text
}

fn folder(what: &str, path: &Path) -> Check {
    let probe = path.join(format!(".doctor.{}", std::process::id()));
    let written = files::make_private_folder(path)
        .and_then(|()| files::write_private(&probe, b""))
        .and_then(|()| files::remove_if_there(&probe));
    match written {
        Ok(()) => Check::ok(what, path.display().to_string()),
        Err(fault) => {
            let remedy = fault.hint.clone().unwrap_or_else(|| "make it writable".to_string());
            Check::wrong(what, Level::Fail, fault.to_string(), remedy)
        }
    }
}

fn user_kubeconfig(settings: &Settings) -> Check {
    let what = "your kubeconfig";
    let path = match settings.user_kubeconfig() {
        Ok(path) => path,
        Err(fault) => return Check::wrong(what, Level::Warn, fault.reason, "set HOME or KUBECONFIG"),
    };
    match std::fs::metadata(&path) {
        Err(_) => Check::ok(what, format!("none at {}", path.display())),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => Check::wrong(
            what,
            Level::Warn,
            format!("{} can be read by others", path.display()),
            format!("chmod 600 {}", path.display()),
        ),
        Ok(_) => Check::ok(what, path.display().to_string()),
    }
}

/// Certificates and cloud signatures need the time; a machine without a clock starts far in the past.
fn clock() -> Check {
    let now = SystemClock.now();
    let shown = now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    if shown.as_str() < "2026" {
        return Check::wrong(
            "clock",
            Level::Fail,
            shown,
            "set the clock: certificates would not be valid yet",
        );
    }
    Check::ok("clock", shown)
}

async fn tool(name: &str, version: &[&str], search: &ToolSearch, flow: &Flow) -> Check {
    let Some(path) = search.find(name) else {
        return Check::wrong(name, Level::Warn, "not found; a rehearsal needs it", GET_TOOLS);
    };
    let run = Program::new(&path).args(version.iter().copied()).run();
    match flow.within(PATIENCE, "ask for the version", run).await {
        Ok(finished) if finished.succeeded() => {
            let output = format!("{}\n{}", finished.stdout, finished.stderr);
            Check::ok(name, format!("{}  {}", version_in(&output), path.display()))
        }
        Ok(finished) => {
            let found = format!("`{}` fails: {}", path.display(), finished.stderr_tail(1));
            Check::wrong(name, Level::Warn, found, GET_TOOLS)
        }
        Err(fault) => Check::wrong(name, Level::Warn, fault.to_string(), GET_TOOLS),
    }
}

/// helm is needed by addons with a `chart` alone: that there is none is in order.
async fn helm_check(search: &HelmSearch, flow: &Flow) -> Check {
    let Some(path) = search.locate() else {
        return Check::ok("helm", "not found; only addons with a `chart` need it");
    };
    match flow.within(PATIENCE, "ask for the version", HelmSearch::version_of(&path)).await {
        Ok(version) if version.is_known() => Check::ok("helm", format!("{version}  {}", path.display())),
        Ok(version) => {
            let found = format!("{version}, too old for addons with a `chart`  {}", path.display());
            Check::wrong("helm", Level::Warn, found, GET_HELM)
        }
        Err(fault) => Check::wrong("helm", Level::Warn, fault.to_string(), GET_HELM),
    }
}

/// The first word that looks like a version.
fn version_in(text: &str) -> &str {
    text.split(|c: char| c.is_whitespace() || c == '"' || c == ',')
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
        .unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_print() {
        assert_eq!(version_in("etcd Version: 3.6.16\nGit SHA: x"), "3.6.16");
        assert_eq!(version_in("Client Version: v1.36.3\nKustomize Version: v5.8.0"), "1.36.3");
        assert_eq!(version_in("kwokctl version v0.8.0 go1.26"), "0.8.0");
        assert_eq!(version_in("nothing"), "?");
    }
}
