//! Whether what the tenants may ask for is there.

use super::Check;
use crate::profile::tree::Step;
use crate::profile::{NodeGroup, Tenant};

/// What is added up: the name of it, the keys of a quota that ask for it, and what it is counted in.
const COUNTED: [(&str, [&str; 2], Unit); 3] = [
    ("cores", ["requests.cpu", "cpu"], Unit::Count),
    ("of memory", ["requests.memory", "memory"], Unit::Bytes),
    ("GPUs", ["requests.nvidia.com/gpu", "requests.nvidia.com/gpu"], Unit::Count),
];

#[derive(Clone, Copy)]
enum Unit {
    Count,
    Bytes,
}

impl Unit {
    fn show(self, thousandths: i128) -> String {
        match self {
            Self::Count if thousandths % 1000 == 0 => (thousandths / 1000).to_string(),
            Self::Count => format!("{thousandths}m"),
            Self::Bytes => match thousandths / 1000 / (1 << 20) {
                mebibytes if mebibytes % 1024 == 0 => format!("{}Gi", mebibytes / 1024),
                mebibytes => format!("{mebibytes}Mi"),
            },
        }
    }
}

/// Warns when the quotas together ask for more than all nodes have when every group is at its greatest.
pub(super) fn check(check: &mut Check<'_>, groups: &[NodeGroup], tenants: &[Tenant]) {
    if groups.is_empty() || !check.is_complete("nodeGroups") {
        return;
    }
    for (name, keys, unit) in COUNTED {
        let has: i128 = groups
            .iter()
            .map(|group| {
                let one = match name {
                    "cores" => group.resources.cpu.thousandths(),
                    "GPUs" => i128::from(group.resources.gpus) * 1000,
                    _ => group.resources.memory.thousandths(),
                };
                one.saturating_mul(i128::from(group.max))
            })
            .fold(0, i128::saturating_add);
        let asked = |tenant: &Tenant| {
            let quantity = keys.iter().find_map(|key| tenant.quota.get(*key));
            // A quota holds in each namespace.
            let namespaces = i128::try_from(tenant.namespaces.len()).unwrap_or(1);
            quantity.map_or(0, |quantity| quantity.thousandths().saturating_mul(namespaces))
        };
        let asks = tenants.iter().map(asked).fold(0, i128::saturating_add);
        if asks <= has {
            continue;
        }
        let greedy = tenants.iter().max_by_key(|tenant| asked(tenant));
        let greedy = greedy.map_or("", |tenant| tenant.name.as_str());
        let place = check.tree.entry("tenants").or_else(|| check.tree.entry("tenantsFrom"));
        let place = place.map_or(check.tree.place, |entry| entry.key_place);
        let place = if tenants.len() == 1 { quota_place(check, keys[0]).unwrap_or(place) } else { place };
        check.warn_at(
            place,
            format!(
                "the tenants may ask for {} {} in all, the nodes have {} at most",
                unit.show(asks),
                if asks == 1000 { name.trim_end_matches('s') } else { name },
                unit.show(has)
            ),
            format!("raise `nodes`, or lower `{}` (the tenant `{greedy}` has the most)", keys[0]),
        );
    }
}

fn quota_place(check: &Check<'_>, key: &str) -> Option<crate::profile::tree::Place> {
    let quota = [Step::Key("tenants"), Step::Item(0), Step::Key("quota")];
    let tenant = check.tree.get("tenants")?.items().first()?;
    tenant.get("quota")?.get(key).map(|_| check.key_place(&quota, key))
}
