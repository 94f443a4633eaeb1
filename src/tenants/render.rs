use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::network::{self, Neighbours};
use super::roles::Role;
use crate::base::{Owner, Platform, Quantity, Secret, label};
use crate::k8s::{Object, PULL_SECRET};
use crate::profile::{Group, Tenant, TenantLimits};

const RBAC: &str = "rbac.authorization.k8s.io";

/// The Secret with which the pods of a tenant pull images, in each of its namespaces.
pub const PULL_SECRET_NAME: &str = "berth-pull";

/// With which logins the pods of tenants pull images.
#[derive(Debug, Clone, Copy)]
pub enum Pulling<'a> {
    /// With none.
    Anonymously,
    /// With some that this run did not read: their Secrets are rendered without what they keep.
    Unread,
    /// With these: what the Secret keeps, as it is sent.
    With(&'a Secret<String>),
}

impl Pulling<'_> {
    /// What its Secret has besides a name, if there is one.
    fn secret(&self) -> Option<Value> {
        match self {
            Self::Anonymously => None,
            Self::Unread => Some(json!({"type": PULL_SECRET})),
            Self::With(logins) => {
                Some(json!({"type": PULL_SECRET, "data": {".dockerconfigjson": logins.reveal()}}))
            }
        }
    }
}

/// Everything that `tenants` come to on `platform`: the roles they share, then namespace by namespace.
///
/// Owner labels are not among it: the object set adds them. Without tenants there is nothing.
pub fn render(tenants: &[Tenant], owner: &Owner, platform: &Platform, pulling: &Pulling<'_>) -> Vec<Object> {
    if tenants.is_empty() {
        return Vec::new();
    }
    let mut objects: Vec<Object> = Role::ALL.iter().map(|role| object(role.body(owner))).collect();
    let scene = Scene { owner, platform, pulling, neighbours: Neighbours::of(tenants) };
    for tenant in tenants {
        for namespace in &tenant.namespaces {
            objects.extend(scene.render_namespace(tenant, namespace));
        }
    }
    objects
}

/// The binding that lets the environment's `admins` do everything; none without admins.
pub fn render_admins(admins: &[Group], owner: &Owner) -> Option<Object> {
    if admins.is_empty() {
        return None;
    }
    Some(object(json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "ClusterRoleBinding",
        "metadata": {
            "name": format!("berth-admins-{}", owner.id),
            "labels": {"app.kubernetes.io/managed-by": "berth"},
        },
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": subjects(admins),
    })))
}

/// What all namespaces are rendered with.
struct Scene<'a> {
    owner: &'a Owner,
    platform: &'a Platform,
    pulling: &'a Pulling<'a>,
    neighbours: Neighbours<'a>,
}

impl Scene<'_> {
    fn render_namespace(&self, tenant: &Tenant, name: &str) -> Vec<Object> {
        let place = Place { tenant: &tenant.name, namespace: name };
        let mut objects = vec![namespace(tenant, name, self.platform)];
        // Made before its controller would: pods can start at once, and no pod gets a token unasked.
        let mut account = json!({"automountServiceAccountToken": false});
        if let Some(secret) = self.pulling.secret() {
            account["imagePullSecrets"] = json!([{"name": PULL_SECRET_NAME}]);
            objects.push(place.object("v1", "Secret", PULL_SECRET_NAME, secret));
        }
        objects.push(place.object("v1", "ServiceAccount", "default", account));
        if let Some(limit) = container_limits(&tenant.limits) {
            objects.push(place.object(
                "v1",
                "LimitRange",
                "berth-limits",
                json!({"spec": {"limits": [limit]}}),
            ));
        }
        let mut policies = network::policies(tenant, self.owner, self.platform);
        policies.extend(self.neighbours.policy(name));
        for (policy, spec) in policies {
            objects.push(place.object(
                "networking.k8s.io/v1",
                "NetworkPolicy",
                policy,
                json!({"spec": spec}),
            ));
        }
        if let Some(hard) = quantities(&tenant.quota) {
            objects.push(place.object("v1", "ResourceQuota", "berth-quota", json!({"spec": {"hard": hard}})));
        }
        let groups = &tenant.groups;
        for (role, groups) in
            [(Role::Admin, &groups.admin), (Role::Editor, &groups.editor), (Role::Viewer, &groups.viewer)]
        {
            if !groups.is_empty() {
                objects.push(place.binding(role, groups, self.owner));
            }
        }
        objects
    }
}

fn namespace(tenant: &Tenant, name: &str, platform: &Platform) -> Object {
    let (major, minor) = platform.kubernetes;
    object(json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {
                label::TENANT: tenant.name,
                "app.kubernetes.io/managed-by": "berth",
                "pod-security.kubernetes.io/enforce": tenant.pod_security.as_str(),
                // Pinned: what is allowed changes with the profile, not with an upgrade of the cluster.
                "pod-security.kubernetes.io/enforce-version": format!("v{major}.{minor}"),
                "pod-security.kubernetes.io/audit": "restricted",
                "pod-security.kubernetes.io/warn": "restricted",
            },
        },
    }))
}

/// The container item of a `LimitRange`; none when the profile limits nothing.
fn container_limits(limits: &TenantLimits) -> Option<Value> {
    let mut item = Map::new();
    for (field, values) in
        [("defaultRequest", &limits.default_request), ("default", &limits.default), ("max", &limits.max)]
    {
        if let Some(values) = quantities(values) {
            item.insert(field.to_string(), values);
        }
    }
    if item.is_empty() {
        return None;
    }
    item.insert("type".to_string(), json!("Container"));
    Some(Value::Object(item))
}

/// Quantities as text; none instead of an empty map, which the API server would drop.
fn quantities(values: &BTreeMap<String, Quantity>) -> Option<Value> {
    if values.is_empty() {
        return None;
    }
    let texts = values.iter().map(|(key, quantity)| (key.clone(), json!(quantity.as_str())));
    Some(Value::Object(texts.collect()))
}

fn subjects(groups: &[Group]) -> Vec<Value> {
    let subjects =
        groups.iter().map(|group| json!({"apiGroup": RBAC, "kind": "Group", "name": group.subject}));
    subjects.collect()
}

/// Where an object of a tenant lives.
struct Place<'a> {
    tenant: &'a str,
    namespace: &'a str,
}

impl Place<'_> {
    fn binding(&self, role: Role, groups: &[Group], owner: &Owner) -> Object {
        let role_ref = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": role.cluster_role(owner)});
        let rest = json!({"roleRef": role_ref, "subjects": subjects(groups)});
        self.object(&format!("{RBAC}/v1"), "RoleBinding", &format!("berth-{}", role.as_str()), rest)
    }

    fn object(&self, api_version: &str, kind: &str, name: &str, rest: Value) -> Object {
        let mut body = json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": {label::TENANT: self.tenant, "app.kubernetes.io/managed-by": "berth"},
            },
        });
        if let (Value::Object(body), Value::Object(rest)) = (&mut body, rest) {
            body.extend(rest);
        }
        object(body)
    }
}

fn object(body: Value) -> Object {
    Object::new(body).expect("a built-in kind with a name, in the scope of that kind")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Capability, ProviderKind};
    use crate::profile::{PodSecurity, TenantGroups};

    fn owner() -> Owner {
        Owner { id: "7f3k2q9d".to_string(), environment: "lab".to_string() }
    }

    fn platform() -> Platform {
        Platform {
            provider: ProviderKind::Kind,
            cluster: "dev".to_string(),
            region: None,
            kubernetes: (1, 36),
            kubernetes_assumed: false,
            rehearsal: true,
            load_balancer: Capability::Absent,
            ports_mapped: false,
            dns_addresses: Vec::new(),
            native_addons: Vec::new(),
            network: None,
        }
    }

    fn quantities_of(values: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
        let parse = |text: &str| text.parse().expect("a quantity");
        values.iter().map(|(key, text)| (key.to_string(), parse(text))).collect()
    }

    fn group(name: &str) -> Group {
        Group { name: name.to_string(), subject: format!("idp:{name}") }
    }

    fn tenant() -> Tenant {
        Tenant {
            name: "checkout".to_string(),
            namespaces: vec!["checkout-ns".to_string()],
            groups: TenantGroups::default(),
            quota: BTreeMap::new(),
            limits: TenantLimits {
                default_request: BTreeMap::new(),
                default: BTreeMap::new(),
                max: BTreeMap::new(),
            },
            pod_security: PodSecurity::Restricted,
            allow_from: Vec::new(),
            hosts: Vec::new(),
        }
    }

    fn full_tenant() -> Tenant {
        Tenant {
            namespaces: vec!["checkout-ns".to_string(), "checkout-batch".to_string()],
            groups: TenantGroups {
                admin: vec![group("leads")],
                editor: vec![group("devs"), group("ops")],
                viewer: Vec::new(),
            },
            quota: quantities_of(&[("requests.cpu", "10"), ("limits.memory", "20Gi")]),
            limits: TenantLimits {
                default_request: quantities_of(&[("cpu", "100m")]),
                default: quantities_of(&[("memory", "256Mi")]),
                max: BTreeMap::new(),
            },
            allow_from: vec!["frontend-ns".to_string()],
            hosts: vec!["checkout.example.com".to_string()],
            ..tenant()
        }
    }

    fn titles(objects: &[Object]) -> Vec<String> {
        objects.iter().map(Object::title).collect()
    }

    fn find<'a>(objects: &'a [Object], title: &str) -> &'a Value {
        &objects.iter().find(|object| object.title() == title).expect("there").body
    }

    #[test]
    fn a_tenant_that_asks_for_nothing_is_still_closed() {
        let objects = render(&[tenant()], &owner(), &platform(), &Pulling::Anonymously);
        assert_eq!(
            titles(&objects),
            [
                "ClusterRole berth-tenant-admin-7f3k2q9d",
                "ClusterRole berth-tenant-editor-7f3k2q9d",
                "ClusterRole berth-tenant-viewer-7f3k2q9d",
                "Namespace checkout-ns",
                "ServiceAccount checkout-ns/default",
                "NetworkPolicy checkout-ns/default-deny",
                "NetworkPolicy checkout-ns/allow-same-tenant",
                "NetworkPolicy checkout-ns/allow-dns",
            ]
        );
    }

    #[test]
    fn everything_a_tenant_asks_for_is_in_each_of_its_namespaces() {
        let objects = render(&[full_tenant()], &owner(), &platform(), &Pulling::Anonymously);
        let in_namespace = |namespace: &str| {
            vec![
                format!("Namespace {namespace}"),
                format!("ServiceAccount {namespace}/default"),
                format!("LimitRange {namespace}/berth-limits"),
                format!("NetworkPolicy {namespace}/default-deny"),
                format!("NetworkPolicy {namespace}/allow-same-tenant"),
                format!("NetworkPolicy {namespace}/allow-dns"),
                format!("NetworkPolicy {namespace}/allow-from"),
                format!("NetworkPolicy {namespace}/allow-ingress-controller"),
                format!("ResourceQuota {namespace}/berth-quota"),
                format!("RoleBinding {namespace}/berth-admin"),
                format!("RoleBinding {namespace}/berth-editor"),
            ]
        };
        let wanted = [in_namespace("checkout-ns"), in_namespace("checkout-batch")].concat();
        assert_eq!(titles(&objects)[3..], wanted);
        for object in &objects[3..] {
            assert_eq!(object.body["metadata"]["labels"][label::TENANT], "checkout", "{}", object.title());
        }
        let hard = &find(&objects, "ResourceQuota checkout-ns/berth-quota")["spec"]["hard"];
        assert_eq!(hard, &json!({"limits.memory": "20Gi", "requests.cpu": "10"}));
        let limits = &find(&objects, "LimitRange checkout-ns/berth-limits")["spec"]["limits"];
        let item =
            json!({"type": "Container", "defaultRequest": {"cpu": "100m"}, "default": {"memory": "256Mi"}});
        assert_eq!(limits, &json!([item]));
        let subjects = &find(&objects, "RoleBinding checkout-ns/berth-editor")["subjects"];
        assert_eq!(subjects[1]["name"], "idp:ops");
    }

    #[test]
    fn a_namespace_carries_the_pod_security_of_its_tenant_pinned_to_the_minor() {
        let tenant = Tenant { pod_security: PodSecurity::Baseline, ..tenant() };
        let objects = render(&[tenant], &owner(), &platform(), &Pulling::Anonymously);
        let labels = &find(&objects, "Namespace checkout-ns")["metadata"]["labels"];
        assert_eq!(labels["pod-security.kubernetes.io/enforce"], "baseline");
        assert_eq!(labels["pod-security.kubernetes.io/enforce-version"], "v1.36");
    }

    #[test]
    fn addresses_that_answer_names_are_let_through_for_dns_only() {
        let platform = Platform { dns_addresses: vec!["169.254.20.10/32".to_string()], ..platform() };
        let objects = render(&[tenant()], &owner(), &platform, &Pulling::Anonymously);
        let egress = &find(&objects, "NetworkPolicy checkout-ns/allow-dns")["spec"]["egress"];
        assert_eq!(egress[0]["to"][1], json!({"ipBlock": {"cidr": "169.254.20.10/32"}}));
        assert_eq!(egress[0]["ports"].as_array().map(Vec::len), Some(2));
        assert_eq!(egress.as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn a_way_between_two_tenants_is_opened_at_both_ends() {
        let frontend =
            Tenant { name: "frontend".to_string(), namespaces: vec!["frontend-ns".to_string()], ..tenant() };
        let objects = render(&[full_tenant(), frontend], &owner(), &platform(), &Pulling::Anonymously);
        let ingress = &find(&objects, "NetworkPolicy checkout-ns/allow-from")["spec"]["ingress"];
        let selector = &ingress[0]["from"][0]["namespaceSelector"]["matchExpressions"][0];
        assert_eq!(selector["values"], json!(["frontend-ns"]));
        let egress = &find(&objects, "NetworkPolicy frontend-ns/allow-to")["spec"]["egress"];
        let selector = &egress[0]["to"][0]["namespaceSelector"]["matchExpressions"][0];
        assert_eq!(selector["values"], json!(["checkout-batch", "checkout-ns"]));
        assert!(!titles(&objects).contains(&"NetworkPolicy checkout-ns/allow-to".to_string()));
    }

    #[test]
    fn a_tenant_of_the_same_name_in_another_environment_is_a_stranger() {
        let objects = render(&[tenant()], &owner(), &platform(), &Pulling::Anonymously);
        let ingress = &find(&objects, "NetworkPolicy checkout-ns/allow-same-tenant")["spec"]["ingress"];
        let labels = &ingress[0]["from"][0]["namespaceSelector"]["matchLabels"];
        assert_eq!(labels, &json!({label::OWNER: "7f3k2q9d", label::TENANT: "checkout"}));
    }

    #[test]
    fn nothing_empty_is_rendered_that_the_api_server_would_drop() {
        fn look(value: &Value, path: &str) {
            match value {
                Value::Object(fields) => {
                    assert!(!fields.is_empty() || path.ends_with(".podSelector"), "{path} is empty");
                    for (key, value) in fields {
                        look(value, &format!("{path}.{key}"));
                    }
                }
                Value::Array(elements) => {
                    assert!(!elements.is_empty(), "{path} is empty");
                    for value in elements {
                        look(value, path);
                    }
                }
                Value::Null => unreachable!("{path} is null"),
                _ => {}
            }
        }
        for object in render(&[tenant(), full_tenant()], &owner(), &platform(), &Pulling::Anonymously) {
            look(&object.body, &object.title());
        }
    }

    #[test]
    fn without_tenants_and_admins_there_is_nothing() {
        assert_eq!(render(&[], &owner(), &platform(), &Pulling::Anonymously), []);
        assert_eq!(render_admins(&[], &owner()), None);
    }

    #[test]
    fn admins_of_the_environment_are_bound_under_its_own_name() {
        let binding = render_admins(&[group("platform")], &owner()).expect("a binding");
        assert_eq!(binding.title(), "ClusterRoleBinding berth-admins-7f3k2q9d");
        assert_eq!(binding.body["subjects"][0]["name"], "idp:platform");
    }

    #[test]
    fn each_namespace_gets_the_logins_and_its_pods_pull_with_them() {
        let logins = Secret::new("e30=".to_string());
        let render = |pulling: &Pulling<'_>| render(&[full_tenant()], &owner(), &platform(), pulling);
        let objects = render(&Pulling::With(&logins));
        for namespace in ["checkout-ns", "checkout-batch"] {
            let secret = find(&objects, &format!("Secret {namespace}/berth-pull"));
            assert_eq!(secret["type"], "kubernetes.io/dockerconfigjson");
            assert_eq!(secret["data"], json!({".dockerconfigjson": "e30="}));
            assert_eq!(secret["metadata"]["labels"][label::TENANT], "checkout");
            let account = find(&objects, &format!("ServiceAccount {namespace}/default"));
            assert_eq!(account["imagePullSecrets"], json!([{"name": "berth-pull"}]));
        }
        let is_withheld = |object: &&Object| object.is_withheld();
        assert_eq!(render(&Pulling::Unread).iter().filter(is_withheld).count(), 2);
        assert_eq!(objects.iter().filter(is_withheld).count(), 0);
        let none = render(&Pulling::Anonymously);
        assert!(none.iter().all(|object| object.kind.kind != "Secret"));
        assert!(find(&none, "ServiceAccount checkout-ns/default").get("imagePullSecrets").is_none());
    }
}
