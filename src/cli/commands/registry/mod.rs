mod list;
mod login;

use crate::base::{Fault, FaultKind};
use crate::cli::args::{Registry, RegistryCommand, Target};
use crate::cli::exit::{Exit, Failure};
use crate::cli::profiles;
use crate::cli::settings::Settings;
use crate::profile::{Environment, RegistrySpec};

/// `berth registry …`
pub(super) fn run(arguments: &Registry, settings: &Settings) -> Result<Exit, Failure> {
    match &arguments.command {
        RegistryCommand::List(arguments) => list::run(arguments, settings),
        RegistryCommand::Login(arguments) => login::run(arguments, settings),
    }
}

/// The environment that is meant, and the port of its registry on this machine.
fn chosen(target: &Target, attempted: &str, settings: &Settings) -> Result<(Environment, u16), Failure> {
    let environment = profiles::load(target, settings)?.environment;
    let fault = |why: &str, hint: &str| {
        let attempted = format!("{attempted} of {}", environment.name);
        Failure::from(Fault::new(FaultKind::Invalid, attempted, why).hint(hint))
    };
    if environment.rehearsal {
        return Err(fault("a rehearsal has no registry", "leave `--rehearse` out"));
    }
    match &environment.registry {
        Some(RegistrySpec::Local(local)) => {
            let port = local.port;
            Ok((environment, port))
        }
        Some(RegistrySpec::Ecr(_) | RegistrySpec::ArtifactRegistry(_)) => Err(fault(
            "this build of berth knows registries of this machine alone",
            "use your cloud's own tools",
        )),
        None => Err(fault("its profile declares no registry", "add one: `registry: {local: {}}`")),
    }
}
