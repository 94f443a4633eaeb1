use std::net::IpAddr;

use serde::Deserialize;

use crate::base::Quantity;

/// What a text has to look like besides: the values of the schema's keyword `format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// An IPv4 or IPv6 address.
    Ip,
    /// A network: `203.0.113.0/24`.
    Cidr,
    /// The name of an object of Kubernetes: a DNS name.
    Name,
    /// A quantity of Kubernetes: `500m`, `2Gi`.
    Quantity,
}

impl Format {
    /// What is wrong with `text`, when something is.
    pub(super) fn problem(self, text: &str) -> Option<String> {
        match self {
            Self::Ip => text.parse::<IpAddr>().is_err().then(|| format!("`{text}` is no IP address")),
            Self::Cidr => (!is_cidr(text)).then(|| format!("`{text}` is no network")),
            Self::Name => (!is_name(text)).then(|| format!("`{text}` is no name of an object")),
            Self::Quantity => text.parse::<Quantity>().err().map(|error| error.to_string()),
        }
    }

    /// What would be right.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Ip => "write an address, such as `203.0.113.7`",
            Self::Cidr => "write an address and a length, such as `203.0.113.0/24`",
            Self::Name => "use small letters, digits, `-` and `.`, at most 253 of them",
            Self::Quantity => "write a number with a unit, such as `500m` or `2Gi`",
        }
    }
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    length.parse::<u8>().is_ok_and(|length| length <= longest)
}

/// RFC 1123 subdomains: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>.
fn is_name(text: &str) -> bool {
    let end = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(|first| end(*first))
            && bytes.last().is_some_and(|last| end(*last))
            && bytes.iter().all(|byte| end(*byte) || *byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_takes_what_it_names_and_nothing_else() {
        for (format, good, bad) in [
            (Format::Ip, vec!["203.0.113.7", "2001:db8::1"], vec!["203.0.113", "203.0.113.7/32", "host"]),
            (Format::Cidr, vec!["203.0.113.0/24", "2001:db8::/32"], vec!["203.0.113.0", "203.0.113.0/33"]),
            (Format::Name, vec!["tls", "tls.example-1"], vec!["", "Tls", "-tls", "tls..a", "a/b"]),
            (Format::Quantity, vec!["100m", "2Gi", "1"], vec!["", "much", "-1", "2GiB"]),
        ] {
            for text in good {
                assert_eq!(format.problem(text), None, "{text}");
            }
            for text in bad {
                assert!(format.problem(text).is_some(), "{format:?} takes `{text}`");
            }
        }
    }
}
