use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::OnceCell;

use super::auto_mode::AutoModeRoles;
use super::creation::creation;
use super::leaving::Kept;
use super::look::Look;
use super::preflight;
use super::room;
use super::step::{Act, Move};
use super::subnets::{self, Borrowed};
use super::wanted::{Planned, Standing, planned};
use crate::base::{Fault, Note, ResourceId, label};
use crate::clouds::aws::{Aws, Session};
use crate::engine::{Cx, Need, Outputs, Resource, Seen, State};
use crate::flow::Flow;
use crate::profile::Environment;
use crate::profile::schema::EksCluster;
use crate::providers::Leave;
use crate::providers::eks::lately::Lately;
use crate::providers::eks::names::{Names, Site};
use crate::providers::eks::stack::{Calls, LiveStack, Phase, Wanted};
use crate::providers::eks::template::Template;

/// So long after a survey saw it as it should be, the run that follows need not ask again.
const FRESH: SignedDuration = SignedDuration::from_secs(20);

/// So long after a change reads of AWS may not show it.
const LAG: SignedDuration = SignedDuration::from_mins(1);

/// The network and the roles of an environment.
#[derive(Clone)]
pub struct NetworkResource {
    id: ResourceId,
    pub(super) inner: Arc<Inner>,
}

/// What the resource and its steps share.
pub(super) struct Inner {
    pub(super) names: Names,
    pub(super) session: Arc<Session>,
    pub(super) environment: Environment,
    pub(super) spec: EksCluster,
    pub(super) leave: Leave,
    pub(super) adopt: bool,
    run: Mutex<ThisRun>,
    /// Whether this run made it.
    pub(super) lately: Lately,
    /// Whether Auto Mode may begin.
    pub(super) auto_mode: AutoModeRoles,
    /// The network of somebody else, looked at once in a run.
    borrowed: OnceCell<Borrowed>,
}

/// What a look at a stack gave that is as it should be.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    pub(super) outputs: Outputs,
    pub(super) notes: Vec<Note>,
}

/// What this run did and saw so far.
#[derive(Default)]
pub(super) struct ThisRun {
    /// How often it made or updated the stack, or let it go on.
    pub(super) moves: u32,
    /// How often it went on taking back somebody's update.
    pub(super) taken_back: u32,
    /// How often it began to delete it.
    pub(super) deletions: u32,
    /// What left the profile and is still in use, when it was looked at last.
    pub(super) kept: Vec<Kept>,
    /// The template that was read last, of which stack in which state.
    pub(super) template: Option<(String, Template)>,
    /// When it was seen to be as the profile says, and what was seen.
    pub(super) settled: Option<(Timestamp, Settled)>,
}

impl Inner {
    /// Notes that `act` was begun.
    pub(super) fn moved(&self, act: &Act) {
        let mut run = self.run();
        run.settled = None;
        match act {
            Act::Create(_) => {
                run.moves += 1;
                self.lately.made(&self.names.stack());
            }
            Act::Update(_) => run.moves += 1,
            Act::TakeBack(_) => run.taken_back += 1,
            Act::Clear { .. } => {
                run.deletions += 1;
                self.lately.removed(&self.names.stack());
            }
            Act::Protect(_) => {}
        }
    }

    pub(super) fn run(&self) -> std::sync::MutexGuard<'_, ThisRun> {
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
                lately: Lately::default(),
                auto_mode: AutoModeRoles::default(),
                borrowed: OnceCell::new(),
            }),
        }
    }

    /// What it tells of the roles by which EKS makes nodes.
    pub fn auto_mode_roles(&self) -> AutoModeRoles {
        self.inner.auto_mode.clone()
    }

    /// The id of the network of the environment `name`.
    pub fn id_of(name: &str) -> ResourceId {
        ResourceId::new(format!("network/eks/{name}"))
    }

    pub(super) async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let (inner, flow, now) = (&self.inner, &cx.flow, cx.clock.now());
        if let Some((then, Settled { outputs, notes })) = inner.run().settled.clone()
            && inner.leave.makes
            && now.duration_since(then) < FRESH
        {
            let mut seen = Seen::new(State::Ready);
            (seen.outputs, seen.notes) = (outputs, notes);
            return Ok(seen);
        }
        let aws = inner.session.open(flow).await?;
        let calls = Calls::new(&aws, flow, inner.names.stack());
        let Some(stack) = calls.stack().await? else {
            return if inner.leave.removes {
                Ok(Seen::new(State::Absent))
            } else if inner.lately.may_hide(&inner.names.stack()) {
                Ok(Seen::new(State::Progressing("made, and CloudFormation does not show it yet".to_string())))
            } else {
                self.missing(&aws, flow).await
            };
        };
        let changed: Option<Timestamp> = stack.changed.parse().ok();
        let is_fresh = changed.is_none_or(|changed| now.duration_since(changed) < LAG);
        let look = Look { resource: self, aws: &aws, flow, calls, stack, is_fresh };
        if let Some(stranger) = inner.stranger(&look.stack) {
            return look.of_somebody_else(&stranger).await;
        }
        let seen = if inner.leave.removes { look.going().await } else { look.standing().await }?;
        if seen.state == State::Ready && seen.changes.is_empty() {
            let settled = Settled { outputs: seen.outputs.clone(), notes: seen.notes.clone() };
            inner.run().settled = Some((now, settled));
        }
        Ok(seen)
    }

    /// No stack: it is to be made, unless a cluster of ours stands without it.
    pub(super) async fn missing(&self, aws: &Aws, flow: &Flow) -> Result<Seen, Fault> {
        if self.inner.is_left_behind(aws, flow).await? {
            return Ok(self.inner.left_behind(self.subject()));
        }
        self.to_make(aws, flow, State::Absent, None).await
    }

    pub(super) fn subject(&self) -> String {
        format!("stack `{}`", self.inner.names.stack())
    }

    /// A stack that is to be made, instead of what is left of another one when that has to be cleared away.
    pub(super) async fn to_make(
        &self,
        aws: &Aws,
        flow: &Flow,
        state: State,
        clear: Option<Act>,
    ) -> Result<Seen, Fault> {
        let borrowed = self.inner.borrowed(aws, flow).await?;
        if let Some(fault) = borrowed.and_then(Borrowed::too_full) {
            return Err(fault);
        }
        let site = site(aws);
        let planned =
            planned(&self.inner.environment, &self.inner.spec, site, &Standing::default(), aws, flow).await?;
        let mut changes = creation(&planned.blueprint);
        let mut notes = borrowed.map(|borrowed| borrowed.notes.clone()).unwrap_or_default();
        notes.extend(room::note(&planned.blueprint, &self.inner.environment));
        if self.inner.leave.makes {
            let findings = preflight::check(&planned.blueprint, aws, flow).await?;
            notes.extend(findings.notes);
            if !findings.conflicts.is_empty() {
                let mut seen = Seen::new(state);
                changes.extend(findings.conflicts);
                seen.changes = changes;
                seen.notes = notes;
                seen.outputs.extend(&planned.blueprint.counted());
                return Ok(seen);
            }
        }
        let act = clear.unwrap_or_else(|| Act::Create(self.inner.wanted(&planned)));
        let mut seen = Seen::new(state).to_change(changes, self.to(act));
        seen.notes = notes;
        seen.outputs.extend(&planned.blueprint.counted());
        Ok(seen)
    }

    /// The step that does `act`.
    pub(super) fn to(&self, act: Act) -> Move {
        Move { inner: Arc::clone(&self.inner), act }
    }
}

/// Whose a stack of our name is, when it is not ours.
pub(super) struct Stranger {
    /// In words: `berth did not make it`.
    pub(super) whose: String,
    /// Whether it is an environment of this name whose id was lost.
    pub(super) adoptable: bool,
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

    /// What the stack is to be.
    pub(super) fn wanted(&self, planned: &Planned) -> Wanted {
        Wanted {
            template: planned.text.clone(),
            tags: planned.blueprint.tags.clone(),
            protected: self.environment.protected,
        }
    }

    /// The network of somebody else, where the profile names its subnets.
    pub(super) async fn borrowed(&self, aws: &Aws, flow: &Flow) -> Result<Option<&Borrowed>, Fault> {
        let ids = &self.spec.network.subnets;
        if ids.is_empty() {
            return Ok(None);
        }
        self.borrowed
            .get_or_try_init(|| subnets::borrowed(aws, flow, ids, &self.environment.node_groups))
            .await
            .map(Some)
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

/// Where on AWS everything is.
pub(super) fn site(aws: &Aws) -> Site {
    let identity = aws.identity();
    Site {
        partition: identity.partition.name().to_string(),
        account: identity.account.clone(),
        region: aws.region().to_string(),
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
        crate::providers::eks::PAUSES
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        Box::pin(async move {
            let seen = self.look(cx).await;
            // What was wrong before this run did anything is told before it does.
            if seen.is_err() && self.inner.run().moves > 0 {
                self.inner.auto_mode.fail();
            }
            seen
        })
    }

    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.inner.delete(&cx.flow))
    }
}
