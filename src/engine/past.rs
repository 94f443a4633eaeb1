use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::base::Fault;
use crate::os::files;

/// What a past `up` that ended well made, and how long it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    /// From its start to its end.
    pub took: Duration,
    /// The ids of the resources that it made or replaced.
    made: Vec<String>,
}

impl PastRun {
    /// Whether it made something whose id begins with `longest`, and no cluster besides.
    pub fn made_most(&self, longest: &str) -> bool {
        let made = |start: &str| self.made.iter().any(|id| id.starts_with(start));
        made(longest) && (longest == CLUSTER || !made(CLUSTER))
    }
}

const CLUSTER: &str = "cluster/";

/// As much of an event as is needed here.
#[derive(Deserialize)]
struct Line {
    elapsed_ms: u64,
    #[serde(rename = "type")]
    kind: String,
    command: Option<String>,
    resource: Option<String>,
    #[serde(default)]
    changes: serde_json::Value,
    exit_code: Option<u8>,
}

/// The runs of `up` whose journals are in `folder` and that ended well. What cannot be read is left out: a journal is
/// never needed.
pub fn past_runs(folder: &Path) -> Result<Vec<PastRun>, Fault> {
    let mut runs = Vec::new();
    for name in files::names_in(folder)? {
        if let Ok(Some(text)) = files::read_if_there(&folder.join(name)) {
            runs.extend(past_run(&text));
        }
    }
    Ok(runs)
}

fn past_run(journal: &str) -> Option<PastRun> {
    let mut made = Vec::new();
    let mut is_up = false;
    for line in journal.lines() {
        let Ok(line) = serde_json::from_str::<Line>(line) else { continue };
        match line.kind.as_str() {
            "run_started" => is_up = line.command.as_deref() == Some("up"),
            "step" if makes(&line.changes) => made.extend(line.resource),
            "run_finished" if is_up && line.exit_code == Some(0) => {
                return Some(PastRun { took: Duration::from_millis(line.elapsed_ms), made });
            }
            _ => {}
        }
    }
    None
}

/// Whether a step with these changes, each a kind and how many, makes something.
fn makes(changes: &serde_json::Value) -> bool {
    let mut kinds = changes.as_array().into_iter().flatten().filter_map(|change| change[0].as_str());
    kinds.any(|kind| matches!(kind, "create" | "replace"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: &str = r#"{"seq":1,"elapsed_ms":2,"type":"run_started","command":"up"}"#;
    const MADE: &str =
        r#"{"seq":2,"elapsed_ms":9,"type":"step","resource":"cluster/eks/dev","changes":[["create",1]]}"#;
    const CHANGED: &str =
        r#"{"seq":3,"elapsed_ms":10,"type":"step","resource":"node-group/one","changes":[["update",1]]}"#;
    const ENDED: &str = r#"{"seq":4,"elapsed_ms":720000,"type":"run_finished","exit_code":0}"#;

    fn read(lines: &[&str]) -> Option<PastRun> {
        past_run(&lines.join("\n"))
    }

    #[test]
    fn a_run_that_ended_well_tells_what_it_made_and_how_long_it_took() {
        let run = read(&[BEGUN, MADE, CHANGED, "scrap", ENDED]).expect("a run");
        assert_eq!(run.took, Duration::from_mins(12));
        assert!(run.made_most("cluster/"));
        assert!(!run.made_most("node-group/"), "a group that was changed was not made");
    }

    #[test]
    fn runs_that_were_killed_failed_or_removed_something_tell_nothing() {
        assert_eq!(read(&[BEGUN, MADE]), None);
        assert_eq!(read(&[BEGUN, MADE, &ENDED.replace(":0}", ":6}")]), None);
        assert_eq!(read(&[&BEGUN.replace("up", "down"), ENDED]), None);
    }
}
