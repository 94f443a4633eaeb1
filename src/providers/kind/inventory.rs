use std::time::Duration;

use super::folder::Folder;
use super::mark::Mark;
use super::step;
use super::verdict::whose;
use crate::base::{Fault, Owner};
use crate::containers::{Container, Engine, EngineKind, EngineSearch};
use crate::flow::Flow;
use crate::providers::{Dirs, Local};

/// How long an engine may take to list its containers. It gives up each question sooner, and says then what to do.
pub(super) const PATIENCE: Duration = Duration::from_secs(45);

/// What of an environment's kind cluster still exists, in words: nothing after a whole `down`. Every engine
/// of the machine is asked, since the cluster may have been made with another one than is used now.
pub async fn remains(local: &Local, owner: &Owner, flow: &Flow) -> Result<Vec<String>, Fault> {
    let mut found: Vec<String> = Vec::new();
    for engine in local.engine.all() {
        let containers = match listed(&engine, flow).await {
            Ok(containers) => containers,
            // One that does not answer can hide nothing that is used, unless it is the chosen one.
            Err(fault) if local.engine.find().is_ok_and(|chosen| chosen == engine) => return Err(fault),
            Err(_) => continue,
        };
        let ours = containers.iter().filter(|one| Mark::of(one).is_some_and(|mark| mark.owner == *owner));
        found.extend(ours.map(|one| format!("container {} ({})", one.name, engine.kind())));
    }
    let folder = Folder::new(&local.dirs, owner);
    for path in [folder.kubeconfig(), folder.kind_kubeconfig(), folder.making()] {
        if path.exists() {
            found.push(format!("`{}`", path.display()));
        }
    }
    Ok(found)
}

/// Removes berth's own files of the cluster of `owner`, which was seen to be gone: whoever took it away.
pub fn forget(dirs: &Dirs, owner: &Owner) -> Result<(), Fault> {
    Folder::new(dirs, owner).remove()
}

/// The kind clusters of this machine that berth made, as far as its engines told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Their owners by their marks, each with the number of its nodes that run and of all.
    pub clusters: Vec<(Owner, usize, usize)>,
    /// The engines that did not answer, and why: what they have is not known.
    pub unanswered: Vec<(EngineKind, Fault)>,
}

/// All kind clusters of this machine that berth made, also those whose state folder is lost. An engine may take
/// `patience` for each answer.
pub async fn standing(search: &EngineSearch, patience: Duration, flow: &Flow) -> Standing {
    let mut found = Standing::default();
    for engine in search.all() {
        let containers = match listed(&engine.patient(patience), flow).await {
            Ok(containers) => containers,
            Err(fault) => {
                found.unanswered.push((engine.kind(), fault));
                continue;
            }
        };
        for container in containers {
            let Some(mark) = Mark::of(&container) else { continue };
            let runs = usize::from(container.runs());
            match found.clusters.iter_mut().find(|(owner, ..)| *owner == mark.owner) {
                Some((_, running, all)) => {
                    *running += runs;
                    *all += 1;
                }
                None => found.clusters.push((mark.owner, runs, 1)),
            }
        }
    }
    found.clusters.sort_by(|one, other| one.0.environment.cmp(&other.0.environment));
    found
}

/// Whose the cluster of these nodes is, in words, if it is not the one of `owner`: none of it carries another
/// mark, and without one it has to be known here as adopted.
pub fn stranger(nodes: &[&Container], owner: &Owner, dirs: &Dirs) -> Option<String> {
    let is_adopted = Folder::new(dirs, owner).adopted().exists();
    let marks = nodes.iter().map(|node| Mark::of(node));
    let mut others = marks.filter(|mark| mark.as_ref().map_or(!is_adopted, |mark| mark.owner != *owner));
    others.next().map(|mark| whose(mark.as_ref()))
}

async fn listed(engine: &Engine, flow: &Flow) -> Result<Vec<Container>, Fault> {
    step::patiently(flow, engine.kind_containers(None)).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Choices;
    use super::*;
    use crate::flow::Cancel;
    use crate::providers::{Proxies, ToolSearch};

    const SILENT: &str = "echo 'Cannot connect to the daemon. Is it running?' >&2; exit 1";

    /// An engine that has nodes with these marks, each the id and the name of an environment.
    fn has(marks: &[(&str, &str)]) -> String {
        let node = |(id, environment): &(&str, &str)| {
            let mark = format!("/etc/berth/{id}/{environment}/image-0a1b2c3d");
            let mount = json!({"Type": "bind", "Source": "/dev/null", "Destination": mark, "RW": false});
            json!({"Id": id, "Name": format!("/{environment}-control-plane"), "State": {"Status": "running"},
                "Config": {"Labels": {"io.x-k8s.kind.cluster": environment}}, "Mounts": [mount]})
        };
        let nodes = json!(marks.iter().map(node).collect::<Vec<_>>());
        format!(
            "case \"$*\" in 'ps '*) echo node ;; 'container inspect '*) echo '{nodes}' ;; *) exit 70 ;; esac"
        )
    }

    /// What remains of environment `lab` of owner `7f3k2q9d`, with Docker in use and Podman beside it.
    async fn left(docker: &str, podman: &str) -> Result<Vec<String>, Fault> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Engine::played(EngineKind::Docker, folder.path(), docker);
        Engine::played(EngineKind::Podman, folder.path(), podman);
        let local = Local {
            dirs: Dirs { state: folder.path().join("state"), cache: folder.path().join("cache") },
            tools: ToolSearch::default(),
            engine: EngineSearch::new(None, folder.path()),
            kind: Choices::default(),
            proxies: Proxies::default(),
        };
        let owner = Owner { id: "7f3k2q9d".to_string(), environment: "lab".to_string() };
        remains(&local, &owner, &Flow::new(Cancel::default())).await
    }

    #[tokio::test]
    async fn what_is_left_in_any_engine_is_told_and_what_others_have_is_not() {
        let docker = has(&[("7f3k2q9d", "lab"), ("7f3k2q9d", "dev"), ("other123", "lab")]);
        let podman = has(&[("7f3k2q9d", "lab")]);
        let told = ["docker", "podman"].map(|engine| format!("container lab-control-plane ({engine})"));
        assert_eq!(left(&docker, &podman).await, Ok(told.to_vec()));
        let others = has(&[("7f3k2q9d", "dev"), ("other123", "lab")]);
        assert_eq!(left(&others, &others).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn that_nothing_is_left_is_not_said_when_the_engine_in_use_does_not_answer() {
        let own = has(&[("7f3k2q9d", "lab")]);
        let told = vec!["container lab-control-plane (docker)".to_string()];
        assert_eq!(left(&own, SILENT).await, Ok(told), "nobody uses that engine");
        let fault = left(SILENT, &own).await.expect_err("it is not known");
        assert!(fault.reason.contains("Is it running?"), "{fault}");
    }
}
