use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::policy;
use crate::base::label;
use crate::clouds::aws::Partition;
use crate::profile::Environment;
use crate::profile::schema::{EcrCache, EcrRegistry, EcrRepository};

/// A repository as the profile wants it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// `checkout/api`
    pub name: String,
    /// What may become of its tags.
    pub tags: Tags,
    /// Whether images are scanned when they are pushed.
    pub scan: bool,
    /// The KMS key that encrypts it, an ARN; ECR's own way when `None`.
    pub key: Option<String>,
    /// What becomes of old images.
    pub lifecycle: Value,
    /// Who may pull and push; IAM alone says it when `None`.
    pub policy: Option<Value>,
}

/// What may become of the tags of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tags {
    /// AWS's word: `IMMUTABLE`.
    pub mutability: String,
    /// Patterns of tags for which the opposite holds.
    pub except: BTreeSet<String>,
}

impl Tags {
    /// `IMMUTABLE except dev-*, latest`
    pub fn in_words(&self) -> String {
        let except: Vec<&str> = self.except.iter().map(String::as_str).collect();
        let word = self.mutability.strip_suffix("_WITH_EXCLUSION").unwrap_or(&self.mutability);
        if except.is_empty() { word.to_string() } else { format!("{word} except {}", except.join(", ")) }
    }
}

/// A pull-through cache as the profile wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cache {
    /// What its repositories begin with.
    pub prefix: String,
    /// Where it pulls from, as ECR calls it: `registry-1.docker.io`.
    pub upstream: String,
    /// The ARN of the secret with the login.
    pub secret: Option<String>,
}

/// All that an environment wants of ECR.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct All {
    pub repositories: Vec<Wanted>,
    pub caches: Vec<Cache>,
}

/// What `environment` wants of ECR in `region`.
pub(super) fn wanted(environment: &Environment, spec: &EcrRegistry, region: &str) -> All {
    let partition = Partition::of(region);
    All {
        repositories: spec.repositories.iter().map(|one| repository(environment, one, partition)).collect(),
        caches: spec.pull_through.iter().map(cache).collect(),
    }
}

fn repository(environment: &Environment, spec: &EcrRepository, partition: Partition) -> Wanted {
    let arn = |principal: &String| {
        if principal.starts_with("arn:") {
            return principal.clone();
        }
        format!("arn:{}:iam::{principal}:root", partition.name())
    };
    let mut pull: BTreeSet<String> = spec.pull.iter().map(arn).collect();
    let mut push: BTreeSet<String> = spec.push.iter().map(arn).collect();
    for tenant in environment.tenants.iter().filter(|tenant| spec.tenants.contains(&tenant.name)) {
        let members = |group: &crate::profile::Group| environment.members.get(&group.name);
        let groups = &tenant.groups;
        push.extend(groups.admin.iter().chain(&groups.editor).filter_map(members).flatten().cloned());
        pull.extend(groups.viewer.iter().filter_map(members).flatten().cloned());
    }
    let except: BTreeSet<String> = spec.immutable_except.iter().cloned().collect();
    let mutability = match (spec.immutable, except.is_empty()) {
        (false, _) => "MUTABLE",
        (true, true) => "IMMUTABLE",
        (true, false) => "IMMUTABLE_WITH_EXCLUSION",
    };
    Wanted {
        name: spec.name.clone(),
        tags: Tags { mutability: mutability.to_string(), except },
        scan: spec.scan_on_push,
        key: spec.kms_key.clone(),
        lifecycle: policy::lifecycle(spec.keep),
        policy: policy::rights(&pull, &push),
    }
}

fn cache(spec: &EcrCache) -> Cache {
    // Docker Hub serves images under another name than the one they are called by.
    let upstream = if spec.from == "docker.io" { "registry-1.docker.io" } else { &spec.from };
    Cache { prefix: spec.prefix().to_string(), upstream: upstream.to_string(), secret: spec.secret.clone() }
}

/// The tags that mark what `environment` owns.
pub(super) fn marks(environment: &Environment) -> BTreeMap<String, String> {
    let owner = &environment.owner;
    BTreeMap::from([
        (label::OWNER.to_string(), owner.id.clone()),
        (label::ENVIRONMENT.to_string(), owner.environment.clone()),
    ])
}
