//! The untyped tree of a profile: every node keeps where it was written.

/// The number of a file in [`super::files::Files`].
pub(super) type FileNumber = u32;

/// Where something stands: a file, and line and column in it, both counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place {
    pub file: FileNumber,
    pub line: u32,
    pub column: u32,
    /// How many characters it takes on that line, at least one.
    pub width: u32,
}

/// A value of a profile, with its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

/// What stands at a node. Scalars stay as written: what they mean is for the type that reads them.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the order of the file, without duplicate keys.
    Map(Vec<Entry>),
}

/// A word, a number or a text.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub text: Box<str>,
    /// Whether it stands without quotes, so that it may also be a number or a boolean.
    pub plain: bool,
}

/// One line of a map.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: Box<str>,
    pub key_place: Place,
    pub node: Node,
}

impl Node {
    /// The value of `key`, when this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The line of `key`, when this is a map that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| &*entry.key == key)
    }

    /// The lines of a map; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        if let Value::Scalar(scalar) = &self.value { Some(&scalar.text) } else { None }
    }

    /// The `name` of a thing in a list of named things.
    pub fn name(&self) -> Option<&str> {
        self.get("name").and_then(Node::text)
    }

    /// What it is, for a message: ``a list``, ``the number `3` ``.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_string(),
            Value::List(_) => "a list".to_string(),
            Value::Map(_) => "a map".to_string(),
            Value::Scalar(scalar) => {
                let text = shorten(&scalar.text);
                if scalar.is_boolean() {
                    format!("the boolean `{text}`")
                } else if scalar.is_number() {
                    format!("the number `{text}`")
                } else {
                    format!("the text `{text}`")
                }
            }
        }
    }

    /// The place of the value at a path in one text, `pools[1].name`, or of the nearest node on the way to it.
    /// `is_key` asks for the last key instead of its value. Keys may hold dots.
    pub fn place_of_text(&self, path: &str, is_key: bool) -> Place {
        let ends = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
        let rest = path.strip_prefix('.').unwrap_or(path);
        if let Some(inner) = rest.strip_prefix('[') {
            let item = inner
                .split_once(']')
                .and_then(|(index, rest)| Some((self.items().get(index.parse::<usize>().ok()?)?, rest)));
            return item.map_or(self.place, |(item, rest)| item.place_of_text(rest, is_key));
        }
        let known = self.entries().iter().filter(|entry| rest.strip_prefix(&*entry.key).is_some_and(ends));
        match known.max_by_key(|entry| entry.key.len()) {
            Some(entry) if rest.len() == entry.key.len() && is_key => entry.key_place,
            Some(entry) => entry.node.place_of_text(&rest[entry.key.len()..], is_key),
            None => self.place,
        }
    }

    /// The place of the value at `path`, or of the nearest node on the way to it.
    pub fn place_of(&self, path: &[Step<'_>]) -> Place {
        let mut node = self;
        for step in path {
            let next = match step {
                Step::Key(key) => node.get(key),
                Step::Item(index) => node.items().get(*index),
            };
            match next {
                Some(next) => node = next,
                None => return node.place,
            }
        }
        node.place
    }
}

impl Scalar {
    /// Whether it is `true` or `false` without quotes.
    pub fn is_boolean(&self) -> bool {
        self.plain && matches!(&*self.text, "true" | "false" | "True" | "False" | "TRUE" | "FALSE")
    }

    /// Whether it is a number without quotes.
    pub fn is_number(&self) -> bool {
        self.plain
            && self.text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
            && self.text.parse::<f64>().is_ok()
    }
}

/// One step from a node to a node below it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Item(usize),
}

/// A text that fits a message.
pub(super) fn shorten(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(48).collect();
    if line.chars().count() < text.chars().count() { format!("{line}…") } else { line }
}
