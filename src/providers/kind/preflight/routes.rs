use std::net::{IpAddr, Ipv4Addr};

use crate::base::AddressRange;

/// Where this machine sends what goes to a range of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The addresses.
    pub range: AddressRange,
    /// The network device: `tun0`.
    pub device: String,
}

/// The bits of a mask that tells addresses apart. Programs for VPNs that take the whole traffic write two routes to
/// one half each, which come before the one to everywhere and behind all others.
const NOT_EVERYWHERE: u32 = 2;

/// The routes of `/proc/net/route`, without those to everywhere and those of container networks.
pub(super) fn parse(table: &str) -> Vec<Route> {
    let of = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let address = |column: usize| {
            let word = u32::from_str_radix(columns.get(column)?, 16).ok()?;
            Some(Ipv4Addr::from(word.to_ne_bytes()))
        };
        let (first, mask) = (address(1)?, address(7)?);
        let device = (*columns.first()?).to_string();
        let last = Ipv4Addr::from_bits(first.to_bits() | !mask.to_bits());
        let range = AddressRange::new(IpAddr::V4(first), IpAddr::V4(last))?;
        (mask.to_bits().count_ones() >= NOT_EVERYWHERE && !is_of_containers(&device))
            .then_some(Route { range, device })
    };
    table.lines().skip(1).filter_map(of).collect()
}

/// Whether a device is a bridge or cable of a container engine: its networks are told by the engine.
fn is_of_containers(device: &str) -> bool {
    ["docker", "br-", "veth", "podman", "cni", "nerdctl"].iter().any(|prefix| device.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn routes_of_a_vpn_are_told_and_those_of_containers_and_to_everywhere_are_not() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
            br-f7f5\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
            tun0\t0000600A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
            tun0\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n\
            tun0\t00000080\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n\
            eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\nshort\n";
        let told: Vec<String> = parse(table).iter().map(|r| format!("{} {}", r.range, r.device)).collect();
        assert_eq!(told, ["10.96.0.0/16 tun0", "192.0.2.0/24 eth0"]);
    }
}
