//! Where a template may write a value: where a whole YAML value or key stands, and nowhere else. A value is
//! written as JSON, which means nothing of the kind inside a quoted text or behind a word.

use super::catalog::Manifest;
use super::error::AddonError;

/// Refuses a template that writes a value into a text instead of in the place of one.
pub(super) fn check(manifest: &Manifest) -> Result<(), AddonError> {
    let tokens = tokens(&manifest.text);
    let mut reader = Reader::default();
    let mut branches: Vec<Branch> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Text(text) => text.chars().for_each(|character| reader.take(character)),
            Token::Value { line, source } => {
                if !reader.takes_value() || !ends_after(&tokens[index + 1..]) {
                    return Err(refusal(&manifest.place, *line, source));
                }
            }
            Token::Statement(word) => statement(word, &mut reader, &mut branches),
        }
    }
    Ok(())
}

fn refusal(place: &str, line: usize, source: &str) -> AddonError {
    let source = if source.contains('\n') { "…" } else { source };
    let problem = format!(
        "`{{{{ {source} }}}}` is a part of a text here, and a value is written whole, as JSON: \
         join the texts first and leave the quotes out: write `{{{{ \"x\" ~ {source} }}}}`"
    );
    AddonError::file(&format!("{place}:{line}"), problem)
}

#[derive(Debug, PartialEq)]
enum Token {
    /// What is written as it stands.
    Text(String),
    /// `{{ source }}`
    Value { line: usize, source: String },
    /// `{% word … %}`
    Statement(String),
}

/// What a template consists of, with the blanks that `{%-` and its kin take away taken away. A template that
/// ends too early is told by who renders it.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut trims, mut is_raw) = (text, false, false);
    while !rest.is_empty() {
        let start = next_tag(rest, is_raw).unwrap_or(rest.len());
        let (mut literal, tag) = rest.split_at(start);
        if trims {
            literal = literal.trim_start();
        }
        if tag.get(2..).is_some_and(|inside| inside.starts_with('-')) {
            literal = literal.trim_end();
        }
        if !literal.is_empty() {
            tokens.push(Token::Text(literal.to_string()));
        }
        let Some(length) = length_of(tag) else { return tokens };
        let inside = &tag[2..length - 2];
        trims = inside.ends_with('-');
        let source = inside.strip_prefix(['-', '+']).unwrap_or(inside);
        let source = source.strip_suffix(['-', '+']).unwrap_or(source).trim();
        if tag.starts_with("{{") {
            let line = text[..text.len() - tag.len()].matches('\n').count() + 1;
            tokens.push(Token::Value { line, source: source.to_string() });
        } else if tag.starts_with("{%") {
            let word = source.split_whitespace().next().unwrap_or_default();
            is_raw = word == "raw";
            tokens.push(Token::Statement(word.to_string()));
        }
        rest = &tag[length..];
    }
    tokens
}

/// Where the next tag begins; in raw text only its end is one.
fn next_tag(text: &str, is_raw: bool) -> Option<usize> {
    text.match_indices('{').map(|(at, _)| at).find(|at| {
        let tag = &text[*at..];
        if is_raw {
            let word = tag.strip_prefix("{%").map(|word| word.trim_start_matches(['-', '+']).trim_start());
            return word.is_some_and(|word| word.starts_with("endraw"));
        }
        ["{{", "{%", "{#"].iter().any(|start| tag.starts_with(start))
    })
}

/// How long the tag is that `text` begins with: its end does not count inside texts and brackets.
fn length_of(text: &str) -> Option<usize> {
    let end = match text.get(..2)? {
        "{#" => return text.find("#}").map(|at| at + 2),
        "{{" => "}}",
        _ => "%}",
    };
    let (mut quote, mut depth, mut is_escaped) = (None, 0_usize, false);
    for (at, character) in text.char_indices().skip(2) {
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if character == '\\' => is_escaped = true,
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if depth == 0 && text[at..].starts_with(end) => return Some(at + 2),
            None => match character {
                '"' | '\'' => quote = Some(character),
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            },
        }
    }
    None
}

/// Whether a value ends where it is written.
fn ends_after(rest: &[Token]) -> bool {
    match rest.first() {
        None | Some(Token::Statement(_)) => true,
        Some(Token::Value { .. }) => false,
        Some(Token::Text(text)) => {
            let next = text.trim_start_matches(' ');
            match next.chars().next() {
                None => ends_after(&rest[1..]),
                Some('#') => next.len() < text.len(),
                Some(character) => matches!(character, '\n' | '\r' | ',' | ']' | '}' | ':'),
            }
        }
    }
}

/// An `if` or `for` that is open.
struct Branch {
    entry: Reader,
    ends: Vec<Reader>,
    may_be_skipped: bool,
}

fn statement(word: &str, reader: &mut Reader, branches: &mut Vec<Branch>) {
    match word {
        "if" | "for" => {
            branches.push(Branch { entry: reader.clone(), ends: Vec::new(), may_be_skipped: true });
        }
        "else" | "elif" => {
            if let Some(branch) = branches.last_mut() {
                branch.may_be_skipped &= word == "elif";
                branch.ends.push(std::mem::replace(reader, branch.entry.clone()));
            }
        }
        "endif" | "endfor" => {
            if let Some(Branch { entry, mut ends, may_be_skipped }) = branches.pop() {
                if may_be_skipped {
                    ends.push(entry);
                }
                // What is not safe behind one of the branches is not safe.
                if let Some(worst) = ends.into_iter().max_by_key(Reader::rank)
                    && worst.rank() > reader.rank()
                {
                    *reader = worst;
                }
            }
        }
        _ => {}
    }
}

/// What stands before the place that is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Before {
    /// A scalar can begin.
    #[default]
    Open,
    /// A scalar or a collection that ended.
    Ended,
    /// `-`, an item if a blank follows.
    Dash,
    /// `:`, the end of a key if a blank follows.
    Colon,
    /// `|` or `>`, the head of a text on lines of its own.
    Head,
    /// A comment, to the end of the line.
    Comment,
    /// A text on lines of its own.
    Block,
    /// A text without quotes.
    Word,
    /// A text in quotes.
    Quoted(char),
    /// The same, behind a backslash.
    Escaped,
}

/// Reads as much of YAML as says where a scalar can begin.
#[derive(Debug, Clone, Default)]
struct Reader {
    before: Before,
    /// How many `[` and `{` are open.
    depth: usize,
    column: usize,
    /// Where the first key or value of the line stands, or its last dash.
    indent: usize,
    /// The last character of the line that is no blank, and whether a blank follows it.
    last: Option<char>,
    has_gap: bool,
    /// The indent of the line that ended in a text without quotes, which deeper lines continue.
    continues: Option<usize>,
}

impl Reader {
    fn rank(&self) -> Before {
        self.before
    }

    /// Takes a value; false where none can stand.
    fn takes_value(&mut self) -> bool {
        self.begin_line('"');
        match self.before {
            Before::Comment => return true,
            Before::Block => {
                return matches!(self.last, None | Some(':' | '-' | '[' | ',' | '{'));
            }
            Before::Open => {}
            _ => return false,
        }
        if self.last.is_none() {
            self.indent = self.column;
        }
        (self.before, self.last, self.has_gap) = (Before::Ended, Some('"'), false);
        self.column += 1;
        true
    }

    /// What the first character of a line ends.
    fn begin_line(&mut self, character: char) {
        if self.last.is_some() || matches!(character, ' ' | '\n' | '\r') {
            return;
        }
        if self.before == Before::Block && self.column <= self.indent {
            self.before = Before::Open;
        }
        if let Some(indent) = self.continues.take()
            && self.column > indent
            && self.before == Before::Open
        {
            self.before = Before::Word;
        }
    }

    fn take(&mut self, character: char) {
        self.begin_line(character);
        if character == '\n' {
            self.end_line();
            return;
        }
        self.before = self.after(character);
        self.column += 1;
        if matches!(character, ' ' | '\t' | '\r') {
            self.has_gap = true;
        } else {
            (self.last, self.has_gap) = (Some(character), false);
        }
    }

    fn end_line(&mut self) {
        let is_block = self.depth == 0;
        self.before = match self.before {
            Before::Head => Before::Block,
            Before::Dash | Before::Colon => Before::Open,
            Before::Comment | Before::Ended if is_block => Before::Open,
            Before::Comment => Before::Ended,
            Before::Word if is_block => {
                self.continues = Some(self.indent);
                Before::Open
            }
            Before::Escaped => Before::Quoted('"'),
            before => before,
        };
        (self.column, self.last, self.has_gap) = (0, None, false);
    }

    fn after(&mut self, character: char) -> Before {
        let is_blank = matches!(character, ' ' | '\t' | '\r');
        match self.before {
            Before::Quoted('"') if character == '\\' => return Before::Escaped,
            Before::Quoted(open) if character == open => return Before::Ended,
            Before::Escaped => return Before::Quoted('"'),
            Before::Comment | Before::Block | Before::Quoted(_) => return self.before,
            // Two of them are one in the text.
            Before::Ended if character == '\'' && self.last == Some('\'') && !self.has_gap => {
                return Before::Quoted('\'');
            }
            Before::Colon | Before::Dash if is_blank => return Before::Open,
            _ if is_blank => return self.before,
            _ if character == '#' && (self.last.is_none() || self.has_gap) => {
                return if self.before == Before::Head { Before::Head } else { Before::Comment };
            }
            Before::Head if self.last == Some('#') || matches!(character, '+' | '-' | '0'..='9') => {
                return Before::Head;
            }
            _ => {}
        }
        let can_begin = self.before == Before::Open;
        match character {
            '[' | '{' if can_begin || self.depth > 0 => {
                self.mark_indent();
                self.depth += 1;
                Before::Open
            }
            ']' | '}' if self.depth > 0 => {
                self.depth -= 1;
                Before::Ended
            }
            ',' if self.depth > 0 => Before::Open,
            ':' => Before::Colon,
            '-' if can_begin && self.depth == 0 && matches!(self.last, None | Some('-')) => {
                self.indent = self.column;
                Before::Dash
            }
            '|' | '>' if can_begin && self.depth == 0 => Before::Head,
            '"' | '\'' if can_begin => {
                self.mark_indent();
                Before::Quoted(character)
            }
            _ => {
                if can_begin {
                    self.mark_indent();
                }
                Before::Word
            }
        }
    }

    /// The first thing of a line, besides dashes, says how deep it is.
    fn mark_indent(&mut self) {
        if matches!(self.last, None | Some('-')) && self.depth == 0 {
            self.indent = self.column;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::template::Templates;
    use super::*;

    const HOSTILE: [&str; 8] = [
        "\"', evil: 'y",
        "', evil: 'y",
        "x\nevil: y",
        "x, evil: y",
        "]}, evil: y",
        "k # note",
        "*alias",
        "{{ version }}",
    ];

    fn manifest(text: &str) -> Manifest {
        Manifest { place: "a.yaml".to_string(), text: text.to_string(), constant: None }
    }

    #[test]
    fn a_value_in_a_text_is_refused_by_file_and_line() {
        for text in [
            "data: {v: 'x{{ a }}', w: k}",
            "v: x{{ a }}y",
            "v: x{{ a }}",
            "v: x {{ a }}",
            "v: {{ a }}y",
            "v: {{ a }} y",
            "v: {{ a }}{{ a }}",
            "v: '{{ a }}'",
            "v: \"{{ a }}\"",
            "v: \"\\\"{{ a }}\"",
            "v: 'it''s {{ a }}'",
            "v: 'x, {{ a }}, y'",
            "v: x, {{ a }}",
            "v:{{ a }}",
            "v: {{- a }}",
            "v: -{{ a }}",
            "v: [x{{ a }}]",
            "v: [x: y {{ a }}]",
            "v: x{% if a %}{{ a }}{% endif %}",
            "v: {% if a %}x{% endif %}{{ a }}",
            "v: {% if a %}x{% else %}{% endif %}{{ a }}",
            "v: x{#- note -#}\n{{ a }}",
            "v: |\n  k: \"{{ a }}\"",
            "v: |\n  k = {{ a }}",
        ] {
            let error = check(&manifest(&format!("first: line\n{text}\n"))).expect_err(text).to_string();
            let line = if text.contains('\n') { 3 } else { 2 };
            assert!(error.starts_with(&format!("`a.yaml:{line}`: ")), "{text}: {error}");
            assert!(error.contains("write `{{ \"x\" ~ a }}`"), "{text}: {error}");
        }
    }

    #[test]
    fn a_value_in_a_text_of_several_lines_is_refused_too() {
        for text in [
            "v: 'x\n  {{ a }}'",
            "v: \"x\n\n  {{ a }}\"",
            "v: x\n  {{ a }}",
            "{v: x\n {{ a }}, w: k}",
            "v: x\n{{- a }}",
            "v: x\n{%- if a %}{{ a }}{% endif %}",
            "- k: |\n    text\n  v: 'x{{ a }}'",
        ] {
            assert!(check(&manifest(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn hostile_text_stays_a_text_wherever_a_value_may_stand() {
        for (text, pointer) in [
            ("v: {{ a }}", "/v"),
            ("v:   {{ a }}   # it's a note: x{{ a }}", "/v"),
            ("v:\n- {{ a -}}\n", "/v/0"),
            ("v:\n  {{ a }}\nw: k", "/v"),
            ("v: {w: {{ a }}, x: 'it''s'}", "/v/w"),
            ("v: [x, {{ a }}]", "/v/1"),
            ("v: [\n  {{ a }}\n]", "/v/0"),
            ("v:\n  - {{ a }}\n  - x", "/v/0"),
            ("v:\n  - - {{ a }}", "/v/0/0"),
            ("v:\n  - k: it's\n    w: {{ a }}", "/v/0/w"),
            ("v: {% if a %}{{ a }}{% else %}{{ a }}{% endif %}", "/v"),
            ("v: [{% for b in [a] %}{{ b }}{% if not loop.last %}, {% endif %}{% endfor %}]", "/v/0"),
            ("u: x\n{%- if a %}\nv: {{ a }}\n{%- endif %}", "/v"),
            ("v: {{ {\"k\": a} }}", "/v/k"),
            ("v: {w: {{ {\"k\": {\"l\": a}} }}}", "/v/w/k/l"),
            ("u: |\n  it's \"\n   - x\nv: {{ a }}", "/v"),
            ("u:\n  - >-\n    it's\n  - {{ a }}", "/u/1"),
            ("u: {% raw %}'{{ a }}'{% endraw %}\nv: {{ a }}", "/v"),
            ("{# it's #}\nu: x's # it's\nv: {{ a }}", "/v"),
            ("---\nv: {{ a }}\n---\n", "/v"),
        ] {
            check(&manifest(text)).unwrap_or_else(|error| unreachable!("{text}: {error}"));
            for value in HOSTILE {
                let documents = Templates::new().documents(&manifest(text), &json!({"a": value}));
                let documents = documents.unwrap_or_else(|error| unreachable!("{text}: {error}"));
                assert_eq!(documents[0].pointer(pointer), Some(&json!(value)), "{text}: {documents:?}");
                assert_eq!(documents[0].pointer("/evil"), None, "{text}");
            }
        }
        for value in HOSTILE {
            let key = manifest("v: { {{ a }}: x}\n{{ a }}: x\n");
            check(&key).expect("whole keys");
            let documents = Templates::new().documents(&key, &json!({"a": value})).expect("rendered");
            assert_eq!(documents[0], json!({"v": {value: "x"}, value: "x"}));
        }
    }
}
