use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use super::calls::{self, Ground};
use super::difference::{Update, diff};
use super::live::{Live, Status};
use super::step::{Alter, Make, OTHERS_CHANGE, Unmake};
use super::wanted::{Wanted, listed, minor};
use crate::base::{Change, ChangeKind, Conflict, Fault, FaultKind, Guard, Note, Owner, ResourceId};
use crate::clouds::aws::Session;
use crate::engine::{Cx, Need, Output, Outputs, Resource, Seen, State};
use crate::flow::Flow;
use crate::k8s::Hub;
use crate::profile::Environment;
use crate::profile::schema::EksCluster;
use crate::providers::Leave;
use crate::providers::eks::lately::Lately;
use crate::providers::eks::network::{AutoModeRoles, NetworkResource, Roles};
use crate::providers::eks::updates::{LastUpdate, Of};
use crate::providers::eks::{Names, Site, client, made_anew, outputs};

/// The key of the address of the API server.
pub(in crate::providers::eks) const ENDPOINT: &str = "eks.cluster.endpoint";
/// The key of the authority of its certificate, PEM.
pub(in crate::providers::eks) const AUTHORITY: &str = "eks.cluster.ca";
/// The key of the Kubernetes that it runs: `1.36`.
pub(in crate::providers::eks) const VERSION: &str = "eks.cluster.version";

/// The control plane of an environment on EKS.
pub struct ClusterResource {
    id: ResourceId,
    network: ResourceId,
    inner: Arc<Inner>,
}

/// What the resource and its steps share.
pub(super) struct Inner {
    pub session: Arc<Session>,
    pub wanted: Wanted,
    owner: Owner,
    adopt: bool,
    /// Whether it is asked what phase of its support the version is in, for its price.
    asks_support: bool,
    /// Whether this run made it.
    pub lately: Lately,
    /// The versions that EKS offers, asked once in a run.
    offered: OnceCell<Vec<calls::Offered>>,
    /// What this run changed last.
    pub last: LastUpdate,
    /// Whether the roles of Auto Mode stand.
    roles: AutoModeRoles,
}

impl ClusterResource {
    /// The cluster of `environment` in the network that the resource `network` makes.
    pub fn new(
        environment: &Environment,
        spec: &EksCluster,
        network: &NetworkResource,
        session: Arc<Session>,
        leave: Leave,
        hub: &Hub,
    ) -> Self {
        let roles = network.auto_mode_roles();
        Self {
            id: ResourceId::new(format!("cluster/eks/{}", environment.name)),
            network: network.id().clone(),
            inner: Arc::new(Inner {
                session,
                wanted: Wanted::of(environment, spec),
                owner: environment.owner.clone(),
                adopt: hub.settings().adopt,
                asks_support: leave.makes && leave.asks_newer,
                lately: Lately::default(),
                offered: OnceCell::new(),
                last: LastUpdate::default(),
                roles,
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
                let mut seen = Seen::new(State::Progressing("control plane DELETING".to_string()));
                seen.changes = vec![made_anew(self.subject())];
                return Ok(seen);
            }
            Status::Other(word) => Seen::new(State::Progressing(format!("control plane {word}"))),
            Status::Failed => return Ok(self.failed(&live)),
            Status::Active | Status::Updating => self.standing(&live, cx),
        };
        if live.status == Status::Active && seen.step.is_some() {
            let goes_on = inner.last.check(&eks, &inner.wanted.name, Of::Cluster).await?;
            if goes_on || inner.lately.may_hide(OTHERS_CHANGE) {
                let why = "the control plane is being changed, and EKS does not show it yet";
                seen.state = State::Progressing(why.to_string());
                seen.step = None;
            }
        }
        seen.more_to_remove = live.status == Status::Active;
        let is_upgraded = seen.step.is_some()
            && seen.changes.iter().flat_map(|change| &change.fields).any(|field| field.path == "version");
        if is_upgraded {
            match self.check_version(cx).await {
                // It stands all the same, with all that is in it.
                Err(fault) if fault.kind == FaultKind::Invalid => {
                    seen.step = None;
                    let conflict = Conflict::new(fault.reason, fault.hint.unwrap_or_default());
                    return Ok(self.refused(seen, vec![conflict]));
                }
                checked => seen.outputs.extend(&checked?),
            }
            seen.notes.extend(self.upgrade_notes(cx).await);
        } else if inner.asks_support && inner.wanted.extended && inner.wanted.names_version {
            // Only the price of it is unknown without.
            seen.outputs.extend(&self.check_version(cx).await.unwrap_or_default());
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
        let support = self.check_version(cx).await?;
        let change = Change::new(ChangeKind::Create, self.subject()).because(self.inner.wanted.outline());
        let step = Make { inner: Arc::clone(&self.inner), ground: ground(&cx.outputs) };
        let mut seen = Seen::new(State::Absent).to_change(vec![change], step);
        seen.outputs.extend(&support);
        seen.notes.extend(self.closed());
        Ok(self.once_roles_stand(seen))
    }

    /// `seen`, whose step is not taken before the roles of Auto Mode stand, with their policies.
    fn once_roles_stand(&self, mut seen: Seen) -> Seen {
        match self.inner.roles.are() {
            _ if !self.inner.wanted.auto_mode => seen,
            Roles::Standing => seen,
            Roles::Coming => {
                seen.state = State::Progressing("waiting for the roles of Auto Mode".to_string());
                seen.step = None;
                seen
            }
            Roles::Failed => seen.behind(self.network.clone()),
        }
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

    /// What is known of the support of the version of the profile. Fails when EKS does not offer it: it would say so
    /// only once the network is made.
    async fn check_version(&self, cx: &Cx) -> Result<Outputs, Fault> {
        let inner = &self.inner;
        let wanted = minor(inner.wanted.version);
        let ask = || async { calls::offered(&client(&inner.session, &cx.flow).await?).await };
        let offered = inner.offered.get_or_try_init(ask).await?;
        let mut support = Outputs::default();
        if let Some(found) = offered.iter().find(|one| one.version == wanted) {
            support.insert(outputs::EXTENDED_SUPPORT, Output::Text(found.is_extended.to_string()));
            return Ok(support);
        }
        if offered.is_empty() {
            return Ok(support);
        }
        let offered: Vec<&str> = offered.iter().map(|one| one.version.as_str()).collect();
        let region = inner.session.region();
        let reason =
            format!("EKS does not offer Kubernetes {wanted} in {region}, but {}", offered.join(", "));
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
            if let Some(conflict) = self.elsewhere(live, cx) {
                return self.refused(Seen::new(State::Absent), vec![conflict]);
            }
            if found.refused.is_empty() {
                let change = Change::new(ChangeKind::Adopt, self.subject()).fields(found.fields);
                return reached(Seen::new(State::Ready), live)
                    .to_change(vec![change], Alter { inner: Arc::clone(&self.inner), update: Update::Tags });
            }
            return self.refused(Seen::new(State::Absent), found.refused);
        }
        let conflict = Conflict::new(
            format!("an EKS cluster of this name is there, and {whose}"),
            "take it over with `--adopt`, or give the environment another `name`",
        );
        // Nothing of ours is there: there is nothing to be taken away.
        self.refused(Seen::new(State::Absent), vec![conflict.guarded(Guard::Adopt)])
    }

    /// That a cluster of somebody else stands in a network that cannot be the one that is still to be made for it.
    fn elsewhere(&self, live: &Live, cx: &Cx) -> Option<Conflict> {
        let subnets = listed(&live.subnets);
        let is_made = known_subnets(&cx.outputs).is_some();
        (!is_made && live.subnets.is_disjoint(&self.inner.wanted.subnets)).then(|| {
            Conflict::new(
                format!("it lives in the subnets {subnets}, and a cluster cannot move to a network of its own"),
                format!(
                    "write `network: {{subnets: [{subnets}]}}` under `cluster.eks`, or give the environment another \
                     `name`"
                ),
            )
        })
    }

    /// A cluster that could not be made: there is nothing in it that could be lost. The next run makes it anew.
    fn failed(&self, live: &Live) -> Seen {
        let why = told("its making failed", live);
        if self.inner.lately.was_made(&self.inner.wanted.name) {
            return Seen { more_to_remove: true, ..Seen::new(State::Broken(why)) };
        }
        let change = Change::new(ChangeKind::Create, self.subject()).because(format!("anew: {why}"));
        let mut seen =
            Seen::new(State::Broken(why)).to_change(vec![change], Unmake { inner: Arc::clone(&self.inner) });
        seen.more_to_remove = true;
        seen
    }

    fn standing(&self, live: &Live, cx: &Cx) -> Seen {
        let inner = &self.inner;
        let found = diff(&inner.wanted, live, known_subnets(&cx.outputs).as_ref());
        let is_busy = live.status == Status::Updating;
        let state = if is_busy { self.updating(live) } else { State::Ready };
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
            return self.refused(seen, found.refused);
        }
        let Some(update) = found.updates.into_iter().next() else { return seen };
        let change = Change::new(ChangeKind::Update, self.subject()).fields(found.fields);
        if matches!(update, Update::Endpoint { .. }) {
            seen.notes.extend(self.closed());
        }
        if is_busy {
            seen.changes = vec![change.because("once the change that goes on is over")];
            return seen;
        }
        let is_begun = matches!(update, Update::AutoMode(true));
        let mut changes = vec![change];
        if matches!(update, Update::AutoMode(_)) {
            seen.notes.extend(self.other_volumes(is_begun));
        }
        if matches!(update, Update::AutoMode(false)) {
            let made = "the nodes and load balancers of EKS Auto Mode";
            changes.push(Change::new(ChangeKind::Delete, made).because("EKS ends them at once"));
        }
        let seen = seen.to_change(changes, Alter { inner: Arc::clone(inner), update });
        if is_begun { self.once_roles_stand(seen) } else { seen }
    }

    /// A cluster that is being changed, by this run or by somebody else.
    fn updating(&self, live: &Live) -> State {
        // Now it is shown.
        self.inner.lately.removed(OTHERS_CHANGE);
        let who =
            "control plane UPDATING, since somebody else is changing it: `up` waits for the end of that";
        let what = if self.inner.last.is_begun() { "control plane UPDATING" } else { who };
        State::Progressing(told(what, live))
    }

    /// What the plan of a standing cluster that begins (or ends) to make its nodes itself has to tell.
    fn other_volumes(&self, is_begun: bool) -> Vec<Note> {
        let (nodes, made_by) = if is_begun {
            ("the nodes that Auto Mode makes", "the EBS driver")
        } else {
            ("the nodes of groups", "Auto Mode")
        };
        let mut notes = vec![format!(
            "{}: {nodes} cannot attach the volumes that were made by {made_by} so far: move what they hold before \
             (https://docs.aws.amazon.com/eks/latest/userguide/migrate-auto.html)",
            self.subject()
        )];
        if !is_begun {
            notes.push(format!(
                "{}: a Service whose load balancer Auto Mode made gets no other one: make it anew afterwards",
                self.subject()
            ));
        }
        notes.into_iter().map(|text| Note::new("warning", text)).collect()
    }

    fn refused(&self, mut seen: Seen, conflicts: Vec<Conflict>) -> Seen {
        seen.changes = conflicts.into_iter().map(|conflict| conflict.of(self.subject())).collect();
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
    (!subnets.is_empty()).then_some(Ground { subnets, role, node_role: None })
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
    /// The ARN of the role of the nodes that Auto Mode makes: beside that of the control plane, and known before it
    /// is made.
    pub fn node_role(&self, told: &Outputs) -> Option<String> {
        let site = Site::of_arn(told.text(outputs::ROLE_CLUSTER)?)?;
        let names = Names::new(&self.wanted.name, self.session.region());
        Some(site.role_arn(&names.auto_node_role()))
    }

    /// Deletes the cluster, as soon as it can be: one that is CREATING cannot.
    pub async fn remove(&self, flow: &Flow) -> Result<(), Fault> {
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
