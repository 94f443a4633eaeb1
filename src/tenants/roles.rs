//! What a tenant's people may do, as data. The built-in roles `edit` and `admin` do not serve: they may
//! write network policies and impersonate service accounts, and every addon can add to them.

use serde_json::{Value, json};

use crate::base::Owner;

/// The roles of a tenant, each a cluster role that is bound in the tenant's namespaces only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Everything an editor may, and granting the tenant's roles to others.
    Admin,
    /// Changing workloads.
    Editor,
    /// Looking, not at secrets.
    Viewer,
}

/// Resources of one API group and what may be done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// Resources by their plural names, with subresources.
    pub resources: &'static [&'static str],
    /// Verbs of the API.
    pub verbs: &'static [&'static str],
}

const READ: &[&str] = &["get", "list", "watch"];
const CHANGE: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];
const READ_AND_CHANGE: &[&str] =
    &["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

const VIEWER: &[Rule] = &[
    Rule {
        group: "",
        resources: &[
            "configmaps",
            "endpoints",
            "events",
            "limitranges",
            "persistentvolumeclaims",
            "pods",
            "pods/log",
            "replicationcontrollers",
            "resourcequotas",
            "serviceaccounts",
            "services",
        ],
        verbs: READ,
    },
    // Bound in a namespace, this reads that one Namespace.
    Rule { group: "", resources: &["namespaces"], verbs: &["get"] },
    Rule {
        group: "apps",
        resources: &["controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"],
        verbs: READ,
    },
    Rule {
        group: "apps",
        resources: &["deployments/scale", "replicasets/scale", "statefulsets/scale"],
        verbs: &["get"],
    },
    Rule { group: "autoscaling", resources: &["horizontalpodautoscalers"], verbs: READ },
    Rule { group: "batch", resources: &["cronjobs", "jobs"], verbs: READ },
    Rule { group: "discovery.k8s.io", resources: &["endpointslices"], verbs: READ },
    Rule { group: "events.k8s.io", resources: &["events"], verbs: READ },
    Rule { group: "metrics.k8s.io", resources: &["pods"], verbs: &["get", "list"] },
    Rule { group: "networking.k8s.io", resources: &["ingresses", "networkpolicies"], verbs: READ },
    Rule { group: "policy", resources: &["poddisruptionbudgets"], verbs: READ },
];

// Left out on purpose: daemonsets (a pod on every node), the proxy subresources (a way past network
// policies), endpoints and endpointslices (a way to other tenants' pods, CVE-2021-25740).
const EDITOR_BESIDES: &[Rule] = &[
    Rule {
        group: "",
        resources: &["configmaps", "persistentvolumeclaims", "pods", "serviceaccounts", "services"],
        verbs: CHANGE,
    },
    Rule { group: "", resources: &["secrets"], verbs: READ_AND_CHANGE },
    Rule { group: "", resources: &["pods/eviction"], verbs: &["create"] },
    // Over websockets `kubectl exec` opens with a get; before, and since 1.35 as well, it is a create.
    Rule {
        group: "",
        resources: &["pods/attach", "pods/exec", "pods/portforward"],
        verbs: &["create", "get"],
    },
    Rule { group: "", resources: &["pods/ephemeralcontainers"], verbs: &["update", "patch"] },
    Rule { group: "apps", resources: &["deployments", "replicasets", "statefulsets"], verbs: CHANGE },
    Rule {
        group: "apps",
        resources: &["deployments/scale", "replicasets/scale", "statefulsets/scale"],
        verbs: &["update", "patch"],
    },
    Rule { group: "autoscaling", resources: &["horizontalpodautoscalers"], verbs: CHANGE },
    Rule { group: "batch", resources: &["cronjobs", "jobs"], verbs: CHANGE },
    Rule { group: "coordination.k8s.io", resources: &["leases"], verbs: READ_AND_CHANGE },
    Rule { group: "networking.k8s.io", resources: &["ingresses"], verbs: CHANGE },
    Rule { group: "policy", resources: &["poddisruptionbudgets"], verbs: CHANGE },
];

// Without `bind` and `escalate`: a tenant's admin grants only what it may do itself.
const ADMIN_BESIDES: &[Rule] = &[
    Rule { group: "", resources: &["serviceaccounts/token"], verbs: &["create"] },
    Rule { group: "authorization.k8s.io", resources: &["localsubjectaccessreviews"], verbs: &["create"] },
    Rule {
        group: "rbac.authorization.k8s.io",
        resources: &["rolebindings", "roles"],
        verbs: READ_AND_CHANGE,
    },
];

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Editor, Self::Viewer];

    /// `admin`, `editor` or `viewer`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Editor => "editor",
            Self::Viewer => "viewer",
        }
    }

    /// What it allows.
    pub fn rules(self) -> Vec<Rule> {
        let tables: &[&[Rule]] = match self {
            Self::Admin => &[VIEWER, EDITOR_BESIDES, ADMIN_BESIDES],
            Self::Editor => &[VIEWER, EDITOR_BESIDES],
            Self::Viewer => &[VIEWER],
        };
        tables.concat()
    }

    /// The name of its cluster role: with the owner in it, as a cluster may hold several environments.
    pub fn cluster_role(self, owner: &Owner) -> String {
        format!("berth-tenant-{}-{}", self.as_str(), owner.id)
    }

    /// The cluster role.
    pub(super) fn body(self, owner: &Owner) -> Value {
        let rules = self
            .rules()
            .into_iter()
            .map(|rule| json!({"apiGroups": [rule.group], "resources": rule.resources, "verbs": rule.verbs}));
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {
                "name": self.cluster_role(owner),
                "labels": {"app.kubernetes.io/managed-by": "berth"},
            },
            "rules": rules.collect::<Vec<Value>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(role: Role, verb: &str, resource: &str) -> bool {
        role.rules().iter().any(|rule| rule.resources.contains(&resource) && rule.verbs.contains(&verb))
    }

    #[test]
    fn no_role_can_open_its_namespace_or_become_somebody_else() {
        for role in Role::ALL {
            for resource in [
                "networkpolicies",
                "resourcequotas",
                "limitranges",
                "namespaces",
                "endpoints",
                "endpointslices",
                "daemonsets",
            ] {
                for verb in CHANGE {
                    assert!(!may(role, verb, resource), "{role:?} may {verb} {resource}");
                }
            }
            for rule in role.rules() {
                for verb in ["impersonate", "escalate", "bind", "*"] {
                    assert!(!rule.verbs.contains(&verb), "{role:?} may {verb} {:?}", rule.resources);
                }
                assert!(!rule.resources.contains(&"*") && rule.group != "*", "{role:?}: {rule:?}");
            }
        }
    }

    #[test]
    fn each_role_may_what_the_one_below_may_and_more() {
        assert!(!may(Role::Viewer, "get", "secrets"));
        assert!(may(Role::Editor, "get", "secrets"));
        assert!(!may(Role::Editor, "create", "rolebindings"));
        assert!(may(Role::Admin, "create", "rolebindings"));
        for (low, high) in [(Role::Viewer, Role::Editor), (Role::Editor, Role::Admin)] {
            assert!(low.rules().iter().all(|rule| high.rules().contains(rule)));
        }
        for verb in CHANGE {
            assert!(VIEWER.iter().all(|rule| !rule.verbs.contains(verb)), "a viewer may {verb}");
        }
    }
}
