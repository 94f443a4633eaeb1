use std::net::IpAddr;

use super::addresses::AddressRange;

/// The network that the nodes of a cluster are on, as far as its provider knows it: where addresses of
/// load balancers are announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// For messages: ``docker network `kind` ``.
    pub title: String,
    /// Its subnets, in the order in which they were found.
    pub subnets: Vec<Subnet>,
    /// Addresses that somebody has, with whose they are: ``container `kind-worker` ``.
    pub used: Vec<(IpAddr, String)>,
    /// Ranges that other clusters announce from, with whose they are: ``cluster `dev` ``.
    pub taken: Vec<(AddressRange, String)>,
    /// The pools that this environment has already, by name: it keeps them as long as nothing is in the way.
    pub own: Vec<(String, AddressRange)>,
    /// What tells this environment from others: where its search for a free range begins.
    pub seed: String,
    /// The seeds of other environments on it whose pools are not known and that choose first, in the order in
    /// which they do.
    pub rivals: Vec<String>,
    /// Whether its addresses can be reached from this machine.
    pub reachable: bool,
}

/// One subnet of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Its addresses, with the first (the network's own) and the last (its broadcast address).
    pub range: AddressRange,
    /// The address of its router.
    pub gateway: Option<IpAddr>,
}
