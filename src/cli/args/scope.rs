use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A part of an environment, as `--only` names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::cli) enum Part {
    /// `cluster`
    Cluster,
    /// `node-groups`
    NodeGroups,
    /// `registry`
    Registry,
    /// `addons`
    Addons,
    /// `addon/NAME`
    Addon(String),
    /// `tenants`
    Tenants,
    /// `tenant/NAME`
    Tenant(String),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("cluster"),
            Self::NodeGroups => f.write_str("node-groups"),
            Self::Registry => f.write_str("registry"),
            Self::Addons => f.write_str("addons"),
            Self::Addon(name) => write!(f, "addon/{name}"),
            Self::Tenants => f.write_str("tenants"),
            Self::Tenant(name) => write!(f, "tenant/{name}"),
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some(("addon", name)) if !name.is_empty() => return Ok(Self::Addon(name.to_string())),
            Some(("tenant", name)) if !name.is_empty() => return Ok(Self::Tenant(name.to_string())),
            _ => {}
        }
        match text {
            "cluster" => Ok(Self::Cluster),
            "node-groups" => Ok(Self::NodeGroups),
            "registry" => Ok(Self::Registry),
            "addons" => Ok(Self::Addons),
            "tenants" => Ok(Self::Tenants),
            _ => {
                Err("use cluster, node-groups, registry, addons, addon/NAME, tenants or tenant/NAME"
                    .to_string())
            }
        }
    }
}

/// A length of time as typed: `90s`, `10m`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Time(pub(in crate::cli) Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || "write a time with its unit, such as 90s, 10m or 1h30m".to_string();
        let mut rest = text;
        let mut seconds: u64 = 0;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(malformed)?;
            let (digits, tail) = rest.split_at(end);
            let unit = match tail.chars().next() {
                Some('s') => 1,
                Some('m') => 60,
                Some('h') => 3600,
                _ => return Err(malformed()),
            };
            let value: u64 = digits.parse().map_err(|_| malformed())?;
            seconds = value.checked_mul(unit).and_then(|n| n.checked_add(seconds)).ok_or_else(malformed)?;
            rest = &tail[1..];
        }
        match seconds {
            0 => Err("give it at least one second, such as 90s, 10m or 1h30m".to_string()),
            // Beyond a week it is a typing mistake, and the clock's arithmetic would overflow some day.
            1..=604_800 => Ok(Self(Duration::from_secs(seconds))),
            _ => Err("a week (168h) is the most".to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        let seconds = |text: &str| text.parse::<Time>().map(|time| time.0.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("1h30m"), Ok(5400));
        for wrong in
            ["", "10", "m", "10x", "-1s", "0s", "99999999999999999999h", "18446744073709551615h", "999h"]
        {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts_are_named_as_in_the_profile() {
        assert_eq!("addon/traefik".parse(), Ok(Part::Addon("traefik".to_string())));
        assert_eq!("node-groups".parse(), Ok(Part::NodeGroups));
        for wrong in ["addon/", "tenant", "everything", ""] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }
}
