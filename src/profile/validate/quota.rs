//! The keys of a `ResourceQuota` and the values that make sense for them.

use super::Check;
use crate::base::Quantity;
use crate::profile::nearest::nearest;
use crate::profile::schema::{LimitsFile, Quantities};
use crate::profile::tree::{Step, shorten};

/// Keys of fixed names; see `k8s.io/api/core/v1`, `ResourceQuotaSpec`.
const KEYS: [&str; 22] = [
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "requests.storage",
    "requests.nvidia.com/gpu",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "cpu",
    "memory",
    "pods",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "count/deployments.apps",
    "count/jobs.batch",
    "count/cronjobs.batch",
    "count/ingresses.networking.k8s.io",
];

pub(super) fn check_quota(check: &mut Check<'_>, tenant: &[Step<'_>], quota: &Quantities) {
    let at: Vec<Step<'_>> = tenant.iter().copied().chain([Step::Key("quota")]).collect();
    for (key, amount) in quota {
        if let Some((message, help)) = key_problem(key) {
            let place = check.key_place(&at, key);
            check.error_at(place, message, help);
        } else if let Some((message, help)) = quantity_problem(key, &amount.0) {
            let path: Vec<Step<'_>> = at.iter().copied().chain([Step::Key(key)]).collect();
            check.error(&path, message, help);
        }
    }
    for resource in ["cpu", "memory", "ephemeral-storage"] {
        let (requests, limits) = (format!("requests.{resource}"), format!("limits.{resource}"));
        if let (Some(request), Some(limit)) = (quota.get(&requests), quota.get(&limits))
            && request.0 > limit.0
        {
            let place = check.key_place(&at, &requests);
            check.warn_at(
                place,
                format!("`{requests}` of {} can never be used: `{limits}` is {}", request.0, limit.0),
                format!("no container requests more than its limit: raise `{limits}` or lower this"),
            );
        }
    }
}

fn key_problem(key: &str) -> Option<(String, String)> {
    let shown = shorten(key);
    if KEYS.contains(&key)
        || key.strip_prefix("count/").is_some_and(|rest| !rest.is_empty())
        || key.contains(".storageclass.storage.k8s.io/")
        || key.ends_with(".deviceclass.resource.k8s.io/devices")
        || key.strip_prefix("requests.").is_some_and(|rest| rest.contains('/'))
    {
        return None;
    }
    if let Some(resource) = key.strip_prefix("limits.").filter(|rest| rest.contains('/')) {
        let help = format!("it equals the request: write `requests.{resource}`");
        return Some((format!("a quota cannot count `{shown}`"), help));
    }
    if key.contains('/') {
        return Some((format!("a quota cannot count `{shown}`"), format!("write `requests.{shown}`")));
    }
    let help = match nearest(key, KEYS.into_iter()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", KEYS[..18].join(", ")),
    };
    Some((format!("a quota cannot count `{shown}`"), help))
}

/// Why a quantity of the resource `key` makes no sense, and what would.
pub(super) fn quantity_problem(key: &str, quantity: &Quantity) -> Option<(String, String)> {
    let thousandths = quantity.thousandths();
    let resource = key.rsplit_once('.').map_or(key, |(before, after)| match before {
        "requests" | "limits" => after,
        _ => key,
    });
    let whole = thousandths / 1000;
    match resource {
        "cpu" if whole > 1_000_000 => Some((
            format!("`{quantity}` is {whole} cores: no cluster has as many"),
            "cores have no unit, or `m` for thousandths: `10`, `500m`".to_string(),
        )),
        "cpu" => None,
        "memory" | "storage" | "ephemeral-storage" => {
            if thousandths % 1000 != 0 {
                Some((
                    format!("`{quantity}` is a part of a byte"),
                    "`m` means thousandths: write `Mi` for mebibytes".to_string(),
                ))
            } else if whole > 0 && whole < (1 << 20) {
                Some((
                    format!("`{quantity}` is {whole} bytes: nothing runs in that"),
                    format!("add a unit: `{}Gi`", whole.min(1024)),
                ))
            } else if whole > 1 << 60 {
                Some((format!("`{quantity}` is more than any cluster has"), "check the unit".to_string()))
            } else {
                None
            }
        }
        _ if thousandths % 1000 != 0 => Some((
            format!("`{quantity}` of `{}` cannot be counted", shorten(key)),
            format!("write a whole number: `{}`", whole + 1),
        )),
        _ if whole > 1_000_000 && !key.contains("storage") => Some((
            format!("`{quantity}` of `{}` is more than any cluster holds", shorten(key)),
            "write a number without a unit".to_string(),
        )),
        _ => None,
    }
}

pub(super) fn check_limits(check: &mut Check<'_>, tenant: &[Step<'_>], limits: &LimitsFile) {
    for (section, quantities) in
        [("defaultRequest", &limits.default_request), ("default", &limits.default), ("max", &limits.max)]
    {
        let at: Vec<Step<'_>> =
            tenant.iter().copied().chain([Step::Key("limits"), Step::Key(section)]).collect();
        for (key, amount) in quantities {
            let known = ["cpu", "memory", "ephemeral-storage", "nvidia.com/gpu"];
            if !known.contains(&key.as_str()) {
                let place = check.key_place(&at, key);
                let help = match nearest(key, known.into_iter()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known here: {}", known.join(", ")),
                };
                check.error_at(place, format!("a container has no limit of `{}`", shorten(key)), help);
            } else if let Some((message, help)) = quantity_problem(key, &amount.0) {
                let path: Vec<Step<'_>> = at.iter().copied().chain([Step::Key(key)]).collect();
                check.error(&path, message, help);
            }
        }
    }
    for (low, below, high, above) in [
        ("defaultRequest", &limits.default_request, "default", &limits.default),
        ("default", &limits.default, "max", &limits.max),
        ("defaultRequest", &limits.default_request, "max", &limits.max),
    ] {
        for (key, amount) in below {
            if let Some(most) = above.get(key).filter(|most| most.0 < amount.0) {
                let path: Vec<Step<'_>> = tenant
                    .iter()
                    .copied()
                    .chain([Step::Key("limits"), Step::Key(low), Step::Key(key)])
                    .collect();
                check.error(
                    &path,
                    format!("`{low}` of {} is greater than `{high}` of {}", amount.0, most.0),
                    format!("lower it to {} or less", most.0),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(key: &str, quantity: &str) -> bool {
        quantity_problem(key, &quantity.parse().expect("a quantity")).is_some()
    }

    #[test]
    fn absurd_quantities_are_seen() {
        assert!(problem("limits.memory", "20") && problem("limits.memory", "500m"));
        assert!(problem("requests.cpu", "20Gi") && problem("pods", "1.5") && problem("pods", "10Gi"));
        assert!(problem("requests.nvidia.com/gpu", "500m"));
    }

    #[test]
    fn sensible_quantities_pass() {
        for (key, quantity) in [
            ("requests.cpu", "10"),
            ("requests.cpu", "500m"),
            ("limits.memory", "20Gi"),
            ("limits.memory", "0"),
            ("requests.storage", "1Ti"),
            ("gold.storageclass.storage.k8s.io/requests.storage", "500Gi"),
            ("requests.nvidia.com/gpu", "0"),
        ] {
            assert!(!problem(key, quantity), "{key} {quantity}");
        }
    }

    #[test]
    fn keys_that_a_quota_cannot_count_come_with_one_that_it_can() {
        let help = |key| key_problem(key).map(|(_, help)| help);
        assert_eq!(help("request.cpu").as_deref(), Some("did you mean `requests.cpu`?"));
        assert_eq!(help("nvidia.com/gpu").as_deref(), Some("write `requests.nvidia.com/gpu`"));
        assert!(help("limits.nvidia.com/gpu").is_some_and(|help| help.contains("`requests.nvidia.com/gpu`")));
        assert_eq!(help("count/deployments.apps"), None);
        assert_eq!(help("gold.storageclass.storage.k8s.io/requests.storage"), None);
    }
}
