use crate::base::ResourceId;
use crate::engine::{Need, Removal, Resource};

/// The cluster of an environment and its machines, ready for the graph.
pub struct Provided {
    /// What the cluster stands on, made before it.
    pub ground: Vec<Part>,
    /// The cluster. Unless there is a door, it publishes how to reach it.
    pub cluster: Box<dyn Resource>,
    /// What the cluster comes behind besides, and goes before.
    pub cluster_behind: Vec<Need>,
    /// Who lets us in, and publishes how to reach the cluster, where that is not the cluster itself.
    pub door: Option<Part>,
    /// Machines, and what the platform brings for them, each for itself.
    pub machines: Vec<Part>,
    /// Its node groups, inside the cluster.
    pub node_groups: Box<dyn Resource>,
    /// How `down` takes the cluster away.
    pub cluster_removal: Removal,
    /// How `down` takes the machines away.
    pub node_groups_removal: Removal,
    /// What goes beside it: what left the profile, each part once nothing uses it any more, and what a removal sweeps up.
    /// Each says itself what it comes behind.
    pub leaving: Vec<Part>,
}

/// A resource, and how `down` takes it away.
pub struct Part {
    /// The resource.
    pub resource: Box<dyn Resource>,
    /// How it goes.
    pub removal: Removal,
    /// What it comes behind besides what it needs by itself, and goes before.
    pub behind: Vec<Need>,
}

impl Part {
    /// `resource`, which goes by `removal`.
    pub fn new(resource: impl Resource + 'static, removal: Removal) -> Self {
        Self { resource: Box::new(resource), removal, behind: Vec::new() }
    }

    /// The same one, behind these others too.
    #[must_use]
    pub fn behind<'a>(mut self, others: impl IntoIterator<Item = &'a ResourceId>) -> Self {
        self.behind.extend(others.into_iter().cloned().map(Need::Ready));
        self
    }
}

impl Provided {
    /// A cluster and its node groups, and nothing else.
    pub(super) fn bare(
        cluster: impl Resource + 'static,
        node_groups: impl Resource + 'static,
        removals: (Removal, Removal),
    ) -> Self {
        Self {
            ground: Vec::new(),
            cluster: Box::new(cluster),
            cluster_behind: Vec::new(),
            door: None,
            machines: Vec::new(),
            node_groups: Box::new(node_groups),
            cluster_removal: removals.0,
            node_groups_removal: removals.1,
            leaving: Vec::new(),
        }
    }

    /// The id of what publishes how the cluster is reached, for what lives inside it.
    pub fn cluster_id(&self) -> &ResourceId {
        self.door.as_ref().map_or(self.cluster.id(), |door| door.resource.id())
    }
}
