//! Names that every place a name ends up in can take.

use super::Check;
use crate::profile::tree::{Place, Step, shorten};

/// In a rehearsal `-rehearsal` comes behind it, and GKE takes 40 characters.
const LONGEST_ENVIRONMENT: usize = 30;

/// Why `name` is no DNS label of at most `longest` characters, and what would be.
pub(super) fn label_problem(what: &str, name: &str, longest: usize) -> Option<(String, String)> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let length = name.chars().count();
    let why = if name.is_empty() {
        "is empty".to_string()
    } else if length > longest {
        format!("is {length} characters long, at most {longest} are possible")
    } else if let Some(c) = name.chars().find(|c| !allowed(*c)) {
        format!("has a `{}` in it", c.escape_default())
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        "does not start with a letter".to_string()
    } else if name.ends_with('-') {
        "ends with a hyphen".to_string()
    } else {
        return None;
    };
    let suggestion = suggest(name, longest);
    let rule = format!("use lower-case letters, digits and hyphens, at most {longest}, a letter first");
    let help =
        if suggestion.is_empty() || suggestion == name { rule } else { format!("{rule}: `{suggestion}`") };
    Some((format!("the name of {what} `{}` {why}", shorten(name)), help))
}

/// The nearest name that is possible.
fn suggest(name: &str, longest: usize) -> String {
    let mut label = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_lowercase() || (!label.is_empty() && c.is_ascii_digit()) {
            label.push(c);
        } else if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
    }
    label.truncate(longest);
    label.trim_end_matches('-').to_string()
}

pub(super) fn check_label(check: &mut Check<'_>, place: Place, what: &str, name: &str, longest: usize) {
    if let Some((message, help)) = label_problem(what, name, longest) {
        check.error_at(place, message, help);
    }
}

pub(super) fn check_environment_name(check: &mut Check<'_>, name: &str) {
    let place = check.tree.place_of(&[Step::Key("name")]);
    check_label(check, place, "the environment", name, LONGEST_ENVIRONMENT);
    if name.ends_with("-rehearsal") {
        check.error_at(
            place,
            format!("the name of the environment `{name}` ends with `-rehearsal`"),
            "berth puts that behind the name of a rehearsal: choose another name",
        );
    }
}

/// Names that stand twice: each is reported where it stands again.
pub(super) fn check_duplicates(check: &mut Check<'_>, section: &str, what: &str) {
    let mut first: std::collections::HashMap<&str, Place> = std::collections::HashMap::new();
    let items = check.tree.get(section).map(crate::profile::tree::Node::items).unwrap_or_default();
    for item in items {
        let (Some(name), Some(node)) = (item.name(), item.get("name")) else { continue };
        if let Some(other) = first.get(name).copied() {
            let message = format!("there are two {what} of the name `{}`", shorten(name));
            let help =
                format!("the first one is {}: rename one of them", check.files.refer(other, node.place));
            check.error_at(node.place, message, help);
        } else {
            first.insert(name, node.place);
        }
    }
}

/// Whether `host` is a DNS name, perhaps with a wildcard as its first label.
pub(super) fn is_host(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.contains('.') && name.split('.').all(is_label)
}

/// Whether `key` can be the key of a label, an annotation or a taint.
pub(super) fn is_label_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(|prefix| {
        !prefix.is_empty()
            && prefix.len() <= 253
            && prefix.split('.').all(|label| {
                let is_lower = !label.contains(|c: char| c == '_' || c.is_ascii_uppercase());
                !label.is_empty() && is_label_value(label) && is_lower
            })
    }) && !name.is_empty()
        && is_label_value(name)
}

/// Whether `value` can be the value of a label.
pub(super) fn is_label_value(value: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    value.len() <= 63
        && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && edge(value.chars().next())
        && edge(value.chars().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_name_comes_with_a_good_one() {
        for (name, good) in [
            ("Prod_EU", "prod-eu"),
            ("1st", "st"),
            ("prod-", "prod"),
            ("a-very-long-name-for-an-environment", "a-very-long-name-for-an-enviro"),
        ] {
            let (_, help) = label_problem("the environment", name, 30).expect("bad");
            assert!(help.ends_with(&format!("`{good}`")), "{help}");
        }
        assert_eq!(label_problem("the environment", "prod-eu-1", 30), None);
    }

    #[test]
    fn hosts_are_names_with_a_dot() {
        assert!(is_host("checkout.example.com") && is_host("*.example.com"));
        assert!(!is_host("checkout") && !is_host("Checkout.example.com") && !is_host("a..b"));
        assert!(!is_host("https://checkout.example.com") && !is_host("a.*.com"));
    }

    #[test]
    fn label_keys_may_have_a_domain() {
        assert!(is_label_key("team") && is_label_key("example.com/team") && is_label_key("a_b.c"));
        assert!(!is_label_key("") && !is_label_key("a/b/c") && !is_label_key("-a") && !is_label_key("/a"));
        // The API server refuses these.
        assert!(!is_label_key("Example.com/team") && !is_label_key("a_b.com/team"));
    }
}
