use std::collections::BTreeSet;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::assess::{Assessment, part_with};
use super::hub::Hub;
use super::live::Live;
use super::records::connect;
use super::set::{Leaving, list_ours, remove_all};
use crate::base::{Fault, ResourceId, label};
use crate::engine::{Cx, Need, Resource, Seen, State, Step};
use crate::flow::Flow;

/// Objects of ours whose whole set left the profile, such as a removed addon's.
pub struct Leftovers {
    id: ResourceId,
    needs: Vec<Need>,
    hub: Arc<Hub>,
    current: BTreeSet<String>,
}

impl Leftovers {
    /// What is left of sets that are not among `current`.
    pub fn new(needs: Vec<Need>, hub: Arc<Hub>, current: BTreeSet<String>) -> Self {
        Self { id: ResourceId::new("leftovers"), needs, hub, current }
    }

    async fn find(&self, flow: &Flow) -> Result<Vec<Arc<Live>>, Fault> {
        let listed = list_ours(&self.hub, std::iter::empty(), flow).await?;
        let owner = &self.hub.settings().owner;
        Ok(listed
            .into_values()
            .flat_map(std::collections::BTreeMap::into_values)
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

    fn outline(&self) -> String {
        String::new()
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            connect(&self.hub, cx).await?;
            let left = self.find(&cx.flow).await?;
            let mut found = Assessment::default();
            let settings = self.hub.settings();
            part_with(&left, &BTreeSet::new(), Leaving::Everything, &why, settings, &mut found);
            for live in &found.going {
                self.hub.forget(&live.kind);
            }
            let state = match (left.is_empty(), found.going.is_empty()) {
                (true, _) => State::Absent,
                (false, true) => State::Ready,
                (false, false) => State::Progressing(format!("{} objects going", found.going.len())),
            };
            let mut seen = Seen::new(state);
            seen.notes = found.notes;
            if !found.remove.is_empty() {
                let step = Removal { hub: Arc::clone(&self.hub), lives: found.remove };
                seen = seen.to_change(found.changes, step);
            }
            Ok(seen)
        }
        .boxed()
    }

    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async move { remove_all(&self.hub, self.find(&cx.flow).await?, &cx.flow).await }.boxed()
    }
}

fn why(live: &Live) -> String {
    format!(
        "{} is no longer in the profile",
        live.label(label::SET).unwrap_or("its set").replacen('-', " ", 1)
    )
}

struct Removal {
    hub: Arc<Hub>,
    lives: Vec<Arc<Live>>,
}

impl Step for Removal {
    /// If this dies half way, what is left is found by its mark and removed by the next run.
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move { remove_all(&self.hub, self.lives, &cx.flow).await }.boxed()
    }
}
