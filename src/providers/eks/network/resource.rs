use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use super::creation::creation;
use super::preflight;
use super::step::{Act, Move};
use super::subnets::{self, Borrowed};
use super::wanted::{Planned, addresses, planned};
use crate::base::{Change, ChangeKind, Fault, FaultKind, FieldChange, Note, ResourceId, label};
use crate::clouds::aws::{Aws, Refusal, Session};
use crate::engine::{Cx, Need, Outputs, Resource, Seen, State};
use crate::flow::Flow;
use crate::profile::Environment;
use crate::profile::schema::EksCluster;
use crate::providers::Leave;
use crate::providers::eks::names::{Names, Site};
use crate::providers::eks::outputs::Published;
use crate::providers::eks::stack::{
    Calls, Failure, LiveResource, LiveStack, Phase, Wanted, changes, failure, left, made, progress,
};
use crate::providers::eks::template::{Template, Zone};

/// How often a stack that stopped is let go on in one run, when what stopped it may pass.
const MOST_CONTINUED: u32 = 3;
/// How often the deletion of a stack is begun in one run.
const MOST_DELETED: u32 = 4;
/// A look is a call over the internet.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// The network and the roles of an environment.
pub struct NetworkResource {
    id: ResourceId,
    inner: Arc<Inner>,
}

/// What the resource and its steps share.
pub(super) struct Inner {
    pub(super) names: Names,
    pub(super) session: Arc<Session>,
    environment: Environment,
    spec: EksCluster,
    leave: Leave,
    adopt: bool,
    run: Mutex<ThisRun>,
    /// The network of somebody else, looked at once in a run.
    borrowed: OnceCell<Borrowed>,
}

/// What this run did and saw so far.
#[derive(Default)]
struct ThisRun {
    /// How often it made or updated the stack, or let it go on.
    moves: u32,
    /// How often it went on taking back somebody's update.
    taken_back: u32,
    /// How often it began to delete it.
    deletions: u32,
    /// The template that was read last, of which stack in which state.
    template: Option<(String, Template)>,
}

impl Inner {
    /// Notes that `act` was begun.
    pub(super) fn moved(&self, act: &Act) {
        let mut run = self.run();
        match act {
            Act::Create(_) | Act::Update(_) => run.moves += 1,
            Act::TakeBack(_) => run.taken_back += 1,
            Act::Clear { .. } => run.deletions += 1,
            Act::Protect(_) => {}
        }
    }

    fn run(&self) -> std::sync::MutexGuard<'_, ThisRun> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NetworkResource {
    /// The network of `environment`, whose cluster is `spec`, in the account of `session`.
    pub fn new(
        environment: &Environment,
        spec: &EksCluster,
        session: Arc<Session>,
        leave: Leave,
        adopt: bool,
    ) -> Self {
        Self {
            id: Self::id_of(&environment.name),
            inner: Arc::new(Inner {
                names: Names::new(&environment.name, &spec.region),
                session,
                environment: environment.clone(),
                spec: spec.clone(),
                leave,
                adopt,
                run: Mutex::default(),
                borrowed: OnceCell::new(),
            }),
        }
    }

    /// The id of the network of the environment `name`.
    pub fn id_of(name: &str) -> ResourceId {
        ResourceId::new(format!("network/eks/{name}"))
    }

    async fn look(&self, flow: &Flow) -> Result<Seen, Fault> {
        let inner = &self.inner;
        let aws = inner.session.open(flow).await?;
        let calls = Calls::new(&aws, flow, inner.names.stack());
        let Some(stack) = calls.stack().await? else {
            return if inner.leave.removes {
                Ok(Seen::new(State::Absent))
            } else {
                self.to_make(&aws, flow, State::Absent, None).await
            };
        };
        let look = Look { resource: self, aws: &aws, flow, calls, stack };
        if let Some(stranger) = inner.stranger(&look.stack) {
            return look.of_somebody_else(&stranger).await;
        }
        if inner.leave.removes { look.going().await } else { look.standing().await }
    }

    /// A stack that is to be made, instead of what is left of another one when that has to be cleared away.
    async fn to_make(&self, aws: &Aws, flow: &Flow, state: State, clear: Option<Act>) -> Result<Seen, Fault> {
        let borrowed = self.inner.borrowed(aws, flow).await?;
        let site = self.inner.site(aws);
        let planned = planned(&self.inner.environment, &self.inner.spec, site, &[], aws, flow).await?;
        let mut changes = creation(&planned.blueprint);
        let mut notes = borrowed.map(|borrowed| borrowed.notes.clone()).unwrap_or_default();
        if self.inner.leave.makes {
            let findings = preflight::check(&planned.blueprint, aws, flow).await?;
            notes.extend(findings.notes);
            if !findings.conflicts.is_empty() {
                let mut seen = Seen::new(state);
                changes.extend(findings.conflicts);
                seen.changes = changes;
                seen.notes = notes;
                return Ok(seen);
            }
        }
        let act = clear.unwrap_or_else(|| Act::Create(self.inner.wanted(&planned)));
        let mut seen = Seen::new(state).to_change(changes, self.to(act));
        seen.notes = notes;
        Ok(seen)
    }

    fn to(&self, act: Act) -> Move {
        Move { inner: Arc::clone(&self.inner), act }
    }
}

/// One look at a stack that is there.
struct Look<'a> {
    resource: &'a NetworkResource,
    aws: &'a Aws,
    flow: &'a Flow,
    calls: Calls,
    stack: LiveStack,
}

impl Look<'_> {
    /// A stack that shall be as the profile says.
    async fn standing(&self) -> Result<Seen, Fault> {
        let subject = self.subject();
        match self.stack.phase() {
            Phase::Moving | Phase::Unknown => {
                let resources = self.calls.resources().await?;
                let outputs = self.published(&made(&resources)).await?;
                let mut seen = Seen::new(State::Progressing(progress(&self.stack, &resources)));
                seen.outputs = outputs;
                Ok(seen)
            }
            Phase::Leaving => Ok(Seen::new(State::Progressing(format!("{subject} is being deleted")))),
            Phase::Gone => self.resource.to_make(self.aws, self.flow, State::Absent, None).await,
            Phase::Empty | Phase::TakenBack | Phase::HalfGone => self.dead_end().await,
            Phase::HalfTakenBack => self.half_taken_back().await,
            Phase::Stopped => self.stopped().await,
            Phase::Whole => self.whole().await,
        }
    }

    /// A stack that is whole by its own template.
    async fn whole(&self) -> Result<Seen, Fault> {
        let (planned, live) = self.planned().await?;
        if let Some(conflict) = self.moved_elsewhere(live.as_ref()) {
            return Ok(conflict);
        }
        let mut seen = Seen::new(State::Ready);
        seen.outputs = self.published(&self.stack.outputs).await?;
        seen.notes = self.notes().await?;
        let changes = changes(&live.unwrap_or_default(), &planned.template);
        if !changes.is_empty() {
            let act = Act::Update(self.resource.inner.wanted(&planned));
            return Ok(seen.to_change(changes, self.resource.to(act)));
        }
        let protected = self.resource.inner.environment.protected;
        if self.stack.protected != protected {
            let field = FieldChange {
                path: "terminationProtection".to_string(),
                from: Some(self.stack.protected.to_string()),
                to: Some(protected.to_string()),
            };
            let change = Change::new(ChangeKind::Update, self.subject()).fields(vec![field]);
            return Ok(seen.to_change(vec![change], self.resource.to(Act::Protect(protected))));
        }
        Ok(seen)
    }

    /// A stack that stopped at something that failed: it goes on by an update, also one without a change.
    async fn stopped(&self) -> Result<Seen, Fault> {
        let why = failure(&self.calls.events().await?);
        let moves = self.resource.inner.run().moves;
        if moves > 0 && !may_pass(why.as_ref(), moves) {
            return Err(self.failed(why.as_ref()));
        }
        let (planned, live) = self.planned().await?;
        if let Some(conflict) = self.moved_elsewhere(live.as_ref()) {
            return Ok(conflict);
        }
        let reason = self.reason(why.as_ref());
        let mut seen = Seen::new(State::Broken(reason.clone()));
        seen.outputs = self.published(&made(&self.calls.resources().await?)).await?;
        let mut changes = changes(&live.unwrap_or_default(), &planned.template);
        changes
            .push(Change::new(ChangeKind::Update, self.subject()).because(format!("it stopped: {reason}")));
        Ok(seen.to_change(changes, self.resource.to(Act::Update(self.resource.inner.wanted(&planned)))))
    }

    /// A stack that can only be deleted: it is, and made anew, unless the cluster stands in it.
    async fn dead_end(&self) -> Result<Seen, Fault> {
        let inner = &self.resource.inner;
        let why = failure(&self.calls.events().await?);
        let reason = self.reason(why.as_ref());
        if inner.run().deletions >= MOST_DELETED {
            return Err(self.failed(why.as_ref()));
        }
        if inner.cluster_stands(self.aws, self.flow).await? {
            let name = &inner.environment.name;
            let text = format!(
                "{reason}; the cluster `{name}` stands in what is left of it: `berth down {name}` removes both"
            );
            return Ok(Seen::new(State::Broken(text)));
        }
        let clear = Act::Clear { protected: self.stack.protected };
        let state = State::Broken(reason.clone());
        let mut seen = self.resource.to_make(self.aws, self.flow, state, Some(clear)).await?;
        if let Some(first) = seen.changes.first_mut() {
            first.reason = Some(format!("what is left of the last one is removed first: {reason}"));
        }
        Ok(seen)
    }

    /// An update that somebody else took back, half: it has to be taken back whole before anything else.
    async fn half_taken_back(&self) -> Result<Seen, Fault> {
        let why = failure(&self.calls.events().await?);
        let taken_back = self.resource.inner.run().taken_back;
        if taken_back > 1 {
            return Err(self.failed(why.as_ref()));
        }
        let reason = self.reason(why.as_ref());
        let resources = self.calls.resources().await?;
        // What cannot be taken back is left as it is, the second time: the update that follows mends it.
        let skipped = if taken_back == 0 { Vec::new() } else { not_taken_back(&resources) };
        let change = Change::new(ChangeKind::Update, self.subject())
            .because(format!("an update of it was taken back, and not to the end: {reason}"));
        let mut seen = Seen::new(State::Broken(reason));
        seen.outputs = self.published(&made(&resources)).await?;
        Ok(seen.to_change(vec![change], self.resource.to(Act::TakeBack(skipped))))
    }

    /// A stack that shall go.
    async fn going(&self) -> Result<Seen, Fault> {
        let mut seen = match self.stack.phase() {
            Phase::Gone => return Ok(Seen::new(State::Absent)),
            Phase::Leaving => {
                let resources = self.calls.resources().await?;
                let left = resources.iter().filter(|resource| resource.status != "DELETE_COMPLETE").count();
                return Ok(Seen::new(State::Progressing(format!("{left} of {} left", resources.len()))));
            }
            Phase::HalfGone => {
                let why = failure(&self.calls.events().await?);
                if self.resource.inner.run().deletions >= MOST_DELETED {
                    return Err(self.failed(why.as_ref()));
                }
                Seen::new(State::Progressing(format!("not all went: {}", self.reason(why.as_ref()))))
            }
            // Deleting one that is on its way elsewhere is refused: what it is at ends by itself.
            Phase::Moving => {
                Seen::new(State::Progressing(progress(&self.stack, &self.calls.resources().await?)))
            }
            _ => Seen::new(State::Ready),
        };
        seen.more_to_remove = true;
        // What is swept up before it goes is found by what it tells.
        let left = match self.stack.phase() {
            Phase::Whole => self.stack.outputs.clone(),
            _ => left(&self.calls.resources().await?),
        };
        seen.outputs = self.published(&left).await.unwrap_or_default();
        Ok(seen)
    }

    /// A stack of our name without our mark.
    async fn of_somebody_else(&self, stranger: &Stranger) -> Result<Seen, Fault> {
        let inner = &self.resource.inner;
        let settled = matches!(self.stack.phase(), Phase::Whole | Phase::Stopped);
        if inner.adopt && stranger.adoptable && settled && !inner.leave.removes {
            let (planned, live) = self.planned().await?;
            if let Some(conflict) = self.moved_elsewhere(live.as_ref()) {
                return Ok(conflict);
            }
            let mut changes = changes(&live.unwrap_or_default(), &planned.template);
            let adopted = Change::new(ChangeKind::Adopt, self.subject()).because(stranger.whose.clone());
            changes.insert(0, adopted);
            let act = Act::Update(inner.wanted(&planned));
            return Ok(Seen::new(State::Ready).to_change(changes, self.resource.to(act)));
        }
        let way = if stranger.adoptable {
            "take it over with `--adopt`, or give the environment another `name`"
        } else {
            "give the environment another `name`"
        };
        let reason = format!("a stack of this name is there, and {}; {way}", stranger.whose);
        // Nothing of ours is there: there is nothing to take away.
        let mut seen = Seen::new(State::Absent);
        seen.changes = vec![Change::new(ChangeKind::Conflict, self.subject()).because(reason)];
        if !inner.leave.makes {
            let stays = format!("{}: {}; it is left as it is", self.subject(), stranger.whose);
            seen.notes.push(Note::new("kept", stays));
        }
        Ok(seen)
    }

    /// The stack that the profile asks for, and the template that it stands by.
    async fn planned(&self) -> Result<(Planned, Option<Template>), Fault> {
        let live = self.template().await?;
        let standing = self.zones(live.as_ref());
        let inner = &self.resource.inner;
        let site = inner.site(self.aws);
        let planned = planned(&inner.environment, &inner.spec, site, &standing, self.aws, self.flow).await?;
        Ok((planned, live))
    }

    /// The template, read once for each state of the stack.
    async fn template(&self) -> Result<Option<Template>, Fault> {
        let LiveStack { id, changed, status, .. } = &self.stack;
        let key = format!("{id} {changed} {status}");
        if let Some((known, template)) = &self.resource.inner.run().template
            && *known == key
        {
            return Ok(Some(template.clone()));
        }
        let template = self.calls.template().await?;
        self.resource.inner.run().template = template.clone().map(|template| (key, template));
        Ok(template)
    }

    fn zones(&self, live: Option<&Template>) -> Vec<Zone> {
        match (live, addresses(&self.resource.inner.spec)) {
            (Some(live), Ok(addresses)) => live.zones(&addresses),
            _ => Vec::new(),
        }
    }

    /// What is made so far, for the others.
    async fn published(&self, made: &BTreeMap<String, String>) -> Result<Outputs, Fault> {
        let (planned, live) = self.planned().await?;
        let standing = self.zones(live.as_ref());
        let mut published: Published = planned.blueprint.published(&standing, made);
        if let Some(borrowed) = self.resource.inner.borrowed(self.aws, self.flow).await? {
            published.vpc = Some(borrowed.vpc.clone());
            published.private.clone_from(&borrowed.subnets);
        }
        Ok(published.outputs())
    }

    async fn notes(&self) -> Result<Vec<Note>, Fault> {
        let borrowed = self.resource.inner.borrowed(self.aws, self.flow).await?;
        Ok(borrowed.map(|borrowed| borrowed.notes.clone()).unwrap_or_default())
    }

    /// A network stays where it is: what the profile changed of that cannot be made of one that stands.
    fn moved_elsewhere(&self, live: Option<&Template>) -> Option<Seen> {
        let spec = &self.resource.inner.spec;
        let was = live.and_then(Template::cidr);
        let owns = spec.network.subnets.is_empty();
        let is = if owns { addresses(spec).ok().map(|addresses| addresses.to_string()) } else { None };
        // Of a stack that stopped before anything was made nothing has to stay.
        let (was, is) = match (was, is) {
            (was, is) if was == is => return None,
            (None, Some(_)) if live.is_none_or(|live| live.resources().is_empty()) => return None,
            (was, is) => (was, is),
        };
        let named = |cidr: Option<String>| cidr.unwrap_or_else(|| "subnets of somebody else".to_string());
        let reason = format!(
            "it stands in {}, and the profile says {}: a cluster never changes its network; put \
             `cluster.eks.network` back, or make an environment of another `name` beside it",
            named(was),
            named(is)
        );
        let mut seen = Seen::new(State::Ready);
        seen.changes = vec![Change::new(ChangeKind::Conflict, self.subject()).because(reason)];
        Some(seen)
    }

    fn subject(&self) -> String {
        format!("stack `{}`", self.resource.inner.names.stack())
    }

    fn reason(&self, why: Option<&Failure>) -> String {
        match why {
            Some(Failure { what, reason }) => format!("{what}: {reason}"),
            None => {
                let said = self.stack.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("{} is {}{said}", self.subject(), self.stack.status)
            }
        }
    }

    fn failed(&self, why: Option<&Failure>) -> Fault {
        let verb = if self.resource.inner.leave.removes { "remove" } else { "bring up" };
        let kind = why.map_or(FaultKind::Invalid, Failure::kind);
        // What did not pass in all this time is not tried again at once.
        let kind = if kind == FaultKind::Transient { FaultKind::Invalid } else { kind };
        let fault = Fault::new(kind, format!("{verb} {}", self.subject()), self.reason(why));
        match why.and_then(Failure::hint) {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

/// Whether what stopped a stack may be over by now, after so many attempts of this run.
fn may_pass(why: Option<&Failure>, moves: u32) -> bool {
    moves < MOST_CONTINUED && why.is_some_and(|why| why.kind() == FaultKind::Transient)
}

/// What could not be taken back.
fn not_taken_back(resources: &[LiveResource]) -> Vec<String> {
    let failed = resources.iter().filter(|resource| resource.status == "UPDATE_FAILED");
    failed.map(|resource| resource.logical.clone()).collect()
}

/// Whose a stack of our name is, when it is not ours.
struct Stranger {
    whose: String,
    adoptable: bool,
}

impl Inner {
    fn stranger(&self, stack: &LiveStack) -> Option<Stranger> {
        let owner = stack.tags.get(label::OWNER);
        if owner == Some(&self.environment.owner.id) {
            return None;
        }
        let of = stack.tags.get(label::ENVIRONMENT);
        Some(match (owner, of) {
            (Some(owner), Some(of)) => Stranger {
                whose: format!("it belongs to the environment `{of}` with the id `{owner}`"),
                adoptable: *of == self.environment.owner.environment,
            },
            _ => Stranger { whose: "berth did not make it".to_string(), adoptable: false },
        })
    }

    fn site(&self, aws: &Aws) -> Site {
        let identity = aws.identity();
        Site {
            partition: identity.partition.name().to_string(),
            account: identity.account.clone(),
            region: aws.region().to_string(),
        }
    }

    fn wanted(&self, planned: &Planned) -> Wanted {
        Wanted {
            template: planned.text.clone(),
            tags: planned.blueprint.tags.clone(),
            protected: self.environment.protected,
        }
    }

    async fn borrowed(&self, aws: &Aws, flow: &Flow) -> Result<Option<&Borrowed>, Fault> {
        let ids = &self.spec.network.subnets;
        if ids.is_empty() {
            return Ok(None);
        }
        self.borrowed.get_or_try_init(|| subnets::borrowed(aws, flow, ids)).await.map(Some)
    }

    async fn cluster_stands(&self, aws: &Aws, flow: &Flow) -> Result<bool, Fault> {
        let name = self.names.cluster();
        match aws.eks(flow).describe_cluster().name(name).send().await.map_err(Refusal::from) {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.is_absent() => Ok(false),
            Err(refusal) => Err(refusal.fault(format!("look at cluster `{name}`"))),
        }
    }

    /// Begins to delete the stack, unless it is on its way elsewhere.
    async fn delete(&self, flow: &Flow) -> Result<(), Fault> {
        let aws = self.session.open(flow).await?;
        let calls = Calls::new(&aws, flow, self.names.stack());
        let Some(stack) = calls.stack().await? else { return Ok(()) };
        if self.stranger(&stack).is_some() {
            return Ok(());
        }
        let is_being_made = stack.status == "CREATE_IN_PROGRESS";
        if matches!(stack.phase(), Phase::Leaving | Phase::Gone | Phase::Moving) && !is_being_made {
            return Ok(());
        }
        if stack.protected {
            calls.protect(false).await?;
        }
        calls.delete().await?;
        self.run().deletions += 1;
        Ok(())
    }
}

impl Resource for NetworkResource {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn outline(&self) -> String {
        "network and roles".to_string()
    }

    fn pauses(&self) -> (Duration, Duration) {
        PAUSES
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        Box::pin(self.look(&cx.flow))
    }

    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.inner.delete(&cx.flow))
    }
}
