use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared, join_all};
use serde_json::Value;

use super::attempt::{Canary, START};
use super::canary::{PORT, deployment, pod, server, service};
use super::check::{Check, Found, Report};
use super::checks;
use super::outside::Outside;
use super::pod::Place;
use super::policy::Truth;
use super::subject::{Expected, Group, Subject};
use super::truth::keep;
use crate::base::{Fault, FaultKind};
use crate::flow::{Cancel, Flow};
use crate::k8s::{Hub, Purpose, Trial};

/// How long the canary may take to go; a Ctrl-C waits for it, too.
const GOING: Duration = Duration::from_secs(45);
/// How long keeping what was found out may take.
const KEEPING: Duration = Duration::from_secs(15);
/// The part that answers, and its Service.
const TARGET: &str = "target";
/// By this annotation kwok knows the nodes that it plays.
const PLAYED: &str = "kwok.x-k8s.io/node";

/// What stays behind when an examination is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits<'a> {
    /// Keep in the cluster what was found out about network policies.
    pub remember: bool,
    /// Leave the canary where it is, for somebody who wants to look at it.
    pub keep: bool,
    /// What starts an examination of the same environment again, as it is typed.
    pub again: &'a str,
}

/// What an examination came to.
#[derive(Debug)]
pub struct Examination {
    /// Its checks.
    pub report: Report,
    /// What could not be put away, or was left on purpose.
    pub left: Vec<String>,
}

/// Proves what `subject` promises, by a canary in a namespace of its own that goes again, also after a
/// fault or a signal. The hub has to be connected. What is found out about network policies is kept in the
/// cluster when `habits` say so.
pub async fn examine(
    hub: &Hub,
    subject: &Subject,
    purpose: &Purpose<'_>,
    habits: Habits<'_>,
    flow: &Flow,
) -> Result<Examination, Fault> {
    let outside = Outside::new()?;
    let trial = Trial::open(hub, purpose, flow).await?;
    let remedy = remedy(subject, habits.again);
    let canary = Canary { trial: &trial, image: &subject.image, remedy: &remedy, flow };
    let examined = all(&canary, subject, &outside).await;
    // A flow of its own: the run's may be over or stopped, and the canary has to go all the same.
    let after = |limit| Flow::new(Cancel::default()).within_limit(limit);
    let mut left = Vec::new();
    if let Ok((_, Some(truth))) = &examined
        && habits.remember
        && let Err(fault) = keep(hub, truth, purpose.now, &after(KEEPING)).await
    {
        left.push(format!("what was found out about network policies is not kept: {fault}"));
    }
    let namespace = trial.namespace();
    let goes = "the next `verify` or `down` removes it";
    if habits.keep {
        left.push(format!("the canary is in namespace {namespace}; {goes}"));
    } else {
        match trial.close(&after(GOING)).await {
            Ok(stay) => left.extend(stay),
            Err(fault) if fault.kind == FaultKind::Deadline => {
                let seconds = GOING.as_secs();
                left.push(format!(
                    "namespace {namespace} of the canary is not gone after {seconds} s; {goes}"
                ));
            }
            Err(fault) => {
                left.push(format!("namespace {namespace} of the canary is still there: {fault}; {goes}"));
            }
        }
    }
    let (report, _) = examined.map_err(|fault| and_left(fault, &left))?;
    Ok(Examination { report, left })
}

/// A fault that also tells what stayed behind.
fn and_left(fault: Fault, left: &[String]) -> Fault {
    if left.is_empty() {
        return fault;
    }
    let told: Vec<&str> = fault.hint.iter().chain(left).map(String::as_str).collect();
    let told = told.join("; ");
    fault.hint(told)
}

/// Whether the canary is ready, asked once for all who need it.
type Ready<'a> = Shared<LocalBoxFuture<'a, Result<Result<Place, String>, Fault>>>;
type Work<'a> = LocalBoxFuture<'a, Result<Check, Fault>>;

async fn all(
    canary: &Canary<'_>,
    subject: &Subject,
    outside: &Outside,
) -> Result<(Report, Option<Truth>), Fault> {
    let truth = Mutex::new(None);
    let made;
    let nodes = canary.trial.all("v1", "Node", canary.flow).await?;
    let simulated = subject.simulated || are_played(&nodes);
    let anywhere = [anywhere()];
    let groups = if subject.groups.is_empty() { &anywhere[..] } else { &subject.groups };
    let nodes = &nodes;
    let scheduling = groups.iter().map(|group| -> Work<'_> {
        let name =
            if subject.groups.is_empty() { "scheduling".to_string() } else { named("scheduling", group) };
        async move { timed(&name, checks::scheduling(canary, group, nodes, simulated)).await }.boxed_local()
    });
    let mut work: Vec<Work<'_>> = Vec::new();
    if simulated {
        work.extend(scheduling);
        work.extend(played(subject).into_iter().map(|check| async move { Ok(check) }.boxed_local()));
        let checks = join_all(work).await.into_iter().collect::<Result<_, _>>()?;
        return Ok((Report { checks }, None));
    }
    let server = server("canary", canary.image, PORT);
    canary.trial.put(deployment(TARGET, &pod(&[], &[server])), canary.flow).await?;
    made = canary.trial.put(service(TARGET, TARGET, "ClusterIP"), canary.flow).await?;
    let address = made["spec"]["clusterIP"].as_str().unwrap_or_default();
    let ready: Ready<'_> = canary.ready(TARGET, START).boxed_local().shared();
    let target = checks::Target { part: TARGET, word: canary.trial.namespace(), outside };
    work.push(timed("canary", canary_runs(ready.clone(), subject, canary.remedy)).boxed_local());
    work.extend(scheduling);
    for group in subject.groups.iter().filter(|group| group.gpus > 0) {
        let check = checks::gpus(group, nodes).check(&named("gpu", group), Duration::ZERO);
        work.push(async move { Ok(check) }.boxed_local());
    }
    work.push(timed("dns", behind(ready.clone(), checks::dns(canary, TARGET))).boxed_local());
    work.push(timed("service", behind(ready.clone(), checks::service(canary, address))).boxed_local());
    let truth_found = &truth;
    let policies = async move {
        let (found, truth) = checks::policies(canary).await?;
        *truth_found.lock().unwrap_or_else(PoisonError::into_inner) = Some(truth);
        Ok(found)
    };
    work.push(timed("network-policy", behind(ready.clone(), policies)).boxed_local());
    work.push(timed("storage", behind(ready.clone(), checks::storage(canary))).boxed_local());
    let load_balancer = checks::load_balancer(canary, &subject.load_balancer, target);
    work.push(timed("load-balancer", behind(ready.clone(), load_balancer)).boxed_local());
    let ingress = checks::ingress(canary, &subject.ingress, &subject.ingress_addresses, TARGET, target);
    work.push(timed("ingress", behind(ready.clone(), ingress)).boxed_local());
    work.push(
        timed("metrics", behind(ready, checks::metrics(canary, &subject.metrics, TARGET))).boxed_local(),
    );
    let checks = join_all(work).await.into_iter().collect::<Result<_, _>>()?;
    let truth = truth.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok((Report { checks }, truth))
}

/// The check called `name`. Only a stop by the user ends the others, too.
async fn timed(name: &str, work: impl Future<Output = Result<Found, Fault>>) -> Result<Check, Fault> {
    let began = Instant::now();
    let found = match work.await {
        Err(fault) if fault.kind == FaultKind::Cancelled => return Err(fault),
        Err(fault) if fault.kind == FaultKind::Deadline => {
            Found::fails("its time was over before it was done", "give it longer with `--timeout`")
        }
        Err(fault) => Found::broken_off(&fault),
        Ok(found) => found,
    };
    Ok(found.check(name, began.elapsed()))
}

async fn canary_runs(ready: Ready<'_>, subject: &Subject, remedy: &str) -> Result<Found, Fault> {
    Ok(match ready.await? {
        Ok(place) => Found::works(format!("a pod of {} is ready on {}", subject.image, place.node)),
        Err(why) => Found::fails(format!("the canary does not run: {why}"), remedy),
    })
}

/// What helps a canary whose image cannot be had, in an examination that `again` starts again.
fn remedy(subject: &Subject, again: &str) -> String {
    let image = &subject.image;
    match &subject.registry {
        Some(host) if !image.starts_with(host.as_str()) => {
            let last = image.rsplit('/').next().unwrap_or(image);
            let own = format!("{host}/{last}");
            format!(
                "where nodes cannot pull it, push it to the lab's own registry and name it: `docker tag {image} {own}`, \
                 `docker push {own}`, `{again} --image {own}`; `--keep` leaves the canary for a look at it"
            )
        }
        _ => "load the image, have a mirror for it, or name another one with `--image`; `--keep` leaves the canary \
              for a look at it"
            .to_string(),
    }
}

/// A check for which the canary has to be ready.
async fn behind(ready: Ready<'_>, work: impl Future<Output = Result<Found, Fault>>) -> Result<Found, Fault> {
    match ready.await? {
        Ok(_) => work.await,
        Err(_) => Ok(Found::fails("it was not tried: the canary does not run", "see check `canary`")),
    }
}

/// What cannot be seen where nothing runs.
fn played(subject: &Subject) -> Vec<Check> {
    let with_gpus = subject.groups.iter().filter(|group| group.gpus > 0);
    let nothing_runs =
        ["canary", "dns", "service", "network-policy", "storage", "load-balancer", "ingress", "metrics"];
    let gpus = with_gpus.map(|group| {
        Found::nothing("its nodes are played: what they offer is what was written on them")
            .check(&named("gpu", group), Duration::ZERO)
    });
    let nothing = nothing_runs
        .iter()
        .map(|name| Found::nothing("nothing runs here: the nodes are played").check(name, Duration::ZERO));
    gpus.chain(nothing).collect()
}

fn are_played(nodes: &[Value]) -> bool {
    let is_played = |node: &Value| node["metadata"]["annotations"].get(PLAYED).is_some();
    !nodes.is_empty() && nodes.iter().all(is_played)
}

/// Whether pods can run anywhere: there is a node that is ready and not played.
pub(super) fn why_nothing_runs(nodes: &[Value]) -> Option<&'static str> {
    if nodes.is_empty() {
        Some("there is no node")
    } else if are_played(nodes) {
        Some("the nodes are played, nothing runs there")
    } else {
        None
    }
}

fn named(check: &str, group: &Group) -> String {
    format!("{check}/{}", group.name)
}

/// Stands for the node groups of a profile that declares none.
fn anywhere() -> Group {
    Group { name: "any".to_string(), selector: BTreeMap::new(), taints: Vec::new(), min: 1, gpus: 0 }
}

impl Subject {
    /// A subject of which nothing is expected.
    pub fn bare(image: impl Into<String>) -> Self {
        Self {
            simulated: false,
            groups: Vec::new(),
            load_balancer: Expected::Unknown,
            ingress: Expected::Unknown,
            ingress_addresses: Vec::new(),
            metrics: Expected::Unknown,
            image: image.into(),
            registry: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Expected;

    #[test]
    fn what_helps_a_canary_without_its_image_is_what_can_be_typed() {
        let nobody = || Expected::Nobody(String::new());
        let subject = Subject {
            simulated: false,
            groups: Vec::new(),
            load_balancer: nobody(),
            ingress: nobody(),
            ingress_addresses: Vec::new(),
            metrics: nobody(),
            image: "registry.k8s.io/e2e-test-images/agnhost:2.63.0".to_string(),
            registry: Some("localhost:5001".to_string()),
        };
        let told = remedy(&subject, "berth verify mine --profiles labs");
        let typed = "`berth verify mine --profiles labs --image localhost:5001/agnhost:2.63.0`";
        assert!(told.contains(typed), "{told}");
    }
}
