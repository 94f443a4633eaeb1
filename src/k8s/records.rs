use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::client::{Client, collection_path, object_path};
use super::hub::Hub;
use super::kinds::known_kind;
use super::live::Live;
use super::object::{Kind, Object};
use crate::base::{Fault, FaultKind, Owner, ResourceId, label};
use crate::engine::{Cx, Need, Resource, Seen, State};
use crate::flow::{Flow, Notice, Patience};

/// The namespace of berth's own records; all environments of a cluster share it.
pub(super) const NAMESPACE: &str = "berth-system";

/// What berth keeps about an environment in its cluster: the kinds it ever used and the courtesy
/// lock. A resource of its own, so that `down` takes it away last.
pub struct Records {
    id: ResourceId,
    inside: ResourceId,
    hub: Arc<Hub>,
}

impl Records {
    /// The records of the hub's environment, inside the cluster `inside`.
    pub fn new(hub: Arc<Hub>, inside: ResourceId) -> Self {
        Self { id: ResourceId::new("records"), inside, hub }
    }
}

impl Resource for Records {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Inside(self.inside.clone())]
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            connect(&self.hub, cx).await?;
            // Another environment's `down` may have taken the kinds away under the hands of a run, which then
            // took its lock again.
            if read(&self.hub, &cx.flow).await?.is_some() || lock_is_there(&self.hub, &cx.flow).await? {
                return Ok(Seen::new(State::Ready));
            }
            let path = object_path(&namespace_kind(), None, NAMESPACE);
            let namespace = get(self.hub.connected()?, &cx.flow, &namespace_kind(), &path).await?;
            Ok(Seen::new(match namespace {
                Some(live) if live.going => State::Progressing(format!("{} is going", live.title())),
                _ => State::Absent,
            }))
        }
        .boxed()
    }

    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async move {
            let owner = &self.hub.settings().owner;
            let client = self.hub.connected()?;
            self.hub.close(&cx.flow).await;
            for kind in [lease_kind(), config_map_kind()] {
                let path = object_path(&kind, Some(NAMESPACE), &name(owner));
                if let Some(live) = get(client, &cx.flow, &kind, &path).await? {
                    client.delete(&cx.flow, &format!("remove {}", live.title()), &path, &live.uid).await?;
                }
            }
            remove_namespace_if_unused(client, &cx.flow).await
        }
        .boxed()
    }
}

/// Connects the hub by the access that the cluster published.
pub(super) async fn connect(hub: &Hub, cx: &Cx) -> Result<(), Fault> {
    let access = cx.outputs.cluster_access().ok_or_else(|| {
        Fault::new(
            FaultKind::Bug,
            "reach the cluster",
            "it was asked for before the cluster published its address",
        )
    })?;
    hub.connect(access).await
}

/// The name of an environment's records.
pub(super) fn name(owner: &Owner) -> String {
    format!("berth-{}", owner.id)
}

/// The labels of an environment's records. They belong to no set, so that no set prunes them.
pub(super) fn labels(owner: &Owner) -> Value {
    json!({label::OWNER: owner.id, label::ENVIRONMENT: owner.environment})
}

/// Makes the namespace of the records, if it is not there; waits for one that is going to be gone.
pub(super) async fn ensure_namespace(client: &Client, flow: &Flow) -> Result<(), Fault> {
    let kind = namespace_kind();
    let path = object_path(&kind, None, NAMESPACE);
    while let Some(live) = get(client, flow, &kind, &path).await? {
        if !live.going {
            return Ok(());
        }
        flow.report(Notice::Waiting(format!("waiting until the old {} is gone", live.title())));
        flow.pause(Duration::from_millis(200), "wait until the old namespace of the records is gone").await?;
    }
    let body = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {
            "app.kubernetes.io/managed-by": "berth",
            "pod-security.kubernetes.io/enforce": "restricted",
        }},
    });
    let namespace = Object { kind, namespace: None, name: NAMESPACE.to_string(), home: None, body };
    client.apply(flow, &namespace, true).await.map(|_| ())
}

/// The kinds recorded in the cluster; none when there is no record.
pub(super) async fn read_kinds(hub: &Hub, flow: &Flow) -> Result<BTreeSet<Kind>, Fault> {
    let Some(live) = read(hub, flow).await? else { return Ok(BTreeSet::new()) };
    let text = live.body["data"]["kinds"].as_str().unwrap_or("[]");
    let kinds: BTreeSet<Kind> = serde_json::from_str(text).map_err(|error| {
        Fault::new(
            FaultKind::Invalid,
            format!("read {}", live.title()),
            format!("its `kinds` are no list: {error}"),
        )
        .hint("restore that ConfigMap, or delete it: then berth forgets kinds that left the profile")
    })?;
    Ok(kinds.into_iter().filter(|kind| kind.served.is_some()).collect())
}

/// Records the kinds that this environment may use, with those that it used before.
pub(super) async fn write_kinds(hub: &Hub, wanted: &BTreeSet<Kind>, flow: &Flow) -> Result<(), Fault> {
    let recorded = hub.recorded_kinds(flow).await?;
    if wanted.is_subset(recorded) {
        return Ok(());
    }
    let kinds: BTreeSet<&Kind> = recorded.union(wanted).collect();
    let text = serde_json::to_string(&kinds)
        .map_err(|error| Fault::new(FaultKind::Bug, "record the kinds in use", error.to_string()))?;
    let owner = &hub.settings().owner;
    let kind = config_map_kind();
    let body = json!({
        "apiVersion": kind.api_version(), "kind": kind.kind,
        "metadata": {"name": name(owner), "namespace": NAMESPACE, "labels": labels(owner)},
        "data": {"kinds": text},
    });
    let record = Object { kind, namespace: Some(NAMESPACE.to_string()), name: name(owner), home: None, body };
    hub.connected()?.apply(flow, &record, true).await.map(|_| ())
}

async fn read(hub: &Hub, flow: &Flow) -> Result<Option<Live>, Fault> {
    let kind = config_map_kind();
    let path = object_path(&kind, Some(NAMESPACE), &name(&hub.settings().owner));
    get(hub.connected()?, flow, &kind, &path).await
}

async fn lock_is_there(hub: &Hub, flow: &Flow) -> Result<bool, Fault> {
    let kind = lease_kind();
    let path = object_path(&kind, Some(NAMESPACE), &name(&hub.settings().owner));
    Ok(get(hub.connected()?, flow, &kind, &path).await?.is_some())
}

pub(super) async fn get(
    client: &Client,
    flow: &Flow,
    kind: &Kind,
    path: &str,
) -> Result<Option<Live>, Fault> {
    let Some(body) = client.get(flow, Patience::STEADY, path).await? else { return Ok(None) };
    let body = serde_json::from_slice(&body)
        .map_err(|error| Fault::new(FaultKind::Transient, format!("read {path}"), error.to_string()))?;
    Ok(Some(Live::new(kind, body)))
}

/// Removes the shared namespace when no other environment keeps records in it.
async fn remove_namespace_if_unused(client: &Client, flow: &Flow) -> Result<(), Fault> {
    let path = format!(
        "{}?labelSelector={}",
        collection_path(&config_map_kind(), Some(NAMESPACE)),
        "berth.dev%2Fowner"
    );
    let others = client.get(flow, Patience::STEADY, &path).await?;
    let empty = others
        .and_then(|body| serde_json::from_slice::<Value>(&body).ok())
        .is_some_and(|list| list["items"].as_array().is_some_and(Vec::is_empty));
    let path = object_path(&namespace_kind(), None, NAMESPACE);
    let namespace = get(client, flow, &namespace_kind(), &path).await?;
    if let Some(ours) = namespace.filter(|namespace| empty && namespace.applied.is_some()) {
        client.delete(flow, &format!("remove {}", ours.title()), &path, &ours.uid).await?;
    }
    Ok(())
}

fn built_in(api_version: &str, kind: &str) -> Kind {
    known_kind(api_version, kind).expect("the kinds of the records are in the table of built-in kinds")
}

/// The kinds of the records themselves.
pub(super) fn kinds() -> [Kind; 2] {
    [config_map_kind(), lease_kind()]
}

fn namespace_kind() -> Kind {
    built_in("v1", "Namespace")
}

fn config_map_kind() -> Kind {
    built_in("v1", "ConfigMap")
}

pub(super) fn lease_kind() -> Kind {
    built_in("coordination.k8s.io/v1", "Lease")
}
