//! What the template calls its resources. What must not change in a resource is a part of what it is called, so
//! that nothing is ever replaced under the same name.

use crate::providers::eks::names::{Names, PodRole, short_hash};

/// The network, and the output that tells it.
pub const VPC: &str = "Vpc";
pub const INTERNET_GATEWAY: &str = "InternetGateway";
pub const ATTACHMENT: &str = "InternetGatewayAttachment";
pub const PUBLIC_ROUTE_TABLE: &str = "PublicRouteTable";
pub const PUBLIC_ROUTE: &str = "PublicRoute";
pub const S3_ENDPOINT: &str = "S3Endpoint";
/// The role of the control plane.
pub const CLUSTER_ROLE: &str = "ClusterRole";
/// The role of the nodes of groups.
pub const NODE_ROLE: &str = "NodeRole";
/// The role of nodes that Auto Mode makes. It is another one: EKS lets a role in as one kind of node alone.
/// <https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html>
pub const AUTO_NODE_ROLE: &str = "AutoNodeRole";
/// The log group of the control plane, and the output that tells it.
pub const LOG_GROUP: &str = "LogGroup";
/// The output that tells the zones of the network, each with its place.
pub const ZONES: &str = "Zones";
/// The output that tells what was made anew under another id, where something was.
pub const RENEWED: &str = "Renewed";
/// The output that tells a hash of all else in the template.
pub const CONTENT: &str = "Content";

/// What the template calls the role of pods.
pub fn pod_role(role: PodRole) -> &'static str {
    match role {
        PodRole::EbsCsi => "EbsCsiRole",
        PodRole::VpcCni => "VpcCniRole",
        PodRole::Autoscaler => "AutoscalerRole",
    }
}

const PRIVATE_SUBNET: &str = "PrivateSubnet";

pub fn private_subnet(names: &Names, zone: &str) -> String {
    in_zone(PRIVATE_SUBNET, names, zone)
}

/// Whether that is what the template calls a private subnet.
pub fn is_private_subnet(id: &str) -> bool {
    id.starts_with(PRIVATE_SUBNET)
}

pub fn public_subnet(names: &Names, zone: &str) -> String {
    in_zone("PublicSubnet", names, zone)
}

/// `kind` in `zone`: `PrivateSubnetA` in the zone a of the region.
pub fn in_zone(kind: &str, names: &Names, zone: &str) -> String {
    format!("{kind}{}", in_capitals(zone.strip_prefix(names.region()).unwrap_or(zone)))
}

/// Logical ids are letters and digits, which tell `a-1` from `a1` no more: the hash does.
pub fn launch_template(group: &str) -> String {
    format!("LaunchTemplate{}{}", in_capitals(group), short_hash(group))
}

/// The output that tells the version of a launch template.
pub fn version_of(launch_template: &str) -> String {
    format!("{launch_template}Version")
}

/// `gpu-large` as `GpuLarge`.
fn in_capitals(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .flat_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_letters_and_digits_and_tell_everything_apart() {
        let names = Names::new("dev", "eu-central-1");
        assert_eq!(private_subnet(&names, "eu-central-1a"), "PrivateSubnetA");
        let groups = ["a-1", "a1", "gpu-large", "gpularge"].map(launch_template);
        assert!(groups[2].starts_with("LaunchTemplateGpuLarge"));
        assert!(groups.iter().all(|id| id.chars().all(|c| c.is_ascii_alphanumeric())));
        assert!(groups[0] != groups[1] && groups[2] != groups[3]);
    }
}
