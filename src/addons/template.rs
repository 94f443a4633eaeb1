//! Templates whose values cannot become structure: every `{{ value }}` is written as JSON, which is
//! YAML too. There is no way to paste: text is joined before it is written, `{{ "v" ~ version }}`.

use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::Value;

use super::catalog::{Manifest, yaml_error};
use super::error::AddonError;

/// A template does some hundred steps; one that never ends is stopped here.
const FUEL: u64 = 200_000;

/// The YAML documents that `manifest` renders to, empty ones left out.
pub fn documents(manifest: &Manifest, values: &Value) -> Result<Vec<Value>, AddonError> {
    let text = render(manifest, values)?;
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).map_err(|error| yaml_error(&manifest.place, &error))?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

fn render(manifest: &Manifest, values: &Value) -> Result<String, AddonError> {
    let values = minijinja::value::Serde(values);
    environment().render_named_str(&manifest.place, &manifest.text, values).map_err(|error| {
        let place = match error.line() {
            Some(line) => format!("{}:{line}", manifest.place),
            None => manifest.place.clone(),
        };
        let problem = error.detail().map_or_else(|| error.kind().to_string(), str::to_string);
        AddonError::file(&place, problem)
    })
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(|out, _state, value| {
        if value.kind() == ValueKind::Undefined {
            return Err(minijinja::Error::new(
                ErrorKind::UndefinedError,
                "a value that is not set is written",
            ));
        }
        let json = serde_json::to_string(value).map_err(|error| {
            minijinja::Error::new(ErrorKind::BadSerialization, "a value has no JSON form").with_source(error)
        })?;
        out.write_str(&printable(&json)).map_err(minijinja::Error::from)
    });
    environment
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(text: &str) -> Manifest {
        Manifest { place: "x.yaml".to_string(), text: text.to_string() }
    }

    #[test]
    fn no_value_becomes_structure() {
        let template = manifest("a: {{ value }}\nb: [{{ value }}, {{ \"v\" ~ value | safe }}]\nc: kept\n");
        for value in [
            "x\nc: taken",
            "x\r\nc: taken",
            "\"\nc: taken",
            "x\", \"c\": \"taken",
            "# note",
            "---\nc: taken",
            "*alias",
            "&anchor",
            "!!binary x",
            "{c: taken}",
            "yes",
            "null",
            "1e3",
            "~",
            "",
            "\u{85}c: taken",
            "\u{2028}c: taken",
            "\u{7f}\u{1}\u{feff}",
            "{{ c }}",
            "\\\"\\n",
            "日本 🚢",
        ] {
            let documents = documents(&template, &json!({"value": value}));
            let wanted = json!({"a": value, "b": [value, format!("v{value}")], "c": "kept"});
            assert_eq!(documents, Ok(vec![wanted]), "{value:?}");
        }
    }

    #[test]
    fn lists_and_maps_are_written_whole() {
        let values = json!({"labels": {"a": "1", "b\n": "x: y"}, "hosts": ["h1", "h2"]});
        let documents = documents(&manifest("labels: {{ labels }}\nhosts: {{ hosts }}\n"), &values);
        assert_eq!(documents, Ok(vec![values]));
    }

    #[test]
    fn a_template_error_names_file_and_line() {
        let error = documents(&manifest("a: 1\nb: {{ options.missing }}\n"), &json!({"options": {}}));
        let error = error.expect_err("undefined").to_string();
        assert!(error.starts_with("`x.yaml:2`: "), "{error}");
        let error = documents(&manifest("a: 1\nb: [1\n"), &json!({})).expect_err("no yaml").to_string();
        assert!(error.starts_with("`x.yaml:"), "{error}");
    }

    #[test]
    fn a_template_that_never_ends_is_stopped() {
        let endless =
            manifest("{% for a in range(9999) %}{% for b in range(9999) %}{{ a }} {% endfor %}{% endfor %}");
        let error = documents(&endless, &json!({})).expect_err("out of fuel");
        assert!(error.to_string().contains("fuel"), "{error}");
    }
}
