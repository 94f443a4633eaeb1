use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::try_join_all;

use super::assess::Assessment;
use super::hub::Hub;
use super::kinds::known_kind;
use super::object::{Kind, Object};
use crate::base::{Conflict, Fault};
use crate::flow::Flow;

/// Up to this many objects of a kind are looked up one by one before the first apply; more than
/// that are worth one metadata-only LIST of the kind.
const LOOKED_UP_SINGLY: usize = 8;

/// The titles of those of `missing` whose address is taken by an object without our label.
pub(super) async fn taken_addresses(
    hub: &Hub,
    missing: &[&Object],
    flow: &Flow,
) -> Result<BTreeSet<String>, Fault> {
    let mut taken = BTreeSet::new();
    if missing.is_empty() {
        return Ok(taken);
    }
    let namespace_kind = known_kind("v1", "Namespace").expect("namespaces are built in");
    let namespaces = hub.present(&namespace_kind, flow).await?;
    let mut by_kind: BTreeMap<&Kind, Vec<&Object>> = BTreeMap::new();
    for object in missing {
        // Kubernetes itself makes this one in every namespace: that it is there says nothing.
        if object.kind.kind == "ServiceAccount" && object.name == "default" {
            continue;
        }
        let home_exists =
            object.namespace.as_ref().is_none_or(|home| namespaces.contains(&(None, home.clone())));
        if home_exists {
            by_kind.entry(&object.kind).or_default().push(object);
        }
    }
    let mut singly: Vec<&Object> = Vec::new();
    let mut listed: Vec<(&Kind, Vec<&Object>)> = Vec::new();
    for (kind, objects) in by_kind {
        if kind.namespaced() == Some(true) && objects.len() <= LOOKED_UP_SINGLY {
            singly.extend(objects);
        } else {
            listed.push((kind, objects));
        }
    }
    let lists = try_join_all(listed.iter().map(|(kind, _)| hub.present(kind, flow))).await?;
    for ((_, objects), present) in listed.iter().zip(lists) {
        let there = objects
            .iter()
            .filter(|object| present.contains(&(object.namespace.clone(), object.name.clone())));
        taken.extend(there.map(|object| object.title()));
    }
    let found = try_join_all(singly.iter().map(|object| hub.exists(object, flow))).await?;
    taken.extend(singly.iter().zip(found).filter(|(_, found)| *found).map(|(object, _)| object.title()));
    // What another run of this environment has made since ours were listed is no stranger's.
    let kinds: BTreeSet<&Kind> =
        missing.iter().filter(|object| taken.contains(&object.title())).map(|object| &object.kind).collect();
    let since = try_join_all(kinds.into_iter().map(|kind| hub.list_labelled(kind, flow))).await?;
    for live in since.iter().flatten().filter(|live| live.is_of(&hub.settings().owner)) {
        taken.remove(&live.title());
    }
    Ok(taken)
}

/// Turns what would make a second default class beside somebody else's into a conflict.
pub(super) async fn refuse_second_defaults(
    hub: &Hub,
    found: &mut Assessment,
    flow: &Flow,
) -> Result<(), Fault> {
    let claims: Vec<Arc<Object>> =
        found.apply.iter().filter(|object| object.is_default_class()).cloned().collect();
    for object in claims {
        let owner = &hub.settings().owner;
        let listed = hub.list_owned(&object.kind, flow).await?;
        let ours: BTreeSet<&str> =
            listed.iter().filter(|live| live.is_of(owner)).map(|live| live.name.as_str()).collect();
        let holders = hub.defaults(&object.kind, flow).await?;
        let theirs = holders.into_iter().find(|name| *name != object.name && !ours.contains(name.as_str()));
        if let Some(theirs) = theirs {
            refuse(found, &object, &theirs);
        }
    }
    Ok(())
}

fn refuse(found: &mut Assessment, object: &Arc<Object>, theirs: &str) {
    let (title, kind) = (object.title(), &object.kind.kind);
    found.apply.retain(|candidate| !Arc::ptr_eq(candidate, object));
    if let Some(change) = found.changes.iter_mut().find(|change| change.subject == title) {
        let conflict = Conflict::new(
            format!("{kind} {theirs} is the default already, and somebody else made it"),
            "take the default off one of them: in the addon's options or on the other class",
        );
        *change = conflict.of(title).fields(std::mem::take(&mut change.fields));
    }
}
