use serde_json::json;

use super::super::args::Validate;
use super::super::exit::{Exit, Failure};
use super::super::profiles::{Chosen, load_to_validate, tell_assumed};
use super::super::settings::Settings;
use super::super::yaml;
use super::{print, print_json};
use crate::addons::{AddonError, Catalog, Mirrors, check_mirrored};
use crate::profile::Environment;
use crate::providers;
use crate::ui::words::{count, list};

/// `berth validate [ENV]`
pub(super) fn run(arguments: &Validate, settings: &Settings) -> Result<Exit, Failure> {
    let chosen = match load_to_validate(&arguments.target, settings)? {
        Ok(chosen) => chosen,
        Err(error) => {
            if settings.json() {
                print_json(
                    settings,
                    &json!({"valid": false, "errors": error.errors, "warnings": error.warnings}),
                )?;
            }
            return Err(Failure {
                exit: Exit::Invalid,
                complaints: Vec::new(),
                text: error.to_string(),
                answered: true,
            });
        }
    };
    for warning in &chosen.warnings {
        settings.printer.talk(&format!("{}\n\n", warning.render("warning")));
    }
    tell_assumed(&chosen.environment, settings);
    for missing in check_addons(&chosen.environment)? {
        settings.printer.talk(&format!("warning: {missing}"));
    }
    match (settings.json(), arguments.print) {
        (true, true) => print_json(settings, &chosen.resolved)?,
        (false, true) => print(settings, &yaml::write(&chosen.resolved, "the profile")?)?,
        (true, false) => {
            print_json(settings, &json!({"valid": true, "errors": [], "warnings": chosen.warnings}))?;
        }
        (false, false) => print(settings, &summary(&chosen))?,
    }
    Ok(Exit::Done)
}

/// Checks the options of every addon by rendering it. Says which of them this build cannot apply: that is
/// about berth and not about the profile.
fn check_addons(environment: &Environment) -> Result<Vec<String>, Failure> {
    let refused = |error: AddonError| Failure::profile(&error.into());
    let mirrors = Mirrors::new(&environment.mirrors);
    let catalog = Catalog::load(&environment.addons_from).map_err(refused)?.with_mirrors(mirrors);
    let platform = providers::platform(environment);
    let (mut missing, mut rendered) = (Vec::new(), Vec::new());
    for spec in &environment.addons {
        match catalog.render(spec, &environment.addons, &platform) {
            Ok(addon) => rendered.push(addon),
            Err(error @ AddonError::NoManifests { .. }) => missing.push(error.to_string()),
            Err(error) => return Err(refused(error)),
        }
    }
    check_mirrored(&rendered).map_err(refused)?;
    Ok(missing)
}

/// `lab is valid: kind with Kubernetes 1.36, 1 node group, 2 addons and 2 tenants`
fn summary(chosen: &Chosen) -> String {
    let environment = &chosen.environment;
    let (major, minor) = environment.kubernetes;
    let provider = environment.cluster.provider();
    let mut parts = vec![if environment.kubernetes_assumed {
        format!("{provider}, taken for Kubernetes {major}.{minor}")
    } else {
        format!("{provider} with Kubernetes {major}.{minor}")
    }];
    let counts = [
        (environment.node_groups.len(), "node group"),
        (environment.addons.len(), "addon"),
        (environment.tenants.len(), "tenant"),
    ];
    parts.extend(counts.iter().filter(|(many, _)| *many > 0).map(|(many, noun)| count(*many, noun)));
    format!("{} is valid: {}", chosen.typed, list(&parts))
}
