use super::catalog::{Addon, Catalog};
use super::definition::{Ability, NodeGroupKind, Want};
use crate::base::{Capability, Platform};
use crate::profile::{AddonSpec, NodeGroup};

/// Something that an addon wants of an environment, and who gives it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// `load balancer`, `node group with GPUs`.
    pub what: &'static str,
    /// Whether the addon does something without it.
    pub optional: bool,
    /// Who gives it: `the platform`, `metallb`, `node group gpu`; none when nobody is known to.
    pub from: Option<String>,
}

impl Catalog {
    /// What `addon` wants, and who gives it among the addons and node groups of a profile.
    pub fn needs(
        &self,
        addon: &Addon,
        all: &[AddonSpec],
        node_groups: &[NodeGroup],
        platform: &Platform,
    ) -> Vec<Met> {
        let mut met = Vec::new();
        if let Some(want) = addon.definition.needs.load_balancer {
            let native = platform.load_balancer == Capability::Native;
            let from = || all.iter().find(|spec| self.gives_addresses(spec)).map(|spec| spec.name.clone());
            met.push(Met {
                what: "load balancer",
                optional: want == Want::Optional,
                from: if native { Some("the platform".to_string()) } else { from() },
            });
        }
        if let Some(NodeGroupKind::Gpu) = addon.definition.needs.node_group {
            let groups: Vec<&str> = node_groups
                .iter()
                .filter(|group| group.resources.gpus > 0)
                .map(|group| group.name.as_str())
                .collect();
            let from = (!groups.is_empty()).then(|| format!("node group {}", groups.join(", ")));
            met.push(Met { what: "node group with GPUs", optional: false, from });
        }
        met
    }

    /// Whether an addon of a profile gives Services of type `LoadBalancer` an address.
    pub(super) fn gives_addresses(&self, spec: &AddonSpec) -> bool {
        self.get(&spec.name).is_ok_and(|addon| addon.definition.provides.contains(&Ability::LoadBalancer))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::ProviderKind;

    fn needs(addon: &str, all: &[&str], load_balancer: Capability) -> Vec<Met> {
        let catalog = Catalog::load(&[]).expect("the shipped addons");
        let platform = Platform {
            provider: ProviderKind::Kind,
            kubernetes: (1, 36),
            rehearsal: false,
            load_balancer,
            dns_addresses: Vec::new(),
            native_addons: Vec::new(),
        };
        let spec = |name: &&str| AddonSpec { name: (*name).to_string(), options: json!({}) };
        let all: Vec<AddonSpec> = all.iter().map(spec).collect();
        catalog.needs(catalog.get(addon).expect("ships"), &all, &[], &platform)
    }

    #[test]
    fn a_load_balancer_comes_from_the_platform_from_an_addon_or_from_nobody() {
        let from = |all: &[&str], capability| needs("traefik", all, capability)[0].from.clone();
        assert_eq!(from(&["traefik"], Capability::Native).as_deref(), Some("the platform"));
        assert_eq!(from(&["traefik", "metallb"], Capability::ByAddon).as_deref(), Some("metallb"));
        assert_eq!(from(&["traefik"], Capability::ByAddon), None);
    }

    #[test]
    fn gpus_come_from_node_groups() {
        let met = needs("nvidia-device-plugin", &[], Capability::Unknown);
        assert_eq!(met, [Met { what: "node group with GPUs", optional: false, from: None }]);
        assert_eq!(needs("metrics-server", &[], Capability::Native), []);
    }
}
