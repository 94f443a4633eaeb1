use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};

use super::assess::{Assessment, Parting, by_key, compare_one, part_with};
use super::finish::finish;
use super::held::{self, Gate};
use super::hub::Hub;
use super::live::{Key, Live};
use super::object::{Kind, Object, ObjectError, Served, Wave};
use super::offers::Offers;
use super::ready::{Progress, Readiness};
use super::reasons::Vain;
use super::records::connect;
use super::removal::{count_custom_resources, left, remove_due};
use super::step::{HeldStep, SetStep};
use super::taken::{refuse_second_defaults, taken_addresses};
use super::yields::left_to_others;
use crate::base::{Change, ChangeKind, Fault, FaultKind, Note, ResourceId, label};
use crate::engine::{Cx, Need, Outputs, Resource, Seen, State};
use crate::flow::Flow;

/// Objects that belong together: an addon, or all tenants.
#[derive(Clone)]
pub struct ObjectSet {
    /// The value of the label `berth.dev/set`.
    pub name: String,
    /// The objects, without owner marks.
    pub objects: Vec<Object>,
    /// What has to be ready before any of it is made, besides what every set comes behind.
    pub behind: Vec<ResourceId>,
    /// What it has besides, or otherwise, once something of the live world is known.
    pub late: Option<Late>,
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

/// Objects that follow from what a resource found in the live world.
#[derive(Clone)]
pub struct Late {
    /// The output that they follow from.
    pub key: &'static str,
    /// The objects, without owner marks, once that output is there, or why there is nothing right about the set
    /// there. One that the set has already takes its place.
    pub render: RenderLate,
}

/// Makes late objects of outputs.
pub type RenderLate = Arc<dyn Fn(&Outputs) -> Result<Vec<Object>, Fault> + Send + Sync>;

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
    /// Whether its custom resources were tried and not accepted yet.
    knocked: Arc<AtomicBool>,
    /// How often in a row its workloads were not ready.
    vain: Vain,
}

impl SetResource {
    /// `set` in the hub's cluster, under the name `id`, behind `needs` and what it declares itself.
    pub fn new(id: ResourceId, mut needs: Vec<Need>, hub: Arc<Hub>, mut set: ObjectSet) -> Self {
        needs.extend(set.behind.iter().cloned().map(Need::Ready));
        let owner = &hub.settings().owner;
        let objects = std::mem::take(&mut set.objects).into_iter();
        let wanted = objects.map(|object| Arc::new(finish(object, owner, &set.name))).collect();
        let (going, knocked) = (AtomicBool::new(false), Arc::default());
        Self { id, needs, hub, set, wanted, going, knocked, vain: Vain::default() }
    }

    async fn look(&self, outputs: &Outputs, flow: &Flow) -> Result<Assessment, Fault> {
        let settings = self.hub.settings();
        let mut found = Assessment::default();
        let all = self.all(outputs)?;
        let wanted = self.resolve(&all, &mut found, flow).await?;
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
        found.going.extend(going.into_iter().filter_map(|object| live_of(object)).cloned());
        for object in wanted_now {
            let is_taken = taken.contains(&object.title());
            compare_one(object, live_of(object), is_taken, settings, &mut found);
        }
        refuse_second_defaults(&self.hub, &mut found, flow).await?;
        let ours =
            |live: &Arc<Live>| live.label(label::SET) == Some(&self.set.name) && live.is_of(&settings.owner);
        found.stands = listed.values().flat_map(BTreeMap::values).any(ours);
        let wanted_namespaces: BTreeSet<String> = homes.into_keys().map(str::to_string).collect();
        // What it does not have yet for want of an output is not what has left it.
        let is_whole = self.set.late.as_ref().is_none_or(|late| outputs.has(late.key));
        let leaving = if is_whole { self.leaving(&all, listed) } else { Vec::new() };
        let counts = count_custom_resources(&self.hub, leaving.iter(), flow).await?;
        let parting = Parting {
            leaving: &leaving,
            wanted_namespaces: &wanted_namespaces,
            rule: self.set.leaving,
            why: why_it_leaves,
            counts: &counts,
        };
        part_with(&parting, settings, &mut found);
        found.notes.extend(self.set.notes.iter().cloned());
        found.reason = self.vain.explained(&self.hub, &found.standing, self.set.readiness, flow).await;
        self.hold_back(&mut found, flow).await?;
        Ok(found)
    }

    /// The wanted objects, with those that follow from `outputs`. The kinds of these are made known, so that
    /// they are recorded before the first of them is made.
    fn all(&self, outputs: &Outputs) -> Result<Vec<Arc<Object>>, Fault> {
        let mut all = self.wanted.clone();
        if let Some(late) = self.set.late.as_ref().filter(|late| outputs.has(late.key)) {
            let owner = &self.hub.settings().owner;
            for object in (late.render)(outputs)? {
                if object.kind.served.is_some() {
                    self.hub.take_up(object.kind.clone());
                }
                let object = Arc::new(finish(object, owner, &self.set.name));
                match all.iter_mut().find(|early| early.title() == object.title()) {
                    Some(early) => *early = object,
                    None => all.push(object),
                }
            }
        }
        Ok(all)
    }

    /// Those of `all` objects whose kinds are known, or that the API server serves. The others are told in
    /// `found`.
    async fn resolve(
        &self,
        all: &[Arc<Object>],
        found: &mut Assessment,
        flow: &Flow,
    ) -> Result<Vec<Arc<Object>>, Fault> {
        let unknown: BTreeSet<&Kind> =
            all.iter().map(|object| &object.kind).filter(|kind| kind.served.is_none()).collect();
        let asked = unknown.iter().map(|kind| self.hub.discover(kind, flow));
        let answers: BTreeMap<&Kind, Option<Served>> =
            unknown.iter().copied().zip(try_join_all(asked).await?).collect();
        let mut wanted = Vec::with_capacity(all.len());
        for object in all {
            match answers.get(&object.kind) {
                None => wanted.push(Arc::clone(object)),
                Some(Some(served)) => {
                    let settled = Object::clone(object).served_as(served.clone());
                    wanted.push(Arc::new(settled.map_err(|error| misplaced(object, &error))?));
                }
                Some(None) => {
                    let change = Change::new(ChangeKind::Create, object.title());
                    found.changes.push(change.because(held::undefined(&object.kind)));
                    found.unserved.push(Arc::clone(object));
                }
            }
        }
        Ok(wanted)
    }

    /// Takes the custom resources out of what is applied now, and asks whether they may be.
    async fn hold_back(&self, found: &mut Assessment, flow: &Flow) -> Result<(), Fault> {
        let (held, apply): (Vec<_>, Vec<_>) = std::mem::take(&mut found.apply)
            .into_iter()
            .partition(|object| object.kind.wave() == Wave::CustomResources);
        (found.held, found.apply) = (held, apply);
        if found.held.is_empty() || !found.apply.is_empty() || !found.remove.is_empty() {
            return Ok(());
        }
        let waiting = held::waits_for(found, &held::answering(&self.wanted), self.set.readiness);
        found.gate = match waiting {
            Some(why) => Some(Gate::Closed(why)),
            // A run that only looks tries nothing out.
            None if self.hub.is_writing() || self.knocked.load(Ordering::Relaxed) => {
                Some(held::knock(&self.hub, &found.held, flow).await?)
            }
            None => None,
        };
        Ok(())
    }

    /// The live objects of this set that berth made.
    async fn ours(&self, flow: &Flow) -> Result<Vec<Arc<Live>>, Fault> {
        let kinds = self.wanted.iter().map(|object| &object.kind).filter(|kind| kind.served.is_some());
        let listed = list_ours(&self.hub, kinds, flow).await?;
        let owner = &self.hub.settings().owner;
        Ok(distinct(listed)
            .filter(|live| live.label(label::SET) == Some(&self.set.name) && live.is_of(owner))
            .collect())
    }

    /// How far the removal is: what somebody else made is not in its way.
    async fn what_is_left(&self, flow: &Flow) -> Result<Seen, Fault> {
        self.hub.forget_owned();
        self.hub.forget_present();
        let ours = self.ours(flow).await?;
        left(&self.hub, ours, self.set.leaving, flow).await
    }

    /// The live objects of this set that are wanted no more. The version of a kind says nothing: an object
    /// stands in every version of its kind, and one that was made by an older version is the same.
    fn leaving(
        &self,
        all: &[Arc<Object>],
        listed: BTreeMap<Kind, BTreeMap<Key, Arc<Live>>>,
    ) -> Vec<Arc<Live>> {
        let addresses: BTreeSet<(&str, &str, Option<&str>, &str)> = all
            .iter()
            .flat_map(|object| {
                // As long as only the cluster knows its kind, it may stand at home or in no namespace.
                let home = object.namespace.as_deref().or(object.home.as_deref());
                let nowhere = object.home.is_some().then_some(None);
                let homes = std::iter::once(home).chain(nowhere);
                homes.map(|home| address(&object.kind, home, &object.name))
            })
            .collect();
        distinct(listed)
            .filter(|live| {
                live.label(label::SET) == Some(&self.set.name)
                    && live.is_of(&self.hub.settings().owner)
                    && !addresses.contains(&address(&live.kind, live.namespace.as_deref(), &live.name))
            })
            .collect()
    }

    fn seen(&self, found: Assessment) -> Seen {
        let conflict = {
            let conflicts: Vec<String> = found
                .conflicts()
                .map(|change| format!("{}: {}", change.subject, change.told().unwrap_or_default()))
                .collect();
            (!conflicts.is_empty()).then(|| conflicts.join("; "))
        };
        let blocked = conflict.is_some();
        let differs = !found.apply.is_empty() || !found.remove.is_empty();
        let state = match (conflict, &found.gate) {
            (Some(reason), _) if found.stands => State::Broken(reason),
            (Some(_), _) => State::Absent,
            (None, Some(Gate::Refused(why))) => State::Broken(why.clone()),
            (None, Some(Gate::Closed(why))) => match self.progress(&found) {
                State::Broken(why) => State::Broken(why),
                _ => State::Progressing(why.clone()),
            },
            (None, _) if differs || !found.held.is_empty() => {
                if found.stands {
                    self.progress(&found)
                } else {
                    State::Absent
                }
            }
            (None, _) => self.complete(&found),
        };
        let mut seen = Seen::new(state);
        seen.outputs = (self.set.outputs)(&found.standing);
        seen.notes = found.notes;
        seen.changes = found.changes;
        if blocked {
            return seen;
        }
        if differs {
            let (hub, rule) = (Arc::clone(&self.hub), self.set.leaving);
            seen.step = Some(Box::new(SetStep { hub, apply: found.apply, remove: found.remove, rule }));
        } else if !found.held.is_empty() && matches!(found.gate, None | Some(Gate::Open)) {
            seen.step = Some(Box::new(HeldStep {
                hub: Arc::clone(&self.hub),
                held: found.held,
                knocked: Arc::clone(&self.knocked),
                accepted: found.gate == Some(Gate::Open),
            }));
        }
        seen
    }

    /// How far a set is of which everything was sent that can be.
    fn complete(&self, found: &Assessment) -> State {
        let state = if found.stands { self.progress(found) } else { State::Absent };
        match (state, held::unserved(&found.unserved)) {
            (State::Ready | State::Absent, Some(why)) => State::Broken(why),
            (state, _) => state,
        }
    }

    /// How far the standing objects are. What is not ready is looked at afresh next time.
    fn progress(&self, found: &Assessment) -> State {
        let mut waiting: Vec<String> = Vec::new();
        if !found.going.is_empty() {
            // A namespace takes along what it holds, of every kind, ours or not.
            self.hub.forget_owned();
            self.hub.forget_present();
        }
        waiting.extend(found.going.iter().map(|live| live.awaited()));
        for live in &found.standing {
            match self.set.readiness.of(live) {
                Progress::Ready => {}
                Progress::NotYet(why) => {
                    self.hub.forget(&live.kind);
                    let told = found.reason.told(live, &why);
                    // What is explained is what is told.
                    let place = if found.reason.is_of(live) { 0 } else { waiting.len() };
                    waiting.insert(place, told);
                }
                Progress::Failed(why) => return State::Broken(found.reason.told(live, &why)),
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
                return self.what_is_left(&cx.flow).await;
            }
            let found = self.look(&cx.outputs, &cx.flow).await?;
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

    /// Removes the objects of the set that can go now, namespaces with all in them: what its custom
    /// resources need stays until those are gone, and is told to be left.
    ///
    /// If this dies half way, what is left still carries its mark, and the next run goes on.
    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            self.going.store(true, Ordering::Relaxed);
            let ours = self.ours(&cx.flow).await?;
            remove_due(&self.hub, ours, self.set.leaving, &cx.flow).await
        }
        .boxed()
    }
}

fn address<'a>(
    kind: &'a Kind,
    namespace: Option<&'a str>,
    name: &'a str,
) -> (&'a str, &'a str, Option<&'a str>, &'a str) {
    (&kind.group, &kind.kind, namespace, name)
}

/// Every listed object once: in each version of its kind it is listed again.
pub(super) fn distinct(listed: BTreeMap<Kind, BTreeMap<Key, Arc<Live>>>) -> impl Iterator<Item = Arc<Live>> {
    let mut seen = BTreeSet::new();
    let lives = listed.into_values().flat_map(BTreeMap::into_values);
    lives.filter(move |live| seen.insert(live.uid.clone()))
}

/// The labelled live objects of the kinds that are wanted now or were ever used, by kind.
pub(super) async fn list_ours(
    hub: &Hub,
    wanted: impl Iterator<Item = &Kind>,
    flow: &Flow,
) -> Result<BTreeMap<Kind, BTreeMap<Key, Arc<Live>>>, Fault> {
    let mut kinds: BTreeSet<Kind> = hub.recorded_kinds(flow).await?.clone();
    kinds.extend(hub.kinds());
    kinds.extend(wanted.cloned());
    let lists = kinds.iter().map(|kind| hub.list_owned(kind, flow));
    let lists = try_join_all(lists).await?;
    Ok(kinds.iter().cloned().zip(lists.into_iter().map(by_key)).collect())
}

fn misplaced(object: &Object, error: &ObjectError) -> Fault {
    Fault::new(FaultKind::Invalid, format!("make {}", object.title()), error.to_string())
        .hint("set it in the manifest as the kind's definition in the cluster says")
}

fn why_it_leaves(live: &Live) -> String {
    match live.label(label::TENANT) {
        Some(tenant) => format!("no longer in the profile (tenant {tenant})"),
        None => "no longer in the profile".to_string(),
    }
}
