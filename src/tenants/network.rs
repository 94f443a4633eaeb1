//! Network policies are allow lists that add up: the first denies everything, each other opens one way.

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

/// Namespaces by the label that only the API server sets; any other could be taken on by a stranger.
fn from_namespaces(namespaces: &[String]) -> Value {
    let selector = json!({"matchExpressions": [{
        "key": "kubernetes.io/metadata.name",
        "operator": "In",
        "values": namespaces,
    }]});
    json!({
        "podSelector": {},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"namespaceSelector": selector}]}],
    })
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
