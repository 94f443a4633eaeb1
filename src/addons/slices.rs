//! Slices of the network that addresses are announced on: which are free, and what is wrong with one.

use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::error::AddonError;
use super::pool::AUTO;
use super::ranges::Range;
use crate::base::{AddressRange, Network, Subnet, address_after};

/// The most addresses in a slice that is chosen.
pub(super) const SLICE: u128 = 32;
/// The most addresses at the top of a subnet that slices are chosen from.
const SEARCHED: u128 = 4096;

/// What is wrong with a range on the network that it is to be announced on.
pub(super) fn check_on(network: &Network, written: &Range, avoids_ends: bool) -> Result<(), AddonError> {
    let Range { range, path } = written;
    let refuse = |problem: String, hint: String| Err(AddonError::option(path, problem, Some(hint)));
    let title = &network.title;
    let Some(subnet) = network.subnets.iter().find(|subnet| subnet.range.encloses(range)) else {
        let example = network.subnets.iter().find(|subnet| subnet.range.is_ipv4() == range.is_ipv4());
        let hint = match example.and_then(|subnet| slots(subnet).into_iter().next()) {
            Some(slot) => format!("use for example {slot}, or `{AUTO}`"),
            None => format!("use `{AUTO}`"),
        };
        return refuse(format!("{range} lies outside of {title} ({})", subnets(network)), hint);
    };
    let without = |what: &str| format!("leave {what} out of it: two ranges, one before and one behind it");
    if let Some(gateway) = subnet.gateway.filter(|gateway| range.holds(*gateway)) {
        return refuse(
            format!("{range} holds {gateway}, the gateway of {title}"),
            without(&gateway.to_string()),
        );
    }
    if let Some((address, whose)) = network.used.iter().find(|(address, _)| range.holds(*address)) {
        return refuse(
            format!("{range} holds {address}, the address of {whose}"),
            without(&address.to_string()),
        );
    }
    if let Some((other, whose)) = network.taken.iter().find(|(other, _)| other.overlaps(range)) {
        let hint = format!("use another range, or `{AUTO}`");
        return refuse(format!("{range} overlaps {other}, the pool of {whose}"), hint);
    }
    let reserved = reserved(subnet).into_iter().find(|(address, _)| {
        let is_avoided =
            avoids_ends && matches!(address, IpAddr::V4(v4) if matches!(v4.octets()[3], 0 | 255));
        range.holds(*address) && !is_avoided
    });
    match reserved {
        Some((address, what)) => {
            let problem = format!("{range} holds {address}, the {what} address of {}", subnet.range);
            let hint =
                "leave it out of the range; `avoidBuggyIPs: true` leaves out all that end in .0 or .255";
            refuse(problem, hint.to_string())
        }
        None => Ok(()),
    }
}

/// The addresses of a subnet that no host has.
fn reserved(subnet: &Subnet) -> Vec<(IpAddr, &'static str)> {
    let mut reserved = vec![(subnet.range.first(), "network")];
    if subnet.range.is_ipv4() {
        reserved.push((subnet.range.last(), "broadcast"));
    }
    reserved
}

/// A slice of the first IPv4 subnet of `network` for the pool `name` that is free and apart from `given`: the
/// one that this environment has already, else the first free one from a place on that follows from its id.
///
/// Who comes before it chooses first: environments that start at one moment see each other, so that each
/// comes to what the others expect of it.
pub(super) fn choose(network: &Network, name: &str, given: &[AddressRange]) -> Option<AddressRange> {
    let subnet = network.subnets.iter().find(|subnet| subnet.range.is_ipv4())?;
    let gateways = network.subnets.iter().filter_map(|subnet| subnet.gateway);
    let used: Vec<IpAddr> = network.used.iter().map(|(address, _)| *address).chain(gateways).collect();
    let is_free = |range: &AddressRange| {
        !used.iter().any(|address| range.holds(*address))
            && !network.taken.iter().any(|(other, _)| other.overlaps(range))
            && !given.iter().any(|other| other.overlaps(range))
    };
    let holds_hosts_only = |range: &AddressRange| {
        subnet.range.encloses(range) && !reserved(subnet).iter().any(|(address, _)| range.holds(*address))
    };
    let mut own = network.own.iter().filter(|(pool, _)| pool == name).map(|(_, range)| *range);
    if let Some(range) = own.find(|range| is_free(range) && holds_hosts_only(range)) {
        return Some(range);
    }
    let slots = slots(subnet);
    let mut expected: Vec<AddressRange> = Vec::new();
    for rival in &network.rivals {
        let next = from(rival, &slots).find(|range| is_free(range) && !expected.contains(range));
        expected.extend(next);
    }
    let free = || from(&network.seed, &slots).filter(&is_free);
    // What others may choose is better than nothing.
    free().find(|range| !expected.contains(range)).or_else(|| free().next())
}

/// All of `slots`, from the place on that follows from `seed`.
fn from(seed: &str, slots: &[AddressRange]) -> impl Iterator<Item = AddressRange> {
    let start = start(seed).checked_rem(slots.len()).unwrap_or_default();
    slots.iter().cycle().skip(start).take(slots.len()).copied()
}

/// The slices at the top of a subnet, from the bottom up. Containers get their addresses from its bottom.
fn slots(subnet: &Subnet) -> Vec<AddressRange> {
    let searched = (subnet.range.distance() / 2 + 1).min(SEARCHED);
    let slice = SLICE.min(searched / 4);
    let below = subnet.range.distance().saturating_add(1) - searched;
    let mut slots = Vec::new();
    let mut offset = below;
    while slice > 0 && offset + slice <= below + searched {
        let at = |steps| address_after(subnet.range.first(), steps);
        let is_last = offset + slice > subnet.range.distance();
        // The broadcast address is the last one of the last slice.
        let last = if is_last && subnet.range.is_ipv4() { offset + slice - 2 } else { offset + slice - 1 };
        slots.extend(at(offset).zip(at(last)).and_then(|(first, last)| AddressRange::new(first, last)));
        offset += slice;
    }
    slots
}

/// A number that differs from seed to seed and stays.
fn start(seed: &str) -> usize {
    let hash = Sha256::digest(seed);
    usize::from(u16::from_be_bytes([hash[0], hash[1]]))
}

pub(super) fn subnets(network: &Network) -> String {
    let subnets: Vec<String> = network.subnets.iter().map(|subnet| subnet.range.to_string()).collect();
    subnets.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_fit_small_subnets() {
        let of = |text: &str| slots(&Subnet { range: text.parse().expect("a range"), gateway: None });
        let count = |text: &str| of(text).len();
        assert_eq!((count("172.18.0.0/16"), count("192.168.5.0/24"), count("10.0.0.0/28")), (128, 4, 4));
        assert_eq!(
            of("192.168.5.0/24").last().map(ToString::to_string),
            Some("192.168.5.224-192.168.5.254".to_string())
        );
        assert_eq!(
            of("10.0.0.0/29").iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.0.0.4/32", "10.0.0.5/32", "10.0.0.6/32"]
        );
        assert_eq!((count("10.0.0.0/30"), count("10.0.0.0/32")), (0, 0));
        assert_eq!(count("0.0.0.0/0"), 128);
    }
}
