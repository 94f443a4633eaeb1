use std::collections::BTreeMap;

use crate::profile::Taint;

/// What is to be proven of an environment: what its profile and its platform promise, without who keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Whether its nodes are played: pods are scheduled there, and nothing runs.
    pub simulated: bool,
    /// The node groups of the profile; none where it declares none.
    pub groups: Vec<Group>,
    /// Whether Services of type `LoadBalancer` get an address that this machine reaches.
    pub load_balancer: Expected,
    /// Whether hosts of Ingress objects are served.
    pub ingress: Expected,
    /// Where they are served, `HOST` or `HOST:PORT`, as far as it is known.
    pub ingress_addresses: Vec<String>,
    /// Whether the metrics API answers.
    pub metrics: Expected,
    /// What the canary runs.
    pub image: String,
    /// What references of images in the registry of this machine begin with, where the lab has one.
    pub registry: Option<String>,
}

/// Whether something is to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Somebody brings it, who is named: `addon metallb`, `the platform`.
    By(String),
    /// Nobody brings it; the text says why.
    Nobody(String),
    /// Only the cluster can tell.
    Unknown,
}

/// What a node group promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The labels that its nodes are known by.
    pub selector: BTreeMap<String, String>,
    /// The taints that keep other pods away.
    pub taints: Vec<Taint>,
    /// The least number of nodes.
    pub min: u32,
    /// The GPUs that each node offers.
    pub gpus: u32,
}
