use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::options::OptionSchema;
use super::pools::PoolOptions;
use super::rules::{Named, Rule};
use crate::base::{Checksum, ProviderKind};
use crate::profile::schema::ImageField;

/// The `apiVersion` of every `addon.yaml`.
pub const API_VERSION: &str = "berth.dev/v1alpha1";
/// The `kind` of every `addon.yaml`.
pub const KIND: &str = "Addon";

/// An `addon.yaml`: everything about an addon but its manifests.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Definition {
    /// `berth.dev/v1alpha1`.
    pub api_version: String,
    /// `Addon`.
    pub kind: String,
    /// Its name in profiles: that of its folder.
    pub name: String,
    /// What it is for, in a few words.
    pub summary: String,
    /// Newest first: the first that knows the cluster's Kubernetes is taken.
    pub versions: Vec<Version>,
    /// What it does for other addons.
    #[serde(default)]
    pub provides: Vec<Ability>,
    /// The path of a list in the cluster's API that has items once it works:
    /// `/apis/metrics.k8s.io/v1beta1/nodes`.
    #[serde(default)]
    pub answers: Option<String>,
    /// The object of the manifests, as `KIND NAME`, by which others show that they bring the addon already; then
    /// nothing of it is applied.
    #[serde(default)]
    pub yields_to: Option<String>,
    /// What nodes with GPUs offer to pods once it works.
    #[serde(default)]
    pub offers: Option<Offer>,
    /// What it wants of the rest of the environment.
    #[serde(default)]
    pub needs: Needs,
    /// Where its objects name images, besides pods.
    #[serde(default)]
    pub image_fields: Vec<ImageField>,
    /// Files from elsewhere whose objects belong to it, applied as they are.
    #[serde(default)]
    pub downloads: Vec<Download>,
    /// Its options in a profile, with their defaults.
    pub options: OptionSchema,
    /// What templates and rules need and options and platform say only together, in turn.
    #[serde(default)]
    pub values: Vec<Named>,
    /// What a profile must not ask for besides.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Which of its options hold address pools, if any do.
    #[serde(default)]
    pub address_pools: Option<PoolOptions>,
    /// What each provider does with it.
    pub providers: Providers,
    /// What a rehearsal does with it.
    pub rehearsal: Rehearsal,
}

impl Definition {
    /// The newest version for Kubernetes `minor`.
    pub fn version_for(&self, minor: Minor) -> Option<&Version> {
        self.versions.iter().find(|version| version.kubernetes.holds(minor))
    }
}

/// A file of Kubernetes objects that is fetched, such as definitions of custom resources that are too many to
/// keep a copy of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Download {
    /// What it is, for people.
    pub name: String,
    /// Its address.
    pub url: String,
    /// What proves it.
    pub sha256: Checksum,
    /// The condition on options under which it is wanted, `options.gateway`; always, when absent.
    #[serde(default)]
    pub when: Option<String>,
}

/// One version of an addon's program.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Version {
    /// The program's own version: `3.7.11`.
    pub version: String,
    /// The Kubernetes minors that it is made for.
    pub kubernetes: MinorRange,
    /// Image references with tag, and digest where it is known, by the name that manifests use.
    pub images: BTreeMap<String, String>,
}

/// Kubernetes minors from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinorRange {
    /// The oldest.
    pub from: Minor,
    /// The newest.
    pub to: Minor,
}

impl MinorRange {
    /// Whether `minor` lies in it.
    pub fn holds(self, minor: Minor) -> bool {
        self.from <= minor && minor <= self.to
    }
}

impl fmt::Display for MinorRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { self.from.fmt(f) } else { write!(f, "{} to {}", self.from, self.to) }
    }
}

/// A Kubernetes minor: `1.36`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Minor(pub u32, pub u32);

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl TryFrom<String> for Minor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parsed = text.split_once('.').and_then(|(major, minor)| {
            let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
            Some(Self(major, minor))
        });
        parsed.ok_or_else(|| format!("`{text}` is no Kubernetes minor: write it as \"1.36\", in quotes"))
    }
}

/// What every node with GPUs offers once an addon works, as expressions of templates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The name of the extended resource.
    pub resource: String,
    /// How much of it for each GPU that the machine has.
    pub times: String,
}

/// What an addon does for other addons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ability {
    /// Services of type `LoadBalancer` get an address.
    LoadBalancer,
    /// Hosts of `Ingress` objects are served at the address of its Service.
    Ingress,
}

/// What an addon wants of the rest of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Needs {
    /// Somebody who gives Services of type `LoadBalancer` an address.
    #[serde(default)]
    pub load_balancer: Option<Want>,
    /// Machines of this kind.
    #[serde(default)]
    pub node_group: Option<NodeGroupKind>,
}

/// How much an addon wants a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Want {
    /// It does nothing without.
    Required,
    /// It does less without.
    Optional,
}

/// Kinds of machines that addons are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NodeGroupKind {
    /// With NVIDIA GPUs.
    Gpu,
}

/// What each provider does with an addon.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Providers {
    /// On Amazon EKS.
    pub eks: Way,
    /// On Google GKE.
    pub gke: Way,
    /// On kind.
    pub kind: Way,
    /// On a cluster of simulated nodes.
    pub kwok: Way,
    /// On a cluster that somebody else made.
    pub existing: Way,
}

impl Providers {
    /// What `provider` does with the addon.
    pub fn on(&self, provider: ProviderKind) -> &Way {
        match provider {
            ProviderKind::Eks => &self.eks,
            ProviderKind::Gke => &self.gke,
            ProviderKind::Kind => &self.kind,
            ProviderKind::Kwok => &self.kwok,
            ProviderKind::Existing => &self.existing,
        }
    }
}

/// How an addon comes to be on a provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// berth applies the manifests.
    Objects,
    /// The provider brings it; the text says how.
    Native(String),
    /// It cannot be had; the text says why.
    Refused(String),
}

/// What a rehearsal does with an addon.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rehearsal {
    /// The same objects are applied as on the declared provider.
    Applied,
    /// The rehearsal brings it; the text says how.
    Provided(String),
    /// The objects are rendered and checked, not applied; the text says why.
    NotRehearsed(String),
}
