use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::{AddonError, NO_SUCH_OPTION, nearest};
use super::format::Format;

/// The part of JSON Schema that options are described in. A keyword outside of it is an error when
/// the catalog is read, so that none is ignored in silence.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OptionSchema {
    /// What the value may be.
    #[serde(rename = "type")]
    pub kind: OptionTypes,
    /// What the option does, for people.
    #[serde(default)]
    pub description: Option<String>,
    /// The value when the profile gives none.
    #[serde(default)]
    pub default: Option<Value>,
    /// The only values allowed.
    #[serde(default, rename = "enum")]
    pub values: Option<Vec<Value>>,
    /// The least number.
    #[serde(default)]
    pub minimum: Option<i64>,
    /// The greatest number.
    #[serde(default)]
    pub maximum: Option<i64>,
    /// The known fields of an object.
    #[serde(default)]
    pub properties: BTreeMap<String, OptionSchema>,
    /// What is said of other fields; everything, when absent.
    #[serde(default)]
    pub additional_properties: Option<Additional>,
    /// The fields that an object must have.
    #[serde(default)]
    pub required: Vec<String>,
    /// The elements of an array.
    #[serde(default)]
    pub items: Option<Box<OptionSchema>>,
    /// The least number of elements of an array.
    #[serde(default)]
    pub min_items: Option<usize>,
    /// The greatest number of elements of an array.
    #[serde(default)]
    pub max_items: Option<usize>,
    /// What a text has to look like.
    #[serde(default)]
    pub format: Option<Format>,
}

/// One type, or several of which one has to fit: `integer` or `[boolean, object]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrSeveral")]
pub struct OptionTypes(Vec<OptionType>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrSeveral {
    One(OptionType),
    Several(Vec<OptionType>),
}

impl From<OneOrSeveral> for OptionTypes {
    fn from(types: OneOrSeveral) -> Self {
        match types {
            OneOrSeveral::One(one) => Self(vec![one]),
            OneOrSeveral::Several(several) => Self(several),
        }
    }
}

impl OptionTypes {
    /// Whether it is this type and no other.
    pub fn is(&self, only: OptionType) -> bool {
        self.0 == [only]
    }

    /// The types, in the order of the schema.
    pub fn iter(&self) -> impl Iterator<Item = OptionType> {
        self.0.iter().copied()
    }

    fn hold(&self, value: &Value) -> bool {
        self.iter().any(|kind| kind.holds(value))
    }

    /// `a text or a map`
    fn words(&self) -> String {
        let words: Vec<&str> = self.iter().map(OptionType::words).collect();
        words.join(" or ")
    }
}

/// The types of JSON Schema, without `null`: an option that is not set is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptionType {
    /// A map.
    Object,
    /// A list.
    Array,
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// `true` or `false`.
    Boolean,
}

impl OptionType {
    fn of(value: &Value) -> &'static str {
        match value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(number) if number.is_f64() => "a number with a fraction",
            Value::Number(_) => "a whole number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "a map",
        }
    }

    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Object => "a map",
            Self::Array => "a list",
            Self::String => "a text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
        }
    }
}

/// What is said of fields that an object's `properties` do not name.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Additional {
    /// Whether there may be any.
    Allowed(bool),
    /// There may be, and each is like this.
    Like(Box<OptionSchema>),
}

impl OptionSchema {
    /// `value` with defaults filled in. `path` is where it stands in the profile, for messages:
    /// `addons.traefik`.
    pub fn complete(&self, path: &str, value: &Value) -> Result<Value, AddonError> {
        if !self.kind.hold(value) {
            let problem = format!("expected {}, but it is {}", self.kind.words(), OptionType::of(value));
            return Err(AddonError::option(path, problem, self.hint()));
        }
        // The fields of a map are checked one by one.
        if let Some(values) = &self.values
            && !values.contains(value)
            && !value.is_object()
        {
            let near = value.as_str().and_then(|text| nearest(text, values.iter().filter_map(Value::as_str)));
            let hint = near.map_or_else(|| self.hint(), |near| Some(format!("did you mean `{near}`?")));
            return Err(AddonError::option(path, format!("`{}` is not allowed", plain(value)), hint));
        }
        if let Some(number) = value.as_f64() {
            self.check_bounds(path, number)?;
        }
        if let (Some(format), Some(text)) = (self.format, value.as_str())
            && let Some(problem) = format.problem(text)
        {
            return Err(AddonError::option(path, problem, Some(format.hint().to_string())));
        }
        match value {
            Value::Object(fields) => self.complete_fields(path, fields).map(Value::Object),
            Value::Array(elements) => self.complete_elements(path, elements).map(Value::Array),
            _ => Ok(value.clone()),
        }
    }

    /// Whether every default is what its own schema allows; the error's path starts with `path`.
    pub(super) fn check_defaults(&self, path: &str) -> Result<(), AddonError> {
        if let Some(default) = &self.default {
            self.complete(path, default)?;
        }
        let mut fields = self.properties.iter();
        fields.try_for_each(|(name, schema)| schema.check_defaults(&format!("{path}.{name}")))
    }

    // Bounds of options are small numbers: that `f64` holds whole numbers only up to 2^53 is enough.
    #[expect(clippy::cast_precision_loss)]
    fn check_bounds(&self, path: &str, number: f64) -> Result<(), AddonError> {
        let low = self.minimum.is_some_and(|minimum| number < minimum as f64);
        let high = self.maximum.is_some_and(|maximum| number > maximum as f64);
        if !low && !high {
            return Ok(());
        }
        let problem = format!("{number} is too {}", if low { "small" } else { "great" });
        Err(AddonError::option(path, problem, self.hint()))
    }

    fn complete_fields(
        &self,
        path: &str,
        fields: &Map<String, Value>,
    ) -> Result<Map<String, Value>, AddonError> {
        let mut complete = Map::new();
        for (name, value) in fields {
            let path = format!("{path}.{name}");
            let value = match (self.properties.get(name), &self.additional_properties) {
                (Some(schema), _) => schema.complete(&path, value)?,
                (None, Some(Additional::Like(schema))) => schema.complete(&path, value)?,
                (None, Some(Additional::Allowed(false))) => {
                    return Err(AddonError::option(&path, NO_SUCH_OPTION, Some(self.known_fields(name))));
                }
                (None, Some(Additional::Allowed(true)) | None) => value.clone(),
            };
            complete.insert(name.clone(), value);
        }
        for (name, schema) in &self.properties {
            if !complete.contains_key(name)
                && let Some(value) = schema.starting_value()
            {
                complete.insert(name.clone(), value);
            }
        }
        match self.required.iter().find(|name| !complete.contains_key(*name)) {
            Some(name) => Err(AddonError::option(path, format!("`{name}` is missing"), self.wanted(name))),
            None => Ok(complete),
        }
    }

    fn complete_elements(&self, path: &str, elements: &[Value]) -> Result<Vec<Value>, AddonError> {
        let few = self.min_items.filter(|least| elements.len() < *least);
        let many = self.max_items.filter(|most| elements.len() > *most);
        if let Some(bound) = few.or(many) {
            let more = if few.is_some() { "more" } else { "less" };
            let problem =
                format!("{} elements are too {}", elements.len(), if few.is_some() { "few" } else { "many" });
            return Err(AddonError::option(path, problem, Some(format!("write {bound} or {more}"))));
        }
        let Some(schema) = &self.items else { return Ok(elements.to_vec()) };
        let numbered = elements.iter().enumerate();
        numbered.map(|(index, element)| schema.complete(&format!("{path}[{index}]"), element)).collect()
    }

    /// The value of an option that the profile leaves out: its default, or for a map the defaults in it.
    fn starting_value(&self) -> Option<Value> {
        if self.default.is_some() || !self.kind.is(OptionType::Object) || self.properties.is_empty() {
            return self.default.clone();
        }
        let fields = self.properties.iter();
        let fields = fields.filter_map(|(name, schema)| Some((name.clone(), schema.starting_value()?)));
        let fields: Map<String, Value> = fields.collect();
        // What cannot be whole without the profile is left out whole.
        self.required.iter().all(|name| fields.contains_key(name)).then_some(Value::Object(fields))
    }

    fn known_fields(&self, name: &str) -> String {
        let known: Vec<&str> = self.properties.keys().map(String::as_str).collect();
        match (nearest(name, known.iter().copied()), known.as_slice()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => "nothing can be set here: write `{}`".to_string(),
            (None, known) => format!("the options are: {}", known.join(", ")),
        }
    }

    /// What a missing field is for.
    fn wanted(&self, name: &str) -> Option<String> {
        let description = self.properties.get(name)?.description.as_deref();
        Some(format!("add `{name}:`{}", description.map(|text| format!(" ({text})")).unwrap_or_default()))
    }

    /// What the option takes, in words.
    fn hint(&self) -> Option<String> {
        if let Some(values) = &self.values {
            let values: Vec<String> = values.iter().map(plain).collect();
            return Some(format!("use one of: {}", values.join(", ")));
        }
        match (self.minimum, self.maximum) {
            (Some(minimum), Some(maximum)) => Some(format!("use {minimum} to {maximum}")),
            (Some(minimum), None) => Some(format!("use {minimum} or more")),
            (None, Some(maximum)) => Some(format!("use {maximum} or less")),
            (None, None) => self.format.map(|format| format.hint().to_string()),
        }
    }
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(value: Value) -> OptionSchema {
        serde_json::from_value(value).expect("a schema")
    }

    fn problem(schema: &OptionSchema, value: &Value) -> (String, Option<String>) {
        let error = schema.complete("addons.x", value).expect_err("refused");
        (error.to_string(), error.hint())
    }

    #[test]
    fn defaults_are_filled_in_also_in_inner_maps() {
        let schema = schema(json!({"type": "object", "properties": {
            "replicas": {"type": "integer", "default": 1},
            "tls": {"type": "object", "properties": {"secret": {"type": "string", "default": "cert"}}},
            "share": {"type": "object", "required": ["by"], "properties": {
                "by": {"type": "integer"}, "fair": {"type": "boolean", "default": true}}},
            "hosts": {"type": "array", "items": {"type": "string"}},
        }}));
        let complete = schema.complete("addons.x", &json!({"replicas": 3})).expect("complete");
        assert_eq!(complete, json!({"replicas": 3, "tls": {"secret": "cert"}}));
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_path_and_what_would_be_right() {
        let schema = schema(json!({"type": "object", "additionalProperties": false, "properties": {
            "replicas": {"type": "integer", "minimum": 1, "maximum": 5},
            "level": {"type": "string", "enum": ["INFO", "DEBUG"]},
            "hosts": {"type": "array", "items": {"type": "string"}},
        }}));
        for (value, message, hint) in [
            (
                json!({"replicas": "two"}),
                "`addons.x.replicas`: expected a whole number, but it is a text",
                Some("use 1 to 5"),
            ),
            (
                json!({"replicas": 1.5}),
                "`addons.x.replicas`: expected a whole number, but it is a number with a fraction",
                Some("use 1 to 5"),
            ),
            (json!({"replicas": 0}), "`addons.x.replicas`: 0 is too small", Some("use 1 to 5")),
            (json!({"replicas": 6}), "`addons.x.replicas`: 6 is too great", Some("use 1 to 5")),
            (
                json!({"level": "INFOO"}),
                "`addons.x.level`: `INFOO` is not allowed",
                Some("did you mean `INFO`?"),
            ),
            (
                json!({"level": "loud"}),
                "`addons.x.level`: `loud` is not allowed",
                Some("use one of: INFO, DEBUG"),
            ),
            (
                json!({"hosts": ["a", 1]}),
                "`addons.x.hosts[1]`: expected a text, but it is a whole number",
                None,
            ),
            (json!({"replica": 1}), "`addons.x.replica`: no such option", Some("did you mean `replicas`?")),
            (
                json!({"colour": 1}),
                "`addons.x.colour`: no such option",
                Some("the options are: hosts, level, replicas"),
            ),
        ] {
            assert_eq!(problem(&schema, &value), (message.to_string(), hint.map(str::to_string)), "{value}");
        }
    }

    #[test]
    fn an_option_may_be_of_several_types() {
        let schema =
            schema(json!({"type": ["boolean", "object"], "default": false, "additionalProperties": false,
            "properties": {"crds": {"type": "boolean", "default": true}}}));
        assert_eq!(schema.complete("addons.x.gateway", &json!(true)), Ok(json!(true)));
        assert_eq!(schema.complete("addons.x.gateway", &json!({})), Ok(json!({"crds": true})));
        let wrong = "`addons.x`: expected true or false or a map, but it is a text";
        assert_eq!(problem(&schema, &json!("yes")), (wrong.to_string(), None));
    }

    #[test]
    fn lists_texts_and_fields_that_must_be_there_are_checked() {
        let schema = schema(json!({"type": "object", "properties": {
            "addresses": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string", "format": "ip"}},
            "pool": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string", "description": "What it is called."}}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        }}));
        for (value, message, hint) in [
            (json!({"addresses": []}), "`addons.x.addresses`: 0 elements are too few", "write 1 or more"),
            (
                json!({"addresses": ["::1", "::2", "::3"]}),
                "`addons.x.addresses`: 3 elements are too many",
                "write 2 or less",
            ),
            (
                json!({"addresses": ["::1", "10.0.0"]}),
                "`addons.x.addresses[1]`: `10.0.0` is no IP address",
                "write an address, such as `203.0.113.7`",
            ),
            (json!({"pool": {}}), "`addons.x.pool`: `name` is missing", "add `name:` (What it is called.)"),
        ] {
            assert_eq!(problem(&schema, &value), (message.to_string(), Some(hint.to_string())), "{value}");
        }
        let wrong = "`addons.x.labels.a`: expected a text, but it is a whole number".to_string();
        assert_eq!(problem(&schema, &json!({"labels": {"a": 1}})), (wrong, None));
    }

    #[test]
    fn a_keyword_outside_of_the_known_part_of_json_schema_is_refused() {
        let read = serde_json::from_value::<OptionSchema>(json!({"type": "string", "pattern": "^a$"}));
        assert!(read.is_err());
    }
}
