use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;

use super::hosts::{FOLDER, leads_to};
use crate::base::Fault;
use crate::containers::{Container, Engine};

/// The nodes of `cluster` that pull images, also those that do not run.
pub(super) async fn nodes(cluster: &str, engine: &Engine) -> Result<Vec<Container>, Fault> {
    let mut nodes = engine.kind_containers(Some(cluster)).await?;
    nodes.retain(Container::is_kind_node);
    Ok(nodes)
}

/// The clusters whose nodes lead to a container, by the name of that one. Also of nodes that do not run: they
/// may be started again.
pub(super) async fn users(engine: &Engine) -> Result<BTreeMap<String, BTreeSet<String>>, Fault> {
    let nodes = engine.kind_containers(None).await?;
    let asked = nodes.iter().filter(|node| node.is_kind_node()).map(|node| async move {
        let cluster = node.kind_cluster().unwrap_or_default().to_string();
        known_to(&node.name, engine).await.map(|names| (cluster, names))
    });
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (cluster, names) in try_join_all(asked).await? {
        for name in names {
            users.entry(name).or_default().insert(cluster.clone());
        }
    }
    Ok(users)
}

/// The containers that the files of `node` lead to.
async fn known_to(node: &str, engine: &Engine) -> Result<BTreeSet<String>, Fault> {
    // An archive of all files, which can be had of a container that does not run, too.
    let attempted = format!("see which registries `{node}` uses");
    let archive = engine.run(&attempted, ["cp", &format!("{node}:{FOLDER}"), "-"]).await?;
    if archive.succeeded() {
        return Ok(leads_to(&archive.stdout).map(str::to_string).collect());
    }
    // One that has no such folder knows nothing, and so does one that has gone meanwhile.
    let said = archive.stderr.to_lowercase();
    if ["could not find", "no such", "not found", "not exist"].iter().any(|words| said.contains(words)) {
        return Ok(BTreeSet::new());
    }
    Err(engine.failed(&attempted, &archive))
}
