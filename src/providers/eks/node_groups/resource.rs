use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use tokio::sync::OnceCell;

use super::calls;
use super::difference::{Update, Verdict, is_named_after, judge};
use super::fates::Fates;
use super::id_of;
use super::live::{Live, Status};
use super::machines::{Catalogue, cannot_make};
use super::quota;
use super::releases::Releases;
use super::step::{Act, Claim, GroupStep};
use super::wanted::Wanted;
use crate::base::{Change, ChangeKind, Conflict, Fault, FaultKind, Guard, Note, Owner, ResourceId};
use crate::clouds::aws::Session;
use crate::engine::{Cx, Need, Outputs, Resource, Seen, State};
use crate::flow::Flow;
use crate::k8s::Hub;
use crate::profile::schema::EksCluster;
use crate::profile::{Environment, NodeGroup};
use crate::providers::eks::cluster::ENDPOINT;
use crate::providers::eks::lately::Lately;
use crate::providers::eks::updates::LastUpdate;
use crate::providers::eks::{Around, PAUSES, client, made_anew, outputs};

/// How often a group that could not be deleted is deleted again in one run.
const MOST_INSISTED: u32 = 2;

/// What all node groups of an environment share.
pub(super) struct Inner {
    pub session: Arc<Session>,
    pub hub: Arc<Hub>,
    pub cluster: String,
    pub owner: Owner,
    /// Which of them came to nothing in this run.
    pub fates: Arc<Fates>,
    environment: Environment,
    names_version: bool,
    catalogue: Catalogue,
    /// The names of all groups of the cluster, listed once in a run by all who only look.
    names: OnceCell<Vec<String>>,
    pub images: Images,
    /// What AWS has newer, asked once in a run.
    pub releases: OnceCell<Releases>,
}

/// What is done about newer machine images.
#[derive(Debug, Clone, Copy)]
pub(super) struct Images {
    /// Whether nodes get them.
    pub follows: bool,
    /// Whether AWS is asked for them.
    pub asks: bool,
}

impl Inner {
    pub fn new(
        environment: &Environment,
        spec: &EksCluster,
        images: Images,
        fates: &Arc<Fates>,
        session: &Arc<Session>,
        hub: &Arc<Hub>,
    ) -> Arc<Self> {
        Arc::new(Self {
            session: Arc::clone(session),
            hub: Arc::clone(hub),
            fates: Arc::clone(fates),
            cluster: environment.name.clone(),
            owner: environment.owner.clone(),
            names_version: spec.version.is_some(),
            catalogue: Catalogue::of(&environment.node_groups),
            environment: environment.clone(),
            names: OnceCell::new(),
            images,
            releases: OnceCell::new(),
        })
    }

    /// The names of all groups of the cluster: as they were when this run looked first, or `afresh`.
    pub async fn names(&self, afresh: bool, flow: &Flow) -> Result<Vec<String>, Fault> {
        let list = || async { calls::names(&client(&self.session, flow).await?, &self.cluster).await };
        if afresh { list().await } else { self.names.get_or_try_init(list).await.cloned() }
    }

    /// The groups with these names that there are.
    pub async fn lives(&self, names: &[&String], flow: &Flow) -> Result<Vec<Live>, Fault> {
        let eks = client(&self.session, flow).await?;
        let asked = names.iter().map(|name| calls::describe(&eks, &self.cluster, name));
        Ok(try_join_all(asked).await?.into_iter().flatten().collect())
    }
}

/// A node group of the profile: one group of AWS, and while it is replaced two.
pub struct NodeGroupResource {
    id: ResourceId,
    around: Around,
    pub(super) group: NodeGroup,
    pub(super) inner: Arc<Inner>,
    /// Whether this run changed something about it: then lists of before say nothing.
    changed: Arc<AtomicBool>,
    /// What this run made of it.
    pub(super) lately: Lately,
    pub(super) last: LastUpdate,
    pub(super) looks: AtomicU32,
    /// Whether no other run of berth is at work in the cluster, as far as can be known.
    claimed: Arc<AtomicBool>,
    /// How often this run asked for the removal of one that could not be deleted.
    insisted: AtomicU32,
}

impl NodeGroupResource {
    pub(super) fn new(group: &NodeGroup, around: &Around, inner: &Arc<Inner>) -> Self {
        Self {
            id: id_of(&group.name),
            around: around.clone(),
            group: group.clone(),
            inner: Arc::clone(inner),
            changed: Arc::default(),
            lately: Lately::default(),
            last: LastUpdate::default(),
            looks: AtomicU32::new(0),
            claimed: Arc::default(),
            insisted: AtomicU32::new(0),
        }
    }

    pub(super) fn subject(name: &str) -> String {
        format!("node group {name}")
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let inner = &self.inner;
        let wanted = Wanted::of(&inner.environment, &self.group, inner.names_version, &cx.outputs);
        if !cx.outputs.has(ENDPOINT) {
            // There is no cluster that could have it, or none yet; whether its machines are to be had is told all the
            // same, before anything is made.
            return self.to_make(&wanted, wanted.name.clone(), &[], cx).await;
        }
        let afresh = self.changed.load(Ordering::Relaxed);
        let names = inner.names(afresh, &cx.flow).await?;
        let named: Vec<&String> = names.iter().filter(|name| self.is_mine(name)).collect();
        let mut lives = inner.lives(&named, &cx.flow).await?;
        if let Some(seen) = self.foreign(&mut lives, &wanted) {
            return Ok(seen);
        }
        match judge(&wanted, &lives) {
            Verdict::Make(_) if !lives.is_empty() => Ok(self.going(&lives[0], cx)),
            Verdict::Make(name) | Verdict::Replace(name, _) if self.lately.may_hide(&name) => {
                Ok(Seen::new(State::Progressing(format!("{name}: made, and EKS does not show it yet"))))
            }
            Verdict::Make(name) => self.to_make(&wanted, name, &lives, cx).await,
            Verdict::Replace(name, fields) => {
                let seen = self.to_make(&wanted, name.clone(), &lives, cx).await?;
                let old: Vec<&str> = lives.iter().map(|live| live.name.as_str()).collect();
                let why = format!("by {name}, which is made first; then {} goes", old.join(" and "));
                let change = Change::new(ChangeKind::Replace, Self::subject(&self.group.name))
                    .fields(fields)
                    .because(why);
                Ok(Seen { state: State::Ready, changes: vec![change], ..seen })
            }
            Verdict::Stands(index) => {
                let live = lives.remove(index);
                Box::pin(self.standing(live, lives, wanted, cx)).await
            }
        }
    }

    /// The only group of this name is being deleted: it is made anew once that is gone, unless another run of berth is
    /// at it, who holds the courtesy lock in the cluster.
    fn going(&self, live: &Live, cx: &Cx) -> Seen {
        let mut seen = Seen::new(State::Progressing(format!("{}: {}", live.name, live.told())));
        seen.changes = vec![made_anew(Self::subject(&self.group.name))];
        let hub = &self.inner.hub;
        let is_reached = cx.outputs.cluster_access().is_some() || hub.is_connected();
        if is_reached && !self.claimed.load(Ordering::Relaxed) {
            seen.step = Some(Box::new(Claim { hub: Arc::clone(hub), claimed: Arc::clone(&self.claimed) }));
        }
        seen
    }

    /// Whether a group of AWS with this name can be this one, and none of the others of the profile.
    fn is_mine(&self, name: &str) -> bool {
        let is_other = |group: &NodeGroup| group.name == name && group.name != self.group.name;
        is_named_after(name, &self.group.name) && !self.inner.environment.node_groups.iter().any(is_other)
    }

    /// A group of this name that carries another mark, or none.
    fn foreign(&self, lives: &mut Vec<Live>, wanted: &Wanted) -> Option<Seen> {
        let owner = &self.inner.owner;
        if self.inner.hub.settings().adopt && lives.iter().any(|live| !live.is_of(owner)) {
            let live = lives.iter().find(|live| live.name == wanted.name && !live.is_of(owner))?.clone();
            let change =
                Change::new(ChangeKind::Adopt, Self::subject(&live.name)).because("somebody else made it");
            let step = self.step(Act::Update(Box::new((live, wanted.clone(), Update::Tags))));
            return Some(Seen::new(State::Ready).to_change(vec![change], step));
        }
        let taken = lives.iter().any(|live| live.name == wanted.name && !live.is_of(owner));
        lives.retain(|live| live.is_of(owner));
        if !taken || !lives.is_empty() {
            return None;
        }
        let conflict = Conflict::new(
            "a node group of this name is there, and berth did not make it",
            "take it over with `--adopt`, or give the one of the profile another `name`",
        );
        let mut seen = Seen::new(State::Absent);
        seen.changes = vec![conflict.guarded(Guard::Adopt).of(Self::subject(&wanted.name))];
        Some(seen)
    }

    /// A group that is to be made in the place of `others`, once it is known that its machines are to be had.
    async fn to_make(&self, wanted: &Wanted, name: String, others: &[Live], cx: &Cx) -> Result<Seen, Fault> {
        let aws = self.inner.session.open(&cx.flow).await?;
        let machines = self.inner.catalogue.machines(&wanted.machines, &aws, &cx.flow).await?;
        let ami_type = machines.ami_type(&self.group, &wanted.machines)?;
        let subnets = wanted.subnets(machines);
        if !wanted.can_be_had(machines) {
            let zones: Vec<&str> = wanted.zones.iter().map(String::as_str).collect();
            let zones =
                if zones.is_empty() { "the zones of the network".to_string() } else { zones.join(", ") };
            let why = format!("{} are not to be had in {zones}", wanted.machines.join(" and "));
            return Err(cannot_make(&self.group, why).hint("choose another machine type, or other `zones`"));
        }
        let note = self.quota(wanted, machines.vcpus(&wanted.machines), cx).await?;
        let change = Change::new(ChangeKind::Create, Self::subject(&name)).because(wanted.outline());
        // Those of another one need as many nodes as they have.
        let has = others.iter().map(|other| other.desired).max().unwrap_or(wanted.min);
        let desired = has.clamp(wanted.min, wanted.max);
        let act = Act::Make { name, wanted: Box::new(wanted.clone()), ami_type, subnets, desired };
        let mut seen = Seen::new(State::Absent).to_change(vec![change], self.step(act));
        seen.notes.extend(note);
        Ok(seen)
    }

    async fn quota(&self, wanted: &Wanted, vcpus: u32, cx: &Cx) -> Result<Option<Note>, Fault> {
        if self.group.resources.gpus == 0 {
            return Ok(None);
        }
        let need = quota::Need {
            group: &wanted.name,
            machine: &self.group.machine,
            spot: wanted.spot,
            vcpus,
            min: wanted.min,
            max: wanted.max,
        };
        let aws = self.inner.session.open(&cx.flow).await?;
        quota::check(&need, &aws, &cx.flow).await
    }

    pub(super) fn step(&self, act: Act) -> GroupStep {
        GroupStep {
            inner: Arc::clone(&self.inner),
            changed: Arc::clone(&self.changed),
            lately: self.lately.clone(),
            last: self.last.clone(),
            act,
        }
    }
}

/// Counts how often a group is to be deleted that could not be, and fails once that was often enough.
pub(super) fn insist(live: &Live, insisted: &AtomicU32) -> Result<(), Fault> {
    let has_failed = live.status == Status::DeleteFailed;
    if has_failed && insisted.fetch_add(1, Ordering::Relaxed) >= MOST_INSISTED {
        let attempted = format!("delete node group {}", live.name);
        return Err(Fault::new(FaultKind::Conflict, attempted, live.told())
            .hint("remove what is in the way, then run the same command again"));
    }
    Ok(())
}

impl Resource for NodeGroupResource {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        let Around { network, cluster, .. } = &self.around;
        let role = Need::Output { from: network.clone(), key: outputs::ROLE_NODE };
        vec![role, Need::Ready(network.clone()), Need::Ready(cluster.clone())]
    }

    fn outline(&self) -> String {
        let outputs = Outputs::default();
        Wanted::of(&self.inner.environment, &self.group, self.inner.names_version, &outputs).outline()
    }

    fn looks_alone(&self) -> bool {
        true
    }

    fn beside(&self) -> Option<&ResourceId> {
        Some(&self.around.cluster)
    }

    fn pauses(&self) -> (Duration, Duration) {
        PAUSES
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            let seen = self.look(cx).await;
            let has_failed = match &seen {
                Ok(seen) => seen.step.is_none() && matches!(seen.state, State::Broken(_)),
                Err(fault) => !fault.is_retryable(),
            };
            self.inner.fates.tell(&self.group.name, has_failed);
            seen
        }
        .boxed()
    }

    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            self.changed.store(true, Ordering::Relaxed);
            let names = self.inner.names(true, &cx.flow).await?;
            let named: Vec<&String> = names.iter().filter(|name| self.is_mine(name)).collect();
            let eks = client(&self.inner.session, &cx.flow).await?;
            for live in self.inner.lives(&named, &cx.flow).await? {
                if live.is_of(&self.inner.owner) && live.status != Status::Deleting {
                    insist(&live, &self.insisted)?;
                    calls::delete(&eks, &self.inner.cluster, &live.name).await?;
                }
            }
            Ok(())
        }
        .boxed()
    }
}
