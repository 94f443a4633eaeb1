use std::fmt;

use serde::Serialize;

/// The name of one thing that the engine can observe, change and delete, such as
/// `cluster/kwok/lab`, `node-groups`, `addon/traefik` or `tenants`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ResourceId(String);

impl ResourceId {
    /// An id from its path, for example `addon/traefik`.
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The layer of the platform that the first part of the path names.
    pub fn layer(&self) -> Layer {
        match self.0.split('/').next().unwrap_or_default() {
            "cluster" | "network" | "access" | "eks-addon" | "storage" => Layer::Cluster,
            "node-groups" | "node-group" => Layer::NodeGroups,
            "registry" => Layer::Registry,
            "addon" => Layer::Addons,
            "tenants" => Layer::Tenants,
            _ => Layer::Records,
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The layers of a platform, in the order in which they are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The control plane.
    Cluster,
    /// The machines.
    NodeGroups,
    /// Where images are kept.
    Registry,
    /// Programs that every tenant uses.
    Addons,
    /// Namespaces and what guards them.
    Tenants,
    /// What berth keeps about itself in the cluster.
    Records,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cluster => "cluster",
            Self::NodeGroups => "node groups",
            Self::Registry => "registry",
            Self::Addons => "addons",
            Self::Tenants => "tenants",
            Self::Records => "records",
        })
    }
}

/// One run of berth, unique on this machine: `20261121T001500-4711`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// The id of the run of process `pid` that started at `now`.
    pub fn new(now: jiff::Timestamp, pid: u32) -> Self {
        Self(format!("{}-{pid}", now.strftime("%Y%m%dT%H%M%S")))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
