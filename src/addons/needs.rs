use std::fmt;

use super::catalog::Catalog;
use super::definition::{Ability, Needs, NodeGroupKind, Want};
use crate::base::{Capability, Platform};
use crate::profile::{AddonSpec, NodeGroup};

/// What addons can want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Somebody who gives Services of type `LoadBalancer` an address.
    LoadBalancer,
    /// Machines with NVIDIA GPUs.
    Gpus,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoadBalancer => "load balancer",
            Self::Gpus => "node group with GPUs",
        })
    }
}

impl Needs {
    /// What is wanted, each with whether the addon does something without it.
    pub fn wanted(&self) -> Vec<(Wanted, bool)> {
        let load_balancer = self.load_balancer.map(|want| (Wanted::LoadBalancer, want == Want::Optional));
        let machines = self.node_group.map(|NodeGroupKind::Gpu| (Wanted::Gpus, false));
        load_balancer.into_iter().chain(machines).collect()
    }
}

impl Catalog {
    /// Who gives `wanted` among the platform, the addons and the node groups of a profile: `the platform`,
    /// `metallb`, `node group gpu`; none when nobody is known to.
    pub fn giver(
        &self,
        wanted: Wanted,
        all: &[AddonSpec],
        node_groups: &[NodeGroup],
        platform: &Platform,
    ) -> Option<String> {
        match wanted {
            Wanted::LoadBalancer if platform.load_balancer == Capability::Native => {
                Some("the platform".to_string())
            }
            Wanted::LoadBalancer => {
                all.iter().find(|spec| self.gives_addresses(spec)).map(|spec| spec.name.clone())
            }
            Wanted::Gpus => {
                let groups = node_groups.iter().filter(|group| group.resources.gpus > 0);
                let names: Vec<&str> = groups.map(|group| group.name.as_str()).collect();
                (!names.is_empty()).then(|| format!("node group {}", names.join(", ")))
            }
        }
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
    use crate::profile::AddonSource;

    fn giver(wanted: Wanted, all: &[&str], load_balancer: Capability) -> Option<String> {
        let catalog = Catalog::load(&[]).expect("the shipped addons");
        let platform = Platform {
            provider: ProviderKind::Kind,
            cluster: "dev".to_string(),
            region: None,
            kubernetes: (1, 36),
            kubernetes_assumed: false,
            rehearsal: false,
            load_balancer,
            ports_mapped: false,
            dns_addresses: Vec::new(),
            native_addons: Vec::new(),
            network: None,
        };
        let spec = |name: &&str| AddonSpec {
            name: (*name).to_string(),
            options: json!({}),
            version: None,
            source: AddonSource::Catalog,
        };
        let all: Vec<AddonSpec> = all.iter().map(spec).collect();
        catalog.giver(wanted, &all, &[], &platform)
    }

    #[test]
    fn a_load_balancer_comes_from_the_platform_from_an_addon_or_from_nobody() {
        let from = |all: &[&str], capability| giver(Wanted::LoadBalancer, all, capability);
        assert_eq!(from(&["traefik"], Capability::Native).as_deref(), Some("the platform"));
        assert_eq!(from(&["traefik", "metallb"], Capability::ByAddon).as_deref(), Some("metallb"));
        assert_eq!(from(&["traefik"], Capability::ByAddon), None);
    }

    #[test]
    fn gpus_come_from_node_groups_alone() {
        assert_eq!(giver(Wanted::Gpus, &["nvidia-device-plugin"], Capability::Native), None);
    }

    #[test]
    fn what_an_addon_wants_stands_in_its_definition() {
        let catalog = Catalog::load(&[]).expect("the shipped addons");
        let wanted = |name| catalog.get(name).expect("ships").definition.needs.wanted();
        assert_eq!(wanted("traefik"), [(Wanted::LoadBalancer, true)]);
        assert_eq!(wanted("nvidia-device-plugin"), [(Wanted::Gpus, false)]);
        assert_eq!(wanted("metrics-server"), []);
    }
}
