use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A place besides the pods of workloads where objects of a kind name an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ImageField {
    /// The `apiVersion` of the objects: `monitoring.coreos.com/v1`.
    pub api_version: String,
    /// Their kind: `Prometheus`.
    pub kind: String,
    /// The path of the field: `spec.image`, `spec.containers[].image`.
    pub path: ImagePath,
    /// In a list of arguments, the one that names an image:
    /// `--prometheus-config-reloader` of `--prometheus-config-reloader=IMAGE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
}

/// A path of keys with `[]` behind each that holds a list: `spec.containers[].image`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePath {
    steps: Vec<(String, bool)>,
}

impl ImagePath {
    /// Its keys, each with whether it holds a list all of whose items are meant.
    pub fn steps(&self) -> &[(String, bool)] {
        &self.steps
    }
}

impl std::fmt::Display for ImagePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (key, each)) in self.steps.iter().enumerate() {
            let (dot, list) = (if index > 0 { "." } else { "" }, if *each { "[]" } else { "" });
            write!(f, "{dot}{key}{list}")?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for ImagePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let steps: Vec<(String, bool)> = text
            .split('.')
            .map(|step| match step.strip_suffix("[]") {
                Some(key) => (key.to_string(), true),
                None => (step.to_string(), false),
            })
            .collect();
        if steps.iter().any(|(key, _)| key.is_empty() || key.contains(['[', ']', '/', ' '])) {
            let help = "write keys with `.` between them and `[]` behind lists, such as `spec.image`";
            return Err(D::Error::custom(format!("`{text}` is no path of a field\n{help}")));
        }
        Ok(Self { steps })
    }
}

impl Serialize for ImagePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for ImagePath {
    fn schema_name() -> Cow<'static, str> {
        "ImagePath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Keys with `.` between them and `[]` behind lists: `spec.containers[].image`.",
            "type": "string",
        })
    }
}
