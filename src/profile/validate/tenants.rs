//! Owners of namespaces.

use std::collections::HashMap;

use super::Check;
use super::access::Groups;
use super::names::{check_duplicates, check_label, is_host};
use super::{quota, sizes};
use crate::base::Quantity;
use crate::profile::schema::{Amount, EnvironmentFile, LimitsFile, PodSecurityLevel, Quantities, TenantFile};
use crate::profile::tree::{Place, Step, shorten};
use crate::profile::{PodSecurity, Tenant, TenantGroups, TenantLimits};

/// With what berth puts before and behind it, a name still fits a label.
const LONGEST_NAME: usize = 40;
const LONGEST_NAMESPACE: usize = 63;
/// Namespaces that Kubernetes, the clouds or berth keep for themselves; a hyphen ends a prefix.
const RESERVED: [&str; 9] = [
    "kube-",
    "default",
    "berth-system",
    "gke-",
    "gmp-",
    "amazon-",
    "metallb-system",
    "local-path-storage",
    "traefik",
];

/// Who has claimed what so far.
#[derive(Default)]
struct Claims {
    namespaces: HashMap<String, (String, Place)>,
    hosts: HashMap<String, (String, Place)>,
}

/// The tenants, sorted by name; what they get by default is written into `file` as well.
pub(super) fn tenants(check: &mut Check<'_>, file: &mut EnvironmentFile, groups: &Groups<'_>) -> Vec<Tenant> {
    check_duplicates(check, "tenants", "tenants");
    let defaults = file.tenant_defaults;
    let mut claims = Claims::default();
    let mut tenants = Vec::with_capacity(file.tenants.len());
    for (index, tenant) in file.tenants.iter_mut().enumerate() {
        tenant.size = Some(tenant.size.unwrap_or(defaults.size));
        tenant.pod_security = Some(tenant.pod_security.unwrap_or(defaults.pod_security));
        tenants.push(one(check, index, tenant, groups, &mut claims));
    }
    tenants.sort_by(|a, b| a.name.cmp(&b.name));
    file.tenants.sort_by(|a, b| a.name.cmp(&b.name));
    tenants
}

fn one(
    check: &mut Check<'_>,
    index: usize,
    tenant: &mut TenantFile,
    groups: &Groups<'_>,
    claims: &mut Claims,
) -> Tenant {
    let at = [Step::Key("tenants"), Step::Item(index)];
    let place = check.tree.place_of(&[at[0], at[1], Step::Key("name")]);
    check_label(check, place, "the tenant", &tenant.name, LONGEST_NAME);
    check_namespaces(check, index, tenant, claims);
    check_hosts(check, index, tenant, claims);
    quota::check_quota(check, &at, &tenant.quota);
    quota::check_limits(check, &at, &tenant.limits);
    check_allow_from(check, index, tenant);
    let mut subjects = |role, names: &[String]| {
        groups.resolve(check, names, &[at[0], at[1], Step::Key("groups"), Step::Key(role)])
    };
    let tenant_groups = TenantGroups {
        admin: subjects("admin", &tenant.groups.admin),
        editor: subjects("editor", &tenant.groups.editor),
        viewer: subjects("viewer", &tenant.groups.viewer),
    };
    let quota = sizes::quota(tenant.size.unwrap_or_default(), &tenant.quota);
    let limits = sizes::limits(&quota, &tenant.limits);
    tenant.quota = amounts(&quota);
    tenant.limits = limits_file(&limits);
    Tenant {
        name: tenant.name.clone(),
        namespaces: tenant.namespaces.clone(),
        groups: tenant_groups,
        quota,
        limits,
        pod_security: match tenant.pod_security.unwrap_or_default() {
            PodSecurityLevel::Restricted => PodSecurity::Restricted,
            PodSecurityLevel::Baseline => PodSecurity::Baseline,
        },
        allow_from: tenant.network.allow_from.iter().map(|from| from.namespace.clone()).collect(),
        hosts: tenant.hosts.clone(),
    }
}

fn amounts(quantities: &std::collections::BTreeMap<String, Quantity>) -> Quantities {
    quantities.iter().map(|(key, quantity)| (key.clone(), Amount(quantity.clone()))).collect()
}

fn limits_file(limits: &TenantLimits) -> LimitsFile {
    LimitsFile {
        default_request: amounts(&limits.default_request),
        default: amounts(&limits.default),
        max: amounts(&limits.max),
    }
}

fn check_namespaces(check: &mut Check<'_>, index: usize, tenant: &mut TenantFile, claims: &mut Claims) {
    let at = [Step::Key("tenants"), Step::Item(index)];
    if tenant.namespaces.is_empty() {
        tenant.namespaces.push(tenant.name.clone());
    }
    let listed = check.tree.place_of(&at) != check.tree.place_of(&[at[0], at[1], Step::Key("namespaces")]);
    for (number, namespace) in tenant.namespaces.iter().enumerate() {
        let path = [at[0], at[1], Step::Key("namespaces"), Step::Item(number)];
        let place = if listed {
            check.tree.place_of(&path)
        } else {
            check.tree.place_of(&[at[0], at[1], Step::Key("name")])
        };
        if listed {
            check_label(check, place, "the namespace", namespace, LONGEST_NAMESPACE);
        }
        if is_reserved(namespace) {
            check.error_at(
                place,
                format!("the namespace `{}` is not for tenants", shorten(namespace)),
                format!("choose a name of its own: `{}-ns`", shorten(&tenant.name)),
            );
        }
        let claim = (tenant.name.clone(), place);
        if let Some((owner, other)) = claims.namespaces.insert(namespace.clone(), claim) {
            let message = if owner == tenant.name {
                format!("the namespace `{}` stands twice", shorten(namespace))
            } else {
                format!("the namespace `{}` belongs to the tenant `{owner}` already", shorten(namespace))
            };
            let help =
                format!("it is claimed {}: a namespace has one owner", check.files.refer(other, place));
            check.error_at(place, message, help);
        }
    }
}

fn is_reserved(namespace: &str) -> bool {
    let is_prefix = |reserved: &str| reserved.ends_with('-') && namespace.starts_with(reserved);
    RESERVED.iter().any(|reserved| namespace == *reserved || is_prefix(reserved))
}

fn check_hosts(check: &mut Check<'_>, index: usize, tenant: &TenantFile, claims: &mut Claims) {
    for (number, host) in tenant.hosts.iter().enumerate() {
        let path = [Step::Key("tenants"), Step::Item(index), Step::Key("hosts"), Step::Item(number)];
        let place = check.tree.place_of(&path);
        if !is_host(host) {
            check.error_at(
                place,
                format!("`{}` is no host name", shorten(host)),
                "write a DNS name in lower case, without scheme, port or path: `checkout.example.com`",
            );
            continue;
        }
        let claim = (tenant.name.clone(), place);
        if let Some((owner, other)) = claims.hosts.insert(host.clone(), claim) {
            let message = if owner == tenant.name {
                format!("the host `{host}` stands twice")
            } else {
                format!("the host `{host}` belongs to the tenant `{owner}` already")
            };
            let help = format!("it is claimed {}: a host has one owner", check.files.refer(other, place));
            check.error_at(place, message, help);
        }
    }
}

fn check_allow_from(check: &mut Check<'_>, index: usize, tenant: &TenantFile) {
    for (number, from) in tenant.network.allow_from.iter().enumerate() {
        let path = [
            Step::Key("tenants"),
            Step::Item(index),
            Step::Key("network"),
            Step::Key("allowFrom"),
            Step::Item(number),
            Step::Key("namespace"),
        ];
        let place = check.tree.place_of(&path);
        check_label(check, place, "the namespace", &from.namespace, LONGEST_NAMESPACE);
    }
}
