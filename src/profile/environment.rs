use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::base::{Owner, ProviderKind, Quantity};

/// A whole, valid environment: what a profile means once it is composed, defaulted and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// The profile's name, a DNS label of at most 30 characters; in a rehearsal with `-rehearsal` behind it.
    pub name: String,
    /// The mark on everything that is made.
    pub owner: Owner,
    /// Whether the cluster, its nodes and its load balancers are played by kwok.
    pub rehearsal: bool,
    /// Whether `down` refuses.
    pub protected: bool,
    /// The declared cluster. A rehearsal keeps it.
    pub cluster: ClusterSpec,
    /// The Kubernetes minor that is declared, or the newest that berth knows: `(1, 36)`.
    pub kubernetes: (u32, u32),
    /// Groups that administer the whole cluster, as RBAC subjects on this provider.
    pub admins: Vec<Group>,
    /// Sets of equal machines, in the order of the profile.
    pub node_groups: Vec<NodeGroup>,
    /// Where images are kept.
    pub registry: Option<RegistrySpec>,
    /// Where the images of addons are pulled from instead: beginnings of references to what stands in
    /// their place, both without a `/` at their end.
    pub mirrors: BTreeMap<String, String>,
    /// Programs that every tenant uses, sorted by name.
    pub addons: Vec<AddonSpec>,
    /// Folders with addons of the user's own, absolute.
    pub addons_from: Vec<PathBuf>,
    /// Sorted by name.
    pub tenants: Vec<Tenant>,
}

impl Environment {
    /// The environment as a rehearsal: called `NAME-rehearsal`, with the same owner id.
    ///
    /// A rehearsal of a rehearsal is the same rehearsal.
    #[must_use]
    pub fn rehearse(mut self) -> Self {
        if !self.rehearsal {
            self.name.push_str("-rehearsal");
            self.owner.environment.clone_from(&self.name);
            self.rehearsal = true;
        }
        self
    }
}

/// The declared cluster: the provider and its own fields.
#[derive(Debug, Clone, PartialEq)]
pub enum ClusterSpec {
    /// Amazon EKS.
    Eks(super::schema::EksCluster),
    /// Google GKE.
    Gke(super::schema::GkeCluster),
    /// kind.
    Kind(super::schema::KindCluster),
    /// A real control plane with simulated nodes.
    Kwok(super::schema::KwokCluster),
    /// A cluster that somebody else made.
    Existing(super::schema::ExistingCluster),
}

impl ClusterSpec {
    /// The kind of the declared provider.
    pub fn provider(&self) -> ProviderKind {
        match self {
            Self::Eks(_) => ProviderKind::Eks,
            Self::Gke(_) => ProviderKind::Gke,
            Self::Kind(_) => ProviderKind::Kind,
            Self::Kwok(_) => ProviderKind::Kwok,
            Self::Existing(_) => ProviderKind::Existing,
        }
    }
}

/// A group of people: its name in the profile and what RBAC calls it on the declared provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// As the profile says.
    pub name: String,
    /// The name of the RBAC subject of kind `Group`.
    pub subject: String,
}

/// A set of equal machines.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeGroup {
    /// Its name, unique in the environment.
    pub name: String,
    /// The machine type as the provider calls it: `m7i.large`.
    pub machine: String,
    /// What one machine offers.
    pub resources: MachineResources,
    /// The least number of nodes.
    pub min: u32,
    /// The greatest number of nodes.
    pub max: u32,
    /// The zones to spread over, as the provider's full names where it has any: `eu-central-1a`.
    pub zones: Vec<String>,
    /// Whether the machines may be taken away at any time.
    pub spot: bool,
    /// The root disk of each machine.
    pub disk: Option<Quantity>,
    /// Labels of the profile alone; those that follow from machine and provider are the provider's to add.
    pub labels: BTreeMap<String, String>,
    /// Taints of the profile alone.
    pub taints: Vec<Taint>,
}

/// What one machine of a type offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineResources {
    /// Virtual cores.
    pub cpu: Quantity,
    /// Memory.
    pub memory: Quantity,
    /// NVIDIA GPUs.
    pub gpus: u32,
    /// `amd64` or `arm64`.
    pub architecture: String,
}

/// A taint: pods without a matching toleration stay away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value, often empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// The declared registry.
#[derive(Debug, Clone, PartialEq)]
pub enum RegistrySpec {
    /// Amazon ECR.
    Ecr(super::schema::EcrRegistry),
    /// Google Artifact Registry.
    ArtifactRegistry(super::schema::ArtifactRegistry),
    /// A registry container beside a kind cluster.
    Local(super::schema::LocalRegistry),
}

impl RegistrySpec {
    /// The key of the profile that declares it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ecr(_) => "ecr",
            Self::ArtifactRegistry(_) => "artifactRegistry",
            Self::Local(_) => "local",
        }
    }
}

/// An addon of the profile with its options as they stand there.
#[derive(Debug, Clone, PartialEq)]
pub struct AddonSpec {
    /// Its name in the catalog.
    pub name: String,
    /// The options, a JSON object, checked against the addon's own schema.
    pub options: Value,
}

/// Namespaces of one owner, what they may use and who may do what in them.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Its name, unique in the environment.
    pub name: String,
    /// Its namespaces, each of this tenant alone.
    pub namespaces: Vec<String>,
    /// Who may do what.
    pub groups: TenantGroups,
    /// Hard limits of each namespace, by the keys of a `ResourceQuota`.
    pub quota: BTreeMap<String, Quantity>,
    /// What a container gets that asks for nothing, and the most one may ask for.
    pub limits: TenantLimits,
    /// The pod security level that is enforced.
    pub pod_security: PodSecurity,
    /// Namespaces of other owners that may connect to this tenant's pods.
    pub allow_from: Vec<String>,
    /// Host names that this tenant may serve.
    pub hosts: Vec<String>,
}

/// Who may do what in a tenant's namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantGroups {
    /// Everything an editor may, and granting the tenant's roles to others.
    pub admin: Vec<Group>,
    /// Changing workloads.
    pub editor: Vec<Group>,
    /// Looking, not at secrets.
    pub viewer: Vec<Group>,
}

/// The `LimitRange` of a tenant's namespaces, for containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantLimits {
    /// Requests of a container that has none: `cpu`, `memory`.
    pub default_request: BTreeMap<String, Quantity>,
    /// Limits of a container that has none.
    pub default: BTreeMap<String, Quantity>,
    /// The most that one container may ask for.
    pub max: BTreeMap<String, Quantity>,
}

/// The pod security levels that a tenant can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodSecurity {
    /// The strictest.
    Restricted,
    /// Nothing that is known to escalate.
    Baseline,
}

impl PodSecurity {
    /// The value of the `pod-security.kubernetes.io/enforce` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Baseline => "baseline",
        }
    }
}
