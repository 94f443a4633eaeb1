use crate::base::{Change, ChangeKind};
use crate::containers::Info;
use crate::profile::NodeGroup;

/// The engine's runtime that gives GPUs to containers.
const RUNTIME: &str = "nvidia";
/// Where that runtime looks for the GPUs that a container is to have: the names of what is mounted there.
pub(super) const VISIBLE: &str = "/var/run/nvidia-container-devices/all";

/// What keeps the groups that need GPUs from having them on this machine: never are they made without.
pub(super) fn in_the_way(groups: &[NodeGroup], info: &Info) -> Vec<Change> {
    if info.default_runtime == RUNTIME {
        return Vec::new();
    }
    let with_gpus = groups.iter().filter(|group| group.resources.gpus > 0 && group.max > 0);
    with_gpus
        .map(|group| {
            let why = format!(
                "GPUs reach the nodes of kind only through the runtime `{RUNTIME}`, and the container engine's \
                 default is `{}`; rehearse the profile with `--rehearse`, or set the machine up: install the \
                 NVIDIA container toolkit, `sudo nvidia-ctk runtime configure --runtime=docker --set-as-default`, \
                 `sudo nvidia-ctk config --set accept-nvidia-visible-devices-as-volume-mounts=true --in-place`, and \
                 restart Docker",
                info.default_runtime
            );
            Change::new(ChangeKind::Conflict, format!("node group {}", group.name)).because(why)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::nodes::sample_group;

    #[test]
    fn a_group_with_gpus_is_refused_where_the_engine_cannot_give_any() {
        let groups = [sample_group("general", 1, 1, 0), sample_group("gpu", 1, 1, 1)];
        let plain = Info { default_runtime: "runc".to_string(), ..Info::default() };
        let refused = in_the_way(&groups, &plain);
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].subject, "node group gpu");
        assert!(refused[0].reason.as_ref().is_some_and(|why| why.contains("--rehearse")));
        let able = Info { default_runtime: "nvidia".to_string(), ..plain };
        assert_eq!(in_the_way(&groups, &able), Vec::new());
        assert_eq!(in_the_way(&groups[..1], &Info::default()), Vec::new());
    }
}
