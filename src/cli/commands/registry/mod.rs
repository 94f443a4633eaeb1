mod list;
mod login;

use std::sync::Arc;

use crate::base::{Fault, FaultKind, ProviderKind};
use crate::cli::args::{Registry, RegistryCommand, Target};
use crate::cli::exit::{Exit, Failure};
use crate::cli::profiles;
use crate::cli::settings::Settings;
use crate::clouds::aws::Session;
use crate::plan;
use crate::profile::schema::EcrRegistry;
use crate::profile::{Environment, RegistrySpec};

/// `berth registry …`
pub(super) fn run(arguments: &Registry, settings: &Settings) -> Result<Exit, Failure> {
    match &arguments.command {
        RegistryCommand::List(arguments) => list::run(arguments, settings),
        RegistryCommand::Login(arguments) => login::run(arguments, settings),
    }
}

/// Where the images of an environment are.
enum Place {
    /// In the registry on this machine, at that port.
    Local(u16),
    /// In Amazon ECR.
    Ecr(EcrRegistry, Arc<Session>),
}

/// The environment that is meant, and where its images are.
fn chosen(target: &Target, attempted: &str, settings: &Settings) -> Result<(Environment, Place), Failure> {
    let environment = profiles::load(target, settings)?.environment;
    let fault = |why: &str, hint: &str| {
        let attempted = format!("{attempted} of {}", environment.name);
        Failure::from(Fault::new(FaultKind::Invalid, attempted, why).hint(hint))
    };
    if environment.rehearsal {
        return Err(fault("a rehearsal has no registry", "leave `--rehearse` out"));
    }
    let place = match &environment.registry {
        Some(RegistrySpec::Local(local)) => Place::Local(local.port),
        Some(RegistrySpec::Ecr(spec)) => {
            let session = plan::ecr_session(&environment, None);
            let session = session.ok_or_else(|| fault("it has no region", "add `registry.ecr.region`"))?;
            Place::Ecr(spec.clone(), session)
        }
        Some(RegistrySpec::ArtifactRegistry(_)) => {
            return Err(fault(
                "this build of berth knows registries of this machine and of Amazon ECR",
                "use your cloud's own tools",
            ));
        }
        None => {
            let hint = missing(environment.cluster.provider(), &environment.name);
            return Err(fault("its profile declares no registry", &hint));
        }
    };
    Ok((environment, place))
}

/// What to write where the profile of the environment `name` declares no registry.
fn missing(provider: ProviderKind, name: &str) -> String {
    let registry = match provider {
        ProviderKind::Eks => "{ecr: {repositories: [{name: checkout/api}]}}",
        ProviderKind::Existing => "{ecr: {region: eu-central-1, repositories: [{name: checkout/api}]}}",
        ProviderKind::Kind => "{local: {}}",
        ProviderKind::Gke => return "use your cloud's own tools".to_string(),
        ProviderKind::Kwok => return "its nodes are simulated and pull no images: it needs none".to_string(),
    };
    format!("add one: `registry: {registry}`, then `berth up {name}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_is_missing_is_one_that_the_provider_can_have() {
        for (provider, words) in [
            (
                ProviderKind::Eks,
                "`registry: {ecr: {repositories: [{name: checkout/api}]}}`, then `berth up dev`",
            ),
            (ProviderKind::Existing, "`registry: {ecr: {region: "),
            (ProviderKind::Kind, "`registry: {local: {}}`"),
        ] {
            let hint = missing(provider, "dev");
            assert!(hint.contains(words), "{provider}: {hint}");
        }
    }
}
