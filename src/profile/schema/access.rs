use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who a group name is on this cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Access {
    /// Groups that administer the whole cluster.
    #[serde(default)]
    pub admins: Vec<String>,
    /// What a group is called on each provider. On eks and gke every group that is used must be here.
    #[serde(default)]
    pub groups: BTreeMap<String, GroupMapping>,
}

/// What a group is called on each provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GroupMapping {
    /// The ARNs of the IAM roles or users that are members of the group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub eks: Vec<String>,
    /// The address of the Google group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gke: Option<String>,
    /// The name that the cluster's own login gives the group. Default: the group's name here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<String>,
}
