use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;

use super::hosts::{FOLDER, leads_to};
use crate::base::Fault;
use crate::containers::{Container, Engine};

/// The label of the nodes that kind makes; its value is the name of the cluster.
pub(super) const CLUSTER: &str = "io.x-k8s.kind.cluster";

/// The nodes of `cluster` that pull images, also those that do not run.
pub(super) async fn nodes(cluster: &str, engine: &Engine) -> Result<Vec<Container>, Fault> {
    let mut nodes = engine.containers_with(&format!("{CLUSTER}={cluster}")).await?;
    nodes.retain(pulls);
    Ok(nodes)
}

/// Whether a node pulls images: what spreads the requests to several control planes does not.
fn pulls(node: &Container) -> bool {
    !node.name.ends_with("-external-load-balancer")
}

/// The clusters whose nodes lead to a container, by the name of that one. Also of nodes that do not run: they
/// may be started again.
pub(super) async fn users(engine: &Engine) -> Result<BTreeMap<String, BTreeSet<String>>, Fault> {
    let nodes = engine.containers_with(CLUSTER).await?;
    let asked = nodes.iter().filter(|node| pulls(node)).map(|node| async move {
        let cluster = node.labels.get(CLUSTER).cloned().unwrap_or_default();
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
