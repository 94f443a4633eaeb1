use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_sdk_eks::types::{
    CapacityTypes, NodeRepairConfig, Nodegroup, NodegroupHealth, NodegroupResources, NodegroupScalingConfig,
    NodegroupStatus, NodegroupUpdateConfig, TaintEffect,
};

use super::super::cluster::parse_minor;
use super::super::outputs::LaunchTemplate;
use crate::base::{Fault, FaultKind, Owner, label};
use crate::profile::Taint;
use crate::profile::schema::MaxUnavailable;

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
    /// How many of its nodes are made anew at once.
    pub max_unavailable: MaxUnavailable,
    pub repairs: bool,
    pub tags: BTreeMap<String, String>,
    /// What EKS says is wrong with it.
    pub issues: Vec<Issue>,
    /// The scaling groups behind it.
    pub scaling_groups: Vec<String>,
}

/// Something that EKS says is wrong with a node group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issue {
    /// `AsgInstanceLaunchFailures`
    pub code: String,
    pub message: String,
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
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
            max_unavailable: group.update_config().map(max_unavailable).unwrap_or_default(),
            repairs: group.node_repair_config().and_then(NodeRepairConfig::enabled).unwrap_or_default(),
            tags: group.tags().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
            issues: issues
                .iter()
                .map(|issue| Issue {
                    code: issue.code().map(|code| code.as_str().to_string()).unwrap_or_default(),
                    message: issue.message().unwrap_or_default().to_string(),
                })
                .collect(),
            scaling_groups: scaling_groups.iter().filter_map(|has| has.name()).map(str::to_string).collect(),
        }
    }

    /// That it could not be made, with what can be done about it where EKS tells the cause by a code.
    /// Source of the codes: <https://docs.aws.amazon.com/eks/latest/APIReference/API_Issue.html>.
    pub fn not_made(&self) -> Fault {
        let fault = Fault::new(FaultKind::Invalid, format!("make node group {}", self.name), self.told());
        match self.issues.first().map(|issue| issue.code.as_str()) {
            Some("AsgInstanceLaunchFailures") => fault.hint(
                "write another `machine`, more of them under `otherMachines`, or other `zones`; or run the same command \
                 again later: the group is made anew",
            ),
            Some("InsufficientFreeAddresses") => {
                fault.hint("its subnets are full: give it other `zones`, or the network larger subnets")
            }
            Some("NodeCreationFailure") => fault.hint(
                "its machines run and did not join the cluster: see that its subnets reach the endpoint of the cluster and \
                 the internet, then run the same command again",
            ),
            _ => fault,
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

/// EKS tells of one of the two; of neither it makes one node at a time.
fn max_unavailable(config: &NodegroupUpdateConfig) -> MaxUnavailable {
    let small = |number: i32| u8::try_from(number).ok();
    let percent = config.max_unavailable_percentage().and_then(small).map(MaxUnavailable::Percent);
    let count = || config.max_unavailable().and_then(small).map(MaxUnavailable::Count);
    percent.or_else(count).unwrap_or_default()
}
