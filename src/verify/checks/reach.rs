use std::time::Duration;

use serde_json::{Value, json};

use super::super::attempt::Canary;
use super::super::canary::{PART, service};
use super::super::check::Found;
use super::super::outside::{Answer, Outside};
use super::super::subject::Expected;
use crate::base::{Fault, label};

/// How long an address may take to be given, where somebody gives it.
const ADDRESS: Duration = Duration::from_mins(3);
/// How long it may take where nobody is known to give one.
const PERHAPS: Duration = Duration::from_secs(20);
/// How long an address or a route may take until it answers.
const ANSWERS: Duration = Duration::from_secs(90);
/// What a class is marked with that Ingress objects get which name none.
const IS_DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";

/// What is asked from outside.
#[derive(Clone, Copy)]
pub(in crate::verify) struct Target<'a> {
    /// The part that answers.
    pub(in crate::verify) part: &'a str,
    /// A word that nobody else would answer with.
    pub(in crate::verify) word: &'a str,
    pub(in crate::verify) outside: &'a Outside,
}

/// Whether the address of a Service of type `LoadBalancer` answers this machine.
pub(in crate::verify) async fn load_balancer(
    canary: &Canary<'_>,
    expected: &Expected,
    target: Target<'_>,
) -> Result<Found, Fault> {
    const NAME: &str = "load-balancer";
    let limit = match expected {
        Expected::Nobody(why) => return Ok(Found::nothing(why)),
        Expected::By(_) => ADDRESS,
        Expected::Unknown => PERHAPS,
    };
    canary.trial.put(service(NAME, target.part, "LoadBalancer"), canary.flow).await?;
    let address = canary
        .until(limit, async || {
            let service = canary.trial.get("v1", "Service", NAME, canary.flow).await?.unwrap_or_default();
            Ok(address_of(&service).ok_or_else(|| "no address came".to_string()))
        })
        .await?;
    let address = match (address, expected) {
        (Ok(address), _) => address,
        (Err(_), Expected::By(who)) => {
            let limit = limit.as_secs();
            return Ok(Found::fails(
                format!(
                    "a Service of type LoadBalancer got no address within {limit} s, though {who} gives them"
                ),
                "run it with `--keep` and look at the events of its Services",
            ));
        }
        (Err(_), _) => {
            let why =
                "nobody in this cluster gives Services of type LoadBalancer an address: addon metallb does";
            return Ok(Found::nothing(why));
        }
    };
    let url = format!("http://{}/echo?msg={}", host_of(&address), target.word);
    let answered = canary
        .until(ANSWERS, async || {
            let answer =
                canary.flow.within(ANSWERS, "ask", async { Ok(target.outside.get(&url, None).await) });
            Ok(judge(answer.await?, target.word))
        })
        .await?;
    Ok(match answered {
        Ok(()) => Found::works(format!("http://{address}/ answers this machine")),
        Err(why) => Found::fails(
            format!("the address {address} was given and does not answer this machine: {why}"),
            "see whether this machine is on the network of that address, and who announces it",
        ),
    })
}

/// Whether a host of an Ingress object is served at the address of the ingress.
pub(in crate::verify) async fn ingress(
    canary: &Canary<'_>,
    expected: &Expected,
    addresses: &[String],
    backend: &str,
    target: Target<'_>,
) -> Result<Found, Fault> {
    const NAME: &str = "ingress";
    if let Expected::Nobody(why) = expected {
        return Ok(Found::nothing(why));
    }
    let classes = canary.trial.all("networking.k8s.io/v1", "IngressClass", canary.flow).await?;
    let Some(class) = class_of(&classes) else {
        return Ok(match expected {
            Expected::By(who) => Found::fails(
                format!("there is no IngressClass, though {who} serves hosts"),
                "look at what it made: `kubectl get ingressclass`",
            ),
            _ => Found::nothing("nobody serves hosts here: addon traefik does"),
        });
    };
    let host = format!("canary.{}.test", canary.trial.namespace());
    canary.trial.put(route(NAME, &class, &host, backend), canary.flow).await?;
    let mut asked = String::new();
    let answered = canary
        .until(ANSWERS, async || {
            let ingress = canary.trial.get("networking.k8s.io/v1", "Ingress", NAME, canary.flow).await?;
            let Some(address) =
                addresses.first().cloned().or_else(|| address_of(&ingress.unwrap_or_default()))
            else {
                return Ok(Err("the ingress has no address".to_string()));
            };
            let url = format!("http://{}/echo?msg={}", host_of(&address), target.word);
            asked = address;
            let answer =
                canary.flow.within(ANSWERS, "ask", async { Ok(target.outside.get(&url, Some(&host)).await) });
            Ok(judge(answer.await?, target.word))
        })
        .await?;
    Ok(match answered {
        Ok(()) => Found::works(format!("a host of class {class} is served at http://{asked}/")),
        Err(why) if why.contains("https://") => {
            Found::nothing(format!("class {class} sends plain HTTP elsewhere, so no route was asked: {why}"))
        }
        Err(why) => Found::fails(
            format!("a host of class {class} is not served at `{asked}`: {why}"),
            "look at the logs of the ingress controller, and at the address of its Service",
        ),
    })
}

/// What an answer says: it has to be the canary's own word.
fn judge(answer: Result<Answer, String>, word: &str) -> Result<(), String> {
    match answer {
        Ok(answer) if answer.status == 200 && answer.body.trim() == word => Ok(()),
        Ok(Answer { elsewhere: Some(to), status, .. }) => {
            Err(format!("it answers {status} and sends to {to}"))
        }
        Ok(answer) if answer.status == 200 => Err("something else than the canary answers".to_string()),
        Ok(answer) => Err(format!("it answers {}", answer.status)),
        Err(why) => Err(why),
    }
}

/// The class to try: the default before others, then ours.
fn class_of(classes: &[Value]) -> Option<String> {
    let rank = |class: &&Value| {
        let metadata = &class["metadata"];
        (metadata["annotations"][IS_DEFAULT] == "true", metadata["labels"].get(label::OWNER).is_some())
    };
    classes.iter().max_by_key(rank)?["metadata"]["name"].as_str().map(str::to_string)
}

/// The first address of an object that got one.
fn address_of(object: &Value) -> Option<String> {
    let first = &object["status"]["loadBalancer"]["ingress"][0];
    first["ip"].as_str().or(first["hostname"].as_str()).map(str::to_string)
}

/// An address as a URL has it.
fn host_of(address: &str) -> String {
    match address.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => address.to_string(),
    }
}

fn route(name: &str, class: &str, host: &str, backend: &str) -> Value {
    let service = json!({"service": {"name": backend, "port": {"number": 80}}});
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "labels": {PART: name}},
        "spec": {
            "ingressClassName": class,
            "rules": [{"host": host, "http": {"paths": [
                {"path": "/", "pathType": "Prefix", "backend": service},
            ]}}],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str, elsewhere: Option<&str>) -> Answer {
        Answer { status, body: body.to_string(), elsewhere: elsewhere.map(str::to_string) }
    }

    #[test]
    fn only_the_canary_s_own_word_counts() {
        assert_eq!(judge(Ok(answer(200, "word\n", None)), "word"), Ok(()));
        let other = Err("something else than the canary answers".to_string());
        assert_eq!(judge(Ok(answer(200, "hello", None)), "word"), other);
        assert_eq!(judge(Ok(answer(404, "", None)), "word"), Err("it answers 404".to_string()));
        let moved = judge(Ok(answer(308, "", Some("https://a/"))), "word");
        assert_eq!(moved, Err("it answers 308 and sends to https://a/".to_string()));
    }

    #[test]
    fn the_default_class_is_tried_first_then_ours() {
        let class = |name: &str, default: bool, ours: bool| {
            let mut class = json!({"metadata": {"name": name, "annotations": {}, "labels": {}}});
            if default {
                class["metadata"]["annotations"][IS_DEFAULT] = json!("true");
            }
            if ours {
                class["metadata"]["labels"][label::OWNER] = json!("7f3k2q9d");
            }
            class
        };
        let classes =
            [class("other", false, false), class("ours", false, true), class("default", true, false)];
        assert_eq!(class_of(&classes).as_deref(), Some("default"));
        assert_eq!(class_of(&classes[..2]).as_deref(), Some("ours"));
        assert_eq!(class_of(&[]), None);
    }
}
