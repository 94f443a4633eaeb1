use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::hub::Hub;
use super::records::connect;
use crate::base::{Fault, ResourceId};
use crate::engine::{Cx, Need, Resource, Seen, State};
use crate::flow::Patience;

/// Where to see whether any pod runs.
const A_RUNNING_POD: &str = "/api/v1/pods?limit=1&fieldSelector=status.phase%3DRunning";

/// Something that somebody else brings to the cluster: looked at, waited for, never touched.
pub struct Provided {
    id: ResourceId,
    needs: Vec<Need>,
    hub: Arc<Hub>,
    path: String,
}

impl Provided {
    /// What works once the list at `path` of the hub's cluster has items, as far as pods run that
    /// it could tell of (`/apis/metrics.k8s.io/v1beta1/nodes`), under the name `id`.
    pub fn new(id: ResourceId, needs: Vec<Need>, hub: Arc<Hub>, path: String) -> Self {
        Self { id, needs, hub, path }
    }
}

impl Resource for Provided {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        self.needs.clone()
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        async move {
            // It is not berth's: while it does not answer, it is on its way, and not a call to repeat here.
            const ONCE: Patience = Patience { retries: 0, ..Patience::BRIEF };
            connect(&self.hub, cx).await?;
            let waiting = |why: &str| State::Progressing(format!("{} {why}", self.path));
            let client = self.hub.connected()?;
            let state = match client.get(&cx.flow, ONCE, &self.path).await {
                Ok(Some(list)) if has_items(&list) => State::Ready,
                Ok(Some(_)) => {
                    let pods = client.get(&cx.flow, Patience::STEADY, A_RUNNING_POD).await?;
                    if pods.is_some_and(|pods| has_items(&pods)) {
                        waiting("is empty so far")
                    } else {
                        State::Ready
                    }
                }
                Ok(None) => waiting("is not there yet"),
                Err(fault) if fault.is_retryable() => waiting("does not answer yet"),
                Err(fault) => return Err(fault),
            };
            Ok(Seen::new(state))
        }
        .boxed()
    }

    fn delete<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}

fn has_items(list: &[u8]) -> bool {
    let list: Value = serde_json::from_slice(list).unwrap_or_default();
    list["items"].as_array().is_some_and(|items| !items.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_list_with_items_counts() {
        assert!(has_items(br#"{"items":[{"metadata":{"name":"general-0"}}]}"#));
        assert!(!has_items(br#"{"items":[]}"#));
        assert!(!has_items(b"not JSON"));
    }
}
