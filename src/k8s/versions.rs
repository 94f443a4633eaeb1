use std::collections::{BTreeMap, BTreeSet};

use super::hub::Hub;
use super::live::Live;
use crate::base::label;

/// Where a workload says which version of its program it runs.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/>
const VERSION: &str = "app.kubernetes.io/version";

impl Hub {
    /// The versions that the live workloads of each set say they run, as they were listed last.
    /// Asks nobody: a survey comes first.
    pub fn standing_versions(&self) -> BTreeMap<String, BTreeSet<String>> {
        let owner = &self.settings().owner;
        let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for live in self.seen_so_far().iter().filter(|live| is_workload(live) && live.is_of(owner)) {
            if let (Some(set), Some(version)) = (live.label(label::SET), live.label(VERSION)) {
                versions.entry(set.to_string()).or_default().insert(version.to_string());
            }
        }
        versions
    }
}

fn is_workload(live: &Live) -> bool {
    live.kind.group == "apps" && matches!(live.kind.kind.as_str(), "Deployment" | "DaemonSet" | "StatefulSet")
}
