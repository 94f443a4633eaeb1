//! Options that hold address pools. An addon says in its `addon.yaml` which
//! options those are; templates see the pools as `pools`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::AddonError;
use super::options::OptionSchema;
use super::pool::{AUTO, Pool, overlaps};
use super::slices::{check_on, choose, subnets};
use crate::base::{AddressRange, Network, ProviderKind};

/// The name of the pool of the simple option.
const DEFAULT: &str = "default";

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

impl Pools {
    /// The pools in `values`, the complete options of the addon at `path`, on `provider`; or everything that is
    /// wrong with their ranges, and at least one error.
    pub(super) fn read(
        options: &PoolOptions,
        schema: &OptionSchema,
        path: &str,
        values: &Value,
        provider: ProviderKind,
    ) -> Result<Self, Vec<AddonError>> {
        let (simple, several) = (values.get(&options.simple), values.get(&options.several));
        let several_path = format!("{path}.{}", options.several);
        let listed = match (simple, several.and_then(Value::as_array)) {
            (Some(_), Some(_)) => {
                let problem = format!("`{}` says already which addresses there are", options.simple);
                let hint = format!("take one of `{}` and `{}` out", options.simple, options.several);
                return Err(vec![AddonError::option(&several_path, problem, Some(hint))]);
            }
            (None, Some(pools)) => {
                let places = pools.iter().enumerate();
                places.map(|(index, pool)| (pool.clone(), format!("{several_path}[{index}]"))).collect()
            }
            (addresses, None) => {
                let pool = json!({"name": DEFAULT, "addresses": addresses.unwrap_or(&json!(AUTO))});
                let item = schema.properties.get(&options.several).and_then(|several| several.items.as_ref());
                let pool = item
                    .map_or(Ok(pool.clone()), |item| item.complete(path, &pool))
                    .map_err(|error| vec![error])?;
                vec![(pool, path.to_string())]
            }
        };
        let key = if several.is_some() { "addresses" } else { &options.simple };
        let is_said = simple.is_some() || several.is_some();
        // With the place in the list, in whose order they are told.
        let (mut pools, mut errors) = (Vec::<(usize, Pool)>::new(), Vec::new());
        for (position, (value, path)) in listed.into_iter().enumerate() {
            let pool = match Pool::read(value, &path, is_said.then_some(key)) {
                Ok(pool) => pool,
                Err(wrong) => {
                    errors.extend(wrong.into_iter().map(|error| (position, error)));
                    continue;
                }
            };
            if pool.ranges.is_empty() && provider != ProviderKind::Kind {
                errors.push((position, auto_needs_kind(&pool.path, provider)));
                continue;
            }
            if pools.iter().any(|(_, other)| other.name == pool.name) {
                let problem = format!("there is a pool `{}` already", pool.name);
                let hint = Some("give it another name".to_string());
                errors.push((position, AddonError::option(&format!("{path}.name"), problem, hint)));
                continue;
            }
            pools.push((position, pool));
        }
        errors.extend(overlaps(&pools));
        errors.sort_by_key(|(position, _)| *position);
        if errors.is_empty() {
            Ok(Self(pools.into_iter().map(|(_, pool)| pool).collect()))
        } else {
            Err(errors.into_iter().map(|(_, error)| error).collect())
        }
    }

    /// Whether the profile says of any of them where it lies.
    pub(super) fn has_ranges(&self) -> bool {
        self.0.iter().any(|pool| !pool.ranges.is_empty())
    }

    /// Everything that is wrong with what the profile says of them on `network`. Those of `auto` are no part of it.
    pub(super) fn misplaced(&self, network: &Network) -> Vec<AddonError> {
        let ranges = self.0.iter().flat_map(|pool| pool.ranges.iter().map(|range| (range, pool.avoids_ends)));
        ranges.filter_map(|(range, avoids_ends)| check_on(network, range, avoids_ends).err()).collect()
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
                let chosen = choose(network, &name, &given).ok_or_else(|| no_room(&path, network))?;
                given.push(chosen);
                addresses.push(chosen.to_string());
            }
            value["addresses"] = json!(addresses);
            settled.values.push(value);
        }
        Ok(settled)
    }
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
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    use super::super::slices::SLICE;
    use super::*;
    use crate::addons::Catalog;
    use crate::base::Subnet;

    #[expect(clippy::needless_pass_by_value, reason = "what `json!` makes is read here")]
    fn read(options: Value, provider: ProviderKind) -> Result<Pools, AddonError> {
        read_all(&options, provider).map_err(|mut errors| errors.swap_remove(0))
    }

    fn read_all(options: &Value, provider: ProviderKind) -> Result<Pools, Vec<AddonError>> {
        let catalog = Catalog::load(&[]).expect("the shipped addons");
        let addon = catalog.get("metallb").expect("it ships");
        let options = addon.definition.options.complete("addons.metallb", options);
        addon.pools("addons.metallb", &options.map_err(|error| vec![error])?, provider)
    }

    #[test]
    fn all_ranges_that_are_wrong_are_told_together() {
        let told = |options: &Value| -> Vec<String> {
            let errors = read_all(options, ProviderKind::Existing).expect_err("refused");
            errors.iter().filter_map(AddonError::path).collect()
        };
        let one = json!({"addresses": ["192.0.2", "192.0.2.0/28", "0.0.0.0/0"]});
        assert_eq!(told(&one), ["addons.metallb.addresses[0]", "addons.metallb.addresses[2]"]);
        let several = json!({"pools": [
            {"name": "a", "addresses": "192.0.2"},
            {"name": "b", "addresses": ["192.0.2.0/28", "192.0.2.8/29"]},
            {"name": "c", "addresses": "auto"},
        ]});
        let places = ["pools[0].addresses", "pools[1].addresses[1]", "pools[2].addresses"];
        assert_eq!(told(&several), places.map(|place| format!("addons.metallb.{place}")));
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
            rivals: Vec::new(),
            reachable: true,
        }
    }

    fn settle(options: Value, network: &Network) -> Result<Settled, AddonError> {
        read(options, ProviderKind::Kind)?.settle(Some(network))
    }

    fn addresses(settled: &Settled) -> Vec<&Value> {
        settled.values.iter().map(|pool| &pool["addresses"]).collect()
    }

    #[test]
    fn addresses_that_no_host_can_have_are_refused() {
        for text in [
            "0.0.0.0/0",
            "::/0",
            "127.0.0.1-127.0.0.5",
            "224.0.0.1-224.0.0.5",
            "255.255.255.255-255.255.255.255",
            "169.254.1.0/24",
            "fe80::1-fe80::5",
            "::ffff:192.0.2.9/128",
        ] {
            let (problem, _) = refusal(read(json!({"addresses": text}), ProviderKind::Existing));
            assert!(problem.contains("no host can have them"), "{text}: {problem}");
        }
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
        assert_eq!(chosen(&Network { own: vec![("default".to_string(), own)], ..network() }), own);
        let lost = vec![("default".to_string(), range("172.18.255.64/27"))];
        assert_eq!(chosen(&Network { own: lost, ..network() }), first);
        let of_another_pool = vec![("other".to_string(), own)];
        assert_eq!(chosen(&Network { own: of_another_pool, ..network() }), first);
        let seeds = ["a", "b", "c", "d"].map(|seed| chosen(&Network { seed: seed.to_string(), ..network() }));
        assert!(seeds.iter().any(|slice| *slice != seeds[0]), "all environments begin at one place");
    }

    #[test]
    fn environments_that_start_at_one_moment_choose_apart() {
        let seeds: Vec<String> = (0..60).map(|number| format!("lab-{number:02}")).collect();
        let chosen_by = |index: usize, rivals: &[String]| {
            let network = Network { seed: seeds[index].clone(), rivals: rivals.to_vec(), ..network() };
            addresses(&settle(json!({}), &network).expect("a slice"))[0].to_string()
        };
        let distinct = |chosen: Vec<String>| chosen.into_iter().collect::<BTreeSet<_>>().len();
        assert_eq!(distinct((0..60).map(|index| chosen_by(index, &seeds[..index])).collect()), 60);
        // Their places to begin at are few enough for some of them to be the same.
        assert!(distinct((0..60).map(|index| chosen_by(index, &[])).collect()) < 60);
        // A pool that stands is not given up for one that may come.
        let own = range("172.18.250.32/27");
        let standing = Network { own: vec![("default".to_string(), own)], rivals: seeds, ..network() };
        assert_eq!(addresses(&settle(json!({}), &standing).expect("a slice"))[0], &json!([own.to_string()]));
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
    fn auto_needs_room_in_an_ipv4_subnet() {
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
