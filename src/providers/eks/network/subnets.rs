use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Fault, FaultKind, Note};
use crate::clouds::aws::{Aws, Element, Params, Refusal, Service};
use crate::flow::Flow;
use crate::providers::eks::outputs::PlacedSubnet;

/// How many addresses EKS wants to be free in each subnet of a cluster.
/// <https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html>
const FREE: u32 = 16;
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
}

/// Looks at the subnets `ids` of the profile. Fails when EKS would not take them.
pub async fn borrowed(aws: &Aws, flow: &Flow, ids: &[String]) -> Result<Borrowed, Fault> {
    let attempted = "look at the subnets of the profile";
    let params = Params::new().filter("subnet-id", ids);
    let found = aws.query(Service::Ec2).all(flow, "DescribeSubnets", &params, "subnetSet").await;
    let found = found.map_err(|refusal: Refusal| refusal.fault(attempted))?;
    let subnets: Vec<Subnet> = found.iter().filter_map(Subnet::read).collect();
    judge(ids, &subnets).map_err(|problem| {
        Fault::new(FaultKind::Invalid, attempted, problem.reason)
            .hint(problem.hint)
            .in_profile("cluster.eks.network.subnets")
    })
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
    hint: &'static str,
}

/// Whether `found`, of the subnets `ids`, can be the network of a cluster.
fn judge(ids: &[String], found: &[Subnet]) -> Result<Borrowed, Problem> {
    let problem = |reason: String, hint| Err(Problem { reason, hint });
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
    if let Some(one) = found.iter().find(|one| one.free < FREE) {
        let reason = format!("{} has {} free addresses, and EKS wants {FREE}", one.id, one.free);
        return problem(reason, "free some of them, or name a larger subnet");
    }
    let mut subnets: Vec<PlacedSubnet> =
        found.iter().map(|one| PlacedSubnet { zone: one.zone.clone(), id: one.id.clone() }).collect();
    subnets.sort();
    Ok(Borrowed {
        vpc: found.first().map(|one| one.vpc.clone()).unwrap_or_default(),
        subnets,
        notes: odd(found),
    })
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
        two[1].free = 15;
        assert_eq!(refused(&two, &ids(&two)), "subnet-2 has 15 free addresses, and EKS wants 16");
        two[1].vpc = "vpc-2".to_string();
        assert_eq!(refused(&two, &ids(&two)), "they lie in 2 networks: vpc-1, vpc-2");
        let mut bad = [subnet("subnet-1", "a"), subnet("subnet-2", "b")];
        bad[0].zone_id = "use1-az3".to_string();
        assert!(refused(&bad, &ids(&bad)).contains("use1-az3"));
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
