use std::error::Error;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::base::{Fault, FaultKind};

/// The `Status` that an API server answers a refused request with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    pub message: String,
    pub reason: String,
    pub details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Details {
    pub causes: Vec<Cause>,
    pub retry_after_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cause {
    pub reason: String,
    pub message: String,
    pub field: String,
}

/// The fault behind an answer that is no success.
pub(super) fn from_answer(attempted: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Fault {
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_else(|_| Refusal {
        message: String::from_utf8_lossy(&body[..body.len().min(300)]).trim().to_string(),
        ..Refusal::default()
    });
    let (kind, hint) = classify(status, &refusal);
    let reason = if refusal.message.is_empty() { format!("HTTP {status}") } else { refusal.message.clone() };
    let mut fault = Fault::new(kind, attempted, reason);
    fault.hint = hint;
    let asked = headers
        .get(http::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .or_else(|| refusal.details.as_ref()?.retry_after_seconds);
    if let Some(seconds) = asked {
        fault.retry_after = Some(Duration::from_secs(seconds));
    }
    fault
}

fn classify(status: StatusCode, refusal: &Refusal) -> (FaultKind, Option<String>) {
    let message = refusal.message.as_str();
    let hint = |text: &str| Some(text.to_string());
    match status.as_u16() {
        // A webhook chooses the status of its refusals itself.
        400..500 if is_denied_by_webhook(message) => (FaultKind::Invalid, None),
        401 => (
            FaultKind::Denied,
            hint(
                "the credentials are missing, expired or of another cluster: sign in again, and check this machine's clock",
            ),
        ),
        403 if message.contains("status unknown for quota") => (FaultKind::Transient, None),
        403 if message.contains("because it is being terminated") => (FaultKind::Transient, None),
        403 if message.contains("exceeded quota") => (FaultKind::Quota, None),
        403 if message.contains("violates PodSecurity") => (FaultKind::Invalid, None),
        403 => (
            FaultKind::Denied,
            hint("use credentials that may do this; `kubectl auth can-i --list` shows what these may"),
        ),
        409 if is_manager_conflict(refusal) => {
            (FaultKind::Conflict, hint("let go of the field there, or take it over with `--force-conflicts`"))
        }
        409 if refusal.reason == "AlreadyExists" => (FaultKind::Conflict, None),
        400 | 500 if is_unfit(message) => (
            FaultKind::Invalid,
            hint("this Kubernetes has no such field, or takes no such value there: correct the manifest"),
        ),
        408 | 409 | 410 | 500 | 502 | 503 | 504 => (FaultKind::Transient, None),
        429 => (FaultKind::Throttled, None),
        _ => (FaultKind::Invalid, None),
    }
}

/// Whether the object does not fit its schema, which the API server of an apply tells with status 500.
fn is_unfit(message: &str) -> bool {
    const SAID: [&str; 4] = [
        "failed to create typed patch object",
        "field not declared in schema",
        "unable to convert",
        "strict decoding error",
    ];
    SAID.iter().any(|said| message.contains(said))
}

/// Whether a webhook was asked and said no.
fn is_denied_by_webhook(message: &str) -> bool {
    message.starts_with("admission webhook \"") && message.contains(" denied the request")
}

/// Whether server-side apply was refused since another manager holds a field.
fn is_manager_conflict(refusal: &Refusal) -> bool {
    refusal
        .details
        .as_ref()
        .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "FieldManagerConflict"))
}

/// The fault behind a call that got no answer.
pub(super) fn from_transport(attempted: &str, error: &kube::Error) -> Fault {
    let words = in_plain_words(error);
    let lower = words.to_lowercase();
    if lower.contains("certificate") && (lower.contains("expired") || lower.contains("not valid")) {
        return Fault::new(FaultKind::Denied, attempted, words)
            .hint("check this machine's clock, then the certificate of the cluster");
    }
    if lower.contains("certificate") || lower.contains("unknownissuer") {
        return Fault::new(FaultKind::Invalid, attempted, words).hint(
            "the kubeconfig's authority did not sign this server's certificate: is it the right cluster?",
        );
    }
    if lower.contains("auth exec") || lower.contains("exec-plugin") || lower.contains("auth error") {
        return Fault::new(FaultKind::Denied, attempted, words)
            .hint("run the credential plugin of the kubeconfig by hand to see why it fails");
    }
    Fault::new(FaultKind::Transient, attempted, format!("no answer: {words}"))
        .hint("check that the cluster runs and that this machine reaches it")
}

/// The innermost message of an error chain: the outer ones of kube repeat it.
pub(super) fn in_plain_words(error: &dyn Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string().trim_end_matches('.').to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind_of(status: u16, body: &serde_json::Value) -> FaultKind {
        let status = StatusCode::from_u16(status).expect("a status");
        from_answer("apply", status, &HeaderMap::new(), body.to_string().as_bytes()).kind
    }

    #[test]
    fn refusals_are_classified_by_what_helps() {
        let says = |message: &str| json!({"message": message, "reason": "Forbidden"});
        assert_eq!(
            kind_of(403, &says("pods \"x\" is forbidden: status unknown for quota: q")),
            FaultKind::Transient
        );
        assert_eq!(kind_of(403, &says("exceeded quota: q, requested: pods=1")), FaultKind::Quota);
        assert_eq!(kind_of(403, &says("User \"x\" cannot patch resource")), FaultKind::Denied);
        let no = "admission webhook \"pools.example.org\" denied the request: the range is empty";
        assert_eq!(kind_of(403, &says(no)), FaultKind::Invalid);
        assert_eq!(kind_of(401, &says("Unauthorized")), FaultKind::Denied);
        assert_eq!(kind_of(503, &says("busy")), FaultKind::Transient);
        assert_eq!(kind_of(422, &says("field is immutable")), FaultKind::Invalid);
        let conflict = json!({"message": "c", "reason": "Conflict",
            "details": {"causes": [{"reason": "FieldManagerConflict", "field": ".spec.replicas"}]}});
        assert_eq!(kind_of(409, &conflict), FaultKind::Conflict);
        assert_eq!(kind_of(409, &json!({"message": "the object has been modified"})), FaultKind::Transient);
    }

    #[test]
    fn an_object_that_does_not_fit_its_schema_is_not_tried_again() {
        let says = |message: &str| json!({"message": message, "reason": "InternalError"});
        for message in [
            "failed to create typed patch object (n/c; apps/v1, Kind=Deployment): .spec.x: field not declared in schema",
            "failed to create typed patch object (n/c; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string",
            "unable to convert object to typed: x",
        ] {
            assert_eq!(kind_of(500, &says(message)), FaultKind::Invalid, "{message}");
        }
        assert_eq!(
            kind_of(400, &says("strict decoding error: unknown field \"spec.x\"")),
            FaultKind::Invalid
        );
        assert_eq!(kind_of(500, &says("etcdserver: request timed out")), FaultKind::Transient);
    }

    #[test]
    fn the_server_says_how_long_to_wait() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "3".parse().expect("a header"));
        let fault = from_answer("list", StatusCode::TOO_MANY_REQUESTS, &headers, b"slow down");
        assert_eq!(fault.retry_after, Some(Duration::from_secs(3)));
        assert_eq!(fault.reason, "slow down");
    }
}
