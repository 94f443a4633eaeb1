use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Amount, MaxUnavailable};

/// A set of equal machines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeGroupFile {
    /// Its name, unique in the environment: a DNS label of at most 30 characters.
    pub name: String,
    /// The machine type as the provider calls it: `m7i.large`. On kind, kwok and existing it may be
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Further machine types that will do, of the same architecture and with the same GPUs, on eks: spot
    /// machines are easier to get that way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_machines: Vec<String>,
    /// How many nodes: a number, or `{min, max}`. On eks a range brings the addon `cluster-autoscaler`.
    #[serde(default)]
    pub nodes: NodeCount,
    /// The zones to spread over: `a` for the zone a of the region, or full names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// Whether the machines may be taken away at any time, at a lower price.
    #[serde(default)]
    pub spot: bool,
    /// The root disk of each machine: `200Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Amount>,
    /// How many nodes are made anew at once for another Kubernetes, machine image or disk, on eks: a number, or a share
    /// of them such as `33%`, never more than 100. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<MaxUnavailable>,
    /// Labels of the nodes, besides those that follow from machine and provider.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Taints of the nodes, besides those that follow from the machine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<TaintFile>,
    /// What one machine offers, for types that berth does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesFile>,
}

/// How many nodes a group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum NodeCount {
    /// Always this many.
    Fixed(u32),
    /// As many as are needed.
    Range(NodeRange),
}

impl NodeCount {
    /// The least and the greatest number of nodes.
    pub fn range(self) -> (u32, u32) {
        match self {
            Self::Fixed(count) => (count, count),
            Self::Range(NodeRange { min, max }) => (min, max),
        }
    }
}

impl Default for NodeCount {
    fn default() -> Self {
        Self::Fixed(1)
    }
}

/// The least and the greatest number of nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeRange {
    /// The least number of nodes.
    pub min: u32,
    /// The greatest number of nodes.
    pub max: u32,
}

impl<'de> Deserialize<'de> for NodeCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeCountVisitor)
    }
}

struct NodeCountVisitor;

impl<'de> Visitor<'de> for NodeCountVisitor {
    type Value = NodeCount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of nodes or `{min: 1, max: 3}`")
    }

    fn visit_u64<E: serde::de::Error>(self, count: u64) -> Result<NodeCount, E> {
        u32::try_from(count).map(NodeCount::Fixed).map_err(|_| {
            E::custom(format!("`{count}` nodes are too many\nKubernetes is built for 5000 nodes at most"))
        })
    }

    fn visit_i64<E: serde::de::Error>(self, count: i64) -> Result<NodeCount, E> {
        Err(E::custom(format!("`{count}` is negative\nwrite `0` for a group without nodes")))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<NodeCount, A::Error> {
        NodeRange::deserialize(MapAccessDeserializer::new(map)).map(NodeCount::Range)
    }
}

impl JsonSchema for NodeCount {
    fn schema_name() -> Cow<'static, str> {
        "NodeCount".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let range = generator.subschema_for::<NodeRange>();
        json_schema!({
            "description": "A number of nodes, or the least and the greatest number.",
            "oneOf": [{"type": "integer", "minimum": 0, "maximum": 5000}, range],
        })
    }
}

/// What one machine offers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ResourcesFile {
    /// Virtual cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Amount>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Amount>,
    /// NVIDIA GPUs.
    #[serde(rename = "nvidia.com/gpu", skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
    /// The processor. Default: `amd64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
}

/// A processor architecture, as Kubernetes calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

impl Architecture {
    /// As Kubernetes calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// A taint: pods without a matching toleration stay away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TaintFile {
    /// The key.
    pub key: String,
    /// The value.
    #[serde(default)]
    pub value: String,
    /// What happens to pods without a matching toleration.
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// They are not scheduled there.
    NoSchedule,
    /// They are scheduled there only if need be.
    PreferNoSchedule,
    /// They are driven away.
    NoExecute,
}

impl TaintEffect {
    /// As Kubernetes calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}
