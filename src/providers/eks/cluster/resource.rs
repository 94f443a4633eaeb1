use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use super::calls::{self, Ground, Refusal};
use super::difference::{Update, diff};
use super::live::{Live, Status};
use super::wanted::{Wanted, minor};
use crate::base::{Change, ChangeKind, Fault, FaultKind, Note, Owner, ResourceId};
use crate::clouds::aws::Session;
use crate::engine::{Cx, Need, Output, Outputs, Resource, Seen, State, Step};
use crate::flow::{Flow, Patience};
use crate::k8s::Hub;
use crate::profile::Environment;
use crate::profile::schema::EksCluster;
use crate::providers::eks::lately::Lately;
use crate::providers::eks::updates::LastUpdate;
use crate::providers::eks::{client, outputs};

/// The key of the address of the API server.
pub(in crate::providers::eks) const ENDPOINT: &str = "eks.cluster.endpoint";
/// The key of the authority of its certificate, PEM.
pub(in crate::providers::eks) const AUTHORITY: &str = "eks.cluster.ca";
/// The key of the Kubernetes that it runs: `1.36`.
pub(in crate::providers::eks) const VERSION: &str = "eks.cluster.version";

/// How often a cluster that EKS refused for a role that it has not heard of is asked for again: two minutes in all.
const UNTIL_HEARD: Patience =
    Patience { retries: 24, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(5) };

/// The control plane of an environment on EKS.
pub struct ClusterResource {
    id: ResourceId,
    network: ResourceId,
    inner: Arc<Inner>,
}

/// What the resource and its steps share.
struct Inner {
    session: Arc<Session>,
    wanted: Wanted,
    owner: Owner,
    adopt: bool,
    /// Whether this run made it.
    lately: Lately,
    /// The versions that EKS offers, asked once in a run.
    offered: OnceCell<Vec<String>>,
    /// What this run changed last.
    last: LastUpdate,
}

impl ClusterResource {
    /// The cluster of `environment` in the network that the resource `network` makes.
    pub fn new(
        environment: &Environment,
        spec: &EksCluster,
        network: ResourceId,
        session: Arc<Session>,
        hub: &Hub,
    ) -> Self {
        Self {
            id: ResourceId::new(format!("cluster/eks/{}", environment.name)),
            network,
            inner: Arc::new(Inner {
                session,
                wanted: Wanted::of(environment, spec),
                owner: environment.owner.clone(),
                adopt: hub.settings().adopt,
                lately: Lately::default(),
                offered: OnceCell::new(),
                last: LastUpdate::default(),
            }),
        }
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let inner = &self.inner;
        let eks = client(&inner.session, &cx.flow).await?;
        let Some(live) = calls::describe(&eks, &inner.wanted.name).await? else {
            return self.absent(cx).await;
        };
        if let Some(whose) = live.stranger(&inner.owner) {
            return Ok(self.foreign(&live, &whose, cx));
        }
        let mut seen = match &live.status {
            Status::Creating => Seen::new(State::Progressing(told("control plane CREATING", &live))),
            Status::Deleting => {
                return Ok(Seen::new(State::Progressing("control plane DELETING".to_string())));
            }
            Status::Other(word) => Seen::new(State::Progressing(format!("control plane {word}"))),
            Status::Failed => return Ok(self.failed(&live)),
            Status::Active | Status::Updating => self.standing(&live, cx),
        };
        if live.status == Status::Active && seen.step.is_some() {
            inner.last.check(&eks, &inner.wanted.name, None).await?;
        }
        seen.more_to_remove = live.status == Status::Active;
        let is_upgraded = seen.step.is_some()
            && seen.changes.iter().flat_map(|change| &change.fields).any(|field| field.path == "version");
        if is_upgraded {
            self.check_version(cx).await?;
            seen.notes.extend(self.upgrade_notes(cx).await);
        }
        Ok(seen)
    }

    fn subject(&self) -> String {
        format!("EKS cluster {}", self.inner.wanted.name)
    }

    async fn absent(&self, cx: &Cx) -> Result<Seen, Fault> {
        if self.inner.lately.may_hide(&self.inner.wanted.name) {
            return Ok(Seen::new(State::Progressing("made, and EKS does not list it yet".to_string())));
        }
        self.check_version(cx).await?;
        let change = Change::new(ChangeKind::Create, self.subject()).because(self.inner.wanted.outline());
        let step = Make { inner: Arc::clone(&self.inner), ground: ground(&cx.outputs) };
        let mut seen = Seen::new(State::Absent).to_change(vec![change], step);
        seen.notes.extend(self.closed());
        Ok(seen)
    }

    /// That this machine has to be inside of the network to go on.
    fn closed(&self) -> Option<Note> {
        let text = format!(
            "{} can be reached only from inside of its network: run berth there, or write the address of this machine \
             under `cluster.eks.endpoint.public`",
            self.subject()
        );
        self.inner.wanted.public.is_empty().then(|| Note::new("warning", text))
    }

    /// Fails when EKS does not offer the version of the profile: it would say so only once the network is made.
    async fn check_version(&self, cx: &Cx) -> Result<(), Fault> {
        let inner = &self.inner;
        let wanted = minor(inner.wanted.version);
        let ask = || async { calls::offered(&client(&inner.session, &cx.flow).await?).await };
        let offered = inner.offered.get_or_try_init(ask).await?;
        if offered.is_empty() || offered.contains(&wanted) {
            return Ok(());
        }
        let region = inner.session.region();
        let reason = format!(
            "EKS does not offer Kubernetes {wanted} in {region}, but {}",
            offered.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
        );
        let fault = Fault::new(FaultKind::Invalid, format!("make the {}", self.subject()), reason);
        let nearest = offered.iter().min_by_key(|version| distance(version, inner.wanted.version));
        Err(match nearest {
            Some(nearest) => fault.hint(format!("write `version: \"{nearest}\"`")),
            None => fault,
        }
        .in_profile("cluster.eks.version"))
    }

    /// A cluster of this name that carries another mark, or none.
    fn foreign(&self, live: &Live, whose: &str, cx: &Cx) -> Seen {
        if self.inner.adopt && live.status == Status::Active {
            let found = diff(&self.inner.wanted, live, known_subnets(&cx.outputs).as_ref());
            if found.refused.is_empty() {
                let change = Change::new(ChangeKind::Adopt, self.subject()).fields(found.fields);
                return reached(Seen::new(State::Ready), live)
                    .to_change(vec![change], Alter { inner: Arc::clone(&self.inner), update: Update::Tags });
            }
            return self.refused(Seen::new(State::Absent), &found.refused);
        }
        let reason = format!(
            "an EKS cluster of this name is there, and {whose}; take it over with `--adopt`, or give the environment \
             another `name`"
        );
        // Nothing of ours is there: there is nothing to be taken away.
        let mut seen = Seen::new(State::Absent);
        seen.changes = vec![Change::new(ChangeKind::Conflict, self.subject()).because(reason)];
        seen
    }

    /// A cluster that could not be made: there is nothing in it that could be lost. The next run makes it anew.
    fn failed(&self, live: &Live) -> Seen {
        let why = told("its making failed", live);
        if self.inner.lately.was_made(&self.inner.wanted.name) {
            return Seen { more_to_remove: true, ..Seen::new(State::Broken(why)) };
        }
        let change = Change::new(ChangeKind::Replace, self.subject()).because(why.clone());
        let mut seen =
            Seen::new(State::Broken(why)).to_change(vec![change], Unmake { inner: Arc::clone(&self.inner) });
        seen.more_to_remove = true;
        seen
    }

    fn standing(&self, live: &Live, cx: &Cx) -> Seen {
        let inner = &self.inner;
        let found = diff(&inner.wanted, live, known_subnets(&cx.outputs).as_ref());
        let is_busy = live.status == Status::Updating;
        let state =
            if is_busy { State::Progressing(told("control plane UPDATING", live)) } else { State::Ready };
        let mut seen = reached(Seen::new(state), live);
        let issues =
            live.issues.iter().map(|issue| Note::new("warning", format!("{}: {issue}", self.subject())));
        seen.notes.extend(issues);
        if !inner.wanted.names_version && live.version != inner.wanted.version {
            let (has, meant) = (minor(live.version), minor(inner.wanted.version));
            let text = format!(
                "{} runs Kubernetes {has}, the profile names none and everything is rendered for {meant}: write \
                 `version: \"{has}\"`",
                self.subject()
            );
            seen.notes.push(Note::new("warning", text));
        }
        if !found.refused.is_empty() {
            return self.refused(seen, &found.refused);
        }
        let Some(update) = found.updates.into_iter().next() else { return seen };
        let change = Change::new(ChangeKind::Update, self.subject()).fields(found.fields);
        if matches!(update, Update::Endpoint { .. }) {
            seen.notes.extend(self.closed());
        }
        if is_busy {
            seen.changes = vec![change];
            return seen;
        }
        seen.to_change(vec![change], Alter { inner: Arc::clone(inner), update })
    }

    fn refused(&self, mut seen: Seen, why: &[String]) -> Seen {
        let conflict = |why: &String| Change::new(ChangeKind::Conflict, self.subject()).because(why);
        seen.changes = why.iter().map(conflict).collect();
        seen
    }

    /// What EKS says of the upgrade that is to come.
    async fn upgrade_notes(&self, cx: &Cx) -> Vec<Note> {
        let inner = &self.inner;
        let name = &inner.wanted.name;
        let asked = async {
            calls::insights(&client(&inner.session, &cx.flow).await?, name, inner.wanted.version).await
        };
        let told = match asked.await {
            Ok(told) => told,
            Err(fault) => vec![format!("EKS could not be asked: {}", fault.reason)],
        };
        let version = minor(inner.wanted.version);
        told.into_iter()
            .map(|text| Note::new("upgrade", format!("to Kubernetes {version}: {text}")))
            .collect()
    }
}

/// How many minors lie between `version`, as `1.36`, and `wanted`.
fn distance(version: &str, wanted: (u32, u32)) -> u32 {
    let minor = version.split_once('.').and_then(|(_, minor)| minor.parse::<u32>().ok());
    minor.map_or(u32::MAX, |minor| minor.abs_diff(wanted.1))
}

/// What a cluster is made in, once the network has told all of it.
fn ground(told: &Outputs) -> Option<Ground> {
    let subnets: Vec<(String, String)> = outputs::subnets(told, outputs::SUBNETS_PRIVATE)
        .into_iter()
        .map(|subnet| (subnet.zone, subnet.id))
        .collect();
    let role = told.text(outputs::ROLE_CLUSTER)?.to_string();
    let node_role = told.text(outputs::ROLE_NODE).map(str::to_string);
    (!subnets.is_empty()).then_some(Ground { subnets, role, node_role })
}

fn known_subnets(told: &Outputs) -> Option<BTreeSet<String>> {
    let subnets = outputs::subnets(told, outputs::SUBNETS_PRIVATE);
    (!subnets.is_empty()).then(|| subnets.into_iter().map(|subnet| subnet.id).collect())
}

fn told(what: &str, live: &Live) -> String {
    match live.issues.first() {
        Some(issue) => format!("{what}: {issue}"),
        None => what.to_string(),
    }
}

/// `seen`, with how the cluster is reached.
fn reached(seen: Seen, live: &Live) -> Seen {
    let authority = live.ca.as_ref().and_then(|ca| STANDARD.decode(ca).ok());
    let authority = authority.and_then(|pem| String::from_utf8(pem).ok());
    match (&live.endpoint, authority) {
        (Some(endpoint), Some(pem)) => seen
            .output(ENDPOINT, Output::Text(endpoint.clone()))
            .output(AUTHORITY, Output::Text(pem))
            .output(VERSION, Output::Text(minor(live.version))),
        _ => seen,
    }
}

impl Resource for ClusterResource {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        let output = |key| Need::Output { from: self.network.clone(), key };
        let mut needs = vec![output(outputs::SUBNETS_PRIVATE), output(outputs::ROLE_CLUSTER)];
        if self.inner.wanted.auto_mode {
            needs.push(output(outputs::ROLE_NODE));
        }
        if !self.inner.wanted.logs.is_empty() {
            // EKS would make one that keeps logs for ever.
            needs.push(output(outputs::LOG_GROUP));
        }
        needs
    }

    fn outline(&self) -> String {
        self.subject()
    }

    fn looks_alone(&self) -> bool {
        true
    }

    fn pauses(&self) -> (Duration, Duration) {
        crate::providers::eks::PAUSES
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        self.look(cx).boxed()
    }

    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        self.inner.remove(&cx.flow).boxed()
    }
}

impl Inner {
    /// Deletes the cluster, as soon as it can be: one that is CREATING cannot.
    async fn remove(&self, flow: &Flow) -> Result<(), Fault> {
        let eks = client(&self.session, flow).await?;
        let name = &self.wanted.name;
        let Some(live) = calls::describe(&eks, name).await? else { return Ok(()) };
        if let Some(whose) = live.stranger(&self.owner) {
            return Err(Fault::new(FaultKind::Conflict, format!("delete the EKS cluster {name}"), whose));
        }
        if !matches!(live.status, Status::Active | Status::Failed) {
            return Ok(());
        }
        if live.protected && live.status == Status::Active {
            // EKS keeps to it only while the cluster is ACTIVE.
            let tags = &self.wanted.tags;
            return calls::update(&eks, name, &Update::Protection(false), None, tags).await.map(|_| ());
        }
        let Err(fault) = calls::delete(&eks, name).await else { return Ok(()) };
        // A call whose answer was lost is repeated, and then it is on its way already.
        match calls::describe(&eks, name).await? {
            Some(live) if live.status != Status::Deleting => Err(fault),
            _ => Ok(()),
        }
    }
}

/// Makes the cluster; that there is one already is for the next look.
struct Make {
    inner: Arc<Inner>,
    ground: Option<Ground>,
}

impl Step for Make {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let Self { inner, ground } = *self;
            let attempted = format!("make the EKS cluster {}", inner.wanted.name);
            let mut ground = ground.ok_or_else(|| {
                Fault::new(FaultKind::Bug, attempted.clone(), "its network has not told its subnets and role")
            })?;
            loop {
                let (inner, ground_now) = (&inner, &ground);
                let zones = cx
                    .flow
                    .retry(UNTIL_HEARD, &attempted, || async {
                        let eks = client(&inner.session, &cx.flow).await?;
                        match calls::create(&eks, &inner.wanted, ground_now).await {
                            Ok(()) | Err(Refusal::Exists) => Ok(None),
                            Err(Refusal::Zones(zones, fault)) => Ok(Some((zones, fault))),
                            Err(Refusal::Fault(fault)) => Err(fault),
                        }
                    })
                    .await?;
                let Some((zones, fault)) = zones else { break };
                ground = with_room(ground, &zones).ok_or_else(|| {
                    fault.hint(format!(
                        "EKS has room in {}: have the network span two of them at least",
                        zones.join(", ")
                    ))
                })?;
            }
            inner.lately.made(&inner.wanted.name);
            Ok(())
        }
        .boxed()
    }
}

/// `ground` without the zones that EKS has no room in; `None` when fewer than two are left, or nothing changes.
fn with_room(mut ground: Ground, zones: &[String]) -> Option<Ground> {
    let before = ground.subnets.len();
    ground.subnets.retain(|(zone, _)| zones.contains(zone));
    let left: BTreeSet<&String> = ground.subnets.iter().map(|(zone, _)| zone).collect();
    (left.len() >= 2 && ground.subnets.len() < before).then_some(ground)
}

/// Makes one change.
struct Alter {
    inner: Arc<Inner>,
    update: Update,
}

impl Step for Alter {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let inner = &self.inner;
            let node_role = cx.outputs.text(outputs::ROLE_NODE);
            let (name, tags) = (&inner.wanted.name, &inner.wanted.tags);
            let eks = client(&inner.session, &cx.flow).await?;
            let begun = calls::update(&eks, name, &self.update, node_role, tags).await?;
            inner.last.began(begun.as_ref());
            Ok(())
        }
        .boxed()
    }
}

/// Takes a cluster away that could not be made, so that the next look makes it.
struct Unmake {
    inner: Arc<Inner>,
}

impl Step for Unmake {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            self.inner.lately.removed(&self.inner.wanted.name);
            self.inner.remove(&cx.flow).await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_without_room_is_left_out_as_long_as_two_are_left() {
        let subnet = |zone: &str| (zone.to_string(), format!("subnet-{zone}"));
        let ground = Ground {
            subnets: vec![subnet("a"), subnet("b"), subnet("c")],
            role: "arn".to_string(),
            node_role: None,
        };
        let zones = |zones: &[&str]| zones.iter().map(ToString::to_string).collect::<Vec<_>>();
        let left = with_room(ground.clone(), &zones(&["a", "c", "d"])).expect("two are left");
        assert_eq!(left.subnets, [subnet("a"), subnet("c")]);
        assert_eq!(with_room(ground.clone(), &zones(&["a", "d"])), None);
        assert_eq!(with_room(ground, &zones(&["a", "b", "c"])), None);
    }
}
