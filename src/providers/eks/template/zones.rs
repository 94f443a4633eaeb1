use std::collections::{BTreeMap, BTreeSet};

use super::addresses::MOST_ZONES;

/// Zones, by id, in which EKS makes no control plane: names differ from account to account, ids do not.
/// <https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html>
const WITHOUT_CONTROL_PLANES: [&str; 3] = ["use1-az3", "usw1-az2", "cac1-az3"];
/// How many zones a network is spread over where the profile does not ask for more.
const USUAL: usize = 3;
/// EKS wants subnets in so many zones.
const FEWEST: usize = 2;

/// An availability zone as the region offers it to the account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offered {
    /// `eu-central-1a`.
    pub name: String,
    /// `euc1-az2`.
    pub id: String,
}

/// A zone of a network and its place among the subnets, which it keeps as long as the network stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Zone {
    /// `eu-central-1a`.
    pub name: String,
    /// From 0 to 4.
    pub slot: usize,
}

/// `zones` as text, by their places: `eu-central-1a=0,eu-central-1b=1`.
pub fn written(zones: &[Zone]) -> String {
    let mut zones: Vec<&Zone> = zones.iter().collect();
    zones.sort_by_key(|zone| zone.slot);
    let pairs: Vec<String> = zones.iter().map(|zone| format!("{}={}", zone.name, zone.slot)).collect();
    pairs.join(",")
}

/// The zones of such a text, as far as it is one.
pub fn read(text: &str) -> Vec<Zone> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.filter_map(|(name, slot)| Some(Zone { name: name.to_string(), slot: slot.parse().ok()? })).collect()
}

/// Why no zones can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZonesError {
    /// A zone that a node group asks for is not there.
    #[error("node group `{group}` asks for zone {zone}, which this account has not in the region")]
    NotOffered {
        /// Who asks.
        group: String,
        /// For which.
        zone: String,
    },
    /// A zone that a node group asks for cannot be the cluster's.
    #[error("node group `{group}` asks for zone {zone} ({id}), in which EKS makes no clusters")]
    WithoutControlPlane {
        /// Who asks.
        group: String,
        /// For which.
        zone: String,
        /// What AWS calls it in all accounts.
        id: String,
    },
    /// The node groups ask for more than there is room for.
    #[error("the node groups ask for {0} zones, and a network has room for {MOST_ZONES}")]
    TooMany(usize),
    /// The region has too few.
    #[error("the region offers {} zone(s) to this account ({}), and EKS wants {FEWEST}", .0.len(), .0.join(", "))]
    TooFew(Vec<String>),
}

impl ZonesError {
    /// What to write instead, given what is `offered`.
    pub fn hint(&self, offered: &[Offered]) -> String {
        match self {
            Self::NotOffered { .. } | Self::WithoutControlPlane { .. } => {
                let names: Vec<&str> = usable(offered).map(|zone| zone.name.as_str()).collect();
                format!("write one or more of {} in its `zones`", names.join(", "))
            }
            Self::TooMany(_) => format!("write at most {MOST_ZONES} different ones in the `zones` of all"),
            Self::TooFew(_) => "choose another `region`".to_string(),
        }
    }
}

/// The zones of a network: those that stand, those that node groups ask for (by group), and as many more, in the
/// order of their names, as make three. The same answer for the same questions.
pub fn choose(
    offered: &[Offered],
    standing: &[Zone],
    wanted: &BTreeMap<&str, Vec<&str>>,
) -> Result<Vec<Zone>, ZonesError> {
    let stands = |name: &str| standing.iter().any(|zone| zone.name == name);
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for (group, zones) in wanted {
        for name in zones.iter().filter(|name| !stands(name)) {
            let offer = offered.iter().find(|zone| zone.name == **name);
            let group = (*group).to_string();
            match offer {
                None => return Err(ZonesError::NotOffered { group, zone: (*name).to_string() }),
                Some(offer) if is_without(offer) => {
                    let Offered { name: zone, id } = offer.clone();
                    return Err(ZonesError::WithoutControlPlane { group, zone, id });
                }
                Some(_) => names.insert(name),
            };
        }
    }
    let mut usable: Vec<&str> = usable(offered).map(|zone| zone.name.as_str()).collect();
    usable.sort_unstable();
    // A network that stands is spread no further unasked.
    if standing.is_empty() {
        for name in &usable {
            if names.len() < USUAL {
                names.insert(name);
            }
        }
    }
    let total = standing.len() + names.len();
    if total > MOST_ZONES {
        return Err(ZonesError::TooMany(total));
    }
    if total < FEWEST {
        return Err(ZonesError::TooFew(usable.iter().map(ToString::to_string).collect()));
    }
    let mut zones = standing.to_vec();
    for name in names {
        let free = (0..MOST_ZONES).find(|slot| !zones.iter().any(|zone| zone.slot == *slot));
        zones.push(Zone { name: name.to_string(), slot: free.unwrap_or_default() });
    }
    zones.sort_by_key(|zone| zone.slot);
    Ok(zones)
}

fn usable(offered: &[Offered]) -> impl Iterator<Item = &Offered> {
    offered.iter().filter(|zone| !is_without(zone))
}

fn is_without(zone: &Offered) -> bool {
    WITHOUT_CONTROL_PLANES.contains(&zone.id.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(zones: &[(&str, &str)]) -> Vec<Offered> {
        zones.iter().map(|(name, id)| Offered { name: name.to_string(), id: id.to_string() }).collect()
    }

    fn names(zones: &[Zone]) -> Vec<(&str, usize)> {
        zones.iter().map(|zone| (zone.name.as_str(), zone.slot)).collect()
    }

    fn virginia() -> Vec<Offered> {
        offered(&[
            ("us-east-1d", "use1-az6"),
            ("us-east-1a", "use1-az3"),
            ("us-east-1b", "use1-az4"),
            ("us-east-1c", "use1-az2"),
        ])
    }

    #[test]
    fn three_zones_in_the_order_of_their_names_without_those_that_have_no_control_planes() {
        let zones = choose(&virginia(), &[], &BTreeMap::new()).expect("zones");
        assert_eq!(names(&zones), [("us-east-1b", 0), ("us-east-1c", 1), ("us-east-1d", 2)]);
        let ireland = offered(&[
            ("eu-west-1d", "euw1-az4"),
            ("eu-west-1c", "euw1-az3"),
            ("eu-west-1b", "euw1-az2"),
            ("eu-west-1a", "euw1-az1"),
        ]);
        let zones = choose(&ireland, &[], &BTreeMap::from([("gpu", vec!["eu-west-1d"])])).expect("zones");
        assert_eq!(names(&zones), [("eu-west-1a", 0), ("eu-west-1b", 1), ("eu-west-1d", 2)]);
    }

    #[test]
    fn zones_that_stand_keep_their_place_and_new_ones_take_a_free_one() {
        let standing = vec![
            Zone { name: "us-east-1d".to_string(), slot: 0 },
            Zone { name: "us-east-1b".to_string(), slot: 2 },
        ];
        let same = choose(&virginia(), &standing, &BTreeMap::new()).expect("zones");
        assert_eq!(same, standing);
        let wanted = BTreeMap::from([("gpu", vec!["us-east-1c", "us-east-1d"])]);
        let more = choose(&virginia(), &standing, &wanted).expect("zones");
        assert_eq!(names(&more), [("us-east-1d", 0), ("us-east-1c", 1), ("us-east-1b", 2)]);
    }

    #[test]
    fn a_zone_that_stands_stays_even_where_it_is_not_offered_any_more() {
        let standing = vec![
            Zone { name: "us-east-1a".to_string(), slot: 0 },
            Zone { name: "us-east-1f".to_string(), slot: 1 },
        ];
        assert_eq!(choose(&virginia(), &standing, &BTreeMap::new()), Ok(standing));
    }

    #[test]
    fn what_cannot_be_is_said_with_whose_wish_it_was() {
        let ask = |zone| choose(&virginia(), &[], &BTreeMap::from([("gpu", vec![zone])]));
        let missing = ask("us-east-1x").expect_err("refused");
        assert!(missing.to_string().contains("`gpu` asks for zone us-east-1x"), "{missing}");
        assert_eq!(
            missing.hint(&virginia()),
            "write one or more of us-east-1d, us-east-1b, us-east-1c in its `zones`"
        );
        let without = ask("us-east-1a").expect_err("refused");
        assert!(without.to_string().contains("us-east-1a (use1-az3)"), "{without}");
        let one = offered(&[("us-west-1a", "usw1-az1"), ("us-west-1b", "usw1-az2")]);
        let few = choose(&one, &[], &BTreeMap::new()).expect_err("refused");
        assert_eq!(few, ZonesError::TooFew(vec!["us-west-1a".to_string()]));
        let many: Vec<(String, String)> = (0..6).map(|i| (format!("r-{i}"), format!("r-az{i}"))).collect();
        let many: Vec<Offered> = many.into_iter().map(|(name, id)| Offered { name, id }).collect();
        let all = many.iter().map(|zone| zone.name.as_str()).collect();
        assert_eq!(choose(&many, &[], &BTreeMap::from([("all", all)])), Err(ZonesError::TooMany(6)));
    }
}
