use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::OnceCell;

use super::hub::{Hub, locked};
use super::live::{Bare, Key, Live};
use super::object::{Kind, Object};
use crate::base::Fault;
use crate::flow::Flow;

/// What there is of a kind, whoever made it.
#[derive(Default)]
pub(super) struct Present {
    keys: BTreeSet<Key>,
    defaults: BTreeSet<String>,
}

/// What there is of a kind with this owner's label.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) loaded: Arc<OnceCell<()>>,
    pub(super) objects: BTreeMap<Key, Arc<Live>>,
}

impl Hub {
    /// All objects of `kind` with this owner's label: one LIST per run, shared by all who ask.
    pub async fn list_owned(&self, kind: &Kind, flow: &Flow) -> Result<Vec<Arc<Live>>, Fault> {
        let loaded = Arc::clone(&self.owned().entry(kind.clone()).or_default().loaded);
        loaded
            .get_or_try_init(|| async {
                let objects = self.list(kind, &self.settings().owner.selector(), flow).await?;
                self.owned().entry(kind.clone()).or_default().objects = objects;
                Ok::<(), Fault>(())
            })
            .await?;
        Ok(self.owned().get(kind).map(|shelf| shelf.objects.values().cloned().collect()).unwrap_or_default())
    }

    /// Everything with this owner's label as it was listed last. Asks nobody.
    pub(super) fn seen_so_far(&self) -> Vec<Arc<Live>> {
        self.owned().values().flat_map(|shelf| shelf.objects.values()).cloned().collect()
    }

    /// All objects of `kind` in the cluster, whoever made them, listed afresh.
    pub async fn list_all(&self, kind: &Kind, flow: &Flow) -> Result<Vec<Live>, Fault> {
        let found = self.list(kind, "", flow).await?;
        Ok(found.into_values().map(Arc::unwrap_or_clone).collect())
    }

    /// All objects of `kind` with this owner's label, listed afresh.
    pub(super) async fn list_labelled(&self, kind: &Kind, flow: &Flow) -> Result<Vec<Arc<Live>>, Fault> {
        let found = self.list(kind, &self.settings().owner.selector(), flow).await?;
        Ok(found.into_values().collect())
    }

    async fn list(
        &self,
        kind: &Kind,
        selector: &str,
        flow: &Flow,
    ) -> Result<BTreeMap<Key, Arc<Live>>, Fault> {
        let mut objects = BTreeMap::new();
        self.connected()?
            .list(flow, kind, Some(selector), false, |page| {
                let page: Page<Bare> = serde_json::from_slice(page)?;
                for item in page.items {
                    let live = Live::from_bare(kind, item);
                    objects.insert(live.key(), Arc::new(live));
                }
                Ok(page.metadata.next)
            })
            .await?;
        Ok(objects)
    }

    /// Forgets what was listed of `kind`, so that the next look is a fresh one.
    pub fn forget(&self, kind: &Kind) {
        if let Some(shelf) = self.owned().get_mut(kind) {
            shelf.loaded = Arc::default();
        }
    }

    /// Forgets all that was listed, so that the next look is a fresh one.
    pub(super) fn forget_owned(&self) {
        for shelf in self.owned().values_mut() {
            shelf.loaded = Arc::default();
        }
    }

    /// Forgets who else has objects here, so that the next look is a fresh one.
    pub(super) fn forget_present(&self) {
        locked(&self.present).clear();
    }

    /// Namespace and name of everything of `kind` in the cluster, whoever made it: one metadata-only LIST per run.
    pub async fn present(&self, kind: &Kind, flow: &Flow) -> Result<BTreeSet<Key>, Fault> {
        Ok(self.survey(kind, flow).await?.keys.clone())
    }

    /// The names of those objects of `kind`, whoever made them, that say that they are the default of their kind.
    pub(super) async fn defaults(&self, kind: &Kind, flow: &Flow) -> Result<BTreeSet<String>, Fault> {
        Ok(self.survey(kind, flow).await?.defaults.clone())
    }

    async fn survey(&self, kind: &Kind, flow: &Flow) -> Result<Arc<Present>, Fault> {
        let cell = {
            let mut present = locked(&self.present);
            Arc::clone(present.entry(kind.clone()).or_default())
        };
        let found = cell
            .get_or_try_init(|| async {
                let mut present = Present::default();
                self.connected()?
                    .list(flow, kind, None, true, |page| {
                        let page: Page<Named> = serde_json::from_slice(page)?;
                        for Named { metadata } in page.items {
                            if is_default(&metadata.annotations) {
                                present.defaults.insert(metadata.name.clone());
                            }
                            present.keys.insert((metadata.namespace, metadata.name));
                        }
                        Ok(page.metadata.next)
                    })
                    .await?;
                Ok::<_, Fault>(Arc::new(present))
            })
            .await?;
        Ok(Arc::clone(found))
    }
}

/// The annotations by which a class says that it is what those get who name none.
const DEFAULT_CLASS: [&str; 2] =
    ["ingressclass.kubernetes.io/is-default-class", "storageclass.kubernetes.io/is-default-class"];

fn is_default(annotations: &BTreeMap<String, String>) -> bool {
    DEFAULT_CLASS.iter().any(|key| annotations.get(*key).is_some_and(|value| value == "true"))
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Page<T> {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default = "Vec::new", deserialize_with = "null_as_empty")]
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue", deserialize_with = "non_empty")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    metadata: NamedMetadata,
}

#[derive(Deserialize)]
struct NamedMetadata {
    name: String,
    namespace: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Object {
    /// Whether it says that it is the default of its kind.
    pub(super) fn is_default_class(&self) -> bool {
        let annotations = &self.body["metadata"]["annotations"];
        DEFAULT_CLASS.iter().any(|key| annotations[*key] == "true")
    }
}

fn non_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

/// A metadata-only list of nothing has `null` for its items.
fn null_as_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_nothing_is_empty() {
        let page: Page<Named> = serde_json::from_str(r#"{"metadata":{},"items":null}"#).expect("a page");
        assert!(page.items.is_empty());
    }

    #[test]
    fn an_empty_continue_token_ends_a_list() {
        let page: Page<Named> =
            serde_json::from_str(r#"{"metadata":{"continue":""},"items":[{"metadata":{"name":"a"}}]}"#)
                .expect("a page");
        assert_eq!(page.metadata.next, None);
        assert_eq!(page.items[0].metadata.name, "a");
    }
}
