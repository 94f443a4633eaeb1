//! The GPUs of this machine in the nodes that kind makes, the way nvkind goes (<https://github.com/NVIDIA/nvkind>):
//! Docker's default runtime is NVIDIA's, a node says by mounts which GPUs it is to have, and what kind's node image
//! lacks is set up in the node once it runs.

mod host;
mod node;
mod setup;
mod shares;

pub(super) use host::look;
pub use host::{Gpu, GpuSight, Held};
pub use setup::GpuSetup;
pub(super) use shares::{Shares, free, split};

use crate::containers::Container;

/// Where a container says which GPUs it is to have: one mount of `/dev/null` for each, called by its id, its index or
/// `all`. NVIDIA's runtime heeds it where `accept-nvidia-visible-devices-as-volume-mounts` is set.
const MOUNTS: &str = "/var/run/nvidia-container-devices";

/// The mount by which a node asks for the GPU `id`.
pub(super) fn mount(id: &str) -> String {
    format!("{MOUNTS}/{id}")
}

/// The GPUs that `container` asks for: ids, indices or `all`.
fn asked_for(container: &Container) -> Vec<&str> {
    let mounts = container.mounts.iter().map(|mount| mount.destination.as_str());
    // Others name them with the kind of the device in between.
    let names = mounts.filter_map(|path| path.strip_prefix(MOUNTS)?.rsplit_once('/'));
    names.map(|(_, name)| name).filter(|name| !name.is_empty()).collect()
}

/// Whether `name` is the id of a whole GPU as the driver gives it: it is also safe to be put into a command.
fn is_id(name: &str) -> bool {
    let is_plain = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    name.strip_prefix("GPU-").is_some_and(|rest| !rest.is_empty() && is_plain(rest))
}

/// The GPUs of `nvidia-smi -L`, in its order: `GPU 0: Tesla T4 (UUID: GPU-30594b63-…)`, and behind one that is
/// partitioned its parts, each on a line of its own that is indented.
fn listed(text: &str) -> Vec<Gpu> {
    let mut gpus: Vec<Gpu> = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("MIG ") {
            if let Some(gpu) = gpus.last_mut() {
                gpu.partitioned = true;
            }
        } else if let Some((_, rest)) = line.strip_prefix("GPU ").and_then(|line| line.split_once(": "))
            && let Some((name, id)) = rest.trim_end().trim_end_matches(')').rsplit_once(" (UUID: ")
            && is_id(id)
        {
            gpus.push(Gpu { id: id.to_string(), name: name.to_string(), partitioned: false });
        }
    }
    gpus
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::containers::{ContainerState, Mount};

    /// From the README of nvkind.
    pub(in crate::providers::kind) const TWO: &str = "\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-4404041a-04cf-1ccf-9e70-f139a9b1e23c)
";

    pub(in crate::providers::kind) fn container(name: &str, cluster: &str, mounts: &[&str]) -> Container {
        let mount = |destination: &&str| Mount {
            source: "/dev/null".to_string(),
            destination: (*destination).to_string(),
            writable: false,
        };
        Container {
            id: name.to_string(),
            name: name.to_string(),
            state: ContainerState::Running,
            restarted: false,
            started: None,
            image: String::new(),
            image_id: String::new(),
            labels: Container::kind_labels(cluster, "worker"),
            mounts: mounts.iter().map(mount).collect(),
            networks: BTreeMap::new(),
            ports: Vec::new(),
        }
    }

    #[test]
    fn what_nvidia_smi_lists_is_read_with_ids_and_names() {
        let gpus = listed(TWO);
        assert_eq!(gpus.len(), 2);
        assert_eq!(gpus[1].id, "GPU-4404041a-04cf-1ccf-9e70-f139a9b1e23c");
        assert_eq!(gpus[1].name, "NVIDIA A100-SXM4-40GB");
        assert!(!gpus[1].partitioned);
        assert_eq!(listed("No devices were found\n"), []);
        // What could end a word of a shell is no id.
        assert_eq!(listed("GPU 0: x (UUID: GPU-1;reboot)\n"), []);
    }

    #[test]
    fn a_gpu_in_parts_is_known_as_such() {
        let text = "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)\n  \
                    MIG 1g.5gb      Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)\n\
                    GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-4404041a-04cf-1ccf-9e70-f139a9b1e23c)\n";
        let partitioned: Vec<bool> = listed(text).iter().map(|gpu| gpu.partitioned).collect();
        assert_eq!(partitioned, [true, false]);
    }

    #[test]
    fn a_node_says_by_its_mounts_what_it_asks_for() {
        let mounts = [
            mount("GPU-1"),
            mount("all"),
            format!("{MOUNTS}/cdi/runtime.nvidia.com/gpu/3"),
            "/var/run/nvidia".to_string(),
        ];
        let mounts: Vec<&str> = mounts.iter().map(String::as_str).collect();
        assert_eq!(asked_for(&container("a", "lab", &mounts)), ["GPU-1", "all", "3"]);
    }
}
