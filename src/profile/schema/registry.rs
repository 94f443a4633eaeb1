use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where images are kept: exactly one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Registry {
    /// Amazon ECR.
    Ecr(EcrRegistry),
    /// Google Artifact Registry.
    ArtifactRegistry(ArtifactRegistry),
    /// A registry on this machine.
    Local(LocalRegistry),
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
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The image of the registry program. Default: the one that this berth was tested with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

impl Default for LocalRegistry {
    fn default() -> Self {
        Self { port: 5001, image: None }
    }
}
