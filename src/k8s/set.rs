use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};

use super::assess::{Assessment, by_key, compare_one, part_with, removal_order};
use super::finish::finish;
use super::hub::Hub;
use super::live::Live;
use super::object::{Kind, Object, Wave};
use super::offers::Offers;
use super::ready::{Progress, Readiness};
use super::records::connect;
use super::yields::left_to_others;
use crate::base::{Fault, Note, ResourceId, label};
use crate::engine::{Cx, Need, Outputs, Resource, Seen, State, Step};
use crate::flow::{Flow, Tally};

/// Up to this many objects of a kind are looked up one by one before the first apply; more than
/// that are worth one metadata-only LIST of the kind.
const LOOKED_UP_SINGLY: usize = 8;

/// Objects that belong together: an addon, or all tenants.
#[derive(Clone)]
pub struct ObjectSet {
    /// The value of the label `berth.dev/set`.
    pub name: String,
    /// The objects, without owner marks.
    pub objects: Vec<Object>,
    /// What happens to objects that are no longer in the set.
    pub leaving: Leaving,
    /// When the objects count as ready.
    pub readiness: Readiness,
    /// What the user should know besides.
    pub notes: Vec<Note>,
    /// What it is made of, in a few words: `7 objects`.
    pub outline: String,
    /// The object, as `KIND NAME`, that says that somebody else does already what the set is for.
    pub yields_to: Option<String>,
    /// What nodes offer once it works.
    pub offers: Option<Offers>,
    /// What others, or the user, may need of it once it stands.
    pub outputs: fn(&[Arc<Live>]) -> Outputs,
}

/// What happens to an object that is no longer wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// It goes.
    Everything,
    /// In a namespace that left the profile only role bindings go: the guards stay until the
    /// namespace goes.
    AccessOnly,
}

/// An object set as a resource of the engine.
pub struct SetResource {
    id: ResourceId,
    needs: Vec<Need>,
    hub: Arc<Hub>,
    /// The set; its objects moved into `wanted`.
    set: ObjectSet,
    /// The objects as they are sent, with their marks.
    wanted: Vec<Arc<Object>>,
    /// Whether this run takes it away: then only what is ours and still there counts.
    going: AtomicBool,
}

impl SetResource {
    /// `set` in the hub's cluster, under the name `id`.
    pub fn new(id: ResourceId, needs: Vec<Need>, hub: Arc<Hub>, mut set: ObjectSet) -> Self {
        let owner = &hub.settings().owner;
        let objects = std::mem::take(&mut set.objects).into_iter();
        let wanted = objects.map(|object| Arc::new(finish(object, owner, &set.name))).collect();
        Self { id, needs, hub, set, wanted, going: AtomicBool::new(false) }
    }

    async fn look(&self, flow: &Flow) -> Result<Assessment, Fault> {
        let settings = self.hub.settings();
        let wanted = &self.wanted;
        let listed = list_ours(&self.hub, wanted.iter().map(|object| &object.kind), flow).await?;
        let live_of =
            |object: &Object| listed.get(&object.kind)?.get(&(object.namespace.clone(), object.name.clone()));
        let homes: BTreeMap<&str, Option<&Arc<Live>>> = wanted
            .iter()
            .filter(|object| object.kind.kind == "Namespace")
            .map(|namespace| (namespace.name.as_str(), live_of(namespace)))
            .collect();
        // What is in a namespace that goes, goes too, and nothing can be made there; the same is
        // true of what was listed a moment before its namespace was gone.
        let is_lost = |object: &&Arc<Object>| {
            let home = object.namespace.as_deref().and_then(|home| homes.get(home));
            match home {
                Some(Some(namespace)) => namespace.going,
                Some(None) => live_of(object).is_some(),
                None => false,
            }
        };
        let (going, wanted_now): (Vec<_>, Vec<_>) = wanted.iter().partition(is_lost);
        let missing: Vec<&Object> =
            wanted_now.iter().filter(|object| live_of(object).is_none()).map(|object| &***object).collect();
        let taken = taken_addresses(&self.hub, &missing, flow).await?;
        let mut found = Assessment::default();
        found.going.extend(going.into_iter().filter_map(|object| live_of(object)).cloned());
        for object in wanted_now {
            let is_taken = taken.contains(&object.title());
            compare_one(object, live_of(object), is_taken, settings, &mut found);
        }
        let ours =
            |live: &Arc<Live>| live.label(label::SET) == Some(&self.set.name) && live.is_of(&settings.owner);
        found.stands = listed.values().flat_map(BTreeMap::values).any(ours);
        let namespaces: BTreeSet<String> = homes.into_keys().map(str::to_string).collect();
        let leaving = self.leaving(listed);
        part_with(&leaving, &namespaces, self.set.leaving, &why_it_leaves, settings, &mut found);
        found.notes.extend(self.set.notes.iter().cloned());
        Ok(found)
    }

    /// The live objects of this set that berth made.
    async fn ours(&self, flow: &Flow) -> Result<Vec<Arc<Live>>, Fault> {
        let kinds = self.wanted.iter().map(|object| &object.kind);
        let listed = list_ours(&self.hub, kinds, flow).await?;
        let lives = listed.into_values().flat_map(BTreeMap::into_values);
        let owner = &self.hub.settings().owner;
        Ok(lives.filter(|live| live.label(label::SET) == Some(&self.set.name) && live.is_of(owner)).collect())
    }

    /// How far the removal is: what somebody else made is not in its way.
    async fn what_is_left(&self, flow: &Flow) -> Result<State, Fault> {
        self.hub.forget_owned();
        Ok(match self.ours(flow).await?.as_slice() {
            [] => State::Absent,
            [first] => State::Progressing(format!("{} is going", first.title())),
            [first, rest @ ..] => {
                State::Progressing(format!("{} and {} more objects are going", first.title(), rest.len()))
            }
        })
    }

    /// The live objects of this set that are wanted no more.
    fn leaving(&self, listed: BTreeMap<Kind, BTreeMap<super::live::Key, Arc<Live>>>) -> Vec<Arc<Live>> {
        let addresses: BTreeSet<(&Kind, Option<&str>, &str)> = self
            .wanted
            .iter()
            .map(|object| (&object.kind, object.namespace.as_deref(), object.name.as_str()))
            .collect();
        listed
            .into_values()
            .flat_map(BTreeMap::into_values)
            .filter(|live| {
                live.label(label::SET) == Some(&self.set.name)
                    && live.is_of(&self.hub.settings().owner)
                    && !addresses.contains(&(&live.kind, live.namespace.as_deref(), live.name.as_str()))
            })
            .collect()
    }

    fn seen(&self, found: Assessment) -> Seen {
        let conflict = {
            let conflicts: Vec<String> = found
                .conflicts()
                .map(|change| format!("{}: {}", change.subject, change.reason.as_deref().unwrap_or_default()))
                .collect();
            (!conflicts.is_empty()).then(|| conflicts.join("; "))
        };
        let state = match conflict {
            _ if !found.stands => State::Absent,
            Some(reason) => State::Broken(reason),
            None => self.progress(&found),
        };
        let blocked = found.conflicts().next().is_some();
        let mut seen = Seen::new(state);
        seen.outputs = (self.set.outputs)(&found.standing);
        seen.notes = found.notes;
        seen.changes = found.changes;
        let differs = !found.apply.is_empty() || !found.remove.is_empty();
        if differs && !blocked {
            seen.step = Some(Box::new(SetStep {
                hub: Arc::clone(&self.hub),
                apply: found.apply,
                remove: found.remove,
            }));
        }
        seen
    }

    /// How far the standing objects are. What is not ready is looked at afresh next time.
    fn progress(&self, found: &Assessment) -> State {
        let mut waiting: Vec<String> = Vec::new();
        if !found.going.is_empty() {
            // A namespace takes along what it holds, of every kind, ours or not.
            self.hub.forget_owned();
            self.hub.forget_present();
        }
        waiting.extend(found.going.iter().map(|live| format!("{}: going away", live.title())));
        for live in &found.standing {
            match self.set.readiness.of(live) {
                Progress::Ready => {}
                Progress::NotYet(why) => {
                    self.hub.forget(&live.kind);
                    waiting.push(format!("{}: {why}", live.title()));
                }
                Progress::Failed(why) => return State::Broken(format!("{}: {why}", live.title())),
            }
        }
        let total = found.standing.len();
        match waiting.first() {
            None => State::Ready,
            Some(first) => {
                let ready = (total + found.going.len()).saturating_sub(waiting.len());
                State::Progressing(format!("{ready} of {total} objects ready, {first}"))
            }
        }
    }
}

impl Resource for SetResource {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        self.needs.clone()
    }

    fn outline(&self) -> String {
        self.set.outline.clone()
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            connect(&self.hub, cx).await?;
            if self.going.load(Ordering::Relaxed) {
                return Ok(Seen::new(self.what_is_left(&cx.flow).await?));
            }
            let found = self.look(&cx.flow).await?;
            if let Some(title) = self.set.yields_to.as_deref().filter(|_| !found.stands) {
                let others = left_to_others(&self.hub, &self.set.name, title, &self.wanted, &cx.flow).await?;
                if let Some(seen) = others {
                    return Ok(seen);
                }
            }
            let mut seen = self.seen(found);
            if let (State::Ready, Some(offers)) = (&seen.state, &self.set.offers)
                && let Some(missing) = offers.missing(&self.hub, &cx.flow).await?
            {
                seen.state = State::Progressing(missing);
            }
            Ok(seen)
        }
        .boxed()
    }

    /// Removes every object of the set, namespaces with all in them.
    ///
    /// If this dies half way, what is left still carries its mark, and the next run goes on.
    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            self.going.store(true, Ordering::Relaxed);
            let ours = self.ours(&cx.flow).await?;
            remove_all(&self.hub, ours, &cx.flow).await
        }
        .boxed()
    }
}

/// Removes `ours` in order; what lies in a namespace that goes, goes with it.
pub(super) async fn remove_all(hub: &Hub, ours: Vec<Arc<Live>>, flow: &Flow) -> Result<(), Fault> {
    let kinds: BTreeSet<Kind> = ours.iter().map(|live| live.kind.clone()).collect();
    let going: BTreeSet<String> =
        ours.iter().filter(|live| live.kind.kind == "Namespace").map(|live| live.name.clone()).collect();
    let singly = ours
        .into_iter()
        .filter(|live| {
            !live.going
                && (live.kind.kind == "RoleBinding"
                    || live.namespace.as_ref().is_none_or(|home| !going.contains(home)))
        })
        .collect();
    remove_in_order(hub, singly, flow).await?;
    for kind in kinds {
        hub.forget(&kind);
    }
    Ok(())
}

/// The labelled live objects of the kinds that are wanted now or were ever used, by kind.
pub(super) async fn list_ours(
    hub: &Hub,
    wanted: impl Iterator<Item = &Kind>,
    flow: &Flow,
) -> Result<BTreeMap<Kind, BTreeMap<super::live::Key, Arc<Live>>>, Fault> {
    let mut kinds: BTreeSet<Kind> = hub.recorded_kinds(flow).await?.clone();
    kinds.extend(hub.settings().kinds.iter().cloned());
    kinds.extend(wanted.cloned());
    let lists = kinds.iter().map(|kind| hub.list_owned(kind, flow));
    let lists = try_join_all(lists).await?;
    Ok(kinds.iter().cloned().zip(lists.into_iter().map(by_key)).collect())
}

/// The titles of those of `missing` whose address is taken by an object without our label.
pub(super) async fn taken_addresses(
    hub: &Hub,
    missing: &[&Object],
    flow: &Flow,
) -> Result<BTreeSet<String>, Fault> {
    let mut taken = BTreeSet::new();
    if missing.is_empty() {
        return Ok(taken);
    }
    let namespace_kind = super::known_kind("v1", "Namespace").expect("namespaces are built in");
    let namespaces = hub.present(&namespace_kind, flow).await?;
    let mut by_kind: BTreeMap<&Kind, Vec<&Object>> = BTreeMap::new();
    for object in missing {
        // Kubernetes itself makes this one in every namespace: that it is there says nothing.
        if object.kind.kind == "ServiceAccount" && object.name == "default" {
            continue;
        }
        let home_exists =
            object.namespace.as_ref().is_none_or(|home| namespaces.contains(&(None, home.clone())));
        if home_exists {
            by_kind.entry(&object.kind).or_default().push(object);
        }
    }
    let mut singly: Vec<&Object> = Vec::new();
    let mut listed: Vec<(&Kind, Vec<&Object>)> = Vec::new();
    for (kind, objects) in by_kind {
        if kind.namespaced && objects.len() <= LOOKED_UP_SINGLY {
            singly.extend(objects);
        } else {
            listed.push((kind, objects));
        }
    }
    let lists = try_join_all(listed.iter().map(|(kind, _)| hub.present(kind, flow))).await?;
    for ((_, objects), present) in listed.iter().zip(lists) {
        let there = objects
            .iter()
            .filter(|object| present.contains(&(object.namespace.clone(), object.name.clone())));
        taken.extend(there.map(|object| object.title()));
    }
    let found = try_join_all(singly.iter().map(|object| hub.exists(object, flow))).await?;
    taken.extend(singly.iter().zip(found).filter(|(_, found)| *found).map(|(object, _)| object.title()));
    Ok(taken)
}

fn why_it_leaves(live: &Live) -> String {
    match live.label(label::TENANT) {
        Some(tenant) => format!("no longer in the profile (tenant {tenant})"),
        None => "no longer in the profile".to_string(),
    }
}

/// Applies and removes objects of one set, wave by wave.
struct SetStep {
    hub: Arc<Hub>,
    apply: Vec<Arc<Object>>,
    remove: Vec<Arc<Live>>,
}

impl Step for SetStep {
    /// If this dies half way, each object is either as it was or as it should be, and carries its
    /// mark; the next run makes the rest.
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let Self { hub, apply, remove } = *self;
            let flow = &cx.flow;
            hub.forget_present();
            // Access is taken away before anything else changes.
            let (bindings, rest): (Vec<_>, Vec<_>) =
                remove.into_iter().partition(|live| live.kind.wave() == Wave::Bindings);
            remove_in_order(&hub, bindings, flow).await?;
            hub.open_for_writing(flow).await?;
            let mut tally = Tally::new(apply.len(), "objects accepted");
            let mut waves: BTreeMap<Wave, Vec<Arc<Object>>> = BTreeMap::new();
            for object in apply {
                waves.entry(object.kind.wave()).or_default().push(object);
            }
            for objects in waves.into_values() {
                flow.each(objects, hub.width(), &mut tally, |object| {
                    let hub = &hub;
                    async move { hub.send(&object, flow).await }
                })
                .await?;
            }
            remove_in_order(&hub, rest, flow).await
        }
        .boxed()
    }
}

/// Removes objects, group after group in the order of removal.
async fn remove_in_order(hub: &Hub, mut lives: Vec<Arc<Live>>, flow: &Flow) -> Result<(), Fault> {
    lives.sort_by_key(|live| removal_order(live));
    let mut tally = Tally::new(lives.len(), "objects removed");
    for group in lives.chunk_by(|one, other| removal_order(one) == removal_order(other)) {
        flow.each(
            group.to_vec(),
            hub.width(),
            &mut tally,
            |live| async move { hub.delete(&live, flow).await },
        )
        .await?;
    }
    Ok(())
}
