use super::{Container, Engine, EngineKind};
use crate::base::{Fault, Owner};

/// The label by which kind knows the containers of a cluster; its value is the cluster's name.
const CLUSTER: &str = "io.x-k8s.kind.cluster";
/// The label that says what a container is in its cluster: `control-plane`, `worker` or [`LOAD_BALANCER`].
const ROLE: &str = "io.x-k8s.kind.role";
/// The container that spreads the requests to several control planes.
const LOAD_BALANCER: &str = "external-load-balancer";

/// Where the mark of berth lies in a node, as the destination of a mount: `/etc/berth/ID/ENVIRONMENT/DIGEST`.
pub const MARK_FOLDER: &str = "/etc/berth";

impl Engine {
    /// The containers of the kind cluster `cluster`, or of all of them; also those that do not run, by name.
    pub async fn kind_containers(&self, cluster: Option<&str>) -> Result<Vec<Container>, Fault> {
        match cluster {
            Some(cluster) => self.containers_with(&format!("{CLUSTER}={cluster}")).await,
            None => self.containers_with(CLUSTER).await,
        }
    }

    /// Removes the volumes of `nodes`, whose containers are gone. With Podman kind gives each node a volume with a name,
    /// before its container is made: nobody else removes that of a node that never came to be.
    ///
    /// # Errors
    /// Also when one of them is in use.
    pub async fn remove_kind_volumes(&self, nodes: &[String]) -> Result<(), Fault> {
        if self.kind() != EngineKind::Podman {
            return Ok(());
        }
        let mut volumes = Vec::new();
        for node in nodes {
            let filter = format!("label={node}");
            let arguments = ["volume", "ls", "--quiet", "--filter", filter.as_str()];
            let listed = self.ask("list volumes", arguments).await?;
            volumes.extend(listed.stdout.split_whitespace().map(str::to_string));
        }
        if volumes.is_empty() {
            return Ok(());
        }
        let arguments = ["volume", "rm"].map(str::to_string).into_iter().chain(volumes);
        self.call("remove volumes of nodes", arguments).await.map(drop)
    }
}

impl Container {
    /// The kind cluster that it belongs to.
    pub fn kind_cluster(&self) -> Option<&str> {
        self.labels.get(CLUSTER).map(String::as_str)
    }

    /// Whose the kind cluster is that it belongs to, by the mark of berth; `None` when it carries none.
    pub fn kind_owner(&self) -> Option<Owner> {
        self.mounts.iter().find_map(|mount| {
            let below = mount.destination.strip_prefix(MARK_FOLDER)?.strip_prefix('/')?;
            let mut parts = below.split('/');
            let (id, environment) = (parts.next()?, parts.next()?);
            parts.next()?;
            Some(Owner { id: id.to_string(), environment: environment.to_string() })
        })
    }

    /// Of a container of a kind cluster: whether it is a node, which pulls images and runs pods.
    pub fn is_kind_node(&self) -> bool {
        self.labels.get(ROLE).is_none_or(|role| role != LOAD_BALANCER)
    }

    /// Of a container of a kind cluster: whether it is a control plane.
    pub fn is_kind_control_plane(&self) -> bool {
        self.labels.get(ROLE).is_some_and(|role| role == "control-plane")
    }

    /// The labels that kind gives a container, for those who play one.
    #[cfg(test)]
    pub(crate) fn kind_labels(cluster: &str, role: &str) -> std::collections::BTreeMap<String, String> {
        [(CLUSTER, cluster), (ROLE, role)]
            .into_iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::ContainerState;

    fn container(role: &str) -> Container {
        Container {
            id: String::new(),
            name: format!("lab-{role}"),
            state: ContainerState::Running,
            restarted: false,
            started: None,
            image: String::new(),
            image_id: String::new(),
            labels: Container::kind_labels("lab", role),
            mounts: Vec::new(),
            networks: std::collections::BTreeMap::new(),
            ports: Vec::new(),
        }
    }

    #[test]
    fn the_load_balancer_of_a_cluster_belongs_to_it_and_is_no_node() {
        for (role, node, control_plane) in
            [("control-plane", true, true), ("worker", true, false), ("external-load-balancer", false, false)]
        {
            let container = container(role);
            assert_eq!(container.kind_cluster(), Some("lab"), "{role}");
            assert_eq!(container.is_kind_node(), node, "{role}");
            assert_eq!(container.is_kind_control_plane(), control_plane, "{role}");
        }
    }
}
