use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_eks::types::{
    CapacityTypes, NodeRepairConfig, Nodegroup, NodegroupHealth, NodegroupResources, NodegroupScalingConfig,
    NodegroupStatus, TaintEffect,
};

use super::super::cluster::parse_minor;
use super::super::outputs::LaunchTemplate;
use crate::base::{Owner, label};
use crate::profile::Taint;

/// A node group as EKS describes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Live {
    pub name: String,
    pub arn: String,
    pub status: Status,
    pub version: Option<(u32, u32)>,
    /// The release of its image: `1.36.1-20261101`.
    pub release: String,
    pub ami_type: String,
    pub machines: Vec<String>,
    pub spot: bool,
    pub subnets: BTreeSet<String>,
    pub role: String,
    pub template: Option<LaunchTemplate>,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    pub labels: BTreeMap<String, String>,
    pub taints: BTreeSet<Taint>,
    pub repairs: bool,
    pub tags: BTreeMap<String, String>,
    /// What EKS says is wrong with it.
    pub issues: Vec<String>,
    /// The scaling groups behind it.
    pub scaling_groups: Vec<String>,
}

/// How a node group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    Creating,
    Active,
    Updating,
    Deleting,
    CreateFailed,
    DeleteFailed,
    Degraded,
    Other(String),
}

impl Live {
    pub fn of(group: &Nodegroup) -> Self {
        let scaling = group.scaling_config();
        let size = |size: Option<i32>| size.and_then(|size| u32::try_from(size).ok()).unwrap_or_default();
        let issues = group.health().map(NodegroupHealth::issues).unwrap_or_default();
        let scaling_groups =
            group.resources().map(NodegroupResources::auto_scaling_groups).unwrap_or_default();
        Self {
            name: group.nodegroup_name().unwrap_or_default().to_string(),
            arn: group.nodegroup_arn().unwrap_or_default().to_string(),
            status: match group.status() {
                Some(NodegroupStatus::Creating) => Status::Creating,
                Some(NodegroupStatus::Active) => Status::Active,
                Some(NodegroupStatus::Updating) => Status::Updating,
                Some(NodegroupStatus::Deleting) => Status::Deleting,
                Some(NodegroupStatus::CreateFailed) => Status::CreateFailed,
                Some(NodegroupStatus::DeleteFailed) => Status::DeleteFailed,
                Some(NodegroupStatus::Degraded) => Status::Degraded,
                other => Status::Other(other.map_or("PENDING", |status| status.as_str()).to_string()),
            },
            version: group.version().and_then(parse_minor),
            release: group.release_version().unwrap_or_default().to_string(),
            ami_type: group.ami_type().map_or("", |ami| ami.as_str()).to_string(),
            machines: group.instance_types().to_vec(),
            spot: group.capacity_type() == Some(&CapacityTypes::Spot),
            subnets: group.subnets().iter().cloned().collect(),
            role: group.node_role().unwrap_or_default().to_string(),
            template: group.launch_template().map(|template| LaunchTemplate {
                id: template.id().unwrap_or_default().to_string(),
                version: template.version().unwrap_or_default().to_string(),
            }),
            min: size(scaling.and_then(NodegroupScalingConfig::min_size)),
            max: size(scaling.and_then(NodegroupScalingConfig::max_size)),
            desired: size(scaling.and_then(NodegroupScalingConfig::desired_size)),
            labels: group.labels().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
            taints: group
                .taints()
                .iter()
                .map(|taint| Taint {
                    key: taint.key().unwrap_or_default().to_string(),
                    value: taint.value().unwrap_or_default().to_string(),
                    effect: match taint.effect() {
                        Some(TaintEffect::NoExecute) => "NoExecute",
                        Some(TaintEffect::PreferNoSchedule) => "PreferNoSchedule",
                        _ => "NoSchedule",
                    }
                    .to_string(),
                })
                .collect(),
            repairs: group.node_repair_config().and_then(NodeRepairConfig::enabled).unwrap_or_default(),
            tags: group.tags().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
            issues: issues
                .iter()
                .map(|issue| {
                    let code = issue.code().map_or("", |code| code.as_str());
                    format!("{code}: {}", issue.message().unwrap_or_default())
                })
                .collect(),
            scaling_groups: scaling_groups.iter().filter_map(|has| has.name()).map(str::to_string).collect(),
        }
    }

    /// Whether it carries the mark of `owner`.
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.tags.get(label::OWNER) == Some(&owner.id)
    }

    /// In a word, with what EKS says is wrong with it: `CREATING: AsgInstanceLaunchFailures: …`.
    pub fn told(&self) -> String {
        let word = match &self.status {
            Status::Creating => "CREATING",
            Status::Active => "ACTIVE",
            Status::Updating => "UPDATING",
            Status::Deleting => "DELETING",
            Status::CreateFailed => "CREATE_FAILED",
            Status::DeleteFailed => "DELETE_FAILED",
            Status::Degraded => "DEGRADED",
            Status::Other(word) => word,
        };
        match self.issues.first() {
            Some(issue) => format!("{word}: {issue}"),
            None => word.to_string(),
        }
    }
}
