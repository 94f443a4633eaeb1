use super::blockers;
use super::leaving::Kept;
use super::resource::{NetworkResource, Stranger};
use super::room;
use super::step::Act;
use super::wanted::{Standing, addresses};
use crate::base::{Change, ChangeKind, Conflict, Fault, FaultKind, FieldChange, Guard, Note};
use crate::clouds::aws::Aws;
use crate::engine::{Seen, State};
use crate::flow::Flow;
use crate::providers::eks::made_anew;
use crate::providers::eks::stack::{
    Calls, Failure, LiveResource, LiveStack, Phase, changes, failure, left, made, progress,
};
use crate::providers::eks::template::Template;

/// How often a stack that stopped is let go on in one run, when what stopped it may pass.
const MOST_CONTINUED: u32 = 3;
/// How often the deletion of a stack is begun in one run.
const MOST_DELETED: u32 = 4;
/// The same where a role is in the way that somebody else has to let go.
const MOST_DELETED_WHILE_HELD: u32 = 2;

/// One look at a stack that is there.
pub(super) struct Look<'a> {
    pub(super) resource: &'a NetworkResource,
    pub(super) aws: &'a Aws,
    pub(super) flow: &'a Flow,
    pub(super) calls: Calls,
    pub(super) stack: LiveStack,
    /// Whether it was changed so lately that reads of AWS may not show all of it.
    pub(super) is_fresh: bool,
}

impl Look<'_> {
    /// A stack that shall be as the profile says.
    pub(super) async fn standing(&self) -> Result<Seen, Fault> {
        match self.stack.phase() {
            Phase::Moving | Phase::Unknown => {
                let resources = self.calls.resources().await?;
                let outputs = self.published(&made(&resources)).await?;
                let mut seen = Seen::new(State::Progressing(progress(&self.stack, &resources)));
                seen.outputs = outputs;
                Ok(seen)
            }
            Phase::Leaving => self.leaving().await,
            Phase::Gone => self.resource.missing(self.aws, self.flow).await,
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
        let planned = self.keeping(planned, live.as_ref(), &self.stack.outputs).await?;
        let mut seen = Seen::new(State::Ready);
        seen.outputs = self.published(&self.stack.outputs).await?;
        seen.outputs.extend(&planned.blueprint.counted());
        seen.notes = self.notes().await?;
        seen.notes.extend(self.resource.inner.run().kept.iter().filter_map(Kept::note));
        seen.notes.extend(room::note(&planned.blueprint, &self.resource.inner.environment));
        let live = live.unwrap_or_default();
        let (planned, changes) = match self.drift(&live).await? {
            drift if drift.is_empty() => {
                let changes = changes(&live, &planned.template);
                (planned, changes)
            }
            drift if !drift.conflicts().is_empty() => {
                seen.changes = drift.conflicts().to_vec();
                return Ok(seen);
            }
            drift => {
                let standing = Standing { renewed: drift.renew(live.renewed()), ..self.stands(Some(&live)) };
                let planned = self.planned_in(&standing).await?;
                let planned = self.keeping(planned, Some(&live), &self.stack.outputs).await?;
                let changes = drift.told(changes(&live, &planned.template), &live, &standing.renewed);
                if let Some(going) = drift.waits_for() {
                    seen.state = State::Progressing(going);
                    seen.changes = changes;
                    return Ok(seen);
                }
                (planned, changes)
            }
        };
        self.tell_rolled(&planned, &live, &mut seen.outputs);
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
        let made = made(&self.calls.resources().await?);
        let planned = self.keeping(planned, live.as_ref(), &made).await?;
        seen.outputs = self.published(&made).await?;
        let mut changes = changes(&live.unwrap_or_default(), &planned.template);
        changes
            .push(Change::new(ChangeKind::Update, self.subject()).because(format!("it stopped: {reason}")));
        Ok(seen.to_change(changes, self.resource.to(Act::Update(self.resource.inner.wanted(&planned)))))
    }

    /// A stack that is being deleted: it is made anew once it is gone, unless the cluster stands in it.
    async fn leaving(&self) -> Result<Seen, Fault> {
        let (inner, subject) = (&self.resource.inner, self.subject());
        let reason = format!("{subject} is being deleted");
        if inner.occupant(self.aws, self.flow).await?.is_some_and(|cluster| !cluster.is_going) {
            return Ok(inner.lost(subject, &reason));
        }
        let mut seen = Seen::new(State::Progressing(reason));
        seen.changes = vec![made_anew(subject)];
        Ok(seen)
    }

    /// A stack that can only be deleted: it is, and made anew, unless the cluster stands in it.
    async fn dead_end(&self) -> Result<Seen, Fault> {
        let inner = &self.resource.inner;
        let why = failure(&self.calls.events().await?);
        let reason = self.reason(why.as_ref());
        let deletions = inner.run().deletions;
        if deletions >= MOST_DELETED || (deletions > 0 && is_denied(why.as_ref())) {
            return Err(self.failed(why.as_ref()));
        }
        if inner.occupant(self.aws, self.flow).await?.is_some() {
            return Ok(inner.lost(self.subject(), &reason));
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
    pub(super) async fn going(&self) -> Result<Seen, Fault> {
        let mut seen = match self.stack.phase() {
            Phase::Gone => return Ok(Seen::new(State::Absent)),
            Phase::Leaving => {
                let resources = self.calls.resources().await?;
                let left = resources.iter().filter(|resource| resource.status != "DELETE_COMPLETE").count();
                return Ok(Seen::new(State::Progressing(format!("{left} of {} left", resources.len()))));
            }
            Phase::HalfGone => {
                let why = failure(&self.calls.events().await?);
                let deletions = self.resource.inner.run().deletions;
                let is_held = why.as_ref().is_some_and(Failure::is_about_a_held_role);
                let most = if is_held { MOST_DELETED_WHILE_HELD } else { MOST_DELETED };
                // A right that is missing is missing the next time too.
                if deletions >= most || (deletions > 0 && is_denied(why.as_ref())) {
                    return Err(self.blocked(why.as_ref()).await);
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

    /// That it cannot be removed, with what is in the way.
    async fn blocked(&self, why: Option<&Failure>) -> Fault {
        let fault = self.failed(why);
        if is_denied(why) {
            return fault;
        }
        let Ok(resources) = self.calls.resources().await else { return fault };
        let hint = if why.is_some_and(Failure::is_about_a_held_role) {
            let template = self.template().await.ok().flatten().unwrap_or_default();
            blockers::on_roles(self.aws, self.flow, &resources, &template).await
        } else {
            match left(&resources).get("Vpc") {
                Some(vpc) => blockers::in_the_way(self.aws, self.flow, vpc).await,
                None => None,
            }
        };
        match hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }

    /// A stack of our name without our mark.
    pub(super) async fn of_somebody_else(&self, stranger: &Stranger) -> Result<Seen, Fault> {
        let inner = &self.resource.inner;
        let settled = matches!(self.stack.phase(), Phase::Whole | Phase::Stopped);
        if inner.adopt && stranger.adoptable && settled && !inner.leave.removes {
            let (planned, live) = self.planned().await?;
            if let Some(conflict) = self.moved_elsewhere(live.as_ref()) {
                return Ok(conflict);
            }
            let made = made(&self.calls.resources().await?);
            let planned = self.keeping(planned, live.as_ref(), &made).await?;
            let mut changes = changes(&live.unwrap_or_default(), &planned.template);
            let adopted = Change::new(ChangeKind::Adopt, self.subject()).because(stranger.whose.clone());
            changes.insert(0, adopted);
            let act = Act::Update(inner.wanted(&planned));
            let mut seen = Seen::new(State::Ready).to_change(changes, self.resource.to(act));
            seen.outputs = self.published(&made).await?;
            return Ok(seen);
        }
        let why = format!("a stack of this name is there, and {}", stranger.whose);
        let conflict = if stranger.adoptable {
            let remedy = "take it over with `--adopt`, or give the environment another `name`";
            Conflict::new(why, remedy).guarded(Guard::Adopt)
        } else {
            Conflict::new(why, "give the environment another `name`")
        };
        // Nothing of ours is there: there is nothing to take away.
        let mut seen = Seen::new(State::Absent);
        seen.changes = vec![conflict.of(self.subject())];
        if !inner.leave.makes {
            let stays = format!("{}: {}; it is left as it is", self.subject(), stranger.whose);
            seen.notes.push(Note::new("kept", stays));
        }
        Ok(seen)
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
        let conflict = Conflict::new(
            format!(
                "it stands in {}, and the profile says {}: a cluster never changes its network",
                named(was),
                named(is)
            ),
            "put `cluster.eks.network` back, or make an environment of another `name` beside it",
        );
        let mut seen = Seen::new(State::Ready);
        seen.changes = vec![conflict.of(self.subject())];
        Some(seen)
    }

    fn subject(&self) -> String {
        self.resource.subject()
    }

    fn reason(&self, why: Option<&Failure>) -> String {
        if let Some(Failure { what, reason, .. }) = why {
            return format!("{what}: {reason}");
        }
        let said = self.stack.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{} is {}{said}", self.subject(), self.stack.status)
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

/// Whether it was for want of a right.
fn is_denied(why: Option<&Failure>) -> bool {
    why.is_some_and(|why| why.kind() == FaultKind::Denied)
}

/// What could not be taken back.
fn not_taken_back(resources: &[LiveResource]) -> Vec<String> {
    let failed = resources.iter().filter(|resource| resource.status == "UPDATE_FAILED");
    failed.map(|resource| resource.logical.clone()).collect()
}
