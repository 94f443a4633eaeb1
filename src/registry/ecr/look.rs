use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join;

use super::caches::Caches;
use super::calls::{Calls, Described};
use super::difference::Live;
use super::wanted::All;
use crate::base::{Fault, Owner, label};
use crate::flow::{Flow, Tally};

/// So many repositories are looked at, or worked on, at once.
pub(super) const AT_ONCE: usize = 8;

/// What is there of ECR that concerns an environment.
pub(super) struct Found {
    /// The repositories that the profile names, by name, where they are there.
    pub repositories: BTreeMap<String, Repository>,
    /// Repositories with our mark that the profile does not name.
    pub left: BTreeSet<String>,
    pub caches: Caches,
}

/// A repository that the profile names.
pub(super) enum Repository {
    /// It carries our mark.
    Ours(Live),
    /// It carries another one or none.
    Foreign(Described),
}

/// Looks at what `wanted` names and at what `owner` has besides.
pub(super) async fn look(calls: &Calls, wanted: &All, owner: &Owner, flow: &Flow) -> Result<Found, Fault> {
    let names: BTreeSet<String> = wanted.repositories.iter().map(|one| one.name.clone()).collect();
    let caches = async {
        if wanted.caches.is_empty() {
            return Ok(Caches::none());
        }
        Caches::look(calls, &wanted.caches, owner, false).await
    };
    let repositories = try_join(calls.described(&names), calls.marked(&owner.id));
    let ((described, marked), caches) = try_join(repositories, caches).await?;
    let mut tally = Tally::new(described.len(), "repositories");
    let repository = async |one: Described| {
        let is_ours = marked.contains(&one.name) || is_ours(calls, &one.arn, owner).await?;
        let name = one.name.clone();
        Ok((name, if is_ours { Repository::Ours(live(calls, one).await?) } else { Repository::Foreign(one) }))
    };
    let seen = flow.each(described, AT_ONCE, &mut tally, repository).await?;
    let others: BTreeSet<String> = marked.difference(&names).cloned().collect();
    let left = if others.is_empty() { others } else { standing(calls, &others).await? };
    Ok(Found { repositories: seen.into_iter().collect(), left, caches })
}

/// The repositories with the mark of `owner`, those that `wanted` names and all others.
pub(super) async fn ours(calls: &Calls, wanted: &All, owner: &Owner) -> Result<BTreeSet<String>, Fault> {
    let mut names: BTreeSet<String> = wanted.repositories.iter().map(|one| one.name.clone()).collect();
    names.append(&mut calls.marked(&owner.id).await?);
    let mut ours = BTreeSet::new();
    // What is to be deleted has to carry the mark now, whatever the list of all tags says.
    for one in calls.described(&names).await? {
        if is_ours(calls, &one.arn, owner).await? {
            ours.insert(one.name);
        }
    }
    Ok(ours)
}

async fn is_ours(calls: &Calls, arn: &str, owner: &Owner) -> Result<bool, Fault> {
    Ok(calls.tags(arn).await?.get(label::OWNER) == Some(&owner.id))
}

/// Those of `names` that are there: the list of all tags also shows what is gone.
async fn standing(calls: &Calls, names: &BTreeSet<String>) -> Result<BTreeSet<String>, Fault> {
    Ok(calls.described(names).await?.into_iter().map(|one| one.name).collect())
}

async fn live(calls: &Calls, one: Described) -> Result<Live, Fault> {
    let (lifecycle, policy) = try_join(calls.lifecycle(&one.name), calls.policy(&one.name)).await?;
    Ok(Live { tags: one.tags, scan: one.scan, encryption: one.encryption, lifecycle, policy })
}
