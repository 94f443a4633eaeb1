use std::collections::{BTreeMap, BTreeSet};

use super::super::outputs::{self, LaunchTemplate, PlacedSubnet};
use super::hints::Hints;
use super::machines::Machines;
use crate::base::{Owner, label};
use crate::engine::Outputs;
use crate::profile::schema::MaxUnavailable;
use crate::profile::{Environment, NodeGroup, Taint};
use crate::providers::nodes::taints;

/// A node group as the profile wants it, as far as that is known: what its network has not told yet is open.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// The name in the profile. The group of AWS has it too, or it is a replacement of that one.
    pub name: String,
    /// Machine types, the best first.
    pub machines: Vec<String>,
    pub spot: bool,
    pub min: u32,
    pub max: u32,
    pub labels: BTreeMap<String, String>,
    pub taints: BTreeSet<Taint>,
    pub max_unavailable: MaxUnavailable,
    pub tags: BTreeMap<String, String>,
    /// The Kubernetes, where the profile names it.
    pub version: Option<(u32, u32)>,
    /// Full names of zones; all, when there are none.
    pub zones: BTreeSet<String>,
    /// What the autoscaler is told of a node that is not there.
    pub hints: Hints,
    /// What the network told.
    pub place: Option<Place>,
}

/// Where the machines of a group live, and as what.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// All subnets for machines.
    pub subnets: Vec<PlacedSubnet>,
    /// The ARN of the role of the nodes.
    pub role: String,
    /// What machines are made from.
    pub template: LaunchTemplate,
}

impl Wanted {
    pub fn of(environment: &Environment, group: &NodeGroup, names_version: bool, outputs: &Outputs) -> Self {
        let machines = std::iter::once(&group.machine).chain(&group.other_machines);
        Self {
            name: group.name.clone(),
            machines: machines.cloned().collect(),
            spot: group.spot,
            min: group.min,
            // EKS takes no group that can have no node at all.
            max: group.max.max(1),
            labels: labels(group),
            taints: taints(group).into_iter().collect(),
            max_unavailable: group.max_unavailable,
            tags: tags(&environment.owner, &group.name),
            version: names_version.then_some(environment.kubernetes),
            zones: group.zones.iter().cloned().collect(),
            hints: if environment.is_scaled() { Hints::of(group, &labels(group)) } else { Hints::none() },
            place: place(outputs, &group.name),
        }
    }

    /// The subnets for machines of these types: in the zones of the profile, and of those in the ones that offer
    /// every type.
    pub fn subnets(&self, machines: &Machines) -> Vec<String> {
        let Some(place) = &self.place else { return Vec::new() };
        let of_profile = |subnet: &&PlacedSubnet| self.zones.is_empty() || self.zones.contains(&subnet.zone);
        let offered = |subnet: &&PlacedSubnet| machines.are_offered(&self.machines, &subnet.zone);
        let subnets = place.subnets.iter().filter(of_profile).filter(offered);
        subnets.map(|subnet| subnet.id.clone()).collect()
    }

    /// Whether there is a zone for its machines, as far as the network and the profile tell.
    pub fn can_be_had(&self, machines: &Machines) -> bool {
        if self.place.is_some() {
            return !self.subnets(machines).is_empty();
        }
        self.zones.is_empty() || self.zones.iter().any(|zone| machines.are_offered(&self.machines, zone))
    }

    /// How its nodes are made anew.
    pub fn rolling(&self) -> String {
        match self.max_unavailable {
            MaxUnavailable::Count(1) => "its nodes are replaced, one after the other".to_string(),
            at_once => format!("its nodes are replaced, up to {at_once} at once"),
        }
    }

    /// For a plan: `2 to 6 m7i.large, spot`.
    pub fn outline(&self) -> String {
        let count =
            if self.min == self.max { self.min.to_string() } else { format!("{} to {}", self.min, self.max) };
        let spot = if self.spot { ", spot" } else { "" };
        format!("{count} {}{spot}", self.machines.join(" or "))
    }
}

/// The labels of the nodes of `group`.
fn labels(group: &NodeGroup) -> BTreeMap<String, String> {
    let mut labels = group.labels.clone();
    labels.insert(label::NODE_GROUP.to_string(), group.name.clone());
    if group.resources.gpus > 0 {
        labels.insert("nvidia.com/gpu.present".to_string(), "true".to_string());
    }
    labels
}

fn tags(owner: &Owner, group: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (label::OWNER.to_string(), owner.id.clone()),
        (label::ENVIRONMENT.to_string(), owner.environment.clone()),
        (label::NODE_GROUP.to_string(), group.to_string()),
    ])
}

fn place(outputs: &Outputs, group: &str) -> Option<Place> {
    let subnets = outputs::subnets(outputs, outputs::SUBNETS_NODES);
    if subnets.is_empty() {
        return None;
    }
    Some(Place {
        subnets,
        role: outputs.text(outputs::ROLE_NODE)?.to_string(),
        template: outputs::launch_template(outputs, group)?,
    })
}
