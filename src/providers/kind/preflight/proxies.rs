use std::net::IpAddr;

use crate::base::Secret;

/// The proxies that this process was started with, which kind copies into every node.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<Proxy>);

/// One setting of a proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// `HTTP_PROXY`, `HTTPS_PROXY` or `NO_PROXY`.
    pub name: String,
    value: Secret<String>,
}

impl Proxies {
    /// From names and values; values may hold credentials.
    pub fn new(values: impl IntoIterator<Item = (String, String)>) -> Self {
        let proxy = |(name, value)| Proxy { name, value: Secret::new(value) };
        Self(values.into_iter().map(proxy).collect())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Proxy> {
        self.0.iter()
    }
}

impl Proxy {
    /// Whether it is the list of what goes without a proxy.
    pub fn is_exception(&self) -> bool {
        self.name.eq_ignore_ascii_case("no_proxy") || self.name == "NoProxy"
    }

    /// Whether it leads to the machine that uses it: from a container, that is the container.
    pub fn is_loopback(&self) -> bool {
        let host = host(self.value.reveal());
        host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }

    /// The value without user and password.
    pub fn shown(&self) -> String {
        let value = self.value.reveal();
        if self.is_exception() {
            return value.clone();
        }
        let (scheme, rest) =
            value.split_once("://").map_or(("", value.as_str()), |(scheme, rest)| (scheme, rest));
        let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
        match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}***@{host}"),
            None => format!("{scheme}{rest}"),
        }
    }
}

/// The host of a proxy's address, which may have a scheme, credentials and a port.
fn host(value: &str) -> &str {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match rest.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => rest.rsplit_once(':').map_or(rest, |(host, _)| host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(value: &str) -> Proxy {
        Proxy { name: "HTTPS_PROXY".to_string(), value: Secret::new(value.to_string()) }
    }

    #[test]
    fn proxies_on_this_machine_are_known_in_every_spelling() {
        for value in [
            "http://127.0.0.1:3128",
            "localhost:3128",
            "http://u:p@127.0.0.5:1",
            "socks5://[::1]:1080",
            "127.0.0.1",
        ] {
            assert!(proxy(value).is_loopback(), "{value}");
        }
        for value in ["http://proxy.example.com:3128", "http://10.0.0.1:3128", "", "http://127.example.com"] {
            assert!(!proxy(value).is_loopback(), "{value}");
        }
    }

    #[test]
    fn credentials_of_a_proxy_are_never_shown() {
        let secret = proxy("http://ann:p@ss/word@proxy.example.com:3128");
        assert_eq!(secret.shown(), "http://***@proxy.example.com:3128");
        assert_eq!(format!("{secret:?}"), "Proxy { name: \"HTTPS_PROXY\", value: *** }");
        assert_eq!(proxy("ann:pw@proxy:3128").shown(), "***@proxy:3128");
        assert_eq!(proxy("http://proxy:3128").shown(), "http://proxy:3128");
    }
}
