//! YAML that every reader takes for what it is, also those of YAML 1.1 such as kubectl.

use serde_json::Value;

use crate::base::{Fault, FaultKind};

/// `value` as YAML, with long lines left whole: keys and certificates stay in one piece.
pub(super) fn write(value: &Value, what: &str) -> Result<String, Fault> {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 1 << 20 };
    serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| Fault::new(FaultKind::Bug, format!("write {what} as YAML"), error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_that_yaml_1_1_takes_for_something_else_are_quoted() {
        for text in [
            "yes",
            "No",
            "on",
            "off",
            "y",
            "n",
            "true",
            "null",
            "~",
            "",
            "1",
            "0123",
            "0x1f",
            "1e3",
            "1_000",
            "12:30:45",
            "2024-01-01",
            ".inf",
            "0o17",
            "=",
            "<<",
            "- a",
            "a: b",
            "# c",
            "*a",
            "&a",
            "@a",
            "%a",
            "1.5",
            "+1",
            "0b1",
        ] {
            let yaml = write(&json!({"key": text}), "a test").expect("written");
            let written = yaml.trim_end().strip_prefix("key: ").unwrap_or_default();
            assert!(written.starts_with(['"', '\'']), "{text} became {yaml}");
        }
    }

    #[test]
    fn long_texts_stay_on_one_line_and_many_lines_stay_readable() {
        let long = "a b ".repeat(100);
        let yaml = write(&json!({"long": long.trim(), "lines": "one\ntwo\n"}), "a test").expect("written");
        assert_eq!(yaml.lines().next(), Some(format!("long: {}", long.trim()).as_str()));
        assert!(yaml.contains("lines: |\n  one\n  two\n"), "{yaml}");
    }
}
