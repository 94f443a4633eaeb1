//! The last words of `up` and `down`: what stands, how to reach it, what took how long.

use std::collections::BTreeMap;
use std::time::Duration;

use super::plan::title;
use super::words::{self, count, duration, resource, width};
use super::{Complaint, Paint, Table};
use crate::base::{Fault, FaultKind, Layer, Note, ResourceId};
use crate::engine::Outcome;
use crate::plan::About;
use crate::verify::NETWORK_POLICY;

/// What the end of a run is told with.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// What was worked on.
    pub about: &'a About,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// How long it took.
    pub took: Duration,
    /// Commands that show or reach what stands, with what each is for where it does not say so itself.
    pub reach: &'a [(String, String)],
    /// What a rehearsal left out.
    pub not_rehearsed: &'a [Note],
    /// What to type to go on where this run stopped.
    pub resume: &'a str,
    /// What to type to take away what was begun, where it goes on without this run: in a cloud.
    pub away: Option<&'a str>,
}

impl Report<'_> {
    /// What to show at the end of `up`.
    pub fn up(&self, paint: Paint, columns: usize) -> String {
        let mut text = String::new();
        if self.outcome.is_whole() {
            let verb = if self.outcome.changed { "stands" } else { "stands, nothing had to change" };
            let line = format!("{} {verb}", title(self.about));
            let accepted = match self.outcome.accepted {
                Some(accepted) if self.took > accepted + Duration::from_secs(1) => {
                    format!(", everything accepted after {}", duration(accepted))
                }
                _ => String::new(),
            };
            let times = format!("{}{accepted}", duration(self.took));
            text.push_str(&format!("{}  {}\n", paint.good(&line), paint.faint(&times)));
        } else {
            return self.stopped("stands", paint, columns);
        }
        if self.outcome.changed {
            text.push_str(&self.layers(paint));
        }
        text.push_str(&self.commands(paint));
        if self.outcome.changed {
            text.push_str(&self.left_out(columns));
        }
        text
    }

    /// The commands that reach it, then those with a remark. Remarks stand in one column; a long command, such as one
    /// with the name of a load balancer, pushes its own aside alone.
    fn commands(&self, paint: Paint) -> String {
        const LONG: usize = 64;
        let (plain, remarked): (Vec<_>, Vec<_>) =
            self.reach.iter().partition(|(_, purpose)| purpose.is_empty());
        let widths = remarked.iter().map(|(command, _)| width(command));
        let column = widths.filter(|width| *width <= LONG).max().unwrap_or_default();
        let mut text = if self.reach.is_empty() { String::new() } else { "\n".to_string() };
        for (command, _) in plain {
            text.push_str(&format!("  {command}\n"));
        }
        for (command, purpose) in remarked {
            let gap = " ".repeat(column.saturating_sub(width(command)));
            text.push_str(&format!("  {command}{gap}  {}\n", paint.faint(&format!("# {purpose}"))));
        }
        text
    }

    /// What to show at the end of `down`, before the inventory.
    pub fn down(&self, paint: Paint, columns: usize) -> String {
        if self.outcome.is_whole() { String::new() } else { self.stopped("gone", paint, columns) }
    }

    /// The faults, each once, then what is done and what is not, and how to go on.
    fn stopped(&self, done: &str, paint: Paint, columns: usize) -> String {
        let mut text = String::new();
        let stopped = |fault: &Fault| fault.kind == FaultKind::Cancelled;
        let faults = self.outcome.failed.iter().filter(|(_, fault)| !stopped(fault));
        for complaint in Complaint::gathered(faults.map(|(id, fault)| (id, fault))) {
            text.push_str(&complaint.text(paint, columns));
            text.push('\n');
        }
        let names = |ids: Vec<String>| if ids.is_empty() { "nothing".to_string() } else { words::list(&ids) };
        let mut table = Table::new();
        table.row([done.to_string(), names(self.outcome.done.iter().map(|(id, _)| resource(id)).collect())]);
        let ended = |want_stopped: bool| -> Vec<String> {
            let failed = self.outcome.failed.iter().filter(|(_, fault)| stopped(fault) == want_stopped);
            failed.map(|(id, _)| resource(id)).collect()
        };
        let not_started: Vec<String> = self.outcome.not_started.iter().map(resource).collect();
        for (label, ids) in [("failed", ended(false)), ("stopped", ended(true))] {
            if !ids.is_empty() {
                table.row([label.to_string(), names(ids)]);
            }
        }
        for (index, (id, status)) in self.outcome.not_ready.iter().enumerate() {
            let label = if index == 0 { "not ready" } else { "" };
            table.row([label.to_string(), words::tame(&format!("{}: {status}", resource(id)))]);
        }
        if !not_started.is_empty() {
            let since = self.blocker().map(|id| format!(", since {} failed", resource(id)));
            table.row(["not started".to_string(), names(not_started) + &since.unwrap_or_default()]);
        }
        table.row(["to go on".to_string(), format!("`{}`", self.resume)]);
        if let Some(away) = self.away.filter(|_| !self.outcome.not_ready.is_empty()) {
            let text = format!("`{away}` takes away what was begun: the cloud goes on with it, and bills it");
            table.row(["or".to_string(), text]);
        }
        for line in table.lines(|_, column, cell| if column == 0 { paint.strong(&cell) } else { cell }) {
            text.push_str(&format!("{line}\n"));
        }
        text
    }

    /// The one resource whose failure everything else waited for; none where the time was over, or somebody
    /// stopped the run.
    fn blocker(&self) -> Option<&ResourceId> {
        match self.outcome.failed.as_slice() {
            [(id, fault)] if !matches!(fault.kind, FaultKind::Deadline | FaultKind::Cancelled) => Some(id),
            _ => None,
        }
    }

    /// How long each layer took: its longest resource, since they run side by side.
    fn layers(&self, paint: Paint) -> String {
        let mut longest: BTreeMap<Layer, Duration> = BTreeMap::new();
        // A probe makes nothing that would belong to a layer.
        let made = self.outcome.done.iter().filter(|(id, _)| id.as_str() != NETWORK_POLICY);
        for (id, took) in made {
            let entry = longest.entry(id.layer()).or_default();
            *entry = (*entry).max(*took);
        }
        let parts: Vec<String> = longest
            .iter()
            .filter(|(_, took)| took.as_millis() >= 50)
            .map(|(layer, took)| format!("{layer} {}", duration(*took)))
            .collect();
        if parts.is_empty() { String::new() } else { format!("{}\n", paint.faint(&parts.join(" · "))) }
    }

    fn left_out(&self, columns: usize) -> String {
        if self.not_rehearsed.is_empty() {
            return String::new();
        }
        let mut text = format!("\nnot rehearsed ({}):\n", count(self.not_rehearsed.len(), "part"));
        for note in self.not_rehearsed {
            text.push_str(&words::item(&note.text, columns));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::samples::about;

    fn report<'a>(about: &'a About, outcome: &'a Outcome, reach: &'a [(String, String)]) -> Report<'a> {
        Report {
            about,
            outcome,
            took: Duration::from_millis(5230),
            reach,
            not_rehearsed: &[],
            resume: "berth up lab --rehearse",
            away: None,
        }
    }

    #[test]
    fn what_a_cloud_goes_on_with_is_told_with_what_takes_it_away() {
        let about = about();
        let begun = Outcome {
            not_ready: vec![(ResourceId::new("network/eks/dev"), "stack CREATE_IN_PROGRESS".to_string())],
            ..Outcome::default()
        };
        let text = |away| Report { away, ..report(&about, &begun, &[]) }.up(Paint::PLAIN, 80);
        let told = "\
to go on   `berth up lab --rehearse`
or         `berth down dev` takes away what was begun: the cloud goes on with it, and bills it
";
        assert!(text(Some("berth down dev")).ends_with(told), "{}", text(Some("berth down dev")));
        assert!(!text(None).contains("takes away"));
    }

    #[test]
    fn what_stands_how_long_it_took_and_how_to_reach_it() {
        let outcome = Outcome {
            done: vec![
                (ResourceId::new("cluster/kwok/lab"), Duration::from_millis(3400)),
                (ResourceId::new("addon/a"), Duration::from_millis(100)),
                (ResourceId::new("addon/b"), Duration::from_millis(900)),
            ],
            changed: true,
            ..Outcome::default()
        };
        let long = format!("curl http://{}/", "a".repeat(60));
        let reach = [("berth down lab", "take it away"), ("kubectl get nodes", "the nodes"), (&long, "404")];
        let reach = reach.map(|(command, purpose)| (command.to_string(), purpose.to_string()));
        assert_eq!(
            report(&about(), &outcome, &reach).up(Paint::PLAIN, 80),
            format!(
                "lab-rehearsal (kind, rehearsed) stands  5.2 s\ncluster 3.4 s · addons 0.9 s\n\n  \
                 berth down lab     # take it away\n  kubectl get nodes  # the nodes\n  {long}  # 404\n"
            )
        );
    }

    #[test]
    fn a_partial_run_says_what_stands_what_failed_and_how_to_go_on() {
        let outcome = Outcome {
            done: vec![(ResourceId::new("cluster/kwok/lab"), Duration::from_millis(3400))],
            failed: vec![(
                ResourceId::new("node-groups"),
                Fault::new(FaultKind::Quota, "make nodes", "no room"),
            )],
            not_started: vec![ResourceId::new("addon/traefik"), ResourceId::new("tenants")],
            changed: false,
            ..Outcome::default()
        };
        let expected = "\
error: cannot make nodes
  on    node groups
  why   no room

stands       cluster kwok/lab
failed       node groups
not started  addon traefik and tenants, since node groups failed
to go on     `berth up lab --rehearse`
";
        assert_eq!(report(&about(), &outcome, &[]).up(Paint::PLAIN, 80), expected);
    }
}
