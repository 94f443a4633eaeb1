use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kinds::{Kinds, known_kind};

/// The kind of a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version: `v1`.
    pub version: String,
    /// The kind: `Deployment`.
    pub kind: String,
    /// How an API server serves it; `None` as long as only a cluster could tell.
    #[serde(flatten)]
    pub served: Option<Served>,
}

/// How an API server serves a kind: what the address of its objects needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Served {
    /// The name in paths: `deployments`.
    pub plural: String,
    /// Whether objects of it live in a namespace.
    pub namespaced: bool,
}

impl Kind {
    /// The kind called `kind` in `api_version` (`apps/v1`), of which nothing else is known.
    pub fn named(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let text = str::to_string;
        Self { group: text(group), version: text(version), kind: text(kind), served: None }
    }

    /// The same kind, served like this.
    #[must_use]
    pub fn served_as(&self, served: Served) -> Self {
        Self { served: Some(served), ..self.clone() }
    }

    /// Whether objects of it live in a namespace; `None` as long as only a cluster could tell.
    pub fn namespaced(&self) -> Option<bool> {
        self.served.as_ref().map(|served| served.namespaced)
    }

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

/// The type of Secrets with which nodes pull images.
pub const PULL_SECRET: &str = "kubernetes.io/dockerconfigjson";

/// One Kubernetes object that berth wants to exist: only the fields that berth sets.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; `None` for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Where it lives when it names no namespace and its kind, which only a cluster knows, turns out to
    /// want one. With it, a namespace that its kind does not want is dropped: so do helm and kubectl.
    pub home: Option<String>,
    /// The whole object as JSON, with `apiVersion`, `kind` and `metadata`, without `status`.
    pub body: Value,
}

/// Why a JSON value is no object of a kind that berth can apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// `apiVersion`, `kind` or `metadata.name` is missing.
    #[error("the object has no `{0}`")]
    Missing(&'static str),
    /// The kind is not built in.
    #[error("`{kind}` of `{api_version}` is no kind that every Kubernetes serves")]
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
        let object = Self::of(body, &Kinds::default())?;
        if object.kind.served.is_none() {
            let Kind { kind, .. } = &object.kind;
            return Err(ObjectError::UnknownKind {
                api_version: object.kind.api_version(),
                kind: kind.clone(),
            });
        }
        Ok(object)
    }

    /// The object that `body` describes. Whether one of a kind that is not among `kinds` has to have
    /// a namespace is known once a cluster was asked: see [`Object::served_as`].
    pub fn of(body: Value, kinds: &Kinds) -> Result<Self, ObjectError> {
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_string);
        let api_version = text("/apiVersion").ok_or(ObjectError::Missing("apiVersion"))?;
        let kind_name = text("/kind").ok_or(ObjectError::Missing("kind"))?;
        let name = text("/metadata/name").ok_or(ObjectError::Missing("metadata.name"))?;
        let namespace = text("/metadata/namespace");
        let kind = Kind::named(&api_version, &kind_name);
        let object = Self { kind, namespace, name, home: None, body };
        match kinds.find(&api_version, &kind_name).and_then(|kind| kind.served) {
            Some(served) => object.served_as(served),
            None => Ok(object),
        }
    }

    /// The same object, of a kind that is served like this.
    pub fn served_as(mut self, served: Served) -> Result<Self, ObjectError> {
        if let Some(home) = self.home.take() {
            let metadata = self.body.get_mut("metadata").and_then(Value::as_object_mut);
            match (served.namespaced, metadata) {
                (true, Some(metadata)) if self.namespace.is_none() => {
                    metadata.insert("namespace".to_string(), Value::from(home.clone()));
                    self.namespace = Some(home);
                }
                (false, Some(metadata)) => {
                    metadata.shift_remove("namespace");
                    self.namespace = None;
                }
                _ => {}
            }
        }
        let problem = match (served.namespaced, &self.namespace) {
            (true, None) => "missing",
            (false, Some(_)) => "set on a kind that has none",
            _ => return Ok(Self { kind: self.kind.served_as(served), ..self }),
        };
        Err(ObjectError::Scope { title: self.title(), problem })
    }

    /// The same object in its home, when it names no namespace: a program that applies it leaves a namespace
    /// out where the kind has none.
    #[must_use]
    pub fn at_home(mut self) -> Self {
        if let (None, Some(home), Some(metadata)) =
            (&self.namespace, &self.home, self.body.get_mut("metadata").and_then(Value::as_object_mut))
        {
            metadata.insert("namespace".to_string(), Value::from(home.clone()));
            self.namespace = Some(home.clone());
        }
        self
    }

    /// Whether it is a Secret of which this run does not know what it keeps: one for pulling images without
    /// any login, which no API server would take. It is never sent, and what stands of it counts as wanted.
    pub fn is_withheld(&self) -> bool {
        self.body["type"] == PULL_SECRET && self.body.get("data").is_none()
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

    #[test]
    fn a_kind_that_only_a_cluster_knows_is_settled_by_its_answer() {
        let body = json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": "one"}});
        assert!(matches!(Object::new(body.clone()), Err(ObjectError::UnknownKind { .. })));
        let object = Object::of(body, &Kinds::default()).expect("an object");
        assert_eq!((object.kind.namespaced(), object.kind.wave()), (None, Wave::CustomResources));
        let served = |namespaced| Served { plural: "widgets".to_string(), namespaced };
        let settled = object.clone().served_as(served(false)).expect("cluster-scoped");
        assert_eq!(settled.kind.namespaced(), Some(false));
        let problem = ObjectError::Scope { title: "Widget one".to_string(), problem: "missing" };
        assert_eq!(object.served_as(served(true)), Err(problem));
    }

    #[test]
    fn an_object_goes_home_as_soon_as_its_kind_is_known() {
        let served = |namespaced| Served { plural: "widgets".to_string(), namespaced };
        let widget = |metadata: Value| {
            let body = json!({"apiVersion": "example.org/v1", "kind": "Widget", "metadata": metadata});
            let object = Object::of(body, &Kinds::default()).expect("an object");
            Object { home: Some("web".to_string()), ..object }
        };
        let settled = widget(json!({"name": "one"})).served_as(served(true)).expect("it has a home");
        assert_eq!(
            (settled.title().as_str(), &settled.body["metadata"]["namespace"]),
            ("Widget web/one", &json!("web"))
        );
        let elsewhere =
            widget(json!({"name": "one", "namespace": "b"})).served_as(served(true)).expect("its own");
        assert_eq!(elsewhere.title(), "Widget b/one");
        let nowhere =
            widget(json!({"name": "one", "namespace": "b"})).served_as(served(false)).expect("no namespace");
        assert_eq!(
            (nowhere.title().as_str(), nowhere.body["metadata"].get("namespace")),
            ("Widget one", None)
        );
    }

    #[test]
    fn a_recorded_kind_reads_as_it_was_written() {
        let kind = known_kind("apps/v1", "Deployment").expect("built in");
        let text =
            r#"{"group":"apps","version":"v1","kind":"Deployment","plural":"deployments","namespaced":true}"#;
        assert_eq!(serde_json::to_string(&kind).expect("text"), text);
        assert_eq!(serde_json::from_str::<Kind>(text).expect("a kind"), kind);
    }
}
