use std::time::Duration;

use super::args::Part;
use super::exit::Failure;
use super::runtime::{self, reading};
use super::settings::Settings;
use crate::addons::{Catalog, Sources};
use crate::flow::{Deadline, Flow};
use crate::profile::{AddonSpec, Environment};
use crate::providers;

/// Fetching may take this long where a command has no limit of its own.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);
/// Fetching is mostly reading the cache; when it takes longer, it is said.
const LONG_FETCH: Duration = Duration::from_secs(2);

/// Fetches what the addons of `environment` need from elsewhere; of those alone that `only` names, if it
/// names any parts.
pub(super) fn fetch(
    environment: &Environment,
    only: &[Part],
    deadline: Deadline,
    settings: &Settings,
) -> Result<Sources, Failure> {
    let is_wanted = |spec: &&AddonSpec| {
        let is_part = |part: &Part| match part {
            Part::Addons => true,
            Part::Addon(name) => *name == spec.name,
            _ => false,
        };
        only.is_empty() || only.iter().any(is_part)
    };
    let specs: Vec<AddonSpec> = environment.addons.iter().filter(is_wanted).cloned().collect();
    let catalog = Catalog::load(&environment.addons_from).map_err(|error| Failure::profile(&error.into()))?;
    let platform = providers::platform(environment);
    if !catalog.fetches(&specs, &environment.addons, &platform) {
        return Ok(Sources::absent());
    }
    let means = settings.means()?;
    runtime::run(|signals| async move {
        let flow = Flow::new(signals.cancel().clone()).until(deadline);
        let patience = Flow::new(signals.cancel().clone());
        let work = catalog.fetch(&specs, &environment.addons, &platform, &means, &flow);
        let told = async {
            tokio::pin!(work);
            tokio::select! {
                sources = &mut work => return sources,
                _ = patience.pause(LONG_FETCH, "fetch") => {}
            }
            settings.printer.talk("fetching what the addons come from …");
            work.await
        };
        reading(&signals, told).await?.map_err(|fault| Failure::profile(&fault))
    })
}
