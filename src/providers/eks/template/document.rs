use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::addresses::Addresses;
use super::ids;
use super::renewed::Renewed;
use super::zones::Zone;

/// The largest template that a request may carry itself.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>
pub const LARGEST: usize = 51_200;

/// A template of `CloudFormation`: resources and outputs by their logical ids. Its text is the same for the same
/// content, and has no functions in it but `Ref` and `Fn::GetAtt`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Template {
    resources: BTreeMap<String, Value>,
    outputs: BTreeMap<String, Value>,
}

impl Template {
    /// Adds a resource of `kind` (`AWS::EC2::VPC`).
    pub(super) fn resource(&mut self, id: impl Into<String>, kind: &str, properties: Value) {
        let mut resource = Map::from_iter([("Type".to_string(), Value::from(kind))]);
        if properties.as_object().is_none_or(|properties| !properties.is_empty()) {
            resource.insert("Properties".to_string(), properties);
        }
        self.resources.insert(id.into(), Value::Object(resource));
    }

    /// Lets the resource `id` begin only once `before` stands, which its properties do not say.
    pub(super) fn behind(&mut self, id: &str, before: &str) {
        if let Some(resource) = self.resources.get_mut(id) {
            resource["DependsOn"] = json!([before]);
        }
    }

    /// Adds an output.
    pub(super) fn output(&mut self, id: impl Into<String>, value: Value) {
        let output = Map::from_iter([("Value".to_string(), value)]);
        self.outputs.insert(id.into(), Value::Object(output));
    }

    /// Keeps the resource `id` of a template that stands, with what that tells of it.
    pub fn keep(&mut self, id: &str, of: &Self) {
        if let Some(resource) = of.resources.get(id) {
            self.resources.insert(id.to_string(), resource.clone());
        }
        for output in [id.to_string(), ids::version_of(id)] {
            if let Some(told) = of.outputs.get(&output) {
                self.outputs.insert(output, told.clone());
            }
        }
        self.seal();
    }

    /// Writes a hash of all that is in it into its outputs, the last thing of all.
    pub(super) fn seal(&mut self) {
        self.outputs.remove(ids::CONTENT);
        let all = json!([self.resources, self.outputs]).to_string();
        let digest = Sha256::digest(all);
        let hash = digest.iter().take(16).fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
        self.output(ids::CONTENT, Value::String(hash));
    }

    /// The hash of all else that is in it, which the stack tells as one of its outputs.
    pub fn content(&self) -> Option<&str> {
        self.outputs.get(ids::CONTENT)?["Value"].as_str()
    }

    /// The resources by logical id, each with its type, properties and what it comes behind.
    pub fn resources(&self) -> &BTreeMap<String, Value> {
        &self.resources
    }

    /// The logical ids of the outputs.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.outputs.keys().map(String::as_str)
    }

    /// What of its resources was made anew under another id.
    pub fn renewed(&self) -> Renewed {
        let written = self.outputs.get(ids::RENEWED).and_then(|output| output["Value"].as_str());
        written.map(Renewed::read).unwrap_or_default()
    }

    /// The addresses of the network in it.
    pub fn cidr(&self) -> Option<String> {
        let vpc = self.resources.get(ids::VPC)?;
        vpc["Properties"]["CidrBlock"].as_str().map(str::to_string)
    }

    /// The zones of the network in it, by their private subnets among `addresses`.
    pub fn zones(&self, addresses: &Addresses) -> Vec<Zone> {
        let subnets = self.resources.values().filter(|one| one["Type"] == "AWS::EC2::Subnet");
        let mut zones: Vec<Zone> = subnets
            .filter_map(|one| {
                let slot = addresses.slot_of(one["Properties"]["CidrBlock"].as_str()?)?;
                Some(Zone { name: one["Properties"]["AvailabilityZone"].as_str()?.to_string(), slot })
            })
            .collect();
        zones.sort_by_key(|zone| zone.slot);
        zones
    }

    /// As one JSON document.
    pub fn to_value(&self, description: &str) -> Value {
        json!({
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": description,
            "Resources": self.resources,
            "Outputs": self.outputs,
        })
    }

    /// The resources and outputs of a template of JSON; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut document: Value = serde_json::from_str(text).ok()?;
        let mut part = |key: &str| match document.get_mut(key).map(Value::take) {
            Some(Value::Object(entries)) => Some(entries.into_iter().collect()),
            None => Some(BTreeMap::new()),
            Some(_) => None,
        };
        Some(Self { resources: part("Resources")?, outputs: part("Outputs")? })
    }
}

/// The id of the resource `id`: of a role or a log group its name.
pub(super) fn reference(id: &str) -> Value {
    json!({"Ref": id})
}

/// An attribute of the resource `id`.
pub(super) fn attribute(id: &str, attribute: &str) -> Value {
    json!({"Fn::GetAtt": [id, attribute]})
}

/// Tags as `CloudFormation` writes them.
pub(super) fn tags<'a>(tags: impl IntoIterator<Item = (&'a String, &'a String)>) -> Value {
    let tags: Vec<Value> = tags.into_iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    Value::Array(tags)
}
