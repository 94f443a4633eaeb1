//! No option can change what is applied beyond the values that it stands for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::matrix::{Folder, Variant, environment, folders, render};

/// What YAML, JSON, the template language or a shell could take for more than a text.
const HOSTILE: [&str; 14] = [
    "x\nkind: Secret",
    "x\r\nkind: Secret",
    "\"\nkind: Secret",
    "x\", \"kind\": \"Secret",
    "---\napiVersion: v1\nkind: Secret\nmetadata: {name: x}\n---",
    "}}\n---\n{kind: Secret}",
    "{{ images }}{% raw %}",
    "*alias",
    "!!binary x",
    "yes",
    "1e3",
    "# note",
    "\u{85}kind: Secret",
    "\u{2028}--- {}",
];
/// What stands for the text in a rendering, so that two can be compared.
const MARK: &str = "\u{1}";

#[test]
fn a_hostile_text_is_refused_or_stays_a_value() {
    let mut accepted = 0;
    for folder in folders().iter().filter(|folder| !folder.manifests.is_empty()) {
        for variant in folder.variants.iter().filter(|variant| !variant.derived) {
            for place in places(&variant.options, "") {
                accepted += assert_stays_a_value(folder, variant, &place);
            }
        }
    }
    assert!(accepted > HOSTILE.len(), "nearly everything is refused: {accepted}");
}

/// Sets what stands at `place` to every hostile text; answers how many were accepted.
fn assert_stays_a_value(folder: &Folder, variant: &Variant, place: &Place) -> usize {
    let mut accepted = 0;
    for provider in ["kind", "eks"] {
        let mut first: Option<(&str, Vec<Value>)> = None;
        for hostile in HOSTILE {
            let mut variant = variant.clone();
            place.set(&mut variant.options, hostile);
            let Ok(environment) = environment(provider, &folder.name, &variant) else { continue };
            let Ok((_, objects)) = render(&environment, &folder.name) else { continue };
            accepted += 1;
            let shape: Vec<Value> = objects.iter().map(|object| marked(&object.body, hostile)).collect();
            match &first {
                None => first = Some((hostile, shape)),
                Some((other, wanted)) => assert_eq!(
                    &shape, wanted,
                    "{}: {} at {place:?}: {hostile:?} renders other objects than {other:?}",
                    folder.name, variant.name
                ),
            }
        }
    }
    accepted
}

/// A text in the options: a value, or the name of a field that the user chose.
#[derive(Debug)]
struct Place {
    /// A JSON pointer to the value, or to the map that holds the field.
    pointer: String,
    /// The field, when its name is meant.
    field: Option<String>,
}

impl Place {
    fn set(&self, options: &mut Value, text: &str) {
        let target = options.pointer_mut(&self.pointer).expect("it was found there");
        match (&self.field, target) {
            (Some(field), Value::Object(fields)) => {
                let value = fields.shift_remove(field).expect("it was found there");
                fields.insert(text.to_string(), value);
            }
            (_, target) => *target = Value::from(text),
        }
    }
}

/// Every text in `options`; the names of known options are refused when they are others, so they
/// may be tried too.
fn places(options: &Value, pointer: &str) -> Vec<Place> {
    match options {
        Value::String(_) => vec![Place { pointer: pointer.to_string(), field: None }],
        Value::Array(elements) => {
            let numbered = elements.iter().enumerate();
            numbered.flat_map(|(index, element)| places(element, &format!("{pointer}/{index}"))).collect()
        }
        Value::Object(fields) => {
            let inner = fields.iter().flat_map(|(name, value)| {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                let own = Place { pointer: pointer.to_string(), field: Some(name.clone()) };
                [own].into_iter().chain(places(value, &format!("{pointer}/{escaped}")))
            });
            inner.collect()
        }
        _ => Vec::new(),
    }
}

/// `value` with every text and field name that holds `hostile` marked instead.
fn marked(value: &Value, hostile: &str) -> Value {
    let mark = |text: &str| text.replace(hostile, MARK);
    match value {
        Value::String(text) => Value::from(mark(text)),
        Value::Array(elements) => elements.iter().map(|element| marked(element, hostile)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (mark(name), marked(value, hostile)));
            // Sorted: a map that is merged may have its fields in an order of their own.
            let fields: BTreeMap<String, Value> = fields.collect();
            Value::Object(fields.into_iter().collect())
        }
        _ => value.clone(),
    }
}
