//! From the merged tree to typed structs, with every error at its place.
//!
//! serde stops at the first error. So a node that fails is noted and left out, and the tree is read
//! again without it, until nothing new is found: one run shows all that is wrong.

mod failure;
mod readers;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::de::{self, IntoDeserializer, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::files::{Files, Problem, without_detours};
use super::schema::PROFILE_PATH;
use super::tree::{Entry, Node, Scalar, Value, shorten};
use failure::{Failure, unknown};
use readers::{ListReader, MapReader, TagReader};

/// More rounds than any file that a person wrote needs.
const ROUNDS: usize = 64;

/// What came out of a tree.
pub(super) struct Decoded<T> {
    /// Absent when something that it cannot be without is missing or wrong.
    pub value: Option<T>,
    /// The tree without the nodes that were wrong: its lists have the same items as those of `value`.
    pub tree: Node,
    pub problems: Vec<Problem>,
}

/// Reads a `T` from `tree`. A relative path is taken from the folder of the file that names it, and
/// `~` is `home`.
pub(super) fn decode<T: de::DeserializeOwned>(tree: Node, files: &Files, home: &Path) -> Decoded<T> {
    let session = Session {
        files,
        home,
        left_out: RefCell::default(),
        problems: RefCell::default(),
        again: Cell::new(false),
    };
    let mut value = None;
    for _ in 0..ROUNDS {
        session.again.set(false);
        let known = session.left_out.borrow().len();
        value = match T::deserialize(Decoder { node: &tree, session: &session }) {
            Ok(value) if !session.again.get() => Some(value),
            Ok(_) => continue,
            Err(failure) => {
                session.report(failure, &tree);
                None
            }
        };
        let found_more = session.left_out.borrow().len() > known;
        if value.is_some() || !found_more || session.is_out(&tree) {
            break;
        }
    }
    let problems = session.problems.take();
    let left_out = session.left_out.take();
    let tree = if left_out.is_empty() { tree } else { without(&tree, &left_out) };
    Decoded { value, tree, problems }
}

struct Session<'a> {
    files: &'a Files,
    home: &'a Path,
    /// The addresses of nodes that were wrong. The tree does not move while it is read.
    left_out: RefCell<HashSet<usize>>,
    problems: RefCell<Vec<Problem>>,
    again: Cell<bool>,
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node) as usize
}

fn without(node: &Node, left_out: &HashSet<usize>) -> Node {
    let value = match &node.value {
        Value::List(items) => Value::List(
            items
                .iter()
                .filter(|item| !left_out.contains(&address(item)))
                .map(|item| without(item, left_out))
                .collect(),
        ),
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .filter(|entry| !left_out.contains(&address(&entry.node)))
                .map(|entry| Entry {
                    key: entry.key.clone(),
                    key_place: entry.key_place,
                    node: without(&entry.node, left_out),
                })
                .collect(),
        ),
        other => other.clone(),
    };
    Node { place: node.place, value }
}

impl Session<'_> {
    fn is_out(&self, node: &Node) -> bool {
        self.left_out.borrow().contains(&address(node))
    }

    fn leave_out(&self, node: &Node) {
        self.left_out.borrow_mut().insert(address(node));
        self.again.set(true);
    }

    /// Notes what is wrong with `node`, once, and leaves it out from now on.
    fn report(&self, failure: Failure, node: &Node) -> Failure {
        let (message, help) = match failure {
            Failure::Reported => return Failure::Reported,
            Failure::MissingField(field) => {
                // What is missing may be what was misspelt or wrong below: one message is enough.
                let mut below = node.entries().iter();
                if below.any(|entry| self.is_out(&entry.node)) {
                    self.leave_out(node);
                    return Failure::Reported;
                }
                (format!("`{field}` is missing"), format!("add `{field}:` here"))
            }
            Failure::Unknown { what, given, known } => unknown(what, &given, known),
            Failure::Message { message, help } => (message, help),
        };
        self.problems.borrow_mut().push(Problem::new(node.place, message, help));
        self.leave_out(node);
        Failure::Reported
    }

    fn report_key(&self, failure: Failure, entry: &Entry) {
        let (message, help) = match failure {
            Failure::Unknown { what, given, known } => unknown(what, &given, known),
            Failure::Message { message, help } => (message, help),
            Failure::MissingField(_) | Failure::Reported => return,
        };
        self.problems.borrow_mut().push(Problem::new(entry.key_place, message, help));
        self.leave_out(&entry.node);
    }
}

#[derive(Clone, Copy)]
struct Decoder<'a> {
    node: &'a Node,
    session: &'a Session<'a>,
}

impl<'a> Decoder<'a> {
    fn scalar(self, what: &str, help: &str) -> Result<&'a Scalar, Failure> {
        match &self.node.value {
            Value::Scalar(scalar) => Ok(scalar),
            _ => Err(Failure::expected(what, self.node, help)),
        }
    }

    /// Text as written. Numbers stand for their digits, so that `1.30` stays `1.30`.
    fn text(self) -> Result<&'a str, Failure> {
        let scalar = self.scalar("text", "write a single value here")?;
        if scalar.is_boolean() {
            let help = format!("put it in quotes: `\"{}\"`", scalar.text);
            return Err(Failure::expected("text", self.node, help));
        }
        Ok(&scalar.text)
    }

    fn whole_number(self, least: i128, most: i128) -> Result<i128, Failure> {
        let range = match most {
            ..=65_535 => format!("write a whole number from {least} to {most}"),
            _ => "write a whole number, such as `3`".to_string(),
        };
        let scalar = self.scalar("a whole number", &range)?;
        let number: i128 = match scalar.text.parse() {
            Ok(number) if scalar.plain => number,
            _ => return Err(Failure::expected("a whole number", self.node, range)),
        };
        let message = if number < 0 && least == 0 {
            format!("`{number}` is negative")
        } else if number < least {
            format!("`{number}` is too small")
        } else if number > most {
            format!("`{number}` is too large")
        } else {
            return Ok(number);
        };
        Err(Failure::Message { message, help: range })
    }

    fn map(self, help: &str) -> Result<MapReader<'a>, Failure> {
        match &self.node.value {
            Value::Map(entries) => {
                Ok(MapReader { entries: entries.iter(), value: None, session: self.session })
            }
            _ => Err(Failure::expected("a map", self.node, help)),
        }
    }

    /// Errors that arise at this node are noted here, where the place is known.
    fn noting<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| self.session.report(failure, self.node))
    }

    fn path(self) -> Result<PathBuf, Failure> {
        let text = self.text()?;
        let folder = self.session.files.folder(self.node.place.file);
        Ok(match text.strip_prefix('~') {
            Some("") => self.session.home.to_path_buf(),
            Some(rest) if rest.starts_with('/') => self.session.home.join(rest.trim_start_matches('/')),
            _ => without_detours(&folder.join(text)),
        })
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $number:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            let number = self.whole_number(<$number>::MIN.into(), <$number>::MAX.into());
            let number = number.and_then(|number| {
                <$number>::try_from(number).map_err(|_| Failure::expected("a whole number", self.node, "write a smaller one"))
            });
            self.noting(number.and_then(|number| visitor.$visit(number)))
        }
    )*};
}

impl<'de> Deserializer<'de> for Decoder<'_> {
    type Error = Failure;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let result = match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Scalar(scalar) if scalar.is_boolean() => {
                visitor.visit_bool(scalar.text.eq_ignore_ascii_case("true"))
            }
            Value::Scalar(scalar) if scalar.is_number() => {
                if let Ok(number) = scalar.text.parse::<u64>() {
                    visitor.visit_u64(number)
                } else if let Ok(number) = scalar.text.parse::<i64>() {
                    visitor.visit_i64(number)
                } else {
                    visitor.visit_f64(scalar.text.parse().unwrap_or(f64::NAN))
                }
            }
            Value::Scalar(scalar) => visitor.visit_str(&scalar.text),
            Value::List(items) => {
                visitor.visit_seq(ListReader { items: items.iter(), session: self.session })
            }
            Value::Map(_) => self.map("").and_then(|map| visitor.visit_map(map)),
        };
        self.noting(result)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let help = "write `true` or `false`, without quotes";
        let value = self.scalar("true or false", help).and_then(|scalar| {
            if scalar.is_boolean() {
                visitor.visit_bool(scalar.text.eq_ignore_ascii_case("true"))
            } else {
                Err(Failure::expected("true or false", self.node, help))
            }
        });
        self.noting(value)
    }

    whole_numbers! {
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.noting(self.text().and_then(|text| visitor.visit_str(text)))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        if name == PROFILE_PATH {
            let path = self.path().and_then(|path| {
                let path = path.to_string_lossy().into_owned();
                visitor.visit_newtype_struct(IntoDeserializer::<Failure>::into_deserializer(path))
            });
            return self.noting(path);
        }
        self.noting(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let result = match &self.node.value {
            Value::List(items) => {
                visitor.visit_seq(ListReader { items: items.iter(), session: self.session })
            }
            Value::Map(_) => Err(Failure::expected(
                "a list",
                self.node,
                "begin each item with `- `, such as `- name: NAME`",
            )),
            Value::Scalar(scalar) => {
                let help = format!("put it in brackets: `[{}]`", shorten(&scalar.text));
                Err(Failure::expected("a list", self.node, help))
            }
            Value::Null => Err(Failure::expected("a list", self.node, "write `[]` for none")),
        };
        self.noting(result)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let map = self.map("write `key: value` lines, or `{}` for none");
        self.noting(map.and_then(|map| visitor.visit_map(map)))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let help = match fields {
            [] => "write `{}`".to_string(),
            fields => format!("its fields are: {}", fields.join(", ")),
        };
        self.noting(self.map(&help).and_then(|map| visitor.visit_map(map)))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let tagged = super::schema::TAGGED.contains(&name);
        let result = match &self.node.value {
            Value::Scalar(scalar) if !tagged => {
                visitor.visit_enum(IntoDeserializer::<Failure>::into_deserializer(&*scalar.text))
            }
            Value::Map(entries) if tagged => {
                let mut entries = entries.iter().filter(|entry| !self.session.is_out(&entry.node));
                match (entries.next(), entries.next()) {
                    (Some(entry), None) => visitor.visit_enum(TagReader { entry, session: self.session }),
                    (Some(first), Some(second)) => {
                        let failure = Failure::Message {
                            message: format!(
                                "`{}` beside `{}`: there can be only one",
                                second.key, first.key
                            ),
                            help: format!(
                                "keep one of them; `{}: null` takes out what a base has set",
                                first.key
                            ),
                        };
                        self.session.report_key(failure, second);
                        Err(Failure::Reported)
                    }
                    // What was chosen is unknown or wrong, and said already.
                    (None, _) if !self.node.entries().is_empty() => {
                        self.session.leave_out(self.node);
                        Err(Failure::Reported)
                    }
                    (None, _) => Err(Failure::Message {
                        message: "nothing is chosen here".to_string(),
                        help: format!("write one of {} with its fields", variants.join(", ")),
                    }),
                }
            }
            _ if tagged => Err(Failure::expected(
                "a map with one key",
                self.node,
                match self.node.text() {
                    Some(text) if variants.contains(&text) => format!("write `{{{text}: {{}}}}`"),
                    _ => format!("write one of {} with its fields", variants.join(", ")),
                },
            )),
            _ => Err(Failure::expected("a word", self.node, format!("write one of {}", variants.join(", ")))),
        };
        self.noting(result)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}
