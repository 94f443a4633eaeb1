use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::try_join_all;
use serde_json::Value;

use super::assess::Assessment;
use super::client::Client;
use super::hub::Hub;
use super::live::Live;
use super::object::{Kind, Object, Wave};
use super::ready::{Progress, Readiness};
use crate::base::{Fault, FaultKind};
use crate::flow::Flow;

/// Whether custom resources may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gate {
    /// They may.
    Open,
    /// Not yet; the text says what is waited for.
    Closed(String),
    /// They are refused as they are; the text says why.
    Refused(String),
}

/// What tells an object from all others of its set.
type Place<'a> = (&'a str, Option<&'a str>, &'a str);

/// The workloads of a set that answer its webhooks: those behind the Services that the webhooks name, or any of
/// them where a webhook names none of the set. Pure.
pub(super) fn answering(wanted: &[Arc<Object>]) -> BTreeSet<Place<'_>> {
    let behind: Vec<_> = webhooks(wanted).map(|webhook| service_behind(webhook, wanted)).collect();
    let answers = |object: &&Arc<Object>| {
        behind.iter().any(|service| service.is_none_or(|service| selects(service, object)))
    };
    let workloads = wanted.iter().filter(|object| object.kind.wave() == Wave::Workloads);
    let found = workloads.filter(answers);
    found.map(|object| (&*object.kind.kind, object.namespace.as_deref(), &*object.name)).collect()
}

/// What is said of each webhook of admission and conversion.
fn webhooks(wanted: &[Arc<Object>]) -> impl Iterator<Item = &Value> {
    wanted.iter().flat_map(|object| {
        let admission = object.body["webhooks"].as_array().into_iter().flatten();
        admission.chain(object.body.pointer("/spec/conversion/webhook"))
    })
}

/// The Service of the set that `webhook` is asked by.
fn service_behind<'a>(webhook: &Value, wanted: &'a [Arc<Object>]) -> Option<&'a Object> {
    let named = &webhook["clientConfig"]["service"];
    let is_it = |object: &&Arc<Object>| {
        object.kind.kind == "Service"
            && named["name"] == *object.name
            && named["namespace"].as_str() == object.namespace.as_deref()
    };
    wanted.iter().find(is_it).map(|service| &**service)
}

/// Whether the pods of `workload` are behind `service`.
fn selects(service: &Object, workload: &Object) -> bool {
    let labels = &workload.body["spec"]["template"]["metadata"]["labels"];
    let selector = service.body["spec"]["selector"].as_object();
    service.namespace == workload.namespace
        && selector.is_some_and(|selector| selector.iter().all(|(key, value)| labels[key] == *value))
}

/// What the custom resources of a set wait for among its other objects, whose webhooks the workloads at
/// `answering` answer. Pure.
pub(super) fn waits_for(
    found: &Assessment,
    answering: &BTreeSet<Place<'_>>,
    readiness: Readiness,
) -> Option<String> {
    if let Some(live) = found.going.first() {
        return Some(live.awaited());
    }
    let comes_first = |live: &&Arc<Live>| match live.kind.wave() {
        Wave::Definitions => true,
        Wave::Workloads => answering.contains(&(&*live.kind.kind, live.namespace.as_deref(), &*live.name)),
        _ => false,
    };
    found.standing.iter().filter(comes_first).find_map(|live| match readiness.of(live) {
        Progress::Ready => None,
        Progress::NotYet(why) | Progress::Failed(why) => Some(found.reason.told(live, &why)),
    })
}

/// Whether the API server, and the webhooks that it asks, accept one object of each kind.
pub(super) async fn knock(hub: &Hub, held: &[Arc<Object>], flow: &Flow) -> Result<Gate, Fault> {
    let firsts: BTreeMap<&Kind, &Arc<Object>> =
        held.iter().rev().map(|object| (&object.kind, object)).collect();
    let gates = firsts.into_values().map(|object| async move {
        match hub.try_out(object, flow).await {
            Ok(()) => Ok(Gate::Open),
            Err(fault) => judge(object, fault),
        }
    });
    let gates = try_join_all(gates).await?;
    let refused = gates.iter().find(|gate| matches!(gate, Gate::Refused(_)));
    let closed = gates.iter().find(|gate| matches!(gate, Gate::Closed(_)));
    Ok(refused.or(closed).cloned().unwrap_or(Gate::Open))
}

/// What the fault of a dry run means. Pure.
fn judge(object: &Object, fault: Fault) -> Result<Gate, Fault> {
    let kind = &object.kind;
    if let Some(reason) = silent_webhook(&fault.reason) {
        return Ok(Gate::Closed(reason));
    }
    match fault.kind {
        // The definition is established a moment before its objects are served.
        _ if Client::says_not_there(&fault) => {
            Ok(Gate::Closed(format!("{} of {} is not served yet", kind.kind, kind.api_version())))
        }
        FaultKind::Invalid => Ok(Gate::Refused(format!("{}: {}", object.title(), fault.reason))),
        // The objects themselves are sent with what is allowed, and then it is told.
        FaultKind::Conflict => Ok(Gate::Open),
        _ => Err(fault),
    }
}

/// That a webhook could not be asked, in words, when `message` of an API server says so.
pub(super) fn silent_webhook(message: &str) -> Option<String> {
    if let Some((_, rest)) = message.split_once("failed calling webhook \"") {
        let (name, why) = rest.split_once("\": ")?;
        let why = why.strip_prefix("failed to call webhook: ").unwrap_or(why);
        return Some(format!("webhook {name} does not answer yet: {why}"));
    }
    let (_, rest) = message.split_once("conversion webhook for ")?;
    let (kind, why) = rest.split_once(" failed: ")?;
    Some(format!("the conversion webhook for {kind} does not answer yet: {why}"))
}

/// Why an object of `kind` cannot be made yet, in a plan. Pure.
pub(super) fn undefined(kind: &Kind) -> String {
    format!("nothing in the cluster serves `{}` of `{}` yet", kind.kind, kind.api_version())
}

/// The reason why objects that nobody serves keep a set from being whole. Pure.
pub(super) fn unserved(objects: &[Arc<Object>]) -> Option<String> {
    let first = objects.first()?;
    let others = match objects.len() - 1 {
        0 => String::new(),
        1 => ", nor 1 other object".to_string(),
        more => format!(", nor {more} other objects"),
    };
    Some(format!(
        "nothing in the cluster serves `{}` of `{}`, so {}{others} cannot be made; bring its custom resource \
         definition with the profile (an addon, `addons.NAME.manifests`) or install what brings it, then type \
         `berth up` again",
        first.kind.kind,
        first.kind.api_version(),
        first.title(),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::k8s::{Kinds, known_kind};

    fn widget() -> Object {
        let body = json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "one"}});
        Object::of(body, &Kinds::default()).expect("an object")
    }

    fn judged(kind: FaultKind, reason: &str) -> Result<Gate, Fault> {
        judge(&widget(), Fault::new(kind, "try Widget one", reason))
    }

    #[test]
    fn a_webhook_that_cannot_be_asked_is_waited_for_by_name() {
        for why in [
            "dial tcp 127.0.0.1:1: connect: connection refused",
            "no endpoints available for service \"hook\"",
            "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        ] {
            let told = format!(
                "Internal error occurred: failed calling webhook \"w.example.org\": failed to call webhook: {why}"
            );
            let expected = Gate::Closed(format!("webhook w.example.org does not answer yet: {why}"));
            assert_eq!(judged(FaultKind::Transient, &told), Ok(expected));
        }
        let told = "conversion webhook for example.org/v1, Kind=Widget failed: Post \"https://x\": EOF";
        assert!(matches!(judged(FaultKind::Transient, told), Ok(Gate::Closed(_))));
    }

    #[test]
    fn a_refusal_is_final_and_any_other_fault_is_passed_on() {
        let told = "admission webhook \"w.example.org\" denied the request: too small";
        let expected = Gate::Refused(format!("Widget one: {told}"));
        assert_eq!(judged(FaultKind::Invalid, told), Ok(expected));
        assert!(judged(FaultKind::Denied, "User \"x\" cannot patch").is_err());
        assert_eq!(
            judged(FaultKind::Invalid, "not found: 404 page not found"),
            Ok(Gate::Closed("Widget of example.org/v1 is not served yet".to_string()))
        );
    }

    #[test]
    fn only_the_workloads_that_answer_a_webhook_are_waited_for() {
        let of = |body: Value| Arc::new(Object::new(body).expect("an object"));
        let workload = |kind: &str, namespace: &str, name: &str| {
            of(
                json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace},
                      "spec": {"template": {"metadata": {"labels": {"app": name, "of": "pools"}}}}}),
            )
        };
        let wanted = [
            of(
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hooks", "namespace": "n"},
                      "spec": {"selector": {"app": "controller", "of": "pools"}}}),
            ),
            of(
                json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other", "namespace": "n"},
                      "spec": {"selector": {"app": "speaker"}}}),
            ),
            workload("Deployment", "n", "controller"),
            workload("Deployment", "m", "controller"),
            workload("DaemonSet", "n", "speaker"),
            of(
                json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                      "metadata": {"name": "pools"},
                      "webhooks": [{"name": "a", "clientConfig": {"service": {"namespace": "n", "name": "hooks"}}}]}),
            ),
        ];
        assert_eq!(answering(&wanted), BTreeSet::from([("Deployment", Some("n"), "controller")]));
        assert_eq!(answering(&wanted[..5]), BTreeSet::new());
        // One that is asked elsewhere may be answered by any of them.
        let elsewhere = json!({"apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration", "metadata": {"name": "other"},
            "webhooks": [{"name": "b", "clientConfig": {"url": "https://192.0.2.1"}}]});
        let with_it: Vec<Arc<Object>> = wanted.iter().cloned().chain([of(elsewhere)]).collect();
        assert_eq!(answering(&with_it).len(), 3);
        let converted = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.org"}, "spec": {"conversion": {"webhook":
            {"clientConfig": {"service": {"namespace": "n", "name": "other"}}}}}});
        let converted: Vec<Arc<Object>> = wanted[..5].iter().cloned().chain([of(converted)]).collect();
        assert_eq!(answering(&converted), BTreeSet::from([("DaemonSet", Some("n"), "speaker")]));

        let deployment = known_kind("apps/v1", "Deployment").expect("built in");
        let live = |namespace: &str| {
            let body = json!({"metadata": {"name": "controller", "namespace": namespace}});
            let live = Arc::new(Live::new(&deployment, body));
            Assessment { standing: vec![live], ..Assessment::default() }
        };
        let readiness = Readiness { addresses: false };
        let told = |namespace: &str| waits_for(&live(namespace), &answering(&wanted), readiness);
        assert_eq!(told("m"), None);
        assert_eq!(told("n"), Some("Deployment n/controller: not looked at yet".to_string()));
        let definition = known_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition").expect("built in");
        let live = Arc::new(Live::new(&definition, json!({"metadata": {"name": "widgets.example.org"}})));
        let found = Assessment { standing: vec![live], ..Assessment::default() };
        assert!(waits_for(&found, &BTreeSet::new(), readiness).is_some());
    }

    #[test]
    fn what_nobody_serves_is_named_with_what_to_do() {
        let yet = "nothing in the cluster serves `Widget` of `example.org/v1` yet";
        assert_eq!(undefined(&widget().kind), yet);
        assert_eq!(unserved(&[]), None);
        let object = Arc::new(widget());
        let told = unserved(&[Arc::clone(&object), object]).expect("two");
        for words in ["`Widget` of `example.org/v1`", "Widget one, nor 1 other object", "`berth up` again"] {
            assert!(told.contains(words), "{told}");
        }
    }
}
