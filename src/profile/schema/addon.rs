use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ImageField, ProfilePath};

/// An addon of the catalog with its options, `{}` for none; or under any other name a `chart` or
/// `manifests` from elsewhere.
// Only described here: options are checked against the addon's own schema, and the rest is read
// from the tree, where every value has its place.
#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
#[allow(dead_code)]
pub struct AddonFile {
    /// The version of an addon of the catalog: one that its `addon.yaml` has and that fits the
    /// cluster's Kubernetes. Default: the newest such.
    #[schemars(default, with = "String")]
    pub version: Option<String>,
    /// A Helm chart, rendered with the `helm` program. Only under a name that is not in the catalog.
    #[schemars(default, with = "ChartFile")]
    pub chart: Option<ChartFile>,
    /// Kubernetes manifests as they are. Only under a name that is not in the catalog.
    #[schemars(default, with = "ManifestsFile")]
    pub manifests: Option<ManifestsFile>,
}

/// A Helm chart: exactly one of `repo`, `oci` and `path`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ChartFile {
    /// The address of a chart repository: `https://charts.example.com`. `http` only on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub repo: Option<String>,
    /// The chart's name in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// A chart in a registry: `oci://registry.example.com/charts/web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub oci: Option<String>,
    /// A chart on this machine: its folder, or a packed `.tgz`. Relative to this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ProfilePath")]
    pub path: Option<ProfilePath>,
    /// The chart's version, whole: `1.2.3`. Required for `repo` and `oci`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub version: Option<String>,
    /// The SHA-256 of the packed chart, 64 hex digits. Required for `repo` and `oci`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = "^[0-9a-fA-F]{64}$"))]
    pub sha256: Option<String>,
    /// The chart's values, as in a values file.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub values: Map<String, Value>,
    /// Where its objects live that name no namespace. Default: the addon's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub namespace: Option<String>,
    /// Further namespaces that it may write to, such as `kube-system`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Where its objects name images, besides pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_fields: Vec<ImageField>,
}

/// Kubernetes manifests as they are: exactly one of `url` and `path`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ManifestsFile {
    /// The address of a file: `https://example.com/v1.2.3/install.yaml`. `http` only on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub url: Option<String>,
    /// The SHA-256 of the file, 64 hex digits. Required for `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = "^[0-9a-fA-F]{64}$"))]
    pub sha256: Option<String>,
    /// A file on this machine, or a folder of `.yaml` and `.yml` files. Relative to this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ProfilePath")]
    pub path: Option<ProfilePath>,
    /// Where its objects live that name no namespace. Default: the addon's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub namespace: Option<String>,
    /// Further namespaces that it may write to, such as `kube-system`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Where its objects name images, besides pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_fields: Vec<ImageField>,
}
