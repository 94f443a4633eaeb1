use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::client::encoded;
use super::hub::Hub;
use super::live::Live;
use super::pod::{Weight, told, why, why_none};
use super::ready::{Progress, Readiness, condition};
use crate::flow::{Flow, Patience};

/// So many looks in a row a set is given before its pods are asked: what is quick costs nothing.
const PATIENT_LOOKS: usize = 10;

/// No more workloads of a set are asked for their pods at one look.
const MOST_ASKED: usize = 4;

/// No more pods of one workload are looked at.
const MOST_PODS: usize = 500;

/// Why a workload of a set is not ready, in the words of its pods.
#[derive(Debug, Clone, Default)]
pub(super) struct Reason {
    /// The workload, by its unique id, and the reason.
    found: Option<(String, String)>,
}

impl Reason {
    /// Whether it is the reason of `live`.
    pub(super) fn is_of(&self, live: &Live) -> bool {
        self.found.as_ref().is_some_and(|(uid, _)| *uid == live.uid)
    }

    /// `Deployment n/web: 0 of 1 pods available: pod web-1: ErrImagePull: ...`.
    pub(super) fn told(&self, live: &Live, why: &str) -> String {
        match &self.found {
            Some((uid, reason)) if *uid == live.uid => format!("{}: {why}: {reason}", live.title()),
            _ => format!("{}: {why}", live.title()),
        }
    }
}

/// How often in a row a set was looked at in vain, and the reason that was found last.
#[derive(Debug, Default)]
pub(super) struct Vain {
    looks: AtomicUsize,
    last: Mutex<Reason>,
}

impl Vain {
    /// Asks the pods of those workloads among `standing` that are not ready, until one explains it.
    ///
    /// Where nothing was written, so by `status` too, at the first look, else after a few. Nothing is asked
    /// for what is ready. What cannot be read explains nothing, and is no reason to fail.
    pub(super) async fn explained(
        &self,
        hub: &Hub,
        standing: &[Arc<Live>],
        readiness: Readiness,
        flow: &Flow,
    ) -> Reason {
        let mut behind: Vec<(bool, &Arc<Live>)> = standing
            .iter()
            .filter(|live| has_pods(live))
            .filter_map(|live| match readiness.of(live) {
                Progress::Ready => None,
                Progress::NotYet(_) => Some((false, live)),
                Progress::Failed(_) => Some((true, live)),
            })
            .collect();
        if behind.is_empty() {
            self.looks.store(0, Ordering::Relaxed);
            return Reason::default();
        }
        // What failed is told, so that comes first.
        behind.sort_by_key(|(has_failed, _)| !has_failed);
        let has_failed = behind.first().is_some_and(|(has_failed, _)| *has_failed);
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        if !has_failed && looks < PATIENT_LOOKS && (looks > 0 || hub.is_writing()) {
            return Reason::default();
        }
        let mut best: Option<(Weight, String, String)> = None;
        for (_, live) in behind.into_iter().take(MOST_ASKED) {
            let Some((weight, text)) = hub.why_not(live, flow).await else { continue };
            if best.as_ref().is_none_or(|(known, ..)| weight > *known) {
                best = Some((weight, live.uid.clone(), text));
            }
            if has_failed || weight == Weight::Stuck {
                break;
            }
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // At the end of a run nobody answers any more: then what was known before is still the reason.
        if best.is_some() || flow.check("ask for the reason").is_ok() {
            *last = Reason { found: best.map(|(_, uid, text)| (uid, text)) };
        }
        last.clone()
    }
}

impl Hub {
    /// What keeps a workload from being ready: what its controller says, or else its pods, or, where it has
    /// none, the events of its controller.
    async fn why_not(&self, live: &Live, flow: &Flow) -> Option<(Weight, String)> {
        if let Some(failure) =
            condition(&live.body, "ReplicaFailure").filter(|found| found["status"] == "True")
        {
            let text = |key: &str| failure[key].as_str().unwrap_or_default();
            return Some((Weight::Stuck, why_none(text("reason"), text("message"))));
        }
        let namespace = live.namespace.as_deref()?;
        let root = format!("/api/v1/namespaces/{}", encoded(namespace));
        let selector = encoded(&selector(&live.body["spec"]["selector"])?);
        let pods =
            self.items(&format!("{root}/pods?limit={MOST_PODS}&labelSelector={selector}"), flow).await?;
        if !pods.is_empty() {
            return why(&pods);
        }
        let chosen = encoded(&format!("involvedObject.uid={},reason=FailedCreate", live.uid));
        let events = self.items(&format!("{root}/events?limit=50&fieldSelector={chosen}"), flow).await?;
        let last = events.iter().max_by_key(|event| event["lastTimestamp"].as_str().unwrap_or_default())?;
        Some((Weight::Stuck, why_none("FailedCreate", last["message"].as_str().unwrap_or_default())))
    }

    /// The items of one page, asked for once.
    async fn items(&self, path: &str, flow: &Flow) -> Option<Vec<Value>> {
        const ONCE: Patience = Patience { retries: 0, ..Patience::BRIEF };
        let body = self.connected().ok()?.get(flow, ONCE, path).await.ok()??;
        let mut list: Value = serde_json::from_slice(&body).ok()?;
        list["items"].as_array_mut().map(std::mem::take)
    }
}

fn has_pods(live: &Live) -> bool {
    matches!(live.kind.kind.as_str(), "Deployment" | "DaemonSet" | "StatefulSet" | "Job") && !live.going
}

/// A selector of a workload as it is asked for: `app=web,tier in (a,b)`. `None` where it chooses nothing. Pure.
fn selector(selector: &Value) -> Option<String> {
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> =
        labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    for wish in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = wish["key"].as_str()?;
        let values: Vec<&str> =
            wish["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let values = values.join(",");
        parts.push(match wish["operator"].as_str()? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_string(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    (!parts.is_empty()).then(|| parts.join(","))
}

impl Live {
    /// Why this node is not ready, in its own words; `None` when it is.
    pub fn why_node_is_not_ready(&self) -> Option<String> {
        let Some(ready) = condition(&self.body, "Ready") else {
            return Some("it has not said that it is ready yet".to_string());
        };
        if ready["status"] == "True" {
            return None;
        }
        let text = |key: &str| ready[key].as_str().unwrap_or_default();
        Some(told(text("reason"), text("message")))
            .filter(|text| !text.is_empty())
            .or(Some("not ready".to_string()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::k8s::known_kind;

    #[test]
    fn pods_are_chosen_as_the_workload_chooses_them() {
        let wish = json!({"matchLabels": {"app": "web", "tier": "front"}, "matchExpressions": [
            {"key": "track", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "DoesNotExist"}]});
        assert_eq!(selector(&wish).as_deref(), Some("app=web,tier=front,track in (a,b),!old"));
        assert_eq!(selector(&json!({})), None, "nothing is not everything");
    }

    #[test]
    fn a_node_that_is_not_ready_says_why() {
        let node = |ready: Value| {
            let body = json!({"metadata": {"name": "lab-worker"}, "status": {"conditions": [ready]}});
            Live::new(&known_kind("v1", "Node").expect("built in"), body).why_node_is_not_ready()
        };
        let why = node(json!({"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message":
            "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network \
             plugin returns error: cni plugin not initialized"}));
        let why = why.expect("it is not ready");
        assert!(why.starts_with("KubeletNotReady: container runtime network not ready: "), "{why}");
        assert!(why.ends_with("cni plugin not initialized"), "{why}");
        assert_eq!(node(json!({"type": "Ready", "status": "True"})), None);
        assert!(node(json!({"type": "MemoryPressure", "status": "False"})).is_some());
    }
}
