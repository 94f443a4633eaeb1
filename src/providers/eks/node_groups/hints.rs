use std::collections::{BTreeMap, BTreeSet};

use super::super::names::short_hash;
use super::super::template::disk_of;
use crate::base::Fault;
use crate::clouds::aws::{Aws, Element, Params, Refusal, Service};
use crate::flow::Flow;
use crate::profile::NodeGroup;
use crate::providers::nodes::taints;

/// What a node of a group would be like: its labels, its taints, what it offers.
/// Source: <https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md>,
/// "Auto-Discovery Setup".
const LABEL: &str = "k8s.io/cluster-autoscaler/node-template/label/";
const TAINT: &str = "k8s.io/cluster-autoscaler/node-template/taint/";
const RESOURCE: &str = "k8s.io/cluster-autoscaler/node-template/resources/";
const DISK: &str = "ephemeral-storage";
const GPUS: &str = "nvidia.com/gpu";
/// The longest key of a tag. The autoscaler asks EKS for the labels of a group too, so one that is left out costs nothing.
/// Source: <https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_Tag.html>.
const LONGEST_KEY: usize = 128;
/// So many tags go with one call.
const AT_ONCE: usize = 25;

/// What the scaling groups of a node group say of nodes that are not there, as tags: EKS hands on neither labels nor
/// taints, and the autoscaler has to know which group to add to when it has no node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hints(BTreeMap<String, String>);

impl Hints {
    /// The tag of a node group that says what its scaling groups were told: so nobody has to ask them.
    pub const MARK: &'static str = "berth.dev/autoscaler-hints";

    /// What is told of the nodes of `group`, which have these labels.
    pub fn of(group: &NodeGroup, labels: &BTreeMap<String, String>) -> Self {
        let labels = labels.iter().map(|(key, value)| (format!("{LABEL}{key}"), value.clone()));
        let taints = taints(group).into_iter();
        let taints = taints
            .map(|taint| (format!("{TAINT}{}", taint.key), format!("{}:{}", taint.value, taint.effect)));
        let mut hints: BTreeMap<String, String> = labels.chain(taints).collect();
        hints.insert(format!("{RESOURCE}{DISK}"), format!("{}Gi", disk_of(group)));
        if group.resources.gpus > 0 {
            hints.insert(format!("{RESOURCE}{GPUS}"), group.resources.gpus.to_string());
        }
        hints.retain(|key, _| key.len() <= LONGEST_KEY);
        Self(hints)
    }

    /// Nothing: there is nobody to be told.
    pub fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether nothing is told.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a node group with this value of [`MARK`](Self::MARK) was told just that.
    pub fn were_told(&self, mark: Option<&String>) -> bool {
        mark.map_or(self.is_none(), |mark| *mark == self.mark())
    }

    /// The value of [`MARK`](Self::MARK) once they are told.
    pub fn mark(&self) -> String {
        if self.is_none() {
            return "none".to_string();
        }
        short_hash(&format!("{:?}", self.0))
    }

    /// Tells the scaling groups called `names`.
    ///
    /// If this dies half way, the mark is not set, and the next run does all of it again.
    pub async fn tell(&self, aws: &Aws, names: &[String], flow: &Flow) -> Result<(), Refusal> {
        let scaling = aws.query(Service::AutoScaling);
        let asked = Params::new().list("AutoScalingGroupNames.member", names.iter().cloned());
        let found = scaling.all(flow, "DescribeAutoScalingGroups", &asked, "AutoScalingGroups").await?;
        for (name, group) in called(names, &found) {
            let pair = |tag: &Element| {
                Some((tag.text("Key")?.to_string(), tag.text("Value").unwrap_or_default().to_string()))
            };
            let difference = self.differ(&group.list("Tags").filter_map(pair).collect());
            let set: Vec<(&str, Option<&str>)> =
                difference.set.iter().map(|(key, value)| (*key, Some(*value))).collect();
            let remove: Vec<(&str, Option<&str>)> =
                difference.remove.iter().map(|key| (key.as_str(), None)).collect();
            for (operation, tags) in [("CreateOrUpdateTags", set), ("DeleteTags", remove)] {
                for tags in tags.chunks(AT_ONCE) {
                    scaling.call(flow, operation, &params(name, tags)).await?;
                }
            }
        }
        Ok(())
    }

    /// How a scaling group with these tags differs. Labels and taints that the group has no more would draw nodes that
    /// no pod can use; tags that no hint ever has are nobody's here.
    fn differ(&self, live: &BTreeMap<String, String>) -> Difference<'_> {
        let differs = |(key, value): &(&String, &String)| live.get(*key) != Some(*value);
        let is_resource =
            |key: &str| key.strip_prefix(RESOURCE).is_some_and(|resource| [DISK, GPUS].contains(&resource));
        let is_ours = |key: &&String| key.starts_with(LABEL) || key.starts_with(TAINT) || is_resource(key);
        let set = self.0.iter().filter(differs).map(|(key, value)| (key.as_str(), value.as_str()));
        let remove = live.keys().filter(is_ours).filter(|key| !self.0.contains_key(*key));
        Difference { set: set.collect(), remove: remove.cloned().collect() }
    }
}

/// Those of `found` that are called one of `names`, by name. To AWS no names mean all groups of the account
/// (<https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_DescribeAutoScalingGroups.html>).
fn called<'a>(names: &'a [String], found: &'a [Element]) -> impl Iterator<Item = (&'a str, &'a Element)> {
    let named = found.iter().filter_map(|group| Some((group.text("AutoScalingGroupName")?, group)));
    named.filter(|(name, _)| names.iter().any(|one| one == name))
}

/// How the tags of a scaling group differ from what is wanted.
struct Difference<'a> {
    set: BTreeMap<&'a str, &'a str>,
    remove: BTreeSet<String>,
}

/// Tags of the scaling group `name`, as calls take them.
fn params(name: &str, tags: &[(&str, Option<&str>)]) -> Params {
    tags.iter().zip(1..).fold(Params::new(), |params, ((key, value), number)| {
        let tag = |field: &str| format!("Tags.member.{number}.{field}");
        let params = params
            .with(tag("ResourceId"), name)
            .with(tag("ResourceType"), "auto-scaling-group")
            .with(tag("Key"), *key);
        match value {
            // Machines have tags of their own.
            Some(value) => params.with(tag("Value"), *value).with(tag("PropagateAtLaunch"), "false"),
            None => params,
        }
    })
}

/// What berth was doing, for a refusal.
pub(super) fn untold(group: &str, refusal: &Refusal) -> Fault {
    refusal.clone().fault(format!("tell the autoscaler what nodes of {group} are like"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::nodes::sample_group;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect()
    }

    #[test]
    fn a_node_that_is_not_there_is_told_by_its_labels_taints_and_what_it_offers() {
        let long = "example.com/".to_string() + &"a".repeat(90);
        let hints = Hints::of(&sample_group("gpu", 0, 4, 1), &map(&[("team", "ml"), (&long, "1")]));
        let expected = map(&[
            ("k8s.io/cluster-autoscaler/node-template/label/team", "ml"),
            ("k8s.io/cluster-autoscaler/node-template/resources/ephemeral-storage", "100Gi"),
            ("k8s.io/cluster-autoscaler/node-template/resources/nvidia.com/gpu", "1"),
            ("k8s.io/cluster-autoscaler/node-template/taint/nvidia.com/gpu", "present:NoSchedule"),
        ]);
        assert_eq!(hints.0, expected);
        assert_ne!(hints.mark(), Hints(BTreeMap::new()).mark());
    }

    #[test]
    fn only_the_scaling_groups_of_the_node_group_are_told() {
        let group = |name: &str| {
            let xml = format!("<member><AutoScalingGroupName>{name}</AutoScalingGroupName></member>");
            Element::parse(&xml).expect("XML")
        };
        let found = [group("eks-general-1"), group("of-somebody-else")];
        let told = |names: &[&str]| -> Vec<String> {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            called(&names, &found).map(|(name, _)| name.to_string()).collect()
        };
        assert_eq!(told(&["eks-general-1"]), ["eks-general-1"]);
        assert!(told(&[]).is_empty());
    }

    #[test]
    fn only_labels_and_taints_that_are_gone_are_taken_away() {
        let hints = Hints(map(&[("k8s.io/cluster-autoscaler/node-template/label/team", "ml")]));
        let live = map(&[
            ("k8s.io/cluster-autoscaler/node-template/label/team", "web"),
            ("k8s.io/cluster-autoscaler/node-template/label/old", "1"),
            ("k8s.io/cluster-autoscaler/node-template/autoscaling-options/scaledownunneededtime", "1m"),
            ("eks:cluster-name", "dev"),
        ]);
        let found = hints.differ(&live);
        assert_eq!(found.set, BTreeMap::from([("k8s.io/cluster-autoscaler/node-template/label/team", "ml")]));
        assert_eq!(
            found.remove,
            BTreeSet::from(["k8s.io/cluster-autoscaler/node-template/label/old".to_string()])
        );
        let same = hints.differ(&hints.0);
        assert!(same.set.is_empty() && same.remove.is_empty());
    }

    #[test]
    fn without_an_autoscaler_all_that_was_told_is_taken_away_and_nothing_else() {
        let told = Hints::of(&sample_group("gpu", 0, 4, 1), &map(&[("team", "ml")]));
        let mut live = told.0.clone();
        live.extend(map(&[
            ("k8s.io/cluster-autoscaler/enabled", "true"),
            ("k8s.io/cluster-autoscaler/node-template/resources/example.com/fpga", "1"),
        ]));
        let none = Hints::none();
        let found = none.differ(&live);
        assert!(found.set.is_empty());
        assert_eq!(found.remove, told.0.keys().cloned().collect());
        assert!(Hints::none().were_told(None) && Hints::none().were_told(Some(&Hints::none().mark())));
        assert!(!Hints::none().were_told(Some(&told.mark())) && !told.were_told(None));
    }
}
