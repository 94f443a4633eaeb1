use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::resource::Sweeps;
use super::shared::Shared;
use crate::base::{Fault, ResourceId};
use crate::engine::{Cx, Need, Resource, Seen, State};
use crate::providers::eks::network::NetworkResource;

/// The network of an environment that goes: what shows up in it late, of the cluster that it was made for, is swept up
/// while its deletion waits for that, and before it is begun again.
pub struct SweptNetwork {
    network: NetworkResource,
    shared: Arc<Shared>,
}

impl SweptNetwork {
    /// `network`, swept like the rest of its environment.
    pub fn new(network: NetworkResource, sweeps: &Sweeps) -> Self {
        Self { network, shared: Arc::clone(&sweeps.shared) }
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let mut seen = self.network.observe(cx).await?;
        if matches!(seen.state, State::Progressing(_)) && !seen.more_to_remove {
            seen.more_to_remove = !Box::pin(Sweeps::behind(&self.shared, &cx.flow)).await?.is_empty();
        }
        Ok(seen)
    }

    async fn remove(&self, cx: &Cx) -> Result<(), Fault> {
        let found = Box::pin(Sweeps::behind(&self.shared, &cx.flow)).await?;
        Sweeps::clear(&self.shared, &found, &cx.flow).await?;
        self.network.delete(cx).await
    }
}

impl Resource for SweptNetwork {
    fn id(&self) -> &ResourceId {
        self.network.id()
    }

    fn needs(&self) -> Vec<Need> {
        self.network.needs()
    }

    fn outline(&self) -> String {
        self.network.outline()
    }

    fn pauses(&self) -> (Duration, Duration) {
        self.network.pauses()
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        self.look(cx).boxed()
    }

    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        self.remove(cx).boxed()
    }
}
