//! YAML as other programs write it: many documents in one text, read by the rules that helm and
//! kubectl read by.

use serde_json::Value;

/// One YAML document of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Where it is, for messages: ``document 3, line 40 of `install.yaml` ``.
    pub place: String,
    /// What stands in it.
    pub body: Value,
}

/// The documents of `text`, empty ones left out. `source` says what the text is, for messages. The error
/// says which document cannot be read, where and why.
pub(super) fn documents(text: &str, source: &str) -> Result<Vec<Document>, String> {
    let mut documents = Vec::new();
    for piece in pieces(text) {
        let number = documents.len() + 1;
        let body: Value = serde_saphyr::from_str_with_options(piece.text, options()).map_err(|error| {
            let within = error.location().map_or(0, |location| location.line().saturating_sub(1));
            let line = u64::try_from(piece.line).unwrap_or_default() + within;
            let place = place(number, usize::try_from(line).unwrap_or_default(), &piece, source);
            format!("{place} is no YAML: {}", error.without_snippet())
        })?;
        if !body.is_null() {
            documents.push(Document { place: place(number, piece.line, &piece, source), body });
        }
    }
    Ok(documents)
}

fn place(number: usize, line: usize, piece: &Piece<'_>, source: &str) -> String {
    match piece.template() {
        Some(template) => format!("document {number}, line {line} of {source} (from `{template}`)"),
        None => format!("document {number}, line {line} of {source}"),
    }
}

/// The last of two equal keys wins, `0644` is octal, `yes` is true: so do helm and kubectl.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        legacy_octal_numbers: true,
        strict_booleans: false,
        with_snippet: false,
    }
}

/// The text of one document.
struct Piece<'a> {
    text: &'a str,
    /// Where it begins, from 1.
    line: usize,
}

impl<'a> Piece<'a> {
    /// The template that helm says it comes from.
    fn template(&self) -> Option<&'a str> {
        self.text.lines().take(3).find_map(|line| line.strip_prefix("# Source: "))
    }
}

/// The texts between lines that begin with `---`, without those that hold nothing.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut pieces = Vec::new();
    let (mut start, mut first_line, mut offset) = (0, 1, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let rest = line.strip_prefix("---");
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            pieces.push(Piece { text: &text[start..offset], line: first_line });
            // What stands behind the dashes on their line belongs to the document.
            (start, first_line) = (offset + "---".len(), number + 1);
        }
        offset += line.len();
    }
    pieces.push(Piece { text: &text[start..], line: first_line });
    pieces.retain(|piece| piece.text.lines().any(says_something));
    pieces
}

fn says_something(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#') && !line.starts_with('%')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bodies(text: &str) -> Vec<Value> {
        let documents = documents(text, "`x.yaml`").expect("readable");
        documents.into_iter().map(|document| document.body).collect()
    }

    #[test]
    fn documents_are_told_apart_and_empty_ones_left_out() {
        let text = "\u{feff}# first\n---\na: 1\n--- # second\n# Source: web/templates/b.yaml\nb: |\n  ---\n  x\n---\n\n---\r\nc: 1\r\n";
        assert_eq!(bodies(text), [json!({"a": 1}), json!({"b": "---\nx\n"}), json!({"c": 1})]);
        let places: Vec<String> =
            documents(text, "`x.yaml`").expect("readable").into_iter().map(|found| found.place).collect();
        assert_eq!(
            places,
            [
                "document 1, line 2 of `x.yaml`",
                "document 2, line 4 of `x.yaml` (from `web/templates/b.yaml`)",
                "document 3, line 11 of `x.yaml`",
            ]
        );
    }

    #[test]
    fn scalars_mean_what_they_mean_to_helm_and_kubectl() {
        assert_eq!(
            bodies(
                "mode: 0644\nhex: 0x10\non: yes\noff: \"no\"\nversion: 1.30\nword: 1e3x\nnothing: ~\nport: 80\nport: 81\n"
            ),
            [
                json!({"mode": 420, "hex": 16, "on": true, "off": "no", "version": 1.3, "word": "1e3x", "nothing": null, "port": 81})
            ]
        );
    }

    #[test]
    fn what_is_no_yaml_is_named_by_document_and_line() {
        let error = documents("a: 1\n---\n# Source: web/templates/b.yaml\nb: 1\nc: [1\n", "`x.yaml`");
        let error = error.expect_err("no YAML");
        assert!(
            error.starts_with("document 2, line 5 of `x.yaml` (from `web/templates/b.yaml`) is no YAML: ")
                || error.starts_with("document 2, line 6 of `x.yaml`"),
            "{error}"
        );
    }

    #[test]
    fn definitions_may_nest_deeply_and_nothing_endlessly() {
        let nested = |deep| (0..deep).fold(String::new(), |text, depth| text + &" ".repeat(depth) + "a:\n");
        assert_eq!(bodies(&nested(50)).len(), 1);
        assert!(documents(&nested(1000), "`x.yaml`").is_err());
    }
}
