use crate::addons::{AddonError, Catalog};
use crate::base::Network;
use crate::profile::{Environment, Misfit};
use crate::providers;

/// What is wrong with the addons of `environment` besides what the profile itself can tell: each is
/// checked on its own, so that all of them are told in one go. Their manifests are not rendered for that.
pub fn misfits(environment: &Environment) -> Vec<Misfit> {
    if environment.addons.is_empty() {
        return Vec::new();
    }
    let catalog = match Catalog::load(&environment.addons_from) {
        Ok(catalog) => catalog,
        Err(error) => return vec![misfit(&error)],
    };
    let platform = providers::platform(environment);
    let specs = environment.addons.iter();
    let refused = specs.flat_map(|spec| catalog.check(spec, &environment.addons, &platform));
    refused.map(|error| misfit(&error)).collect()
}

/// Whether the profile of `environment` says which addresses of the network of its nodes are announced.
pub fn has_ranges(environment: &Environment) -> bool {
    let provider = environment.cluster.provider();
    Catalog::load(&environment.addons_from)
        .is_ok_and(|catalog| environment.addons.iter().any(|spec| catalog.has_ranges(spec, provider)))
}

/// What is wrong with these addresses on `network`.
pub fn misfits_on(environment: &Environment, network: &Network) -> Vec<Misfit> {
    let provider = environment.cluster.provider();
    // What is wrong with the catalog itself is told by `misfits`.
    let Ok(catalog) = Catalog::load(&environment.addons_from) else { return Vec::new() };
    let specs = environment.addons.iter();
    let refused = specs.flat_map(|spec| catalog.misplaced_ranges(spec, provider, network));
    refused.map(|error| misfit(&error)).collect()
}

fn misfit(error: &AddonError) -> Misfit {
    Misfit {
        path: error.path().unwrap_or_else(|| "addons".to_string()),
        is_key: error.is_about_a_key(),
        message: error.problem(),
        help: error.hint().unwrap_or_else(|| "correct it there".to_string()),
    }
}
