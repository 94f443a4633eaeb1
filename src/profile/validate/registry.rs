//! Which registry fits which cluster.

use super::Check;
use crate::base::ProviderKind;
use crate::profile::RegistrySpec;
use crate::profile::schema::{EnvironmentFile, Registry, Repository};
use crate::profile::tree::{Step, shorten};

/// The keys that choose a registry.
const CHOICES: [&str; 3] = ["ecr", "artifactRegistry", "local"];

pub(super) fn registry(check: &mut Check<'_>, file: &EnvironmentFile) -> Option<RegistrySpec> {
    let registry = file.registry.as_ref()?;
    if refuses_choice(check, registry) {
        return None;
    }
    let (spec, repositories): (_, &[Repository]) = match registry {
        Registry { ecr: Some(fields), .. } => (RegistrySpec::Ecr(fields.clone()), &fields.repositories),
        Registry { artifact_registry: Some(fields), .. } => {
            (RegistrySpec::ArtifactRegistry(fields.clone()), &fields.repositories)
        }
        Registry { local: Some(fields), .. } => {
            if fields.port == 0 {
                let path = [Step::Key("registry"), Step::Key("local"), Step::Key("port")];
                check.error(&path, "port 0 is no port", "use a port from 1 to 65535: `port: 5001`");
            }
            (RegistrySpec::Local(fields.clone()), &[])
        }
        Registry { ecr: None, artifact_registry: None, local: None, .. } => return None,
    };
    let kind = spec.kind();
    let (fits, instead) = match check.provider {
        ProviderKind::Eks => (kind == "ecr", "ecr"),
        ProviderKind::Gke => (kind == "artifactRegistry", "artifactRegistry"),
        ProviderKind::Kind | ProviderKind::Kwok => (kind == "local", "local"),
        ProviderKind::Existing => (kind != "local", "ecr` or `artifactRegistry"),
    };
    if !fits {
        let place = check.key_place(&[Step::Key("registry")], kind);
        let message = format!("a cluster on {} cannot use the registry `{kind}`", check.provider);
        check.error_at(place, message, format!("use `{instead}`, or take `registry` out"));
    }
    let list = [Step::Key("registry"), Step::Key(kind), Step::Key("repositories")];
    let mut seen = std::collections::HashMap::new();
    for (index, repository) in repositories.iter().enumerate() {
        let path = [list[0], list[1], list[2], Step::Item(index), Step::Key("name")];
        let name = &repository.name;
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
        if repository.keep == Some(0) {
            let path = [list[0], list[1], list[2], Step::Item(index), Step::Key("keep")];
            check.error(&path, "`keep: 0` would delete every image", "use 1 or more, or take `keep` out");
        }
    }
    Some(spec)
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
            let help = format!("write one of {} or `mirrors` with its fields", CHOICES.join(", "));
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
