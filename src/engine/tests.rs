//! The engine on resources that are nothing but a state.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::*;
use crate::base::{Change, ChangeKind, Clock, Fault, FaultKind, ResourceId, SystemClock};
use crate::flow::{Cancel, Flow, Stage};

/// A resource whose observations are scripted; the last one repeats.
struct Scripted {
    id: ResourceId,
    needs: Vec<Need>,
    script: Arc<Mutex<Script>>,
}

struct Script {
    observations: VecDeque<Observation>,
    steps: usize,
    deletions: usize,
}

#[derive(Clone)]
enum Observation {
    State(State),
    /// It is going, and a further part of the removal can begin.
    MoreToRemove,
    Differs(&'static str),
    /// It stands, and a part of it is missing.
    Lacks(&'static str),
    Fails(FaultKind),
    /// It is to be made.
    Missing,
    /// Somebody else's thing is in the way.
    Taken,
    /// It waits for what another one failed to bring.
    Behind(&'static str),
    /// It is on its way, and the run is stopped meanwhile.
    StopsWhile(&'static str, Cancel),
}

impl Scripted {
    fn new(id: &str, needs: Vec<Need>, observations: Vec<Observation>) -> (Box<Self>, Arc<Mutex<Script>>) {
        let script =
            Arc::new(Mutex::new(Script { observations: observations.into(), steps: 0, deletions: 0 }));
        (Box::new(Self { id: ResourceId::new(id), needs, script: Arc::clone(&script) }), script)
    }
}

struct Count(Arc<Mutex<Script>>);

impl Step for Count {
    fn take<'a>(self: Box<Self>, _cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        self.0.lock().expect("unpoisoned").steps += 1;
        async { Ok(()) }.boxed()
    }
}

impl Resource for Scripted {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        self.needs.clone()
    }

    fn outline(&self) -> String {
        "1 thing".to_string()
    }

    fn observe<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        let mut script = self.script.lock().expect("unpoisoned");
        let observation = if script.observations.len() > 1 {
            script.observations.pop_front()
        } else {
            script.observations.front().cloned()
        };
        let result = match observation.expect("a script has at least one line") {
            Observation::State(state) => Ok(Seen::new(state)),
            Observation::MoreToRemove => {
                let going = Seen::new(State::Progressing("going".to_string()));
                Ok(Seen { more_to_remove: true, ..going })
            }
            Observation::Differs(what) => Ok(Seen::new(State::Ready)
                .to_change(vec![Change::new(ChangeKind::Update, what)], Count(Arc::clone(&self.script)))),
            Observation::Lacks(what) => Ok(Seen::new(State::Ready)
                .to_change(vec![Change::new(ChangeKind::Create, what)], Count(Arc::clone(&self.script)))),
            Observation::Missing => Ok(Seen::new(State::Absent)
                .to_change(vec![Change::new(ChangeKind::Create, "it")], Count(Arc::clone(&self.script)))),
            Observation::Taken => {
                let mut seen = Seen::new(State::Absent);
                seen.changes = vec![Change::new(ChangeKind::Conflict, "it")];
                Ok(seen)
            }
            Observation::Behind(other) => Ok(Seen::new(State::Progressing("waiting".to_string()))
                .to_change(vec![Change::new(ChangeKind::Create, "it")], Count(Arc::clone(&self.script)))
                .behind(ResourceId::new(other))),
            Observation::StopsWhile(status, cancel) => {
                if cancel.stage() == Stage::Running {
                    cancel.request();
                }
                Ok(Seen::new(State::Progressing(status.to_string())))
            }
            Observation::Fails(kind) => Err(Fault::new(kind, "look", "no")),
        };
        async { result }.boxed()
    }

    fn delete<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        self.script.lock().expect("unpoisoned").deletions += 1;
        async { Ok(()) }.boxed()
    }
}

fn run() -> Run {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let events = Events::new(Arc::clone(&clock), Vec::new());
    Run { flow: Flow::new(Cancel::default()), events, clock, grace: Duration::ZERO }
}

fn inside(id: &str) -> Vec<Need> {
    vec![Need::Inside(ResourceId::new(id))]
}

use Observation::{Behind, Differs, Fails, Lacks, Missing, MoreToRemove, State as Is, Taken};

#[tokio::test]
async fn a_resource_is_stepped_until_nothing_differs() {
    let (resource, script) = Scripted::new(
        "tenants",
        vec![],
        vec![Differs("quota"), Is(State::Progressing("settling".into())), Is(State::Ready)],
    );
    let mut graph = Graph::new();
    graph.add(resource, Removal::Itself);
    let outcome = converge(&graph, &run()).await;
    assert_eq!(outcome.done.len(), 1);
    assert!(outcome.changed);
    assert_eq!(script.lock().expect("unpoisoned").steps, 1);
}

#[tokio::test]
async fn the_same_change_after_two_steps_is_reported_and_not_repeated_for_ever() {
    let (resource, script) = Scripted::new("tenants", vec![], vec![Differs("quota")]);
    let mut graph = Graph::new();
    graph.add(resource, Removal::Itself);
    let outcome = converge(&graph, &run()).await;
    assert_eq!(outcome.failed[0].1.kind, FaultKind::Bug);
    assert_eq!(script.lock().expect("unpoisoned").steps, 2);
}

#[tokio::test]
async fn what_needs_a_failed_resource_is_not_started_and_the_rest_goes_on() {
    let (cluster, _) = Scripted::new("cluster/x", vec![], vec![Fails(FaultKind::Denied)]);
    let (tenants, tenants_script) = Scripted::new("tenants", inside("cluster/x"), vec![Differs("quota")]);
    let (registry, _) = Scripted::new("registry/x", vec![], vec![Is(State::Ready)]);
    let mut graph = Graph::new();
    graph.add(cluster, Removal::Itself);
    graph.add(tenants, Removal::WithContainer);
    graph.add(registry, Removal::Itself);
    let outcome = converge(&graph, &run()).await;
    assert_eq!(outcome.failed.len(), 1);
    assert_eq!(outcome.not_started, vec![ResourceId::new("tenants")]);
    assert_eq!(outcome.done.len(), 1);
    assert_eq!(tenants_script.lock().expect("unpoisoned").steps, 0);
}

#[tokio::test]
async fn a_plan_shows_what_is_inside_of_something_absent_without_asking_it() {
    let (cluster, _) = Scripted::new("cluster/x", vec![], vec![Is(State::Absent)]);
    let (tenants, _) = Scripted::new("tenants", inside("cluster/x"), vec![Fails(FaultKind::Bug)]);
    let mut graph = Graph::new();
    graph.add(cluster, Removal::Itself);
    graph.add(tenants, Removal::WithContainer);
    let run = run();
    let survey = survey(&graph, &run.flow, &run.clock).await;
    assert_eq!(survey.resources[1].look, Look::After(ResourceId::new("cluster/x")));
    assert_eq!(survey.resources[1].changes[0].subject, "1 thing");
}

#[tokio::test]
async fn what_waits_for_something_that_failed_meanwhile_is_not_begun_and_is_no_failure() {
    let (group, _) = Scripted::new("node-group/x", vec![], vec![Fails(FaultKind::Quota)]);
    let waits = Is(State::Progressing("waiting".into()));
    let (addon, script) = Scripted::new("eks-addon/x", vec![], vec![waits, Behind("node-group/x")]);
    let needs = vec![Need::Ready(ResourceId::new("eks-addon/x"))];
    let (tenants, _) = Scripted::new("tenants", needs, vec![Differs("quota")]);
    let mut graph = Graph::new();
    graph.add(group, Removal::Itself);
    graph.add(addon, Removal::WithContainer);
    graph.add(tenants, Removal::WithContainer);
    let run = Run { grace: Duration::from_mins(1), ..run() };
    let outcome = converge(&graph, &run).await;
    assert_eq!(outcome.failed.len(), 1, "{outcome:?}");
    assert_eq!(outcome.not_started, [ResourceId::new("eks-addon/x"), ResourceId::new("tenants")]);
    assert_eq!(script.lock().expect("unpoisoned").steps, 0);
}

#[tokio::test]
async fn a_plan_makes_nothing_in_or_for_something_that_somebody_else_is_in_the_way_of() {
    let (network, _) = Scripted::new("network/x", vec![], vec![Missing]);
    let needs = vec![Need::Ready(ResourceId::new("network/x"))];
    let (cluster, _) = Scripted::new("cluster/x", needs, vec![Taken]);
    let (tenants, _) = Scripted::new("tenants", inside("cluster/x"), vec![Fails(FaultKind::Bug)]);
    let (registry, _) = Scripted::new("registry/x", vec![], vec![Missing]);
    let mut graph = Graph::new();
    graph.add(network, Removal::Itself);
    graph.add(cluster, Removal::Itself);
    graph.add(tenants, Removal::Itself);
    graph.add(registry, Removal::Itself);
    let run = run();
    let survey = survey(&graph, &run.flow, &run.clock).await;
    let changes: Vec<&str> = survey.changes().map(|(id, _)| id.as_str()).collect();
    assert_eq!(changes, ["cluster/x", "registry/x"]);
    assert_eq!(survey.resources[2].look, Look::After(ResourceId::new("cluster/x")));
    let outcome = remove(&graph, &survey, &run).await;
    assert_eq!(outcome.done.len(), 4, "there is nothing of ours: {outcome:?}");
}

#[tokio::test]
async fn a_plan_does_not_guess_what_is_inside_of_something_that_only_has_to_be_started() {
    let (cluster, _) = Scripted::new("cluster/x", vec![], vec![Is(State::Broken("stopped".into()))]);
    let (tenants, script) = Scripted::new("tenants", inside("cluster/x"), vec![Differs("quota")]);
    let (note, _) = Scripted::new("network/pools", inside("tenants"), vec![Differs("pool")]);
    let mut graph = Graph::new();
    graph.add(cluster, Removal::Itself);
    graph.add(tenants, Removal::WithContainer);
    graph.add(note, Removal::WithContainer);
    let run = run();
    let survey = survey(&graph, &run.flow, &run.clock).await;
    assert!(survey.is_partial());
    assert_eq!(survey.resources[1].look, Look::Behind(ResourceId::new("cluster/x")));
    // Who is behind that is behind the one that has the reason.
    assert_eq!(survey.resources[2].look, Look::Behind(ResourceId::new("cluster/x")));
    assert!(survey.resources[1].changes.is_empty());
    let outcome = converge_seen(&graph, &survey, &run).await;
    assert_eq!(outcome.failed.len() + outcome.not_started.len(), 1, "the cluster alone is worked on");
    assert_eq!(script.lock().expect("unpoisoned").steps, 0);
}

#[tokio::test]
async fn a_plan_does_not_guess_what_is_inside_of_something_that_stands_and_lacks_a_part() {
    let (access, _) = Scripted::new("access/x", vec![], vec![Lacks("access of role/ci")]);
    let (tenants, _) = Scripted::new("tenants", inside("access/x"), vec![Fails(FaultKind::Bug)]);
    let mut graph = Graph::new();
    graph.add(access, Removal::Itself);
    graph.add(tenants, Removal::WithContainer);
    let run = run();
    let survey = survey(&graph, &run.flow, &run.clock).await;
    assert_eq!(survey.resources[1].look, Look::Behind(ResourceId::new("access/x")));
    assert_eq!(survey.resources[1].changes, Vec::new());
}

#[tokio::test]
async fn what_was_to_go_with_a_cluster_that_did_not_go_is_not_called_gone() {
    let (cluster, _) = Scripted::new("cluster/x", vec![], vec![Fails(FaultKind::Denied)]);
    let needs = vec![Need::Ready(ResourceId::new("cluster/x"))];
    let (addon, _) = Scripted::new("eks-addon/x", needs, vec![Is(State::Ready)]);
    let mut graph = Graph::new();
    graph.add(cluster, Removal::Itself);
    graph.add(addon, Removal::WithContainer);
    let run = run();
    let survey = survey(&graph, &run.flow, &run.clock).await;
    let outcome = remove(&graph, &survey, &run).await;
    assert_eq!(outcome.done, Vec::new());
    assert_eq!(outcome.not_started, vec![ResourceId::new("eks-addon/x")]);
}

#[tokio::test]
async fn down_removes_the_inner_before_the_outer_and_waits_until_both_are_gone() {
    let (cluster, cluster_script) =
        Scripted::new("cluster/x", vec![], vec![Is(State::Ready), Is(State::Ready), Is(State::Absent)]);
    let needs = vec![Need::Ready(ResourceId::new("cluster/x"))];
    let (addon, addon_script) = Scripted::new(
        "addon/x",
        needs,
        vec![Is(State::Ready), Is(State::Ready), Is(State::Progressing("going".into())), Is(State::Absent)],
    );
    let mut graph = Graph::new();
    graph.add(cluster, Removal::Itself);
    graph.add(addon, Removal::Itself);
    let run = run();
    let survey = survey(&graph, &run.flow, &run.clock).await;
    let outcome = remove(&graph, &survey, &run).await;
    let order: Vec<&str> = outcome.done.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(order, ["addon/x", "cluster/x"]);
    assert_eq!(cluster_script.lock().expect("unpoisoned").deletions, 1);
    assert_eq!(addon_script.lock().expect("unpoisoned").deletions, 1);
}

#[tokio::test]
async fn what_is_removed_in_parts_is_deleted_again_when_a_further_part_can_begin() {
    let (addon, script) = Scripted::new(
        "addon/x",
        vec![],
        // The first one is the survey's. Before the first deletion, what can be removed says nothing.
        vec![
            Is(State::Ready),
            MoreToRemove,
            Is(State::Progressing("waiting".into())),
            MoreToRemove,
            Is(State::Progressing("waiting".into())),
            Is(State::Absent),
        ],
    );
    let mut graph = Graph::new();
    graph.add(addon, Removal::Itself);
    let run = run();
    let survey = survey(&graph, &run.flow, &run.clock).await;
    let outcome = remove(&graph, &survey, &run).await;
    assert_eq!(outcome.done.len(), 1);
    assert_eq!(script.lock().expect("unpoisoned").deletions, 2);
}

#[tokio::test]
async fn down_does_not_ask_what_is_inside_of_something_absent() {
    let (cluster, _) = Scripted::new("cluster/x", vec![], vec![Is(State::Absent)]);
    let (addon, addon_script) = Scripted::new("addon/x", inside("cluster/x"), vec![Fails(FaultKind::Bug)]);
    let mut graph = Graph::new();
    graph.add(cluster, Removal::Itself);
    graph.add(addon, Removal::Itself);
    let run = run();
    let survey = survey(&graph, &run.flow, &run.clock).await;
    let outcome = remove(&graph, &survey, &run).await;
    assert_eq!(outcome.done.len(), 2);
    assert_eq!(addon_script.lock().expect("unpoisoned").deletions, 0);
}

#[tokio::test]
async fn when_the_time_is_over_each_resource_says_what_it_waited_for() {
    let waiting = |text: &str| vec![Is(State::Progressing(text.to_string()))];
    let (web, _) = Scripted::new("addon/web", vec![], waiting("Service n/web: no address yet"));
    let (pools, _) = Scripted::new("addon/pools", vec![], waiting("webhook w does not answer yet"));
    let graph = {
        let mut graph = Graph::new();
        graph.add(web, Removal::Itself);
        graph.add(pools, Removal::Itself);
        graph
    };
    let limited = || {
        let run = run();
        Run { flow: run.flow.within_limit(Duration::from_millis(300)), ..run }
    };
    let told = |outcome: Outcome| -> Vec<String> {
        let late = |fault: &Fault| fault.kind == FaultKind::Deadline && fault.hint.is_some();
        assert!(outcome.failed.iter().all(|(_, fault)| late(fault)), "{:?}", outcome.failed);
        let mut told: Vec<String> = outcome.failed.into_iter().map(|(_, fault)| fault.reason).collect();
        told.sort();
        told
    };
    let over = "the time given with `--timeout` is over; seen last: ";
    let expected =
        [format!("{over}Service n/web: no address yet"), format!("{over}webhook w does not answer yet")];
    assert_eq!(told(converge(&graph, &limited()).await), expected);
    let survey = survey(&graph, &run().flow, &run().clock).await;
    assert_eq!(told(remove(&graph, &survey, &limited()).await), expected);
}

#[tokio::test]
async fn what_does_not_move_is_not_waited_for_once_something_failed() {
    let waiting = || vec![Is(State::Progressing("Service n/web: no address yet".to_string()))];
    let graph = |pool: Observation| {
        let (web, _) = Scripted::new("addon/web", vec![], waiting());
        let (pool, _) = Scripted::new("addon/pool", vec![], vec![pool]);
        let (site, _) = Scripted::new(
            "addon/site",
            vec![Need::Ready(ResourceId::new("addon/web"))],
            vec![Is(State::Ready)],
        );
        let mut graph = Graph::new();
        graph.add(web, Removal::Itself);
        graph.add(pool, Removal::Itself);
        graph.add(site, Removal::Itself);
        graph
    };
    let outcome = converge(&graph(Fails(FaultKind::Invalid)), &run()).await;
    assert_eq!(outcome.failed.len(), 1, "{outcome:?}");
    let not_ready = (ResourceId::new("addon/web"), "Service n/web: no address yet".to_string());
    assert_eq!(outcome.not_ready, std::slice::from_ref(&not_ready));
    assert_eq!(outcome.not_started, [ResourceId::new("addon/site")]);
    assert!(!outcome.is_whole());
    // Where nothing failed, it is waited for as long as the run may take.
    let limited = Run { flow: run().flow.within_limit(Duration::from_millis(300)), ..run() };
    let outcome = converge(&graph(Is(State::Ready)), &limited).await;
    assert_eq!(outcome.not_ready, []);
    assert_eq!(outcome.failed[0].1.kind, FaultKind::Deadline);
}

#[tokio::test]
async fn what_only_had_to_become_ready_was_not_stopped_by_a_signal() {
    let run = run();
    let (cluster, _) = Scripted::new(
        "cluster/x",
        vec![],
        vec![Observation::StopsWhile("it starts", run.flow.cancel().clone())],
    );
    let mut graph = Graph::new();
    graph.add(cluster, Removal::Itself);
    let outcome = converge(&graph, &run).await;
    assert_eq!(outcome.not_ready, [(ResourceId::new("cluster/x"), "it starts".to_string())]);
    assert!(outcome.failed.is_empty(), "{outcome:?}");
}

#[tokio::test]
async fn what_was_made_and_could_not_be_looked_at_after_a_signal_was_not_stopped() {
    let observed = vec![Differs("quota"), Fails(FaultKind::Cancelled)];
    let (tenants, _) = Scripted::new("tenants", vec![], observed);
    let (records, _) = Scripted::new("records", vec![], vec![Fails(FaultKind::Cancelled)]);
    let mut graph = Graph::new();
    graph.add(tenants, Removal::Itself);
    graph.add(records, Removal::Itself);
    let outcome = converge(&graph, &run()).await;
    assert_eq!(outcome.not_ready.len(), 1, "{outcome:?}");
    assert_eq!(outcome.failed[0].0, ResourceId::new("records"));
}

#[tokio::test]
async fn what_goes_with_its_cluster_is_gone_only_when_that_is() {
    let observed = |cluster: Vec<Observation>| {
        let (cluster, _) = Scripted::new("cluster/x", vec![], cluster);
        let (network, _) = Scripted::new("network", inside("cluster/x"), vec![Is(State::Ready)]);
        let (tenants, _) = Scripted::new("tenants", inside("cluster/x"), vec![Is(State::Ready)]);
        let mut graph = Graph::new();
        graph.add(cluster, Removal::Itself);
        graph.add(network, Removal::LookedAt);
        graph.add(tenants, Removal::WithContainer);
        graph
    };
    let unreachable = observed(vec![Fails(FaultKind::Transient)]);
    let seen = survey(&unreachable, &run().flow, &run().clock).await;
    let outcome = remove(&unreachable, &seen, &run()).await;
    assert_eq!((outcome.done, outcome.not_started), (vec![], vec![ResourceId::new("tenants")]));
    let gone = observed(vec![Is(State::Ready), Is(State::Ready), Is(State::Absent)]);
    let seen = survey(&gone, &run().flow, &run().clock).await;
    let outcome = remove(&gone, &seen, &run()).await;
    let done: Vec<&str> = outcome.done.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(done, ["tenants", "cluster/x"]);
}

#[tokio::test]
async fn nothing_is_started_after_a_signal() {
    let (resource, script) = Scripted::new("tenants", vec![], vec![Differs("quota")]);
    let mut graph = Graph::new();
    graph.add(resource, Removal::Itself);
    let run = run();
    run.flow.cancel().request();
    let outcome = converge(&graph, &run).await;
    assert_eq!(outcome.not_started.len(), 1);
    assert_eq!(script.lock().expect("unpoisoned").steps, 0);
}

#[test]
fn only_keeps_what_is_named_and_what_that_needs() {
    let mut graph = Graph::new();
    for (id, needs) in
        [("cluster/x", vec![]), ("addon/a", inside("cluster/x")), ("addon/b", inside("cluster/x"))]
    {
        graph.add(Scripted::new(id, needs, vec![Is(State::Ready)]).0, Removal::Itself);
    }
    graph.keep_only(|id| id.as_str() == "addon/a");
    let kept: Vec<&str> = graph.ids().map(ResourceId::as_str).collect();
    assert_eq!(kept, ["cluster/x", "addon/a"]);
}

#[test]
fn what_tells_of_a_part_is_kept_with_all_of_that_part_alone() {
    let graph = || {
        let mut graph = Graph::new();
        for id in ["addon/pools", "addon/web"] {
            graph.add(Scripted::new(id, vec![], vec![]).0, Removal::Itself);
        }
        let needs = vec![Need::Ready(ResourceId::new("addon/pools"))];
        graph.add_along(Scripted::new("network/pools", needs, vec![]).0, Removal::LookedAt);
        graph
    };
    let kept = |wanted: &str| {
        let mut graph = graph();
        graph.keep_only(|id| id.as_str() == wanted);
        graph.ids().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(kept("addon/pools"), ["addon/pools", "network/pools"]);
    assert_eq!(kept("addon/web"), ["addon/web"]);
    assert_eq!(graph().ids().count(), 3);
}
