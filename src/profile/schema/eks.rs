use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cluster of Amazon EKS.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EksCluster {
    /// The AWS account. With it, berth refuses to work in another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9]{12}$"))]
    pub account: Option<String>,
    /// The AWS region: `eu-central-1`.
    pub region: String,
    /// The Kubernetes minor, in quotes: `"1.36"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Who may reach the API server.
    #[serde(default)]
    pub endpoint: EksEndpoint,
    /// The network of the cluster.
    #[serde(default)]
    pub network: EksNetwork,
    /// Logs of the control plane that are kept in Amazon `CloudWatch`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logging: Vec<EksLog>,
    /// The ARN of a KMS key of the cluster's region that encrypts Secrets. Once set it cannot be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_key: Option<String>,
    /// How long AWS supports the version: extended support costs more.
    #[serde(default)]
    pub support: EksSupport,
    /// Whether EKS Auto Mode makes the nodes, instead of node groups.
    #[serde(default)]
    pub auto_mode: bool,
    /// Whether `up` gives the nodes of node groups each newer machine image (AMI release) that AWS publishes: nodes are
    /// made anew then, `maxUnavailable` of a group at once. Without it, `plan` only tells of them.
    #[serde(default)]
    pub newest_images: bool,
}

/// Who may reach the API server of an EKS cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct EksEndpoint {
    /// Addresses on the internet that may connect, as CIDRs; `[]` for none.
    pub public: Vec<String>,
    /// Whether it can be reached from inside the network.
    pub private: bool,
}

impl Default for EksEndpoint {
    fn default() -> Self {
        Self { public: vec!["0.0.0.0/0".to_string()], private: true }
    }
}

/// The network of an EKS cluster: made by berth, or subnets that are there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct EksNetwork {
    /// How nodes reach the internet, in a network that berth makes.
    pub nat: Nat,
    /// The addresses of the network that berth makes, a CIDR from /16 to /20. Default: `10.0.0.0/16`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
    /// Subnets that are there already, by id: berth makes no network then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
}

/// How nodes reach the internet. In each case nobody reaches them from there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Nat {
    /// By public addresses of their own, in public subnets: the cheapest way. EKS Auto Mode cannot do that.
    None,
    /// From private subnets through one gateway: cheap, and gone with its zone.
    #[default]
    Single,
    /// From private subnets through one gateway in each zone.
    PerZone,
}

/// A log of the EKS control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EksLog {
    /// The API server.
    Api,
    /// Who asked the API server for what.
    Audit,
    /// Logins by IAM.
    Authenticator,
    /// The controllers.
    ControllerManager,
    /// The scheduler.
    Scheduler,
}

/// How long AWS supports a version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EksSupport {
    /// 14 months, then AWS upgrades the cluster.
    #[default]
    Standard,
    /// 26 months, the last 12 at a higher price.
    Extended,
}
