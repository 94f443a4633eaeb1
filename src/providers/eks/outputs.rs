//! What `network/eks/ENV` tells the others, as text outputs. Each is published as soon as what it names is made,
//! also while the rest of the stack is on its way.

use std::collections::BTreeMap;

use super::names::PodRole;
use crate::engine::{Output, Outputs};

/// The id of the network.
pub const VPC: &str = "eks.vpc";
/// The private subnets with their zones, all of them or none: [`subnets`] reads it.
pub const SUBNETS_PRIVATE: &str = "eks.subnets.private";
/// The public subnets with their zones; only of a network that berth makes.
pub const SUBNETS_PUBLIC: &str = "eks.subnets.public";
/// The subnets that machines live in, with their zones: the private ones, or the public ones where those have no way
/// out.
pub const SUBNETS_NODES: &str = "eks.subnets.nodes";
/// The ARN of the role of the control plane, with its policies.
pub const ROLE_CLUSTER: &str = "eks.role.cluster";
/// The ARN of the role of the nodes.
pub const ROLE_NODE: &str = "eks.role.node";
/// The ARN of the role of the EBS CSI driver.
pub const ROLE_EBS_CSI: &str = "eks.role.ebs-csi";
/// The ARN of the role of the CNI.
pub const ROLE_VPC_CNI: &str = "eks.role.vpc-cni";
/// The ARN of the role of the cluster autoscaler.
pub const ROLE_AUTOSCALER: &str = "eks.role.autoscaler";
/// The name of the log group; only where logs are kept. EKS makes one that keeps logs for ever when it finds none.
pub const LOG_GROUP: &str = "eks.log-group";
/// How many NAT gateways the network has, or will have once it is as the profile says.
pub const NAT_GATEWAYS: &str = "eks.nat-gateways";
/// Whether the version of the profile is in its extended support: `true` or `false`; only where EKS was asked.
pub const EXTENDED_SUPPORT: &str = "eks.extended-support";
/// Before the name of a node group: its launch template and the version of it, which [`launch_template`] reads.
pub const LAUNCH_TEMPLATE: &str = "eks.launch-template.";

/// Before the name of a node group: the version of its launch template that is to be followed by another one; empty
/// when none is.
pub const LAUNCH_TEMPLATE_CHANGES: &str = "eks.launch-template-changes.";

/// Whether `version` of the launch template of the node group `group` is to be followed by another one.
pub fn changes_launch_template(outputs: &Outputs, group: &str, version: &str) -> bool {
    outputs.text(&format!("{LAUNCH_TEMPLATE_CHANGES}{group}")) == Some(version)
}

/// The key of the ARN of a role of pods.
pub fn pod_role_key(role: PodRole) -> &'static str {
    match role {
        PodRole::EbsCsi => ROLE_EBS_CSI,
        PodRole::VpcCni => ROLE_VPC_CNI,
        PodRole::Autoscaler => ROLE_AUTOSCALER,
    }
}

/// A subnet and the zone that it is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlacedSubnet {
    /// The full name of the zone: `eu-central-1a`.
    pub zone: String,
    /// `subnet-0a1b2c3d4e5f60718`.
    pub id: String,
}

/// A version of a launch template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchTemplate {
    /// `lt-0a1b2c3d4e5f60718`.
    pub id: String,
    /// Counted from 1.
    pub version: String,
}

/// The subnets of `key`, in the order of their zones; empty as long as they are not published.
pub fn subnets(outputs: &Outputs, key: &str) -> Vec<PlacedSubnet> {
    let pairs = outputs.text(key).unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(zone, id)| PlacedSubnet { zone: zone.to_string(), id: id.to_string() }).collect()
}

/// The launch template of the node group `group`, once the stack is whole.
pub fn launch_template(outputs: &Outputs, group: &str) -> Option<LaunchTemplate> {
    let (id, version) = outputs.text(&format!("{LAUNCH_TEMPLATE}{group}"))?.split_once('=')?;
    Some(LaunchTemplate { id: id.to_string(), version: version.to_string() })
}

/// What is made so far of a network, in plain values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// The id of the network.
    pub vpc: Option<String>,
    /// All private subnets, or none.
    pub private: Vec<PlacedSubnet>,
    /// All public subnets, or none.
    pub public: Vec<PlacedSubnet>,
    /// Where machines live, all of them or none.
    pub nodes: Vec<PlacedSubnet>,
    /// The ARN of the role of the control plane.
    pub cluster_role: Option<String>,
    /// The ARN of the role of the nodes.
    pub node_role: Option<String>,
    /// The ARNs of the roles of pods.
    pub pod_roles: BTreeMap<PodRole, String>,
    /// The name of the log group.
    pub log_group: Option<String>,
    /// The launch templates by node group.
    pub launch_templates: BTreeMap<String, LaunchTemplate>,
}

impl Published {
    /// As outputs.
    pub fn outputs(&self) -> Outputs {
        let mut outputs = Outputs::default();
        let mut publish = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                outputs.insert(key, Output::Text(value));
            }
        };
        publish(VPC, self.vpc.clone());
        publish(SUBNETS_PRIVATE, in_one_text(&self.private));
        publish(SUBNETS_PUBLIC, in_one_text(&self.public));
        publish(SUBNETS_NODES, in_one_text(&self.nodes));
        publish(ROLE_CLUSTER, self.cluster_role.clone());
        publish(ROLE_NODE, self.node_role.clone());
        publish(LOG_GROUP, self.log_group.clone());
        for (role, arn) in &self.pod_roles {
            publish(pod_role_key(*role), Some(arn.clone()));
        }
        for (group, template) in &self.launch_templates {
            let LaunchTemplate { id, version } = template;
            publish(&format!("{LAUNCH_TEMPLATE}{group}"), Some(format!("{id}={version}")));
        }
        outputs
    }
}

fn in_one_text(subnets: &[PlacedSubnet]) -> Option<String> {
    let pairs: Vec<String> = subnets.iter().map(|subnet| format!("{}={}", subnet.zone, subnet.id)).collect();
    (!pairs.is_empty()).then(|| pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read_again() {
        let subnet = |zone: &str, id: &str| PlacedSubnet { zone: zone.to_string(), id: id.to_string() };
        let template = LaunchTemplate { id: "lt-1".to_string(), version: "3".to_string() };
        let published = Published {
            private: vec![subnet("eu-central-1a", "subnet-1"), subnet("eu-central-1b", "subnet-2")],
            launch_templates: BTreeMap::from([("gpu".to_string(), template.clone())]),
            pod_roles: BTreeMap::from([(PodRole::EbsCsi, "arn:aws:iam::1:role/x".to_string())]),
            ..Published::default()
        };
        let outputs = published.outputs();
        assert_eq!(subnets(&outputs, SUBNETS_PRIVATE), published.private);
        assert_eq!(subnets(&outputs, SUBNETS_PUBLIC), []);
        assert_eq!(launch_template(&outputs, "gpu"), Some(template));
        assert_eq!(launch_template(&outputs, "general"), None);
        assert_eq!(outputs.text(ROLE_EBS_CSI), Some("arn:aws:iam::1:role/x"));
        assert!(!outputs.has(VPC) && !outputs.has(SUBNETS_PUBLIC));
    }
}
