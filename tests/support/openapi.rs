use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What one Kubernetes minor serves, as its `OpenAPI` v3 documents describe it.
#[derive(Debug)]
pub struct OpenApi {
    /// The schemas of each group and version, by `apps/v1`.
    documents: BTreeMap<String, Value>,
}

/// The folder in which `scripts/openapi` keeps the documents of `minor`; none when they are not there.
pub fn folder_of(minor: &str) -> Option<PathBuf> {
    let folder = match (
        std::env::var_os("BERTH_OPENAPI"),
        std::env::var_os("XDG_CACHE_HOME"),
        std::env::var_os("HOME"),
    ) {
        (Some(folder), _, _) => PathBuf::from(folder),
        (None, Some(cache), _) if !cache.is_empty() => Path::new(&cache).join("berth/openapi/current"),
        (None, _, Some(home)) => Path::new(&home).join(".cache/berth/openapi/current"),
        _ => return None,
    };
    Some(folder.join(minor)).filter(|folder| folder.is_dir())
}

impl OpenApi {
    /// Reads the documents in `folder`: `apis__apps__v1_openapi.json` and its like.
    pub fn read(folder: &Path) -> Self {
        let mut documents = BTreeMap::new();
        for entry in fs::read_dir(folder).expect("scripts/openapi made it") {
            let path = entry.expect("it can be listed").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("it is named in ASCII");
            let name = name.trim_end_matches("_openapi.json");
            let Some((_, group_version)) = name.split_once("__") else { continue };
            let text = fs::read(&path).expect("a file");
            let document: Value = serde_json::from_slice(&text).expect("JSON");
            documents.insert(group_version.replace("__", "/"), document["components"]["schemas"].clone());
        }
        Self { documents }
    }

    /// One that serves the kinds of `document` as `group_version`.
    pub fn of(group_version: &str, schemas: Value) -> Self {
        Self { documents: BTreeMap::from([(group_version.to_string(), schemas)]) }
    }

    /// What is wrong with `object`; empty when nothing is. `definitions` are the custom resource
    /// definitions beside it.
    pub fn problems(&self, object: &Value, definitions: &[&Value]) -> Vec<String> {
        let text = |key: &str| object[key].as_str().unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let nothing = Value::Null;
        let mut walk = Walk { schemas: &nothing, problems: Vec::new() };
        if let Some(schema) = definitions.iter().find_map(|definition| defined(definition, api_version, kind))
        {
            // The API server adds these to every definition.
            let mut object = object.clone();
            for key in ["apiVersion", "kind", "metadata"] {
                object.as_object_mut().expect("an object is a map").shift_remove(key);
            }
            walk.value(&object, schema, kind);
        } else if let Some((schemas, schema)) = self.served(api_version, kind) {
            walk.schemas = schemas;
            walk.value(object, schema, kind);
        } else {
            return vec![format!("`{kind}` of `{api_version}` is not served")];
        }
        walk.problems
    }

    fn served(&self, api_version: &str, kind: &str) -> Option<(&Value, &Value)> {
        let schemas = self.documents.get(api_version)?;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let is_it = |schema: &&Value| {
            let kinds = schema["x-kubernetes-group-version-kind"].as_array();
            kinds
                .into_iter()
                .flatten()
                .any(|it| it["group"] == group && it["version"] == version && it["kind"] == kind)
        };
        Some((schemas, schemas.as_object()?.values().find(is_it)?))
    }
}

/// The schema of a custom resource, when `definition` brings its kind.
fn defined<'a>(definition: &'a Value, api_version: &str, kind: &str) -> Option<&'a Value> {
    let spec = &definition["spec"];
    let (group, version) = api_version.split_once('/')?;
    if spec["group"] != group || spec["names"]["kind"] != kind {
        return None;
    }
    let versions = spec["versions"].as_array()?;
    let served = versions.iter().find(|it| it["name"] == version && it["served"] == true)?;
    Some(&served["schema"]["openAPIV3Schema"])
}

/// A walk over an object and its schema, side by side.
struct Walk<'a> {
    /// Where `$ref` leads.
    schemas: &'a Value,
    problems: Vec<String>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, value: &Value, schema: &'a Value, path: &str) {
        if let Some(target) = schema["$ref"].as_str() {
            let name = target.rsplit('/').next().unwrap_or_default();
            let Some(schema) = self.schemas.get(name) else {
                self.problems.push(format!("{path}: the document does not have `{name}`"));
                return;
            };
            return self.value(value, schema, path);
        }
        for schema in schema["allOf"].as_array().into_iter().flatten() {
            self.value(value, schema, path);
        }
        for choice in ["oneOf", "anyOf"] {
            if let Some(schemas) = schema[choice].as_array()
                && !schemas.iter().any(|schema| self.allows(value, schema))
            {
                self.problems.push(format!("{path}: {value} is none of what is allowed"));
            }
        }
        if schema["x-kubernetes-int-or-string"] == true {
            if !value.is_string() && !value.is_i64() {
                self.problems.push(format!("{path}: expected a number or a text, found {value}"));
            }
            return;
        }
        if let Some(wanted) = schema["type"].as_str()
            && !has_type(value, wanted)
            && !(value.is_null() && schema["nullable"] == true)
        {
            self.problems.push(format!("{path}: expected {wanted}, found {value}"));
            return;
        }
        self.limits(value, schema, path);
        match value {
            Value::Object(fields) => self.fields(fields, schema, path),
            Value::Array(elements) if schema["items"].is_object() => {
                for (index, element) in elements.iter().enumerate() {
                    self.value(element, &schema["items"], &format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
    }

    fn allows(&self, value: &Value, schema: &'a Value) -> bool {
        let mut walk = Walk { schemas: self.schemas, problems: Vec::new() };
        walk.value(value, schema, "");
        walk.problems.is_empty()
    }

    fn limits(&mut self, value: &Value, schema: &Value, path: &str) {
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            self.problems.push(format!("{path}: {value} is not one of {}", schema["enum"]));
        }
        let beyond = |low: &str, high: &str, figure: f64| {
            schema[low].as_f64().is_some_and(|low| figure < low)
                || schema[high].as_f64().is_some_and(|high| figure > high)
        };
        let length = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let outside = match value {
            Value::Number(number) => beyond("minimum", "maximum", number.as_f64().unwrap_or_default()),
            Value::String(text) => beyond("minLength", "maxLength", length(text.chars().count())),
            Value::Array(elements) => beyond("minItems", "maxItems", length(elements.len())),
            _ => false,
        };
        if outside {
            self.problems.push(format!("{path}: {value} is beyond its limits"));
        }
    }

    fn fields(&mut self, fields: &serde_json::Map<String, Value>, schema: &'a Value, path: &str) {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                self.problems.push(format!("{path}.{name}: required and missing"));
            }
        }
        let known = schema["properties"].as_object();
        let others = &schema["additionalProperties"];
        // A map of which nothing is said may hold anything: `RawExtension`, `JSON`.
        let open = others == true
            || schema["x-kubernetes-preserve-unknown-fields"] == true
            || (known.is_none() && others.is_null());
        for (name, value) in fields {
            let path = format!("{path}.{name}");
            match known.and_then(|known| known.get(name)) {
                Some(schema) => self.value(value, schema, &path),
                None if others.is_object() => self.value(value, others, &path),
                None if open => {}
                None => self.problems.push(format!("{path}: no such field")),
            }
        }
    }
}

fn has_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => false,
    }
}
