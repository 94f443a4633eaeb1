use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;

use super::hosts::{FOLDER, leads_to};
use crate::base::{Fault, Owner};
use crate::containers::{Container, Engine, EngineKind};

/// The lab that a run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lab {
    /// The name of its cluster, as the nodes carry it.
    pub cluster: String,
    /// Whose it is.
    pub owner: Owner,
    /// For each engine the network that its nodes will be on, where somebody chose another one than kind does.
    pub networks: BTreeMap<EngineKind, String>,
}

/// The network that kind puts nodes on, unless it is told another one.
const USUAL_NETWORK: &str = "kind";

/// A cluster whose nodes lead to a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct User {
    /// Its name.
    cluster: String,
    /// Whose it is, by the mark of its nodes; one that berth did not make has none.
    owner: Option<Owner>,
}

impl Lab {
    /// Whether `user` is this lab. A cluster of the same name may be somebody else's.
    pub(super) fn is(&self, user: &User) -> bool {
        user.cluster == self.cluster && user.owner.as_ref().is_none_or(|owner| *owner == self.owner)
    }

    /// The network of `engine` that its nodes will be on.
    pub(super) fn network(&self, engine: EngineKind) -> &str {
        self.networks.get(&engine).map_or(USUAL_NETWORK, String::as_str)
    }

    /// A lab for tests, and what its run says of itself: nothing.
    #[cfg(test)]
    pub(super) fn played(name: &str) -> (Self, super::claim::Claims) {
        let owner = Owner { id: "7f3k2q9d".to_string(), environment: name.to_string() };
        let lab = Self { cluster: name.to_string(), owner, networks: BTreeMap::new() };
        let nowhere = std::path::Path::new("/nowhere");
        let claims = super::claim::Claims::new(nowhere, nowhere.join("lock"), &lab);
        (lab, claims)
    }

    /// What `user` is called, if it is another lab than this one.
    pub(super) fn other(&self, user: &User) -> Option<String> {
        let User { cluster, owner } = user;
        match owner {
            _ if self.is(user) => None,
            Some(owner) if *cluster == self.cluster => {
                Some(format!("`{cluster}` of another profile (id `{}`)", owner.id))
            }
            _ => Some(format!("`{cluster}`")),
        }
    }
}

/// The nodes of `cluster` that pull images, also those that do not run.
pub(super) async fn nodes(cluster: &str, engine: &Engine) -> Result<Vec<Container>, Fault> {
    let mut nodes = engine.kind_containers(Some(cluster)).await?;
    nodes.retain(Container::is_kind_node);
    Ok(nodes)
}

/// What a node knows of registries, with the cluster that it is of; `None` when it cannot be looked into.
pub(super) type Known = (User, Option<String>);

/// What all nodes of this machine know of registries. Also those that do not run: they may be started again.
pub(super) async fn known(engine: &Engine) -> Result<Vec<Known>, Fault> {
    let nodes = engine.kind_containers(None).await?;
    let asked = nodes.iter().filter(|node| node.is_kind_node()).map(|node| async move {
        let cluster = node.kind_cluster().unwrap_or_default().to_string();
        let user = User { cluster, owner: node.kind_owner() };
        engine.read_below(node, FOLDER).await.map(|text| (user, text))
    });
    try_join_all(asked).await
}

/// The clusters whose nodes lead to a container, by the name of that one. A node that cannot be looked into leads
/// to all of `registries`. Pure.
pub(super) fn users(known: &[Known], registries: &[Container]) -> BTreeMap<String, BTreeSet<User>> {
    let mut users: BTreeMap<String, BTreeSet<User>> = BTreeMap::new();
    for (user, text) in known {
        let names: BTreeSet<&str> = match text {
            Some(text) => leads_to(text).collect(),
            None => registries.iter().map(|registry| registry.name.as_str()).collect(),
        };
        for name in names {
            users.entry(name.to_string()).or_default().insert(user.clone());
        }
    }
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_of_the_nodes_is_kinds_own_unless_another_one_was_chosen_for_the_engine() {
        let networks = BTreeMap::from([(EngineKind::Docker, "labs".to_string())]);
        let lab = Lab { networks, ..Lab::played("lab").0 };
        assert_eq!((lab.network(EngineKind::Docker), lab.network(EngineKind::Podman)), ("labs", "kind"));
    }

    #[test]
    fn a_cluster_of_the_same_name_that_carries_another_mark_is_another_lab() {
        let owner = |id: &str| Owner { id: id.to_string(), environment: "lab".to_string() };
        let lab = Lab { cluster: "lab".to_string(), owner: owner("7f3k2q9d"), networks: BTreeMap::new() };
        let user = |cluster: &str, owner| User { cluster: cluster.to_string(), owner };
        assert!(lab.is(&user("lab", Some(owner("7f3k2q9d")))));
        assert!(lab.is(&user("lab", None)));
        let theirs = user("lab", Some(owner("zzzzzzzz")));
        assert_eq!(lab.other(&theirs).as_deref(), Some("`lab` of another profile (id `zzzzzzzz`)"));
        assert_eq!(lab.other(&user("next", Some(owner("7f3k2q9d")))).as_deref(), Some("`next`"));
    }

    #[tokio::test]
    async fn a_node_whose_engine_is_removing_it_knows_nothing_and_one_that_cannot_be_read_is_a_fault() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // As Docker 20.10 says it of a container that another process removes.
        let said = "Error response from daemon: RWLayer of container 1f is unexpectedly nil";
        for (status, knows) in [("removing", true), ("dead", true), ("running", false), ("exited", false)] {
            let node = format!(
                r#"[{{"Id": "1f", "Name": "/dev-control-plane", "State": {{"Status": "{status}"}}, "Config":
                {{"Labels": {{"io.x-k8s.kind.cluster": "dev", "io.x-k8s.kind.role": "control-plane"}}}}}}]"#
            );
            let script = format!(
                "case \"$1\" in ps) echo 1f ;; container) echo '{node}' ;; *) echo '{said}' >&2; exit 1 ;; esac"
            );
            let engine = Engine::played(EngineKind::Docker, folder.path(), &script);
            let texts = known(&engine).await.map(|known| known.into_iter().map(|(_, text)| text).collect());
            assert_eq!(texts.ok(), knows.then(|| vec![Some(String::new())]), "{status}");
        }
    }
}
