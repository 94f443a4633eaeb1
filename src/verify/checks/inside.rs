use std::time::Duration;

use super::super::attempt::{Attempt, Canary, Connection};
use super::super::check::Found;
use super::super::policy::at;
use crate::base::Fault;

/// How long names may take to be known: the DNS of a fresh cluster answers some seconds after it is ready.
const NAMES: Duration = Duration::from_secs(45);
/// How long a Service may take until it leads to its pod.
const ROUTES: Duration = Duration::from_secs(30);

/// What a pod asks for by name: the cluster's own Service, and one of the canary.
const CLUSTER_NAME: &str = "kubernetes.default.svc:443";

/// Whether a pod can resolve the names of Services. Whether anybody answers there is not asked.
pub(in crate::verify) async fn dns(canary: &Canary<'_>, service: &str) -> Result<Found, Fault> {
    let own = format!("{service}.{}.svc:80", canary.trial.namespace());
    let mut number = 0;
    let found = canary
        .until(NAMES, async || {
            number += 1;
            for (index, name) in [CLUSTER_NAME, &own].into_iter().enumerate() {
                let job = format!("dns-{number}-{index}");
                let connection = Connection { name: &job, part: "dns", first: None, to: name };
                match canary.attempt(&connection).await? {
                    Attempt::Connected | Attempt::Unanswered(_) => {}
                    Attempt::NoName(said) => return Ok(Err(said)),
                    Attempt::NotMade(why) => return Ok(Ok(Some(why))),
                }
            }
            Ok(Ok(None))
        })
        .await?;
    let without_port = own.trim_end_matches(":80");
    Ok(match found {
        Ok(None) => Found::works(format!("a pod resolves kubernetes.default.svc and {without_port}")),
        Ok(Some(why)) => Found::fails(why, "run it with `--keep` and look at the events in its namespace"),
        Err(said) => Found::fails(
            format!("a pod cannot resolve the names of Services: {said}"),
            "look at the pods and logs of the cluster's DNS: `kubectl -n kube-system get pods -l k8s-app=kube-dns`",
        ),
    })
}

/// Whether the address of a Service leads to its pod.
pub(in crate::verify) async fn service(canary: &Canary<'_>, address: &str) -> Result<Found, Fault> {
    let to = at(address, 80);
    let mut number = 0;
    let found = canary
        .until(ROUTES, async || {
            number += 1;
            let job = format!("service-{number}");
            let connection = Connection { name: &job, part: "service", first: None, to: &to };
            Ok(match canary.attempt(&connection).await? {
                Attempt::Connected => Ok(None),
                Attempt::Unanswered(how) | Attempt::NoName(how) => Err(how),
                Attempt::NotMade(why) => Ok(Some(why)),
            })
        })
        .await?;
    Ok(match found {
        Ok(None) => Found::works(format!("a pod reaches another one through the Service at {address}")),
        Ok(Some(why)) => Found::fails(why, "run it with `--keep` and look at the events in its namespace"),
        Err(how) => Found::fails(
            format!("nobody answers a pod at the address of a Service, {to}: {how}"),
            "look at kube-proxy, or what stands in its place: `kubectl -n kube-system get pods`",
        ),
    })
}
