use serde_json::{Value, json};

use super::super::names::PodRole;
use crate::profile::schema::EksCluster;
use crate::profile::{AddonSource, Environment};

/// An addon of EKS as the profile wants it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// As EKS calls it.
    pub name: &'static str,
    /// Its configuration; `None` for what it comes with.
    pub configuration: Option<Value>,
    /// What its pods may do on AWS.
    pub role: Option<PodRole>,
    /// Whether its pods need a node, so that it is no use before there is one.
    pub needs_node: bool,
    /// Whether the environment is to have it.
    pub in_profile: bool,
}

/// What Auto Mode does itself.
const REPLACED: [&str; 5] =
    [VPC_CNI, "kube-proxy", "eks-pod-identity-agent", "coredns", "aws-ebs-csi-driver"];
/// The network plugin.
pub(super) const VPC_CNI: &str = "vpc-cni";

/// The addons of EKS that berth looks after in a cluster of `environment`.
///
/// Without a node those of the second kind stay DEGRADED for 20 minutes
/// (<https://github.com/eksctl-io/eksctl/issues/4607>).
pub(super) fn wanted(environment: &Environment, spec: &EksCluster) -> Vec<Wanted> {
    let addon = |name| Wanted { name, configuration: None, role: None, needs_node: false, in_profile: true };
    let has_metrics = environment
        .addons
        .iter()
        .any(|addon| addon.name == "metrics-server" && addon.source == AddonSource::Catalog);
    let metrics = Wanted { needs_node: true, in_profile: has_metrics, ..addon("metrics-server") };
    if spec.auto_mode {
        // EKS Auto Mode brings all others itself. Those of a cluster that had node groups go with these: their pods
        // have no node any more, or no rights.
        // <https://docs.aws.amazon.com/eks/latest/userguide/migrate-auto.html>
        let leaving = REPLACED.map(|name| Wanted { in_profile: false, ..addon(name) });
        return std::iter::once(Wanted { needs_node: false, ..metrics }).chain(leaving).collect();
    }
    // A string: <https://docs.aws.amazon.com/eks/latest/userguide/cni-network-policy-configure.html>.
    let policies = Some(json!({"enableNetworkPolicy": "true"}));
    vec![
        Wanted { configuration: policies, role: Some(PodRole::VpcCni), ..addon(VPC_CNI) },
        addon("kube-proxy"),
        addon("eks-pod-identity-agent"),
        Wanted { needs_node: true, ..addon("coredns") },
        Wanted { needs_node: true, role: Some(PodRole::EbsCsi), ..addon("aws-ebs-csi-driver") },
        metrics,
    ]
}
