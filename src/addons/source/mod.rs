//! What has to be fetched, or rendered by another program, before an addon can be rendered here.

mod document;
mod download;
mod fetch;
mod helm;
mod objects;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use document::Document;
pub use helm::{GET_HELM, HelmSearch, HelmVersion};
pub(super) use objects::{SourceObjects, downloaded, missing_namespace, of_source};

/// What was fetched for the addons of a profile. Rendering reads it and stays pure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sources {
    by_addon: BTreeMap<String, Fetched>,
}

/// What was fetched for one addon.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fetched {
    /// What it is, for people: a chart's version, the hash of a file.
    pub version: String,
    /// Its documents, in their order.
    pub documents: Vec<Document>,
}

impl Sources {
    /// Nothing, for a run that takes away and goes by the marks: addons from elsewhere are there by name,
    /// without objects.
    pub fn absent() -> Self {
        Self::default()
    }

    pub(super) fn of(&self, addon: &str) -> Option<&Fetched> {
        self.by_addon.get(addon)
    }

    /// Every document of every addon: what one defines, another may use.
    pub(super) fn documents(&self) -> impl Iterator<Item = &Document> {
        self.by_addon.values().flat_map(|fetched| &fetched.documents)
    }
}

/// With what sources are fetched.
#[derive(Debug, Clone)]
pub struct Means {
    /// berth's own folder of what can be had again.
    pub cache: PathBuf,
    /// Where `helm` is.
    pub helm: HelmSearch,
}
