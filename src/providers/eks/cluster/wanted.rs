use std::collections::{BTreeMap, BTreeSet};

use crate::base::label;
use crate::profile::Environment;
use crate::profile::schema::{EksCluster, EksLog, EksSupport};

/// The cluster as the profile wants it.
#[allow(clippy::struct_excessive_bools)] // Switches of EKS, all of them independent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub name: String,
    /// `(1, 36)`.
    pub version: (u32, u32),
    /// Whether the profile names the version; otherwise the one that a cluster has will do.
    pub names_version: bool,
    /// Who may connect from the internet, as CIDRs; nobody, when there are none.
    pub public: BTreeSet<String>,
    /// Whether it can be reached from inside the network.
    pub private: bool,
    /// Logs that are kept, as EKS calls them.
    pub logs: BTreeSet<String>,
    /// The ARN of the key that encrypts Secrets besides the one of AWS.
    pub secrets_key: Option<String>,
    /// Whether the version is kept beyond its standard support.
    pub extended: bool,
    /// Whether AWS itself refuses to delete it.
    pub protected: bool,
    /// Whether EKS makes the nodes.
    pub auto_mode: bool,
    /// The subnets that the profile names, where the network is somebody else's.
    pub subnets: BTreeSet<String>,
    /// The owner mark.
    pub tags: BTreeMap<String, String>,
}

impl Wanted {
    pub fn of(environment: &Environment, spec: &EksCluster) -> Self {
        let owner = &environment.owner;
        Self {
            name: environment.name.clone(),
            version: environment.kubernetes,
            names_version: spec.version.is_some(),
            public: spec.endpoint.public.iter().cloned().collect(),
            private: spec.endpoint.private,
            logs: spec.logging.iter().map(|log| log_name(*log).to_string()).collect(),
            secrets_key: spec.secrets_key.clone(),
            extended: spec.support == EksSupport::Extended,
            protected: environment.protected,
            auto_mode: spec.auto_mode,
            subnets: spec.network.subnets.iter().cloned().collect(),
            tags: BTreeMap::from([
                (label::OWNER.to_string(), owner.id.clone()),
                (label::ENVIRONMENT.to_string(), owner.environment.clone()),
            ]),
        }
    }

    /// For a plan: `Kubernetes 1.36, endpoint open to 203.0.113.0/24`.
    pub fn outline(&self) -> String {
        let open = match (self.public.len(), self.private) {
            (0, _) => "private".to_string(),
            (1..=3, _) => format!("open to {}", listed(&self.public)),
            (count, _) => format!("open to {count} networks"),
        };
        let nodes = if self.auto_mode { ", nodes by Auto Mode" } else { "" };
        format!("Kubernetes {}, endpoint {open}{nodes}", minor(self.version))
    }
}

/// As EKS calls a log of the control plane.
fn log_name(log: EksLog) -> &'static str {
    match log {
        EksLog::Api => "api",
        EksLog::Audit => "audit",
        EksLog::Authenticator => "authenticator",
        EksLog::ControllerManager => "controllerManager",
        EksLog::Scheduler => "scheduler",
    }
}

/// All logs that EKS can keep.
pub(super) const LOGS: [&str; 5] = ["api", "audit", "authenticator", "controllerManager", "scheduler"];

/// `1.36`.
pub(super) fn minor((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

pub(super) fn listed(texts: &BTreeSet<String>) -> String {
    texts.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
