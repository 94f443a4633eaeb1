use std::collections::BTreeMap;

use super::{print, print_json};
use crate::addons::{Catalog, digest_of, in_full};
use crate::cli::args::{AddonImages, Target};
use crate::cli::exit::{Exit, Failure};
use crate::cli::profiles;
use crate::cli::settings::Settings;
use crate::cli::sources;
use crate::flow::Deadline;
use crate::plan;
use crate::ui::addons::{Image, Images, SCHEMA_VERSION, User};

/// `berth addon images [ENV]`
pub(super) fn run(arguments: &AddonImages, settings: &Settings) -> Result<Exit, Failure> {
    let images = match arguments.of.target() {
        Some(target) => of_environment(&target, settings)?,
        None => of_catalog()?,
    };
    if settings.json() {
        print_json(settings, &images)?;
    } else if !images.images.is_empty() {
        print(settings, &images.text(settings.printer.data_paint))?;
    }
    Ok(Exit::Done)
}

/// What the environment pulls, each image once.
fn of_environment(target: &Target, settings: &Settings) -> Result<Images, Failure> {
    let chosen = profiles::load(target, settings)?;
    profiles::tell_assumed(&chosen.environment, settings);
    let sources = sources::fetch(&chosen.environment, &[], Deadline::after(sources::PATIENCE), settings)?;
    let (_, rendered) =
        plan::render_addons(&chosen.environment, &sources).map_err(|fault| Failure::profile(&fault))?;
    let mut images: BTreeMap<String, Image> = BTreeMap::new();
    for addon in &rendered {
        for note in addon.notes.iter().filter(|note| note.topic == "provided") {
            settings.printer.talk(&format!("not berth's to pull: {}", note.text));
        }
        for found in &addon.images {
            let image = images.entry(found.reference.clone()).or_insert_with(|| Image {
                image: found.reference.clone(),
                original: found.original.clone(),
                digest: found.digest().map(str::to_string),
                mirrored: found.reference != found.original,
                missed: found.missed,
                used_by: Vec::new(),
            });
            let users = &mut image.used_by;
            if users.last().is_none_or(|last| last.addon != addon.name) {
                users.push(user(&addon.name, &addon.version));
            }
            let user = users.last_mut().expect("one was pushed if there was none");
            if !user.kinds.contains(&found.kind) {
                user.kinds.push(found.kind.clone());
            }
            user.objects.push(found.object.clone());
        }
    }
    if images.is_empty() {
        settings.printer.talk("no images: no addon of this profile pulls any");
    }
    let images = images.into_values().collect();
    Ok(Images { schema: SCHEMA_VERSION, environment: Some(chosen.environment.name), images })
}

/// The images of every version of every addon that ships, by addon and version.
fn of_catalog() -> Result<Images, Failure> {
    let catalog = Catalog::load(&[]).map_err(crate::base::Fault::from)?;
    let mut images: Vec<Image> = Vec::new();
    for addon in catalog.addons() {
        for version in &addon.definition.versions {
            let mut references: Vec<String> = version.images.values().map(|image| in_full(image)).collect();
            references.sort();
            references.dedup();
            images.extend(references.into_iter().map(|reference| Image {
                original: reference.clone(),
                digest: digest_of(&reference).map(str::to_string),
                image: reference,
                mirrored: false,
                missed: false,
                used_by: vec![user(&addon.definition.name, &version.version)],
            }));
        }
    }
    Ok(Images { schema: SCHEMA_VERSION, environment: None, images })
}

fn user(addon: &str, version: &str) -> User {
    User { addon: addon.to_string(), version: version.to_string(), kinds: Vec::new(), objects: Vec::new() }
}
