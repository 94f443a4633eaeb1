use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::BufRead;
use std::path::Path;

use serde_json::json;

use super::super::args::{Init, Provider};
use super::super::exit::{Exit, Failure};
use super::super::settings::Settings;
use super::{print, print_json};
use crate::base::{Fault, FaultKind};
use crate::os::files;
use crate::profile::{InitAnswers, InitCluster, json_schema, starter};

/// The schema beside the profiles, for editors.
const SCHEMA: &str = "berth.schema.json";

/// `berth init [NAME]`
pub(super) fn run(arguments: &Init, settings: &Settings) -> Result<Exit, Failure> {
    let name = answer(arguments.name.clone(), "The environment's name", "lab", "NAME", settings)?;
    check_name(&name)?;
    let path = arguments.profiles.join(format!("{name}.yaml"));
    if path.exists() {
        return Err(there_already(&path));
    }
    let cluster = cluster(arguments, settings)?;
    let (is_kwok, is_lab) = (matches!(cluster, InitCluster::Kwok), matches!(cluster, InitCluster::Kind));
    let answers = InitAnswers {
        name: name.clone(),
        id: random_id(),
        cluster,
        tenant: arguments.tenant.clone(),
        schema: format!("./{SCHEMA}"),
    };
    files::make_folder(&arguments.profiles)?;
    if !files::write_new(&path, starter(&answers).as_bytes())? {
        return Err(there_already(&path));
    }
    files::write(&arguments.profiles.join(SCHEMA), format!("{:#}\n", json_schema()).as_bytes())?;
    let folder = match arguments.profiles.to_str() {
        Some(super::super::args::Target::PROFILES) => String::new(),
        _ => format!(" --profiles {}", arguments.profiles.display()),
    };
    // kwok is its own rehearsal, and a lab is on this machine as well.
    let rehearse = if is_kwok || is_lab { "" } else { " --rehearse" };
    settings.printer.talk(&format!(
        "next: `berth plan {name}{folder}{rehearse}`, then `berth up {name}{folder}{rehearse}`"
    ));
    if is_lab {
        settings.printer.talk(&format!("without Docker: `berth up {name}{folder} --rehearse`"));
    }
    if settings.json() {
        print_json(settings, &json!({"schema": 1, "profile": path.display().to_string()}))?;
    } else {
        print(settings, &path.display().to_string())?;
    }
    Ok(Exit::Done)
}

fn there_already(path: &Path) -> Failure {
    Failure::refused(
        format!("`{}` is there already", path.display()),
        "init never overwrites a profile",
        "choose another name, or edit that file",
    )
}

fn cluster(arguments: &Init, settings: &Settings) -> Result<InitCluster, Failure> {
    let provider = match arguments.provider {
        Some(provider) => provider,
        None => loop {
            let typed = answer(
                None,
                "Who makes the cluster: kind, kwok, existing, eks, gke",
                "kind",
                "--provider",
                settings,
            )?;
            if let Ok(provider) = <Provider as clap::ValueEnum>::from_str(&typed, true) {
                break provider;
            }
        },
    };
    let ask = |given: &Option<String>, question: &str, default: &str, flag: &str| {
        answer(given.clone(), question, default, flag, settings)
    };
    Ok(match provider {
        Provider::Kind => InitCluster::Kind,
        Provider::Kwok => InitCluster::Kwok,
        Provider::Existing => InitCluster::Existing {
            kubeconfig: "~/.kube/config".to_string(),
            context: ask(&arguments.context, "The context of your kubeconfig", "", "--context")?,
        },
        Provider::Eks => InitCluster::Eks {
            region: ask(&arguments.location, "The AWS region", "eu-central-1", "--location")?,
            account: arguments.account.clone(),
        },
        Provider::Gke => InitCluster::Gke {
            project: ask(&arguments.account, "The Google Cloud project", "", "--account")?,
            location: ask(&arguments.location, "The region or zone", "europe-west4", "--location")?,
        },
    })
}

/// What was given, or what is typed at the terminal; off a terminal it has to be given.
fn answer(
    given: Option<String>,
    question: &str,
    default: &str,
    flag: &str,
    settings: &Settings,
) -> Result<String, Failure> {
    if let Some(given) = given {
        return Ok(given);
    }
    if !settings.can_ask {
        return Err(Failure::usage(
            format!("`{flag}` is missing, and nobody is here to be asked"),
            format!("give {flag}"),
        ));
    }
    let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
    loop {
        settings.printer.ask(&format!("{question}{shown}: "));
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line).map_err(|error| {
            Fault::new(FaultKind::Invalid, "read the answer", error.to_string().to_lowercase())
        })?;
        match (line.trim(), read) {
            ("", 0) => return Err(Failure::usage("the input ended", format!("give {flag}"))),
            ("", _) if default.is_empty() => {}
            ("", _) => return Ok(default.to_string()),
            (typed, _) => return Ok(typed.to_string()),
        }
    }
}

/// The name becomes a file name here; everything else about it is the profile's to check.
fn check_name(name: &str) -> Result<(), Failure> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if starts && name.len() <= 30 && name.chars().all(fits) && !name.ends_with('-') {
        return Ok(());
    }
    Err(Failure::usage(
        format!("`{name}` cannot be the name of an environment"),
        "use lower-case letters, digits and `-`, at most 30, with a letter first",
    ))
}

/// Eight letters and digits from the system's randomness, which seeds every new hasher of the standard
/// library; a letter first, so that YAML takes it for text.
fn random_id() -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = RandomState::new().build_hasher().finish();
    let mut id = String::new();
    for position in 0..8 {
        let choices = if position == 0 { 26 } else { 36 };
        let index = usize::try_from(random % choices).expect("less than 36");
        id.push(char::from(LETTERS[index]));
        random /= choices;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_and_fit_everywhere() {
        let ids: std::collections::BTreeSet<String> = (0..100).map(|_| random_id()).collect();
        assert_eq!(ids.len(), 100);
        for id in ids {
            assert!(id.len() == 8 && id.starts_with(|c: char| c.is_ascii_lowercase()), "{id}");
        }
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        for wrong in ["", "..", "a/b", "-a", "a-", "A", "1a", &"a".repeat(31)] {
            assert!(check_name(wrong).is_err(), "{wrong}");
        }
        assert!(check_name("lab-2").is_ok());
    }
}
