use std::collections::BTreeMap;

use serde_json::json;

use super::live::Live;
use crate::clouds::aws::{Aws, Service};
use crate::flow::Flow;

/// The kinds of images that berth makes node groups with, and where AWS keeps what is newest of each.
/// Source: <https://docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id.html>.
const FAMILIES: [(&str, &str); 5] = [
    ("AL2023_x86_64_STANDARD", "amazon-linux-2023/x86_64/standard"),
    ("AL2023_ARM_64_STANDARD", "amazon-linux-2023/arm64/standard"),
    ("AL2023_x86_64_NVIDIA", "amazon-linux-2023/x86_64/nvidia"),
    ("AL2023_ARM_64_NVIDIA", "amazon-linux-2023/arm64/nvidia"),
    ("AL2023_x86_64_NEURON", "amazon-linux-2023/x86_64/neuron"),
];

/// The newest release of each kind of image for one Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Releases {
    minor: String,
    /// By kind: `1.36.3-20261112`.
    newest: BTreeMap<&'static str, String>,
    /// Why nothing is known.
    pub unknown: Option<String>,
}

impl Releases {
    /// What is newest for the Kubernetes `minor`, of all kinds by one call: what does not exist is left out. That it
    /// cannot be told is no reason to stop.
    pub async fn ask(aws: &Aws, minor: &str, flow: &Flow) -> Self {
        let names: Vec<String> = FAMILIES.iter().map(|(_, family)| parameter(minor, family)).collect();
        let answer = aws.json(Service::Ssm).call(flow, "GetParameters", &json!({"Names": names})).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(refusal) => return Self { unknown: Some(refusal.message), ..Self::default() },
        };
        let value = |family: &str| {
            let name = parameter(minor, family);
            let found = answer["Parameters"].as_array()?.iter().find(|found| found["Name"] == *name)?;
            found["Value"].as_str().map(str::to_string)
        };
        let newest = FAMILIES.iter().filter_map(|(ami_type, family)| Some((*ami_type, value(family)?)));
        Self { minor: minor.to_string(), newest: newest.collect(), unknown: None }
    }

    /// The newest release for the machines of `live`, if that is newer than theirs.
    pub fn newer(&self, live: &Live) -> Option<&str> {
        let (major, minor) = live.version?;
        let newest = self.newest.get(live.ami_type.as_str())?;
        (self.minor == format!("{major}.{minor}") && numbers(&live.release)? < numbers(newest)?)
            .then_some(newest.as_str())
    }
}

fn parameter(minor: &str, family: &str) -> String {
    format!("/aws/service/eks/optimized-ami/{minor}/{family}/recommended/release_version")
}

/// A release, to be compared: `1.36.3-20261112`.
fn numbers(release: &str) -> Option<Vec<u64>> {
    release.split(['.', '-']).map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::difference::sample;
    use super::*;

    fn releases(newest: &str) -> Releases {
        let newest = BTreeMap::from([("AL2023_x86_64_STANDARD", newest.to_string())]);
        Releases { minor: "1.36".to_string(), newest, unknown: None }
    }

    #[test]
    fn only_a_release_that_is_newer_and_of_the_same_kind_counts() {
        let live = Live { release: "1.36.9-20261101".to_string(), ..sample("general") };
        assert_eq!(releases("1.36.10-20261001").newer(&live), Some("1.36.10-20261001"));
        assert_eq!(releases("1.36.9-20261101").newer(&live), None);
        assert_eq!(releases("1.36.8-20261201").newer(&live), None);
        assert_eq!(releases("latest").newer(&live), None);
        let arm = Live { ami_type: "AL2023_ARM_64_STANDARD".to_string(), ..live.clone() };
        assert_eq!(releases("1.36.10-20261001").newer(&arm), None);
        let older = Live { version: Some((1, 35)), ..live };
        assert_eq!(releases("1.36.10-20261001").newer(&older), None);
    }
}
