use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::calls::Calls;
use super::leftover::{Kind, Leftover, RELEASED, RETAINED, told};
use super::logs;
use super::shared::{Shared, calls};
use super::{inside, retained};
use crate::base::{Fault, FaultKind, Note, ResourceId};
use crate::clouds::aws::{Aws, Session};
use crate::engine::{Cx, Need, Resource, Seen, State};
use crate::flow::{Flow, Notice};
use crate::k8s::Hub;
use crate::profile::Environment;
use crate::profile::schema::EksCluster;
use crate::providers::eks::names::Names;
use crate::providers::eks::{Around, PAUSES};

/// How long controllers may do nothing about what they made: then it is swept up behind them.
const CONTROLLERS: Duration = Duration::from_mins(3);
/// How long interfaces of nodes may stay in use once the nodes are gone: those of machines that are not ours do.
const NODES: Duration = Duration::from_mins(3);
/// How long nothing may change about what is left, before it counts as held for good.
const HELD: Duration = Duration::from_mins(10);

/// The sweeps of an environment, in the order in which `down` comes to them.
pub struct Sweeps {
    /// What made load balancers and volumes, while its controllers live: before the nodes go.
    pub made: Sweep,
    /// Interfaces that the nodes left, before the cluster goes: EKS tries once to remove its security group.
    pub interfaces: Sweep,
    /// What the cluster left, before the network goes.
    pub left: Sweep,
    /// The log group, last: late events make it again.
    pub logs: Sweep,
    /// What all of them share.
    pub(super) shared: Arc<Shared>,
}

/// When of the removal something is swept up.
enum Stage {
    Made(Arc<Hub>),
    Interfaces,
    Left,
    Logs,
}

/// One sweep: it is there as long as there is something to sweep up.
pub struct Sweep {
    id: ResourceId,
    needs: Vec<Need>,
    stage: Stage,
    shared: Arc<Shared>,
    begun: AtomicBool,
    last: Mutex<Option<(Vec<String>, Instant)>>,
    /// The volumes that carry what became of them.
    marked: Mutex<BTreeSet<String>>,
}

impl Sweeps {
    /// The sweeps of `environment` in `region`. What goes after the node groups of `machines` needs them.
    pub(in crate::providers::eks) fn new(
        environment: &Environment,
        spec: &EksCluster,
        around: &Around,
        machines: Vec<ResourceId>,
        session: &Arc<Session>,
        hub: &Arc<Hub>,
    ) -> Self {
        let names = Names::new(&environment.name, &spec.region);
        let shared = Arc::new(Shared::new(
            Arc::clone(session),
            names,
            environment.owner.clone(),
            spec.network.subnets.clone(),
        ));
        let name = &environment.name;
        let sweep = |what: &str, needs: Vec<Need>, stage: Stage| Sweep {
            id: ResourceId::new(format!("{what}/{name}")),
            needs,
            stage,
            shared: Arc::clone(&shared),
            begun: AtomicBool::new(false),
            last: Mutex::default(),
            marked: Mutex::default(),
        };
        // By the way in it is reached, and it goes before all machines.
        let inside =
            [Need::Inside(around.door.clone())].into_iter().chain(machines.into_iter().map(Need::Ready));
        Self {
            made: sweep("made-by-cluster", inside.collect(), Stage::Made(Arc::clone(hub))),
            interfaces: sweep(
                "interfaces-of-nodes",
                vec![Need::Ready(around.cluster.clone())],
                Stage::Interfaces,
            ),
            left: sweep("left-by-cluster", vec![Need::Ready(around.network.clone())], Stage::Left),
            logs: sweep("logs-of-cluster", Vec::new(), Stage::Logs),
            shared,
        }
    }
}

impl Sweep {
    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let flow = &cx.flow;
        let aws = self.shared.session.open(flow).await?;
        let known = self.shared.ground(&aws, flow).await?;
        let calls = calls(&aws, flow, known);
        match &self.stage {
            Stage::Made(hub) => Box::pin(self.made(hub, &aws, cx)).await,
            Stage::Interfaces => {
                let found = calls.interfaces().await?;
                let stays = self.unchanged(found.iter().map(|thing| thing.id.clone()).collect());
                let all_used = found.iter().all(|thing| thing.goes_alone);
                if all_used && (!self.has_begun() || stays >= NODES) {
                    return Ok(Seen::new(State::Absent));
                }
                Ok(seen(&found))
            }
            Stage::Left => {
                let mut found = Box::pin(calls.everything()).await?;
                let mut notes: Vec<Note> = self.shared.in_the_way(&known.0).into_iter().collect();
                let claimed = calls.claimed().await?;
                notes.extend(
                    claimed.iter().filter_map(|found| retained::note(found, self.shared.session.region())),
                );
                if !self.has_begun() {
                    // Before the rest goes, what only goes along with it is nothing to tell.
                    found.retain(|thing| !thing.goes_alone);
                }
                let stays = self.unchanged(found.iter().map(|thing| thing.id.clone()).collect());
                if !found.is_empty() && self.has_begun() && stays >= HELD {
                    return Err(self.held(&found));
                }
                let mut seen = seen(&found);
                seen.notes = notes;
                Ok(seen)
            }
            Stage::Logs => {
                let name = self.shared.names.log_group();
                if !logs::stands(&aws, &name, flow).await? {
                    return Ok(Seen::new(State::Absent));
                }
                if known.0.ours {
                    return Ok(Seen { more_to_remove: true, ..Seen::new(State::Ready) });
                }
                Ok(Seen {
                    notes: vec![logs::kept(&name, aws.region(), &known.0)],
                    ..Seen::new(State::Absent)
                })
            }
        }
    }

    /// What in the cluster made something outside of it. An API server that does not answer keeps nobody: then all of
    /// it is swept up later, by its tags.
    async fn made(&self, hub: &Hub, aws: &Aws, cx: &Cx) -> Result<Seen, Fault> {
        let Some(access) = cx.outputs.cluster_access() else { return Ok(Seen::new(State::Absent)) };
        let looked = async {
            hub.connect(access).await?;
            Box::pin(inside::look(hub, &cx.flow)).await
        };
        let found = match Box::pin(looked).await {
            Ok(found) => found,
            Err(fault) if is_about_the_run(&fault) => return Err(fault),
            Err(fault) => {
                cx.flow.report(Notice::Waiting(format!(
                    "the cluster does not say what it made: {}",
                    fault.reason
                )));
                return Ok(Seen::new(State::Absent));
            }
        };
        if !self.has_begun() {
            let state = if found.is_clear() { State::Absent } else { State::Ready };
            return Ok(Seen { more_to_remove: true, ..Seen::new(state) });
        }
        let mut left = found.awaited();
        if left.is_empty() {
            let known = self.shared.ground(aws, &cx.flow).await?;
            left =
                Box::pin(calls(aws, &cx.flow, known).made()).await?.iter().map(ToString::to_string).collect();
        }
        let stays = self.unchanged(left.clone());
        let Some(first) = left.first() else { return Ok(Seen::new(State::Absent)) };
        if stays >= CONTROLLERS {
            let text = format!("{first} does not go: what is left is swept up once the nodes are gone");
            cx.flow.report(Notice::Waiting(text));
            return Ok(Seen::new(State::Absent));
        }
        let more = if left.len() > 1 { format!(" and {} more", left.len() - 1) } else { String::new() };
        Ok(Seen { more_to_remove: true, ..Seen::new(State::Progressing(format!("{first}{more}"))) })
    }

    async fn remove(&self, cx: &Cx) -> Result<(), Fault> {
        let flow = &cx.flow;
        self.begun.store(true, Ordering::Relaxed);
        let aws = self.shared.session.open(flow).await?;
        let known = self.shared.ground(&aws, flow).await?;
        let calls = calls(&aws, flow, known);
        match &self.stage {
            Stage::Made(hub) => {
                let Ok(found) = Box::pin(inside::look(hub, flow)).await else {
                    return flow.check("ask the cluster");
                };
                // What stays and what goes has to be known before the claims go, also to a later run.
                for one in &found.retained {
                    self.mark(&calls, &one.volume, RETAINED, &one.claim).await?;
                }
                for volume in &found.released {
                    self.mark(&calls, volume, RELEASED, "").await?;
                }
                match found.remove(hub, flow).await {
                    Err(fault) if is_about_the_run(&fault) => Err(fault),
                    // It died meanwhile, or refuses: the next look tells.
                    Err(fault) => {
                        flow.report(Notice::Waiting(fault.to_string()));
                        Ok(())
                    }
                    Ok(()) => Ok(()),
                }
            }
            Stage::Interfaces => calls.remove(&calls.interfaces().await?).await,
            Stage::Left => calls.remove(&Box::pin(calls.everything()).await?).await,
            Stage::Logs if known.0.ours => logs::remove(&aws, &self.shared.names.log_group(), flow).await,
            Stage::Logs => Ok(()),
        }
    }

    /// Marks a volume, once in a run.
    async fn mark(&self, calls: &Calls<'_>, volume: &str, key: &str, value: &str) -> Result<(), Fault> {
        if self.marked().contains(volume) {
            return Ok(());
        }
        calls.mark(volume, key, value).await?;
        self.marked().insert(volume.to_string());
        Ok(())
    }

    fn marked(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.marked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// How long the same things have been left.
    fn unchanged(&self, left: Vec<String>) -> Duration {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, since)) if *known == left && self.has_begun() => since.elapsed(),
            _ => {
                *last = Some((left, Instant::now()));
                Duration::ZERO
            }
        }
    }

    fn held(&self, found: &[Leftover]) -> Fault {
        let minutes = HELD.as_secs() / 60;
        let reason = format!(
            "{} did not go in {minutes} minutes: something that berth did not make holds it",
            told(found)
        );
        let hint = match found.iter().find(|thing| thing.kind == Kind::Group) {
            Some(group) => format!(
                "`aws ec2 describe-network-interfaces --filters Name=group-id,Values={}` shows what wears it; remove \
                 that, then run the same command again",
                group.id
            ),
            None => "remove what uses it, then run the same command again".to_string(),
        };
        Fault::new(FaultKind::Conflict, format!("remove {}", self.id), reason).hint(hint)
    }
}

/// Whether a fault ends the run, and says nothing of the cluster.
fn is_about_the_run(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Cancelled | FaultKind::Deadline)
}

impl Resource for Sweep {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        self.needs.clone()
    }

    fn outline(&self) -> String {
        String::new()
    }

    fn looks_alone(&self) -> bool {
        true
    }

    fn pauses(&self) -> (Duration, Duration) {
        PAUSES
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        self.look(cx).boxed()
    }

    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        self.remove(cx).boxed()
    }
}

fn seen(found: &[Leftover]) -> Seen {
    let state = match found {
        [] => State::Absent,
        found => State::Progressing(told(found)),
    };
    let more_to_remove = found.iter().any(|thing| !thing.goes_alone);
    Seen { more_to_remove, ..Seen::new(state) }
}

impl Sweeps {
    /// What is in the way of the network now, of what the cluster left.
    pub(super) async fn behind(shared: &Shared, flow: &Flow) -> Result<Vec<Leftover>, Fault> {
        let aws = shared.session.open(flow).await?;
        let known = shared.ground(&aws, flow).await?;
        let mut found = Box::pin(calls(&aws, flow, known).everything()).await?;
        found.retain(|thing| !thing.goes_alone);
        Ok(found)
    }

    /// Removes these.
    pub(super) async fn clear(shared: &Shared, found: &[Leftover], flow: &Flow) -> Result<(), Fault> {
        let aws = shared.session.open(flow).await?;
        let known = shared.ground(&aws, flow).await?;
        calls(&aws, flow, known).remove(found).await
    }
}
