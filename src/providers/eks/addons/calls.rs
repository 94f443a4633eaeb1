use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_eks::Client;
use aws_sdk_eks::types::{
    Addon, AddonHealth, AddonPodIdentityAssociations, AddonStatus, ResolveConflicts, Update,
};
use serde_json::Value;

use super::difference::Live;
use super::wanted::{VPC_CNI, Wanted};
use crate::base::{Fault, FaultKind, Owner, label};
use crate::clouds::aws::{Refusal, fault};
use crate::providers::eks::PodRole;

/// An addon as EKS describes it.
pub(super) struct Described {
    pub live: Live,
    pub status: Status,
    /// The associations by which its pods have a role, by their ids.
    pub associations: Vec<String>,
    /// `DEGRADED`
    pub word: String,
    /// What EKS says is wrong with it.
    pub issues: Vec<String>,
    pub tags: BTreeMap<String, String>,
    pub arn: String,
}

/// How an addon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It works.
    Active,
    /// It was not made, or not deleted.
    Failed,
    /// It stands, and was not changed.
    Unchanged,
    /// It is going.
    Deleting,
    /// It is on its way, or not in order.
    OnItsWay,
}

impl Described {
    fn of(addon: &Addon) -> Self {
        let configuration = addon.configuration_values().filter(|text| !text.trim().is_empty());
        let issues = addon.health().map(AddonHealth::issues).unwrap_or_default();
        Self {
            live: Live {
                version: addon.addon_version().unwrap_or_default().to_string(),
                // One that is YAML is none of ours.
                configuration: configuration
                    .map(|text| serde_json::from_str(text).unwrap_or(Value::String(text.to_string()))),
                has_role: !addon.pod_identity_associations().is_empty(),
                role: None,
            },
            // EKS tells their ARNs: `…:podidentityassociation/dev/a-0a1b2c3d4e5f60718`.
            associations: addon
                .pod_identity_associations()
                .iter()
                .filter_map(|arn| arn.rsplit('/').next().map(str::to_string))
                .collect(),
            status: match addon.status() {
                Some(AddonStatus::Active) => Status::Active,
                Some(AddonStatus::CreateFailed | AddonStatus::DeleteFailed) => Status::Failed,
                Some(AddonStatus::UpdateFailed) => Status::Unchanged,
                Some(AddonStatus::Deleting) => Status::Deleting,
                _ => Status::OnItsWay,
            },
            word: addon.status().map_or("PENDING", |status| status.as_str()).to_string(),
            issues: issues
                .iter()
                .map(|issue| {
                    let code = issue.code().map_or("", |code| code.as_str());
                    format!("{code}: {}", issue.message().unwrap_or_default())
                })
                .collect(),
            tags: addon.tags().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
            arn: addon.addon_arn().unwrap_or_default().to_string(),
        }
    }

    /// `DEGRADED: InsufficientNumberOfReplicas: …`
    pub fn told(&self) -> String {
        match self.issues.first() {
            Some(issue) => format!("{}: {issue}", self.word),
            None => self.word.clone(),
        }
    }
}

/// The addon `name` of `cluster`, if there is one.
pub(super) async fn describe(eks: &Client, cluster: &str, name: &str) -> Result<Option<Described>, Fault> {
    match eks.describe_addon().cluster_name(cluster).addon_name(name).send().await {
        Ok(answer) => Ok(answer.addon().map(Described::of)),
        Err(error) if Refusal::of(&error).is_absent() => Ok(None),
        Err(error) => Err(fault(format!("look at the EKS addon {name} of {cluster}"), &error)),
    }
}

/// The versions of an addon for one Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Versions {
    /// What EKS gives by itself.
    pub default: String,
    /// All that run there, the newest first.
    pub offered: Vec<String>,
}

/// The versions of all addons of EKS itself for the Kubernetes `minor`, by addon.
pub(super) async fn versions(eks: &Client, minor: &str) -> Result<BTreeMap<String, Versions>, Fault> {
    let request = eks.describe_addon_versions().kubernetes_version(minor).owners("aws").owners("community");
    let mut pages = request.into_paginator().send();
    let mut all: BTreeMap<String, Versions> = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page =
            page.map_err(|error| fault(format!("ask for the EKS addons of Kubernetes {minor}"), &error))?;
        for addon in page.addons() {
            let known = all.entry(addon.addon_name().unwrap_or_default().to_string()).or_default();
            for version in addon.addon_versions() {
                let name = version.addon_version().unwrap_or_default().to_string();
                let of_minor =
                    |fit: &&aws_sdk_eks::types::Compatibility| fit.cluster_version() == Some(minor);
                let Some(fit) = version.compatibilities().iter().find(of_minor) else { continue };
                if fit.default_version() {
                    known.default.clone_from(&name);
                }
                known.offered.push(name);
            }
        }
    }
    Ok(all)
}

/// Whether the addon whose pods take `role` in `cluster` carries the mark of `owner`.
pub async fn is_of(eks: &Client, cluster: &str, role: PodRole, owner: &Owner) -> Result<bool, Fault> {
    let name = match role {
        PodRole::EbsCsi => "aws-ebs-csi-driver",
        PodRole::VpcCni => VPC_CNI,
        PodRole::Autoscaler => return Ok(false),
    };
    let found = describe(eks, cluster, name).await?;
    Ok(found.is_some_and(|found| found.tags.get(label::OWNER) == Some(&owner.id)))
}

/// The names of the addons of `cluster`.
pub(super) async fn names(eks: &Client, cluster: &str) -> Result<BTreeSet<String>, Fault> {
    let mut pages = eks.list_addons().cluster_name(cluster).into_paginator().send();
    let mut names = BTreeSet::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| fault(format!("list the EKS addons of {cluster}"), &error))?;
        names.extend(page.addons().iter().cloned());
    }
    Ok(names)
}

/// What an addon is made or changed with.
pub(super) struct Shape<'a> {
    pub cluster: &'a str,
    pub wanted: &'a Wanted,
    /// `None`: what EKS gives by itself.
    pub version: Option<String>,
    /// The ARN of the role of its pods.
    pub role: Option<String>,
    pub tags: &'a BTreeMap<String, String>,
}

impl Shape<'_> {
    fn associations(&self) -> Option<Vec<AddonPodIdentityAssociations>> {
        let (role, arn) = (self.wanted.role?, self.role.as_ref()?);
        let builder = AddonPodIdentityAssociations::builder();
        let built = builder.service_account(role.service_account()).role_arn(arn).build();
        built.ok().map(|association| vec![association])
    }

    fn configuration(&self) -> Option<String> {
        self.wanted.configuration.as_ref().map(ToString::to_string)
    }
}

/// Makes the addon; one that is there already is for the next look.
///
/// If this dies right after the call, the addon is on its way with our mark, and the next run waits for it.
pub(super) async fn create(eks: &Client, shape: &Shape<'_>) -> Result<(), Fault> {
    let name = shape.wanted.name;
    let request = eks
        .create_addon()
        .cluster_name(shape.cluster)
        .addon_name(name)
        .set_addon_version(shape.version.clone())
        .set_configuration_values(shape.configuration())
        .set_pod_identity_associations(shape.associations())
        .resolve_conflicts(ResolveConflicts::Overwrite)
        .set_tags(Some(shape.tags.clone().into_iter().collect()));
    match request.send().await.map_err(Refusal::from) {
        Ok(_) => Ok(()),
        Err(refusal) if refusal.is("ResourceInUseException") => Ok(()),
        Err(refusal) => Err(told(format!("make the EKS addon {name}"), &refusal)),
    }
}

/// The fault of `attempted`: one that passes where EKS has not heard of the role of the addon's pods yet.
/// Source: terraform-provider-aws, `internal/service/eks/addon.go`.
fn told(attempted: String, refusal: &Refusal) -> Fault {
    let fault = refusal.fault(attempted);
    let is_about_role =
        refusal.says("role") && (refusal.says("does not exist") || refusal.says("trust policy"));
    if refusal.is("InvalidParameterException") && is_about_role {
        return Fault { kind: FaultKind::Transient, ..fault };
    }
    fault
}

/// Changes the addon: configuration, role, and version where there is one.
///
/// If this dies right after the call, the addon is UPDATING, and the next run waits for that.
pub(super) async fn update(eks: &Client, shape: &Shape<'_>) -> Result<Option<Update>, Fault> {
    let name = shape.wanted.name;
    let request = eks
        .update_addon()
        .cluster_name(shape.cluster)
        .addon_name(name)
        .set_addon_version(shape.version.clone())
        .configuration_values(shape.configuration().unwrap_or_else(|| "{}".to_string()))
        .set_pod_identity_associations(shape.associations())
        .resolve_conflicts(ResolveConflicts::Overwrite);
    let sent = request.send().await.map_err(Refusal::from);
    sent.map(|sent| sent.update).map_err(|refusal| told(format!("change the EKS addon {name}"), &refusal))
}

/// Puts our mark on an addon that somebody else made.
pub(super) async fn mark(eks: &Client, arn: &str, tags: &BTreeMap<String, String>) -> Result<(), Fault> {
    let request = eks.tag_resource().resource_arn(arn).set_tags(Some(tags.clone().into_iter().collect()));
    request.send().await.map(|_| ()).map_err(|error| fault(format!("mark {arn}"), &error))
}

/// Deletes the addon.
pub(super) async fn delete(eks: &Client, cluster: &str, name: &str) -> Result<(), Fault> {
    match eks.delete_addon().cluster_name(cluster).addon_name(name).send().await {
        Ok(_) => Ok(()),
        Err(error) if Refusal::of(&error).is_absent() => Ok(()),
        Err(error) => Err(fault(format!("delete the EKS addon {name} of {cluster}"), &error)),
    }
}
