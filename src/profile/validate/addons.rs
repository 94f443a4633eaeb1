//! Which addons there are, and which of them the provider can have.

use serde_json::Value;

use super::{Check, sources};
use crate::base::ProviderKind;
use crate::os::files::names_in;
use crate::profile::environment::AUTOSCALER;
use crate::profile::nearest::nearest;
use crate::profile::schema::{Cluster, EnvironmentFile};
use crate::profile::tree::{Step, shorten};
use crate::profile::{AddonSource, AddonSpec, LoadOptions};

/// The addons of the profile. What is from elsewhere is written back to `file` as it was understood, so
/// that it means the same in another folder.
pub(super) fn addons(
    check: &mut Check<'_>,
    file: &mut EnvironmentFile,
    options: &LoadOptions,
) -> Vec<AddonSpec> {
    let own = own_addons(check, file);
    let auto_mode = has_auto_mode(file);
    let known = &options.known_addons;
    let names: Vec<String> = file.addons.keys().cloned().collect();
    let mut specs = Vec::new();
    for name in names {
        let place = check.key_place(&[Step::Key("addons")], &name);
        let is_of_catalog = known.contains(&name) || own.contains(&name);
        let fields = file.addons.get_mut(&name).expect("the names are its keys");
        if !is_of_catalog && sources::KEYS.iter().any(|key| fields.contains_key(*key)) {
            specs.extend(sources::source(check, &name, fields, &options.home));
            continue;
        }
        if is_of_catalog {
            sources::refuse_beside_catalog(check, &name, fields);
            if !own.contains(&name)
                && let Some(help) = impossible(&name, check.provider, auto_mode)
            {
                let ground = if auto_mode {
                    "with EKS Auto Mode".to_string()
                } else {
                    format!("on {}", check.provider)
                };
                check.error_at(place, format!("`{name}` does not work {ground}"), help);
                continue;
            }
        } else if check.is_complete("addonsFrom") {
            let all = || known.iter().chain(&own).map(String::as_str);
            let help = match nearest(&name, all()) {
                Some(near) => format!("did you mean `{near}`? Or give it a `chart` or `manifests`"),
                None => format!(
                    "there are {}; give it a `chart` or `manifests`, or name a folder with your own under \
                     `addonsFrom`",
                    all().collect::<Vec<_>>().join(", ")
                ),
            };
            check.error_at(place, format!("there is no addon `{}`", shorten(&name)), help);
            continue;
        } else {
            continue;
        }
        let version = version(check, &name);
        let mut options = fields.clone();
        if let Some(version) = &version {
            options.shift_remove("version");
            // As it is written: `1.30` is not the number 1.3.
            fields.insert("version".to_string(), Value::from(version.clone()));
        }
        let options = Value::Object(options);
        specs.push(AddonSpec { name, version, options, source: AddonSource::Catalog });
    }
    if let Some(autoscaler) = autoscaler(file) {
        specs.push(autoscaler);
        specs.sort_by(|one, other| one.name.cmp(&other.name));
    }
    specs
}

/// What makes a range of nodes one: a node group of EKS never scales by itself. It comes unasked, and is written into
/// `file` then. Source: <https://docs.aws.amazon.com/eks/latest/userguide/autoscaling.html>
fn autoscaler(file: &mut EnvironmentFile) -> Option<AddonSpec> {
    let is_range = |(least, most): (u32, u32)| least < most;
    let has_range = file.node_groups.iter().any(|group| is_range(group.nodes.range()));
    let is_on_eks = matches!(file.cluster, Cluster::Eks(_)) && !has_auto_mode(file);
    if !is_on_eks || !has_range || file.addons.contains_key(AUTOSCALER) {
        return None;
    }
    file.addons.insert(AUTOSCALER.to_string(), serde_json::Map::new());
    Some(AddonSpec::of_catalog(AUTOSCALER, Value::Object(serde_json::Map::new())))
}

fn has_auto_mode(file: &EnvironmentFile) -> bool {
    matches!(&file.cluster, Cluster::Eks(fields) if fields.auto_mode)
}

/// The reserved option `version` of an addon of the catalog, as it is written.
fn version(check: &mut Check<'_>, name: &str) -> Option<String> {
    let node = check.tree.get("addons")?.get(name)?.get("version")?;
    let text = node.text().map(str::to_string);
    if text.is_none() {
        let message = format!("expected a version, found {}", node.describe());
        check.error_at(node.place, message, "write it as text: `version: \"1.2.3\"`");
    }
    text
}

/// What to do instead, for an addon that this provider cannot have.
fn impossible(addon: &str, provider: ProviderKind, has_auto_mode: bool) -> Option<&'static str> {
    match (addon, provider) {
        (AUTOSCALER, ProviderKind::Eks) if has_auto_mode => {
            Some("take it out: EKS Auto Mode makes the nodes itself")
        }
        ("nvidia-device-plugin", ProviderKind::Eks) if has_auto_mode => {
            Some("take it out: the nodes of EKS Auto Mode bring their own")
        }
        (AUTOSCALER, ProviderKind::Gke) => Some("take it out: GKE scales the node pools of a range itself"),
        (AUTOSCALER, ProviderKind::Kind | ProviderKind::Kwok) => {
            Some("take it out: nothing can add nodes from inside; write `nodes` as a number")
        }
        (AUTOSCALER, ProviderKind::Existing) => Some(
            "take it out: berth does not know who makes the nodes of this cluster; give yours another name, with a `chart` or `manifests`",
        ),
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
