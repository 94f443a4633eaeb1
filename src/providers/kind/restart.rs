use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::containers::{Container, ContainerState};
use crate::k8s::Live;

/// After this time everything in a cluster is of now, or nothing helps.
const SETTLED: SignedDuration = SignedDuration::from_mins(10);
/// How long a controller has to lead before what it says counts: it looks at everything anew first.
const LEADS: SignedDuration = SignedDuration::from_secs(5);
/// The leases of those that write what others do.
const LEADERS: [(&str, &str); 2] =
    [("kube-controller-manager", "the controllers"), ("kube-scheduler", "the scheduler")];

/// The nodes of a cluster that were started again a short time ago. Until they have spoken, etcd tells what was
/// true before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Restart {
    nodes: Vec<Restarted>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Restarted {
    name: String,
    is_control_plane: bool,
    since: Timestamp,
    /// Whether what ran in it was ended. What was paused goes on.
    anew: bool,
}

/// When this run let nodes go on that were paused: no engine tells that.
#[derive(Debug, Default)]
pub(super) struct Unpaused(Mutex<Vec<(String, Timestamp)>>);

impl Unpaused {
    /// `containers` go on at `now`, those of them that were paused.
    pub(super) fn note(&self, containers: &[Container], now: Timestamp) {
        let paused = containers.iter().filter(|one| is_paused(one));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(paused.map(|one| (one.name.clone(), now)));
    }

    fn since(&self, name: &str) -> Option<Timestamp> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().filter(|(other, _)| other == name).map(|(_, since)| *since).max()
    }
}

/// Whether a container does not run because somebody paused it.
pub(super) fn is_paused(container: &Container) -> bool {
    matches!(&container.state, ContainerState::Stopped { word, .. } if word == "paused")
}

impl Restart {
    /// What of `containers` was started again, as seen at `now`; `None` when nothing was, or long ago.
    pub(super) fn of(containers: &[Container], unpaused: &Unpaused, now: Timestamp) -> Option<Self> {
        let restarted = |container: &Container| {
            let paused = unpaused.since(&container.name).map(|since| (since, false));
            let started = container.started.filter(|_| container.restarted).map(|since| (since, true));
            let (since, anew) = started.into_iter().chain(paused).max()?;
            (now.duration_since(since) < SETTLED).then(|| Restarted {
                name: container.name.clone(),
                is_control_plane: container.is_kind_control_plane(),
                since,
                anew,
            })
        };
        let nodes: Vec<Restarted> =
            containers.iter().filter(|one| one.is_kind_node()).filter_map(restarted).collect();
        (!nodes.is_empty()).then_some(Self { nodes })
    }

    /// What of `leases`, those of all namespaces, is still from before; `None` when all of it is of now. Pure.
    pub(super) fn unrenewed(&self, leases: &[Live]) -> Option<String> {
        let lease = |namespace: &str, name: &str| {
            leases.iter().find(|lease| lease.namespace.as_deref() == Some(namespace) && lease.name == name)
        };
        let is_silent = |node: &&Restarted| {
            let renewed = lease("kube-node-lease", &node.name).and_then(|lease| time(lease, "renewTime"));
            renewed.is_none_or(|renewed| renewed <= node.since)
        };
        let silent: Vec<&str> = self.nodes.iter().filter(is_silent).map(|node| node.name.as_str()).collect();
        if !silent.is_empty() {
            let noun = if silent.len() == 1 { "node" } else { "nodes" };
            return Some(format!("{noun} {} started again, and not heard of yet", silent.join(", ")));
        }
        let since = self.nodes.iter().filter(|node| node.is_control_plane).map(|node| node.since).max()?;
        let is_idle = |name: &str| {
            // Where nobody leads, nobody is waited for: a cluster need not have them under these names.
            lease("kube-system", name).is_some_and(|lease| {
                let led = time(lease, "acquireTime").unwrap_or(since).max(since);
                time(lease, "renewTime").is_none_or(|renewed| renewed.duration_since(led) < LEADS)
            })
        };
        let idle: Vec<&str> =
            LEADERS.iter().filter(|(name, _)| is_idle(name)).map(|(_, words)| *words).collect();
        (!idle.is_empty()).then(|| {
            let verb = if idle == ["the scheduler"] { "does" } else { "do" };
            format!("its control plane started again, and {} {verb} not work yet", idle.join(" and "))
        })
    }

    /// Of how many of `pods` it is not known how they are since their node was started again. Pure.
    pub(super) fn unheard(&self, pods: &[Live]) -> Option<String> {
        let is_unheard = |pod: &&Live| {
            let node = self.nodes.iter().find(|node| pod.body["spec"]["nodeName"] == node.name.as_str());
            node.is_some_and(|node| node.anew && !pod.going && runs_since_before(&pod.body, node.since))
        };
        let unheard: Vec<&Live> = pods.iter().filter(is_unheard).collect();
        let first = unheard.first()?;
        let others = match unheard.len() - 1 {
            0 => String::new(),
            1 => " and 1 other".to_string(),
            more => format!(" and {more} others"),
        };
        Some(format!("nodes started again, and pod {}{others} not heard of yet", first.name))
    }
}

/// Whether the status of a pod speaks of a container that ran before `since`, when its node was started.
fn runs_since_before(pod: &Value, since: Timestamp) -> bool {
    let lists = ["containerStatuses", "initContainerStatuses"];
    let mut statuses =
        lists.into_iter().flat_map(|list| pod["status"][list].as_array().into_iter().flatten());
    let is_over = ["Succeeded", "Failed"].iter().any(|phase| pod["status"]["phase"] == *phase);
    // The API tells whole seconds: one that was started in the same second is of now.
    let since = since.as_second();
    !is_over
        && statuses.any(|status| {
            let started = status["state"]["running"]["startedAt"].as_str();
            started.and_then(|text| text.parse::<Timestamp>().ok()).is_some_and(|it| it.as_second() < since)
        })
}

fn time(lease: &Live, field: &str) -> Option<Timestamp> {
    lease.body["spec"][field].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::k8s::Object;

    const MADE: &str = "2026-11-21T08:00:00.4Z";
    const STARTED: &str = "2026-11-21T10:00:00.5Z";

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn node(name: &str, role: &str, started: &str) -> Container {
        Container {
            id: String::new(),
            name: name.to_string(),
            state: ContainerState::Running,
            started: Some(at(started)),
            restarted: started != MADE,
            image: String::new(),
            image_id: String::new(),
            labels: Container::kind_labels("lab", role),
            mounts: Vec::new(),
            networks: BTreeMap::new(),
            ports: Vec::new(),
        }
    }

    fn restarted() -> Restart {
        let nodes = [node("lab-control-plane", "control-plane", STARTED), node("lab-worker", "worker", MADE)];
        Restart::of(&nodes, &Unpaused::default(), at("2026-11-21T10:00:20Z")).expect("one was started again")
    }

    fn live(body: Value) -> Live {
        let mut live = Live::of(&Object::new(body.clone()).expect("an object"));
        live.body = body;
        live
    }

    fn lease(namespace: &str, name: &str, acquired: &str, renewed: &str) -> Live {
        let day = |time: &str| format!("2026-11-21T{time}.000000Z");
        live(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"acquireTime": day(acquired), "renewTime": day(renewed)}}))
    }

    /// The leases of the nodes and of both leaders, which were acquired and renewed at these times.
    fn leases(node: &str, controllers: (&str, &str), scheduler: (&str, &str)) -> Vec<Live> {
        vec![
            lease("kube-node-lease", "lab-control-plane", "08:01:00", node),
            lease("kube-node-lease", "lab-worker", "08:01:00", "09:59:59"),
            lease("kube-system", "kube-controller-manager", controllers.0, controllers.1),
            lease("kube-system", "kube-scheduler", scheduler.0, scheduler.1),
        ]
    }

    #[test]
    fn only_what_was_started_again_a_short_time_ago_is_asked_about() {
        let of = |started: &str, now: &str| {
            let nodes = [node("lab-control-plane", "control-plane", started)];
            Restart::of(&nodes, &Unpaused::default(), at(now)).is_some()
        };
        assert!(!of(MADE, "2026-11-21T08:00:30Z"));
        assert!(of(STARTED, "2026-11-21T10:09:59Z"));
        assert!(!of(STARTED, "2026-11-21T10:10:01Z"));
        let balancer = [node("lab-external-load-balancer", "external-load-balancer", STARTED)];
        assert_eq!(Restart::of(&balancer, &Unpaused::default(), at(STARTED)), None);
    }

    #[test]
    fn what_this_run_let_go_on_is_asked_about_and_its_pods_ran_all_the_time() {
        let paused = Container {
            state: ContainerState::Stopped { word: "paused".to_string(), code: 0 },
            ..node("lab-control-plane", "control-plane", MADE)
        };
        let unpaused = Unpaused::default();
        unpaused.note(&[paused, node("lab-worker", "worker", MADE)], at(STARTED));
        let nodes = [node("lab-control-plane", "control-plane", MADE), node("lab-worker", "worker", MADE)];
        let restart = Restart::of(&nodes, &unpaused, at("2026-11-21T10:00:20Z")).expect("one was let go on");
        assert_eq!(restart.nodes.len(), 1);
        let frozen = leases("09:50:00", ("08:01:00", "09:50:00"), ("08:01:00", "09:50:00"));
        assert!(restart.unrenewed(&frozen).is_some());
        assert_eq!(restart.unheard(&[pod("lab-control-plane", "Running", "2026-11-21T08:02:00Z")]), None);
    }

    #[test]
    fn a_node_is_heard_of_once_its_lease_is_renewed() {
        let led = ("10:00:10", "10:00:18");
        let why = restarted().unrenewed(&leases("10:00:00", led, led));
        assert_eq!(why.as_deref(), Some("node lab-control-plane started again, and not heard of yet"));
        assert_eq!(restarted().unrenewed(&leases("10:00:07", led, led)), None);
        assert!(restarted().unrenewed(&[]).is_some());
    }

    #[test]
    fn the_controllers_count_once_one_has_led_for_a_while_since_the_start() {
        let of = |controllers, scheduler| restarted().unrenewed(&leases("10:00:07", controllers, scheduler));
        let (before, young, led) =
            (("08:01:00", "09:59:58"), ("10:00:15", "10:00:17"), ("10:00:10", "10:00:18"));
        let why = "its control plane started again, and the controllers and the scheduler do not work yet";
        assert_eq!(of(before, before).as_deref(), Some(why));
        assert!(of(young, led).expect("too young").contains("the controllers do not work yet"));
        assert!(of(led, young).expect("too young").contains("the scheduler does not work yet"));
        assert_eq!(of(led, led), None);
        // One that kept its lease went on leading when it woke up.
        assert!(of(("08:01:00", "10:00:03"), led).is_some());
        assert_eq!(of(("08:01:00", "10:00:06"), led), None);
    }

    #[test]
    fn only_a_control_plane_takes_the_controllers_along() {
        let nodes = [node("lab-control-plane", "control-plane", MADE), node("lab-worker", "worker", STARTED)];
        let restart = Restart::of(&nodes, &Unpaused::default(), at(STARTED)).expect("one was started again");
        let mut leases = leases("09:59:58", ("08:01:00", "09:59:58"), ("08:01:00", "09:59:58"));
        assert!(restart.unrenewed(&leases).is_some_and(|why| why.starts_with("node lab-worker ")));
        leases[1] = lease("kube-node-lease", "lab-worker", "08:01:00", "10:00:05");
        assert_eq!(restart.unrenewed(&leases), None);
    }

    fn pod(node: &str, phase: &str, started: &str) -> Live {
        live(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "kube-system", "name": "dns"},
            "spec": {"nodeName": node},
            "status": {"phase": phase, "containerStatuses": [{"ready": true, "state": {"running": {"startedAt": started}}}]}}),
        )
    }

    #[test]
    fn a_pod_that_says_it_ran_before_its_node_was_started_is_not_heard_of() {
        let (before, since) = ("2026-11-21T08:02:00Z", "2026-11-21T10:00:00Z");
        let of = |pods: &[Live]| restarted().unheard(pods);
        let old = pod("lab-control-plane", "Running", before);
        let why = "nodes started again, and pod dns not heard of yet";
        assert_eq!(of(&[pod("lab-control-plane", "Running", since), old.clone()]).as_deref(), Some(why));
        assert!(of(&[old.clone(), old.clone(), old.clone()]).is_some_and(|why| why.contains("and 2 others")));
        assert_eq!(of(&[pod("lab-control-plane", "Running", since)]), None);
        assert_eq!(of(&[pod("lab-worker", "Running", before)]), None);
        assert_eq!(of(&[pod("lab-control-plane", "Failed", before)]), None);
        let mut going = old;
        going.going = true;
        assert_eq!(of(&[going]), None);
    }
}
