//! Which registry fits which cluster.

use super::{Check, ecr, mirrors};
use crate::base::{ProviderKind, Reference};
use crate::profile::RegistrySpec;
use crate::profile::files::Problem;
use crate::profile::schema::{EnvironmentFile, LocalRegistry, Registry};
use crate::profile::tree::{Step, shorten};

/// The keys that choose a registry.
const CHOICES: [&str; 3] = ["ecr", "artifactRegistry", "local"];

pub(super) fn registry(check: &mut Check<'_>, file: &EnvironmentFile) -> Option<RegistrySpec> {
    let registry = file.registry.as_ref()?;
    if refuses_choice(check, registry) {
        return None;
    }
    let spec = match registry {
        Registry { ecr: Some(fields), .. } => {
            let listed = fields.repositories.iter().map(|each| (each.name.as_str(), each.keep));
            repositories(check, "ecr", listed);
            ecr::check(check, file, fields);
            RegistrySpec::Ecr(fields.clone())
        }
        Registry { artifact_registry: Some(fields), .. } => {
            let listed = fields.repositories.iter().map(|each| (each.name.as_str(), each.keep));
            repositories(check, "artifactRegistry", listed);
            RegistrySpec::ArtifactRegistry(fields.clone())
        }
        Registry { local: Some(fields), .. } => {
            local(check, fields);
            RegistrySpec::Local(fields.clone())
        }
        Registry { ecr: None, artifact_registry: None, local: None, .. } => return None,
    };
    let kind = spec.kind();
    let (fits, help) = match check.provider {
        ProviderKind::Eks => (kind == "ecr", "use `ecr`, or take `registry` out"),
        ProviderKind::Gke => (kind == "artifactRegistry", "use `artifactRegistry`, or take `registry` out"),
        ProviderKind::Kind => (kind == "local", "use `local`, or take `registry` out"),
        ProviderKind::Kwok => (false, "its nodes are simulated and pull no images: take `registry` out"),
        ProviderKind::Existing if kind == "local" => (
            false,
            "only nodes in containers of this machine reach it: use `ecr` or `artifactRegistry`, or kind",
        ),
        ProviderKind::Existing => (true, ""),
    };
    if !fits {
        let place = check.key_place(&[Step::Key("registry")], kind);
        let message = format!("a cluster on {} cannot use the registry `{kind}`", check.provider);
        check.error_at(place, message, help);
    }
    Some(spec)
}

/// The repositories below `kind`, by name and how many images are kept.
fn repositories<'a>(check: &mut Check<'_>, kind: &str, listed: impl Iterator<Item = (&'a str, Option<u32>)>) {
    let list = [Step::Key("registry"), Step::Key(kind), Step::Key("repositories")];
    let mut seen = std::collections::HashMap::new();
    for (index, (name, keep)) in listed.enumerate() {
        let path = [list[0], list[1], list[2], Step::Item(index), Step::Key("name")];
        if !is_repository(name) {
            check.error(
                &path,
                format!("`{}` cannot be the name of a repository", shorten(name)),
                "use lower-case letters, digits and `- _ . /`, at least 2, a letter or digit first: `checkout/api`",
            );
        }
        if let Some(first) = seen.insert(name, index) {
            let other =
                check.tree.place_of(&[list[0], list[1], list[2], Step::Item(first), Step::Key("name")]);
            let place = check.tree.place_of(&path);
            let help = format!("the first one is {}: take one out", check.files.refer(other, place));
            check.error_at(
                place,
                format!("there are two repositories of the name `{}`", shorten(name)),
                help,
            );
        }
        if keep == Some(0) {
            let path = [list[0], list[1], list[2], Step::Item(index), Step::Key("keep")];
            check.error(&path, "`keep: 0` would delete every image", "use 1 or more, or take `keep` out");
        }
    }
}

/// The registry of this machine.
fn local(check: &mut Check<'_>, fields: &LocalRegistry) {
    let section = [Step::Key("registry"), Step::Key("local")];
    if fields.port == 0 {
        let path = [section[0], section[1], Step::Key("port")];
        check.error(&path, "port 0 is no port", "use a port from 1 to 65535: `port: 5001`");
    }
    if let Some(image) = fields.image.as_deref().filter(|image| Reference::parse(image).is_none()) {
        check.error(
            &[section[0], section[1], Step::Key("image")],
            format!("`{}` cannot be the name of an image", shorten(image)),
            "write it in lower case with its host: `docker.io/library/registry:3`",
        );
    }
    let mut seen = std::collections::HashMap::new();
    for (index, text) in fields.pull_through.iter().enumerate() {
        let path = [section[0], section[1], Step::Key("pullThrough"), Step::Item(index)];
        let name = text.split_once("://").map_or(text.as_str(), |(_, name)| name);
        if name.contains('@') {
            check.problems.push(Problem {
                place: check.tree.place_of(&path),
                message: "credentials of a registry stand in this profile".to_string(),
                help: "take them out: a profile is committed and shown, and caches ask without a login"
                    .to_string(),
                secret: true,
            });
        } else if let Some((problem, help)) = upstream_problem(text, name, fields.port) {
            check.error(&path, format!("`{}` {problem}", shorten(text)), help);
        }
        if let Some(first) = seen.insert(name, index) {
            let other = check.tree.place_of(&[path[0], path[1], path[2], Step::Item(first)]);
            let place = check.tree.place_of(&path);
            let help = format!("the first one is {}: take one out", check.files.refer(other, place));
            check.error_at(place, format!("`{}` is cached twice", shorten(name)), help);
        }
    }
}

/// What is wrong with a registry that is to be cached, and what to write.
fn upstream_problem(text: &str, name: &str, own: u16) -> Option<(&'static str, String)> {
    if let Some((scheme, _)) = text.split_once("://").filter(|(scheme, _)| *scheme != "http") {
        return Some(("has a scheme that is not needed", format!("take `{scheme}://` out: `{name}`")));
    }
    if [format!("localhost:{own}"), format!("127.0.0.1:{own}")].contains(&name.to_string()) {
        return Some(("is the registry of this machine itself", "take it out".to_string()));
    }
    mirrors::host_problem(name)
}

/// Refuses a second registry, and a section in which nothing is said.
fn refuses_choice(check: &mut Check<'_>, registry: &Registry) -> bool {
    let section = check.tree.get("registry").map(|node| (node.place, node.entries()));
    let (place, entries) = section.unwrap_or((check.tree.place, &[]));
    let mut chosen = entries.iter().filter(|entry| CHOICES.contains(&&*entry.key));
    match (chosen.next(), chosen.next()) {
        (Some(first), Some(second)) => {
            let message = format!("`{}` beside `{}`: there can be only one", second.key, first.key);
            let help = format!("keep one of them; `{}: null` takes out what a base has set", first.key);
            check.error_at(second.key_place, message, help);
            true
        }
        (None, _) if *registry == Registry::default() && check.is_complete("registry") => {
            let help =
                format!("write one of {}, `mirrors` or `pullSecrets` with its fields", CHOICES.join(", "));
            check.error_at(place, "nothing is chosen here", help);
            true
        }
        _ => false,
    }
}

fn is_repository(name: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
    };
    (2..=256).contains(&name.len()) && name.split('/').all(part)
}
