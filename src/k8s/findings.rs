//! What runs found out about a cluster and keep in it, beside the records.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::client::object_path;
use super::hub::Hub;
use super::kinds::known_kind;
use super::object::{Kind, Object};
use super::records;
use crate::base::Fault;
use crate::flow::Flow;

/// The key under which findings say of which cluster they are.
const CLUSTER: &str = "cluster";

impl Hub {
    /// What earlier runs of this environment found out about this cluster: nothing of one that was there
    /// before it.
    pub async fn findings(&self, flow: &Flow) -> Result<BTreeMap<String, String>, Fault> {
        let kind = kind();
        let path = object_path(&kind, Some(records::NAMESPACE), &self.findings_name());
        let Some(live) = records::get(self.connected()?, flow, &kind, &path).await? else {
            return Ok(BTreeMap::new());
        };
        let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_string()));
        let mut found: BTreeMap<String, String> =
            live.body["data"].as_object().into_iter().flatten().filter_map(text).collect();
        let of = found.remove(CLUSTER);
        if of.is_none() || of != self.cluster_uid(flow).await? {
            return Ok(BTreeMap::new());
        }
        Ok(found)
    }

    /// Keeps `found` in the cluster, in place of what was kept before.
    ///
    /// If this dies right after the call, the next run reads it.
    pub async fn keep_findings(&self, found: &BTreeMap<String, String>, flow: &Flow) -> Result<(), Fault> {
        self.open_for_writing(flow).await?;
        let owner = &self.settings().owner;
        let (kind, name) = (kind(), self.findings_name());
        let mut data = json!(found);
        if let Some(uid) = self.cluster_uid(flow).await? {
            data[CLUSTER] = Value::from(uid);
        }
        let body = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": records::NAMESPACE, "labels": records::labels(owner)},
            "data": data,
        });
        let namespace = Some(records::NAMESPACE.to_string());
        let object = Object { kind, namespace, name, home: None, body };
        self.connected()?.apply(flow, &object, true).await.map(|_| ())
    }

    /// Whether anything was kept, of whichever cluster.
    pub async fn has_findings(&self, flow: &Flow) -> Result<bool, Fault> {
        let path = object_path(&kind(), Some(records::NAMESPACE), &self.findings_name());
        Ok(records::get(self.connected()?, flow, &kind(), &path).await?.is_some())
    }

    /// Removes what was kept.
    pub async fn drop_findings(&self, flow: &Flow) -> Result<(), Fault> {
        let kind = kind();
        let path = object_path(&kind, Some(records::NAMESPACE), &self.findings_name());
        if let Some(live) = records::get(self.connected()?, flow, &kind, &path).await? {
            let attempted = format!("remove {}", live.title());
            self.connected()?.delete(flow, &attempted, &path, &live.uid).await?;
        }
        Ok(())
    }

    /// What no two clusters have in common, not even when one is made anew under the name of the other.
    pub(super) async fn cluster_uid(&self, flow: &Flow) -> Result<Option<String>, Fault> {
        let kind = known_kind("v1", "Namespace").expect("namespaces are built in");
        let path = object_path(&kind, None, "kube-system");
        let live = records::get(self.connected()?, flow, &kind, &path).await?;
        Ok(live.map(|live| live.uid))
    }

    fn findings_name(&self) -> String {
        format!("{}-findings", records::name(&self.settings().owner))
    }
}

fn kind() -> Kind {
    known_kind("v1", "ConfigMap").expect("config maps are built in")
}
