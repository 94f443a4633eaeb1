use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::client::{Client, collection_path, encoded, object_path};
use super::hub::Hub;
use super::kinds::known_kind;
use super::live::Live;
use super::object::{Kind, Object};
use super::records;
use super::volumes;
use crate::base::{Fault, FaultKind, Owner, label};
use crate::flow::{Cancel, Flow, Notice, Patience};

/// Which place a trial was made from: runs in one place exclude each other.
const PLACE: &str = "berth.dev/place";
/// When a trial of another place is certainly over.
const UNTIL: &str = "berth.dev/until";

/// How often it is looked whether something came or went.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How long asking for the removal of a namespace may take.
const LEAVING: Duration = Duration::from_secs(10);

/// What a trial is for.
#[derive(Debug, Clone, Copy)]
pub struct Purpose<'a> {
    /// One word for names and labels: `verify`.
    pub name: &'a str,
    /// The present moment.
    pub now: Timestamp,
    /// How long it may last at the most.
    pub lasts: Duration,
}

/// A namespace of its own in which something is tried out, and which goes again with all in it.
///
/// It belongs to no set, so that no `up` takes it for something that left the profile. What a killed run
/// left goes with the next trial, or with `down`.
pub struct Trial {
    client: Client,
    owner: Owner,
    namespace: String,
    uid: String,
}

impl Trial {
    /// Removes what killed runs left, then makes a namespace for `purpose`. The hub has to be connected.
    ///
    /// If this dies half way, what stands carries its marks, and the next trial removes it.
    pub async fn open(hub: &Hub, purpose: &Purpose<'_>, flow: &Flow) -> Result<Self, Fault> {
        Self::sweep(hub, purpose.now, flow).await?;
        let settings = hub.settings();
        let namespace = format!("berth-{}-{}", purpose.name, settings.run.as_str().to_lowercase());
        let end = purpose.now.saturating_add(purpose.lasts).unwrap_or(purpose.now);
        let body = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "name": namespace,
                "labels": {
                    label::OWNER: settings.owner.id, label::ENVIRONMENT: settings.owner.environment,
                    label::TRIAL: purpose.name,
                    "app.kubernetes.io/managed-by": "berth",
                    "pod-security.kubernetes.io/enforce": "restricted",
                },
                "annotations": {PLACE: settings.place, UNTIL: end.to_string()},
            },
        });
        let kind = namespace_kind();
        let object = Object { kind, namespace: None, name: namespace.clone(), home: None, body };
        let client = hub.connected()?.clone();
        let answer = client.apply(flow, &object, true).await?;
        let uid = answer["metadata"]["uid"].as_str().unwrap_or_default().to_string();
        let trial = Self { client, owner: settings.owner.clone(), namespace, uid };
        if let Err(fault) = trial.wait_for_account(flow).await {
            // The run was stopped or its time is over: so a flow of its own.
            trial.leave(&Flow::new(Cancel::default()).within_limit(LEAVING)).await?;
            return Err(fault);
        }
        Ok(trial)
    }

    /// Removes what killed runs of this environment left, without waiting until it is gone.
    pub async fn sweep(hub: &Hub, now: Timestamp, flow: &Flow) -> Result<(), Fault> {
        for live in Self::standing(hub, flow).await? {
            if live.going || !is_left(&live, &hub.settings().place, now) {
                continue;
            }
            remove(hub.connected()?, &live.name, &live.uid, flow).await?;
        }
        Ok(())
    }

    /// Every trial of this environment that is there, also those that are going.
    pub async fn standing(hub: &Hub, flow: &Flow) -> Result<Vec<Live>, Fault> {
        let found = hub.list_labelled(&namespace_kind(), flow).await?;
        let owner = &hub.settings().owner;
        let ours = found.iter().filter(|live| live.is_of(owner) && live.label(label::TRIAL).is_some());
        Ok(ours.map(|live| Live::clone(live)).collect())
    }

    /// Whether a trial of this environment stood when its namespaces were listed, once for each run.
    pub async fn seen(hub: &Hub, flow: &Flow) -> Result<bool, Fault> {
        let found = hub.list_owned(&namespace_kind(), flow).await?;
        Ok(found.iter().any(|live| live.is_of(&hub.settings().owner) && live.label(label::TRIAL).is_some()))
    }

    /// Removes all trials of this environment, whoever works with them, without waiting until they are gone.
    pub async fn remove_all(hub: &Hub, flow: &Flow) -> Result<(), Fault> {
        for live in Self::standing(hub, flow).await?.iter().filter(|live| !live.going) {
            remove(hub.connected()?, &live.name, &live.uid, flow).await?;
        }
        Ok(())
    }

    /// The name of the namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Applies `body`, an object of a built-in kind, in the namespace and with the owner mark.
    pub async fn put(&self, mut body: Value, flow: &Flow) -> Result<Value, Fault> {
        body["metadata"]["namespace"] = Value::from(self.namespace.as_str());
        body["metadata"]["labels"][label::OWNER] = Value::from(self.owner.id.as_str());
        body["metadata"]["labels"][label::ENVIRONMENT] = Value::from(self.owner.environment.as_str());
        let object = Object::new(body)
            .map_err(|error| Fault::new(FaultKind::Bug, "make a part of a trial", error.to_string()))?;
        self.client.apply(flow, &object, true).await
    }

    /// The object `name` of a built-in kind in the namespace.
    pub async fn get(
        &self,
        api_version: &str,
        kind: &str,
        name: &str,
        flow: &Flow,
    ) -> Result<Option<Value>, Fault> {
        let kind = built_in(api_version, kind)?;
        self.read(&object_path(&kind, Some(&self.namespace), name), flow).await
    }

    /// The pods in the namespace whose label `key` is `value`.
    pub async fn pods(&self, key: &str, value: &str, flow: &Flow) -> Result<Vec<Value>, Fault> {
        let pods = collection_path(&built_in("v1", "Pod")?, Some(&self.namespace));
        let selector = encoded(&format!("{key}={value}"));
        Ok(items(self.read(&format!("{pods}?labelSelector={selector}"), flow).await?))
    }

    /// Everything of a built-in kind in the cluster.
    pub async fn all(&self, api_version: &str, kind: &str, flow: &Flow) -> Result<Vec<Value>, Fault> {
        let path = collection_path(&built_in(api_version, kind)?, None);
        Ok(items(self.read(&path, flow).await?))
    }

    /// What the API server answers at `path`; `None` when it has nothing there.
    pub async fn read(&self, path: &str, flow: &Flow) -> Result<Option<Value>, Fault> {
        self.client.read(flow, Patience::BRIEF, path).await
    }

    /// Starts the removal of the namespace with all in it, and of the volumes that were made for its claims. What may
    /// stay behind is told in words.
    pub async fn leave(&self, flow: &Flow) -> Result<Vec<String>, Fault> {
        remove(&self.client, &self.namespace, &self.uid, flow).await
    }

    /// Removes the namespace likewise, and waits until it is gone.
    pub async fn close(&self, flow: &Flow) -> Result<Vec<String>, Fault> {
        let stay = self.leave(flow).await?;
        let kind = namespace_kind();
        let path = object_path(&kind, None, &self.namespace);
        while let Some(live) = records::get(&self.client, flow, &kind, &path).await? {
            flow.report(Notice::Waiting(live.awaited()));
            flow.pause(LOOK_AGAIN, &format!("remove {}", live.title())).await?;
        }
        Ok(stay)
    }

    /// Pods can be made once the account stands that they run as.
    async fn wait_for_account(&self, flow: &Flow) -> Result<(), Fault> {
        let attempted = format!("wait until pods can be made in namespace {}", self.namespace);
        while self.get("v1", "ServiceAccount", "default", flow).await?.is_none() {
            flow.pause(LOOK_AGAIN / 2, &attempted).await?;
        }
        Ok(())
    }
}

/// Whether nobody works with a trial any more: the lock of this place proves it for those that were made
/// here, its own end for the others.
fn is_left(live: &Live, place: &str, now: Timestamp) -> bool {
    let is_over = || {
        let end = live.annotation(UNTIL).and_then(|text| text.parse::<Timestamp>().ok());
        end.is_none_or(|end| end < now)
    };
    live.annotation(PLACE) == Some(place) || is_over()
}

/// What may stay behind is told in words.
async fn remove(client: &Client, namespace: &str, uid: &str, flow: &Flow) -> Result<Vec<String>, Fault> {
    let stay = match volumes::let_go(client, namespace, flow).await {
        Ok(stay) => stay,
        // Who may not change volumes can remove the namespace all the same.
        Err(fault) if fault.kind == FaultKind::Denied => vec![fault.to_string()],
        Err(fault) => return Err(fault),
    };
    for told in &stay {
        flow.report(Notice::Waiting(told.clone()));
    }
    let path = object_path(&namespace_kind(), None, namespace);
    client.delete(flow, &format!("remove Namespace {namespace}"), &path, uid).await.map(|_| stay)
}

fn items(list: Option<Value>) -> Vec<Value> {
    match list.map(|mut list| list["items"].take()) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

fn namespace_kind() -> Kind {
    known_kind("v1", "Namespace").expect("namespaces are built in")
}

fn built_in(api_version: &str, kind: &str) -> Result<Kind, Fault> {
    known_kind(api_version, kind).ok_or_else(|| {
        Fault::new(FaultKind::Bug, "look at a trial", format!("{kind} of {api_version} is not built in"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_left_when_its_place_says_so_or_its_time_is_over() {
        let kind = namespace_kind();
        let made = |place: &str, until: &str| {
            let annotations = json!({PLACE: place, UNTIL: until});
            Live::new(&kind, json!({"metadata": {"name": "t", "annotations": annotations}}))
        };
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().expect("a time");
        let (later, before) = ("2026-11-21T12:05:00Z", "2026-11-21T11:59:59Z");
        assert!(is_left(&made("ada@here:/state", later), "ada@here:/state", now));
        assert!(!is_left(&made("bob@there:/state", later), "ada@here:/state", now));
        assert!(is_left(&made("bob@there:/state", before), "ada@here:/state", now));
    }
}
