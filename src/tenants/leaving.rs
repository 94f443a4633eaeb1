use std::collections::BTreeMap;

use crate::base::label;
use crate::k8s::Kind;

/// What happens to a live object that the profile no longer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// It is deleted.
    Goes,
    /// It is kept as it is until its Namespace goes: without it the namespace would stand open.
    Stays,
}

/// What happens to the live object of `kind` with these `labels` when its tenant, or its namespace of
/// the tenant, left the profile.
///
/// People and programs lose their way in: role bindings and tokens go. Quota, limits, network policies,
/// roles, accounts and the Namespace stay. What belongs to no tenant, such as a cluster role, goes.
///
/// Valid only for objects that berth made; whether one is ours is the object set's to tell.
pub fn leaving(kind: &Kind, labels: &BTreeMap<String, String>) -> Leaving {
    if !labels.contains_key(label::TENANT) {
        return Leaving::Goes;
    }
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") | ("", "Secret") => Leaving::Goes,
        _ => Leaving::Stays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::known_kind;

    fn fate(api_version: &str, kind: &str, tenant: bool) -> Leaving {
        let mut labels = BTreeMap::from([(label::OWNER.to_string(), "id".to_string())]);
        if tenant {
            labels.insert(label::TENANT.to_string(), "checkout".to_string());
        }
        leaving(&known_kind(api_version, kind).expect("built in"), &labels)
    }

    #[test]
    fn a_tenant_that_leaves_loses_its_bindings_and_tokens_only() {
        assert_eq!(fate("rbac.authorization.k8s.io/v1", "RoleBinding", true), Leaving::Goes);
        assert_eq!(fate("v1", "Secret", true), Leaving::Goes);
        for (api_version, kind) in [
            ("v1", "Namespace"),
            ("v1", "ServiceAccount"),
            ("v1", "ResourceQuota"),
            ("v1", "LimitRange"),
            ("networking.k8s.io/v1", "NetworkPolicy"),
        ] {
            assert_eq!(fate(api_version, kind, true), Leaving::Stays, "{kind}");
        }
    }

    #[test]
    fn what_belongs_to_no_tenant_goes() {
        assert_eq!(fate("rbac.authorization.k8s.io/v1", "ClusterRole", false), Leaving::Goes);
        assert_eq!(fate("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", false), Leaving::Goes);
    }
}
