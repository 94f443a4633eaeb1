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
/// may be started again. A node that cannot be looked into leads to all of `registries`.
pub(super) async fn users(
    engine: &Engine,
    registries: &[Container],
) -> Result<BTreeMap<String, BTreeSet<String>>, Fault> {
    let nodes = engine.kind_containers(None).await?;
    let asked = nodes.iter().filter(|node| node.is_kind_node()).map(|node| async move {
        let cluster = node.kind_cluster().unwrap_or_default().to_string();
        engine.read_below(node, FOLDER).await.map(|text| (cluster, text))
    });
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (cluster, text) in try_join_all(asked).await? {
        let names: BTreeSet<String> = match &text {
            Some(text) => leads_to(text).map(str::to_string).collect(),
            None => registries.iter().map(|registry| registry.name.clone()).collect(),
        };
        for name in names {
            users.entry(name).or_default().insert(cluster.clone());
        }
    }
    Ok(users)
}
