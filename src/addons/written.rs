use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};

/// Templates that write every value as JSON, which is YAML too. The build reads this file as well: it
/// renders the manifests that need no values.
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(|out, _state, value| {
        if value.kind() == ValueKind::Undefined {
            return Err(minijinja::Error::new(
                ErrorKind::UndefinedError,
                "a value that is not set is written",
            ));
        }
        out.write_str(&printable(&json(value)?)).map_err(minijinja::Error::from)
    });
    environment
}

/// A value as JSON.
pub fn json(value: &minijinja::Value) -> Result<String, minijinja::Error> {
    serde_json::to_string(value).map_err(|error| {
        minijinja::Error::new(ErrorKind::BadSerialization, "a value has no JSON form").with_source(error)
    })
}

/// JSON with the characters escaped that JSON takes as they are and YAML does not.
fn printable(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                write!(text, "\\u{:04x}", u32::from(character)).expect("a String takes everything");
            }
            _ => text.push(character),
        }
    }
    text
}
