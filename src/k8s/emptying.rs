use super::client::object_path;
use super::hub::Hub;
use super::live::Live;
use crate::base::Fault;
use crate::flow::Flow;

impl Hub {
    /// Removes a live object, whoever made it, if it is still the same one: only for what goes anyway, with a cluster
    /// that is ours. It takes no lock in that cluster.
    ///
    /// If this dies right after the call, the object is going or gone, and the next run sees that.
    pub async fn take_out(&self, live: &Live, flow: &Flow) -> Result<(), Fault> {
        let attempted = format!("remove {}", live.title());
        let path = object_path(&live.kind, live.namespace.as_deref(), &live.name);
        self.connected()?.delete(flow, &attempted, &path, &live.uid).await.map(|_| ())
    }
}
