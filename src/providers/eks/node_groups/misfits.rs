use crate::profile::{Environment, Misfit};

/// Why an up of `environment` would never end. What runs in every cluster (`coredns`, the EBS CSI driver, and what adds
/// nodes) needs a node that takes it, and only a group without taints that has nodes from the first has one.
/// Source: <https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html>, and that the addon `coredns`
/// stays DEGRADED without.
pub fn misfits(environment: &Environment) -> Vec<Misfit> {
    let groups = &environment.node_groups;
    let has_nodes = groups.iter().any(|group| group.min > 0);
    let has_first = groups.iter().any(|group| group.min > 0 && !super::is_tainted(group));
    if has_first || groups.is_empty() {
        return Vec::new();
    }
    let (message, help) = if environment.is_scaled() {
        (
            "nothing would add the first node: what adds nodes needs one without taints to run on",
            "give one group without taints and GPUs at least one node: `nodes: {min: 1, max: 3}`",
        )
    } else if !has_nodes {
        (
            "there would be no node for what runs in every cluster, such as its DNS",
            "give one group without taints and GPUs at least one node: `nodes: 1`",
        )
    } else {
        (
            "no node would take what runs in every cluster, such as its DNS: all that there are have taints or GPUs",
            "add a group without taints and GPUs: `- {name: general, machine: m7i.large, nodes: 1}`",
        )
    };
    vec![Misfit {
        path: "nodeGroups".to_string(),
        is_key: true,
        message: message.to_string(),
        help: help.to_string(),
    }]
}
