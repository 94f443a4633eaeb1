use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use crate::base::FieldChange;

/// The change of the field at `path`, with its values on one line, cut where their difference is seen.
pub(super) fn told(path: &str, from: Option<&Value>, to: Option<&Value>) -> FieldChange {
    let (from, to) = (from.map(on_one_line), to.map(on_one_line));
    let start = match (&from, &to) {
        (Some(from), Some(to)) => first_difference(from, to),
        _ => 0,
    };
    let shown = |text: String| shortened(&text, start);
    FieldChange { path: path.to_string(), from: from.map(shown), to: to.map(shown) }
}

/// The same changes, where `object` is a Secret without what it keeps: who shows, saves or sends a change
/// never holds a value.
pub(super) fn without_secrets(object: &Value, mut changes: Vec<FieldChange>) -> Vec<FieldChange> {
    if object["apiVersion"] != "v1" || object["kind"] != "Secret" {
        return changes;
    }
    for change in changes.iter_mut().filter(|change| keeps_secrets(&change.path)) {
        let both = change.from.is_some() && change.to.is_some();
        change.from = change.from.take().map(|_| "(secret)".to_string());
        let new = if both { "(secret, changed)" } else { "(secret)" };
        change.to = change.to.take().map(|_| new.to_string());
    }
    changes
}

/// Whether a field of a Secret, or one below it, holds what is secret. `kubectl apply` writes the whole Secret
/// into an annotation.
pub(super) fn keeps_secrets(path: &str) -> bool {
    const LAST_APPLIED: &str = "metadata.annotations.kubectl.kubernetes.io/last-applied-configuration";
    let root = path.split(['.', '[']).next().unwrap_or_default();
    matches!(root, "data" | "stringData")
        || matches!(path, "metadata" | "metadata.annotations" | LAST_APPLIED)
}

/// What an API server says of `object`, without the values that a Secret keeps, written plain or as they are
/// sent.
pub(super) fn without_values(object: &Value, message: String) -> String {
    if object["apiVersion"] != "v1" || object["kind"] != "Secret" {
        return message;
    }
    let kept = ["data", "stringData"].into_iter().filter_map(|key| object[key].as_object());
    let values = kept.flat_map(|fields| fields.values()).filter_map(Value::as_str).flat_map(|sent| {
        let plain = BASE64.decode(sent).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        [Some(sent.to_string()), plain].into_iter().flatten()
    });
    let told = values.filter(|value| !value.is_empty());
    told.fold(message, |message, value| message.replace(&value, "(secret)"))
}

/// A value as it is read by people.
pub(super) fn on_one_line(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// How many characters the two begin with alike.
fn first_difference(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count()
}

/// A long text as far as it fits, so that the character at `difference` is in it.
fn shortened(text: &str, difference: usize) -> String {
    const LONGEST: usize = 600;
    const BEFORE: usize = 60;
    let length = text.chars().count();
    if length <= LONGEST {
        return text.to_string();
    }
    let start = if difference < LONGEST { 0 } else { difference - BEFORE };
    let mut shown: String = text.chars().skip(start).take(LONGEST).collect();
    if start > 0 {
        shown.insert(0, '…');
    }
    if start + LONGEST < length {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_said_of_a_secret_holds_none_of_its_values() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "aHVudGVyMg=="}});
        let said = "data[a]: Invalid value: \"aHVudGVyMg==\": webhook: hunter2 is weak".to_string();
        let told = without_values(&secret, said);
        assert_eq!(told, "data[a]: Invalid value: \"(secret)\": webhook: (secret) is weak");
    }

    #[test]
    fn long_texts_are_cut_where_their_difference_is_seen() {
        let text = |end: &str| json!(format!("{}{end}", "é".repeat(5_000)));
        let change = told("data.config", Some(&text("old")), Some(&text("new")));
        assert!(change.from.as_deref().is_some_and(|from| from.starts_with('…') && from.ends_with("old")));
        assert!(change.to.as_deref().is_some_and(|to| to.ends_with("new")));
    }
}
