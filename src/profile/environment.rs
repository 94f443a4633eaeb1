use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::schema::ImageField;
use crate::base::{Checksum, Owner, ProviderKind, Quantity};

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
    /// Whether `kubernetes` is a guess about a cluster of somebody else, who was not asked yet.
    pub kubernetes_assumed: bool,
    /// Groups that administer the whole cluster, as RBAC subjects on this provider.
    pub admins: Vec<Group>,
    /// The ARNs of the IAM roles and users that are members of each mapped group. Only on EKS.
    pub members: BTreeMap<String, Vec<String>>,
    /// Sets of equal machines, in the order of the profile.
    pub node_groups: Vec<NodeGroup>,
    /// Where images are kept.
    pub registry: Option<RegistrySpec>,
    /// Where the images of addons are pulled from instead: beginnings of references to what stands in
    /// their place, both without a `/` at their end.
    pub mirrors: BTreeMap<String, String>,
    /// The hosts of private registries that the pods of tenants pull from with a login of the user.
    pub pull_secrets: Vec<String>,
    /// Programs that every tenant uses, sorted by name.
    pub addons: Vec<AddonSpec>,
    /// Folders with addons of the user's own, absolute.
    pub addons_from: Vec<PathBuf>,
    /// Sorted by name.
    pub tenants: Vec<Tenant>,
}

/// The addon that gives node groups with a range the nodes that they need.
pub const AUTOSCALER: &str = "cluster-autoscaler";

impl Environment {
    /// Whether something in the cluster sets the sizes of its node groups.
    pub fn is_scaled(&self) -> bool {
        self.addons.iter().any(|addon| addon.name == AUTOSCALER)
    }

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
    /// Further types that a machine may be of, of the same kind: what is not to be had of one is made of another.
    pub other_machines: Vec<String>,
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
    /// How many nodes are made anew at once.
    pub max_unavailable: super::schema::MaxUnavailable,
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

/// An addon of the profile: one of the catalog with its options, or a chart or manifests from elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct AddonSpec {
    /// Its name; in the catalog, when it is from there.
    pub name: String,
    /// The version that is asked for, of an addon of the catalog; the newest that fits, when absent.
    pub version: Option<String>,
    /// The options of an addon of the catalog, a JSON object, to be checked against its own schema.
    pub options: Value,
    /// Where its objects come from.
    pub source: AddonSource,
}

impl AddonSpec {
    /// The addon `name` of the catalog in its newest version.
    pub fn of_catalog(name: impl Into<String>, options: Value) -> Self {
        Self { name: name.into(), version: None, options, source: AddonSource::Catalog }
    }
}

/// Where the objects of an addon come from.
#[derive(Debug, Clone, PartialEq)]
pub enum AddonSource {
    /// The catalog.
    Catalog,
    /// A Helm chart.
    Chart(ChartSpec),
    /// Manifests as they are.
    Manifests(ManifestsSpec),
}

impl AddonSource {
    /// The namespaces that it may write to; none are set for addons of the catalog.
    pub fn reach(&self) -> Option<&Reach> {
        match self {
            Self::Catalog => None,
            Self::Chart(chart) => Some(&chart.reach),
            Self::Manifests(manifests) => Some(&manifests.reach),
        }
    }

    /// Where its objects name images, besides pods; an addon of the catalog says so itself.
    pub fn image_fields(&self) -> &[ImageField] {
        match self {
            Self::Catalog => &[],
            Self::Chart(chart) => &chart.image_fields,
            Self::Manifests(manifests) => &manifests.image_fields,
        }
    }
}

/// A Helm chart and what is set in it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChartSpec {
    /// Where it is.
    pub place: ChartPlace,
    /// Its values, a JSON object. They may hold secrets.
    pub values: Value,
    /// Where it may write.
    pub reach: Reach,
    /// Where its objects name images, besides pods.
    pub image_fields: Vec<ImageField>,
}

/// Where a chart is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChartPlace {
    /// In a chart repository.
    Repository {
        /// The repository's address.
        repo: String,
        /// The chart's name there.
        name: String,
        /// The chart's version.
        version: String,
        /// Of the packed chart.
        sha256: Checksum,
    },
    /// In a registry.
    Registry {
        /// `oci://registry.example.com/charts/web`.
        reference: String,
        /// The chart's version.
        version: String,
        /// Of the packed chart.
        sha256: Checksum,
    },
    /// On this machine.
    Path {
        /// Its folder, or the packed chart; absolute.
        path: PathBuf,
        /// Of the packed chart, when it is to be checked.
        sha256: Option<Checksum>,
    },
}

/// Manifests as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestsSpec {
    /// Where they are.
    pub place: ManifestsPlace,
    /// Where they may write.
    pub reach: Reach,
    /// Where they name images, besides pods.
    pub image_fields: Vec<ImageField>,
}

/// Where manifests are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestsPlace {
    /// In a file elsewhere.
    Url {
        /// Its address.
        url: String,
        /// Of the file.
        sha256: Checksum,
    },
    /// In a file or folder on this machine, absolute.
    Path(PathBuf),
}

/// The namespaces that an addon may write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Where objects live that name no namespace.
    pub namespace: String,
    /// Further ones.
    pub further: Vec<String>,
}

impl Reach {
    /// Whether `namespace` is one of them.
    pub fn holds(&self, namespace: &str) -> bool {
        self.namespace == namespace || self.further.iter().any(|further| further == namespace)
    }
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
