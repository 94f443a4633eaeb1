use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures::future::try_join_all;

use super::container::title_elsewhere;
use super::make;
use super::port::{self, Port};
use super::store::{LABEL, Role, Store, title, title_of};
use super::users::users;
use super::volume::{self, Volume};
use crate::base::{Fault, Note};
use crate::containers::{Container, Engine};
use crate::engine::{Seen, State};
use crate::flow::Flow;

/// What goes with a lab: the registries that no other lab uses.
pub(super) struct Going {
    /// The cluster of the lab.
    cluster: String,
    /// The port of the registry that the profile declares.
    port: Option<u16>,
    /// Whether images go too.
    images: bool,
    /// The registries of the profile, those that the lab's nodes were seen to use, and, when images go too,
    /// those that no lab uses at all: by the name of the container, what it is for. The nodes are gone when
    /// it is the registry's turn.
    concerned: Mutex<BTreeMap<String, String>>,
}

/// A registry of the lab, as it is found.
struct Found {
    name: String,
    mark: String,
    container: Option<Container>,
    /// Other labs that use it.
    others: BTreeSet<String>,
    volume: Volume,
}

impl Going {
    /// What goes with the lab of `cluster`, whose profile declares `stores`.
    pub(super) fn new(stores: &[Store], cluster: String, images: bool) -> Self {
        let concerned = stores.iter().map(|store| (store.name(), store.mark())).collect();
        let port = stores.iter().find_map(|store| match store.role {
            Role::Own(port) => Some(port),
            Role::Cache(_) => None,
        });
        Self { cluster, port, images, concerned: Mutex::new(concerned) }
    }

    /// What is there of it.
    pub(super) async fn look(&self, engine: &Engine, flow: &Flow) -> Result<Seen, Fault> {
        let all = self.find(engine).await?;
        let goes = all.iter().any(|found| found.goes(self.images));
        let mut seen = Seen::new(if goes { State::Ready } else { State::Absent });
        seen.notes = all.iter().filter_map(|found| found.stays(self.images)).collect();
        if let Some(port) = self.port
            && let Port::Registry(by) = port::look(port, engine, flow).await?
        {
            let text = format!("{}: berth did not start it", title_elsewhere(port, &by));
            seen.notes.push(Note::new("kept", text));
        }
        Ok(seen)
    }

    /// Removes what goes.
    pub(super) async fn remove(&self, engine: &Engine) -> Result<(), Fault> {
        for found in self.find(engine).await?.iter().filter(|found| found.goes(self.images)) {
            if found.container.is_some() {
                make::remove(&found.name, engine).await?;
            }
            if self.images {
                volume::remove(&found.name, engine).await?;
            }
        }
        Ok(())
    }

    async fn find(&self, engine: &Engine) -> Result<Vec<Found>, Fault> {
        let containers = engine.containers_with(LABEL).await?;
        let mut users = users(engine, &containers).await?;
        let concerned = {
            let mut concerned = self.concerned.lock().unwrap_or_else(PoisonError::into_inner);
            for container in &containers {
                let users = users.get(&container.name);
                let is_used_here = users.is_some_and(|users| users.contains(&self.cluster));
                // Without that flag it may be of a lab that is being made right now.
                if is_used_here || (self.images && users.is_none()) {
                    let mark = container.labels.get(LABEL).cloned().unwrap_or_default();
                    concerned.insert(container.name.clone(), mark);
                }
            }
            concerned.clone()
        };
        let volumes = try_join_all(concerned.keys().map(|name| volume::look(name, engine))).await?;
        let found = concerned.into_iter().zip(volumes).map(|((name, mark), volume)| {
            let mut others = users.remove(&name).unwrap_or_default();
            others.remove(&self.cluster);
            let container = containers.iter().find(|container| container.name == name).cloned();
            Found { name, mark, container, others, volume }
        });
        Ok(found.collect())
    }
}

impl Found {
    fn title(&self) -> String {
        self.container.as_ref().map_or_else(|| title(&self.name, &self.mark), title_of)
    }

    fn goes(&self, images: bool) -> bool {
        self.others.is_empty() && (self.container.is_some() || (images && self.volume == Volume::Ours))
    }

    /// What stays of it, and why.
    fn stays(&self, images: bool) -> Option<Note> {
        if self.container.is_some() && !self.others.is_empty() {
            let others: Vec<String> = self.others.iter().map(|name| format!("`{name}`")).collect();
            let text = format!("{}: {} uses it too", self.title(), others.join(", "));
            return Some(Note::new("kept", text));
        }
        let volume_stays = self.others.is_empty() && !images && self.volume == Volume::Ours;
        volume_stays.then(|| {
            let text =
                format!("images of {}: volume `{}`; `--registries` removes it", self.title(), self.name);
            Note::new("kept", text)
        })
    }
}
