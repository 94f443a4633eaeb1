use std::fmt;

use serde::Serialize;

use super::network::Network;

/// The kinds of clusters that a profile can declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Amazon EKS.
    Eks,
    /// Google GKE.
    Gke,
    /// kind: Kubernetes in containers on this machine.
    Kind,
    /// A real control plane with simulated nodes on this machine.
    Kwok,
    /// A cluster that somebody else made.
    Existing,
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Eks => "eks",
            Self::Gke => "gke",
            Self::Kind => "kind",
            Self::Kwok => "kwok",
            Self::Existing => "existing",
        })
    }
}

/// What the cluster of an environment can do for addons and tenants, who know no cloud.
///
/// Filled by the provider that the profile declares, also in a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The declared provider.
    pub provider: ProviderKind,
    /// What the cluster is called there.
    pub cluster: String,
    /// The region that it is in, on AWS.
    pub region: Option<String>,
    /// Kubernetes as `(major, minor)`, for example `(1, 36)`.
    pub kubernetes: (u32, u32),
    /// Whether `kubernetes` is only assumed: nothing may be refused because of it.
    pub kubernetes_assumed: bool,
    /// Whether a real machine stands behind it; in a rehearsal nothing is served, pulled or routed.
    pub rehearsal: bool,
    /// Who gives a Service of type `LoadBalancer` its address.
    pub load_balancer: Capability,
    /// Whether ports of this machine lead to the ports of the nodes at which HTTP and HTTPS are served.
    pub ports_mapped: bool,
    /// Addresses besides the DNS pods that pods ask for names, as CIDRs (node-local caches).
    pub dns_addresses: Vec<String>,
    /// Addons that the platform brings itself, by name.
    pub native_addons: Vec<String>,
    /// The network that load balancer addresses are announced on; `None` while it is not known.
    pub network: Option<Network>,
}

/// Who does a thing on a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// The platform does it by itself.
    Native,
    /// An addon can do it.
    ByAddon,
    /// Nobody does.
    Absent,
    /// Not known before the cluster is asked.
    Unknown,
}
