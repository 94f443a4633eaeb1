//! The sizes that a tenant starts from.

use std::collections::BTreeMap;

use crate::base::Quantity;
use crate::profile::TenantLimits;
use crate::profile::schema::{LimitsFile, Quantities, TenantSize};

/// What a quota always holds: a key that is absent would be without limit.
const NONE_UNLESS_SAID: [&str; 3] =
    ["requests.nvidia.com/gpu", "services.loadbalancers", "services.nodeports"];

fn quantity(text: &str) -> Quantity {
    text.parse().expect("the quantities of this file are well formed: a test reads them all")
}

fn quantities(pairs: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
    pairs.iter().map(|(key, text)| ((*key).to_string(), quantity(text))).collect()
}

fn preset(size: TenantSize) -> BTreeMap<String, Quantity> {
    let [cpu, memory, most_memory, pods, claims, storage] = match size {
        TenantSize::Small => ["2", "4Gi", "8Gi", "20", "5", "50Gi"],
        TenantSize::Medium => ["8", "16Gi", "32Gi", "60", "20", "200Gi"],
        TenantSize::Large => ["32", "64Gi", "128Gi", "200", "50", "1Ti"],
    };
    quantities(&[
        ("requests.cpu", cpu),
        ("requests.memory", memory),
        ("limits.memory", most_memory),
        ("pods", pods),
        ("persistentvolumeclaims", claims),
        ("requests.storage", storage),
    ])
}

/// The quota of a tenant of `size` with `own` on top, and zeros for what nobody gets unasked.
pub(super) fn quota(size: TenantSize, own: &Quantities) -> BTreeMap<String, Quantity> {
    let mut quota = preset(size);
    quota.extend(NONE_UNLESS_SAID.map(|key| (key.to_string(), quantity("0"))));
    // `cpu` and `memory` are other words for the requests: two limits of one thing would contradict.
    for (short, long) in [("cpu", "requests.cpu"), ("memory", "requests.memory")] {
        if own.contains_key(short) && !own.contains_key(long) {
            quota.remove(long);
        }
    }
    quota.extend(own.iter().map(|(key, amount)| (key.clone(), amount.0.clone())));
    // What the size says gives way to what the tenant says: memory requests fit under its limit.
    let (request, limit) = ("requests.memory", "limits.memory");
    if let (Some(requests), Some(limits)) = (quota.get(request), quota.get(limit))
        && requests > limits
    {
        let (key, value) = match own.contains_key(request) {
            true if own.contains_key(limit) => return quota,
            true => (limit, requests.clone()),
            false => (request, limits.clone()),
        };
        quota.insert(key.to_string(), value);
    }
    quota
}

/// What containers get in namespaces with `quota`, with `own` on top.
pub(super) fn limits(quota: &BTreeMap<String, Quantity>, own: &LimitsFile) -> TenantLimits {
    // No limit of cpu by default: a container that nobody else needs the cores of may use them.
    let mut limits = TenantLimits {
        default_request: quantities(&[("cpu", "100m"), ("memory", "128Mi")]),
        default: quantities(&[("memory", "512Mi")]),
        max: BTreeMap::new(),
    };
    if quota.contains_key("limits.cpu") {
        limits.default.insert("cpu".to_string(), quantity("500m"));
    }
    overlay(&mut limits.default_request, &own.default_request);
    overlay(&mut limits.default, &own.default);
    overlay(&mut limits.max, &own.max);
    for resource in ["cpu", "memory"] {
        let request = quota.get(&format!("requests.{resource}")).or_else(|| quota.get(resource));
        let bounds = [request, quota.get(&format!("limits.{resource}")), own.max.get(resource).map(|a| &a.0)];
        for bound in bounds.into_iter().flatten() {
            cap(&mut limits.default_request, resource, bound, &own.default_request);
        }
        for bound in [bounds[1], bounds[2]].into_iter().flatten() {
            cap(&mut limits.default, resource, bound, &own.default);
        }
        // A default limit below the default request is refused by the API server.
        if let Some(limit) = limits.default.get(resource).cloned() {
            cap(&mut limits.default_request, resource, &limit, &own.default_request);
        }
        if let Some(request) = limits.default_request.get(resource).cloned()
            && limits.default.get(resource).is_some_and(|limit| *limit < request)
        {
            limits.default.insert(resource.to_string(), request);
        }
    }
    limits
}

fn overlay(quantities: &mut BTreeMap<String, Quantity>, own: &Quantities) {
    quantities.extend(own.iter().map(|(key, amount)| (key.clone(), amount.0.clone())));
}

/// Lowers what the tenant did not set itself.
fn cap(quantities: &mut BTreeMap<String, Quantity>, resource: &str, bound: &Quantity, own: &Quantities) {
    if own.contains_key(resource) || bound.thousandths() == 0 {
        return;
    }
    if let Some(quantity) = quantities.get_mut(resource)
        && *quantity > *bound
    {
        *quantity = bound.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::schema::Amount;

    fn own(pairs: &[(&str, &str)]) -> Quantities {
        pairs.iter().map(|(key, text)| ((*key).to_string(), Amount(quantity(text)))).collect()
    }

    #[test]
    fn every_size_is_well_formed_and_gives_nothing_unasked() {
        for size in [TenantSize::Small, TenantSize::Medium, TenantSize::Large] {
            let quota = quota(size, &Quantities::new());
            for key in NONE_UNLESS_SAID {
                assert_eq!(quota[key].as_str(), "0");
            }
            assert!(quota["requests.memory"] <= quota["limits.memory"]);
            assert!(!limits(&quota, &LimitsFile::default()).default_request.is_empty());
        }
    }

    #[test]
    fn the_tenants_own_figures_win_key_by_key() {
        let quota =
            quota(TenantSize::Small, &own(&[("requests.cpu", "10"), ("requests.nvidia.com/gpu", "2")]));
        assert_eq!(quota["requests.cpu"].as_str(), "10");
        assert_eq!(quota["requests.nvidia.com/gpu"].as_str(), "2");
        assert_eq!(quota["pods"].as_str(), "20");
    }

    #[test]
    fn a_size_never_contradicts_the_tenant() {
        let small = quota(TenantSize::Large, &own(&[("limits.memory", "20Gi")]));
        assert_eq!(small["requests.memory"].as_str(), "20Gi");
        let large = quota(TenantSize::Small, &own(&[("requests.memory", "40Gi")]));
        assert_eq!(large["limits.memory"].as_str(), "40Gi");
    }

    #[test]
    fn a_containers_defaults_fit_a_small_quota() {
        let quota = quota(TenantSize::Small, &own(&[("limits.memory", "100Mi"), ("requests.cpu", "50m")]));
        let limits = limits(&quota, &LimitsFile::default());
        assert_eq!(limits.default["memory"].as_str(), "100Mi");
        assert_eq!(limits.default_request["memory"].as_str(), "100Mi");
        assert_eq!(limits.default_request["cpu"].as_str(), "50m");
    }
}
