use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Amount;

/// Quantities by the name of a resource.
pub type Quantities = BTreeMap<String, Amount>;

/// What a tenant gets that does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct TenantDefaults {
    /// The quota and limits to start from.
    pub size: TenantSize,
    /// The pod security level that is enforced.
    pub pod_security: PodSecurityLevel,
}

/// An owner of namespaces: what they may use and who may do what in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TenantFile {
    /// Its name, unique in the environment: a DNS label of at most 40 characters.
    pub name: String,
    /// Its namespaces, each of this tenant alone. Default: one that is called as the tenant.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Who may do what.
    #[serde(default)]
    pub groups: TenantGroupsFile,
    /// The quota and limits to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<TenantSize>,
    /// Hard limits of each namespace by the keys of a `ResourceQuota`; they override the size's key by key.
    #[serde(default)]
    pub quota: Quantities,
    /// What containers get and may ask for; it overrides the size's key by key.
    #[serde(default)]
    pub limits: LimitsFile,
    /// The pod security level that is enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurityLevel>,
    /// Who may connect to its pods.
    #[serde(default)]
    pub network: NetworkFile,
    /// Host names that it may serve: `checkout.example.com`.
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// Who may do what in a tenant's namespaces. The names are those of `access.groups`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct TenantGroupsFile {
    /// Everything an editor may, and granting the tenant's roles to others.
    pub admin: Vec<String>,
    /// Changing workloads.
    pub editor: Vec<String>,
    /// Looking, not at secrets.
    pub viewer: Vec<String>,
}

/// What containers get and may ask for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct LimitsFile {
    /// Requests of a container that has none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub default_request: Quantities,
    /// Limits of a container that has none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub default: Quantities,
    /// The most that one container may ask for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub max: Quantities,
}

/// Who may connect to a tenant's pods.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct NetworkFile {
    /// Namespaces of other owners that may connect.
    pub allow_from: Vec<AllowFrom>,
}

/// Somebody who may connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AllowFrom {
    /// The name of a namespace.
    pub namespace: String,
}

/// A quota and limits to start from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TenantSize {
    /// 2 cores and 4Gi of requests, 8Gi of limits, 20 pods.
    #[default]
    Small,
    /// 8 cores and 16Gi of requests, 32Gi of limits, 60 pods.
    Medium,
    /// 32 cores and 64Gi of requests, 128Gi of limits, 200 pods.
    Large,
}

/// A pod security level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PodSecurityLevel {
    /// The strictest.
    #[default]
    Restricted,
    /// Nothing that is known to escalate.
    Baseline,
}
