use std::collections::BTreeMap;

use crate::base::{ProviderKind, Quantity};

/// The kubelet evicts pods when less memory than this is left, so it is no pod's to ask for.
const EVICTION_MIB: i128 = 100;

/// What pods may ask for on a machine of `capacity`: its capacity without what the provider's kubelet
/// keeps for itself and the system.
///
/// GKE: the formulas of <https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes>.
/// EKS: those of the kubelet configuration that its AL2023 images write
/// (<https://github.com/awslabs/amazon-eks-ami>, nodeadm): CPU as on GKE, memory by the number of pods.
/// On kind and kwok nothing is reserved; what an existing cluster reserves is not known.
pub(super) fn allocatable(
    provider: ProviderKind,
    capacity: &BTreeMap<String, String>,
    pods: u32,
) -> BTreeMap<String, String> {
    let mut allocatable = capacity.clone();
    if !matches!(provider, ProviderKind::Eks | ProviderKind::Gke) {
        return allocatable;
    }
    let quantity = |key: &str| capacity.get(key).and_then(|text| text.parse::<Quantity>().ok());
    if let Some(cpu) = quantity("cpu") {
        let millis = cpu.thousandths();
        allocatable.insert("cpu".to_string(), format!("{}m", millis - reserved_cpu(millis)));
    }
    if let Some(memory) = quantity("memory") {
        let mib = memory.thousandths() / 1000 / (1 << 20);
        let reserved = match provider {
            ProviderKind::Eks => 255 + 11 * i128::from(pods),
            _ => reserved_memory_of_gke(mib),
        };
        let left = (mib - reserved - EVICTION_MIB).max(0);
        allocatable.insert("memory".to_string(), format!("{left}Mi"));
    }
    allocatable
}

/// 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest; in millicores.
fn reserved_cpu(millis: i128) -> i128 {
    let share =
        |from: i128, to: i128, basis_points: i128| (millis.min(to) - from).max(0) * basis_points / 10_000;
    share(0, 1000, 600) + share(1000, 2000, 100) + share(2000, 4000, 50) + share(4000, i128::MAX / 10_000, 25)
}

/// 255 MiB of a machine with less than 1 GiB; else 25 % of the first 4 GiB, 20 % of the next 4, 10 % of
/// the next 8, 6 % of the next 112, 2 % of the rest; in MiB.
fn reserved_memory_of_gke(mib: i128) -> i128 {
    const GIB: i128 = 1024;
    if mib < GIB {
        return 255;
    }
    let share = |from: i128, to: i128, percent: i128| (mib.min(to) - from).max(0) * percent / 100;
    share(0, 4 * GIB, 25)
        + share(4 * GIB, 8 * GIB, 20)
        + share(8 * GIB, 16 * GIB, 10)
        + share(16 * GIB, 128 * GIB, 6)
        + share(128 * GIB, i128::MAX / 100, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(provider: ProviderKind, cpu: &str, memory: &str) -> (String, String) {
        let capacity = BTreeMap::from([
            ("cpu".to_string(), cpu.to_string()),
            ("memory".to_string(), memory.to_string()),
        ]);
        let mut left = allocatable(provider, &capacity, 110);
        (left.remove("cpu").expect("there"), left.remove("memory").expect("there"))
    }

    #[test]
    fn gke_keeps_a_falling_share_for_itself() {
        // 4 cores: 60 + 10 + 10 = 80 m. 16 GiB: 1024 + 819 + 819 MiB and 100 MiB for eviction.
        assert_eq!(on(ProviderKind::Gke, "4", "16Gi"), ("3920m".to_string(), "13622Mi".to_string()));
        assert_eq!(on(ProviderKind::Gke, "96", "384Gi").0, "95690m");
    }

    #[test]
    fn eks_keeps_memory_by_the_number_of_pods() {
        assert_eq!(on(ProviderKind::Eks, "2", "8Gi"), ("1930m".to_string(), "6627Mi".to_string()));
    }

    #[test]
    fn a_laptop_keeps_nothing() {
        assert_eq!(on(ProviderKind::Kind, "8", "32Gi"), ("8".to_string(), "32Gi".to_string()));
    }
}
