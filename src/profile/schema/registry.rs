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
    /// The AWS region of the repositories. Default: that of the cluster; on `existing` it has to be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The repositories that berth makes.
    pub repositories: Vec<EcrRepository>,
    /// Registries whose images ECR keeps once they were pulled through it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pull_through: Vec<EcrCache>,
}

/// A repository of Amazon ECR. Images without a tag go after 7 days. Its policy lets in whom `tenants`, `pull` and
/// `push` name, and services of AWS that wrote a statement of their own, as Lambda does; what others wrote goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EcrRepository {
    /// Its name, unique in the account and region: `checkout/api`.
    pub name: String,
    /// Whether a tag, once pushed, stays what it is.
    #[serde(default)]
    pub immutable: bool,
    /// Tags that can be moved all the same, with `*` for anything: `latest`, `dev-*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    pub immutable_except: Vec<String>,
    /// How many images are kept; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep: Option<u32>,
    /// Whether each image is looked through for known weaknesses when it is pushed.
    #[serde(default = "EcrRepository::scans_by_default")]
    pub scan_on_push: bool,
    /// The ARN of a KMS key of the same region that encrypts the images, without which ECR does by itself. It cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// Tenants whose groups `admin` and `editor` may push and pull, and whose `viewer` may pull.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<String>,
    /// AWS accounts, and ARNs of IAM roles and users, that may pull besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull: Vec<String>,
    /// AWS accounts, and ARNs of IAM roles and users, that may push and pull besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub push: Vec<String>,
}

impl EcrRepository {
    fn scans_by_default() -> bool {
        true
    }
}

/// A registry whose images are kept in Amazon ECR once they were pulled through it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EcrCache {
    /// The registry: `public.ecr.aws`, `registry.k8s.io`, `quay.io`; with a `secret` also `docker.io`, `ghcr.io`,
    /// `registry.gitlab.com`, `cgr.dev` and `NAME.azurecr.io`.
    pub from: String,
    /// What the names of the repositories with its images begin with. Default: `quay` for `quay.io`, and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The ARN of the secret in Secrets Manager that holds the login, whose name begins with
    /// `ecr-pullthroughcache/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl EcrCache {
    /// What the names of the repositories with its images begin with. Unless they are chosen these are the names
    /// that AWS's console proposes.
    pub fn prefix(&self) -> &str {
        match (self.prefix.as_deref(), self.from.as_str()) {
            (Some(prefix), _) => prefix,
            (None, "public.ecr.aws") => "ecr-public",
            (None, "registry.k8s.io") => "kubernetes",
            (None, "quay.io") => "quay",
            (None, "docker.io") => "docker-hub",
            (None, "ghcr.io") => "github",
            (None, "registry.gitlab.com") => "gitlab",
            (None, "cgr.dev") => "chainguard",
            (None, _) => "azure",
        }
    }
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
