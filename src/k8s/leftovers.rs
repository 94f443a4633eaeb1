use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::assess::{Assessment, Parting, part_with};
use super::hub::Hub;
use super::live::Live;
use super::records::connect;
use super::removal::{count_custom_resources, left, remove_due};
use super::set::{Leaving, distinct, list_ours};
use super::step::SetStep;
use crate::base::{Fault, ResourceId, label};
use crate::engine::{Cx, Need, Resource, Seen, State};
use crate::flow::Flow;

/// Objects of ours whose whole set left the profile, such as a removed addon's.
pub struct Leftovers {
    id: ResourceId,
    needs: Vec<Need>,
    hub: Arc<Hub>,
    current: BTreeSet<String>,
    /// Whether this run takes it all away.
    going: AtomicBool,
}

impl Leftovers {
    /// What is left of sets that are not among `current`.
    pub fn new(needs: Vec<Need>, hub: Arc<Hub>, current: BTreeSet<String>) -> Self {
        Self { id: ResourceId::new("leftovers"), needs, hub, current, going: AtomicBool::new(false) }
    }

    async fn find(&self, flow: &Flow) -> Result<Vec<Arc<Live>>, Fault> {
        let listed = list_ours(&self.hub, std::iter::empty(), flow).await?;
        let owner = &self.hub.settings().owner;
        Ok(distinct(listed)
            .filter(|live| {
                live.is_of(owner) && live.label(label::SET).is_some_and(|set| !self.current.contains(set))
            })
            .collect())
    }
}

impl Resource for Leftovers {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        self.needs.clone()
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            connect(&self.hub, cx).await?;
            let flow = &cx.flow;
            if self.going.load(Ordering::Relaxed) {
                self.hub.forget_owned();
                self.hub.forget_present();
                return left(&self.hub, self.find(flow).await?, Leaving::Everything, flow).await;
            }
            let leaving = self.find(flow).await?;
            let mut found = Assessment::default();
            let counts = count_custom_resources(&self.hub, leaving.iter(), flow).await?;
            let parting = Parting {
                leaving: &leaving,
                wanted_namespaces: &BTreeSet::new(),
                rule: Leaving::Everything,
                why,
                counts: &counts,
            };
            part_with(&parting, self.hub.settings(), &mut found);
            if !found.going.is_empty() {
                self.hub.forget_owned();
                self.hub.forget_present();
            }
            let state = match (leaving.first(), found.going.first()) {
                (None, _) => State::Absent,
                (_, None) => State::Ready,
                (_, Some(first)) => State::Progressing(first.awaited()),
            };
            let mut seen = Seen::new(state);
            seen.notes = found.notes;
            seen.changes = found.changes;
            if !found.remove.is_empty() {
                seen.step = Some(Box::new(SetStep {
                    hub: Arc::clone(&self.hub),
                    apply: Vec::new(),
                    remove: found.remove,
                    rule: Leaving::Everything,
                }));
            }
            Ok(seen)
        }
        .boxed()
    }

    /// If this dies half way, what is left is found by its mark and removed by the next run.
    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            self.going.store(true, Ordering::Relaxed);
            let ours = self.find(&cx.flow).await?;
            remove_due(&self.hub, ours, Leaving::Everything, &cx.flow).await
        }
        .boxed()
    }
}

fn why(live: &Live) -> String {
    format!(
        "{} is no longer in the profile",
        live.label(label::SET).unwrap_or("its set").replacen('-', " ", 1)
    )
}
