use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::held::{Gate, knock};
use super::hub::Hub;
use super::live::Live;
use super::object::{Object, Wave};
use super::removal::remove_in_order;
use super::set::Leaving;
use crate::base::{Fault, FaultKind};
use crate::engine::{Cx, Step};
use crate::flow::{Flow, Tally};

/// Applies and removes objects of one set, wave by wave.
pub(super) struct SetStep {
    pub hub: Arc<Hub>,
    pub apply: Vec<Arc<Object>>,
    pub remove: Vec<Arc<Live>>,
    pub rule: Leaving,
}

impl Step for SetStep {
    /// If this dies half way, each object is either as it was or as it should be, and carries its
    /// mark; the next run makes the rest.
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let Self { hub, apply, remove, rule } = *self;
            let flow = &cx.flow;
            hub.forget_present();
            // Where namespaces are guarded, access is taken away before anything else changes.
            let (bindings, rest): (Vec<_>, Vec<_>) = remove
                .into_iter()
                .partition(|live| rule == Leaving::AccessOnly && live.kind.wave() == Wave::Bindings);
            remove_in_order(&hub, bindings, rule, flow).await?;
            send_all(&hub, apply, flow).await?;
            remove_in_order(&hub, rest, rule, flow).await
        }
        .boxed()
    }
}

/// Applies the custom resources of a set, if the API server accepts one of each kind.
pub(super) struct HeldStep {
    pub hub: Arc<Hub>,
    pub held: Vec<Arc<Object>>,
    /// Set when they were not accepted yet: then to look is to ask again.
    pub knocked: Arc<AtomicBool>,
    /// Whether they were accepted just now.
    pub accepted: bool,
}

impl Step for HeldStep {
    /// If this dies half way, each object is either as it was or as it should be.
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let flow = &cx.flow;
            if !self.accepted {
                match knock(&self.hub, &self.held, flow).await? {
                    Gate::Open => {}
                    Gate::Closed(_) => {
                        self.knocked.store(true, Ordering::Relaxed);
                        return Ok(());
                    }
                    Gate::Refused(why) => {
                        let attempted = "make the custom resources".to_string();
                        return Err(Fault::new(FaultKind::Invalid, attempted, why));
                    }
                }
            }
            self.hub.forget_present();
            send_all(&self.hub, self.held, flow).await
        }
        .boxed()
    }
}

async fn send_all(hub: &Hub, objects: Vec<Arc<Object>>, flow: &Flow) -> Result<(), Fault> {
    hub.open_for_writing(flow).await?;
    hub.record_kinds(flow).await?;
    let mut tally = Tally::new(objects.len(), "objects accepted");
    let mut waves: BTreeMap<Wave, Vec<Arc<Object>>> = BTreeMap::new();
    for object in objects {
        waves.entry(object.kind.wave()).or_default().push(object);
    }
    for objects in waves.into_values() {
        flow.each(objects, hub.width(), &mut tally, |object| async move { hub.send(&object, flow).await })
            .await?;
    }
    Ok(())
}
