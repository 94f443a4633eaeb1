//! That an environment took a cluster over, kept in the cluster beside the records: so it is known also where
//! every file of that run is lost.

use serde_json::json;

use super::client::object_path;
use super::hub::Hub;
use super::kinds::known_kind;
use super::object::{Kind, Object};
use super::records;
use crate::base::{ClusterAccess, Fault};
use crate::flow::Flow;

/// The key under which it is said of which cluster this is: a copy in another cluster says nothing.
const CLUSTER: &str = "cluster";
/// The key of what the cluster is taken to be made with.
const MADE_WITH: &str = "madeWith";

impl Hub {
    /// What the cluster at `access` was taken to be made with when this environment took it over; `None` when
    /// it did not.
    pub async fn adoption(&self, access: &ClusterAccess, flow: &Flow) -> Result<Option<String>, Fault> {
        self.connect(access).await?;
        let path = object_path(&kind(), Some(records::NAMESPACE), &self.adoption_name());
        let Some(live) = records::get(self.connected()?, flow, &kind(), &path).await? else {
            return Ok(None);
        };
        let data = &live.body["data"];
        if data[CLUSTER].as_str().map(str::to_string) != self.cluster_uid(flow).await? {
            return Ok(None);
        }
        Ok(data[MADE_WITH].as_str().map(str::to_string))
    }

    /// Keeps in the cluster at `access` that this environment took it over, and what it is taken to be made
    /// with.
    ///
    /// If this dies right after the call, the next run finds the cluster taken over.
    pub async fn keep_adoption(
        &self,
        access: &ClusterAccess,
        made_with: &str,
        flow: &Flow,
    ) -> Result<(), Fault> {
        self.connect(access).await?;
        self.open_for_writing(flow).await?;
        let name = self.adoption_name();
        let body = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": records::NAMESPACE, "labels": records::labels(&self.settings().owner)},
            "data": {CLUSTER: self.cluster_uid(flow).await?, MADE_WITH: made_with},
        });
        let namespace = Some(records::NAMESPACE.to_string());
        let object = Object { kind: kind(), namespace, name, home: None, body };
        self.connected()?.apply(flow, &object, true).await.map(|_| ())
    }

    fn adoption_name(&self) -> String {
        format!("{}-adopted", records::name(&self.settings().owner))
    }
}

fn kind() -> Kind {
    known_kind("v1", "ConfigMap").expect("config maps are built in")
}
