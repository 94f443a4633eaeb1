use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::calls::{self, Altered, Ground, Refusal};
use super::difference::Update;
use super::resource::Inner;
use crate::base::{Fault, FaultKind};
use crate::engine::{Cx, Step};
use crate::flow::Patience;
use crate::providers::eks::client;

/// How often a cluster that EKS refused for a role that it has not heard of is asked for again: two minutes in all.
const UNTIL_HEARD: Patience =
    Patience { retries: 24, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(5) };

/// What a change of somebody else, which EKS may not show yet, is called among what was made lately.
pub(super) const OTHERS_CHANGE: &str = "a change of somebody else";

/// Makes the cluster; that there is one already is for the next look.
pub(super) struct Make {
    pub inner: Arc<Inner>,
    pub ground: Option<Ground>,
}

impl Step for Make {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let Self { inner, ground } = *self;
            let attempted = format!("make the EKS cluster {}", inner.wanted.name);
            let mut ground = ground.ok_or_else(|| {
                Fault::new(FaultKind::Bug, attempted.clone(), "its network has not told its subnets and role")
            })?;
            ground.node_role = inner.node_role(&cx.outputs);
            loop {
                let (inner, ground_now) = (&inner, &ground);
                let zones = cx
                    .flow
                    .retry(UNTIL_HEARD, &attempted, || async {
                        let eks = client(&inner.session, &cx.flow).await?;
                        match calls::create(&eks, &inner.wanted, ground_now).await {
                            Ok(()) | Err(Refusal::Exists) => Ok(None),
                            Err(Refusal::Zones(zones, fault)) => Ok(Some((zones, fault))),
                            Err(Refusal::Fault(fault)) => Err(fault),
                        }
                    })
                    .await?;
                let Some((zones, fault)) = zones else { break };
                ground = with_room(ground, &zones).ok_or_else(|| {
                    fault.hint(format!(
                        "EKS has room in {}: have the network span two of them at least",
                        zones.join(", ")
                    ))
                })?;
            }
            inner.lately.made(&inner.wanted.name);
            Ok(())
        }
        .boxed()
    }
}

/// `ground` without the zones that EKS has no room in; `None` when fewer than two are left, or nothing changes.
fn with_room(mut ground: Ground, zones: &[String]) -> Option<Ground> {
    let before = ground.subnets.len();
    ground.subnets.retain(|(zone, _)| zones.contains(zone));
    let left: BTreeSet<&String> = ground.subnets.iter().map(|(zone, _)| zone).collect();
    (left.len() >= 2 && ground.subnets.len() < before).then_some(ground)
}

/// Makes one change. Where somebody else's is not over, that is waited for, and the next look asks again.
pub(super) struct Alter {
    pub inner: Arc<Inner>,
    pub update: Update,
}

impl Step for Alter {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let inner = &self.inner;
            let node_role = inner.node_role(&cx.outputs);
            let (name, tags) = (&inner.wanted.name, &inner.wanted.tags);
            let (node_role, update) = (node_role.as_deref(), &self.update);
            let attempted = format!("change the EKS cluster {name}");
            let send = || async {
                let eks = client(&inner.session, &cx.flow).await?;
                calls::update(&eks, name, update, node_role, tags).await
            };
            let altered = match update {
                Update::AutoMode(true) => cx.flow.retry(UNTIL_HEARD, &attempted, send).await?,
                _ => send().await?,
            };
            match altered {
                Altered::Begun(begun) => inner.last.began(begun.as_ref()),
                Altered::Busy => inner.lately.made(OTHERS_CHANGE),
            }
            Ok(())
        }
        .boxed()
    }
}

/// Takes a cluster away that could not be made, so that the next look makes it.
pub(super) struct Unmake {
    pub inner: Arc<Inner>,
}

impl Step for Unmake {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            self.inner.lately.removed(&self.inner.wanted.name);
            self.inner.remove(&cx.flow).await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_without_room_is_left_out_as_long_as_two_are_left() {
        let subnet = |zone: &str| (zone.to_string(), format!("subnet-{zone}"));
        let ground = Ground {
            subnets: vec![subnet("a"), subnet("b"), subnet("c")],
            role: "arn".to_string(),
            node_role: None,
        };
        let zones = |zones: &[&str]| zones.iter().map(ToString::to_string).collect::<Vec<_>>();
        let left = with_room(ground.clone(), &zones(&["a", "c", "d"])).expect("two are left");
        assert_eq!(left.subnets, [subnet("a"), subnet("c")]);
        assert_eq!(with_room(ground.clone(), &zones(&["a", "d"])), None);
        assert_eq!(with_room(ground, &zones(&["a", "b", "c"])), None);
    }
}
