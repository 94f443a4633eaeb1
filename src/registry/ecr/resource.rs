use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::caches::{self, Caches};
use super::calls::Calls;
use super::difference::{diff, refused};
use super::look::{self, AT_ONCE, Found, Repository};
use super::step::{EcrStep, Task};
use super::wanted::{All, Wanted, marks, wanted};
use crate::base::{Change, ChangeKind, Conflict, Fault, Guard, Note, Owner, ResourceId};
use crate::clouds::aws::Session;
use crate::engine::{Cx, Need, Output, Resource, Seen, State};
use crate::flow::Tally;
use crate::profile::Environment;
use crate::profile::schema::EcrRegistry;

/// A look is a call over the internet.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// The key of the host of the registry, once the repositories were looked at.
pub const HOST: &str = "registry.ecr.host";

/// What the repositories are looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To make them as the profile says, also those that somebody else made where `adopt` says so.
    Bring {
        /// Take over repositories of our names.
        adopt: bool,
    },
    /// To name them: they stay while all else goes.
    Keep,
    /// To delete them, and all images in them.
    TakeAway,
}

/// The repositories and pull-through caches of an environment in Amazon ECR.
pub struct EcrResource {
    id: ResourceId,
    purpose: Purpose,
    inner: Arc<Inner>,
}

/// What the resource and its steps share.
pub(super) struct Inner {
    pub session: Arc<Session>,
    pub owner: Owner,
    pub marks: BTreeMap<String, String>,
    wanted: All,
    /// The repositories that this run made, which ECR may not show yet.
    made: Mutex<BTreeSet<String>>,
}

impl Inner {
    /// Notes that the repository `name` is there now.
    pub fn made(&self, name: &str) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string());
    }

    fn is_made(&self, name: &str) -> bool {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

impl EcrResource {
    /// The repositories and caches of `environment`, which `spec` declares, in the account and region of `session`.
    pub fn new(
        environment: &Environment,
        spec: &EcrRegistry,
        session: Arc<Session>,
        purpose: Purpose,
    ) -> Self {
        let inner = Inner {
            owner: environment.owner.clone(),
            marks: marks(environment),
            wanted: wanted(environment, spec, session.region()),
            session,
            made: Mutex::default(),
        };
        Self { id: Self::resource_id(), purpose, inner: Arc::new(inner) }
    }

    /// The id of the resource, one for all repositories.
    pub fn resource_id() -> ResourceId {
        ResourceId::new("registry/ecr")
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let calls = Calls::open(&self.inner.session, &cx.flow).await?;
        match self.purpose {
            Purpose::Bring { adopt } => {
                let Inner { wanted, owner, .. } = &*self.inner;
                let seen = self.judge(&look::look(&calls, wanted, owner, &cx.flow).await?, adopt);
                Ok(seen.output(HOST, Output::Text(calls.host())))
            }
            Purpose::Keep | Purpose::TakeAway => self.going(&calls).await,
        }
    }

    /// What is to be done about what was found.
    fn judge(&self, found: &Found, adopt: bool) -> Seen {
        let (mut changes, mut tasks, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for wanted in &self.inner.wanted.repositories {
            let found = found.repositories.get(&wanted.name);
            if found.is_none() && self.inner.is_made(&wanted.name) {
                waiting.push(wanted.name.as_str());
                continue;
            }
            let (more, task) = repository(wanted, found, adopt);
            changes.extend(more);
            tasks.extend(task);
        }
        for cache in &self.inner.wanted.caches {
            let Some(todo) = found.caches.todo(cache) else { continue };
            changes.push(todo.change);
            tasks.extend(todo.act.map(|act| Task::Cache(cache.clone(), act)));
        }
        let any = !found.repositories.is_empty() || self.inner.wanted.repositories.is_empty();
        let state = match waiting.first() {
            Some(name) => State::Progressing(format!("ECR does not show repository {name} yet")),
            None if any => State::Ready,
            None => State::Absent,
        };
        let mut seen = Seen::new(state);
        seen.notes = self.left(found);
        if tasks.is_empty() {
            seen.changes = changes;
            return seen;
        }
        seen.to_change(changes, EcrStep { inner: Arc::clone(&self.inner), tasks })
    }

    /// What the profile has no more, which stays.
    fn left(&self, found: &Found) -> Vec<Note> {
        let region = self.inner.session.region();
        let repository = |name: &String| {
            let text = format!(
                "repository {name}: no longer in the profile; it stays, with its images, until `aws ecr \
                 delete-repository --force --region {region} --repository-name {name}` or `berth down --registries`"
            );
            Note::new("kept", text)
        };
        let cache = |prefix: &String| {
            let text = format!(
                "{}: no longer in the profile; it stays until `aws ecr delete-pull-through-cache-rule \
                 --region {region} --ecr-repository-prefix {prefix}` or `berth down --registries`",
                caches::title(prefix)
            );
            Note::new("kept", text)
        };
        let caches = found.caches.left(&self.inner.wanted.caches);
        found.left.iter().map(repository).chain(caches.map(cache)).collect()
    }

    /// What is there of ours, with the words for what stays.
    async fn going(&self, calls: &Calls) -> Result<Seen, Fault> {
        let Inner { wanted, owner, .. } = &*self.inner;
        let repositories = look::ours(calls, wanted, owner).await?;
        let caches = Caches::look(calls, &wanted.caches, owner, true).await?;
        let is_there = !repositories.is_empty() || caches.ours().next().is_some();
        let mut seen = Seen::new(if is_there { State::Ready } else { State::Absent });
        if self.purpose == Purpose::Keep {
            let why = "`berth down --registries` removes it";
            let kept = |title: String, with: &str| Note::new("kept", format!("{title}: {why}{with}"));
            let name = |name: &String| kept(format!("repository {name}"), ", with its images");
            seen.notes.extend(repositories.iter().map(name));
            seen.notes.extend(caches.ours().map(|prefix| kept(caches::title(prefix), "")));
        }
        Ok(seen)
    }

    async fn remove(&self, cx: &Cx) -> Result<(), Fault> {
        let calls = Calls::open(&self.inner.session, &cx.flow).await?;
        let Inner { wanted, owner, .. } = &*self.inner;
        let caches = Caches::look(&calls, &wanted.caches, owner, true).await?;
        for prefix in caches.ours() {
            caches::delete(&calls, prefix).await?;
        }
        let names: Vec<String> = look::ours(&calls, wanted, owner).await?.into_iter().collect();
        let mut tally = Tally::new(names.len(), "repositories");
        let calls = &calls;
        let gone = cx.flow.each(names, AT_ONCE, &mut tally, |name| async move { calls.delete(&name).await });
        gone.await.map(|_| ())
    }
}

/// The changes that bring one repository to what is `wanted`, and how.
fn repository(wanted: &Wanted, found: Option<&Repository>, adopt: bool) -> (Vec<Change>, Option<Task>) {
    let title = || format!("repository {}", wanted.name);
    let change = |kind| Change::new(kind, title());
    match found {
        None => (vec![change(ChangeKind::Create)], Some(Task::Create(wanted.clone()))),
        Some(Repository::Foreign(one)) if adopt => {
            if let Some(conflict) = refused(wanted, &one.encryption) {
                return (vec![conflict.of(title())], None);
            }
            let adopted = change(ChangeKind::Adopt)
                .because("somebody else made it; its policies become those of the profile");
            (vec![adopted], Some(Task::Adopt(one.arn.clone())))
        }
        Some(Repository::Foreign(_)) => {
            let remedy = "take it over with `--adopt`, or choose another name";
            let conflict = Conflict::new("somebody else made it", remedy).guarded(Guard::Adopt);
            (vec![conflict.of(title())], None)
        }
        Some(Repository::Ours(live)) => {
            let difference = diff(wanted, live);
            let refused = difference.refused.map(|conflict| conflict.of(title()));
            if difference.fields.is_empty() {
                return (refused.into_iter().collect(), None);
            }
            let updated = change(ChangeKind::Update).fields(difference.fields);
            let task = Task::Write(wanted.clone(), difference.writes);
            ([updated].into_iter().chain(refused).collect(), Some(task))
        }
    }
}

impl Resource for EcrResource {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn outline(&self) -> String {
        match self.inner.wanted.repositories.len() {
            1 => "1 repository".to_string(),
            many => format!("{many} repositories"),
        }
    }

    fn pauses(&self) -> (Duration, Duration) {
        PAUSES
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        self.look(cx).boxed()
    }

    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        self.remove(cx).boxed()
    }
}
