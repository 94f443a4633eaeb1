use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::client::{Client, collection_path, object_path};
use super::records::{NAMESPACE, lease_kind};
use crate::base::{Fault, FaultKind};
use crate::flow::{Background, Cancel, Flow, Notice};

/// For how long a holder that shows no sign of life is believed to live.
const LASTS: Duration = Duration::from_secs(15);
const RENEWED_EVERY: Duration = Duration::from_secs(5);

/// Whose lock it is and who wants it.
pub(super) struct LeaseSettings {
    pub name: String,
    pub labels: Value,
    /// Where the run is: `ada@laptop:/home/ada/.local/state/berth`.
    pub place: String,
    /// The run: `20261121T001500-4711`.
    pub run: String,
}

/// The courtesy lock of an environment in its cluster: a Lease that is renewed while a run writes.
/// Nothing depends on it but politeness.
pub(super) struct Lease {
    client: Client,
    path: String,
    renewal: Mutex<Option<Background>>,
}

impl Lease {
    /// Takes the lock: at once when it is free, was let go of, or is left over from a run in this
    /// place (the file lock proves that no other one lives here); after 15 s
    /// when its holder shows no sign of life meanwhile; else fails as locked.
    pub(super) async fn take(client: Client, settings: &LeaseSettings, flow: &Flow) -> Result<Self, Fault> {
        let kind = lease_kind();
        let path = object_path(&kind, Some(NAMESPACE), &settings.name);
        let attempted = "take the lock of the environment";
        let mut watched: Option<String> = None;
        loop {
            let Some(live) = super::records::get(&client, flow, &kind, &path).await? else {
                let collection = collection_path(&kind, Some(NAMESPACE));
                match client.create(flow, attempted, &collection, &body(settings, None)).await {
                    Ok(_) => break,
                    // Somebody else made it just now, or our own first attempt did: look again.
                    Err(fault) if fault.kind == FaultKind::Conflict => continue,
                    // Another environment's `down` has just removed the namespace that all share.
                    Err(fault) if fault.reason.contains(&format!("namespaces \"{NAMESPACE}\" not found")) => {
                        super::records::ensure_namespace(&client, flow).await?;
                        continue;
                    }
                    Err(fault) => return Err(fault),
                }
            };
            let holder = live.body["spec"]["holderIdentity"].as_str().unwrap_or_default().to_string();
            let renewed = live.body["spec"]["renewTime"].as_str().unwrap_or_default().to_string();
            let left_here = holder.starts_with(&format!("{} ", settings.place));
            let silent = watched.as_ref() == Some(&renewed);
            if holder.is_empty() || left_here || silent {
                let version = live.body["metadata"]["resourceVersion"].clone();
                match client.replace(flow, attempted, &path, &body(settings, Some(version))).await {
                    Ok(_) => break,
                    Err(fault) if fault.is_retryable() => {
                        flow.pause(Duration::from_millis(200), attempted).await?;
                        continue;
                    }
                    Err(fault) => return Err(fault),
                }
            }
            if watched.is_some() {
                return Err(Fault::new(FaultKind::Locked, attempted, format!("{holder} is at work on it"))
                    .hint("wait for that run to end and run the same command again"));
            }
            watched = Some(renewed);
            flow.report(Notice::Waiting(format!("waiting for {holder}")));
            flow.pause(LASTS, attempted).await?;
        }
        let renewal = renew(client.clone(), path.clone());
        Ok(Self { client, path, renewal: Mutex::new(Some(renewal)) })
    }

    /// Renews it no more, and asks nobody. Says whether it was held.
    pub(super) async fn forget(&self) -> bool {
        let renewal = self.renewal.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(renewal) = renewal else { return false };
        renewal.stop().await;
        true
    }

    /// Lets go. That it fails is no harm: the lock runs out by itself.
    pub(super) async fn release(&self, flow: &Flow) {
        if !self.forget().await {
            return;
        }
        let patch = json!({"spec": {"holderIdentity": Value::Null}});
        // A run that was stopped by a signal lets go, too: so the flow's own switch does not count here.
        let quiet = Flow::new(Cancel::default()).within_limit(Duration::from_secs(5));
        if self.client.merge(&quiet, "let go of the lock", &self.path, &patch).await.is_err() {
            flow.report(Notice::Waiting("the lock could not be let go of; it runs out in 15 s".to_string()));
        }
    }
}

fn body(settings: &LeaseSettings, version: Option<Value>) -> Value {
    let now = micro_time(Timestamp::now());
    let holder = format!("{} run {}", settings.place, settings.run);
    let mut body = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": settings.name, "namespace": NAMESPACE, "labels": settings.labels},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": LASTS.as_secs(),
                 "acquireTime": now, "renewTime": now},
    });
    if let Some(version) = version {
        body["metadata"]["resourceVersion"] = version;
    }
    body
}

fn renew(client: Client, path: String) -> Background {
    Background::every(RENEWED_EVERY, move || {
        let (client, path) = (client.clone(), path.clone());
        async move {
            let patch = json!({"spec": {"renewTime": micro_time(Timestamp::now())}});
            let flow = Flow::new(Cancel::default()).within_limit(RENEWED_EVERY);
            if let Err(fault) = client.merge(&flow, "renew the lock", &path, &patch).await {
                tracing::debug!(%fault, "the lock was not renewed");
            }
        }
    })
}

/// As Kubernetes writes a `MicroTime`.
fn micro_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
