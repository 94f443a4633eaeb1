use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses of one family from a first to a last, both included: `192.0.2.0/28`,
/// `192.0.2.10-192.0.2.20`, `fd00::/120`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

/// Why a text is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// Neither a CIDR nor a first and a last address.
    #[error("`{0}` is no range of addresses")]
    Malformed(String),
    /// One address alone.
    #[error("`{0}` is one address, not a range")]
    Alone(String),
    /// A CIDR whose address is not the first of its block.
    #[error("`{text}` does not begin where its block begins, at {first}")]
    Crooked {
        /// As written.
        text: String,
        /// The block that it lies in.
        first: AddressRange,
    },
    /// The prefix is longer than an address.
    #[error("`{text}` has a prefix of more than {bits} bits")]
    Prefix {
        /// As written.
        text: String,
        /// The bits of an address of its family.
        bits: u8,
    },
    /// The last address comes before the first.
    #[error("`{first}-{last}` ends before it begins")]
    Reversed {
        /// The first as written.
        first: IpAddr,
        /// The last as written.
        last: IpAddr,
    },
    /// IPv4 on one side and IPv6 on the other.
    #[error("`{0}` goes from one family of addresses to the other")]
    Mixed(String),
}

impl RangeError {
    /// What to write instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Malformed(_) | Self::Mixed(_) => {
                "write a block such as 192.0.2.240/28, or a range such as 192.0.2.240-192.0.2.250".to_string()
            }
            Self::Alone(text) => {
                let bits = if text.contains(':') { 128 } else { 32 };
                format!("write `{text}/{bits}`")
            }
            Self::Crooked { first, .. } => format!("write `{first}`, or a range FIRST-LAST"),
            Self::Prefix { bits, .. } => format!("write at most /{bits}"),
            Self::Reversed { first, last } => format!("write `{last}-{first}`"),
        }
    }
}

impl AddressRange {
    /// From `first` to `last`; `None` when they are of two families, or `last` comes before `first`.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    /// The first address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The last address.
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// Whether its addresses are of IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.first.is_ipv4()
    }

    /// Whether `address` is one of them.
    pub fn holds(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4() && self.first <= address && address <= self.last
    }

    /// Whether all of `other` lies in it.
    pub fn encloses(&self, other: &Self) -> bool {
        self.holds(other.first) && self.holds(other.last)
    }

    /// Whether the two have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.is_ipv4() == other.is_ipv4() && self.first <= other.last && other.first <= self.last
    }

    /// How many addresses lie before the last one: one less than there are, since all of IPv6 has no number.
    pub fn distance(&self) -> u128 {
        number(self.last) - number(self.first)
    }

    /// The block of `prefix` bits that `address` lies in; `None` when an address has fewer bits.
    fn block(address: IpAddr, prefix: u8) -> Option<Self> {
        let host_bits = bits(address).checked_sub(prefix)?;
        let mask = 1_u128.checked_shl(host_bits.into()).map_or(u128::MAX, |size| size - 1);
        let first = number(address) & !mask;
        Some(Self {
            first: address_of(first, address.is_ipv4()),
            last: address_of(first | mask, address.is_ipv4()),
        })
    }

    /// The length of the prefix, when it is a whole block.
    fn prefix(&self) -> Option<u8> {
        (0..=bits(self.first)).find(|prefix| Self::block(self.first, *prefix).as_ref() == Some(self))
    }
}

impl FromStr for AddressRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || RangeError::Malformed(text.to_string());
        if let Some((first, last)) = text.split_once('-') {
            let address = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| malformed());
            let (first, last) = (address(first)?, address(last)?);
            if first.is_ipv4() != last.is_ipv4() {
                return Err(RangeError::Mixed(text.to_string()));
            }
            return Self::new(first, last).ok_or(RangeError::Reversed { first, last });
        }
        let Some((address, prefix)) = text.split_once('/') else {
            let alone = text.parse::<IpAddr>().is_ok();
            return Err(if alone { RangeError::Alone(text.to_string()) } else { malformed() });
        };
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed());
        }
        let too_long = || RangeError::Prefix { text: text.to_string(), bits: bits(address) };
        let prefix: u8 = prefix.parse().map_err(|_| too_long())?;
        let block = Self::block(address, prefix).ok_or_else(too_long)?;
        if block.first != address {
            return Err(RangeError::Crooked { text: text.to_string(), first: block });
        }
        Ok(block)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix() {
            Some(prefix) => write!(f, "{}/{prefix}", self.first),
            None => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// The address that lies `steps` behind `address`; `None` past the end of its family.
pub fn address_after(address: IpAddr, steps: u128) -> Option<IpAddr> {
    let number = number(address).checked_add(steps)?;
    let greatest = if address.is_ipv4() { u128::from(u32::MAX) } else { u128::MAX };
    (number <= greatest).then(|| address_of(number, address.is_ipv4()))
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn address_of(number: u128, is_ipv4: bool) -> IpAddr {
    if is_ipv4 {
        let bits = u32::try_from(number & u128::from(u32::MAX)).expect("32 bits were kept");
        Ipv4Addr::from_bits(bits).into()
    } else {
        Ipv6Addr::from_bits(number).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> AddressRange {
        text.parse().expect("a range")
    }

    #[test]
    fn blocks_and_ranges_of_both_families_are_read_and_written() {
        for (text, first, last, written) in [
            ("192.0.2.0/28", "192.0.2.0", "192.0.2.15", "192.0.2.0/28"),
            ("192.0.2.10-192.0.2.20", "192.0.2.10", "192.0.2.20", "192.0.2.10-192.0.2.20"),
            ("192.0.2.0 - 192.0.2.255", "192.0.2.0", "192.0.2.255", "192.0.2.0/24"),
            ("192.0.2.5/32", "192.0.2.5", "192.0.2.5", "192.0.2.5/32"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255", "0.0.0.0/0"),
            ("fd00::/120", "fd00::", "fd00::ff", "fd00::/120"),
            ("fd00::1-fd00::9", "fd00::1", "fd00::9", "fd00::1-fd00::9"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"),
        ] {
            let range = range(text);
            assert_eq!((range.first().to_string(), range.last().to_string()), (first.into(), last.into()));
            assert_eq!(range.to_string(), written);
        }
    }

    #[test]
    fn what_is_no_range_is_refused_with_what_to_write() {
        for (text, message, hint) in [
            ("192.0.2.5", "`192.0.2.5` is one address, not a range", "write `192.0.2.5/32`"),
            ("fd00::5", "`fd00::5` is one address, not a range", "write `fd00::5/128`"),
            (
                "192.0.2.5/28",
                "`192.0.2.5/28` does not begin where its block begins, at 192.0.2.0/28",
                "write `192.0.2.0/28`, or a range FIRST-LAST",
            ),
            ("192.0.2.0/33", "`192.0.2.0/33` has a prefix of more than 32 bits", "write at most /32"),
            ("fd00::/1000", "`fd00::/1000` has a prefix of more than 128 bits", "write at most /128"),
            (
                "192.0.2.20-192.0.2.10",
                "`192.0.2.20-192.0.2.10` ends before it begins",
                "write `192.0.2.10-192.0.2.20`",
            ),
        ] {
            let error = text.parse::<AddressRange>().expect_err("refused");
            assert_eq!((error.to_string().as_str(), error.hint().as_str()), (message, hint));
        }
        for text in ["", "-", "/", "192.0.2/24", "192.0.2.0/", "192.0.2.0/+8", "a-b", "192.0.2.1-", "1-2-3"] {
            assert_eq!(text.parse::<AddressRange>(), Err(RangeError::Malformed(text.to_string())));
        }
        let mixed = "192.0.2.1-fd00::1";
        assert_eq!(mixed.parse::<AddressRange>(), Err(RangeError::Mixed(mixed.to_string())));
    }

    #[test]
    fn ranges_overlap_only_within_their_family() {
        let low = range("192.0.2.0/28");
        assert!(low.overlaps(&range("192.0.2.15-192.0.2.40")) && !low.overlaps(&range("192.0.2.16/28")));
        assert!(!range("0.0.0.0/0").overlaps(&range("::/0")));
        assert!(range("192.0.2.0/24").encloses(&low) && !low.encloses(&range("192.0.2.0/24")));
        assert!(!range("::/0").holds("192.0.2.1".parse().expect("an address")));
    }

    #[test]
    fn counting_stops_at_the_end_of_a_family() {
        let last: IpAddr = "255.255.255.250".parse().expect("an address");
        assert_eq!(address_after(last, 5), "255.255.255.255".parse().ok());
        assert_eq!(address_after(last, 6), None);
        assert_eq!(range("::/0").distance(), u128::MAX);
    }
}
