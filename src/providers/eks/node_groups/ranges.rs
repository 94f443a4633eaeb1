use crate::profile::{Environment, Misfit};

/// Why nothing of `environment` would ever be scaled: what adds nodes runs on one itself, and cannot add the first.
pub fn unscaled(environment: &Environment) -> Vec<Misfit> {
    let mut groups = environment.node_groups.iter();
    if !environment.is_scaled() || groups.any(|group| group.min > 0 && !super::is_tainted(group)) {
        return Vec::new();
    }
    vec![Misfit {
        path: "nodeGroups".to_string(),
        is_key: true,
        message: "nothing would add the first node: what adds nodes needs one without taints to run on"
            .to_string(),
        help: "give one group without taints and GPUs at least one node: `nodes: {min: 1, max: 3}`"
            .to_string(),
    }]
}
