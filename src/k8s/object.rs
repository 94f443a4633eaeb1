use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kinds::{Kinds, known_kind};

/// The kind of a Kubernetes object, with what its address in the API needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version: `v1`.
    pub version: String,
    /// The kind: `Deployment`.
    pub kind: String,
    /// The name in paths: `deployments`.
    pub plural: String,
    /// Whether objects of it live in a namespace.
    pub namespaced: bool,
}

impl Kind {
    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// When objects of this kind are applied.
    pub fn wave(&self) -> Wave {
        match (self.group.as_str(), self.kind.as_str()) {
            ("apiextensions.k8s.io", "CustomResourceDefinition") => Wave::Definitions,
            ("", "Namespace") => Wave::Namespaces,
            ("admissionregistration.k8s.io", kind) if kind.contains("AdmissionPolicy") => {
                Wave::AdmissionPolicies
            }
            ("admissionregistration.k8s.io", _) => Wave::Webhooks,
            ("", "Node") | ("rbac.authorization.k8s.io", "ClusterRole") => Wave::ClusterWide,
            (_, kind) if kind.ends_with("Class") && known(self) => Wave::ClusterWide,
            ("", "ResourceQuota") => Wave::Quotas,
            ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => Wave::Bindings,
            ("apps" | "batch" | "autoscaling" | "policy" | "apiregistration.k8s.io", _)
            | ("", "Pod" | "ReplicationController") => Wave::Workloads,
            _ if known(self) => Wave::Guards,
            _ => Wave::CustomResources,
        }
    }
}

/// Whether every supported Kubernetes serves the kind: a group under `k8s.io` may also be that of a
/// custom resource, such as `gateway.networking.k8s.io`.
fn known(kind: &Kind) -> bool {
    known_kind(&kind.api_version(), &kind.kind).is_some()
}

/// The order in which objects are applied; deleting goes the other way, webhooks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wave {
    /// Custom resource definitions.
    Definitions,
    /// Namespaces.
    Namespaces,
    /// Admission policies and their bindings.
    AdmissionPolicies,
    /// Cluster roles, classes, nodes.
    ClusterWide,
    /// Per namespace: accounts, limits, network policies, services, config, secrets.
    Guards,
    /// Quotas: behind everything that berth writes and they could count.
    Quotas,
    /// Role bindings: nobody gets in before the guards stand.
    Bindings,
    /// Deployments and their like.
    Workloads,
    /// Webhook configurations: behind the programs that answer them.
    Webhooks,
    /// Custom resources.
    CustomResources,
}

/// One Kubernetes object that berth wants to exist: only the fields that berth sets.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; `None` for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The whole object as JSON, with `apiVersion`, `kind` and `metadata`, without `status`.
    pub body: Value,
}

/// Why a JSON value is no object of a kind that berth can apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// `apiVersion`, `kind` or `metadata.name` is missing.
    #[error("the object has no `{0}`")]
    Missing(&'static str),
    /// The kind is not known.
    #[error(
        "`{kind}` of `{api_version}` is no kind that every Kubernetes serves, and no custom resource \
         definition of the profile brings it"
    )]
    UnknownKind {
        /// The object's `apiVersion`.
        api_version: String,
        /// The object's `kind`.
        kind: String,
    },
    /// A namespaced kind without a namespace, or the other way round.
    #[error("{title}: `metadata.namespace` is {problem}")]
    Scope {
        /// The object.
        title: String,
        /// `missing` or `set on a kind that has none`.
        problem: &'static str,
    },
}

impl Object {
    /// The object of a built-in kind that `body` describes.
    pub fn new(body: Value) -> Result<Self, ObjectError> {
        Self::of(body, &Kinds::default())
    }

    /// The object that `body` describes, of one of `kinds`.
    pub fn of(body: Value, kinds: &Kinds) -> Result<Self, ObjectError> {
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_string);
        let api_version = text("/apiVersion").ok_or(ObjectError::Missing("apiVersion"))?;
        let kind_name = text("/kind").ok_or(ObjectError::Missing("kind"))?;
        let name = text("/metadata/name").ok_or(ObjectError::Missing("metadata.name"))?;
        let namespace = text("/metadata/namespace");
        let kind = kinds
            .find(&api_version, &kind_name)
            .ok_or(ObjectError::UnknownKind { api_version, kind: kind_name })?;
        let object = Self { kind, namespace, name, body };
        let problem = match (object.kind.namespaced, &object.namespace) {
            (true, None) => "missing",
            (false, Some(_)) => "set on a kind that has none",
            _ => return Ok(object),
        };
        Err(ObjectError::Scope { title: object.title(), problem })
    }

    /// `Service traefik/traefik`, `Namespace checkout-ns`.
    pub fn title(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} {namespace}/{}", self.kind.kind, self.name),
            None => format!("{} {}", self.kind.kind, self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn guards_come_before_quotas_and_bindings_after() {
        let wave = |api_version, kind| known_kind(api_version, kind).expect("built in").wave();
        assert!(wave("v1", "Namespace") < wave("networking.k8s.io/v1", "NetworkPolicy"));
        assert!(wave("networking.k8s.io/v1", "NetworkPolicy") < wave("v1", "ResourceQuota"));
        assert!(wave("v1", "ResourceQuota") < wave("rbac.authorization.k8s.io/v1", "RoleBinding"));
        assert!(wave("rbac.authorization.k8s.io/v1", "ClusterRole") < wave("apps/v1", "Deployment"));
        assert_eq!(wave("networking.k8s.io/v1", "IngressClass"), Wave::ClusterWide);
    }

    #[test]
    fn a_namespaced_kind_wants_a_namespace() {
        let body = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}});
        assert_eq!(
            Object::new(body),
            Err(ObjectError::Scope { title: "Service web".to_string(), problem: "missing" })
        );
    }
}
