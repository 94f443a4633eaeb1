use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::calls;
use super::difference::is_named_after;
use super::live::{Live, Status};
use super::resource::{Inner, insist};
use super::step::{Act, GroupStep};
use crate::base::{Change, ChangeKind, Fault, ResourceId};
use crate::engine::{Cx, Need, Resource, Seen, State};
use crate::flow::Flow;
use crate::profile::Environment;
use crate::providers::eks::cluster::ENDPOINT;
use crate::providers::eks::lately::Lately;
use crate::providers::eks::updates::LastUpdate;
use crate::providers::eks::{Around, PAUSES, client};

/// Node groups of ours that the profile has no more.
pub struct OtherGroups {
    id: ResourceId,
    cluster: ResourceId,
    needs: Vec<Need>,
    wanted: BTreeSet<String>,
    inner: Arc<Inner>,
    changed: Arc<AtomicBool>,
    /// How often this run asked for the removal of one that could not be deleted.
    insisted: AtomicU32,
}

impl OtherGroups {
    /// What the resource is called.
    pub fn id_of() -> ResourceId {
        ResourceId::new("node-groups/leaving")
    }

    pub(super) fn new(environment: &Environment, around: &Around, inner: Arc<Inner>) -> Self {
        // Pods need somewhere to go.
        let node_groups = Need::Ready(ResourceId::new("node-groups"));
        Self {
            id: Self::id_of(),
            cluster: around.cluster.clone(),
            needs: vec![Need::Ready(around.cluster.clone()), Need::Ready(around.door.clone()), node_groups],
            wanted: environment.node_groups.iter().map(|group| group.name.clone()).collect(),
            inner,
            changed: Arc::default(),
            insisted: AtomicU32::new(0),
        }
    }

    async fn leaving(&self, flow: &Flow) -> Result<Vec<Live>, Fault> {
        let names = self.inner.names(self.changed.load(Ordering::Relaxed), flow).await?;
        let is_wanted = |name: &String| self.wanted.iter().any(|group| is_named_after(name, group));
        let names: Vec<&String> = names.iter().filter(|name| !is_wanted(name)).collect();
        let mut lives = self.inner.lives(&names, flow).await?;
        lives.retain(|live| live.is_of(&self.inner.owner));
        Ok(lives)
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        if !cx.outputs.has(ENDPOINT) {
            return Ok(Seen::new(State::Absent));
        }
        let (going, staying): (Vec<Live>, Vec<Live>) =
            self.leaving(&cx.flow).await?.into_iter().partition(|live| live.status == Status::Deleting);
        let Some(next) = staying.first() else {
            let told =
                going.first().map(|live| State::Progressing(format!("{}: {}", live.name, live.told())));
            return Ok(Seen::new(told.unwrap_or(State::Absent)));
        };
        let change = |live: &Live| {
            let subject = format!("node group {}", live.name);
            Change::new(ChangeKind::Delete, subject).because("no longer in the profile")
        };
        let step = GroupStep {
            inner: Arc::clone(&self.inner),
            changed: Arc::clone(&self.changed),
            lately: Lately::default(),
            last: LastUpdate::default(),
            act: Act::Retire(next.name.clone()),
        };
        let has_failed = next.status == Status::DeleteFailed;
        let state = if has_failed { State::Broken(next.told()) } else { State::Ready };
        let seen = Seen::new(state).to_change(staying.iter().map(change).collect(), step);
        Ok(Seen { more_to_remove: has_failed, ..seen })
    }
}

impl Resource for OtherGroups {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        self.needs.clone()
    }

    fn outline(&self) -> String {
        String::new()
    }

    fn looks_alone(&self) -> bool {
        true
    }

    fn beside(&self) -> Option<&ResourceId> {
        Some(&self.cluster)
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
            let eks = client(&self.inner.session, &cx.flow).await?;
            for live in self.leaving(&cx.flow).await? {
                if live.status != Status::Deleting {
                    insist(&live, &self.insisted)?;
                    calls::delete(&eks, &self.inner.cluster, &live.name).await?;
                }
            }
            Ok(())
        }
        .boxed()
    }
}
