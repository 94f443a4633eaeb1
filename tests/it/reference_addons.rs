//! docs/reference/addons.md is made from the catalog: what each addon is, where it can be had, what may be set.

use std::fmt::Write;

use berth::addons::{
    Additional, Addon, Catalog, Definition, Format, NodeGroupKind, OptionSchema, OptionType, Rehearsal, Want,
    Way,
};
use berth::base::ProviderKind;

use super::reference::{MADE, compare};

const PROVIDERS: [ProviderKind; 5] =
    [ProviderKind::Eks, ProviderKind::Gke, ProviderKind::Kind, ProviderKind::Kwok, ProviderKind::Existing];

#[test]
fn the_addons_are_documented_as_they_are() {
    let catalog = Catalog::load(&[]).unwrap();
    let mut page = format!(
        "{MADE}# Addons\n\nThe addons that ship with berth: `addons.NAME` in a profile, with the options of its table. Every \
         addon also takes `version`, one of its versions that fits the cluster's Kubernetes; without it, it is the newest \
         of them. What a table does not have is refused. Addons from elsewhere: \
         [any chart, any manifest](../how-to/charts.md).\n"
    );
    for addon in catalog.addons() {
        write_addon(&mut page, addon);
    }
    compare("addons.md", &page);
}

fn write_addon(page: &mut String, addon: &Addon) {
    let definition = &addon.definition;
    write!(page, "\n## {}\n\n{}.\n", definition.name, capital(&definition.summary)).unwrap();
    let needs = needs(definition);
    if !needs.is_empty() {
        writeln!(page, "It needs {}.", needs.join(" and ")).unwrap();
    }
    write!(page, "\n| Version | Kubernetes | Images |\n|---|---|---|\n").unwrap();
    for version in &definition.versions {
        let images: Vec<String> = version.images.values().map(|image| format!("`{image}`")).collect();
        writeln!(page, "| {} | {} | {} |", version.version, version.kubernetes, images.join(", ")).unwrap();
    }
    write!(page, "\n| Where | What berth does |\n|---|---|\n").unwrap();
    for provider in PROVIDERS {
        let does = match definition.providers.on(provider) {
            Way::Objects => "applies it".to_string(),
            Way::Native(how) => format!("leaves it to the platform: {how}"),
            Way::Refused(why) => format!("refuses it: {why}"),
        };
        writeln!(page, "| {provider} | {} |", cell(&does)).unwrap();
    }
    let rehearsed = match &definition.rehearsal {
        Rehearsal::Applied => {
            "applies it, but for webhooks and the custom resources that these guard".to_string()
        }
        Rehearsal::Provided(how) => format!("leaves it to the rehearsal: {how}"),
        Rehearsal::NotRehearsed(why) => format!("renders and checks it only: {why}"),
    };
    writeln!(page, "| a rehearsal | {} |", cell(&rehearsed)).unwrap();
    write!(page, "\n| Option | Type | Default | Allowed | Meaning |\n|---|---|---|---|---|\n").unwrap();
    write_options(page, "", &definition.options);
    write_rules(page, definition);
    write_downloads(page, definition);
}

/// The options below `path`, each followed by those below it.
fn write_options(page: &mut String, path: &str, schema: &OptionSchema) {
    for (name, option) in &schema.properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let shown =
            if schema.required.contains(name) { format!("**`{path}`**") } else { format!("`{path}`") };
        let default = option.default.as_ref().map(|value| format!("`{value}`")).unwrap_or_default();
        let meaning = option.description.as_deref().unwrap_or_default();
        let allowed = allowed(option).join(", ");
        writeln!(page, "| {shown} | {} | {} | {allowed} | {} |", kind(option), cell(&default), cell(meaning))
            .unwrap();
        write_below(page, &path, option);
    }
}

fn write_below(page: &mut String, path: &str, option: &OptionSchema) {
    write_options(page, path, option);
    if let Some(items) = &option.items {
        write_below(page, &format!("{path}[]"), items);
    }
    if let Some(Additional::Like(value)) = &option.additional_properties {
        write_below(page, &format!("{path}.NAME"), value);
    }
}

fn write_rules(page: &mut String, definition: &Definition) {
    if definition.rules.is_empty() {
        return;
    }
    write!(page, "\nRefused besides:\n\n").unwrap();
    for rule in &definition.rules {
        writeln!(page, "- `{}` when `{}`: {}; {}.", rule.option, rule.when, rule.because, rule.hint).unwrap();
    }
}

fn write_downloads(page: &mut String, definition: &Definition) {
    if definition.downloads.is_empty() {
        return;
    }
    write!(page, "\nDownloaded, and kept by content:\n\n").unwrap();
    for download in &definition.downloads {
        let when = download.when.as_ref().map(|when| format!(" when `{when}`")).unwrap_or_default();
        writeln!(page, "- <{}>{when} (sha256 `{}`)", download.url, download.sha256).unwrap();
    }
}

fn needs(definition: &Definition) -> Vec<String> {
    let load_balancer = definition.needs.load_balancer.map(|want| match want {
        Want::Required => "a load balancer".to_string(),
        Want::Optional => "a load balancer for addresses of its own, and does less without".to_string(),
    });
    let nodes = definition.needs.node_group.map(|NodeGroupKind::Gpu| "a node group with GPUs".to_string());
    load_balancer.into_iter().chain(nodes).collect()
}

/// What a value is, in words.
fn kind(option: &OptionSchema) -> String {
    let word = |kind| match (kind, &option.items, &option.additional_properties) {
        (OptionType::Array, Some(items), _) => format!("list of {}", plain(items)),
        (OptionType::Array, None, _) => "list".to_string(),
        (OptionType::Object, _, Some(Additional::Like(value))) => format!("map of {}", plain(value)),
        (OptionType::Object, ..) => "map".to_string(),
        (OptionType::String, ..) => "text".to_string(),
        (OptionType::Integer, ..) => "whole number".to_string(),
        (OptionType::Number, ..) => "number".to_string(),
        (OptionType::Boolean, ..) => "`true` or `false`".to_string(),
    };
    let words: Vec<String> = option.kind.iter().map(word).collect();
    words.join(" or ")
}

/// [`kind`], with what is allowed of it, since it has no line of its own.
fn plain(option: &OptionSchema) -> String {
    let allowed = allowed(option);
    if allowed.is_empty() { kind(option) } else { format!("{} ({})", kind(option), allowed.join(", ")) }
}

/// What a value has to be besides.
fn allowed(option: &OptionSchema) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    words.extend(option.values.iter().flatten().map(|value| match value.as_str() {
        Some(text) => format!("`{text}`"),
        None => format!("`{value}`"),
    }));
    words.extend(bounds(option.minimum, option.maximum, ""));
    words.extend(bounds(option.min_items, option.max_items, " elements"));
    words.extend(option.format.map(|format| {
        let word = match format {
            Format::Ip => "an IP address",
            Format::Cidr => "a network such as `203.0.113.0/24`",
            Format::Name => "a name of Kubernetes",
            Format::Quantity => "a quantity such as `500m` or `2Gi`",
        };
        word.to_string()
    }));
    words
}

fn bounds<T: std::fmt::Display>(least: Option<T>, most: Option<T>, what: &str) -> Option<String> {
    match (least, most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{what}")),
        (Some(least), None) => Some(format!("{least} or more{what}")),
        (None, Some(most)) => Some(format!("{most} at most{what}")),
        (None, None) => None,
    }
}

/// A text that may stand in a table.
fn cell(text: &str) -> String {
    text.trim().replace('\n', " ").replace('|', "\\|")
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
