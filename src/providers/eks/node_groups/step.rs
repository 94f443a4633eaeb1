use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::calls::{self, Making};
use super::difference::Update;
use super::hints::untold;
use super::live::Live;
use super::resource::Inner;
use super::wanted::Wanted;
use crate::base::{Fault, FaultKind};
use crate::engine::{Cx, Step};
use crate::k8s::Hub;
use crate::providers::eks::lately::Lately;
use crate::providers::eks::updates::LastUpdate;
use crate::providers::eks::{UNTIL_HEARD, client};

/// What is done to a group of AWS.
pub(super) enum Act {
    /// A group is made.
    Make { name: String, wanted: Box<Wanted>, ami_type: &'static str, subnets: Vec<String>, desired: u32 },
    /// A group is changed in place.
    Update(Box<(Live, Wanted, Update)>),
    /// Pods are driven out of the nodes of a group, and then it goes.
    Retire(String),
    /// A group without anything in it goes.
    Remove(String),
}

/// Takes the courtesy lock of the environment in its cluster, if the cluster answers: whoever holds it has begun to
/// delete what this run waits for. Twice is once; nothing else is changed.
pub(super) struct Claim {
    pub hub: Arc<Hub>,
    pub claimed: Arc<AtomicBool>,
}

impl Step for Claim {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            self.claimed.store(true, Ordering::Relaxed);
            if let Some(access) = cx.outputs.cluster_access() {
                self.hub.connect(access).await?;
            }
            match self.hub.claim(&cx.flow).await {
                Err(fault) if fault.kind == FaultKind::Locked => Err(fault.untouched()),
                // A cluster that does not answer is on its way out, too: then its end tells the rest.
                _ => Ok(()),
            }
        }
        .boxed()
    }
}

/// Makes, changes or removes a group of AWS.
///
/// If this dies half way through retiring a group, its nodes are cordoned and some of its pods are gone; the next run
/// does the rest.
pub(super) struct GroupStep {
    pub inner: Arc<Inner>,
    pub changed: Arc<AtomicBool>,
    pub lately: Lately,
    pub last: LastUpdate,
    pub act: Act,
}

impl Step for GroupStep {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let Self { inner, changed, lately, last, act } = *self;
            changed.store(true, Ordering::Relaxed);
            let eks = &client(&inner.session, &cx.flow).await?;
            let cluster = &inner.cluster;
            match act {
                Act::Make { name, wanted, ami_type, subnets, desired } => {
                    let making = Making { cluster, name: &name, wanted: &wanted, ami_type, subnets, desired };
                    let attempted = format!("make node group {name}");
                    let made = cx.flow.retry(UNTIL_HEARD, &attempted, || calls::create(eks, &making)).await;
                    inner.fates.tell(&wanted.name, made.is_err());
                    made?;
                    lately.made(&name);
                    Ok(())
                }
                Act::Update(change) => {
                    let (live, wanted, update) = *change;
                    if let Update::Hints(mark) = &update {
                        let aws = inner.session.open(&cx.flow).await?;
                        let told = wanted.hints.tell(&aws, &live.scaling_groups, &cx.flow).await;
                        told.map_err(|refusal| untold(&live.name, &refusal))?;
                        lately.made(mark);
                    }
                    let begun = calls::update(eks, cluster, &live, &wanted, &update).await?;
                    last.began(begun.as_ref());
                    Ok(())
                }
                Act::Retire(name) => {
                    super::nodes::drain_group(&inner.hub, &name, &cx.flow).await?;
                    calls::delete(eks, cluster, &name).await
                }
                Act::Remove(name) => {
                    lately.removed(&name);
                    calls::delete(eks, cluster, &name).await
                }
            }
        }
        .boxed()
    }
}
