//! A profile is committed and shown: nothing secret may stand in it.

use super::Check;
use crate::profile::files::Problem;
use crate::profile::tree::{Node, Place, Value};

pub(super) fn check(check: &mut Check<'_>) {
    let mut found = Vec::new();
    walk(check.tree, "", &mut found);
    check.problems.extend(found.into_iter().map(|(place, what)| Problem {
        place,
        message: format!("{what} stands in this profile"),
        help: "take it out and replace it where it was issued: a profile is committed and shown".to_string(),
        secret: true,
    }));
}

fn walk(node: &Node, key: &str, found: &mut Vec<(Place, &'static str)>) {
    match &node.value {
        Value::Null => {}
        Value::Scalar(scalar) => {
            if let Some(what) = secret(key, &scalar.text) {
                found.push((node.place, what));
            }
        }
        Value::List(items) => items.iter().for_each(|item| walk(item, key, found)),
        Value::Map(entries) => entries.iter().for_each(|entry| walk(&entry.node, &entry.key, found)),
    }
}

/// What kind of secret `text` is, if any.
fn secret(key: &str, text: &str) -> Option<&'static str> {
    if text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let words = || text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    if words().any(|word| {
        word.len() == 20
            && (word.starts_with("AKIA") || word.starts_with("ASIA"))
            && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    }) {
        return Some("an AWS access key");
    }
    let tokens = ["ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-"];
    if words().any(|word| word.len() >= 24 && tokens.iter().any(|token| word.starts_with(token))) {
        return Some("an access token");
    }
    let key = key.to_lowercase().replace(['-', '_'], "");
    let secret_keys =
        ["password", "privatekey", "secretaccesskey", "awssecretaccesskey", "clientsecret", "accesstoken"];
    (secret_keys.contains(&key.as_str()) && !text.is_empty()).then_some("a password or key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_look_or_their_key() {
        assert!(secret("note", &format!("AKIA{}", "ABCDEFGH12345678")).is_some());
        assert!(secret("privateKey", "x").is_some() && secret("client-secret", "x").is_some());
        assert!(secret("x", "-----BEGIN RSA PRIVATE KEY-----\nMII").is_some());
        assert!(secret("x", &format!("{}_{}", "ghp", "0123456789abcdefghij0123456789")).is_some());
        assert!(secret("passwordSecretName", "login").is_none() && secret("team", "akia").is_none());
    }
}
