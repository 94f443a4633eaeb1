use crate::profile::{Environment, Misfit};

/// The addon that scales node groups.
const AUTOSCALER: &str = "cluster-autoscaler";

/// The node groups of `environment` that have a range of nodes where nothing would ever use it: a managed group
/// never scales by itself. Source: <https://docs.aws.amazon.com/eks/latest/userguide/autoscaling.html>
pub fn unscaled(environment: &Environment) -> Vec<Misfit> {
    if environment.addons.iter().any(|addon| addon.name == AUTOSCALER) {
        return Vec::new();
    }
    let groups = environment.node_groups.iter().enumerate();
    let ranges = groups.filter(|(_, group)| group.min < group.max);
    ranges
        .map(|(index, group)| Misfit {
            path: format!("nodeGroups[{index}].nodes"),
            is_key: false,
            message: format!(
                "nothing scales nodes on eks: this group would always have {}",
                group.min.max(1)
            ),
            help: format!("write `nodes: {}`; a rehearsal takes the range: `--rehearse`", group.min.max(1)),
        })
        .collect()
}
