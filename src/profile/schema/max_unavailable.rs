use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::profile::tree::shorten;

/// How many nodes of a group may be made anew at once: `2`, or `33%` of them.
///
/// Both ways are from 1 to 100.
/// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_NodegroupUpdateConfig.html>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxUnavailable {
    /// So many.
    Count(u8),
    /// So many of a hundred.
    Percent(u8),
}

impl MaxUnavailable {
    const MOST: u8 = 100;

    fn parse(text: &str) -> Option<Self> {
        let percent = text.strip_suffix('%')?;
        let is_number = percent.bytes().all(|byte| byte.is_ascii_digit());
        let percent = percent.parse().ok().filter(|_| is_number)?;
        (1..=Self::MOST).contains(&percent).then_some(Self::Percent(percent))
    }
}

impl Default for MaxUnavailable {
    fn default() -> Self {
        Self::Count(1)
    }
}

impl fmt::Display for MaxUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for MaxUnavailable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u8(*count),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for MaxUnavailable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MaxUnavailableVisitor)
    }
}

struct MaxUnavailableVisitor;

impl MaxUnavailableVisitor {
    fn refuse<E: serde::de::Error>(why: &str) -> E {
        E::custom(format!("{why}\nwrite 1 to 100 nodes, `2`, or 1 to 100 per cent of them, `33%`"))
    }
}

impl Visitor<'_> for MaxUnavailableVisitor {
    type Value = MaxUnavailable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of nodes or a share of them, `33%`")
    }

    fn visit_u64<E: serde::de::Error>(self, count: u64) -> Result<MaxUnavailable, E> {
        match u8::try_from(count) {
            Ok(count @ 1..=MaxUnavailable::MOST) => Ok(MaxUnavailable::Count(count)),
            _ => Err(Self::refuse(&format!("`{count}` nodes cannot be made anew at once"))),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<MaxUnavailable, E> {
        Err(Self::refuse(&format!("`{count}` nodes cannot be made anew at once")))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MaxUnavailable, E> {
        let why = || format!("the text `{}` is no share of nodes", shorten(text));
        MaxUnavailable::parse(text).ok_or_else(|| Self::refuse(&why()))
    }
}

impl JsonSchema for MaxUnavailable {
    fn schema_name() -> Cow<'static, str> {
        "MaxUnavailable".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of nodes, 1 to 100, or a share of them: `33%`.",
            "oneOf": [
                {"type": "integer", "minimum": 1, "maximum": Self::MOST},
                {"type": "string", "pattern": "^([1-9][0-9]?|100)%$"},
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<MaxUnavailable> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn a_number_and_a_share_are_read_and_written_alike() {
        for (json, value) in [("2", MaxUnavailable::Count(2)), ("\"33%\"", MaxUnavailable::Percent(33))] {
            assert_eq!(read(json), Some(value));
            assert_eq!(serde_json::to_string(&value).expect("JSON"), json);
        }
    }

    #[test]
    fn what_eks_does_not_take_is_refused() {
        for json in ["0", "101", "-1", "1.5", "\"0%\"", "\"101%\"", "\"+5%\"", "\"2\"", "\"%\"", "true"] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
