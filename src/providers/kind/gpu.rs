use crate::base::{Change, ChangeKind};
use crate::profile::NodeGroup;

/// What keeps the groups that need GPUs from being made: berth does not set up the nodes of kind for them, so
/// they would be made without, and never are.
pub(super) fn in_the_way(groups: &[NodeGroup]) -> Vec<Change> {
    const WHY: &str = "berth cannot give GPUs to the nodes that kind makes, on any machine, and makes no such group \
                       without them; rehearse the profile with `--rehearse`, or leave the group out on kind";
    let with_gpus = groups.iter().filter(|group| group.resources.gpus > 0 && group.max > 0);
    with_gpus
        .map(|group| Change::new(ChangeKind::Conflict, format!("node group {}", group.name)).because(WHY))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::nodes::sample_group;

    #[test]
    fn a_group_with_gpus_is_refused_since_it_would_have_none() {
        let groups = [sample_group("general", 1, 1, 0), sample_group("gpu", 1, 1, 1)];
        let refused = in_the_way(&groups);
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].subject, "node group gpu");
        assert!(refused[0].reason.as_ref().is_some_and(|why| why.contains("--rehearse")));
        assert_eq!(in_the_way(&groups[..1]), Vec::new());
    }
}
