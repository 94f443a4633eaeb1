use super::{asked_for, listed, mount};
use crate::base::{Fault, Owner, label};
use crate::containers::{Container, Engine, EngineKind};
use crate::os::Finished;

/// What NVIDIA's runtimes for Docker are called: `nvidia`, or with the way it takes behind.
const RUNTIME: &str = "nvidia";

/// A GPU of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// As its driver calls it everywhere and always: `GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c`.
    pub id: String,
    /// `NVIDIA A100-SXM4-40GB`
    pub name: String,
    /// Whether it is in parts (MIG), which nodes of kind cannot be given.
    pub partitioned: bool,
}

/// A GPU that a kind cluster has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub gpu: String,
    /// The name of the cluster.
    pub cluster: String,
}

/// What was seen of this machine's GPUs, as nodes of kind would see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuSight {
    /// The engine cannot be told to give GPUs to containers that do not ask by a flag, and kind has none.
    OtherEngine(EngineKind),
    /// Containers get another runtime than NVIDIA's.
    OtherRuntime {
        /// The one that they get.
        default: String,
        /// Whether the engine has NVIDIA's too.
        has_nvidia: bool,
    },
    /// It can be seen only once the engine has the node image.
    NoImage,
    /// A container that asked as nodes do got none; what was said instead.
    NotGiven(String),
    /// A container that asked as nodes do got these.
    Given {
        /// All of this machine, in the order of `nvidia-smi`.
        gpus: Vec<Gpu>,
        /// Those of other clusters.
        held: Vec<Held>,
    },
}

/// Looks at the GPUs that nodes of `owner` would get: a container of `image`, the node image, asks for all as nodes
/// do, lists them and is gone. Without the image nothing is started and nothing pulled.
pub(in crate::providers::kind) async fn look(
    engine: &Engine,
    owner: &Owner,
    image: Option<&str>,
) -> Result<GpuSight, Fault> {
    if engine.kind() != EngineKind::Docker {
        return Ok(GpuSight::OtherEngine(engine.kind()));
    }
    let info = engine.info().await?;
    let is_nvidia = |name: &String| name.starts_with(RUNTIME);
    if !is_nvidia(&info.default_runtime) {
        let has_nvidia = info.runtimes.iter().any(is_nvidia);
        return Ok(GpuSight::OtherRuntime { default: info.default_runtime, has_nvidia });
    }
    let Some(image) = image else { return Ok(GpuSight::NoImage) };
    if engine.image(image, None).await?.is_none() {
        return Ok(GpuSight::NoImage);
    }
    let arguments = [
        "run".to_string(),
        "--rm".to_string(),
        "--network=none".to_string(),
        format!("--label={}={}", label::OWNER, owner.id),
        format!("--label={}={}", label::ENVIRONMENT, owner.environment),
        format!("--volume=/dev/null:{}", mount("all")),
        "--entrypoint=nvidia-smi".to_string(),
        image.to_string(),
        "-L".to_string(),
    ];
    let (finished, clusters) =
        futures::try_join!(engine.run("list the GPUs", arguments), engine.kind_containers(None))?;
    let gpus = listed(&finished.stdout);
    if gpus.is_empty() || !finished.succeeded() {
        return Ok(GpuSight::NotGiven(said(&finished)));
    }
    let held = held(&gpus, &clusters, &owner.environment);
    Ok(GpuSight::Given { gpus, held })
}

/// Which of `gpus` the nodes of other clusters than `own` have.
fn held(gpus: &[Gpu], containers: &[Container], own: &str) -> Vec<Held> {
    let others = containers.iter().filter_map(|one| Some((one, one.kind_cluster()?)));
    let others = others.filter(|(_, cluster)| *cluster != own);
    let asked = others.flat_map(|(one, cluster)| asked_for(one).into_iter().map(move |name| (name, cluster)));
    let mut held: Vec<Held> = Vec::new();
    for (name, cluster) in asked {
        for (index, gpu) in gpus.iter().enumerate() {
            let is_meant = name == "all" || name == gpu.id || name == index.to_string();
            if is_meant && held.iter().all(|one| one.gpu != gpu.id) {
                held.push(Held { gpu: gpu.id.clone(), cluster: cluster.to_string() });
            }
        }
    }
    held
}

/// What a program said that did not do what it should: `nvidia-smi` speaks on standard output, docker on standard
/// error.
fn said(finished: &Finished) -> String {
    let text = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        // Of a container that did not start docker says also that it waits no longer for it, and where its help is.
        let aside = ["Run '", "See '", "ERRO["];
        let mut lines = lines.filter(|line| !aside.iter().any(|start| line.starts_with(start)));
        lines.next_back().map(str::to_string)
    };
    let nothing = || "it listed none".to_string();
    text(&finished.stderr).or_else(|| text(&finished.stdout)).unwrap_or_else(nothing)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TWO, container};
    use super::*;

    #[test]
    fn what_other_clusters_have_is_known_by_id_by_index_and_all_at_once() {
        let gpus = listed(TWO);
        let held = |mounts: &[&str]| -> Vec<String> {
            let containers = [container("a", "other", mounts), container("b", "lab", &[&mount(&gpus[1].id)])];
            held(&gpus, &containers, "lab").into_iter().map(|one| one.gpu).collect()
        };
        assert_eq!(held(&[&mount(&gpus[0].id)]), [gpus[0].id.clone()]);
        assert_eq!(held(&[&mount("1")]), [gpus[1].id.clone()]);
        assert_eq!(held(&[&mount("all")]), [gpus[0].id.clone(), gpus[1].id.clone()]);
        assert_eq!(held(&[]), Vec::<String>::new());
    }

    #[test]
    fn what_is_said_instead_is_told_whoever_says_it() {
        let finished = |stdout: &str, stderr: &str| Finished {
            code: Some(1),
            stdout: stdout.to_string(),
            stderr: stderr.to_string(),
        };
        assert_eq!(said(&finished("No devices were found\n", "")), "No devices were found");
        let docker = "docker: Error response from daemon: no nvidia-smi\n\nRun 'docker run --help' for more information\n";
        assert_eq!(said(&finished("", docker)), "docker: Error response from daemon: no nvidia-smi");
        // https://github.com/ameli/manylinux-cuda/issues/5
        let hook = "docker: Error response from daemon: failed to create task for container: error running hook: exit \
                    status 1, stdout: , stderr: Auto-detected mode as 'legacy'\nnvidia-container-cli: initialization \
                    error: load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or \
                    directory: unknown.\nERRO[0000] error waiting for container: \n";
        assert!(said(&finished("", hook)).starts_with("nvidia-container-cli: initialization error: "));
        assert_eq!(said(&finished("", "")), "it listed none");
    }
}
