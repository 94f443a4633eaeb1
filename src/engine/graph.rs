use std::collections::BTreeSet;

use super::resource::Resource;
use crate::base::ResourceId;

/// What a resource has to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// An output that another resource publishes, in whatever state that one is.
    Output {
        /// Who publishes it.
        from: ResourceId,
        /// Under which key.
        key: &'static str,
    },
    /// Another resource, ready.
    Ready(ResourceId),
    /// It lives inside another resource: it is absent when that one is.
    Inside(ResourceId),
}

impl Need {
    /// The resource that has to come first.
    pub fn on(&self) -> &ResourceId {
        match self {
            Self::Output { from: other, .. } | Self::Ready(other) | Self::Inside(other) => other,
        }
    }
}

/// How `down` takes a resource away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// By its own deletion.
    Itself,
    /// It goes when the resource that it is inside of goes.
    WithContainer,
    /// It was there before berth and stays.
    Kept,
    /// It is only looked at: there is nothing of it to take away.
    LookedAt,
}

/// All resources of an environment, in an order in which each comes after what it needs.
pub struct Graph {
    nodes: Vec<Node>,
}

pub(super) struct Node {
    pub(super) resource: Box<dyn Resource>,
    pub(super) removal: Removal,
    pub(super) needs: Vec<Need>,
    /// Whether it stays in a part of the graph that has all that it needs.
    goes_along: bool,
}

impl Graph {
    /// A graph without resources.
    pub fn new() -> Self {
        Self { nodes: Vec::new() }
    }

    /// Adds a resource behind everything that it needs.
    pub fn add(&mut self, resource: Box<dyn Resource>, removal: Removal) {
        let needs = resource.needs();
        self.nodes.push(Node { resource, removal, needs, goes_along: false });
    }

    /// Adds a resource behind everything that it needs and behind `more`.
    pub fn add_behind(&mut self, resource: Box<dyn Resource>, removal: Removal, more: Vec<Need>) {
        let needs = resource.needs().into_iter().chain(more).collect();
        self.nodes.push(Node { resource, removal, needs, goes_along: false });
    }

    /// Adds a resource behind everything that it needs, to be kept with that: it tells of it.
    pub fn add_along(&mut self, resource: Box<dyn Resource>, removal: Removal) {
        let needs = resource.needs();
        self.nodes.push(Node { resource, removal, needs, goes_along: true });
    }

    /// The ids of all resources, in order.
    pub fn ids(&self) -> impl Iterator<Item = &ResourceId> {
        self.nodes.iter().map(|node| node.resource.id())
    }

    /// How `down` takes each resource away, in order.
    pub fn removals(&self) -> impl Iterator<Item = (&ResourceId, Removal)> {
        self.nodes.iter().map(|node| (node.resource.id(), node.removal))
    }

    /// Keeps only the resources that `wanted` accepts, all that those need, and what goes along with it.
    pub fn keep_only(&mut self, wanted: impl Fn(&ResourceId) -> bool) {
        let mut kept: BTreeSet<ResourceId> = BTreeSet::new();
        for node in self.nodes.iter().rev() {
            let id = node.resource.id();
            if !wanted(id) && !kept.contains(id) {
                continue;
            }
            kept.insert(id.clone());
            kept.extend(node.needs.iter().map(|need| need.on().clone()));
        }
        let is_complete = |node: &Node| node.needs.iter().all(|need| kept.contains(need.on()));
        self.nodes.retain(|node| kept.contains(node.resource.id()) || (node.goes_along && is_complete(node)));
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

impl Default for Graph {
    fn default() -> Self {
        Self::new()
    }
}
