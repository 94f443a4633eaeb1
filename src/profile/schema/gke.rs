use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cluster of Google GKE.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GkeCluster {
    /// The id of the Google Cloud project.
    pub project: String,
    /// A region (`europe-west4`) or a zone (`europe-west4-a`).
    pub location: String,
    /// How soon the cluster gets new versions.
    #[serde(default)]
    pub channel: GkeChannel,
    /// The Kubernetes minor, in quotes: `"1.36"`. Default: what the channel offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How the API server is reached.
    #[serde(default)]
    pub endpoint: GkeEndpoint,
    /// Addresses that may connect to the `ip` endpoint, as CIDRs. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorized_networks: Vec<String>,
    /// Whether nodes have no public addresses.
    #[serde(default = "yes")]
    pub private_nodes: bool,
    /// The network of the cluster. Default: the project's network `default`.
    #[serde(default)]
    pub network: GkeNetwork,
}

fn yes() -> bool {
    true
}

/// The network of a GKE cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct GkeNetwork {
    /// The name of the VPC network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The name of the subnetwork.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnetwork: Option<String>,
}

/// How soon a GKE cluster gets new versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GkeChannel {
    /// As soon as they are there.
    Rapid,
    /// Two or three months later.
    #[default]
    Regular,
    /// Later still.
    Stable,
    /// Supported for longer, at a higher price.
    Extended,
}

/// How the API server of a GKE cluster is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum GkeEndpoint {
    /// By name, guarded by IAM: no address lists to keep.
    #[default]
    Dns,
    /// By address.
    Ip,
}
