use super::sight::gpu_sight;
use super::{Finding, KindSight, Level};
use crate::base::{Owner, Remedy};
use crate::profile::Environment;
use crate::profile::schema::KindCluster;
use crate::providers::Local;
use crate::providers::kind::gpus::{self, GpuSight, Held};
use crate::providers::nodes::count;

/// What Docker has to be told so that nodes of kind can have GPUs.
const HOST_SET_UP: &str = "`sudo nvidia-ctk runtime configure --runtime=docker --set-as-default --cdi.enabled`, \
    `sudo nvidia-ctk config --set accept-nvidia-visible-devices-as-volume-mounts=true --in-place`, \
    `sudo systemctl restart docker`";
/// Where `nvidia-ctk` comes from.
const GET_TOOLKIT: &str =
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html";

/// The GPUs that a cluster will ask of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedGpus {
    /// Whose cluster it is.
    pub owner: Owner,
    /// The node image, where it is chosen already.
    pub image: Option<String>,
    /// The groups that have GPUs: never empty.
    pub groups: Vec<GpuGroup>,
}

/// A node group with GPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuGroup {
    /// Its name.
    pub name: String,
    /// How many nodes it has.
    pub nodes: u32,
    /// How many GPUs each of them has.
    pub each: u32,
}

impl WantedGpus {
    /// What the cluster of `environment` asks for, which declares `spec`; `None` when it asks for none.
    pub fn of(environment: &Environment, spec: &KindCluster, local: &Local) -> Option<Self> {
        let groups = environment.node_groups.iter().map(|group| GpuGroup {
            name: group.name.clone(),
            nodes: count(group),
            each: group.resources.gpus,
        });
        let groups: Vec<GpuGroup> = groups.filter(|group| group.nodes > 0 && group.each > 0).collect();
        (!groups.is_empty()).then(|| Self {
            owner: environment.owner.clone(),
            image: spec.image.clone().or_else(|| local.kind.image.clone()),
            groups,
        })
    }

    fn number(&self) -> u32 {
        self.groups.iter().map(|group| group.nodes * group.each).sum()
    }

    /// `` node group `gpu` ``
    fn subject(&self) -> String {
        let names: Vec<String> = self.groups.iter().map(|group| format!("`{}`", group.name)).collect();
        format!("GPUs of node group {}", names.join(", "))
    }
}

/// Looks for what `wanted` asks for, for a cluster of `kubernetes`: which GPUs there are, or what is wrong. `None`
/// without an engine.
pub async fn check_gpus(
    local: &Local,
    wanted: &WantedGpus,
    kubernetes: (u32, u32),
    kind: &KindSight,
) -> Option<Result<String, Finding>> {
    let sight = gpu_sight(local, wanted, kubernetes, kind).await?;
    Some(match (finding(&sight, wanted), &sight) {
        (Some(finding), _) => Err(finding),
        (None, GpuSight::Given { gpus, held }) => {
            let free = gpus::free(gpus, held).len();
            let found = format!("{} wanted, {free} free: {}", wanted.number(), whereabouts(gpus, held));
            Ok(found)
        }
        (None, _) => Ok(String::new()),
    })
}

/// What `sight` means for a cluster that asks for `wanted`: that there are fewer than it asks for is never made good
/// by nodes without.
pub(in crate::providers::kind) fn finding(sight: &GpuSight, wanted: &WantedGpus) -> Option<Finding> {
    let rehearse = format!("rehearse: `berth up {} --rehearse`", wanted.owner.environment);
    let fail = |found: String, remedy: String| {
        Some(Finding {
            level: Level::Fail,
            what: wanted.subject(),
            found,
            remedy: Remedy::from(remedy).or(&rehearse),
        })
    };
    match sight {
        GpuSight::OtherEngine(engine) => fail(
            format!("{engine} gives none to the nodes of kind, only Docker does, by NVIDIA's runtime"),
            "use Docker: `BERTH_ENGINE=docker`".to_string(),
        ),
        GpuSight::OtherRuntime { default, has_nvidia: true } => fail(
            format!(
                "Docker has NVIDIA's runtime, but containers get `{default}` by default, and so do kind's nodes"
            ),
            format!("make it the default: {HOST_SET_UP}"),
        ),
        GpuSight::OtherRuntime { default, has_nvidia: false } => fail(
            format!(
                "Docker has no NVIDIA runtime, only `{default}` by default, which gives GPUs to no container"
            ),
            format!("install NVIDIA's driver and container toolkit ({GET_TOOLKIT}), then {HOST_SET_UP}"),
        ),
        GpuSight::NotGiven(said) if said.contains("executable file not found") => fail(
            "Docker's NVIDIA runtime gave none to a container that asked as kind's nodes do, by a mount"
                .to_string(),
            format!("let it heed mounts: {HOST_SET_UP}"),
        ),
        GpuSight::NotGiven(said) => fail(
            format!("a container of NVIDIA's runtime got none: {said}"),
            format!("`nvidia-smi -L` has to list them on this machine, then {HOST_SET_UP}"),
        ),
        GpuSight::NoImage => Some(Finding {
            level: Level::Warn,
            what: wanted.subject(),
            found: "whether containers get any is seen once Docker has the node image".to_string(),
            remedy: "`up` gets it and looks before it makes anything".into(),
        }),
        GpuSight::Given { gpus, held } => {
            let (asked, free) = (wanted.number() as usize, gpus::free(gpus, held).len());
            if asked <= free {
                return None;
            }
            let groups: Vec<String> = wanted.groups.iter().map(in_words).collect();
            fail(
                format!(
                    "{asked} wanted ({}), {free} free: {}; no GPU is given to two nodes",
                    groups.join(", "),
                    whereabouts(gpus, held)
                ),
                "ask for fewer: `nodes`, or `nvidia.com/gpu` in `resources`, or `berth down` what has the others"
                    .to_string(),
            )
        }
    }
}

/// `` `gpu`: 2 nodes with 1 each ``
fn in_words(group: &GpuGroup) -> String {
    let nodes = if group.nodes == 1 { "1 node".to_string() } else { format!("{} nodes", group.nodes) };
    format!("`{}`: {nodes} with {}{}", group.name, group.each, if group.nodes == 1 { "" } else { " each" })
}

/// `this machine has 4, of which cluster `dev` has 1 and 1 is in parts (MIG)`
fn whereabouts(all: &[gpus::Gpu], held: &[Held]) -> String {
    let mut others: Vec<String> = Vec::new();
    let mut clusters: Vec<&str> = held.iter().map(|held| held.cluster.as_str()).collect();
    clusters.dedup();
    for cluster in clusters {
        let count = held.iter().filter(|held| held.cluster == cluster).count();
        others.push(format!("kind cluster `{cluster}` has {count}"));
    }
    let parts = all.iter().filter(|gpu| gpu.partitioned).count();
    if parts > 0 {
        others.push(format!("{parts} in parts (MIG), which nodes of kind cannot be given"));
    }
    let all = all.len();
    if others.is_empty() {
        format!("this machine has {all}")
    } else {
        format!("this machine has {all}, of these {}", others.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::EngineKind;
    use crate::providers::kind::gpus::Gpu;

    fn wanted(nodes: u32, each: u32) -> WantedGpus {
        WantedGpus {
            owner: Owner { id: "7f3k2q9d".to_string(), environment: "lab".to_string() },
            image: None,
            groups: vec![GpuGroup { name: "gpu".to_string(), nodes, each }],
        }
    }

    fn given(held: &[&str]) -> GpuSight {
        let gpu = |id: &str| Gpu { id: id.to_string(), name: String::new(), partitioned: false };
        let held = held.iter().map(|gpu| Held { gpu: (*gpu).to_string(), cluster: "dev".to_string() });
        GpuSight::Given { gpus: vec![gpu("a"), gpu("b")], held: held.collect() }
    }

    #[test]
    fn every_way_of_having_none_is_refused_with_what_to_type_and_the_rehearsal() {
        let sights = [
            (GpuSight::OtherEngine(EngineKind::Podman), "BERTH_ENGINE=docker"),
            (GpuSight::OtherRuntime { default: "runc".to_string(), has_nvidia: true }, "--set-as-default"),
            (GpuSight::OtherRuntime { default: "runc".to_string(), has_nvidia: false }, "install-guide"),
            (
                GpuSight::NotGiven("exec: \"nvidia-smi\": executable file not found in $PATH".to_string()),
                "accept-nvidia-visible-devices-as-volume-mounts=true",
            ),
            (GpuSight::NotGiven("No devices were found".to_string()), "`nvidia-smi -L` has to list them"),
        ];
        for (sight, typed) in sights {
            let found = finding(&sight, &wanted(1, 1)).expect("there are none");
            assert_eq!(found.level, Level::Fail);
            assert!(found.remedy.text.contains(typed), "{sight:?}: {found:?}");
            let told = found.remedy.to_string();
            assert!(told.ends_with("; or rehearse: `berth up lab --rehearse`"), "{told}");
        }
    }

    #[test]
    fn as_many_as_there_are_can_be_had_and_one_more_cannot() {
        assert_eq!(finding(&given(&[]), &wanted(2, 1)), None);
        assert_eq!(finding(&given(&[]), &wanted(1, 2)), None);
        let short = finding(&given(&[]), &wanted(3, 1)).expect("too few");
        assert!(short.found.starts_with("3 wanted (`gpu`: 3 nodes with 1 each), 2 free"), "{short:?}");
    }

    #[test]
    fn what_another_cluster_has_is_told_with_its_name() {
        assert_eq!(finding(&given(&["a"]), &wanted(1, 1)), None);
        let short = finding(&given(&["a"]), &wanted(2, 1)).expect("too few");
        assert!(short.found.contains("this machine has 2, of these kind cluster `dev` has 1"), "{short:?}");
    }

    #[test]
    fn a_node_image_that_is_not_here_yet_keeps_nobody_from_making_a_plan() {
        let found = finding(&GpuSight::NoImage, &wanted(1, 1)).expect("it is told");
        assert_eq!(found.level, Level::Warn);
    }
}
