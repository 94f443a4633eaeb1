use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_eks::Client;
use aws_sdk_eks::types::{AccessScope, AccessScopeType};

use super::difference::{Act, CALLER, Entry};
use super::wanted::Rights;
use crate::base::{Fault, FaultKind};
use crate::clouds::aws::{Refusal, fault};
use crate::flow::{Flow, Patience};
use crate::providers::eks::UNTIL_HEARD;

/// The policy of administrators.
/// Source: <https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html>.
pub(super) fn admin_policy(partition: &str) -> String {
    format!("arn:{partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy")
}

/// Who has an entry, by ARN. `None`: there is no such cluster, or it is not there yet.
pub(super) async fn principals(eks: &Client, cluster: &str) -> Result<Option<Vec<String>>, Fault> {
    let mut all = Vec::new();
    let mut pages = eks.list_access_entries().cluster_name(cluster).into_paginator().send();
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => all.extend(page.access_entries().iter().cloned()),
            Err(error)
                if Refusal::of(&error).is_absent() || Refusal::of(&error).is("InvalidRequestException") =>
            {
                return Ok(None);
            }
            Err(error) => return Err(fault(format!("list the access entries of {cluster}"), &error)),
        }
    }
    Ok(Some(all))
}

/// The entry of `arn`; its policies are asked for where it is ours or `wanted`.
pub(super) async fn describe(
    eks: &Client,
    cluster: &str,
    arn: &str,
    admin_policy: &str,
    asks_policies: impl Fn(&Entry) -> bool,
) -> Result<Option<Entry>, Fault> {
    let attempted = format!("look at the access of {arn} to {cluster}");
    let answer = eks.describe_access_entry().cluster_name(cluster).principal_arn(arn).send().await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if Refusal::of(&error).is_absent() => {
            return Ok(None);
        }
        Err(error) => return Err(fault(attempted, &error)),
    };
    let Some(found) = answer.access_entry() else { return Ok(None) };
    let entry = Entry {
        groups: found.kubernetes_groups().iter().cloned().collect(),
        tags: found.tags().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
        ..Entry::default()
    };
    if !asks_policies(&entry) {
        return Ok(Some(entry));
    }
    let Some((admin, policies)) = policies(eks, cluster, arn, admin_policy).await? else { return Ok(None) };
    Ok(Some(Entry { admin, policies, ..entry }))
}

/// Whether `arn` administers the whole cluster, and the ARNs of their further policies. `None`: they have no entry.
pub(super) async fn policies(
    eks: &Client,
    cluster: &str,
    arn: &str,
    admin_policy: &str,
) -> Result<Option<(bool, BTreeSet<String>)>, Fault> {
    let asked = eks.list_associated_access_policies().cluster_name(cluster).principal_arn(arn).send().await;
    let answer = match asked {
        Ok(answer) => answer,
        Err(error) if Refusal::of(&error).is_absent() => return Ok(None),
        Err(error) => return Err(fault(format!("look at the policies of {arn} in {cluster}"), &error)),
    };
    let mut admin = false;
    let mut further = BTreeSet::new();
    for policy in answer.associated_access_policies() {
        let is_whole = policy
            .access_scope()
            .and_then(|scope| scope.r#type())
            .is_some_and(|kind| *kind == AccessScopeType::Cluster);
        match policy.policy_arn() {
            Some(arn) if arn == admin_policy && is_whole => admin = true,
            Some(arn) => {
                further.insert(arn.to_string());
            }
            None => {}
        }
    }
    Ok(Some((admin, further)))
}

/// What acts are made with.
pub(super) struct Acting<'a> {
    pub eks: &'a Client,
    pub flow: &'a Flow,
    pub cluster: &'a str,
    pub tags: &'a BTreeMap<String, String>,
    pub admin_policy: String,
}

impl Acting<'_> {
    /// Makes one act. Safe to repeat.
    ///
    /// If this dies between the calls for a new entry, the entry stands with our mark and without its policy, and the
    /// next run adds that.
    pub async fn act(&self, act: &Act) -> Result<(), Fault> {
        match act {
            Act::Create { arn, rights } => self.create(arn, rights).await,
            Act::SetGroups { arn, groups } => self.set_groups(arn, groups).await,
            Act::Mark { arn } => self.mark(arn).await,
            Act::Allow { arn } => self.allow(arn).await,
            Act::Forbid { arn, policy } => {
                self.forbid(arn, policy.as_deref().unwrap_or(&self.admin_policy)).await
            }
            Act::Remove { arn } => self.remove(arn).await,
        }
    }

    async fn create(&self, arn: &str, rights: &Rights) -> Result<(), Fault> {
        let mut tags: std::collections::HashMap<String, String> = self.tags.clone().into_iter().collect();
        if rights.caller {
            tags.insert(CALLER.to_string(), "true".to_string());
        }
        let groups: Vec<String> = rights.groups.iter().cloned().collect();
        let attempted = format!("give {arn} access to {}", self.cluster);
        // Somebody whom the profile spells wrongly is refused alike, and should hear of it soon.
        self.flow
            .retry(Patience::STEADY, &attempted, || async {
                let request = self.eks.create_access_entry().cluster_name(self.cluster).principal_arn(arn);
                let request = request.set_kubernetes_groups((!groups.is_empty()).then(|| groups.clone()));
                match request
                    .r#type("STANDARD")
                    .set_tags(Some(tags.clone()))
                    .send()
                    .await
                    .map_err(Refusal::from)
                {
                    Ok(_) => Ok(()),
                    Err(refusal) if refusal.is("ResourceInUseException") => Ok(()),
                    Err(refusal) => Err(told(&attempted, &refusal)),
                }
            })
            .await?;
        if rights.admin { self.allow(arn).await } else { Ok(()) }
    }

    async fn set_groups(&self, arn: &str, groups: &BTreeSet<String>) -> Result<(), Fault> {
        let attempted = format!("change the access of {arn} to {}", self.cluster);
        self.flow
            .retry(UNTIL_HEARD, &attempted, || async {
                let request = self.eks.update_access_entry().cluster_name(self.cluster).principal_arn(arn);
                let sent = request.set_kubernetes_groups(Some(groups.iter().cloned().collect())).send().await;
                sent.map(|_| ()).map_err(|error| told(&attempted, &Refusal::from(error)))
            })
            .await
    }

    async fn allow(&self, arn: &str) -> Result<(), Fault> {
        let attempted = format!("have {arn} administer {}", self.cluster);
        let scope = AccessScope::builder().r#type(AccessScopeType::Cluster).build();
        self.flow
            .retry(UNTIL_HEARD, &attempted, || async {
                let request =
                    self.eks.associate_access_policy().cluster_name(self.cluster).principal_arn(arn);
                let request = request.policy_arn(&self.admin_policy).access_scope(scope.clone());
                let sent = request.send().await;
                sent.map(|_| ()).map_err(|error| told(&attempted, &Refusal::from(error)))
            })
            .await
    }

    async fn forbid(&self, arn: &str, policy: &str) -> Result<(), Fault> {
        let request = self.eks.disassociate_access_policy().cluster_name(self.cluster).principal_arn(arn);
        match request.policy_arn(policy).send().await {
            Ok(_) => Ok(()),
            Err(error) if Refusal::of(&error).is_absent() => Ok(()),
            Err(error) => Err(fault(format!("take rights of {arn} in {} back", self.cluster), &error)),
        }
    }

    async fn mark(&self, arn: &str) -> Result<(), Fault> {
        let attempted = format!("mark the access of {arn} to {}", self.cluster);
        self.flow
            .retry(UNTIL_HEARD, &attempted, || async {
                let request = self.eks.describe_access_entry().cluster_name(self.cluster).principal_arn(arn);
                let found = request.send().await.map_err(|error| told(&attempted, &Refusal::from(error)))?;
                let own = found.access_entry().and_then(|entry| entry.access_entry_arn()).unwrap_or_default();
                let tags = self.tags.clone().into_iter().collect();
                let sent = self.eks.tag_resource().resource_arn(own).set_tags(Some(tags)).send().await;
                sent.map(|_| ()).map_err(|error| told(&attempted, &Refusal::from(error)))
            })
            .await
    }

    async fn remove(&self, arn: &str) -> Result<(), Fault> {
        let request = self.eks.delete_access_entry().cluster_name(self.cluster).principal_arn(arn);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if Refusal::of(&error).is_absent() => Ok(()),
            Err(error) => Err(fault(format!("take the access of {arn} to {} away", self.cluster), &error)),
        }
    }
}

/// The fault of `attempted`: one that passes where EKS does not know an entry that was just made, or a role or user
/// whom IAM has just made.
/// Source: terraform-provider-aws, `internal/service/eks/access_policy_association.go` and `access_entry.go`
/// (<https://github.com/hashicorp/terraform-provider-aws/issues/35728>).
fn told(attempted: &str, refusal: &Refusal) -> Fault {
    let fault = refusal.fault(attempted);
    if refusal.is("ResourceNotFoundException") && refusal.says("specified principalArn could not be found") {
        return Fault { kind: FaultKind::Transient, ..fault };
    }
    if refusal.is("InvalidParameterException") && refusal.says("principalArn is invalid: invalid principal") {
        return Fault { kind: FaultKind::Transient, ..fault }
            .hint("see that `access` spells this ARN as IAM does, with its path: `aws iam list-roles` shows the ARNs");
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_eks_may_not_have_heard_of_yet_passes() {
        let kind = |code: &str, message: &str| {
            let refusal = Refusal {
                kind: FaultKind::Invalid,
                code: Some(code.to_string()),
                message: message.to_string(),
                request_id: None,
                action: None,
                skew: None,
            };
            told("give ann access", &refusal).kind
        };
        let hidden = "The specified principalArn could not be found. You can view your available access entries with \
                      'list-access-entries'.";
        assert_eq!(kind("ResourceNotFoundException", hidden), FaultKind::Transient);
        assert_eq!(kind("ResourceNotFoundException", "No cluster found for name: dev."), FaultKind::Invalid);
        let invalid = |why: &str| format!("The specified principalArn is invalid: {why}.");
        assert_eq!(kind("InvalidParameterException", &invalid("invalid principal")), FaultKind::Transient);
        assert_eq!(kind("InvalidParameterException", &invalid("invalid format")), FaultKind::Invalid);
    }
}
