use sha2::{Digest, Sha256};

/// The longest name of an IAM role.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const LONGEST_ROLE: usize = 64;

/// Where on AWS an environment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// The account, 12 digits.
    pub account: String,
    /// The region: `eu-central-1`.
    pub region: String,
}

/// What everything of an environment is called on AWS. Each name is unique where it lives, so that what was made
/// is found again by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    environment: String,
    region: String,
}

/// What pods may do on AWS: one role each, taken by one service account of one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodRole {
    /// The EBS CSI driver makes and attaches volumes.
    EbsCsi,
    /// The CNI gives pods addresses of the network.
    VpcCni,
    /// The cluster autoscaler sets the sizes of node groups.
    Autoscaler,
}

impl PodRole {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EbsCsi, Self::VpcCni, Self::Autoscaler];

    /// What its role is called, behind the environment and the region.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EbsCsi => "ebs-csi",
            Self::VpcCni => "vpc-cni",
            Self::Autoscaler => "autoscaler",
        }
    }

    /// The namespace of the service account that takes it.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::EbsCsi | Self::VpcCni => "kube-system",
            Self::Autoscaler => "cluster-autoscaler",
        }
    }

    /// The service account that takes it.
    /// <https://docs.aws.amazon.com/eks/latest/userguide/workloads-add-ons-available-eks.html>
    pub fn service_account(self) -> &'static str {
        match self {
            Self::EbsCsi => "ebs-csi-controller-sa",
            Self::VpcCni => "aws-node",
            Self::Autoscaler => "cluster-autoscaler",
        }
    }
}

impl Names {
    /// The names of `environment` in `region`.
    pub fn new(environment: impl Into<String>, region: impl Into<String>) -> Self {
        Self { environment: environment.into(), region: region.into() }
    }

    /// The environment.
    pub fn environment(&self) -> &str {
        &self.environment
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The stack of network and roles. Its name is unique in account and region, and so the lock of the environment.
    pub fn stack(&self) -> String {
        format!("berth-{}", self.environment)
    }

    /// The cluster.
    pub fn cluster(&self) -> &str {
        &self.environment
    }

    /// The log group into which EKS writes the logs of the control plane: AWS gives it this name.
    /// <https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html>
    pub fn log_group(&self) -> String {
        format!("/aws/eks/{}/cluster", self.environment)
    }

    /// The role of the control plane.
    pub fn cluster_role(&self) -> String {
        self.role("cluster")
    }

    /// The role of the nodes.
    pub fn node_role(&self) -> String {
        self.role("node")
    }

    /// The role of the nodes that Auto Mode makes.
    pub fn auto_node_role(&self) -> String {
        self.role("auto-node")
    }

    /// A role of pods.
    pub fn pod_role(&self, role: PodRole) -> String {
        self.role(role.as_str())
    }

    /// The ARN of the cluster.
    pub fn cluster_arn(&self, site: &Site) -> String {
        let Site { partition, account, region } = site;
        format!("arn:{partition}:eks:{region}:{account}:cluster/{}", self.environment)
    }

    /// Roles belong to the account, in which another region may have an environment of the same name.
    fn role(&self, purpose: &str) -> String {
        let whole = format!("berth-{}-{}-{purpose}", self.environment, self.region);
        if whole.len() <= LONGEST_ROLE {
            return whole;
        }
        let end = format!("-{}-{purpose}", short_hash(&whole));
        let kept: String = whole.chars().take(LONGEST_ROLE - end.len()).collect();
        format!("{}{end}", kept.trim_end_matches('-'))
    }
}

impl Site {
    /// The ARN of the role `name`.
    pub fn role_arn(&self, name: &str) -> String {
        format!("arn:{}:iam::{}:role/{name}", self.partition, self.account)
    }

    /// The site of the resource with this ARN, when it names an account.
    pub fn of_arn(arn: &str) -> Option<Self> {
        let mut parts = arn.split(':');
        let (Some("arn"), Some(partition), Some(_), Some(region), Some(account)) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let whole = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        whole.then(|| Self {
            partition: partition.to_string(),
            account: account.to_string(),
            region: region.to_string(),
        })
    }
}

/// Six hex digits that follow from `text`.
pub(super) fn short_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(3).fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_name_that_iam_takes_and_no_two_have_the_same() {
        let longest = Names::new("a".repeat(30), "ap-southeast-1");
        assert!(longest.pod_role(PodRole::Autoscaler).len() <= LONGEST_ROLE);
        let beyond = Names::new("a".repeat(30), "somewhere-far-east-12");
        let mut names: Vec<String> = PodRole::ALL.iter().map(|role| beyond.pod_role(*role)).collect();
        names.extend([beyond.cluster_role(), beyond.node_role()]);
        assert!(names.iter().all(|name| name.len() <= LONGEST_ROLE), "{names:?}");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 5);
    }

    #[test]
    fn names_are_those_that_the_documentation_shows() {
        let names = Names::new("dev", "eu-central-1");
        assert_eq!(names.stack(), "berth-dev");
        assert_eq!(names.cluster_role(), "berth-dev-eu-central-1-cluster");
        assert_eq!(names.log_group(), "/aws/eks/dev/cluster");
    }

    #[test]
    fn a_site_is_read_from_an_arn_that_names_an_account() {
        let stack = "arn:aws-cn:cloudformation:cn-north-1:123456789012:stack/berth-dev/1";
        let site = Site::of_arn(stack).expect("a site");
        assert_eq!(site.role_arn("node"), "arn:aws-cn:iam::123456789012:role/node");
        assert_eq!(
            Names::new("dev", "cn-north-1").cluster_arn(&site),
            "arn:aws-cn:eks:cn-north-1:123456789012:cluster/dev"
        );
        assert_eq!(Site::of_arn("arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"), None);
        assert_eq!(Site::of_arn("berth-dev"), None);
    }
}
