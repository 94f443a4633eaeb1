use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::berth::run;
use super::control_plane::kubectl;
use super::eventually;

/// What stands in a cluster, by owner label: `Kind namespace/name` to its object.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory(pub BTreeMap<String, Value>);

impl Inventory {
    /// Everything, of every kind that the API server can list, that carries `selector`.
    pub fn of(kubeconfig: &Path, selector: &str) -> Self {
        // Kinds come and go with the definitions of other tests.
        eventually("an inventory", || Self::look(kubeconfig, selector))
    }

    fn look(kubeconfig: &Path, selector: &str) -> Option<Self> {
        let kinds = ask(kubeconfig, &["api-resources", "--verbs=list", "-o", "name"])?;
        let kinds: Vec<&str> = kinds
            .lines()
            // Events are nobody's, and metrics are no objects.
            .filter(|kind| !kind.starts_with("events") && !kind.ends_with("metrics.k8s.io"))
            .collect();
        let text = ask(kubeconfig, &["get", &kinds.join(","), "-A", "-l", selector, "-o", "json"])?;
        let list: Value = serde_json::from_str(&text).expect("kubectl writes JSON");
        let mut objects = BTreeMap::new();
        for object in list["items"].as_array().into_iter().flatten() {
            let namespace = object["metadata"]["namespace"].as_str().map(|name| format!("{name}/"));
            let title = format!(
                "{} {}{}",
                object["kind"].as_str().unwrap_or_default(),
                namespace.unwrap_or_default(),
                object["metadata"]["name"].as_str().unwrap_or_default()
            );
            objects.insert(title, object.clone());
        }
        Some(Self(objects))
    }

    /// Their titles.
    pub fn titles(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    /// The same without what the API server and controllers set: two inventories of one platform
    /// are equal then, whatever happened on the way.
    #[must_use]
    pub fn essence(&self) -> Self {
        let mut objects = self.0.clone();
        for object in objects.values_mut() {
            if let Some(object) = object.as_object_mut() {
                object.remove("status");
            }
            if let Some(metadata) = object["metadata"].as_object_mut() {
                for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
                    metadata.remove(field);
                }
            }
        }
        Self(objects)
    }
}

/// What kubectl says, if all went well.
fn ask(kubeconfig: &Path, arguments: &[&str]) -> Option<String> {
    let said = run(kubectl(kubeconfig, arguments));
    (said.code == Some(0)).then_some(said.stdout)
}
