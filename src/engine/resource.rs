use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::graph::Need;
use crate::base::{Change, Clock, ClusterAccess, Fault, Network, Note, ResourceId};
use crate::flow::Flow;

/// One thing that the engine can observe, change and delete.
///
/// Waiting belongs to the engine: a resource says [`State::Progressing`] and returns.
pub trait Resource: Send + Sync {
    /// Its name, unique in the graph.
    fn id(&self) -> &ResourceId;

    /// What has to stand before it can be observed or changed.
    fn needs(&self) -> Vec<Need>;

    /// What it is made of, in a few words, for a plan made before it can be observed: `7 objects`.
    /// Empty when making it is nothing that a plan should show.
    fn outline(&self) -> String {
        String::new()
    }

    /// Whether it can be looked at though what it needs is not there: it lives beside that, under a name of its own,
    /// and is asked for by that name. A survey then waits for the outputs that there are, and asks in any case.
    fn looks_alone(&self) -> bool {
        false
    }

    /// Of what looks alone: the thing that it is nothing without. When nobody answered whether that is there, a survey
    /// does not ask.
    fn beside(&self) -> Option<&ResourceId> {
        None
    }

    /// The pauses between two looks at it while it is on its way, the shortest and the longest. Of what is far away
    /// a look costs more than of what is near.
    fn pauses(&self) -> (Duration, Duration) {
        (Duration::from_millis(50), Duration::from_secs(5))
    }

    /// Looks at the live thing. Reads only; safe at any time.
    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>>;

    /// Starts the removal and returns; safe to repeat. What has to wait for the first part of it is
    /// told by [`Seen::more_to_remove`], and then this is called again.
    fn delete<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>;
}

/// One change of the live world: starts it and returns; safe to repeat, also after a kill.
pub trait Step: Send {
    /// Takes the step.
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a;
}

/// What a resource is given to work with.
#[derive(Clone)]
pub struct Cx {
    /// The outputs of all resources that have published some.
    pub outputs: Outputs,
    /// Retries, pauses, reports; knows when to stop.
    pub flow: Flow,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// What observing found.
pub struct Seen {
    /// How the live thing is.
    pub state: State,
    /// How it differs from the profile, in a stable order.
    pub changes: Vec<Change>,
    /// What the user should know besides.
    pub notes: Vec<Note>,
    /// What others may need of it; may be there before it is ready.
    pub outputs: Outputs,
    /// What brings it nearer to the profile; `None` when nothing has to be, or can be, done.
    pub step: Option<Box<dyn Step>>,
    /// Once its removal has begun: whether a further part of it can begin, by deleting again.
    pub more_to_remove: bool,
    /// The one that should have brought what it needs, and failed: it is not made in this run.
    pub behind: Option<ResourceId>,
}

impl Seen {
    /// A thing in `state` with nothing to say and nothing to do.
    pub fn new(state: State) -> Self {
        Self {
            state,
            changes: Vec::new(),
            notes: Vec::new(),
            outputs: Outputs::default(),
            step: None,
            more_to_remove: false,
            behind: None,
        }
    }

    /// With these changes, and the step that makes them.
    #[must_use]
    pub fn to_change(mut self, changes: Vec<Change>, step: impl Step + 'static) -> Self {
        self.changes = changes;
        self.step = Some(Box::new(step));
        self
    }

    /// With nothing to do about it, since `other` failed to bring what it needs.
    #[must_use]
    pub fn behind(mut self, other: ResourceId) -> Self {
        self.step = None;
        self.behind = Some(other);
        self
    }

    /// With one output more.
    #[must_use]
    pub fn output(mut self, key: impl Into<String>, value: Output) -> Self {
        self.outputs.insert(key, value);
        self
    }
}

/// How a live thing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is not there.
    Absent,
    /// It is on its way; the text says where: `control plane CREATING`, `3 of 7 ready`.
    Progressing(String),
    /// It stands and works.
    Ready,
    /// It is there and does not work; the text says why.
    Broken(String),
}

/// A value that one resource makes and another needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Plain text: an address, a name.
    Text(String),
    /// How to reach a cluster.
    Access(Box<ClusterAccess>),
    /// The network that the nodes of a cluster are on.
    Network(Box<Network>),
    /// Several things by name.
    Names(Vec<String>),
}

/// Outputs by key, for example `cluster.access`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outputs(BTreeMap<String, Output>);

impl Outputs {
    /// The key under which a cluster publishes its [`ClusterAccess`].
    pub const CLUSTER_ACCESS: &'static str = "cluster.access";

    /// The key under which a cluster publishes the [`Network`] of its nodes, where its provider knows it.
    pub const CLUSTER_NETWORK: &'static str = "cluster.network";

    /// The key under which a cluster publishes the containers that are its nodes, where they are containers.
    pub const CLUSTER_NODES: &'static str = "cluster.nodes";

    /// The key under which what nodes know of the registry of this machine is published: where they reach it,
    /// `HOST:PORT`.
    pub const REGISTRY_INSIDE: &'static str = "registry.inside";

    /// Adds or replaces an output.
    pub fn insert(&mut self, key: impl Into<String>, value: Output) {
        self.0.insert(key.into(), value);
    }

    /// Whether there is an output of that key.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.iter().map(|(key, value)| (key.clone(), value.clone())));
    }

    /// A text output.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key) {
            Some(Output::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// How to reach the cluster, once it published that.
    pub fn cluster_access(&self) -> Option<&ClusterAccess> {
        match self.0.get(Self::CLUSTER_ACCESS) {
            Some(Output::Access(access)) => Some(access),
            _ => None,
        }
    }

    /// The network of the cluster's nodes, once it published that.
    pub fn cluster_network(&self) -> Option<&Network> {
        match self.0.get(Self::CLUSTER_NETWORK) {
            Some(Output::Network(network)) => Some(network),
            _ => None,
        }
    }

    /// The containers that are the cluster's nodes, once it published that.
    pub fn cluster_nodes(&self) -> Option<&[String]> {
        match self.0.get(Self::CLUSTER_NODES) {
            Some(Output::Names(names)) => Some(names),
            _ => None,
        }
    }

    /// All text outputs, sorted by key.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(key, value)| match value {
            Output::Text(text) => Some((key.as_str(), text.as_str())),
            Output::Access(_) | Output::Network(_) | Output::Names(_) => None,
        })
    }
}
