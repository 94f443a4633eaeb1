use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecr::types::{PullThroughCacheRule, RctAppliedFor, RepositoryCreationTemplate};

use super::calls::Calls;
use super::policy;
use super::wanted::Cache;
use crate::base::{Change, ChangeKind, Conflict, Fault, Owner};
use crate::clouds::aws::{Refusal, fault};

/// The pull-through caches of the account, as far as they concern an environment.
pub(super) struct Caches {
    /// By prefix.
    rules: BTreeMap<String, Cache>,
    /// The prefixes of the templates that carry our mark.
    ours: BTreeSet<String>,
}

/// What is done to a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// It is made.
    Create,
    /// It gets another login.
    Login,
    /// It is removed and made anew, since it pulls from elsewhere.
    Replace,
}

/// What to do for a cache, and the change that shows it; no act where there is somebody else's in the way.
pub(super) struct Todo {
    pub change: Change,
    pub act: Option<Act>,
}

impl Caches {
    /// None at all.
    pub fn none() -> Self {
        Self { rules: BTreeMap::new(), ours: BTreeSet::new() }
    }

    /// Looks at the caches. Whose they are is asked only where `always`, or where one is not as wanted.
    pub async fn look(calls: &Calls, wanted: &[Cache], owner: &Owner, always: bool) -> Result<Self, Fault> {
        let rules = rules(calls).await?;
        let is_as_wanted = |cache: &Cache| rules.get(&cache.prefix) == Some(cache);
        let only_wanted = rules.len() == wanted.len() && wanted.iter().all(is_as_wanted);
        let ours = if always || !only_wanted { marked(calls, owner).await? } else { BTreeSet::new() };
        Ok(Self { rules, ours })
    }

    /// What has to be done for `wanted`.
    pub fn todo(&self, wanted: &Cache) -> Option<Todo> {
        let title = title(&wanted.prefix);
        let Some(live) = self.rules.get(&wanted.prefix) else {
            let change = Change::new(ChangeKind::Create, title).because(format!("of {}", wanted.upstream));
            return Some(Todo { change, act: Some(Act::Create) });
        };
        if live == wanted {
            return None;
        }
        if !self.ours.contains(&wanted.prefix) {
            let why = format!(
                "somebody else made it, and it pulls from {} otherwise than the profile says",
                live.upstream
            );
            let conflict = Conflict::new(why, "choose another `prefix`");
            return Some(Todo { change: conflict.of(title), act: None });
        }
        let (kind, act, why) = if live.upstream == wanted.upstream && wanted.secret.is_some() {
            (ChangeKind::Update, Act::Login, "another secret with the login".to_string())
        } else {
            let why = format!("from {} to {}", live.upstream, wanted.upstream);
            (ChangeKind::Replace, Act::Replace, why)
        };
        Some(Todo { change: Change::new(kind, title).because(why), act: Some(act) })
    }

    /// The prefixes of our caches that `wanted` does not have.
    pub fn left<'a>(&'a self, wanted: &'a [Cache]) -> impl Iterator<Item = &'a String> {
        self.ours.iter().filter(|prefix| !wanted.iter().any(|cache| cache.prefix == **prefix))
    }

    /// The prefixes of our caches.
    pub fn ours(&self) -> impl Iterator<Item = &String> {
        self.ours.iter()
    }
}

/// `pull-through cache quay`
pub(super) fn title(prefix: &str) -> String {
    format!("pull-through cache {prefix}")
}

/// The mark of `owner` in the description of a template, which can carry no tags of its own.
fn mark(owner: &Owner) -> String {
    format!("made by berth for {}, owner {}", owner.environment, owner.id)
}

async fn rules(calls: &Calls) -> Result<BTreeMap<String, Cache>, Fault> {
    let mut pages = calls.ecr.describe_pull_through_cache_rules().into_paginator().send();
    let mut found = BTreeMap::new();
    let cache = |rule: &PullThroughCacheRule| {
        let upstream = rule.upstream_registry_url().unwrap_or_default();
        let prefix = rule.ecr_repository_prefix().unwrap_or_default().to_string();
        let cache = Cache {
            prefix: prefix.clone(),
            upstream: upstream.trim_start_matches("https://").to_string(),
            secret: rule.credential_arn().map(str::to_string),
        };
        (prefix, cache)
    };
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| fault("look at the pull-through caches", &error))?;
        found.extend(page.pull_through_cache_rules().iter().map(cache));
    }
    Ok(found)
}

/// The prefixes of the creation templates that carry the mark of `owner`.
async fn marked(calls: &Calls, owner: &Owner) -> Result<BTreeSet<String>, Fault> {
    let mark = mark(owner);
    let mut pages = calls.ecr.describe_repository_creation_templates().into_paginator().send();
    let mut found = BTreeSet::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| fault("look at the templates of pull-through caches", &error))?;
        let templates = page.repository_creation_templates().iter();
        let ours = templates.filter(|template| template.description() == Some(mark.as_str()));
        found.extend(ours.filter_map(RepositoryCreationTemplate::prefix).map(str::to_string));
    }
    Ok(found)
}

/// Does what is to be done for the cache `wanted`. The template with the mark comes first, so that a rule of ours
/// without it is never there: if this dies between the calls, the next run makes the rule.
pub(super) async fn make(calls: &Calls, wanted: &Cache, owner: &Owner, act: &Act) -> Result<(), Fault> {
    match act {
        Act::Create => {
            template(calls, wanted, owner).await?;
            rule(calls, wanted).await
        }
        Act::Login => {
            let request = calls.ecr.update_pull_through_cache_rule();
            let request =
                request.ecr_repository_prefix(&wanted.prefix).set_credential_arn(wanted.secret.clone());
            let done = request.send().await.map(|_| ());
            done.map_err(|error| fault(format!("change the {}", title(&wanted.prefix)), &error))
        }
        Act::Replace => {
            delete_rule(calls, &wanted.prefix).await?;
            rule(calls, wanted).await
        }
    }
}

async fn template(calls: &Calls, wanted: &Cache, owner: &Owner) -> Result<(), Fault> {
    let request = calls
        .ecr
        .create_repository_creation_template()
        .prefix(&wanted.prefix)
        .description(mark(owner))
        .applied_for(RctAppliedFor::PullThroughCache)
        .lifecycle_policy(policy::lifecycle(None).to_string());
    match request.send().await {
        Ok(_) => Ok(()),
        Err(error) if Refusal::of(&error).is("TemplateAlreadyExistsException") => {
            if marked(calls, owner).await?.contains(&wanted.prefix) {
                return Ok(());
            }
            let attempted = format!("make the {}", title(&wanted.prefix));
            let why = "somebody else made the repository creation template of that prefix";
            let fault = Fault::new(crate::base::FaultKind::Conflict, attempted, why);
            Err(fault.hint("choose another `prefix` in `registry.ecr.pullThrough`"))
        }
        Err(error) => Err(fault(format!("make the template of the {}", title(&wanted.prefix)), &error)),
    }
}

async fn rule(calls: &Calls, wanted: &Cache) -> Result<(), Fault> {
    let request = calls
        .ecr
        .create_pull_through_cache_rule()
        .ecr_repository_prefix(&wanted.prefix)
        .upstream_registry_url(&wanted.upstream)
        .set_credential_arn(wanted.secret.clone());
    match request.send().await {
        Ok(_) => Ok(()),
        // Whether it is as wanted is for the next look.
        Err(error) if Refusal::of(&error).is("PullThroughCacheRuleAlreadyExistsException") => Ok(()),
        Err(error) => Err(fault(format!("make the {}", title(&wanted.prefix)), &error)),
    }
}

async fn delete_rule(calls: &Calls, prefix: &str) -> Result<(), Fault> {
    match calls.ecr.delete_pull_through_cache_rule().ecr_repository_prefix(prefix).send().await {
        Err(error) if !Refusal::of(&error).is_absent() => {
            Err(fault(format!("delete the {}", title(prefix)), &error))
        }
        _ => Ok(()),
    }
}

/// Deletes the cache `prefix` of ours: the rule first, and its mark last. What it has filled stays.
pub(super) async fn delete(calls: &Calls, prefix: &str) -> Result<(), Fault> {
    delete_rule(calls, prefix).await?;
    match calls.ecr.delete_repository_creation_template().prefix(prefix).send().await {
        Err(error) if !Refusal::of(&error).is("TemplateNotFoundException") => {
            Err(fault(format!("delete the template of the {}", title(prefix)), &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(prefix: &str, upstream: &str, secret: Option<&str>) -> Cache {
        let secret = secret.map(str::to_string);
        Cache { prefix: prefix.to_string(), upstream: upstream.to_string(), secret }
    }

    fn seen(rules: &[Cache], ours: &[&str]) -> Caches {
        Caches {
            rules: rules.iter().map(|rule| (rule.prefix.clone(), rule.clone())).collect(),
            ours: ours.iter().map(|prefix| (*prefix).to_string()).collect(),
        }
    }

    fn told(seen: &Caches, wanted: &Cache) -> Option<(ChangeKind, Option<Act>)> {
        seen.todo(wanted).map(|todo| (todo.change.kind, todo.act))
    }

    #[test]
    fn a_cache_is_made_kept_changed_or_in_the_way() {
        let quay = cache("quay", "quay.io", None);
        assert_eq!(told(&Caches::none(), &quay), Some((ChangeKind::Create, Some(Act::Create))));
        assert_eq!(told(&seen(std::slice::from_ref(&quay), &[]), &quay), None);
        let other = seen(&[cache("quay", "registry.k8s.io", None)], &[]);
        assert_eq!(told(&other, &quay), Some((ChangeKind::Conflict, None)));
        let ours = seen(&[cache("quay", "registry.k8s.io", None)], &["quay"]);
        assert_eq!(told(&ours, &quay), Some((ChangeKind::Replace, Some(Act::Replace))));
        let hub = cache("hub", "registry-1.docker.io", Some("one"));
        let ours = seen(&[cache("hub", "registry-1.docker.io", Some("two"))], &["hub"]);
        assert_eq!(told(&ours, &hub), Some((ChangeKind::Update, Some(Act::Login))));
    }

    #[test]
    fn caches_of_ours_that_left_the_profile_are_known() {
        let seen = seen(&[cache("quay", "quay.io", None)], &["quay", "hub"]);
        let wanted = [cache("quay", "quay.io", None)];
        let left: Vec<&String> = seen.left(&wanted).collect();
        assert_eq!(left, ["hub"]);
    }
}
