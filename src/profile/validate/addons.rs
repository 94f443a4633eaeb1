//! Which addons there are, and which of them the provider can have.

use super::Check;
use crate::base::ProviderKind;
use crate::os::files::names_in;
use crate::profile::AddonSpec;
use crate::profile::nearest::nearest;
use crate::profile::schema::EnvironmentFile;
use crate::profile::tree::{Step, shorten};

pub(super) fn addons(check: &mut Check<'_>, file: &EnvironmentFile, known: &[String]) -> Vec<AddonSpec> {
    let own = own_addons(check, file);
    for name in file.addons.keys() {
        let place = check.key_place(&[Step::Key("addons")], name);
        if !known.contains(name) && !own.contains(name) {
            let all = || known.iter().chain(&own).map(String::as_str);
            let help = match nearest(name, all()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "there are {}; folders with your own go under `addonsFrom`",
                    all().collect::<Vec<_>>().join(", ")
                ),
            };
            if check.is_complete("addonsFrom") {
                check.error_at(place, format!("there is no addon `{}`", shorten(name)), help);
            }
        } else if let Some(help) = impossible(name, check.provider).filter(|_| !own.contains(name)) {
            check.error_at(place, format!("`{name}` does not work on {}", check.provider), help);
        }
    }
    let addons = file.addons.iter();
    addons
        .map(|(name, options)| AddonSpec {
            name: name.clone(),
            options: serde_json::Value::Object(options.clone()),
        })
        .collect()
}

/// What to do instead, for an addon that this provider cannot have.
fn impossible(addon: &str, provider: ProviderKind) -> Option<&'static str> {
    match (addon, provider) {
        ("metallb", ProviderKind::Eks | ProviderKind::Gke) => {
            Some("take it out: the cloud gives a Service of type LoadBalancer its address")
        }
        ("metallb", ProviderKind::Kwok) => {
            Some("take it out: simulated nodes announce no addresses; kind can have it")
        }
        ("nvidia-device-plugin", ProviderKind::Gke) => {
            Some("take it out: GKE runs its own on every node with a GPU")
        }
        _ => None,
    }
}

/// The names of the folders under `addonsFrom`.
fn own_addons(check: &mut Check<'_>, file: &EnvironmentFile) -> Vec<String> {
    let mut own = Vec::new();
    for (index, folder) in file.addons_from.iter().enumerate() {
        let path = [Step::Key("addonsFrom"), Step::Item(index)];
        match names_in(&folder.0) {
            Ok(names) if folder.0.is_dir() => {
                own.extend(names.into_iter().filter(|name| folder.0.join(name).join("addon.yaml").is_file()));
            }
            Ok(_) => {
                let shown = check.tree.get("addonsFrom").and_then(|list| list.items().get(index));
                let shown = shown.and_then(|node| node.text()).unwrap_or_default().to_string();
                check.error(
                    &path,
                    format!("there is no folder `{}`", shorten(&shown)),
                    "make it, or correct the path: it is relative to this file",
                );
            }
            Err(fault) => check.error(
                &path,
                format!("cannot list this folder: {}", fault.reason),
                "check the owner and mode of that path",
            ),
        }
    }
    own
}
