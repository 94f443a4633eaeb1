//! Images of this machine on the nodes of a kind cluster: what is wanted, which nodes lack it, and one stream
//! from the engine, or from an archive, into all of those at once.

mod batch;
mod node;
mod wanted;

use super::{Dirs, kind};
use crate::base::{Fault, FaultKind, Owner};
use crate::containers::{Container, Engine};
use crate::profile::{ClusterSpec, Environment};

pub use batch::{Batch, Landed, batches};
pub use node::Node;
pub use wanted::{Source, Wanted, is_file};

/// Whether images can be loaded into the nodes of `environment`: only those of kind are containers of this
/// machine.
///
/// # Errors
/// `Invalid`, with what to do instead.
pub fn loadable(environment: &Environment) -> Result<(), Fault> {
    let provider = environment.cluster.provider();
    let (reason, hint) = match &environment.cluster {
        ClusterSpec::Kind(_) => return Ok(()),
        ClusterSpec::Kwok(_) => (
            "its nodes are simulated: they run no images",
            "a profile with `cluster: kind: {}` has nodes that do".to_string(),
        ),
        ClusterSpec::Existing(_) | ClusterSpec::Eks(_) | ClusterSpec::Gke(_) => (
            "its nodes are not on this machine",
            "push the image to a registry that the cluster pulls from: `docker push`".to_string(),
        ),
    };
    let attempted = format!("load images into `{}`, of provider {provider}", environment.name);
    Err(Fault::new(FaultKind::Invalid, attempted, reason).hint(hint))
}

/// The running nodes of the kind cluster of `owner`, each with the images that it has. `dirs` are where it is
/// known which clusters were adopted.
///
/// # Errors
/// When there is no such cluster, or the one of this name is somebody else's, or one of its nodes does not run: it
/// would lack the image later.
/// `up` is the command that makes or starts it.
pub async fn nodes(engine: &Engine, owner: &Owner, dirs: &Dirs, up: &str) -> Result<Vec<Node>, Fault> {
    let cluster = &owner.environment;
    let attempted = format!("load images into `{cluster}`");
    let found = engine.kind_containers(Some(cluster)).await?;
    let nodes: Vec<&Container> = found.iter().filter(|container| container.is_kind_node()).collect();
    if nodes.is_empty() {
        let reason = format!("{} has no cluster of this name", engine.kind());
        return Err(Fault::new(FaultKind::Invalid, attempted, reason).hint(format!("`{up}` makes it")));
    }
    if let Some(whose) = kind::stranger(&nodes, owner, dirs) {
        let reason = format!("the kind cluster of this name is not this environment's: {whose}");
        let hint =
            format!("`{up}` says what to do about it; `kind load` puts images into any cluster of kind");
        return Err(Fault::new(FaultKind::Conflict, attempted, reason).hint(hint));
    }
    let stopped: Vec<String> =
        nodes.iter().filter(|node| !node.runs()).map(|node| format!("`{}`", node.name)).collect();
    if !stopped.is_empty() {
        let reason = format!(
            "{} of its nodes {} not run: {}",
            stopped.len(),
            if stopped.len() == 1 { "does" } else { "do" },
            stopped.join(", ")
        );
        return Err(
            Fault::new(FaultKind::Invalid, attempted, reason).hint(format!("`{up}` starts the cluster"))
        );
    }
    let looks = nodes.iter().map(|node| Node::look(engine, &node.name));
    futures::future::try_join_all(looks).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::containers::EngineKind;

    fn owner() -> Owner {
        Owner { id: "abcd1234".to_string(), environment: "lab".to_string() }
    }

    fn dirs() -> Dirs {
        Dirs { state: "/nowhere/state".into(), cache: "/nowhere/cache".into() }
    }

    #[tokio::test]
    async fn an_engine_that_hangs_is_given_up_with_a_remedy() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let hanging = Engine::played(EngineKind::Docker, folder.path(), "exec tail -f /dev/null")
            .patient(Duration::from_millis(50));
        let fault = nodes(&hanging, &owner(), &dirs(), "berth up lab").await.expect_err("no answer");
        assert!(fault.reason.starts_with("no answer within"), "{fault}");
        assert!(fault.hint.expect("a remedy").contains("restart docker"));
    }

    #[tokio::test]
    async fn a_socket_that_is_missing_is_no_missing_cluster() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let said = "unable to connect: dial unix /run/x.sock: connect: no such file or directory";
        let script = format!("echo 'Cannot connect to the Docker daemon: {said}' >&2; exit 1");
        let engine = Engine::played(EngineKind::Docker, folder.path(), &script);
        let fault = nodes(&engine, &owner(), &dirs(), "berth up lab").await.expect_err("not reachable");
        assert!(fault.hint.expect("a remedy").contains("start Docker"));
    }
}
