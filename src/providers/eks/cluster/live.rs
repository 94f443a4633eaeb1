use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_eks::types::{
    Cluster, ClusterHealth, ClusterStatus, ComputeConfigResponse, LogSetup, Logging, SupportType,
    VpcConfigResponse,
};

use crate::base::{Owner, label};

/// A cluster as EKS describes it.
#[allow(clippy::struct_excessive_bools)] // Switches of EKS, all of them independent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Live {
    pub status: Status,
    pub version: (u32, u32),
    /// `https://…`, once it has one.
    pub endpoint: Option<String>,
    /// The authority of the API server's certificate, base64 of PEM.
    pub ca: Option<String>,
    pub subnets: BTreeSet<String>,
    /// Who may connect from the internet, as CIDRs; nobody, when there are none.
    pub public: BTreeSet<String>,
    pub private: bool,
    pub logs: BTreeSet<String>,
    pub secrets_key: Option<String>,
    pub extended: bool,
    pub protected: bool,
    pub auto_mode: bool,
    /// `API`, `API_AND_CONFIG_MAP` or `CONFIG_MAP`.
    pub authentication: String,
    pub tags: BTreeMap<String, String>,
    /// What EKS says is wrong with it.
    pub issues: Vec<String>,
}

/// How a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    Creating,
    Active,
    Updating,
    Deleting,
    Failed,
    Other(String),
}

impl Live {
    pub fn of(cluster: &Cluster) -> Self {
        let network = cluster.resources_vpc_config();
        let is_public = network.is_some_and(VpcConfigResponse::endpoint_public_access);
        let texts = |texts: &[String]| texts.iter().cloned().collect::<BTreeSet<_>>();
        let logs = cluster.logging().map(Logging::cluster_logging).unwrap_or_default();
        let logs = logs.iter().filter(|setup| setup.enabled() == Some(true));
        let keys = cluster.encryption_config().iter().filter_map(|config| config.provider()?.key_arn());
        let issues = cluster.health().map(ClusterHealth::issues).unwrap_or_default();
        Self {
            status: match cluster.status() {
                Some(ClusterStatus::Creating) => Status::Creating,
                Some(ClusterStatus::Active) => Status::Active,
                Some(ClusterStatus::Updating) => Status::Updating,
                Some(ClusterStatus::Deleting) => Status::Deleting,
                Some(ClusterStatus::Failed) => Status::Failed,
                other => Status::Other(other.map_or("PENDING", |status| status.as_str()).to_string()),
            },
            version: cluster.version().and_then(parse_minor).unwrap_or_default(),
            endpoint: cluster.endpoint().map(str::to_string),
            ca: cluster.certificate_authority().and_then(|ca| ca.data()).map(str::to_string),
            subnets: network.map(|network| texts(network.subnet_ids())).unwrap_or_default(),
            public: network
                .filter(|_| is_public)
                .map(|network| texts(network.public_access_cidrs()))
                .unwrap_or_default(),
            private: network.is_some_and(VpcConfigResponse::endpoint_private_access),
            logs: logs.flat_map(LogSetup::types).map(|log| log.as_str().to_string()).collect(),
            secrets_key: keys.map(str::to_string).next(),
            extended: cluster
                .upgrade_policy()
                .and_then(|policy| policy.support_type())
                // What EKS does unless it is told otherwise.
                .is_none_or(|support| *support == SupportType::Extended),
            protected: cluster.deletion_protection().unwrap_or_default(),
            auto_mode: cluster.compute_config().and_then(ComputeConfigResponse::enabled).unwrap_or_default(),
            authentication: cluster
                .access_config()
                .and_then(|config| config.authentication_mode())
                .map_or("CONFIG_MAP", |mode| mode.as_str())
                .to_string(),
            tags: cluster.tags().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
            issues: issues
                .iter()
                .map(|issue| {
                    let code = issue.code().map_or("", |code| code.as_str());
                    format!("{code}: {}", issue.message().unwrap_or_default())
                })
                .collect(),
        }
    }

    /// Whose it is: `None` when it carries the mark of `owner`.
    pub fn stranger(&self, owner: &Owner) -> Option<String> {
        match self.tags.get(label::OWNER) {
            Some(id) if *id == owner.id => None,
            Some(id) => Some(format!("it belongs to the environment with the id `{id}`")),
            None => Some("berth did not make it".to_string()),
        }
    }
}

/// `(1, 36)` of `1.36`.
pub(in crate::providers::eks) fn parse_minor(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
