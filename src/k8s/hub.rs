use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::client::{Client, object_path};
use super::discovery::Group;
use super::finish::finish;
use super::lease::{Lease, LeaseSettings};
use super::listing::{Present, Shelf};
use super::live::{Key, Live};
use super::object::{Kind, Object};
use super::records;
use crate::base::{ClusterAccess, Fault, FaultKind, Owner, RunId};
use crate::flow::{Flow, Limiter, Patience};

/// What a run may do in a cluster, and as whom.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag of the command line")]
pub struct HubSettings {
    /// The mark on everything that is made.
    pub owner: Owner,
    /// This run.
    pub run: RunId,
    /// Where this run is, for the courtesy lock: user, machine and state folder. Two runs in one
    /// place exclude each other by the file lock: `ada@laptop:/home/ada/.local/state/berth`.
    pub place: String,
    /// The kinds that this environment may use: they are recorded before the first of them is made.
    pub kinds: BTreeSet<Kind>,
    /// Take over objects of our names that somebody else made.
    pub adopt: bool,
    /// Take over fields that another manager applies.
    pub force_conflicts: bool,
    /// Remove namespaces, and volume claims in them, that are no longer in the profile.
    pub prune_namespaces: bool,
    /// Remove custom resource definitions that are no longer in the profile.
    pub prune_crds: bool,
    /// Work on a part of the environment alone: nothing is removed for having left the profile.
    pub partial: bool,
}

/// How long a cluster may take to say its version, all attempts together.
const FIRST_CONTACT: Duration = Duration::from_secs(8);

/// How often the shared namespace may vanish while a run opens it for writing.
const REOPENED: u32 = 5;

/// The one place of a run that talks to the cluster: every resource shares its connection, its
/// lists (one LIST per kind) and its records.
pub struct Hub {
    settings: HubSettings,
    client: OnceCell<Client>,
    owned: Mutex<BTreeMap<Kind, Shelf>>,
    pub(super) present: Mutex<BTreeMap<Kind, Arc<OnceCell<Arc<Present>>>>>,
    recorded: OnceCell<BTreeSet<Kind>>,
    /// What the API server says that it serves, by group and version.
    pub(super) groups: Mutex<BTreeMap<String, GroupCell>>,
    /// The kinds that this run may use: those of the settings, and those that the API server told of.
    kinds: Mutex<BTreeSet<Kind>>,
    /// The kinds that this run knows to be recorded; one writer at a time.
    written: Mutex<BTreeSet<Kind>>,
    recording: Limiter,
    lease: OnceCell<Lease>,
    writing: OnceCell<()>,
}

/// One group and version, asked for once.
pub(super) type GroupCell = Arc<OnceCell<Option<Group>>>;

/// What an API server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `(1, 36)`.
    pub version: (u32, u32),
    /// `v1.36.3`.
    pub full_version: String,
}

impl Server {
    /// Asks the API server at `access` for its version over a connection of its own, before there is a hub.
    pub async fn ask(access: &ClusterAccess, limit: Duration, flow: &Flow) -> Result<Self, Fault> {
        let attempted = format!("ask {} for its version", access.server);
        let asked = async { Self::of(&Client::connect(access).await?, access, flow).await };
        flow.within(limit, &attempted, asked).await
    }

    async fn of(client: &Client, access: &ClusterAccess, flow: &Flow) -> Result<Self, Fault> {
        #[derive(Deserialize)]
        struct Version {
            major: String,
            minor: String,
            #[serde(rename = "gitVersion")]
            full: String,
        }
        let attempted = format!("ask {} for its version", access.server);
        let asked = client.get(flow, Patience::BRIEF, "/version");
        let body = flow.within(FIRST_CONTACT, &attempted, asked).await.map_err(|fault| {
            let unanswered = fault.is_retryable() && fault.hint.is_none();
            let fault = Fault { attempted: attempted.clone(), ..fault };
            if unanswered {
                fault.hint("check that the cluster runs and that this machine reaches it")
            } else {
                fault
            }
        })?;
        let unexpected = |reason: String| {
            Fault::new(FaultKind::Invalid, attempted.clone(), reason)
                .hint("check the address: something else than a Kubernetes API server answers there")
        };
        let body = body.ok_or_else(|| unexpected("it is no Kubernetes API server".to_string()))?;
        let version: Version =
            serde_json::from_slice(&body).map_err(|error| unexpected(error.to_string()))?;
        let digits =
            |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or_default();
        Ok(Self { version: (digits(&version.major), digits(&version.minor)), full_version: version.full })
    }
}

impl Hub {
    /// A hub that is not connected yet.
    pub fn new(settings: HubSettings) -> Self {
        Self {
            kinds: Mutex::new(settings.kinds.clone()),
            settings,
            client: OnceCell::new(),
            owned: Mutex::default(),
            present: Mutex::default(),
            recorded: OnceCell::new(),
            groups: Mutex::default(),
            written: Mutex::default(),
            recording: Limiter::new(1),
            lease: OnceCell::new(),
            writing: OnceCell::new(),
        }
    }

    /// What this run may do.
    pub fn settings(&self) -> &HubSettings {
        &self.settings
    }

    /// Asks the API server at `access` for its version; waits only briefly for one that is down.
    pub async fn probe(&self, access: &ClusterAccess, flow: &Flow) -> Result<Server, Fault> {
        Server::of(self.client(access).await?, access, flow).await
    }

    /// Whether the API server at `access` says that it is ready to serve. One attempt, no patience.
    ///
    /// The connection of a run is kept once somebody answers: where nobody does, another access may be tried.
    pub async fn is_ready(&self, access: &ClusterAccess, flow: &Flow) -> Result<bool, Fault> {
        const ONCE: Patience = Patience { retries: 0, ..Patience::BRIEF };
        let client = match self.client.get() {
            Some(client) => client.clone(),
            None => Client::connect(access).await?,
        };
        match client.get(flow, ONCE, "/readyz").await {
            Ok(body) => {
                self.client.get_or_init(async || client).await;
                Ok(body.is_some())
            }
            Err(fault) if fault.is_retryable() => Ok(false),
            Err(fault) => Err(fault),
        }
    }

    /// The client, connected on first use.
    pub(super) async fn client(&self, access: &ClusterAccess) -> Result<&Client, Fault> {
        self.client.get_or_try_init(|| Client::connect(access)).await
    }

    pub(super) fn connected(&self) -> Result<&Client, Fault> {
        self.client.get().ok_or_else(|| {
            Fault::new(FaultKind::Bug, "use the cluster", "it was used before it was connected")
        })
    }

    /// Whether somebody opened the connection of this run.
    pub fn is_connected(&self) -> bool {
        self.client.get().is_some()
    }

    /// Connects if need be.
    pub async fn connect(&self, access: &ClusterAccess) -> Result<(), Fault> {
        self.client(access).await.map(|_| ())
    }

    /// Has the API server judge `object` as if it were applied, without keeping it.
    pub(super) async fn try_out(&self, object: &Object, flow: &Flow) -> Result<(), Fault> {
        let force = self.may_force(object);
        self.connected()?.dry_run(flow, object, force).await
    }

    /// Whether nobody else applies fields of the object, so that edited ones may be taken back at once.
    fn may_force(&self, object: &Object) -> bool {
        let known = self.owned().get(&object.kind).and_then(|shelf| shelf.objects.get(&key(object)).cloned());
        known.is_some_and(|live| live.others.is_empty()) || self.settings.force_conflicts
    }

    /// Whether there is an object at this address, whoever made it.
    pub(super) async fn exists(&self, object: &Object, flow: &Flow) -> Result<bool, Fault> {
        let path = object_path(&object.kind, object.namespace.as_deref(), &object.name);
        Ok(self.connected()?.get(flow, Patience::STEADY, &path).await?.is_some())
    }

    /// Whether pods can be made: a fresh cluster refuses them until its controller manager has made the
    /// account that they run as.
    pub async fn takes_pods(&self, flow: &Flow) -> Result<bool, Fault> {
        const ACCOUNT: &str = "/api/v1/namespaces/default/serviceaccounts/default";
        Ok(self.connected()?.get(flow, Patience::STEADY, ACCOUNT).await?.is_some())
    }

    /// The kinds that this environment ever used, as recorded in the cluster.
    pub(super) async fn recorded_kinds(&self, flow: &Flow) -> Result<&BTreeSet<Kind>, Fault> {
        self.recorded.get_or_try_init(|| records::read_kinds(self, flow)).await
    }

    /// The kinds that this run may use.
    pub(super) fn kinds(&self) -> BTreeSet<Kind> {
        locked(&self.kinds).clone()
    }

    /// Takes up a kind that this run may use.
    pub(super) fn take_up(&self, kind: Kind) {
        locked(&self.kinds).insert(kind);
    }

    /// Records in the cluster all kinds that this run may use, before the first object of one is made.
    pub(super) async fn record_kinds(&self, flow: &Flow) -> Result<(), Fault> {
        // One after another: each writes the whole record, and the last one has to hold all kinds.
        let _place = self.recording.enter().await;
        let kinds = self.kinds();
        if kinds.is_subset(&locked(&self.written)) {
            return Ok(());
        }
        records::write_kinds(self, &kinds, flow).await?;
        *locked(&self.written) = kinds;
        Ok(())
    }

    /// Applies `object` as part of `set`, with the owner mark. Safe to repeat.
    ///
    /// If this dies right after the call, the object stands with its mark, and the next run finds it.
    pub async fn apply(&self, object: &Object, set: &str, flow: &Flow) -> Result<Arc<Live>, Fault> {
        self.send(&finish(object.clone(), &self.settings.owner, set), flow).await
    }

    /// Applies an object that carries its marks already. Safe to repeat.
    pub(super) async fn send(&self, object: &Object, flow: &Flow) -> Result<Arc<Live>, Fault> {
        self.open_for_writing(flow).await?;
        let client = self.connected()?;
        let answer = match client.apply(flow, object, self.may_force(object)).await {
            // Fields that somebody only edited are drift; what another manager applies is theirs.
            Err(fault) if fault.kind == FaultKind::Conflict && only_edits(&fault.reason) => {
                client.apply(flow, object, true).await?
            }
            Err(fault) if can_be_remade(object) && fault.reason.contains("field is immutable") => {
                self.make_way(object, flow).await?;
                client.apply(flow, object, true).await?
            }
            answer => answer?,
        };
        let live = Arc::new(Live::new(&object.kind, answer));
        self.remember(&live);
        Ok(live)
    }

    /// Removes what stands in the place of `object`.
    ///
    /// If this dies right after the call, there is none, and the next run makes it.
    async fn make_way(&self, object: &Object, flow: &Flow) -> Result<(), Fault> {
        let client = self.connected()?;
        let path = object_path(&object.kind, object.namespace.as_deref(), &object.name);
        let Some(found) = client.read(flow, Patience::STEADY, &path).await? else { return Ok(()) };
        let uid = found["metadata"]["uid"].as_str().unwrap_or_default();
        client.delete(flow, &format!("make {} anew", object.title()), &path, uid).await.map(|_| ())
    }

    /// Merges `patch` into a live object. Safe to repeat.
    pub async fn merge_patch(&self, live: &Live, patch: &Value, flow: &Flow) -> Result<Arc<Live>, Fault> {
        self.open_for_writing(flow).await?;
        let attempted = format!("change {}", live.title());
        let path = object_path(&live.kind, live.namespace.as_deref(), &live.name);
        let answer = self.connected()?.merge(flow, &attempted, &path, patch).await?;
        let live = Arc::new(Live::new(&live.kind, answer));
        self.remember(&live);
        Ok(live)
    }

    /// Removes a live object of ours, if it is still the same one. Refuses what is not ours.
    ///
    /// If this dies right after the call, the object is going or gone, and the next run sees that.
    pub async fn delete(&self, live: &Live, flow: &Flow) -> Result<(), Fault> {
        let attempted = format!("remove {}", live.title());
        if !live.is_of(&self.settings.owner) {
            return Err(Fault::new(FaultKind::Bug, attempted, "berth did not make it"));
        }
        self.open_for_writing(flow).await?;
        let path = object_path(&live.kind, live.namespace.as_deref(), &live.name);
        let answer = self.connected()?.delete(flow, &attempted, &path, &live.uid).await?;
        let still_there = answer.filter(|answer| answer["kind"] != "Status");
        match still_there {
            Some(going) => self.remember(&Arc::new(Live::new(&live.kind, going))),
            None => {
                if let Some(shelf) = self.owned().get_mut(&live.kind) {
                    shelf.objects.remove(&live.key());
                }
            }
        }
        Ok(())
    }

    /// How many requests are worth having in flight.
    pub fn width(&self) -> usize {
        self.client.get().map_or(1, Client::width)
    }

    /// Whether this run has begun to write.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.initialized()
    }

    /// Takes the courtesy lock and records the kinds, once per run, before its first write.
    pub(super) async fn open_for_writing(&self, flow: &Flow) -> Result<(), Fault> {
        let opened = self.writing.get_or_try_init(|| async {
            let mut attempt = 0;
            loop {
                match self.open_once(flow).await {
                    // Another environment's `down` removed the shared namespace under our hands.
                    Err(fault) if Client::says_not_there(&fault) && attempt < REOPENED => attempt += 1,
                    result => return result,
                }
            }
        });
        opened.await.copied()
    }

    async fn open_once(&self, flow: &Flow) -> Result<(), Fault> {
        let client = self.connected()?;
        records::ensure_namespace(client, flow).await?;
        let lease = Lease::take(client.clone(), &self.lease_settings(), flow).await?;
        let written = self.record_kinds(flow).await;
        // Only one caller opens; after a first attempt that failed, the cell keeps that lease, of the same name.
        self.lease.set(lease).ok();
        written
    }

    fn lease_settings(&self) -> LeaseSettings {
        let HubSettings { owner, run, place, .. } = &self.settings;
        LeaseSettings {
            name: records::name(owner),
            labels: records::labels(owner),
            place: place.clone(),
            run: run.as_str().to_string(),
        }
    }

    /// Takes the courtesy lock for what this run changes beside the cluster; fails as locked when another run holds it.
    pub async fn claim(&self, flow: &Flow) -> Result<(), Fault> {
        self.open_for_writing(flow).await
    }

    /// Lets go of the courtesy lock, if this run took it.
    pub async fn close(&self, flow: &Flow) {
        if let Some(lease) = self.lease.get() {
            lease.release(flow).await;
        }
    }

    /// Stops renewing the courtesy lock, if this run took it: it went with its cluster, and nobody can be told.
    pub async fn forget_lock(&self) {
        if let Some(lease) = self.lease.get() {
            lease.forget().await;
        }
    }

    fn remember(&self, live: &Arc<Live>) {
        let mut owned = self.owned();
        owned.entry(live.kind.clone()).or_default().objects.insert(live.key(), Arc::clone(live));
    }

    pub(super) fn owned(&self) -> MutexGuard<'_, BTreeMap<Kind, Shelf>> {
        locked(&self.owned)
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(object: &Object) -> Key {
    (object.namespace.clone(), object.name.clone())
}

/// Whether an object may be taken away for a moment, where nothing of it can be changed: volumes that a class made
/// do not hang on it.
fn can_be_remade(object: &Object) -> bool {
    object.kind.kind == "StorageClass"
}

/// Whether a refused apply names only managers that edited (operation Update), which the API
/// server tells by the words `using VERSION at TIME` behind the manager's name.
fn only_edits(reason: &str) -> bool {
    let mut rest = reason;
    let mut seen = false;
    while let Some(start) = rest.find("with \"") {
        rest = &rest[start + 6..];
        let Some(end) = rest.find('"') else { return false };
        rest = &rest[end + 1..];
        let clause = rest.split(':').next().unwrap_or_default();
        if !clause.contains(" using ") {
            return false;
        }
        seen = true;
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_told_from_other_appliers() {
        assert!(only_edits(
            "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using v1 at 2026-11-21T00:00:00Z: .data.a"
        ));
        assert!(!only_edits("Apply failed with 1 conflict: conflict with \"argocd\": .data.a"));
        assert!(!only_edits(
            "Apply failed with 2 conflicts: conflicts with \"kubectl-edit\" using v1 at 2026-11-21T00:00:00Z:\n- .data.a\nconflicts with \"argocd\":\n- .data.b"
        ));
        assert!(!only_edits("something else"));
    }
}
