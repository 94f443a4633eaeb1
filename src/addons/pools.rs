//! Options that hold address pools, and the choice of a free one. An addon says in its `addon.yaml` which
//! options those are; templates see the pools as `pools`.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::error::AddonError;
use super::options::OptionSchema;
use crate::base::{AddressRange, Network, ProviderKind, Subnet, address_after};

/// The word that stands for a free slice of the network of kind.
const AUTO: &str = "auto";
/// The name of the pool of the simple option.
const DEFAULT: &str = "default";
/// The most addresses in a slice that is chosen.
const SLICE: u128 = 32;
/// The most addresses at the top of a subnet that slices are chosen from.
const SEARCHED: u128 = 4096;

/// The options of an addon that hold address pools.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolOptions {
    /// The option with the addresses of one pool: `auto`, a range or a list of ranges.
    pub simple: String,
    /// The option with a list of pools, each with `name`, `addresses` and `avoidBuggyIPs`.
    pub several: String,
}

/// The pools of a profile, read and checked as far as they can be without their network.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Pools(Vec<Pool>);

/// The pools as templates see them, and the names of those that wait for their network to be known.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Settled {
    pub(super) values: Vec<Value>,
    pub(super) open: Vec<String>,
}

#[derive(Debug, PartialEq)]
struct Pool {
    name: String,
    /// The pool as the profile has it, with defaults.
    value: Value,
    /// Where its addresses stand in the profile.
    path: String,
    /// None for `auto`.
    ranges: Vec<Range>,
    avoids_ends: bool,
}

#[derive(Debug, PartialEq)]
struct Range {
    range: AddressRange,
    path: String,
}

impl Pools {
    /// The pools in `values`, the complete options of the addon at `path`, on `provider`.
    pub(super) fn read(
        options: &PoolOptions,
        schema: &OptionSchema,
        path: &str,
        values: &Value,
        provider: ProviderKind,
    ) -> Result<Self, AddonError> {
        let (simple, several) = (values.get(&options.simple), values.get(&options.several));
        let several_path = format!("{path}.{}", options.several);
        let listed = match (simple, several.and_then(Value::as_array)) {
            (Some(_), Some(_)) => {
                let problem = format!("`{}` says already which addresses there are", options.simple);
                let hint = format!("take one of `{}` and `{}` out", options.simple, options.several);
                return Err(AddonError::option(&several_path, problem, Some(hint)));
            }
            (None, Some(pools)) => {
                let places = pools.iter().enumerate();
                places.map(|(index, pool)| (pool.clone(), format!("{several_path}[{index}]"))).collect()
            }
            (addresses, None) => {
                let pool = json!({"name": DEFAULT, "addresses": addresses.unwrap_or(&json!(AUTO))});
                let item = schema.properties.get(&options.several).and_then(|several| several.items.as_ref());
                let pool = item.map_or(Ok(pool.clone()), |item| item.complete(path, &pool))?;
                vec![(pool, path.to_string())]
            }
        };
        let key = if several.is_some() { "addresses" } else { &options.simple };
        let is_said = simple.is_some() || several.is_some();
        let mut pools: Vec<Pool> = Vec::new();
        for (value, path) in listed {
            let pool = Pool::read(value, &path, is_said.then_some(key))?;
            if pool.ranges.is_empty() && provider != ProviderKind::Kind {
                return Err(auto_needs_kind(&pool.path, provider));
            }
            if pools.iter().any(|other| other.name == pool.name) {
                let problem = format!("there is a pool `{}` already", pool.name);
                let hint = Some("give it another name".to_string());
                return Err(AddonError::option(&format!("{path}.name"), problem, hint));
            }
            pools.push(pool);
        }
        check_apart(&pools)?;
        Ok(Self(pools))
    }

    /// The pools on `network`; without it, those of `auto` stay open.
    pub(super) fn settle(self, network: Option<&Network>) -> Result<Settled, AddonError> {
        let mut given: Vec<AddressRange> =
            self.0.iter().flat_map(|pool| &pool.ranges).map(|written| written.range).collect();
        let mut settled = Settled::default();
        for Pool { name, mut value, path, ranges, avoids_ends } in self.0 {
            let mut addresses: Vec<String> = Vec::new();
            for written in &ranges {
                network.map_or(Ok(()), |network| check_on(network, written, avoids_ends))?;
                addresses.push(written.range.to_string());
            }
            if ranges.is_empty() {
                let Some(network) = network else {
                    settled.open.push(name);
                    continue;
                };
                let chosen = choose(network, &given).ok_or_else(|| no_room(&path, network))?;
                given.push(chosen);
                addresses.push(chosen.to_string());
            }
            value["addresses"] = json!(addresses);
            settled.values.push(value);
        }
        Ok(settled)
    }
}

impl Pool {
    /// The pool that `value` describes. `key` is the option with the addresses under `path`; without it the
    /// profile does not say any.
    fn read(value: Value, path: &str, key: Option<&str>) -> Result<Self, AddonError> {
        let name = value["name"].as_str().unwrap_or_default().to_string();
        let path = key.map_or(path.to_string(), |key| format!("{path}.{key}"));
        let ranges = match &value["addresses"] {
            Value::String(text) if text == AUTO => Vec::new(),
            Value::Array(texts) => {
                let places = texts.iter().enumerate();
                let read = |(index, text)| Range::read(text, format!("{path}[{index}]"));
                places.map(read).collect::<Result<_, _>>()?
            }
            text => vec![Range::read(text, path.clone())?],
        };
        let avoids_ends = value["avoidBuggyIPs"] == true;
        Ok(Self { name, value, path, ranges, avoids_ends })
    }
}

impl Range {
    fn read(text: &Value, path: String) -> Result<Self, AddonError> {
        let text = text.as_str().unwrap_or_default();
        match text.parse() {
            Ok(range) => Ok(Self { range, path }),
            Err(error) => Err(AddonError::option(&path, error.to_string(), Some(error.hint()))),
        }
    }
}

/// Two pools that share an address would be refused together by whoever announces them.
fn check_apart(pools: &[Pool]) -> Result<(), AddonError> {
    let mut before: Vec<(&str, &Range)> = Vec::new();
    for (name, written) in pools.iter().flat_map(|pool| pool.ranges.iter().map(|range| (&*pool.name, range)))
    {
        if let Some((other, overlapped)) = before.iter().find(|(_, r)| r.range.overlaps(&written.range)) {
            let problem = format!("{} overlaps {} of pool `{other}`", written.range, overlapped.range);
            let hint = Some("let each address be in one range only".to_string());
            return Err(AddonError::option(&written.path, problem, hint));
        }
        before.push((name, written));
    }
    Ok(())
}

/// What is wrong with a range on the network that it is to be announced on.
fn check_on(network: &Network, written: &Range, avoids_ends: bool) -> Result<(), AddonError> {
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

/// A slice of the first IPv4 subnet of `network` that is free and apart from `given`: the one that this
/// environment has already, else the first free one from a place on that follows from its id.
fn choose(network: &Network, given: &[AddressRange]) -> Option<AddressRange> {
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
    let kept = network.own.iter().find(|range| is_free(range) && holds_hosts_only(range));
    if let Some(range) = kept {
        return Some(*range);
    }
    let slots = slots(subnet);
    let start = start(&network.seed).checked_rem(slots.len()).unwrap_or_default();
    slots.iter().cycle().skip(start).take(slots.len()).find(|range| is_free(range)).copied()
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

fn subnets(network: &Network) -> String {
    let subnets: Vec<String> = network.subnets.iter().map(|subnet| subnet.range.to_string()).collect();
    subnets.join(", ")
}

fn auto_needs_kind(path: &str, provider: ProviderKind) -> AddonError {
    let problem =
        format!("`{AUTO}` is a slice of the docker network of kind, and the cluster is on {provider}");
    let hint = "give `addresses`: a range of the nodes' network that nothing else gives out, such as \
                192.0.2.240-192.0.2.250";
    AddonError::option(path, problem, Some(hint.to_string()))
}

fn no_room(path: &str, network: &Network) -> AddonError {
    let problem = format!("no free slice for `{AUTO}` in {} ({})", network.title, subnets(network));
    AddonError::option(path, problem, Some("give `addresses` of that network that nobody has".to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addons::Catalog;

    #[expect(clippy::needless_pass_by_value, reason = "what `json!` makes is read here")]
    fn read(options: Value, provider: ProviderKind) -> Result<Pools, AddonError> {
        let catalog = Catalog::load(&[]).expect("the shipped addons");
        let addon = catalog.get("metallb").expect("it ships");
        let options = addon.definition.options.complete("addons.metallb", &options)?;
        addon.pools("addons.metallb", &options, provider)
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, AddonError>) -> (String, String) {
        let error = result.expect_err("refused");
        (error.to_string(), error.hint().expect("a hint"))
    }

    fn range(text: &str) -> AddressRange {
        text.parse().expect("a range")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// The docker network of kind as it is on most machines, its IPv6 subnet first.
    fn network() -> Network {
        let subnet = |range_of: &str, gateway: &str| Subnet {
            range: range(range_of),
            gateway: Some(address(gateway)),
        };
        Network {
            title: "docker network `kind`".to_string(),
            subnets: vec![
                subnet("fc00:f853:ccd:e793::/64", "fc00:f853:ccd:e793::1"),
                subnet("172.18.0.0/16", "172.18.0.1"),
            ],
            used: vec![(address("172.18.0.2"), "container `dev-control-plane`".to_string())],
            taken: vec![(range("172.18.255.64-172.18.255.95"), "cluster `other`".to_string())],
            own: Vec::new(),
            seed: "7f3k2q9d".to_string(),
        }
    }

    fn settle(options: Value, network: &Network) -> Result<Settled, AddonError> {
        read(options, ProviderKind::Kind)?.settle(Some(network))
    }

    fn addresses(settled: &Settled) -> Vec<&Value> {
        settled.values.iter().map(|pool| &pool["addresses"]).collect()
    }

    #[test]
    fn one_range_a_list_and_several_pools_are_read_with_their_defaults() {
        let one = read(json!({"addresses": "192.0.2.240/28"}), ProviderKind::Existing).expect("read");
        let one = one.settle(None).expect("settled");
        assert_eq!(one.open, [""; 0]);
        assert_eq!(
            one.values,
            [json!({"name": "default", "addresses": ["192.0.2.240/28"], "autoAssign": true,
                    "avoidBuggyIPs": false, "namespaces": [], "serviceSelector": {}, "interfaces": []})]
        );
        let several = json!({"pools": [
            {"name": "a", "addresses": ["192.0.2.10-192.0.2.20", "2001:db8::/120"], "namespaces": ["shop"]},
            {"name": "b", "addresses": "192.0.2.32/28", "autoAssign": false},
        ]});
        let several = read(several, ProviderKind::Existing).expect("read").settle(None).expect("settled");
        assert_eq!(
            addresses(&several),
            [&json!(["192.0.2.10-192.0.2.20", "2001:db8::/120"]), &json!(["192.0.2.32/28"])]
        );
        assert_eq!(several.values[0]["namespaces"], json!(["shop"]));
        assert_eq!(several.values[1]["autoAssign"], false);
    }

    #[test]
    fn what_is_wrong_without_a_network_names_its_place_and_what_to_write() {
        let pool = |name: &str, addresses: Value| json!({"name": name, "addresses": addresses});
        for (options, message, hint) in [
            (
                json!({"addresses": "192.0.2"}),
                "`addons.metallb.addresses`: `192.0.2` is no range of addresses",
                "write a block such as",
            ),
            (
                json!({"pools": [pool("a", json!("192.0.2.0/28")), pool("b", json!(["192.0.2.20-192.0.2.16"]))]}),
                "`addons.metallb.pools[1].addresses[0]`: `192.0.2.20-192.0.2.16` ends before it begins",
                "write `192.0.2.16-192.0.2.20`",
            ),
            (
                json!({"pools": [pool("a", json!("192.0.2.0/28")), pool("b", json!(["192.0.2.32/28", "192.0.2.15/32"]))]}),
                "`addons.metallb.pools[1].addresses[1]`: 192.0.2.15/32 overlaps 192.0.2.0/28 of pool `a`",
                "let each address",
            ),
            (
                json!({"addresses": ["192.0.2.0/28", "192.0.2.8/29"]}),
                "`addons.metallb.addresses[1]`: 192.0.2.8/29 overlaps 192.0.2.0/28 of pool `default`",
                "let each address",
            ),
            (
                json!({"pools": [pool("a", json!("192.0.2.0/28")), pool("a", json!("192.0.2.16/28"))]}),
                "`addons.metallb.pools[1].name`: there is a pool `a` already",
                "give it another name",
            ),
            (
                json!({"addresses": "auto", "pools": [pool("a", json!("192.0.2.0/28"))]}),
                "`addons.metallb.pools`: `addresses` says already which addresses there are",
                "take one of `addresses` and `pools` out",
            ),
            (json!({"pools": []}), "`addons.metallb.pools`: 0 elements are too few", "write 1 or more"),
            (
                json!({"addresses": []}),
                "`addons.metallb.addresses`: 0 elements are too few",
                "write 1 or more",
            ),
            (
                json!({"pools": [{"name": "a"}]}),
                "`addons.metallb.pools[0]`: `addresses` is missing",
                "add `addresses:`",
            ),
            (
                json!({"pools": [pool("A_b", json!("192.0.2.0/28"))]}),
                "`addons.metallb.pools[0].name`: `A_b` is no name of an object",
                "use small letters",
            ),
        ] {
            let (problem, help) = refusal(read(options, ProviderKind::Kind));
            assert_eq!(problem, message);
            assert!(help.starts_with(hint), "{problem}: {help}");
        }
    }

    #[test]
    fn auto_is_for_kind_only() {
        for (options, path) in [
            (json!({}), "addons.metallb"),
            (json!({"addresses": "auto"}), "addons.metallb.addresses"),
            (json!({"pools": [{"name": "a", "addresses": "auto"}]}), "addons.metallb.pools[0].addresses"),
        ] {
            assert!(read(options.clone(), ProviderKind::Kind).is_ok());
            let (problem, help) = refusal(read(options, ProviderKind::Existing));
            let wanted = "`auto` is a slice of the docker network of kind, and the cluster is on existing";
            assert_eq!(problem, format!("`{path}`: {wanted}"));
            assert!(help.starts_with("give `addresses`: a range of the nodes' network"), "{help}");
        }
    }

    #[test]
    fn a_range_has_to_be_free_on_its_network() {
        for (options, message, hint) in [
            (
                json!({"addresses": "192.0.2.0/28"}),
                "192.0.2.0/28 lies outside of docker network `kind` (fc00:f853:ccd:e793::/64, 172.18.0.0/16)",
                "use for example 172.18.240.0/27, or `auto`",
            ),
            (
                json!({"addresses": "172.18.0.1-172.18.0.1"}),
                "172.18.0.1/32 holds 172.18.0.1, the gateway of docker network `kind`",
                "leave 172.18.0.1 out of it",
            ),
            (
                json!({"addresses": "172.18.0.2/31"}),
                "172.18.0.2/31 holds 172.18.0.2, the address of container `dev-control-plane`",
                "leave 172.18.0.2 out of it",
            ),
            (
                json!({"addresses": "172.18.255.90-172.18.255.100"}),
                "172.18.255.90-172.18.255.100 overlaps 172.18.255.64/27, the pool of cluster `other`",
                "use another range, or `auto`",
            ),
            (
                json!({"addresses": "172.18.255.240/28"}),
                "172.18.255.240/28 holds 172.18.255.255, the broadcast address of 172.18.0.0/16",
                "leave it out of the range; `avoidBuggyIPs: true`",
            ),
            (
                json!({"addresses": "172.18.0.0/32"}),
                "172.18.0.0/32 holds 172.18.0.0, the network address of 172.18.0.0/16",
                "leave it out of the range; `avoidBuggyIPs: true`",
            ),
        ] {
            let (problem, help) = refusal(settle(options, &network()));
            assert_eq!(problem, format!("`addons.metallb.addresses`: {message}"));
            assert!(help.starts_with(hint), "{problem}: {help}");
        }
        let avoided =
            json!({"pools": [{"name": "a", "addresses": "172.18.255.240/28", "avoidBuggyIPs": true}]});
        assert!(settle(avoided, &network()).is_ok());
        assert!(settle(json!({"addresses": "fc00:f853:ccd:e793:ffff::/112"}), &network()).is_ok());
    }

    #[test]
    fn auto_is_the_same_slice_each_time_near_the_top_and_free() {
        let chosen = |network: &Network| {
            let settled = settle(json!({}), network).expect("a slice");
            let text = addresses(&settled)[0][0].as_str().expect("a text").to_string();
            range(&text)
        };
        let first = chosen(&network());
        assert_eq!(chosen(&network()), first);
        assert!(range("172.18.240.0/20").encloses(&first) && first.distance() + 1 == SLICE, "{first}");
        // Whatever is taken, the next one is free.
        let mut crowded = network();
        for number in 0..100 {
            let next = chosen(&crowded);
            let clash = crowded.taken.iter().find(|(other, _)| other.overlaps(&next));
            assert_eq!(clash, None, "the slice {number}");
            crowded.taken.push((next, format!("cluster `{number}`")));
        }
        // What the environment has already, it keeps.
        let own = range("172.18.250.3-172.18.250.9");
        assert_eq!(chosen(&Network { own: vec![own], ..network() }), own);
        let lost = Network { own: vec![range("172.18.255.64/27")], ..network() };
        assert_eq!(chosen(&lost), first);
        let seeds = ["a", "b", "c", "d"].map(|seed| chosen(&Network { seed: seed.to_string(), ..network() }));
        assert!(seeds.iter().any(|slice| *slice != seeds[0]), "all environments begin at one place");
    }

    #[test]
    fn auto_leaves_out_what_the_profile_itself_gives() {
        let alone = settle(json!({}), &network()).expect("a slice");
        let taken = addresses(&alone)[0][0].clone();
        let both = json!({"pools": [{"name": "a", "addresses": "auto"}, {"name": "b", "addresses": [taken]}, {"name": "c", "addresses": "auto"}]});
        let both = settle(both, &network()).expect("settled");
        let ranges: Vec<AddressRange> =
            addresses(&both).iter().map(|list| range(list[0].as_str().expect("a text"))).collect();
        assert!(
            !ranges[0].overlaps(&ranges[1])
                && !ranges[0].overlaps(&ranges[2])
                && !ranges[1].overlaps(&ranges[2])
        );
    }

    #[test]
    fn slices_fit_small_subnets_and_end_when_there_are_none() {
        let of = |text: &str| slots(&Subnet { range: range(text), gateway: None });
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

        let full =
            Network { taken: vec![(range("172.18.0.0/16"), "cluster `big`".to_string())], ..network() };
        let (problem, _) = refusal(settle(json!({}), &full));
        assert!(
            problem.starts_with("`addons.metallb`: no free slice for `auto` in docker network `kind`"),
            "{problem}"
        );
        let without_ipv4 = Network { subnets: network().subnets[..1].to_vec(), ..network() };
        assert!(settle(json!({}), &without_ipv4).is_err());
    }
}
