use std::collections::BTreeMap;

use serde_json::Value;

use super::object::{Kind, Served};

/// Kinds that every supported Kubernetes serves: group, version, kind, plural, namespaced.
const BUILT_IN: &[(&str, &str, &str, &str, bool)] = &[
    ("", "v1", "ConfigMap", "configmaps", true),
    ("", "v1", "LimitRange", "limitranges", true),
    ("", "v1", "Namespace", "namespaces", false),
    ("", "v1", "Node", "nodes", false),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
    ("", "v1", "Pod", "pods", true),
    ("", "v1", "ResourceQuota", "resourcequotas", true),
    ("", "v1", "Secret", "secrets", true),
    ("", "v1", "Service", "services", true),
    ("", "v1", "ServiceAccount", "serviceaccounts", true),
    (
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        false,
    ),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", false),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        false,
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        false,
    ),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false),
    ("apiregistration.k8s.io", "v1", "APIService", "apiservices", false),
    ("apps", "v1", "DaemonSet", "daemonsets", true),
    ("apps", "v1", "Deployment", "deployments", true),
    ("apps", "v1", "StatefulSet", "statefulsets", true),
    ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true),
    ("batch", "v1", "CronJob", "cronjobs", true),
    ("batch", "v1", "Job", "jobs", true),
    ("coordination.k8s.io", "v1", "Lease", "leases", true),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", true),
    ("networking.k8s.io", "v1", "IngressClass", "ingressclasses", false),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", true),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true),
    ("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", false),
    ("storage.k8s.io", "v1", "StorageClass", "storageclasses", false),
    ("", "v1", "PersistentVolume", "persistentvolumes", false),
    ("", "v1", "PodTemplate", "podtemplates", true),
    ("", "v1", "ReplicationController", "replicationcontrollers", true),
    ("", "v1", "Endpoints", "endpoints", true),
    ("apps", "v1", "ReplicaSet", "replicasets", true),
    ("autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true),
    ("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", false),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true),
    ("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema", "flowschemas", false),
    (
        "flowcontrol.apiserver.k8s.io",
        "v1",
        "PriorityLevelConfiguration",
        "prioritylevelconfigurations",
        false,
    ),
    ("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", false),
    ("storage.k8s.io", "v1", "CSIDriver", "csidrivers", false),
];

/// The kind called `kind` in `api_version` (`apps/v1`), when every supported Kubernetes serves it.
pub fn known_kind(api_version: &str, kind: &str) -> Option<Kind> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    BUILT_IN.iter().find(|row| row.0 == group && row.1 == version && row.2 == kind).map(|row| Kind {
        group: row.0.to_string(),
        version: row.1.to_string(),
        kind: row.2.to_string(),
        served: Some(Served { plural: row.3.to_string(), namespaced: row.4 }),
    })
}

/// The kinds that objects may have: those that every supported Kubernetes serves, and those that
/// custom resource definitions of the same profile bring.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    defined: BTreeMap<(String, String), Kind>,
}

impl Kinds {
    /// Takes up the kinds that `body` defines, when it is a `CustomResourceDefinition`: one for each
    /// version that is served.
    pub fn learn(&mut self, body: &Value) {
        if body["kind"] == "CustomResourceDefinition" {
            self.learn_definition(body);
        }
    }

    /// Takes up the kinds that a `CustomResourceDefinition` defines; one out of a LIST does not say that it
    /// is one.
    pub(super) fn learn_definition(&mut self, body: &Value) {
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let versions = body.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
        for version in versions.filter(|version| version["served"] == true) {
            let kind = Kind {
                group: text("/spec/group").to_string(),
                version: version["name"].as_str().unwrap_or_default().to_string(),
                kind: text("/spec/names/kind").to_string(),
                served: Some(Served {
                    plural: text("/spec/names/plural").to_string(),
                    namespaced: text("/spec/scope") == "Namespaced",
                }),
            };
            self.defined.insert((kind.api_version(), kind.kind.clone()), kind);
        }
    }

    /// The kinds that definitions brought.
    pub fn defined(&self) -> impl Iterator<Item = &Kind> {
        self.defined.values()
    }

    /// The kind called `kind` in `api_version`, when it is known.
    pub fn find(&self, api_version: &str, kind: &str) -> Option<Kind> {
        let defined = || self.defined.get(&(api_version.to_string(), kind.to_string())).cloned();
        known_kind(api_version, kind).or_else(defined)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_definition_brings_every_version_that_it_serves() {
        let version = |name: &str, served: bool| json!({"name": name, "served": served});
        let mut kinds = Kinds::default();
        kinds.learn(&json!({"kind": "CustomResourceDefinition", "spec": {
            "group": "example.org", "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [version("v1", true), version("v1alpha1", false), version("v1beta1", true)],
        }}));
        let names: Vec<String> = kinds.defined().map(Kind::api_version).collect();
        assert_eq!(names, ["example.org/v1", "example.org/v1beta1"]);
        let found = kinds.find("example.org/v1", "Widget").expect("defined");
        assert_eq!(found.namespaced(), Some(true));
    }
}
