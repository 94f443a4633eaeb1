use std::path::Path;

use serde_json::Value;

use super::args::Target;
use super::exit::{Exit, Failure};
use super::networks;
use super::settings::Settings;
use crate::os::files;
use crate::profile::{self, Diagnostic, Environment, LoadOptions, Loaded, Misfit, Places, ProfileError};
use crate::providers;
use crate::ui::{Complaint, words};

/// The profile that was asked for, valid.
pub(super) struct Chosen {
    /// What it means; a rehearsal when that was asked for.
    pub(super) environment: Environment,
    /// The whole profile with its defaults.
    pub(super) resolved: Value,
    /// Where its parts stand.
    pub(super) places: Places,
    /// What is odd.
    pub(super) warnings: Vec<Diagnostic>,
    /// The name or path that finds it again from here.
    pub(super) typed: String,
    /// What finds it again from anywhere.
    pub(super) path: String,
    /// Whether it is one that berth brings.
    pub(super) is_shipped: bool,
}

/// Finds and loads the profile of `target`, and tells its warnings.
pub(super) fn load(target: &Target, settings: &Settings) -> Result<Chosen, Failure> {
    told(load_quietly(target, settings)?, settings)
}

/// As [`load`], for who makes something of it: what does not fit this machine is told with all else that is wrong.
pub(super) fn load_to_make(target: &Target, settings: &Settings) -> Result<Chosen, Failure> {
    let misfits = |environment: &Environment| {
        if target.rehearse {
            return Ok(Vec::new());
        }
        let mut found = providers::misfits(environment);
        found.extend(networks::misfits(environment, settings)?);
        Ok(found)
    };
    told(load_with(target, settings, misfits)?, settings)
}

fn told(loaded: Result<Chosen, ProfileError>, settings: &Settings) -> Result<Chosen, Failure> {
    let chosen = loaded.map_err(|error| failure(&error))?;
    for warning in &chosen.warnings {
        settings.printer.talk(&format!("{}\n\n", warning.render("warning")));
    }
    Ok(chosen)
}

/// As [`load`], with the warnings untold and what is wrong as a value.
pub(super) fn load_quietly(
    target: &Target,
    settings: &Settings,
) -> Result<Result<Chosen, ProfileError>, Failure> {
    load_with(target, settings, |_| Ok(Vec::new()))
}

/// As [`load_quietly`], for who is asked whether something can be made of it, on whatever machine.
pub(super) fn load_to_validate(
    target: &Target,
    settings: &Settings,
) -> Result<Result<Chosen, ProfileError>, Failure> {
    load_with(target, settings, |environment| {
        Ok(if target.rehearse { Vec::new() } else { providers::misfits(environment) })
    })
}

fn load_with(
    target: &Target,
    settings: &Settings,
    misfits: impl FnOnce(&Environment) -> Result<Vec<Misfit>, Failure>,
) -> Result<Result<Chosen, ProfileError>, Failure> {
    let typed = match &target.environment {
        Some(typed) => typed.clone(),
        None => only_profile(&target.profiles)?,
    };
    let found = profile::find(&typed, &target.profiles)
        .map_err(|error| Failure::new(Exit::Invalid, Complaint::new(error.to_string()).next(error.hint)))?;
    let options = LoadOptions { home: settings.home(), known_addons: crate::addons::shipped_names() };
    let mut checked = match profile::check(&found, &options) {
        Ok(checked) => checked,
        Err(error) => return Ok(Err(error)),
    };
    checked.add(crate::plan::misfits(checked.environment()));
    checked.add(misfits(checked.environment())?);
    let loaded = match checked.finish() {
        Ok(loaded) => loaded,
        Err(error) => return Ok(Err(error)),
    };
    let Loaded { environment, resolved, warnings, places, .. } = loaded;
    let environment = if target.rehearse { environment.rehearse() } else { environment };
    let path =
        found.path().map_or_else(|| typed.clone(), |path| settings.folder.join(path).display().to_string());
    let is_shipped = found.path().is_none();
    Ok(Ok(Chosen { environment, resolved, places, warnings, typed, path, is_shipped }))
}

/// Says which Kubernetes the cluster is taken for, where neither the profile nor the cluster said it.
pub(super) fn tell_assumed(environment: &Environment, settings: &Settings) {
    if environment.kubernetes_assumed {
        let (major, minor) = environment.kubernetes;
        settings.printer.talk(&format!(
            "existing, taken for Kubernetes {major}.{minor}: say `version` to be exact \
             (`cluster.existing.version: \"{major}.{minor}\"`)"
        ));
    }
}

fn failure(error: &ProfileError) -> Failure {
    Failure { exit: Exit::Invalid, complaints: Vec::new(), text: error.to_string(), answered: false }
}

/// The name of the one profile in `folder`, for a command that names none.
fn only_profile(folder: &Path) -> Result<String, Failure> {
    let names = files::names_in(folder)?;
    let names: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".yaml")).collect();
    match names.as_slice() {
        [only] => Ok((*only).to_string()),
        [] => {
            let shipped = profile::shipped();
            Err(Failure::usage(
                format!("which environment? `{}` holds no profile", folder.display()),
                format!(
                    "name one that ships with berth ({}), or `berth init NAME` writes one",
                    words::list(&shipped)
                ),
            ))
        }
        several => Err(Failure::usage(
            format!(
                "which environment? `{}` holds {}",
                folder.display(),
                words::count(several.len(), "profile")
            ),
            format!("name one: {}", words::list(several)),
        )),
    }
}
