//! Network policies are allow lists that add up: the first denies everything, each other opens one way.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::base::{Owner, Platform, label};
use crate::profile::Tenant;

/// The namespace of the ingress controller, and what marks its pods.
const INGRESS_CONTROLLER: &str = "traefik";

/// The names and specs of the network policies in each namespace of `tenant`.
pub fn policies(tenant: &Tenant, owner: &Owner, platform: &Platform) -> Vec<(&'static str, Value)> {
    let mut policies = vec![
        ("default-deny", json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})),
        ("allow-same-tenant", same_tenant(tenant, owner)),
        ("allow-dns", dns(platform)),
    ];
    if !tenant.allow_from.is_empty() {
        policies.push(("allow-from", from_namespaces(&tenant.allow_from)));
    }
    if !tenant.hosts.is_empty() {
        policies.push(("allow-ingress-controller", from_ingress_controller()));
    }
    policies
}

/// Who of the tenants lets whom in. Each namespace is closed in both directions, so a way from one
/// tenant to another has to be opened at both ends.
pub struct Neighbours<'a> {
    /// The namespaces that let each namespace in.
    open_to: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Neighbours<'a> {
    /// What `tenants` say of each other.
    pub fn of(tenants: &'a [Tenant]) -> Self {
        let mut open_to: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for tenant in tenants {
            for from in &tenant.allow_from {
                let namespaces = tenant.namespaces.iter().map(String::as_str);
                open_to.entry(from.as_str()).or_default().extend(namespaces);
            }
        }
        Self { open_to }
    }

    /// The name and spec of the policy that lets pods of `namespace` out to where they are let in.
    pub fn policy(&self, namespace: &str) -> Option<(&'static str, Value)> {
        let namespaces = self.open_to.get(namespace)?;
        let spec = json!({
            "podSelector": {},
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"namespaceSelector": by_name(namespaces)}]}],
        });
        Some(("allow-to", spec))
    }
}

/// All pods of the tenant, in all of its namespaces. The owner is part of the selector: on a shared
/// cluster another environment may have a tenant of the same name.
fn same_tenant(tenant: &Tenant, owner: &Owner) -> Value {
    let peer = json!({"namespaceSelector": {"matchLabels": {
        label::OWNER: owner.id,
        label::TENANT: tenant.name,
    }}});
    json!({
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [peer]}],
        "egress": [{"to": [peer]}],
    })
}

/// The DNS pods, and the addresses that answer in their place: a selector never matches a cache that
/// listens on a node's own address.
fn dns(platform: &Platform) -> Value {
    let pods = json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    });
    let addresses = platform.dns_addresses.iter().map(|cidr| json!({"ipBlock": {"cidr": cidr}}));
    let peers: Vec<Value> = std::iter::once(pods).chain(addresses).collect();
    json!({
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{
            "to": peers,
            "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        }],
    })
}

fn from_namespaces(namespaces: &[String]) -> Value {
    let namespaces = namespaces.iter().map(String::as_str).collect();
    json!({
        "podSelector": {},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"namespaceSelector": by_name(&namespaces)}]}],
    })
}

/// Namespaces by the label that only the API server sets; any other could be taken on by a stranger.
fn by_name(namespaces: &BTreeSet<&str>) -> Value {
    json!({"matchExpressions": [{
        "key": "kubernetes.io/metadata.name",
        "operator": "In",
        "values": namespaces,
    }]})
}

fn from_ingress_controller() -> Value {
    let peer = json!({
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": INGRESS_CONTROLLER}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": INGRESS_CONTROLLER}},
    });
    json!({
        "podSelector": {},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [peer]}],
    })
}
