use super::exit::Failure;
use super::runtime::{self, reading};
use super::settings::Settings;
use crate::flow::Flow;
use crate::profile::{Environment, Misfit};
use crate::{plan, providers};

/// What is wrong with the addresses that the profile of `environment` gives out, on the network of its cluster: of
/// one that is not there yet nothing is known. Asks the container engine, if any are written at all.
pub(super) fn misfits(environment: &Environment, settings: &Settings) -> Result<Vec<Misfit>, Failure> {
    if !plan::has_ranges(environment) {
        return Ok(Vec::new());
    }
    let local = settings.local(None)?;
    let network = runtime::run(|signals| async move {
        let flow = Flow::new(signals.cancel().clone());
        reading(&signals, Box::pin(providers::network_ahead(environment, &local, &flow))).await
    })?;
    Ok(network.map(|network| plan::misfits_on(environment, &network)).unwrap_or_default())
}
