use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Method, Request, StatusCode};
use kube::client::Body;
use serde_json::Value;

use super::bearer::Bearer;
use super::object::{Kind, Object};
use super::told::without_values;
use super::{fault, held};
use crate::base::{ClusterAccess, Credential, Fault, FaultKind, SystemClock};
use crate::flow::{Flow, Limiter, Patience};

/// berth's name as a field manager.
pub(super) const MANAGER: &str = "berth";

/// Requests in flight at once: enough to hide a round trip, and below the 49 places that an API server's
/// default priority level has for all callers together (EKS best practices, "Kubernetes control plane").
/// Halved when the server throttles.
const MOST_IN_FLIGHT: usize = 32;

/// No single answer may take longer than this.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Objects per page of a LIST.
const PAGE: u32 = 5000;

/// A connection to one API server that repeats what may be repeated, visibly.
#[derive(Clone)]
pub(super) struct Client {
    inner: kube::Client,
    /// The tokens, where they end.
    bearer: Option<Arc<Bearer>>,
    limiter: Limiter,
}

/// What is sent with a write.
enum Payload<'a> {
    None,
    Json(&'static str, &'a Value),
}

impl Client {
    pub(super) async fn connect(access: &ClusterAccess) -> Result<Self, Fault> {
        let inner = super::access::connect(access).await?;
        let bearer = match &access.credential {
            Credential::Tokens(tokens) => Some(Arc::new(Bearer::new(tokens.clone(), Arc::new(SystemClock)))),
            _ => None,
        };
        Ok(Self { inner, bearer, limiter: Limiter::new(MOST_IN_FLIGHT) })
    }

    /// Whether the answer behind `fault` was 404.
    pub(super) fn says_not_there(fault: &Fault) -> bool {
        fault.reason.starts_with(NOT_FOUND)
    }

    /// How many requests are worth having in flight.
    pub(super) fn width(&self) -> usize {
        self.limiter.allowed()
    }

    /// The answer's bytes, or `None` for 404.
    pub(super) async fn get(
        &self,
        flow: &Flow,
        patience: Patience,
        path: &str,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let attempted = format!("read {path}");
        let found = flow
            .retry(patience, &attempted, || self.once(flow, &attempted, Method::GET, path, Payload::None))
            .await;
        not_found_as_none(found)
    }

    /// What the API server answers at `path`; `None` when it has nothing there.
    pub(super) async fn read(
        &self,
        flow: &Flow,
        patience: Patience,
        path: &str,
    ) -> Result<Option<Value>, Fault> {
        let Some(body) = self.get(flow, patience, path).await? else { return Ok(None) };
        let read = serde_json::from_slice(&body);
        read.map(Some).map_err(|error| unreadable(&format!("read {path}"), &error))
    }

    /// All objects of `kind` that `selector` chooses, page by page, each page handed to `take`.
    pub(super) async fn list(
        &self,
        flow: &Flow,
        kind: &Kind,
        selector: Option<&str>,
        metadata_only: bool,
        mut take: impl FnMut(&[u8]) -> Result<Option<String>, serde_json::Error>,
    ) -> Result<(), Fault> {
        let attempted = format!("list {}", plural(kind));
        let mut next: Option<String> = None;
        loop {
            let mut query = format!("limit={PAGE}");
            if let Some(selector) = selector {
                query.push_str(&format!("&labelSelector={}", encoded(selector)));
            }
            if let Some(token) = &next {
                query.push_str(&format!("&continue={}", encoded(token)));
            }
            let path = format!("{}?{query}", collection_path(kind, None));
            let accept = if metadata_only {
                "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
            } else {
                "application/json"
            };
            let body = flow
                .retry(Patience::STEADY, &attempted, || self.once_accepting(flow, &attempted, &path, accept))
                .await;
            let Some(body) = not_found_as_none(body)? else { return Ok(()) };
            next = take(&body).map_err(|error| unreadable(&attempted, &error))?;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// Applies `object` as manager `berth`, strictly validated. `force` takes fields over.
    pub(super) async fn apply(&self, flow: &Flow, object: &Object, force: bool) -> Result<Value, Fault> {
        let attempted = format!("apply {}", object.title());
        let path = format!(
            "{}?fieldManager={MANAGER}&fieldValidation=Strict&force={force}",
            object_path(&object.kind, object.namespace.as_deref(), &object.name)
        );
        self.write(
            flow,
            &attempted,
            Method::PATCH,
            &path,
            Payload::Json("application/apply-patch+yaml", &object.body),
        )
        .await
        .map_err(|fault| Fault { reason: without_values(&object.body, fault.reason.clone()), ..fault })
    }

    /// Has the API server judge `object` as [`Client::apply`] would send it, webhooks included, and keep
    /// nothing of it. What a webhook makes of it is told at once: the caller knows how long to wait for one.
    pub(super) async fn dry_run(&self, flow: &Flow, object: &Object, force: bool) -> Result<(), Fault> {
        let attempted = format!("try {}", object.title());
        let path = format!(
            "{}?fieldManager={MANAGER}&fieldValidation=Strict&force={force}&dryRun=All",
            object_path(&object.kind, object.namespace.as_deref(), &object.name)
        );
        let judged = flow.retry(Patience::STEADY, &attempted, || async {
            let payload = Payload::Json("application/apply-patch+yaml", &object.body);
            match self.once(flow, &attempted, Method::PATCH, &path, payload).await {
                Ok(_) => Ok(Ok(())),
                Err(fault) if fault.is_retryable() && held::silent_webhook(&fault.reason).is_none() => {
                    Err(fault)
                }
                Err(fault) => Ok(Err(fault)),
            }
        });
        judged.await?
    }

    /// Merges `patch` into the object at `path`.
    pub(super) async fn merge(
        &self,
        flow: &Flow,
        attempted: &str,
        path: &str,
        patch: &Value,
    ) -> Result<Value, Fault> {
        let path = format!("{path}?fieldManager={MANAGER}");
        self.write(
            flow,
            attempted,
            Method::PATCH,
            &path,
            Payload::Json("application/merge-patch+json", patch),
        )
        .await
    }

    /// Makes the object `body` in the collection at `path`.
    pub(super) async fn create(
        &self,
        flow: &Flow,
        attempted: &str,
        path: &str,
        body: &Value,
    ) -> Result<Value, Fault> {
        let path = format!("{path}?fieldManager={MANAGER}");
        self.write(flow, attempted, Method::POST, &path, Payload::Json("application/json", body)).await
    }

    /// Replaces the object at `path`; refused when it changed since `body` was read.
    pub(super) async fn replace(
        &self,
        flow: &Flow,
        attempted: &str,
        path: &str,
        body: &Value,
    ) -> Result<Value, Fault> {
        let path = format!("{path}?fieldManager={MANAGER}");
        let body =
            self.once(flow, attempted, Method::PUT, &path, Payload::Json("application/json", body)).await?;
        serde_json::from_slice(&body).map_err(|error| unreadable(attempted, &error))
    }

    /// Deletes the object at `path` if it still has `uid`; `None` when it was gone already.
    /// Otherwise the answer: a `Status` when it is gone, the object when it is going.
    pub(super) async fn delete(
        &self,
        flow: &Flow,
        attempted: &str,
        path: &str,
        uid: &str,
    ) -> Result<Option<Value>, Fault> {
        let options = serde_json::json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "propagationPolicy": "Background", "preconditions": {"uid": uid},
        });
        let answer = self
            .write(flow, attempted, Method::DELETE, path, Payload::Json("application/json", &options))
            .await;
        not_found_as_none(answer)
    }

    /// Asks for a pod to leave its node. What its disruption budget does not allow now is no fault.
    pub(super) async fn evict(&self, flow: &Flow, pod: &Value) -> Result<Evicted, Fault> {
        let text = |key: &str| pod["metadata"][key].as_str().unwrap_or_default();
        let (namespace, name) = (text("namespace"), text("name"));
        let attempted = format!("evict pod {namespace}/{name}");
        let path = format!("/api/v1/namespaces/{}/pods/{}/eviction", encoded(namespace), encoded(name));
        let eviction = serde_json::json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"namespace": namespace, "name": name},
            "deleteOptions": {"preconditions": {"uid": text("uid")}},
        });
        let payload = Payload::Json("application/json", &eviction);
        match self.once(flow, &attempted, Method::POST, &path, payload).await {
            Ok(_) => Ok(Evicted::Going),
            Err(fault) if Self::says_not_there(&fault) || fault.kind == FaultKind::Conflict => {
                Ok(Evicted::Going)
            }
            // 429 is the answer of a budget; a hiccup is asked again in the next round.
            Err(fault) if fault.is_retryable() => Ok(Evicted::NotNow(fault.reason)),
            Err(fault) => Err(fault),
        }
    }

    async fn write(
        &self,
        flow: &Flow,
        attempted: &str,
        method: Method,
        path: &str,
        payload: Payload<'_>,
    ) -> Result<Value, Fault> {
        let body = flow
            .retry(Patience::STEADY, attempted, || {
                let payload = match &payload {
                    Payload::None => Payload::None,
                    Payload::Json(kind, value) => Payload::Json(kind, value),
                };
                self.once(flow, attempted, method.clone(), path, payload)
            })
            .await?;
        serde_json::from_slice(&body).map_err(|error| unreadable(attempted, &error))
    }

    async fn once_accepting(
        &self,
        flow: &Flow,
        attempted: &str,
        path: &str,
        accept: &str,
    ) -> Result<Vec<u8>, Fault> {
        let request = Request::get(path).header("accept", accept).body(Body::empty());
        self.send(flow, attempted, request).await
    }

    async fn once(
        &self,
        flow: &Flow,
        attempted: &str,
        method: Method,
        path: &str,
        payload: Payload<'_>,
    ) -> Result<Vec<u8>, Fault> {
        let request = Request::builder().method(method).uri(path).header("accept", "application/json");
        let request = match payload {
            Payload::None => request.body(Body::empty()),
            Payload::Json(content_type, value) => {
                request.header("content-type", content_type).body(Body::from(value.to_string().into_bytes()))
            }
        };
        self.send(flow, attempted, request).await
    }

    async fn send(
        &self,
        flow: &Flow,
        attempted: &str,
        request: Result<Request<Body>, http::Error>,
    ) -> Result<Vec<u8>, Fault> {
        let mut request =
            request.map_err(|error| Fault::new(FaultKind::Bug, attempted, error.to_string()))?;
        let _place = self.limiter.enter().await;
        let pass = match &self.bearer {
            Some(bearer) => Some((bearer, bearer.pass().await?)),
            None => None,
        };
        if let Some((_, pass)) = &pass {
            request.headers_mut().insert(AUTHORIZATION, pass.header.clone());
        }
        let answer = flow.within(ANSWER_LIMIT, attempted, async {
            let response =
                self.inner.send(request).await.map_err(|error| fault::from_transport(attempted, &error))?;
            let (head, body) = response.into_parts();
            let body =
                body.collect_bytes().await.map_err(|error| fault::from_transport(attempted, &error))?;
            if head.status.is_success() {
                return Ok(body.to_vec());
            }
            let mut fault = fault::from_answer(attempted, head.status, &head.headers, &body);
            if head.status == StatusCode::NOT_FOUND {
                fault.reason = format!("{NOT_FOUND}{}", fault.reason);
            }
            if let Some((bearer, pass)) = &pass
                && head.status == StatusCode::UNAUTHORIZED
            {
                bearer.refused();
                if pass.used {
                    fault.kind = FaultKind::Transient;
                }
            }
            Err(fault)
        });
        let answer = answer.await;
        match &answer {
            Err(fault) if fault.kind == FaultKind::Throttled => self.limiter.throttled(),
            _ => self.limiter.answered(),
        }
        answer
    }
}

/// What became of asking a pod to leave its node.
pub(super) enum Evicted {
    /// It goes, or is gone.
    Going,
    /// Not now, for this reason.
    NotNow(String),
}

/// Marks the faults of answers 404, which callers that look for a thing take for "not there".
const NOT_FOUND: &str = "not found: ";

fn not_found_as_none<T>(answer: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(fault) if Client::says_not_there(&fault) => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn unreadable(attempted: &str, error: &serde_json::Error) -> Fault {
    Fault::new(FaultKind::Transient, attempted, format!("the answer cannot be read: {error}"))
}

/// `/api/v1/namespaces/NS/services` or, without a namespace, the whole cluster's.
pub(super) fn collection_path(kind: &Kind, namespace: Option<&str>) -> String {
    let root = if kind.group.is_empty() { "/api" } else { "/apis" };
    let api = kind.api_version();
    match namespace {
        Some(namespace) => format!("{root}/{api}/namespaces/{namespace}/{}", plural(kind)),
        None => format!("{root}/{api}/{}", plural(kind)),
    }
}

fn plural(kind: &Kind) -> &str {
    &kind.served.as_ref().expect("sets ask how a kind is served before they ask for its objects").plural
}

/// The path of one object.
pub(super) fn object_path(kind: &Kind, namespace: Option<&str>, name: &str) -> String {
    format!("{}/{}", collection_path(kind, namespace), encoded(name))
}

/// Percent-encoded for a path or a query.
pub(super) fn encoded(text: &str) -> String {
    const PLAIN: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(text, &PLAIN).to_string()
}
