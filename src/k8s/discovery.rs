use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use serde::Deserialize;

use super::hub::{GroupCell, Hub};
use super::object::{Kind, Served};
use crate::base::{Fault, FaultKind};
use crate::flow::{Flow, Patience};

/// What the API server serves in one group and version, by kind.
pub(super) type Group = BTreeMap<String, Served>;

impl Hub {
    /// How the API server serves `kind`; `None` when it does not, or not yet. It is asked once for each
    /// group and version, and again only for what it did not serve.
    pub(super) async fn discover(&self, kind: &Kind, flow: &Flow) -> Result<Option<Served>, Fault> {
        let api_version = kind.api_version();
        let cell = Arc::clone(self.groups().entry(api_version.clone()).or_default());
        let found = match cell.get_or_try_init(|| self.ask_for_group(kind, flow)).await? {
            Some(group) => group.get(&kind.kind).cloned(),
            None => self.served_once(kind, flow).await?,
        };
        if let Some(served) = &found {
            self.take_up(kind.served_as(served.clone()));
        } else {
            let mut groups = self.groups();
            if groups.get(&api_version).is_some_and(|known| Arc::ptr_eq(known, &cell)) {
                groups.remove(&api_version);
            }
        }
        Ok(found)
    }

    /// How the API server served `kind` when this environment used it first.
    async fn served_once(&self, kind: &Kind, flow: &Flow) -> Result<Option<Served>, Fault> {
        let recorded = self.recorded_kinds(flow).await?;
        let same = |known: &&Kind| Kind { served: None, ..Kind::clone(known) } == *kind;
        Ok(recorded.iter().find(same).and_then(|known| known.served.clone()))
    }

    /// What is served of the group and version of `kind`; `None` when they do not answer, as an aggregated
    /// API does whose program is down.
    async fn ask_for_group(&self, kind: &Kind, flow: &Flow) -> Result<Option<Group>, Fault> {
        let root = if kind.group.is_empty() { "/api" } else { "/apis" };
        let path = format!("{root}/{}", kind.api_version());
        match self.connected()?.get(flow, Patience::BRIEF, &path).await {
            Ok(Some(answer)) => read(&answer).map(Some).map_err(|error| {
                let reason = format!("the answer cannot be read: {error}");
                Fault::new(FaultKind::Transient, format!("read {path}"), reason)
            }),
            Ok(None) => Ok(Some(Group::new())),
            Err(fault) if fault.is_retryable() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<String, GroupCell>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(answer: &[u8]) -> Result<Group, serde_json::Error> {
    #[derive(Deserialize)]
    struct List {
        resources: Vec<Resource>,
    }
    #[derive(Deserialize)]
    struct Resource {
        name: String,
        kind: String,
        namespaced: bool,
    }
    let list: List = serde_json::from_slice(answer)?;
    // `widgets/status` is a part of a widget, and may be of another kind.
    let whole = list.resources.into_iter().filter(|resource| !resource.name.contains('/'));
    Ok(whole
        .map(|resource| (resource.kind, Served { plural: resource.name, namespaced: resource.namespaced }))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_resource_are_no_resources() {
        let answer = br#"{"kind": "APIResourceList", "resources": [
            {"name": "widgets", "kind": "Widget", "namespaced": true},
            {"name": "widgets/scale", "kind": "Scale", "namespaced": true}]}"#;
        let group = read(answer).expect("a list");
        let widgets = Served { plural: "widgets".to_string(), namespaced: true };
        assert_eq!(group, Group::from([("Widget".to_string(), widgets)]));
    }
}
