use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Fault, FaultKind, Note};
use crate::clouds::aws::{Aws, Element, Params, Refusal, Service};
use crate::flow::Flow;
use crate::profile::NodeGroup;
use crate::providers::eks::outputs::PlacedSubnet;

/// How many addresses EKS wants to be free in each subnet of a cluster.
/// <https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html>
const FREE: u32 = 16;
const ATTEMPTED: &str = "look at the subnets of the profile";
/// Where in the profile they are named.
const PATH: &str = "cluster.eks.network.subnets";
const FEWEST_ZONES: usize = 2;
/// The zones, by id, of which EKS takes no subnets.
const WITHOUT_CONTROL_PLANES: [&str; 3] = ["use1-az3", "usw1-az2", "cac1-az3"];
const FOR_INTERNAL_BALANCERS: &str = "kubernetes.io/role/internal-elb";
const FOR_PUBLIC_BALANCERS: &str = "kubernetes.io/role/elb";

/// A subnet that somebody else made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    id: String,
    vpc: String,
    zone: String,
    zone_id: String,
    free: u32,
    tags: BTreeMap<String, String>,
}

/// The network that somebody else made, as far as it is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Borrowed {
    /// Its id.
    pub vpc: String,
    /// The subnets of the profile, by zone and id.
    pub subnets: Vec<PlacedSubnet>,
    /// What is odd about it.
    pub notes: Vec<Note>,
    /// Which of the subnets have fewer free addresses than a new cluster needs, with how many.
    full: Vec<String>,
}

impl Borrowed {
    /// Why no cluster can be made in it now. One that stands uses up addresses itself.
    pub fn too_full(&self) -> Option<Fault> {
        let full = self.full.first()?;
        let reason = format!("{full}, and EKS wants {FREE}");
        Some(invalid(Problem {
            reason,
            hint: "free some of them, or name a larger subnet".to_string(),
            path: PATH.to_string(),
        }))
    }
}

/// Looks at the subnets `ids` of the profile, in which `groups` are to run. Fails when they can never be the network of
/// such a cluster.
pub async fn borrowed(
    aws: &Aws,
    flow: &Flow,
    ids: &[String],
    groups: &[NodeGroup],
) -> Result<Borrowed, Fault> {
    let params = Params::new().filter("subnet-id", ids);
    let found = aws.query(Service::Ec2).all(flow, "DescribeSubnets", &params, "subnetSet").await;
    let found = found.map_err(|refusal: Refusal| refusal.fault(ATTEMPTED))?;
    let subnets: Vec<Subnet> = found.iter().filter_map(Subnet::read).collect();
    judge(ids, &subnets).and_then(|borrowed| reaches(groups, borrowed)).map_err(invalid)
}

fn invalid(Problem { reason, hint, path }: Problem) -> Fault {
    Fault::new(FaultKind::Invalid, ATTEMPTED, reason).hint(hint).in_profile(path)
}

impl Subnet {
    fn read(element: &Element) -> Option<Self> {
        let text = |path: &str| element.text(path).unwrap_or_default().to_string();
        let tags = element.list("tagSet").filter_map(|tag| {
            Some((tag.text("key")?.to_string(), tag.text("value").unwrap_or_default().to_string()))
        });
        Some(Self {
            id: element.text("subnetId")?.to_string(),
            vpc: text("vpcId"),
            zone: text("availabilityZone"),
            zone_id: text("availabilityZoneId"),
            free: text("availableIpAddressCount").parse().unwrap_or_default(),
            tags: tags.collect(),
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Problem {
    reason: String,
    hint: String,
    /// Where it lies in the profile.
    path: String,
}

/// Whether `found`, of the subnets `ids`, can be the network of a cluster.
fn judge(ids: &[String], found: &[Subnet]) -> Result<Borrowed, Problem> {
    let problem =
        |reason: String, hint: &str| Err(Problem { reason, hint: hint.to_string(), path: PATH.to_string() });
    let missing: Vec<&str> =
        ids.iter().filter(|id| !found.iter().any(|one| one.id == **id)).map(String::as_str).collect();
    if !missing.is_empty() {
        let reason = format!("{} cannot be found in this account and region", missing.join(", "));
        return problem(reason, "`aws ec2 describe-subnets` lists those that are there");
    }
    let vpcs: BTreeSet<&str> = found.iter().map(|one| one.vpc.as_str()).collect();
    if vpcs.len() > 1 {
        let reason = format!("they lie in {} networks: {}", vpcs.len(), Vec::from_iter(vpcs).join(", "));
        return problem(reason, "name subnets of one VPC");
    }
    if let Some(one) = found.iter().find(|one| WITHOUT_CONTROL_PLANES.contains(&one.zone_id.as_str())) {
        let reason =
            format!("{} is in {} ({}), in which EKS makes no clusters", one.id, one.zone, one.zone_id);
        return problem(reason, "name a subnet in another zone instead");
    }
    let zones: BTreeSet<&str> = found.iter().map(|one| one.zone.as_str()).collect();
    if zones.len() < FEWEST_ZONES {
        let reason = format!("they are all in {}", Vec::from_iter(zones).join(", "));
        return problem(reason, "EKS wants subnets in two zones or more: name one in another zone besides");
    }
    let mut subnets: Vec<PlacedSubnet> =
        found.iter().map(|one| PlacedSubnet { zone: one.zone.clone(), id: one.id.clone() }).collect();
    subnets.sort();
    Ok(Borrowed {
        vpc: found.first().map(|one| one.vpc.clone()).unwrap_or_default(),
        subnets,
        notes: odd(found),
        full: found
            .iter()
            .filter(|one| one.free < FREE)
            .map(|one| format!("{} has {} free addresses", one.id, one.free))
            .collect(),
    })
}

/// Whether there is a subnet in each zone that one of `groups` names.
fn reaches(groups: &[NodeGroup], borrowed: Borrowed) -> Result<Borrowed, Problem> {
    let zones: Vec<&str> = borrowed.subnets.iter().map(|subnet| subnet.zone.as_str()).collect();
    for (index, group) in groups.iter().enumerate() {
        if let Some(zone) = group.zones.iter().find(|zone| !zones.contains(&zone.as_str())) {
            return Err(Problem {
                reason: format!(
                    "node group `{}` is to run in {zone}, and none of the subnets is there",
                    group.name
                ),
                hint: format!("name a zone of theirs ({}), or a subnet in {zone} besides", zones.join(", ")),
                path: format!("nodeGroups[{index}].zones"),
            });
        }
    }
    Ok(borrowed)
}

/// Without these tags load balancers do not find their subnets.
fn odd(found: &[Subnet]) -> Vec<Note> {
    let tagged = |one: &&Subnet| {
        one.tags.contains_key(FOR_INTERNAL_BALANCERS) || one.tags.contains_key(FOR_PUBLIC_BALANCERS)
    };
    if found.iter().any(|one| tagged(&one)) {
        return Vec::new();
    }
    let text = format!(
        "none of the subnets carries the tag {FOR_INTERNAL_BALANCERS} or {FOR_PUBLIC_BALANCERS}: load balancers will \
         not find one"
    );
    vec![Note::new("warning", text)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::nodes::sample_group;

    fn subnet(id: &str, zone: &str) -> Subnet {
        Subnet {
            id: id.to_string(),
            vpc: "vpc-1".to_string(),
            zone: format!("eu-central-1{zone}"),
            zone_id: format!("euc1-{zone}"),
            free: 200,
            tags: BTreeMap::from([(FOR_INTERNAL_BALANCERS.to_string(), "1".to_string())]),
        }
    }

    fn ids(subnets: &[Subnet]) -> Vec<String> {
        subnets.iter().map(|one| one.id.clone()).collect()
    }

    #[test]
    fn subnets_of_two_zones_of_one_network_will_do() {
        let found = [subnet("subnet-2", "b"), subnet("subnet-1", "a")];
        let borrowed = judge(&ids(&found), &found).expect("a network");
        assert_eq!(borrowed.vpc, "vpc-1");
        let zones: Vec<&str> = borrowed.subnets.iter().map(|one| one.zone.as_str()).collect();
        assert_eq!(zones, ["eu-central-1a", "eu-central-1b"]);
        assert_eq!(borrowed.notes, []);
    }

    #[test]
    fn what_eks_would_refuse_is_refused_before() {
        let refused = |found: &[Subnet], ids: &[String]| judge(ids, found).expect_err("refused").reason;
        let one = [subnet("subnet-1", "a")];
        assert_eq!(
            refused(&one, &["subnet-1".into(), "subnet-9".into()]),
            "subnet-9 cannot be found in this account and region"
        );
        assert_eq!(refused(&one, &ids(&one)), "they are all in eu-central-1a");
        let mut two = [subnet("subnet-1", "a"), subnet("subnet-2", "b")];
        two[1].vpc = "vpc-2".to_string();
        assert_eq!(refused(&two, &ids(&two)), "they lie in 2 networks: vpc-1, vpc-2");
        let mut bad = [subnet("subnet-1", "a"), subnet("subnet-2", "b")];
        bad[0].zone_id = "use1-az3".to_string();
        assert!(refused(&bad, &ids(&bad)).contains("use1-az3"));
    }

    #[test]
    fn a_network_may_be_too_full_for_a_new_cluster_and_hold_one_that_stands() {
        let mut two = [subnet("subnet-1", "a"), subnet("subnet-2", "b")];
        assert_eq!(judge(&ids(&two), &two).expect("a network").too_full(), None);
        two[1].free = 15;
        let fault = judge(&ids(&two), &two).expect("a network").too_full().expect("too full");
        assert_eq!(fault.reason, "subnet-2 has 15 free addresses, and EKS wants 16");
    }

    #[test]
    fn a_group_in_a_zone_without_a_subnet_is_refused() {
        let two = [subnet("subnet-1", "a"), subnet("subnet-2", "b")];
        let mut group = sample_group("general", 1, 1, 0);
        let judged = |group: &NodeGroup| {
            let borrowed = judge(&ids(&two), &two).expect("a network");
            reaches(std::slice::from_ref(group), borrowed).map_err(|problem| (problem.reason, problem.path))
        };
        group.zones = vec!["eu-central-1b".to_string()];
        assert!(judged(&group).is_ok());
        group.zones.push("eu-central-1c".to_string());
        let reason =
            "node group `general` is to run in eu-central-1c, and none of the subnets is there".to_string();
        assert_eq!(judged(&group), Err((reason, "nodeGroups[0].zones".to_string())));
    }

    #[test]
    fn subnets_without_tags_are_told() {
        let mut found = [subnet("subnet-1", "a"), subnet("subnet-2", "b")];
        for one in &mut found {
            one.tags.clear();
        }
        assert_eq!(judge(&ids(&found), &found).expect("a network").notes.len(), 1);
    }
}
