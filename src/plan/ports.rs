use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::profile::{ClusterSpec, Environment};

/// Where this machine leads to `port` of the nodes of `environment`: only a kind cluster has such ports.
pub fn mapped_port(environment: &Environment, port: u16) -> Option<SocketAddr> {
    let ClusterSpec::Kind(kind) = &environment.cluster else { return None };
    let mapped = kind.ports.iter().find(|mapped| mapped.node == port)?;
    let address = match mapped.listen.parse().ok()? {
        // What listens everywhere is asked at home.
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    Some(SocketAddr::new(address, mapped.host))
}
