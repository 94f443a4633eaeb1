use crate::base::{Capability, Platform, ProviderKind};
use crate::profile::{ClusterSpec, Environment};
use crate::providers::brings_nodes;

/// What the declared provider of `environment` can do for addons and tenants. A rehearsal keeps it:
/// it is there to try what will be true on the real platform.
pub fn platform(environment: &Environment) -> Platform {
    let provider = environment.cluster.provider();
    Platform {
        provider,
        cluster: environment.name.clone(),
        region: match &environment.cluster {
            ClusterSpec::Eks(eks) => Some(eks.region.clone()),
            _ => None,
        },
        kubernetes: environment.kubernetes,
        kubernetes_assumed: environment.kubernetes_assumed,
        rehearsal: environment.rehearsal,
        load_balancer: match provider {
            ProviderKind::Eks | ProviderKind::Gke => Capability::Native,
            ProviderKind::Kind => Capability::ByAddon,
            ProviderKind::Kwok => Capability::Absent,
            ProviderKind::Existing => Capability::Unknown,
        },
        ports_mapped: match &environment.cluster {
            ClusterSpec::Kind(kind) => kind.ports.iter().any(|port| matches!(port.node, 80 | 443)),
            _ => false,
        },
        dns_addresses: texts(match provider {
            // The nodes of Auto Mode answer themselves, at the address of a Service without pods: one of these, by
            // the network of the cluster. https://github.com/aws/containers-roadmap/issues/2552
            // https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html
            ProviderKind::Eks if brings_nodes(environment) => &["10.100.0.10/32", "172.20.0.10/32"],
            // Node-local DNS cache and Cloud DNS: both answer outside the pod network.
            // https://cloud.google.com/kubernetes-engine/docs/how-to/nodelocal-dns-cache
            ProviderKind::Gke => &["169.254.20.10/32", "169.254.169.254/32"],
            _ => &[],
        }),
        native_addons: texts(match provider {
            // EKS brings it as an add-on of its own; kwokctl runs it beside the API server.
            ProviderKind::Gke | ProviderKind::Eks | ProviderKind::Kwok => &["metrics-server"],
            ProviderKind::Kind | ProviderKind::Existing => &[],
        }),
        // Not asked for yet: what uses it has to do without.
        network: None,
    }
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}
