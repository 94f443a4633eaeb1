use super::args::Part;
use super::exit::Failure;
use super::runtime::{self, reading};
use super::settings::Settings;
use crate::base::Secret;
use crate::flow::{Deadline, Flow};
use crate::profile::Environment;
use crate::{plan, registry};

/// Reads the logins that the tenants of `environment` pull images with from where the user's container
/// engine keeps them; nothing when none are needed for the parts that `only` names.
pub(super) fn read(
    environment: &Environment,
    only: &[Part],
    deadline: Deadline,
    settings: &Settings,
) -> Result<Option<Secret<String>>, Failure> {
    let is_wanted =
        only.is_empty() || only.iter().any(|part| matches!(part, Part::Tenants | Part::Tenant(_)));
    if !is_wanted || !plan::pulls_with_logins(environment) {
        return Ok(None);
    }
    let config = registry::DockerConfig::new(settings.docker_config()?);
    let hosts = &environment.pull_secrets;
    let read = runtime::run(|signals| async move {
        let flow = Flow::new(signals.cancel().clone()).until(deadline);
        reading(&signals, registry::pull_secret(&config, hosts, &settings.search_path, &flow)).await
    })?;
    Ok(Some(read?))
}
