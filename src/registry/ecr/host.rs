use crate::clouds::aws::Partition;

/// The registry of an account in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Twelve digits.
    pub account: String,
    /// `eu-central-1`
    pub region: String,
}

impl Host {
    /// The registry that engines call `name`, perhaps as a URL; `None` when it is none of ECR. Besides the usual form
    /// (`ACCOUNT.dkr.ecr.REGION.amazonaws.com`) there are those of FIPS and of IPv6.
    /// <https://docs.aws.amazon.com/general/latest/gr/ecr.html>
    pub fn parse(name: &str) -> Option<Self> {
        let bare = name.trim().trim_start_matches("https://");
        let bare = bare.split('/').next()?;
        let (account, rest) = bare.split_once('.')?;
        let of =
            |before: &str, behind: &str| rest.strip_prefix(before)?.strip_suffix(behind).map(str::to_string);
        let region = of("dkr.ecr.", ".amazonaws.com.cn")
            .or_else(|| of("dkr.ecr.", ".amazonaws.com"))
            .or_else(|| of("dkr.ecr-fips.", ".amazonaws.com"))
            .or_else(|| of("dkr-ecr.", ".on.aws"))?;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_region = !region.is_empty()
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        (is_account && is_region).then(|| Self { account: account.to_string(), region })
    }
}

/// The host of the registry of `account` in `region`.
pub fn host(account: &str, region: &str) -> String {
    format!("{account}.dkr.ecr.{region}.{}", Partition::of(region).domain())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_ecr_are_told_from_all_others() {
        let of = |name: &str| Host::parse(name).map(|host| format!("{} {}", host.account, host.region));
        let known = Some("123456789012 eu-central-1".to_string());
        assert_eq!(of(&host("123456789012", "eu-central-1")), known);
        assert_eq!(of("https://123456789012.dkr.ecr.eu-central-1.amazonaws.com/v2/\n"), known);
        assert_eq!(of("123456789012.dkr-ecr.eu-central-1.on.aws"), known);
        assert_eq!(of(&host("123456789012", "cn-north-1")), Some("123456789012 cn-north-1".to_string()));
        for other in [
            "localhost:5001",
            "public.ecr.aws",
            "12345.dkr.ecr.eu-central-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com.example.org",
            "123456789012.dkr.ecr.a/b.amazonaws.com",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
