use aws_sdk_cloudformation::types::Stack;
use aws_sdk_eks::types::Cluster;

use super::names::Names;
use crate::base::{Fault, FaultKind, Owner, label};
use crate::clouds::aws::{Aws, Refusal, Session};
use crate::flow::Flow;

/// An environment of berth in one account and region, known by its mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whose it is.
    pub owner: Owner,
    /// `control plane ACTIVE`; `stack CREATE_FAILED` where there is no control plane; why it is not known where EKS
    /// does not tell.
    pub state: String,
}

/// The environments of berth in the account and region of `session`, by name: each has one stack, which is made first
/// and goes last.
pub async fn standing(session: &Session, flow: &Flow) -> Result<Vec<Standing>, Fault> {
    let aws = session.open(flow).await?;
    let attempted = || format!("list the environments in {}", session.region());
    let mut pages = aws.cloudformation(flow).describe_stacks().into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Refusal::from(error).fault(attempted()))?;
        for stack in page.stacks() {
            if let Some(owner) = owner(stack, session.region()) {
                found.push((owner, stack.stack_status().map_or("", |status| status.as_str()).to_string()));
            }
        }
    }
    found.sort_by(|(one, _), (other, _)| one.environment.cmp(&other.environment));
    let mut standing = Vec::with_capacity(found.len());
    for (owner, stack) in found {
        let state = match state(&aws, &owner, flow).await {
            Ok(state) => state.unwrap_or_else(|| format!("stack {stack}")),
            // Of the others there is something to tell.
            Err(fault) if !ends_the_run(&fault) => format!("control plane not known: {}", fault.reason),
            Err(fault) => return Err(fault),
        };
        standing.push(Standing { owner, state });
    }
    Ok(standing)
}

/// Whether there is nothing more to be asked.
fn ends_the_run(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Cancelled | FaultKind::Deadline)
}

/// Whose environment a stack is of; `None` for one that is none of berth's.
fn owner(stack: &Stack, region: &str) -> Option<Owner> {
    let tag = |key: &str| {
        let tag = stack.tags().iter().find(|tag| tag.key() == Some(key))?;
        tag.value().map(str::to_string)
    };
    let environment = tag(label::ENVIRONMENT)?;
    let is_of_it = stack.stack_name() == Some(Names::new(&environment, region).stack().as_str());
    Some(Owner { id: tag(label::OWNER)?, environment }).filter(|_| is_of_it)
}

/// `control plane ACTIVE`, where there is one with the mark of `owner`.
async fn state(aws: &Aws, owner: &Owner, flow: &Flow) -> Result<Option<String>, Fault> {
    let name = &owner.environment;
    let answer = aws.eks(flow).describe_cluster().name(name).send().await.map_err(Refusal::from);
    let cluster = match answer {
        Ok(answer) => answer.cluster,
        Err(refusal) if refusal.is_absent() => None,
        Err(refusal) => return Err(refusal.fault(format!("describe EKS cluster `{name}`"))),
    };
    let is_ours = |cluster: &Cluster| {
        cluster.tags().and_then(|tags| tags.get(label::OWNER)).is_some_and(|mark| *mark == owner.id)
    };
    let word = |cluster: Cluster| cluster.status.map_or("PENDING".to_string(), |status| status.to_string());
    Ok(cluster.filter(is_ours).map(|cluster| format!("control plane {}", word(cluster))))
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::types::Tag;

    use super::*;

    #[test]
    fn a_stack_is_an_environment_by_its_name_and_marks() {
        let owner = |stack: Stack| owner(&stack, "eu-central-1");
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let stack = |name: &str| Stack::builder().stack_name(name);
        let marked = |name| stack(name).tags(tag(label::OWNER, "0a1b")).tags(tag(label::ENVIRONMENT, "dev"));
        let dev = Owner { id: "0a1b".to_string(), environment: "dev".to_string() };
        assert_eq!(owner(marked("berth-dev").build()), Some(dev));
        // What CloudFormation made within one carries its tags as well.
        assert_eq!(owner(marked("other").build()), None);
        assert_eq!(owner(stack("berth-dev").build()), None);
    }
}
