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

/// MetalLB and its like refuse all pools when two of them share an address.
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
