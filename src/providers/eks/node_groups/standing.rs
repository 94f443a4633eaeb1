//! A node group that stands: how it differs from the profile, and what is done about that.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::calls;
use super::difference::{Difference, Update, diff, field};
use super::live::{Issue, Live, Status};
use super::nodes::{self, Uncordon};
use super::releases::Releases;
use super::resource::NodeGroupResource;
use super::step::Act;
use super::wanted::Wanted;
use crate::base::{Change, ChangeKind, Fault, FieldChange, Note};
use crate::engine::{Cx, Seen, State};
use crate::k8s::Live as Node;
use crate::providers::eks::cluster::VERSION;
use crate::providers::eks::updates::Of;
use crate::providers::eks::{client, outputs};

/// How many looks at a group whose machines do not come go by between two questions why.
const LOOKS_BEFORE_ASKING: u32 = 4;

/// Where the pods of a group that goes can move to.
enum Refuge {
    /// To the nodes of the group that stays.
    Open,
    /// To these, once they take pods again: they were to leave themselves.
    Cordoned(Vec<Node>),
    /// Nowhere yet, for this reason.
    Missing(String),
}

impl NodeGroupResource {
    /// A group that fits, and those that it takes the place of.
    pub(super) async fn standing(
        &self,
        live: Live,
        others: Vec<Live>,
        wanted: Wanted,
        cx: &Cx,
    ) -> Result<Seen, Fault> {
        let name = live.name.clone();
        match &live.status {
            Status::CreateFailed | Status::DeleteFailed => {
                let why = live.told();
                if self.lately.was_made(&name) && live.status == Status::CreateFailed {
                    return Err(live.not_made());
                }
                // What could not be made holds nothing; what could not be deleted may still have nodes.
                let is_empty = live.status == Status::CreateFailed;
                let kind = if is_empty { ChangeKind::Create } else { ChangeKind::Replace };
                let change = Change::new(kind, Self::subject(&name)).because(format!("anew: {why}"));
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
        let warning = |issue: &Issue| Note::new("warning", format!("{}: {issue}", Self::subject(&name)));
        seen.notes.extend(live.issues.iter().map(warning));
        let mut changes = Vec::new();
        let mut rolls = found.rolling().is_some();
        if let (Some(next), None) = (self.next_template(&live, &wanted, cx), found.rolling()) {
            found.fields.push(next);
            rolls = true;
        }
        if !found.fields.is_empty() {
            let mut change = Change::new(ChangeKind::Update, Self::subject(&name)).fields(found.fields);
            if rolls {
                change = change.because(wanted.rolling());
            }
            changes.push(change);
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
            self.last.check(&eks, &self.inner.cluster, Of::Group(&name)).await?;
            Some(Box::new(self.step(Act::Update(Box::new((live, wanted, update))))))
        } else {
            let (going, staying): (Vec<Live>, Vec<Live>) =
                others.into_iter().partition(|other| other.status == Status::Deleting);
            match (staying.into_iter().next(), going.first()) {
                (Some(old), _) => match self.refuge(&live, cx).await? {
                    Refuge::Open => Some(Box::new(self.step(Act::Retire(old.name)))),
                    Refuge::Cordoned(nodes) => {
                        let uncordon = Uncordon { hub: Arc::clone(&self.inner.hub), nodes };
                        seen.changes.extend(uncordon.changes());
                        Some(Box::new(uncordon))
                    }
                    Refuge::Missing(why) => {
                        seen.state = State::Progressing(why);
                        return Ok(seen);
                    }
                },
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

    /// That its machines are to be made from another version of their launch template, which its network makes first.
    fn next_template(&self, live: &Live, wanted: &Wanted, cx: &Cx) -> Option<FieldChange> {
        let template = &wanted.place.as_ref()?.template;
        let changes = outputs::changes_launch_template(&cx.outputs, &self.group.name, &template.version);
        let is_made_from_it = live.template.as_ref().is_some_and(|has| has.id == template.id);
        (changes && is_made_from_it).then(|| field("launch template", &template.version, "the next version"))
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

    /// Whether pods can move to the nodes of the group that stays.
    async fn refuge(&self, live: &Live, cx: &Cx) -> Result<Refuge, Fault> {
        // It is begun before the way in is open, and does not hear of it: but the connection is that of the whole run.
        match cx.outputs.cluster_access() {
            Some(access) => self.inner.hub.connect(access).await?,
            None if self.inner.hub.is_connected() => {}
            None => {
                return Ok(Refuge::Missing(format!("{}: the way to its nodes is not open yet", live.name)));
            }
        }
        let nodes = nodes::of_group(&self.inner.hub, &live.name, &cx.flow).await?;
        let ready = nodes.iter().filter(|node| node.why_node_is_not_ready().is_none()).count();
        let wanted = live.desired as usize;
        if ready < wanted {
            return Ok(Refuge::Missing(format!("{}: {ready} of {wanted} nodes ready", live.name)));
        }
        let cordoned = nodes::cordoned(&nodes);
        Ok(if cordoned.is_empty() { Refuge::Open } else { Refuge::Cordoned(cordoned) })
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
}

/// The changes of the groups that `name` takes the place of.
fn leaving(others: &[Live], name: &str) -> Vec<Change> {
    let change = |other: &Live| {
        Change::new(ChangeKind::Delete, NodeGroupResource::subject(&other.name))
            .because(format!("{name} takes its place"))
    };
    others.iter().map(change).collect()
}
