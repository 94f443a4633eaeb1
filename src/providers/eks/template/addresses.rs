use std::fmt;
use std::net::Ipv4Addr;

use crate::base::AddressRange;

/// The most zones that a network has room for.
pub const MOST_ZONES: usize = 5;
/// What docker gives its own network on every node, and so nothing there reaches.
/// <https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html>
const DOCKER: &str = "172.17.0.0/16";
/// What EKS gives Services: it takes one of these that is not in the network.
/// <https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html>
const SERVICES: [&str; 2] = ["172.20.0.0/16", "10.100.0.0/16"];
/// Of each subnet AWS keeps so many addresses.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html>
const KEPT_BY_AWS: u32 = 5;
/// Public subnets lie behind the private ones, counted in sixteenths of the network.
const FIRST_PUBLIC: u32 = 10;

/// The addresses of a network that berth makes: a block of IPv4 of /16 to /20, cut into one private subnet (an
/// eighth) and one public one (a sixteenth) for each of at most five zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    first: u32,
    bits: u8,
}

/// Why a block cannot be the addresses of a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressesError {
    /// No CIDR of IPv4 that begins where its block begins.
    #[error("`{0}` is no CIDR of IPv4")]
    Malformed(String),
    /// Too small, or larger than AWS takes.
    #[error("a network of /{0} does not fit")]
    Size(u8),
    /// It overlaps the addresses that docker takes on every node.
    #[error("`{0}` overlaps {DOCKER}, which nodes use inside")]
    Docker(String),
}

impl Addresses {
    /// What a profile gets that names none.
    pub const DEFAULT: &str = "10.0.0.0/16";

    /// The addresses of the CIDR `text`.
    pub fn parse(text: &str) -> Result<Self, AddressesError> {
        let malformed = || AddressesError::Malformed(text.to_string());
        let (address, bits) = text.split_once('/').ok_or_else(malformed)?;
        let address: Ipv4Addr = address.parse().map_err(|_| malformed())?;
        let bits: u8 = bits.parse().map_err(|_| malformed())?;
        if !(16..=20).contains(&bits) {
            return Err(if bits > 32 { malformed() } else { AddressesError::Size(bits) });
        }
        let first = address.to_bits();
        if first & ((1 << (32 - bits)) - 1) != 0 {
            return Err(malformed());
        }
        let addresses = Self { first, bits };
        if addresses.overlaps(DOCKER) {
            return Err(AddressesError::Docker(text.to_string()));
        }
        Ok(addresses)
    }

    /// The private subnet of place `slot`, an eighth: /19 of a /16.
    pub fn private(&self, slot: usize) -> String {
        self.part(3, u32::try_from(slot).unwrap_or_default())
    }

    /// The public subnet of place `slot`, a sixteenth: /20 of a /16.
    pub fn public(&self, slot: usize) -> String {
        self.part(4, FIRST_PUBLIC + u32::try_from(slot).unwrap_or_default())
    }

    /// The place of the private subnet with this CIDR.
    pub fn slot_of(&self, private: &str) -> Option<usize> {
        (0..MOST_ZONES).find(|slot| self.private(*slot) == private)
    }

    /// How many addresses nodes and pods have in each private subnet.
    pub fn of_one_zone(&self) -> u32 {
        (1 << (32 - self.bits - 3)) - KEPT_BY_AWS
    }

    /// What Services get: never a part of the network.
    pub fn services(&self) -> &'static str {
        SERVICES.into_iter().find(|services| !self.overlaps(services)).unwrap_or(SERVICES[0])
    }

    /// Whether it has an address in common with the CIDR `other`.
    pub fn overlaps(&self, other: &str) -> bool {
        let range = |text: &str| text.parse::<AddressRange>();
        matches!((range(&self.to_string()), range(other)), (Ok(own), Ok(other)) if own.overlaps(&other))
    }

    fn part(self, more_bits: u8, index: u32) -> String {
        let bits = self.bits + more_bits;
        format!("{}/{bits}", Ipv4Addr::from_bits(self.first + (index << (32 - bits))))
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.first), self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Addresses {
        Addresses::parse(text).expect("addresses")
    }

    #[test]
    fn a_network_of_16_bits_has_subnets_of_19_and_20() {
        let network = addresses("10.0.0.0/16");
        assert_eq!(network.private(0), "10.0.0.0/19");
        assert_eq!(network.private(4), "10.0.128.0/19");
        assert_eq!(network.public(0), "10.0.160.0/20");
        assert_eq!(network.public(4), "10.0.224.0/20");
        assert_eq!(network.slot_of("10.0.64.0/19"), Some(2));
        assert_eq!(network.slot_of("10.0.160.0/20"), None);
        assert_eq!(network.of_one_zone(), 8187);
    }

    #[test]
    fn no_subnet_overlaps_another_or_leaves_the_network() {
        for text in ["10.0.0.0/16", "192.168.128.0/17", "10.9.64.0/18", "172.16.32.0/19", "100.64.240.0/20"] {
            let network = addresses(text);
            let slots = 0..MOST_ZONES;
            let subnets: Vec<AddressRange> = slots
                .flat_map(|slot| [network.private(slot), network.public(slot)])
                .map(|subnet| subnet.parse().expect("a block that begins where it begins"))
                .collect();
            let whole: AddressRange = text.parse().expect("a block");
            for (index, subnet) in subnets.iter().enumerate() {
                assert!(whole.encloses(subnet), "{subnet} leaves {text}");
                assert!(!subnets[..index].iter().any(|other| other.overlaps(subnet)), "{subnet} of {text}");
            }
        }
    }

    #[test]
    fn what_cannot_be_a_network_is_refused() {
        for text in ["10.0.0.0", "10.0.0.1/16", "fd00::/16", "10.0.0.0/33", "10.0.0.0/x", ""] {
            assert_eq!(Addresses::parse(text), Err(AddressesError::Malformed(text.to_string())));
        }
        assert_eq!(Addresses::parse("10.0.0.0/15"), Err(AddressesError::Size(15)));
        assert_eq!(Addresses::parse("10.0.0.0/21"), Err(AddressesError::Size(21)));
        let docker = "172.17.16.0/20";
        assert_eq!(Addresses::parse(docker), Err(AddressesError::Docker(docker.to_string())));
    }

    #[test]
    fn services_never_get_addresses_of_the_network() {
        assert_eq!(addresses("10.0.0.0/16").services(), "172.20.0.0/16");
        assert_eq!(addresses("172.20.16.0/20").services(), "10.100.0.0/16");
        assert_eq!(addresses("10.100.0.0/16").services(), "172.20.0.0/16");
    }
}
