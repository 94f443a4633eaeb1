use std::fmt;

use serde::de;

use crate::profile::nearest::nearest;
use crate::profile::tree::{Node, shorten};

/// The message and the help for a word that is not known.
pub(super) fn unknown(what: &str, given: &str, known: &[&str]) -> (String, String) {
    let help = match nearest(given, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => format!("take `{}` out", shorten(given)),
        None => format!("known here: {}", known.join(", ")),
    };
    (format!("unknown {what} `{}`", shorten(given)), help)
}

/// Why a node is not what a type wants.
#[derive(Debug)]
pub enum Failure {
    Message {
        message: String,
        help: String,
    },
    MissingField(&'static str),
    Unknown {
        what: &'static str,
        given: String,
        known: &'static [&'static str],
    },
    /// Noted already, with its place.
    Reported,
}

impl Failure {
    pub fn expected(what: &str, node: &Node, help: impl Into<String>) -> Self {
        Self::Message { message: format!("expected {what}, found {}", node.describe()), help: help.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { message, .. } => f.write_str(message),
            Self::MissingField(field) => write!(f, "`{field}` is missing"),
            Self::Unknown { what, given, .. } => write!(f, "unknown {what} `{given}`"),
            Self::Reported => f.write_str("wrong further down"),
        }
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    /// A message may carry its help behind a line break.
    fn custom<T: fmt::Display>(text: T) -> Self {
        let text = text.to_string();
        let (message, help) = text.split_once('\n').unwrap_or((&text, "correct the value"));
        Self::Message { message: message.to_string(), help: help.to_string() }
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            de::Unexpected::Bool(value) => format!("the boolean `{value}`"),
            de::Unexpected::Unsigned(value) => format!("the number `{value}`"),
            de::Unexpected::Signed(value) => format!("the number `{value}`"),
            de::Unexpected::Float(value) => format!("the number `{value}`"),
            de::Unexpected::Str(text) => format!("the text `{}`", shorten(text)),
            de::Unexpected::Seq => "a list".to_string(),
            de::Unexpected::Map => "a map".to_string(),
            _ => "something else".to_string(),
        };
        Self::custom(format!("expected {expected}, found {found}\nwrite {expected}"))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::Unknown { what: "value", given: variant.to_string(), known: expected }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::Unknown { what: "field", given: field.to_string(), known: expected }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::MissingField(field)
    }
}
