use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_eks::Client;
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::calls::{self, Described, Shape, Status, Versions};
use super::difference::diff;
use super::wanted::{VPC_CNI, Wanted, wanted};
use crate::base::{Change, ChangeKind, Conflict, Fault, Guard, Note, Owner, ResourceId, label};
use crate::clouds::aws::Session;
use crate::engine::{Cx, Need, Resource, Seen, State, Step};
use crate::k8s::{Hub, Live as LiveObject, known_kind};
use crate::profile::Environment;
use crate::profile::schema::EksCluster;
use crate::providers::eks::cluster::{ENDPOINT, VERSION};
use crate::providers::eks::lately::Lately;
use crate::providers::eks::node_groups::{Fates, OtherGroups, is_tainted};
use crate::providers::eks::updates::{LastUpdate, Of, Outcome};
use crate::providers::eks::{Around, UNTIL_HEARD, association, client, made_anew, outputs};

/// What all addons of an environment share.
struct Inner {
    session: Arc<Session>,
    hub: Arc<Hub>,
    cluster: String,
    owner: Owner,
    tags: BTreeMap<String, String>,
    /// Whether pods may come to nodes with taints, for want of others.
    any_node: bool,
    /// How it goes with those that bring nodes.
    fates: Arc<Fates>,
    /// The Kubernetes that the profile names, as `(1, 36)`.
    kubernetes: Option<(u32, u32)>,
    /// What EKS offers, asked once in a run.
    versions: OnceCell<BTreeMap<String, Versions>>,
    /// Those that the cluster had when this run looked first.
    names: OnceCell<BTreeSet<String>>,
}

/// An addon that EKS brings.
pub struct AddonResource {
    id: ResourceId,
    cluster: ResourceId,
    needs: Vec<Need>,
    wanted: Wanted,
    inner: Arc<Inner>,
    /// Whether this run made it.
    lately: Lately,
    /// The last change that this run made of it.
    last: LastUpdate,
}

impl AddonResource {
    /// The addons of EKS in the cluster `cluster` of `environment`, each with roles of the network `network`. What
    /// needs a node asks the API server, behind `door`.
    pub fn all(
        environment: &Environment,
        spec: &EksCluster,
        around: &Around,
        session: &Arc<Session>,
        hub: &Arc<Hub>,
    ) -> Vec<Self> {
        let owner = &environment.owner;
        let inner = Arc::new(Inner {
            session: Arc::clone(session),
            hub: Arc::clone(hub),
            cluster: environment.name.clone(),
            owner: owner.clone(),
            tags: BTreeMap::from([
                (label::OWNER.to_string(), owner.id.clone()),
                (label::ENVIRONMENT.to_string(), owner.environment.clone()),
            ]),
            fates: Arc::clone(&around.fates),
            any_node: environment.node_groups.iter().all(is_tainted),
            kubernetes: spec.version.as_ref().map(|_| environment.kubernetes),
            versions: OnceCell::new(),
            names: OnceCell::new(),
        });
        let has_nodes = spec.auto_mode || !environment.node_groups.is_empty();
        let resource = |wanted: Wanted| {
            let mut needs = vec![Need::Ready(around.cluster.clone())];
            if let Some(role) = wanted.role {
                let key = outputs::pod_role_key(role);
                needs.push(Need::Output { from: around.network.clone(), key });
            }
            if wanted.needs_node {
                needs.push(Need::Ready(around.door.clone()));
            }
            if spec.auto_mode && !wanted.in_profile {
                // Nodes of groups work by them until they are gone.
                needs.push(Need::Ready(OtherGroups::id_of()));
            }
            let id = ResourceId::new(format!("eks-addon/{}", wanted.name));
            Self {
                id,
                cluster: around.cluster.clone(),
                needs,
                wanted,
                inner: Arc::clone(&inner),
                lately: Lately::default(),
                last: LastUpdate::default(),
            }
        };
        let of_use = |wanted: &Wanted| has_nodes || !wanted.needs_node || !wanted.in_profile;
        wanted(environment, spec).into_iter().filter(of_use).map(resource).collect()
    }

    /// The network plugin.
    pub fn network_plugin() -> ResourceId {
        ResourceId::new(format!("eks-addon/{VPC_CNI}"))
    }

    fn subject(&self) -> String {
        format!("EKS addon {}", self.wanted.name)
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let inner = &self.inner;
        if !cx.outputs.has(ENDPOINT) {
            // There is no cluster that could have it, if AWS answers us at all.
            inner.session.open(&cx.flow).await?;
            return Ok(self.absent(None, cx));
        }
        let eks = client(&inner.session, &cx.flow).await?;
        if !self.wanted.in_profile {
            let names = inner.names.get_or_try_init(|| calls::names(&eks, &inner.cluster)).await?;
            if !names.contains(self.wanted.name) {
                return Ok(Seen::new(State::Absent));
            }
        }
        let described = calls::describe(&eks, &inner.cluster, self.wanted.name).await?;
        let Some(found) = described else {
            if !self.wanted.in_profile {
                return Ok(Seen::new(State::Absent));
            }
            if self.lately.may_hide(self.wanted.name) {
                return Ok(Seen::new(State::Progressing("made, and EKS does not show it yet".to_string())));
            }
            let version = self.versions(cx).await?.default.clone();
            let mut seen = self.absent(Some(version), cx);
            if let Some(why) = self.waits_for(cx).await? {
                if let Some(group) = inner.fates.all_failed() {
                    return Ok(seen.behind(group));
                }
                seen.state = State::Progressing(why);
                seen.step = None;
            }
            return Ok(seen);
        };
        if found.status == Status::Deleting {
            let mut seen = Seen::new(State::Progressing("DELETING".to_string()));
            seen.changes = self.wanted.in_profile.then(|| made_anew(self.subject())).into_iter().collect();
            return Ok(seen);
        }
        let is_ours = found.tags.get(label::OWNER) == Some(&inner.owner.id);
        if !self.wanted.in_profile {
            return Ok(if is_ours { self.leaving() } else { Seen::new(State::Absent) });
        }
        if !is_ours {
            return Ok(self.foreign(&found));
        }
        if found.status == Status::Failed {
            let why = found.told();
            if self.lately.was_made(self.wanted.name) {
                return Ok(Seen::new(State::Broken(why)));
            }
            // What could not be made holds nothing; what could not be deleted may still work.
            let is_empty = found.word == "CREATE_FAILED";
            let kind = if is_empty { ChangeKind::Create } else { ChangeKind::Replace };
            let change = Change::new(kind, self.subject()).because(format!("anew: {why}"));
            return Ok(Seen::new(State::Broken(why)).to_change(vec![change], self.step(Act::Remove)));
        }
        if found.status == Status::Unchanged
            && let Some(seen) = self.after_change(&eks, &found).await?
        {
            return Ok(seen);
        }
        self.standing(found, cx).await
    }

    /// One that says that its change failed, when this run began a change: `None` when it did not. EKS does not go back
    /// by itself, and what failed a moment ago is not tried again.
    async fn after_change(&self, eks: &Client, found: &Described) -> Result<Option<Seen>, Fault> {
        let outcome = self.last.outcome(eks, &self.inner.cluster, Of::Addon(self.wanted.name)).await?;
        Ok(outcome.map(|outcome| match outcome {
            Outcome::Failed(mut why) => {
                why.extend(
                    found.issues.iter().filter(|issue| !why.contains(issue)).cloned().collect::<Vec<_>>(),
                );
                let why = if why.is_empty() {
                    found.word.clone()
                } else {
                    format!("{}: {}", found.word, why.join("; "))
                };
                Seen::new(State::Broken(why))
            }
            Outcome::OnItsWay | Outcome::Done => {
                Seen::new(State::Progressing("changed, and EKS does not show it yet".to_string()))
            }
        }))
    }

    fn absent(&self, version: Option<String>, cx: &Cx) -> Seen {
        let mut seen = Seen::new(State::Absent);
        if !self.wanted.in_profile {
            return seen;
        }
        let mut change = Change::new(ChangeKind::Create, self.subject());
        if let Some(version) = &version {
            change = change.because(version.clone());
        }
        seen.changes = vec![change];
        let role = self.role(cx);
        seen.step = version.map(|version| self.step(Act::Create { version, role })).map(boxed);
        seen
    }

    /// One that the profile has no more.
    fn leaving(&self) -> Seen {
        let change = Change::new(ChangeKind::Delete, self.subject()).because("no longer in the profile");
        Seen::new(State::Ready).to_change(vec![change], self.step(Act::Remove))
    }

    fn foreign(&self, found: &Described) -> Seen {
        if self.inner.hub.settings().adopt {
            let change = Change::new(ChangeKind::Adopt, self.subject()).because("somebody else made it");
            let act = Act::Mark { arn: found.arn.clone() };
            return Seen::new(State::Ready).to_change(vec![change], self.step(act));
        }
        let Inner { session, cluster, .. } = &*self.inner;
        let remedy = format!(
            "take it over with `--adopt`, or remove it with `aws eks delete-addon --region {} --cluster-name {cluster} \
             --addon-name {}`",
            session.region(),
            self.wanted.name
        );
        let conflict = Conflict::new("somebody else made it", remedy).guarded(Guard::Adopt);
        let mut seen = Seen::new(State::Absent);
        seen.changes = vec![conflict.of(self.subject())];
        seen
    }

    async fn standing(&self, mut found: Described, cx: &Cx) -> Result<Seen, Fault> {
        let versions = self.versions(cx).await?;
        let role = self.role(cx);
        // EKS refuses a change of what is being changed.
        let is_busy = matches!(found.word.as_str(), "CREATING" | "UPDATING");
        if role.is_some() && !is_busy {
            found.live.role = self.live_role(&found, cx).await?;
        }
        let difference =
            diff(&self.wanted, role.as_deref(), &found.live, &versions.default, &versions.offered);
        let is_active = found.status == Status::Active;
        let state = match found.status {
            Status::Active => State::Ready,
            Status::Unchanged => State::Broken(found.told()),
            Status::Failed | Status::Deleting | Status::OnItsWay => State::Progressing(found.told()),
        };
        let mut seen = Seen::new(state);
        seen.notes = difference.notes;
        if is_active {
            let warning = |issue: &String| Note::new("warning", format!("{}: {issue}", self.subject()));
            seen.notes.extend(found.issues.iter().map(warning));
        }
        if difference.fields.is_empty() && found.status != Status::Unchanged {
            return Ok(seen);
        }
        let mut change = Change::new(ChangeKind::Update, self.subject()).fields(difference.fields);
        if found.status == Status::Unchanged {
            change = change.because(found.told());
        }
        if is_busy {
            seen.changes = vec![change];
            return Ok(seen);
        }
        let act = Act::Update { version: difference.version, role };
        Ok(seen.to_change(vec![change], self.step(act)))
    }

    /// The role that its pods take.
    async fn live_role(&self, found: &Described, cx: &Cx) -> Result<Option<String>, Fault> {
        let Some(wanted) = self.wanted.role else { return Ok(None) };
        let eks = client(&self.inner.session, &cx.flow).await?;
        let asked = found.associations.iter().map(|id| association::describe(&eks, &self.inner.cluster, id));
        let mut said = try_join_all(asked).await?.into_iter().flatten();
        Ok(said.find(|said| said.is_for(wanted)).map(|said| said.role))
    }

    async fn versions(&self, cx: &Cx) -> Result<&Versions, Fault> {
        static NONE: Versions = Versions { default: String::new(), offered: Vec::new() };
        let has = cx.outputs.text(VERSION).unwrap_or_default();
        // Addons follow the cluster: by the time that they are changed it runs what a plan shows them for.
        let minor = self.inner.kubernetes.map_or(has.to_string(), |wanted| after_upgrade(has, wanted));
        let minor = &minor;
        let asked = self.inner.versions.get_or_try_init(|| async {
            calls::versions(&client(&self.inner.session, &cx.flow).await?, minor).await
        });
        Ok(asked.await?.get(self.wanted.name).unwrap_or(&NONE))
    }

    fn role(&self, cx: &Cx) -> Option<String> {
        let role = self.wanted.role?;
        cx.outputs.text(outputs::pod_role_key(role)).map(str::to_string)
    }

    /// What is still to come before it is of use.
    async fn waits_for(&self, cx: &Cx) -> Result<Option<String>, Fault> {
        let Some(access) = cx.outputs.cluster_access().filter(|_| self.wanted.needs_node) else {
            return Ok(None);
        };
        self.inner.hub.connect(access).await?;
        let kind = known_kind("v1", "Node").expect("nodes are built in");
        let nodes = self.inner.hub.list_all(&kind, &cx.flow).await?;
        let takes_pods = |node: &LiveObject| {
            node.why_node_is_not_ready().is_none() && (self.inner.any_node || !repels(&node.body))
        };
        let is_there = nodes.iter().any(takes_pods);
        Ok((!is_there).then(|| "waiting for the first node that is Ready".to_string()))
    }

    fn step(&self, act: Act) -> AddonStep {
        AddonStep {
            inner: Arc::clone(&self.inner),
            wanted: self.wanted.clone(),
            lately: self.lately.clone(),
            last: self.last.clone(),
            act,
        }
    }
}

/// The Kubernetes of a cluster that runs `has`, once it is upgraded: one minor at a time.
fn after_upgrade(has: &str, (major, minor): (u32, u32)) -> String {
    let next = format!("{major}.{minor}");
    if has == format!("{major}.{}", minor.saturating_sub(1)) { next } else { has.to_string() }
}

fn boxed(step: AddonStep) -> Box<dyn Step> {
    Box::new(step)
}

/// Whether a node keeps pods without tolerations away.
fn repels(node: &Value) -> bool {
    let taints = node["spec"]["taints"].as_array();
    taints.into_iter().flatten().any(|taint| taint["effect"] != "PreferNoSchedule")
}

impl Resource for AddonResource {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        self.needs.clone()
    }

    fn outline(&self) -> String {
        if self.wanted.in_profile { self.subject() } else { String::new() }
    }

    fn looks_alone(&self) -> bool {
        true
    }

    fn beside(&self) -> Option<&ResourceId> {
        Some(&self.cluster)
    }

    fn pauses(&self) -> (Duration, Duration) {
        crate::providers::eks::PAUSES
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        self.look(cx).boxed()
    }

    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            let inner = &self.inner;
            let eks = client(&inner.session, &cx.flow).await?;
            calls::delete(&eks, &inner.cluster, self.wanted.name).await
        }
        .boxed()
    }
}

enum Act {
    Create { version: String, role: Option<String> },
    Update { version: Option<String>, role: Option<String> },
    Mark { arn: String },
    Remove,
}

/// Makes, changes or removes the addon. Each is one call, and what comes of it is seen by the next look.
struct AddonStep {
    inner: Arc<Inner>,
    wanted: Wanted,
    lately: Lately,
    last: LastUpdate,
    act: Act,
}

impl Step for AddonStep {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let Self { inner, wanted, lately, last, act } = *self;
            let eks = client(&inner.session, &cx.flow).await?;
            let shape = |version, role| Shape {
                cluster: &inner.cluster,
                wanted: &wanted,
                version,
                role,
                tags: &inner.tags,
            };
            match act {
                Act::Create { version, role } => {
                    let version = Some(version).filter(|version| !version.is_empty());
                    let attempted = format!("make the EKS addon {}", wanted.name);
                    let shape = shape(version, role);
                    cx.flow.retry(UNTIL_HEARD, &attempted, || calls::create(&eks, &shape)).await?;
                    lately.made(wanted.name);
                    Ok(())
                }
                Act::Update { version, role } => {
                    let attempted = format!("change the EKS addon {}", wanted.name);
                    let shape = shape(version, role);
                    let begun =
                        cx.flow.retry(UNTIL_HEARD, &attempted, || calls::update(&eks, &shape)).await?;
                    last.began(begun.as_ref());
                    Ok(())
                }
                Act::Mark { arn } => calls::mark(&eks, &arn, &inner.tags).await,
                Act::Remove => {
                    lately.removed(wanted.name);
                    calls::delete(&eks, &inner.cluster, wanted.name).await
                }
            }
        }
        .boxed()
    }
}
