//! What of this machine would make a kind cluster fail, found before anything is made.

mod gpus;
mod image;
mod judge;
mod machine;
mod proxies;
mod routes;
mod sight;
#[cfg(test)]
mod tests;
mod wanted;

pub(super) use gpus::finding as gpu_finding;
pub use gpus::{GpuGroup, WantedGpus, check_gpus};
pub use image::ImageSight;
pub use judge::{GET_KIND, judge, size};
pub use machine::{Inotify, Machine};
pub use proxies::{Proxies, Proxy};
pub use routes::Route;
pub use sight::{EngineSight, Holder, KindSight, Obstacle, Sight, sight};
pub use wanted::{Wanted, WantedImage, WantedPort, network};

use crate::base::{Change, Conflict, Note, Remedy};
use crate::flow::Flow;
use crate::providers::Local;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The cluster cannot be made.
    Fail,
    /// It may go wrong, or something will not work.
    Warn,
}

/// Something about this machine that a kind cluster will stumble over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it weighs.
    pub level: Level,
    /// What it is about: `port 8080`, `inotify`.
    pub what: String,
    /// What was found.
    pub found: String,
    /// What to type or change.
    pub remedy: Remedy,
}

/// Looks at this machine and judges it, all at once. Asks no cluster and takes less than a second on a
/// machine that works.
pub async fn check(local: &Local, wanted: &Wanted, flow: &Flow) -> Vec<Finding> {
    judge(&sight(local, wanted, flow).await, wanted)
}

/// What the cluster of one profile stumbles over on a machine of which `seen` is known: its ports and its image.
pub async fn check_profile(local: &Local, wanted: &Wanted, seen: &Sight, flow: &Flow) -> Vec<Finding> {
    let sight = sight::of_profile(local, wanted, seen, flow).await;
    judge::profile_findings(&sight, wanted)
}

/// What `findings` add to a plan: conflicts of what would fail, and notes of the rest.
pub fn told(findings: &[Finding]) -> (Vec<Change>, Vec<Note>) {
    let failing = findings
        .iter()
        .filter(|finding| finding.level == Level::Fail)
        .map(|finding| Conflict::new(&finding.found, finding.remedy.clone()).of(&finding.what));
    let warning = findings.iter().filter(|finding| finding.level == Level::Warn).map(|finding| {
        Note::new("warning", format!("{}: {}; {}", finding.what, finding.found, finding.remedy))
    });
    (failing.collect(), warning.collect())
}
