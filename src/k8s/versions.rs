use std::collections::{BTreeMap, BTreeSet};

use super::hub::Hub;
use super::live::Live;
use crate::base::label;

/// Where a workload says which version of its program it runs.
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/>
const VERSION: &str = "app.kubernetes.io/version";

/// Where a chart says its name and version; what it runs has another version than the chart.
/// <https://helm.sh/docs/chart_best_practices/labels/>
const CHART: &str = "helm.sh/chart";

impl Hub {
    /// The versions that the live workloads of each set say they run, as they were listed last.
    /// Asks nobody: a survey comes first.
    pub fn standing_versions(&self) -> BTreeMap<String, BTreeSet<String>> {
        let owner = &self.settings().owner;
        let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for live in self.seen_so_far().iter().filter(|live| is_workload(live) && live.is_of(owner)) {
            let version = match live.label(CHART) {
                Some(chart) => chart_version(chart),
                None => live.label(VERSION),
            };
            if let (Some(set), Some(version)) = (live.label(label::SET), version) {
                versions.entry(set.to_string()).or_default().insert(version.to_string());
            }
        }
        versions
    }
}

fn is_workload(live: &Live) -> bool {
    live.kind.group == "apps" && matches!(live.kind.kind.as_str(), "Deployment" | "DaemonSet" | "StatefulSet")
}

/// The version in `NAME-VERSION`. Both may have dashes: the version begins with the first number that is
/// followed by a dot. A label cannot hold the `+` of a version, which charts write as `_`.
fn chart_version(chart: &str) -> Option<&str> {
    chart.match_indices('-').map(|(at, _)| &chart[at + 1..]).find(|version| {
        let number = version.trim_start_matches('v').split_once('.').map(|(number, _)| number);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_chart_stands_behind_its_name() {
        for (chart, version) in [
            ("web-1.2.3", Some("1.2.3")),
            ("cert-manager-v1.15.0", Some("v1.15.0")),
            ("k8s-2-go-0.1.0-rc.1", Some("0.1.0-rc.1")),
            ("web", None),
            ("web-latest", None),
        ] {
            assert_eq!(chart_version(chart), version, "{chart}");
        }
    }
}
