use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::{
    EncryptionConfiguration, EncryptionType, ImageScanningConfiguration, ImageTagMutability,
    ImageTagMutabilityExclusionFilter, ImageTagMutabilityExclusionFilterType, Repository, Tag,
};
use serde_json::{Value, json};

use super::difference::{Encryption, Write};
use super::wanted::{Tags, Wanted};
use crate::base::{Fault, FaultKind, label};
use crate::clouds::aws::{Aws, Refusal, Service, Session, fault};
use crate::flow::Flow;

/// So many repositories are described by name at once (API reference, `DescribeRepositories`).
const BATCH: usize = 100;
/// The largest page of a list.
const PAGE: i32 = 1000;

/// The calls of one run.
pub(super) struct Calls {
    pub ecr: Client,
    aws: Arc<Aws>,
    flow: Flow,
}

/// A repository as it is described.
pub(super) struct Described {
    pub name: String,
    pub arn: String,
    pub tags: Tags,
    pub scan: bool,
    pub encryption: Encryption,
}

impl Described {
    fn of(repository: &Repository) -> Self {
        let mutability = repository.image_tag_mutability().map_or("MUTABLE", ImageTagMutability::as_str);
        let except = repository.image_tag_mutability_exclusion_filters().iter();
        let encryption = repository.encryption_configuration();
        let key = encryption
            .filter(|encryption| *encryption.encryption_type() != EncryptionType::Aes256)
            .map(|encryption| encryption.kms_key().unwrap_or_default().to_string());
        let scanning = repository.image_scanning_configuration();
        Self {
            name: repository.repository_name().unwrap_or_default().to_string(),
            arn: repository.repository_arn().unwrap_or_default().to_string(),
            tags: Tags {
                mutability: mutability.to_string(),
                except: except.map(|filter| filter.filter().to_string()).collect(),
            },
            scan: scanning.is_some_and(ImageScanningConfiguration::scan_on_push),
            encryption: key.map_or(Encryption::Own, Encryption::Key),
        }
    }
}

impl Calls {
    pub async fn open(session: &Session, flow: &Flow) -> Result<Self, Fault> {
        let aws = session.open(flow).await?;
        Ok(Self { ecr: aws.ecr(flow), aws, flow: flow.clone() })
    }

    /// The host of the registry of the account.
    pub fn host(&self) -> String {
        super::host(&self.aws.identity().account, self.aws.region())
    }

    /// Those of the repositories `names` that are there. One of a batch that is not fails all of it: then all
    /// repositories of the account are read.
    pub async fn described(&self, names: &BTreeSet<String>) -> Result<Vec<Described>, Fault> {
        let names: Vec<String> = names.iter().cloned().collect();
        let mut found = Vec::with_capacity(names.len());
        for batch in names.chunks(BATCH) {
            let asked = self.ecr.describe_repositories().set_repository_names(Some(batch.to_vec()));
            match asked.send().await {
                Ok(answer) => found.extend(answer.repositories().iter().map(Described::of)),
                Err(error) if Refusal::of(&error).is_absent() => {
                    let mut all = self.all().await?;
                    all.retain(|repository| names.contains(&repository.name));
                    return Ok(all);
                }
                Err(error) => return Err(fault("look at the repositories", &error)),
            }
        }
        Ok(found)
    }

    async fn all(&self) -> Result<Vec<Described>, Fault> {
        let mut pages = self.ecr.describe_repositories().into_paginator().page_size(PAGE).send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| fault("list the repositories of the account", &error))?;
            found.extend(page.repositories().iter().map(Described::of));
        }
        Ok(found)
    }

    /// The names of the repositories in this region that carry the mark of `owner`. What was tagged a moment ago
    /// may be missing, and what is gone may be there for a while.
    pub async fn marked(&self, owner: &str) -> Result<BTreeSet<String>, Fault> {
        let input = json!({
            "TagFilters": [{"Key": label::OWNER, "Values": [owner]}],
            "ResourceTypeFilters": ["ecr:repository"],
        });
        let tagging = self.aws.json(Service::Tagging);
        let asked =
            tagging.all(&self.flow, "GetResources", &input, "ResourceTagMappingList", "PaginationToken");
        let found = asked.await.map_err(|refusal| refusal.fault("look for repositories with our mark"))?;
        let name = |one: &Value| {
            let arn = one["ResourceARN"].as_str()?;
            arn.split_once(":repository/").map(|(_, name)| name.to_string())
        };
        Ok(found.iter().filter_map(name).collect())
    }

    /// The tags of the repository `arn`, as they are now.
    pub async fn tags(&self, arn: &str) -> Result<BTreeMap<String, String>, Fault> {
        match self.ecr.list_tags_for_resource().resource_arn(arn).send().await {
            Ok(answer) => {
                let pair = |tag: &Tag| (tag.key().to_string(), tag.value().to_string());
                Ok(answer.tags().iter().map(pair).collect())
            }
            Err(error) if Refusal::of(&error).is_absent() => Ok(BTreeMap::new()),
            Err(error) => Err(fault(format!("look at the tags of {arn}"), &error)),
        }
    }

    /// What becomes of old images in `name`.
    pub async fn lifecycle(&self, name: &str) -> Result<Option<Value>, Fault> {
        match self.ecr.get_lifecycle_policy().repository_name(name).send().await {
            Ok(answer) => Ok(read(answer.lifecycle_policy_text())),
            Err(error) if Refusal::of(&error).is_absent() => Ok(None),
            Err(error) => Err(fault(format!("look at the lifecycle policy of {name}"), &error)),
        }
    }

    /// Who may do what with `name`.
    pub async fn policy(&self, name: &str) -> Result<Option<Value>, Fault> {
        match self.ecr.get_repository_policy().repository_name(name).send().await {
            Ok(answer) => Ok(read(answer.policy_text())),
            Err(error) if Refusal::of(&error).is_absent() => Ok(None),
            Err(error) => Err(fault(format!("look at the policy of {name}"), &error)),
        }
    }

    /// Makes the repository with our mark. `false` where there is one of that name: the next look says whose.
    ///
    /// If this dies right after the call, the repository is there with our mark, and its policies are not: the next
    /// run sees that they differ.
    pub async fn create(&self, wanted: &Wanted, marks: &BTreeMap<String, String>) -> Result<bool, Fault> {
        let name = &wanted.name;
        let request = self
            .ecr
            .create_repository()
            .repository_name(name)
            .image_tag_mutability(ImageTagMutability::from(wanted.tags.mutability.as_str()))
            .set_image_tag_mutability_exclusion_filters(filters(&wanted.tags))
            .image_scanning_configuration(scanning(wanted))
            .set_encryption_configuration(encryption(wanted))
            .set_tags(Some(tags(marks)));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if Refusal::of(&error).is("RepositoryAlreadyExistsException") => Ok(false),
            Err(error) => Err(fault(format!("make the repository {name}"), &error)),
        }
    }

    /// Puts our mark on a repository that somebody else made.
    pub async fn mark(&self, arn: &str, marks: &BTreeMap<String, String>) -> Result<(), Fault> {
        let request = self.ecr.tag_resource().resource_arn(arn).set_tags(Some(tags(marks)));
        request.send().await.map(|_| ()).map_err(|error| fault(format!("mark {arn}"), &error))
    }

    /// Writes one part of the repository. Each part is whole in its call, and twice is once.
    pub async fn write(&self, wanted: &Wanted, write: &Write) -> Result<(), Fault> {
        let name = &wanted.name;
        match write {
            Write::Tags => {
                let word = ImageTagMutability::from(wanted.tags.mutability.as_str());
                let request = self.ecr.put_image_tag_mutability().repository_name(name);
                let request = request
                    .image_tag_mutability(word)
                    .set_image_tag_mutability_exclusion_filters(filters(&wanted.tags));
                let done = request.send().await.map(|_| ());
                done.map_err(|error| fault(format!("say what may become of the tags of {name}"), &error))
            }
            Write::Scan => {
                let request = self.ecr.put_image_scanning_configuration().repository_name(name);
                let done = request.image_scanning_configuration(scanning(wanted)).send().await.map(|_| ());
                done.map_err(|error| fault(format!("say whether {name} is scanned"), &error))
            }
            Write::Lifecycle => {
                let text = wanted.lifecycle.to_string();
                let request =
                    self.ecr.put_lifecycle_policy().repository_name(name).lifecycle_policy_text(text);
                let done = request.send().await.map(|_| ());
                done.map_err(|error| fault(format!("write the lifecycle policy of {name}"), &error))
            }
            Write::Policy(Some(policy)) => {
                let text = policy.to_string();
                let request = self.ecr.set_repository_policy().repository_name(name).policy_text(text);
                let done = request.send().await.map(|_| ());
                done.map_err(|error| fault(format!("write the policy of {name}"), &error))
            }
            Write::Policy(None) => {
                match self.ecr.delete_repository_policy().repository_name(name).send().await {
                    Err(error) if !Refusal::of(&error).is_absent() => {
                        Err(fault(format!("remove the policy of {name}"), &error))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Deletes the repository with all images in it. Gone is gone: dying after the call loses nothing.
    pub async fn delete(&self, name: &str) -> Result<(), Fault> {
        let request = |force| self.ecr.delete_repository().repository_name(name).force(force).send();
        let mut answer = request(false).await;
        if answer.as_ref().is_err_and(|error| Refusal::of(error).is("RepositoryNotEmptyException")) {
            answer = request(true).await;
        }
        let Err(error) = answer else { return Ok(()) };
        match Refusal::of(&error) {
            refusal if refusal.is_absent() => Ok(()),
            refusal => Err(refusal.fault(format!("delete the repository {name}"))),
        }
    }
}

/// A policy that is JSON; what is none differs from every other.
fn read(text: Option<&str>) -> Option<Value> {
    text.map(|text| serde_json::from_str(text).unwrap_or(Value::String(text.to_string())))
}

fn filters(tags: &Tags) -> Option<Vec<ImageTagMutabilityExclusionFilter>> {
    let filter = |pattern: &String| {
        ImageTagMutabilityExclusionFilter::builder()
            .filter_type(ImageTagMutabilityExclusionFilterType::Wildcard)
            .filter(pattern)
            .build()
            .expect("it has a type and a pattern")
    };
    (!tags.except.is_empty()).then(|| tags.except.iter().map(filter).collect())
}

fn scanning(wanted: &Wanted) -> ImageScanningConfiguration {
    ImageScanningConfiguration::builder().scan_on_push(wanted.scan).build()
}

fn encryption(wanted: &Wanted) -> Option<EncryptionConfiguration> {
    let key = wanted.key.as_ref()?;
    let builder = EncryptionConfiguration::builder().encryption_type(EncryptionType::Kms).kms_key(key);
    Some(builder.build().expect("it has a type"))
}

pub(super) fn tags(marks: &BTreeMap<String, String>) -> Vec<Tag> {
    let tag = |(key, value): (&String, &String)| {
        Tag::builder().key(key).value(value).build().expect("it has key and value")
    };
    marks.iter().map(tag).collect()
}

/// A fault for an answer of ECR that lacks what it always has.
pub(super) fn lacking(attempted: &str, what: &str) -> Fault {
    Fault::new(FaultKind::Transient, attempted, format!("the answer of ECR has no {what}"))
}
