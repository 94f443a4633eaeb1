use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::Quantity;

/// A Kubernetes quantity as a profile writes it: `10`, `500m`, `20Gi`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount(pub Quantity);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|error: crate::base::QuantityError| {
            let error = error.to_string();
            let (message, help) = error
                .split_once(": ")
                .unwrap_or((&error, "write a number with a unit, such as `500m`, `10` or `20Gi`"));
            D::Error::custom(format!("{message}\n{help}"))
        })
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A Kubernetes quantity: a number with a unit, such as `500m`, `10` or `20Gi`.",
            "type": ["string", "number"],
        })
    }
}

/// A path that a profile writes relative to its own file; absolute once it is read, `~` resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename = "ProfilePath")]
pub struct ProfilePath(#[schemars(with = "String")] pub PathBuf);

/// For fields whose type is a plain path.
pub(super) fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    ProfilePath::deserialize(deserializer).map(|path| path.0)
}
