use serde_json::Value;

use super::live::Live;

/// What counts as ready on a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// Whether a Service of type `LoadBalancer` is waited for until it has an address.
    pub addresses: bool,
}

/// How far an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    Ready,
    /// It is on its way: `0 of 2 pods available`.
    NotYet(String),
    /// It will not come by itself.
    Failed(String),
}

use Progress::{Failed, NotYet, Ready};

impl Readiness {
    /// How far `live` is, by the rules of kstatus and what those leave out (the load balancer's
    /// address, the quota's status, an aggregated API that does not answer).
    pub(super) fn of(self, live: &Live) -> Progress {
        let body = &live.body;
        if live.going {
            return NotYet("going away".to_string());
        }
        let generation = number(body, "/metadata/generation");
        let observed = number(body, "/status/observedGeneration");
        if observed.is_some() && observed < generation {
            return NotYet("not looked at yet".to_string());
        }
        match live.kind.kind.as_str() {
            "Namespace" => phase(body, "Active"),
            "Deployment" => deployment(body),
            "DaemonSet" => daemon_set(body),
            "StatefulSet" => stateful_set(body),
            "Job" => job(body),
            "PersistentVolumeClaim" => phase(body, "Bound"),
            "ResourceQuota" => quota(body),
            "Service" if self.addresses => load_balancer(body),
            "CustomResourceDefinition" => condition_must_hold(body, "Established"),
            "APIService" => condition_must_hold(body, "Available"),
            "Node" => condition_must_hold(body, "Ready"),
            _ => Ready,
        }
    }
}

fn number(body: &Value, pointer: &str) -> Option<i64> {
    body.pointer(pointer).and_then(Value::as_i64)
}

pub(super) fn condition<'a>(body: &'a Value, kind: &str) -> Option<&'a Value> {
    body.pointer("/status/conditions")?.as_array()?.iter().find(|condition| condition["type"] == kind)
}

fn condition_must_hold(body: &Value, kind: &str) -> Progress {
    match condition(body, kind) {
        Some(condition) if condition["status"] == "True" => Ready,
        Some(condition) => {
            let why =
                condition["message"].as_str().or(condition["reason"].as_str()).unwrap_or("no reason given");
            NotYet(format!("not {}: {why}", kind.to_lowercase()))
        }
        None => NotYet(format!("not {} yet", kind.to_lowercase())),
    }
}

fn phase(body: &Value, wanted: &str) -> Progress {
    match body.pointer("/status/phase").and_then(Value::as_str) {
        Some(phase) if phase == wanted => Ready,
        Some(phase) => NotYet(phase.to_lowercase()),
        None => NotYet("not started".to_string()),
    }
}

fn deployment(body: &Value) -> Progress {
    let wanted = number(body, "/spec/replicas").unwrap_or(1);
    let status = |field: &str| number(body, &format!("/status/{field}")).unwrap_or(0);
    if condition(body, "Progressing").is_some_and(|found| found["reason"] == "ProgressDeadlineExceeded") {
        return Failed(format!("{} of {wanted} pods available for too long", status("availableReplicas")));
    }
    if number(body, "/status/observedGeneration").is_none() {
        return NotYet("not looked at yet".to_string());
    }
    let settled = status("updatedReplicas") >= wanted
        && status("availableReplicas") >= wanted
        && status("replicas") <= wanted
        && condition(body, "Available").is_some_and(|found| found["status"] == "True");
    if settled {
        Ready
    } else {
        let stale = wanted - status("updatedReplicas").min(wanted);
        NotYet(available(status("availableReplicas"), wanted, stale, status("replicas") > wanted))
    }
}

/// How many pods are available; where all are, what keeps them from being ready: `stale` ones are of an older
/// template, and `old_ones` still run beside them.
fn available(available: i64, wanted: i64, stale: i64, old_ones: bool) -> String {
    let count = format!("{available} of {wanted} pods available");
    match (available >= wanted, stale, old_ones) {
        (true, 1.., _) => format!("{count}, {stale} to be replaced"),
        (true, _, true) => format!("{count}, older ones still going"),
        _ => count,
    }
}

fn daemon_set(body: &Value) -> Progress {
    let status = |field: &str| number(body, &format!("/status/{field}"));
    let (Some(wanted), Some(_)) = (status("desiredNumberScheduled"), status("observedGeneration")) else {
        return NotYet("not looked at yet".to_string());
    };
    let available = status("numberAvailable").unwrap_or(0);
    let updated = status("updatedNumberScheduled").unwrap_or(0);
    if available >= wanted && updated >= wanted {
        Ready
    } else {
        NotYet(self::available(available, wanted, wanted - updated.min(wanted), false))
    }
}

fn stateful_set(body: &Value) -> Progress {
    let wanted = number(body, "/spec/replicas").unwrap_or(1);
    let ready = number(body, "/status/readyReplicas").unwrap_or(0);
    let updated = body.pointer("/status/currentRevision") == body.pointer("/status/updateRevision");
    if ready >= wanted && updated { Ready } else { NotYet(format!("{ready} of {wanted} pods ready")) }
}

fn job(body: &Value) -> Progress {
    if let Some(found) = condition(body, "Failed").filter(|found| found["status"] == "True") {
        let why = found["message"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
        return Failed(format!("the job failed{why}"));
    }
    condition_must_hold(body, "Complete")
}

/// Before the quota controller has filled in the status, everything in the namespace is refused.
fn quota(body: &Value) -> Progress {
    let keys =
        |pointer: &str| body.pointer(pointer).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    if keys("/status/hard") == keys("/spec/hard") { Ready } else { NotYet("not counted yet".to_string()) }
}

fn load_balancer(body: &Value) -> Progress {
    let wants_one = body.pointer("/spec/type").is_some_and(|kind| kind == "LoadBalancer");
    let has_one = body
        .pointer("/status/loadBalancer/ingress")
        .and_then(Value::as_array)
        .is_some_and(|addresses| !addresses.is_empty());
    if wants_one && !has_one { NotYet("no address yet".to_string()) } else { Ready }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::k8s::known_kind;

    fn progress(api_version: &str, kind: &str, body: Value) -> Progress {
        let live = Live::new(&known_kind(api_version, kind).expect("built in"), body);
        Readiness { addresses: true }.of(&live)
    }

    #[test]
    fn a_deployment_is_ready_when_its_pods_are_available() {
        let with = |available| {
            json!({"metadata": {"generation": 1}, "spec": {"replicas": 2}, "status": {"observedGeneration": 1,
                "replicas": 2, "updatedReplicas": 2, "availableReplicas": available,
                "conditions": [{"type": "Available", "status": "True"}]}})
        };
        assert_eq!(progress("apps/v1", "Deployment", with(2)), Ready);
        assert_eq!(progress("apps/v1", "Deployment", with(1)), NotYet("1 of 2 pods available".to_string()));
        let replaced = |replicas: i64, updated: i64| {
            let mut body = with(2);
            body["status"]["replicas"] = json!(replicas);
            body["status"]["updatedReplicas"] = json!(updated);
            progress("apps/v1", "Deployment", body)
        };
        assert_eq!(replaced(2, 1), NotYet("2 of 2 pods available, 1 to be replaced".to_string()));
        assert_eq!(replaced(3, 2), NotYet("2 of 2 pods available, older ones still going".to_string()));
        let fresh = json!({"metadata": {"generation": 1}, "spec": {}});
        assert!(matches!(progress("apps/v1", "Deployment", fresh), NotYet(_)));
    }

    #[test]
    fn a_status_of_an_older_generation_does_not_count() {
        let body = json!({"metadata": {"generation": 2}, "status": {"observedGeneration": 1}});
        assert!(matches!(progress("apps/v1", "DaemonSet", body), NotYet(_)));
    }

    #[test]
    fn a_load_balancer_is_ready_with_its_address() {
        let with = |status: Value| json!({"spec": {"type": "LoadBalancer"}, "status": status});
        assert_eq!(progress("v1", "Service", with(json!({}))), NotYet("no address yet".to_string()));
        assert_eq!(
            progress("v1", "Service", with(json!({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}))),
            Ready
        );
        assert_eq!(progress("v1", "Service", json!({"spec": {"type": "ClusterIP"}})), Ready);
    }

    #[test]
    fn a_quota_is_ready_when_it_counts() {
        let body = json!({"spec": {"hard": {"pods": "1"}}, "status": {}});
        assert!(matches!(progress("v1", "ResourceQuota", body), NotYet(_)));
        let body = json!({"spec": {"hard": {"pods": "1"}}, "status": {"hard": {"pods": "1"}}});
        assert_eq!(progress("v1", "ResourceQuota", body), Ready);
    }
}
