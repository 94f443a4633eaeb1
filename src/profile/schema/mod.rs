//! The file format: what a profile may say. The docstrings here are the descriptions of the JSON Schema.

mod access;
mod addon;
mod eks;
mod gke;
mod image;
mod local;
mod max_unavailable;
mod node_group;
mod registry;
mod tenant;
mod values;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use access::{Access, GroupMapping};
pub use addon::{AddonFile, ChartFile, ManifestsFile};
pub use eks::{EksCluster, EksEndpoint, EksLog, EksNetwork, EksSupport, Nat};
pub use gke::{GkeChannel, GkeCluster, GkeEndpoint, GkeNetwork};
pub use image::{ImageField, ImagePath};
pub use local::{
    ExistingCluster, KindCluster, KindIpFamily, KindMount, KindPort, KubeProxyMode, KwokCluster, PortProtocol,
};
pub use max_unavailable::MaxUnavailable;
pub use node_group::{
    Architecture, NodeCount, NodeGroupFile, NodeRange, ResourcesFile, TaintEffect, TaintFile,
};
pub use registry::{
    ArtifactRegistry, EcrCache, EcrRegistry, EcrRepository, LocalRegistry, Registry, Repository,
};
pub use tenant::{
    AllowFrom, LimitsFile, NetworkFile, PodSecurityLevel, Quantities, TenantDefaults, TenantFile,
    TenantGroupsFile, TenantSize,
};
pub use values::{Amount, ProfilePath};

/// The one version of the file format.
pub const API_VERSION: &str = "berth.dev/v1alpha1";

/// The name by which the decoder knows a path that is relative to its file.
pub(super) const PROFILE_PATH: &str = "ProfilePath";

/// The enums that a map with one key chooses from.
pub(super) const TAGGED: [&str; 1] = ["Cluster"];

/// One environment: a Kubernetes cluster, its node groups, its registry, its addons and its tenants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "berth profile")]
pub struct EnvironmentFile {
    /// The version of this file format: `berth.dev/v1alpha1`.
    pub api_version: ApiVersion,
    /// What this file describes: `Environment`.
    pub kind: EnvironmentKind,
    /// The name of the environment, a DNS label of at most 30 characters. It becomes part of every
    /// name that berth makes.
    #[schemars(length(min = 1, max = 30), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The owner mark on everything that berth makes, written once by `berth init` and never changed.
    /// Required on eks, gke and existing; kind and kwok default to a hash of the profile's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[a-z0-9]{6,20}$"))]
    pub id: Option<String>,
    /// Profiles that this one builds on, merged from left to right, then this file. Paths are relative
    /// to this file. Maps merge by key, lists of named things by name (`{name: x, remove: true}` takes
    /// one out), other lists are replaced, `null` removes a key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extends: Vec<String>,
    /// Whether `berth down` refuses until this is lifted here.
    #[serde(default)]
    pub protected: bool,
    /// The cluster: exactly one key, the provider, with its own fields.
    pub cluster: Cluster,
    /// Who a group name is on this cloud.
    #[serde(default)]
    pub access: Access,
    /// Sets of equal machines.
    #[serde(default)]
    pub node_groups: Vec<NodeGroupFile>,
    /// Where images are kept, what mirrors those of addons, and from which private registries tenants pull.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<Registry>,
    /// Programs that every tenant uses: the name of an addon and its options, `{}` for none; or any
    /// other name with a `chart` or `manifests`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, AddonFile>")]
    pub addons: BTreeMap<String, Map<String, Value>>,
    /// Folders with addons of your own, of the same shape as berth's `addons/`. Relative to this file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addons_from: Vec<ProfilePath>,
    /// What a tenant gets that does not say.
    #[serde(default)]
    pub tenant_defaults: TenantDefaults,
    /// Owners of namespaces.
    #[serde(default)]
    pub tenants: Vec<TenantFile>,
    /// Folders of files of `kind: Tenant`, or such files. Relative to this file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants_from: Vec<ProfilePath>,
}

/// The version of the file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first.
    #[serde(rename = "berth.dev/v1alpha1")]
    V1Alpha1,
}

/// What a profile describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EnvironmentKind {
    /// An environment.
    Environment,
}

/// The provider of the cluster with its own fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Cluster {
    /// Amazon EKS.
    Eks(EksCluster),
    /// Google GKE.
    Gke(GkeCluster),
    /// kind: Kubernetes in containers on this machine.
    Kind(KindCluster),
    /// A real control plane with simulated nodes on this machine.
    Kwok(KwokCluster),
    /// A cluster that somebody else made.
    Existing(ExistingCluster),
}

/// The JSON Schema of a profile as it is typed: with bases, so not all of it has to be in one file.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(EnvironmentFile).to_value();
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|field| field != "cluster");
    }
    if let Some(root) = schema.as_object_mut() {
        root.insert("anyOf".to_string(), json!([{"required": ["cluster"]}, {"required": ["extends"]}]));
    }
    for definition in ["NodeGroupFile", "TenantFile", "Repository", "EcrRepository"] {
        let properties = schema.pointer_mut(&format!("/$defs/{definition}/properties"));
        if let Some(properties) = properties.and_then(Value::as_object_mut) {
            let remove =
                json!({"type": "boolean", "description": "Takes out the one of that name that a base has."});
            properties.insert("remove".to_string(), remove);
        }
    }
    schema
}

/// The JSON Schema of a file of `kind: Tenant`.
pub fn tenant_json_schema() -> Value {
    let mut schema = schemars::schema_for!(TenantFile).to_value();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("apiVersion".to_string(), json!({"const": API_VERSION}));
        properties.insert("kind".to_string(), json!({"const": "Tenant"}));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.extend(["apiVersion".into(), "kind".into()]);
    }
    schema
}
