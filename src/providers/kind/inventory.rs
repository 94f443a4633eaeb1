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
