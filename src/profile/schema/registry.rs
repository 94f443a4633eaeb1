use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where images are kept: at most one of `ecr`, `artifactRegistry` and `local`. Where the images of addons are
/// pulled from instead of where they come from. And from which private registries tenants pull.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schemars(extend("minProperties" = 1, "not" = {"anyOf": [
    {"required": ["ecr", "artifactRegistry"]},
    {"required": ["ecr", "local"]},
    {"required": ["artifactRegistry", "local"]},
]}))]
pub struct Registry {
    /// Amazon ECR.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ecr: Option<EcrRegistry>,
    /// Google Artifact Registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_registry: Option<ArtifactRegistry>,
    /// A registry on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalRegistry>,
    /// Where the images of addons are pulled from instead: the beginning of their references
    /// (`docker.io`, `quay.io/metallb`) to what stands there in its place
    /// (`registry.example.com:5000/hub`). The longest beginning counts. Once there is a mirror, every
    /// image needs one; a beginning that is mapped to itself is pulled from where it comes from.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mirrors: BTreeMap<String, String>,
    /// Private registries, by their hosts (`docker.io`, `ghcr.io`), that the pods of tenants pull from: `up`
    /// reads the logins that `docker login` has kept on this machine, and every namespace of a tenant gets
    /// them as the Secret `berth-pull`. No login ever stands in a profile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
}

/// Repositories of Amazon ECR.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct EcrRegistry {
    /// The repositories that berth makes.
    pub repositories: Vec<Repository>,
}

/// Repositories of Google Artifact Registry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ArtifactRegistry {
    /// Where the images lie. Default: the region of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The repositories that berth makes.
    pub repositories: Vec<Repository>,
}

/// A repository of images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Repository {
    /// Its name: `checkout/api`.
    pub name: String,
    /// Whether a tag, once pushed, stays what it is.
    #[serde(default)]
    pub immutable: bool,
    /// How many images are kept; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep: Option<u32>,
}

/// A registry on this machine, beside a kind cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct LocalRegistry {
    /// The port on 127.0.0.1. All labs with the same port share one registry. One that answers there already
    /// and that berth did not start is used as it is.
    pub port: u16,
    /// The image of the registry program, which listens on port 5000 and keeps its images in
    /// `/var/lib/registry`. Default: `docker.io/library/registry:3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Registries whose images are kept on this machine once a node has pulled them: `docker.io`,
    /// `quay.io`, or `http://registry.internal:5000` for one without TLS. References stay as they are,
    /// other than with `registry.mirrors`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pull_through: Vec<String>,
}

impl Default for LocalRegistry {
    fn default() -> Self {
        Self { port: 5001, image: None, pull_through: Vec::new() }
    }
}
