/// A part of AWS with accounts, ARNs and host names of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// Nearly all regions.
    Standard,
    /// The regions in China.
    China,
    /// The regions of `GovCloud` (US).
    GovCloud,
}

/// The regions that every account has; any later one has to be enabled in the account first (AWS Account
/// Management Reference Guide, "Enable or disable AWS Regions in your account").
const ALWAYS_ENABLED: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

impl Partition {
    /// The partition that `region` lies in, by its name.
    pub fn of(region: &str) -> Self {
        match region {
            _ if region.starts_with("cn-") => Self::China,
            _ if region.starts_with("us-gov-") => Self::GovCloud,
            _ => Self::Standard,
        }
    }

    /// Its name in ARNs: `aws`, `aws-cn`, `aws-us-gov`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
        }
    }

    /// What the host names of its services end with.
    pub fn domain(self) -> &'static str {
        match self {
            Self::China => "amazonaws.com.cn",
            Self::Standard | Self::GovCloud => "amazonaws.com",
        }
    }
}

/// Whether `region` is one that an account has to be given first.
pub(super) fn has_to_be_enabled(region: &str) -> bool {
    Partition::of(region) == Partition::Standard && !ALWAYS_ENABLED.contains(&region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_own_names() {
        let of = |region| (Partition::of(region).name(), Partition::of(region).domain());
        assert_eq!(of("eu-central-1"), ("aws", "amazonaws.com"));
        assert_eq!(of("cn-northwest-1"), ("aws-cn", "amazonaws.com.cn"));
        assert_eq!(of("us-gov-west-1"), ("aws-us-gov", "amazonaws.com"));
    }

    #[test]
    fn only_regions_that_not_every_account_has_have_to_be_enabled() {
        assert!(has_to_be_enabled("eu-south-2"));
        assert!(!has_to_be_enabled("eu-central-1"));
        assert!(!has_to_be_enabled("cn-north-1"));
    }
}
