use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::base::{Owner, label};
use crate::clouds::aws::Element;

/// Tags by key.
pub(super) type Tags = BTreeMap<String, String>;

/// By this tag a volume stays though its cluster goes: its `PersistentVolume` says Retain.
pub(super) const RETAINED: &str = "berth.dev/retained";
/// By this tag a volume goes with its cluster, which was asked: its `PersistentVolume` says Delete.
pub(super) const RELEASED: &str = "berth.dev/released";

/// What kind of thing a cluster left on AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// A network or application load balancer.
    Balancer,
    /// A load balancer of the first generation.
    ClassicBalancer,
    /// What such a one sends its traffic to.
    TargetGroup,
    /// An interface endpoint that `GuardDuty` made for the agents on the nodes.
    Endpoint,
    /// A network interface.
    Interface,
    /// A security group.
    Group,
    /// A volume of a claim.
    Volume,
}

/// One thing that a cluster left on AWS. They go in the order of their kinds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Leftover {
    pub kind: Kind,
    /// By what it is removed: its ARN, its id, of a classic load balancer its name.
    pub id: String,
    /// How it is known to people; empty when that is its id.
    pub name: String,
    /// Whether it goes by itself: then it is only waited for.
    pub goes_alone: bool,
}

/// Which cluster it is all about, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub cluster: String,
    pub owner: Owner,
    /// Whether berth made the network that the cluster is in: then all that is made in it for clusters is for this one.
    pub owns_network: bool,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.kind {
            Kind::Balancer | Kind::ClassicBalancer => "load balancer",
            Kind::TargetGroup => "target group",
            Kind::Endpoint => "endpoint",
            Kind::Interface => "network interface",
            Kind::Group => "security group",
            Kind::Volume => "volume",
        };
        match self.name.as_str() {
            "" => write!(f, "{word} {}", self.id),
            name if self.kind == Kind::Group => write!(f, "{word} {} ({name})", self.id),
            name => write!(f, "{word} {name}"),
        }
    }
}

impl Scope {
    /// Whether these tags say that their thing was made for the cluster: by the cloud controller and the EBS CSI
    /// driver, the AWS Load Balancer Controller, Auto Mode, the CNI, EKS itself.
    pub fn is_of_cluster(&self, tags: &Tags) -> bool {
        let name = self.cluster.as_str();
        let says = |key: &str| tags.get(key).is_some_and(|value| value == name);
        // What is `shared` belongs to nobody alone.
        tags.get(&format!("kubernetes.io/cluster/{name}")).is_some_and(|value| value == "owned")
            || says("elbv2.k8s.aws/cluster")
            || says("eks:eks-cluster-name")
            || says("cluster.k8s.amazonaws.com/name")
            || says("aws:eks:cluster-name")
    }

    /// Whether these tags carry the mark of the owner.
    pub fn is_marked(&self, tags: &Tags) -> bool {
        tags.get(label::OWNER) == Some(&self.owner.id)
    }

    /// A network interface of the cluster: one that the CNI lost, and one of a load balancer that is gone, which is
    /// none of `standing` (`net/web/50dc6c495c0c9188`). That of a node goes with the node.
    pub fn interface(&self, found: &Element, standing: &BTreeSet<String>) -> Option<Leftover> {
        let description = found.text("description").unwrap_or_default();
        let is_free = found.text("status") == Some("available");
        let tags = tags_at(found, "tagSet");
        let is_of_cni =
            self.is_of_cluster(&tags) || (self.owns_network && description.starts_with("aws-K8S-"));
        let is_of_lost_balancer = self.owns_network
            && !is_free
            && description.strip_prefix("ELB ").is_some_and(|balancer| !standing.contains(balancer));
        if !is_of_cni && !is_of_lost_balancer {
            return None;
        }
        Some(Leftover {
            kind: Kind::Interface,
            id: found.text("networkInterfaceId")?.to_string(),
            name: String::new(),
            goes_alone: !is_free,
        })
    }

    /// A security group of the cluster, or one of `GuardDuty` in the network of the cluster alone.
    pub fn group(&self, found: &Element) -> Option<Leftover> {
        let name = found.text("groupName")?;
        let tags = tags_at(found, "tagSet");
        let is_guards = self.owns_network && name.starts_with("GuardDutyManagedSecurityGroup-");
        // Those of the stack carry the mark, and go with it.
        let is_of_cluster = self.is_of_cluster(&tags) && !self.is_marked(&tags);
        (is_of_cluster || is_guards).then(|| Leftover {
            kind: Kind::Group,
            id: found.text("groupId").unwrap_or_default().to_string(),
            name: name.to_string(),
            goes_alone: false,
        })
    }

    /// An endpoint that `GuardDuty` made in the network of the cluster alone.
    /// Source: <https://docs.aws.amazon.com/guardduty/latest/ug/runtime-monitoring-agent-resource-clean-up.html>.
    pub fn endpoint(&self, found: &Element) -> Option<Leftover> {
        let service = found.text("serviceName")?;
        let is_guards = service.ends_with(".guardduty-data") || service.ends_with(".guardduty-data-fips");
        let state = found.text("state").unwrap_or_default().to_lowercase();
        (self.owns_network && is_guards && state != "deleted").then(|| Leftover {
            kind: Kind::Endpoint,
            id: found.text("vpcEndpointId").unwrap_or_default().to_string(),
            name: String::new(),
            goes_alone: state == "deleting",
        })
    }

    /// A volume of a claim of the cluster that may go. What no cluster could be asked about may hold what is wanted.
    pub fn volume(&self, found: &Element) -> Option<Leftover> {
        let tags = tags_at(found, "tagSet");
        let may_go = is_of_claim(&tags) && tags.contains_key(RELEASED) && !tags.contains_key(RETAINED);
        (self.is_of_cluster(&tags) && may_go && found.text("status") != Some("deleting")).then(|| Leftover {
            kind: Kind::Volume,
            id: found.text("volumeId").unwrap_or_default().to_string(),
            name: String::new(),
            goes_alone: false,
        })
    }
}

/// Whether a volume was made for a claim: the disks of nodes go with these.
pub(super) fn is_of_claim(tags: &Tags) -> bool {
    ["CSIVolumeName", "kubernetes.io/created-for/pvc/name"].iter().any(|key| tags.contains_key(*key))
}

/// The tags in the list at `path`.
pub(super) fn tags_at(found: &Element, path: &str) -> Tags {
    let pair = |tag: &Element| {
        let key = tag.text("key").or(tag.text("Key"))?;
        Some((key.to_string(), tag.text("value").or(tag.text("Value")).unwrap_or_default().to_string()))
    };
    found.list(path).filter_map(pair).collect()
}

/// `things` in words: the first one, and how many more.
pub(super) fn told(things: &[Leftover]) -> String {
    match things {
        [] => String::new(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(owns_network: bool) -> Scope {
        let owner = Owner { id: "7f3k2q9d".to_string(), environment: "dev".to_string() };
        Scope { cluster: "dev".to_string(), owner, owns_network }
    }

    fn tagged(tags: &[(&str, &str)]) -> String {
        let one =
            |(key, value): &(&str, &str)| format!("<item><key>{key}</key><value>{value}</value></item>");
        format!("<tagSet>{}</tagSet>", tags.iter().map(one).collect::<String>())
    }

    fn element(inner: &str) -> Element {
        Element::parse(&format!("<item>{inner}</item>")).expect("XML")
    }

    fn interface(description: &str, status: &str, tags: &[(&str, &str)]) -> Element {
        element(&format!(
            "<networkInterfaceId>eni-1</networkInterfaceId><description>{description}</description>\
             <status>{status}</status>{}",
            tagged(tags)
        ))
    }

    #[test]
    fn what_controllers_and_eks_tag_is_of_the_cluster_and_what_is_shared_is_not() {
        let is = |key: &str, value: &str| {
            scope(true).is_of_cluster(&BTreeMap::from([(key.to_string(), value.to_string())]))
        };
        assert!(is("kubernetes.io/cluster/dev", "owned"));
        assert!(!is("kubernetes.io/cluster/dev", "shared"));
        assert!(!is("kubernetes.io/cluster/dev2", "owned"));
        assert!(is("elbv2.k8s.aws/cluster", "dev") && !is("elbv2.k8s.aws/cluster", "dev2"));
        assert!(is("eks:eks-cluster-name", "dev") && is("aws:eks:cluster-name", "dev"));
    }

    #[test]
    fn interfaces_that_the_cni_lost_go_and_those_in_use_are_waited_for() {
        let none = BTreeSet::new();
        let ours = [("cluster.k8s.amazonaws.com/name", "dev")];
        let free = scope(false).interface(&interface("aws-K8S-i-1", "available", &ours), &none);
        assert_eq!(free.map(|found| found.goes_alone), Some(false));
        let used = scope(false).interface(&interface("aws-K8S-i-1", "in-use", &ours), &none);
        assert_eq!(used.map(|found| found.goes_alone), Some(true));
        // Without a tag only the network tells whose it is.
        let untagged = interface("aws-K8S-i-1", "available", &[]);
        assert!(scope(true).interface(&untagged, &none).is_some());
        assert!(scope(false).interface(&untagged, &none).is_none());
        assert!(scope(true).interface(&interface("Amazon EKS dev", "in-use", &[]), &none).is_none());
    }

    #[test]
    fn interfaces_of_a_load_balancer_that_is_gone_are_waited_for() {
        let found = interface("ELB net/web/50dc", "in-use", &[]);
        let standing = BTreeSet::from(["net/web/50dc".to_string()]);
        assert!(scope(true).interface(&found, &standing).is_none());
        assert!(scope(true).interface(&found, &BTreeSet::new()).is_some_and(|found| found.goes_alone));
    }

    #[test]
    fn what_guardduty_made_goes_only_from_a_network_of_ours() {
        let endpoint = element(
            "<vpcEndpointId>vpce-1</vpcEndpointId><state>available</state>\
             <serviceName>com.amazonaws.eu-central-1.guardduty-data</serviceName>",
        );
        assert!(scope(true).endpoint(&endpoint).is_some() && scope(false).endpoint(&endpoint).is_none());
        let group = element(
            "<groupId>sg-1</groupId><groupName>GuardDutyManagedSecurityGroup-vpc-1</groupName><tagSet/>",
        );
        assert!(scope(true).group(&group).is_some() && scope(false).group(&group).is_none());
        let other = element(
            "<vpcEndpointId>vpce-2</vpcEndpointId><serviceName>com.amazonaws.eu-central-1.s3</serviceName>",
        );
        assert!(scope(true).endpoint(&other).is_none());
    }

    #[test]
    fn volumes_of_claims_go_once_the_cluster_said_so_and_those_of_nodes_and_retained_ones_do_not() {
        let volume = |tags: &[(&str, &str)]| {
            scope(true).volume(&element(&format!("<volumeId>vol-1</volumeId>{}", tagged(tags)))).is_some()
        };
        let (of, claim) = (("kubernetes.io/cluster/dev", "owned"), ("CSIVolumeName", "pvc-1"));
        let released = (RELEASED, "");
        assert!(volume(&[of, claim, released]));
        assert!(!volume(&[of, claim]), "nobody was asked");
        assert!(!volume(&[of, released]), "the disk of a node goes with it");
        assert!(!volume(&[claim, released]), "that of another cluster");
        assert!(!volume(&[of, claim, released, (RETAINED, "shop/data")]), "asked again, it stays");
    }

    #[test]
    fn a_security_group_is_told_by_id_and_name() {
        let group = element(&format!(
            "<groupId>sg-1</groupId><groupName>eks-cluster-sg-dev-1</groupName>{}",
            tagged(&[("aws:eks:cluster-name", "dev")])
        ));
        let found = scope(false).group(&group).expect("ours");
        assert_eq!(found.to_string(), "security group sg-1 (eks-cluster-sg-dev-1)");
        assert_eq!(told(&[found.clone(), found]), "security group sg-1 (eks-cluster-sg-dev-1) and 1 more");
    }
}
