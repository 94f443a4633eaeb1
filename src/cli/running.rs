use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::ResourceId;
use crate::engine::{Event, EventKind, Listener};

/// What a run works on at the moment, from its own events.
#[derive(Clone, Default)]
pub(super) struct Running {
    ids: Arc<Mutex<Vec<ResourceId>>>,
}

impl Running {
    /// What is being worked on.
    pub(super) fn now(&self) -> Vec<ResourceId> {
        self.ids().clone()
    }

    fn ids(&self) -> MutexGuard<'_, Vec<ResourceId>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Running {
    fn on(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Started { resource } => self.ids().push(resource.clone()),
            EventKind::Finished { resource, .. }
            | EventKind::NotReady { resource, .. }
            | EventKind::Failed { resource, .. } => {
                self.ids().retain(|id| id != resource);
            }
            _ => {}
        }
    }
}
