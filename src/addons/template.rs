//! Templates whose values cannot become structure: every `{{ value }}` is written as JSON, which is
//! YAML too. There is no way to paste: text is joined before it is written, `{{ "v" ~ version }}`.

use minijinja::{Environment, ErrorKind};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::catalog::{Manifest, yaml_error};
use super::error::AddonError;
use super::written::{self, json};
use crate::base::{Quantity, QuantityError};

/// A template does some hundred steps; one that never ends is stopped here.
const FUEL: u64 = 200_000;

/// What templates and expressions are read with.
#[derive(Debug, Clone)]
pub struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    /// The rules and filters that all templates share.
    pub fn new() -> Self {
        Self { environment: environment() }
    }

    /// For expressions.
    pub(super) fn environment(&self) -> &Environment<'static> {
        &self.environment
    }

    /// The YAML documents that `manifest` renders to, empty ones left out.
    pub fn documents(&self, manifest: &Manifest, values: &Value) -> Result<Vec<Value>, AddonError> {
        if let Some(constant) = manifest.constant {
            let documents = serde_json::from_str(constant);
            return documents.map_err(|error| AddonError::file(&manifest.place, error.to_string()));
        }
        let text = self.render(manifest, values)?;
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&text).map_err(|error| yaml_error(&manifest.place, &error))?;
        Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
    }

    /// Whether the condition `when` (`options.gateway`) holds for `values`; or why it cannot be said.
    pub fn holds(&self, when: &str, values: &Value) -> Result<bool, String> {
        let condition = self.environment.compile_expression(when).map_err(|error| problem(&error))?;
        let value = condition.eval(minijinja::value::Serde(values)).map_err(|error| problem(&error))?;
        Ok(value.is_true())
    }

    fn render(&self, manifest: &Manifest, values: &Value) -> Result<String, AddonError> {
        let values = minijinja::value::Serde(values);
        self.environment.render_named_str(&manifest.place, &manifest.text, values).map_err(|error| {
            let place = match error.line() {
                Some(line) => format!("{}:{line}", manifest.place),
                None => manifest.place.clone(),
            };
            AddonError::file(&place, problem(&error))
        })
    }
}

/// What is wrong, without the place, which is said once.
pub(super) fn problem(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_string)
}

/// The bytes of a quantity of memory: `2Gi | bytes`.
fn bytes(text: &str) -> Result<i128, minijinja::Error> {
    let quantity: Quantity = text.parse().map_err(|error: QuantityError| {
        minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string())
    })?;
    Ok(quantity.thousandths() / 1000)
}

/// A few letters that differ when the value does: what has to change with it carries them.
fn fingerprint(value: &minijinja::Value) -> Result<String, minijinja::Error> {
    let json = json(value)?;
    let digest = Sha256::digest(json.as_bytes());
    Ok(digest.iter().take(5).fold(String::new(), |text, byte| format!("{text}{byte:02x}")))
}

fn environment() -> Environment<'static> {
    let mut environment = written::environment();
    environment.set_fuel(Some(FUEL));
    environment.add_filter("bytes", |text: &str| bytes(text));
    environment.add_filter("fingerprint", |value: minijinja::Value| fingerprint(&value));
    environment
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(text: &str) -> Manifest {
        Manifest { place: "x.yaml".to_string(), text: text.to_string(), constant: None }
    }

    fn documents(manifest: &Manifest, values: &Value) -> Result<Vec<Value>, AddonError> {
        Templates::new().documents(manifest, values)
    }

    #[test]
    fn memory_is_counted_and_values_have_fingerprints() {
        let template =
            "memory: {{ (memory | bytes * 9 // 10) ~ \"\" }}\nname: {{ \"x-\" ~ memory | fingerprint }}\n";
        let of = |memory: &str| documents(&manifest(template), &json!({"memory": memory})).expect("rendered");
        assert_eq!(of("512Mi")[0]["memory"], "483183820");
        assert_eq!(of("512Mi")[0]["name"].as_str().map(str::len), Some(12));
        assert_ne!(of("512Mi")[0]["name"], of("513Mi")[0]["name"]);
        let error =
            documents(&manifest("memory: {{ \"much\" | bytes }}\n"), &json!({})).expect_err("refused");
        assert!(error.to_string().contains("`much` is no quantity"), "{error}");
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
