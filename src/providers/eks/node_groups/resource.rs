use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use tokio::sync::OnceCell;

use super::calls;
use super::difference::{Difference, Update, Verdict, diff, field, is_named_after, judge};
use super::live::{Live, Status};
use super::machines::Catalogue;
use super::quota;
use super::releases::Releases;
use super::step::{Act, GroupStep};
use super::wanted::Wanted;
use crate::base::{Change, ChangeKind, Fault, FaultKind, Note, Owner, ResourceId};
use crate::clouds::aws::Session;
use crate::engine::{Cx, Need, Outputs, Resource, Seen, State};
use crate::flow::Flow;
use crate::k8s::Hub;
use crate::profile::schema::EksCluster;
use crate::profile::{Environment, NodeGroup};
use crate::providers::eks::cluster::{ENDPOINT, VERSION};
use crate::providers::eks::lately::Lately;
use crate::providers::eks::updates::LastUpdate;
use crate::providers::eks::{Around, PAUSES, client, outputs};

/// How often a group that could not be deleted is deleted again in one run.
const MOST_INSISTED: u32 = 2;
/// How many looks at a group whose machines do not come go by between two questions why.
const LOOKS_BEFORE_ASKING: u32 = 4;

/// What all node groups of an environment share.
pub(super) struct Inner {
    pub session: Arc<Session>,
    pub hub: Arc<Hub>,
    pub cluster: String,
    pub owner: Owner,
    environment: Environment,
    names_version: bool,
    catalogue: Catalogue,
    /// The names of all groups of the cluster, listed once in a run by all who only look.
    names: OnceCell<Vec<String>>,
    images: Images,
    /// What AWS has newer, asked once in a run.
    releases: OnceCell<Releases>,
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
        session: &Arc<Session>,
        hub: &Arc<Hub>,
    ) -> Arc<Self> {
        Arc::new(Self {
            session: Arc::clone(session),
            hub: Arc::clone(hub),
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
    group: NodeGroup,
    inner: Arc<Inner>,
    /// Whether this run changed something about it: then lists of before say nothing.
    changed: Arc<AtomicBool>,
    /// What this run made of it.
    lately: Lately,
    last: LastUpdate,
    looks: AtomicU32,
    /// How often this run asked for the removal of one that could not be deleted.
    insisted: AtomicU32,
}

impl NodeGroupResource {
    pub(super) fn new(group: &NodeGroup, around: &Around, inner: &Arc<Inner>) -> Self {
        Self {
            id: ResourceId::new(format!("node-group/{}", group.name)),
            around: around.clone(),
            group: group.clone(),
            inner: Arc::clone(inner),
            changed: Arc::default(),
            lately: Lately::default(),
            last: LastUpdate::default(),
            looks: AtomicU32::new(0),
            insisted: AtomicU32::new(0),
        }
    }

    fn subject(name: &str) -> String {
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
            Verdict::Make(_) if !lives.is_empty() => {
                Ok(Seen::new(State::Progressing(format!("{}: {}", lives[0].name, lives[0].told()))))
            }
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
        let reason = "a node group of this name is there, and berth did not make it; take it over with `--adopt`, or \
                      give the one of the profile another `name`";
        let mut seen = Seen::new(State::Absent);
        seen.changes = vec![Change::new(ChangeKind::Conflict, Self::subject(&wanted.name)).because(reason)];
        Some(seen)
    }

    /// A group that is to be made in the place of `others`, once it is known that its machines are to be had.
    async fn to_make(&self, wanted: &Wanted, name: String, others: &[Live], cx: &Cx) -> Result<Seen, Fault> {
        let aws = self.inner.session.open(&cx.flow).await?;
        let machines = self.inner.catalogue.machines(&aws, &cx.flow).await?;
        let refused = |why: String| {
            let (why, hint) = why.rsplit_once("; ").map_or((why.as_str(), ""), |(why, hint)| (why, hint));
            Fault::new(FaultKind::Invalid, format!("make node group {}", self.group.name), why).hint(hint)
        };
        let ami_type = machines.ami_type(&self.group, &wanted.machines).map_err(refused)?;
        let subnets = wanted.subnets(machines);
        if !wanted.can_be_had(machines) {
            let zones: Vec<&str> = wanted.zones.iter().map(String::as_str).collect();
            let zones =
                if zones.is_empty() { "the zones of the network".to_string() } else { zones.join(", ") };
            return Err(refused(format!(
                "{} are not to be had in {zones}; choose another machine type, or other `zones`",
                wanted.machines.join(" and ")
            )));
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

    /// A group that fits, and those that it takes the place of.
    async fn standing(&self, live: Live, others: Vec<Live>, wanted: Wanted, cx: &Cx) -> Result<Seen, Fault> {
        let name = live.name.clone();
        match &live.status {
            Status::CreateFailed | Status::DeleteFailed => {
                let why = live.told();
                if self.lately.was_made(&name) && live.status == Status::CreateFailed {
                    return Ok(Seen { more_to_remove: true, ..Seen::new(State::Broken(why)) });
                }
                let change = Change::new(ChangeKind::Replace, Self::subject(&name)).because(why.clone());
                let step = self.step(Act::Remove(name));
                let seen = Seen::new(State::Broken(why)).to_change(vec![change], step);
                return Ok(Seen { more_to_remove: true, ..seen });
            }
            Status::Creating | Status::Updating | Status::Other(_) => {
                let mut seen =
                    Seen::new(State::Progressing(format!("{name}: {}", self.told(&live, cx).await)));
                seen.changes = leaving(&others, &name);
                return Ok(seen);
            }
            Status::Active | Status::Degraded | Status::Deleting => {}
        }
        let mut found = diff(&wanted, &live);
        let mut seen = Seen::new(State::Ready);
        seen.notes.extend(self.newer_release(&live, &mut found, cx).await?);
        let warning = |issue: &String| Note::new("warning", format!("{}: {issue}", Self::subject(&name)));
        seen.notes.extend(live.issues.iter().map(warning));
        let mut changes = Vec::new();
        if !found.fields.is_empty() {
            changes.push(Change::new(ChangeKind::Update, Self::subject(&name)).fields(found.fields));
        }
        changes.extend(leaving(&others, &name));
        seen.changes = changes;
        if let Some(Update::Hints(mark)) = found.updates.first()
            && self.lately.may_hide(mark)
        {
            let told = format!("{name}: the autoscaler was told, and EKS does not show it yet");
            return Ok(Seen::new(State::Progressing(told)));
        }
        seen.step = if let Some(update) = found.updates.into_iter().next() {
            let eks = client(&self.inner.session, &cx.flow).await?;
            self.last.check(&eks, &self.inner.cluster, Some(&name)).await?;
            Some(Box::new(self.step(Act::Update(Box::new((live, wanted, update))))))
        } else {
            let (going, staying): (Vec<Live>, Vec<Live>) =
                others.into_iter().partition(|other| other.status == Status::Deleting);
            match (staying.into_iter().next(), going.first()) {
                (Some(old), _) => {
                    if let Some(why) = self.not_ready_yet(&live, cx).await? {
                        seen.state = State::Progressing(why);
                        return Ok(seen);
                    }
                    Some(Box::new(self.step(Act::Retire(old.name))))
                }
                (None, Some(going)) => {
                    seen.changes.clear();
                    seen.state = State::Progressing(format!("{}: {}", going.name, going.told()));
                    None
                }
                (None, None) => None,
            }
        };
        Ok(seen)
    }

    /// A newer machine image: what is told of it, or else it is one of the changes.
    async fn newer_release(
        &self,
        live: &Live,
        found: &mut Difference,
        cx: &Cx,
    ) -> Result<Option<Note>, Fault> {
        let Some(minor) = cx.outputs.text(VERSION).filter(|_| self.inner.images.asks) else {
            return Ok(None);
        };
        let aws = self.inner.session.open(&cx.flow).await?;
        let releases = self.inner.releases.get_or_init(|| Releases::ask(&aws, minor, &cx.flow)).await;
        let subject = Self::subject(&live.name);
        if let Some(why) = &releases.unknown {
            let text = format!("{subject}: whether there is a newer machine image is not known: {why}");
            return Ok(Some(Note::new("warning", text)));
        }
        let Some(newest) = releases.newer(live) else { return Ok(None) };
        if !self.inner.images.follows {
            let text = format!(
                "{subject}: release {} -> {newest}; with `newestImages: true` under `cluster.eks`, `up` takes it",
                live.release
            );
            return Ok(Some(Note::new("newer", text)));
        }
        found.fields.push(field("release", &live.release, newest));
        found.updates.push(Update::Release(newest.to_string()));
        Ok(None)
    }

    /// Why pods cannot move to the nodes of a new group yet.
    async fn not_ready_yet(&self, live: &Live, cx: &Cx) -> Result<Option<String>, Fault> {
        // It is begun before the way in is open, and does not hear of it: but the connection is that of the whole run.
        match cx.outputs.cluster_access() {
            Some(access) => self.inner.hub.connect(access).await?,
            None if self.inner.hub.is_connected() => {}
            None => return Ok(Some(format!("{}: the way to its nodes is not open yet", live.name))),
        }
        let ready = super::nodes::ready_in_group(&self.inner.hub, &live.name, &cx.flow).await?;
        let wanted = live.desired as usize;
        Ok((ready < wanted).then(|| format!("{}: {ready} of {wanted} nodes ready", live.name)))
    }

    /// How far a group is, and now and then why its machines do not come: EKS itself says so after half an hour.
    async fn told(&self, live: &Live, cx: &Cx) -> String {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        let asks = live.issues.is_empty() && looks % LOOKS_BEFORE_ASKING == LOOKS_BEFORE_ASKING - 1;
        if let (true, Some(group)) = (asks, live.scaling_groups.first())
            && let Ok(aws) = self.inner.session.open(&cx.flow).await
            && let Some(why) = calls::why_no_machines(&aws, group, &cx.flow).await
        {
            return format!("{}: {why}", live.told());
        }
        live.told()
    }

    fn step(&self, act: Act) -> GroupStep {
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

/// The changes of the groups that `name` takes the place of.
fn leaving(others: &[Live], name: &str) -> Vec<Change> {
    let change = |other: &Live| {
        Change::new(ChangeKind::Delete, NodeGroupResource::subject(&other.name))
            .because(format!("{name} takes its place"))
    };
    others.iter().map(change).collect()
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

    fn pauses(&self) -> (Duration, Duration) {
        PAUSES
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        self.look(cx).boxed()
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
