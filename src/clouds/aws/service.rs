use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

use super::region::Partition;

/// The services that berth asks by [`Query`](super::Query) and [`Json`](super::Json), without a crate of
/// their own. Names, versions and targets are those of the service models of botocore 1.44.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Networks, instance types, interfaces, volumes. Query.
    Ec2,
    /// Roles. Query; one endpoint for each partition.
    Iam,
    /// Classic load balancers. Query.
    Elb,
    /// Network and application load balancers. Query.
    ElbV2,
    /// The groups that node groups run in. Query.
    AutoScaling,
    /// Limits of the account. JSON.
    Quotas,
    /// What carries a tag, over all services. JSON.
    Tagging,
    /// Log groups. JSON.
    Logs,
    /// What AWS publishes of its machine images. JSON.
    Ssm,
}

impl Service {
    /// The name by which rights, signatures and, mostly, hosts know it.
    pub(super) fn signing_name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Iam => "iam",
            Self::Elb | Self::ElbV2 => "elasticloadbalancing",
            Self::AutoScaling => "autoscaling",
            Self::Quotas => "servicequotas",
            Self::Tagging => "tagging",
            Self::Logs => "logs",
            Self::Ssm => "ssm",
        }
    }

    /// What the names of its rights begin with, in policies.
    pub(super) fn right(self) -> &'static str {
        match self {
            Self::Tagging => "tag",
            other => other.signing_name(),
        }
    }

    /// Its id, from which AWS makes `AWS_ENDPOINT_URL_…` and the keys of a `services` section (AWS SDKs and
    /// Tools Reference Guide, "Service-specific endpoints").
    fn id(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Iam => "IAM",
            Self::Elb => "Elastic Load Balancing",
            Self::ElbV2 => "Elastic Load Balancing v2",
            Self::AutoScaling => "Auto Scaling",
            Self::Quotas => "Service Quotas",
            Self::Tagging => "Resource Groups Tagging API",
            Self::Logs => "CloudWatch Logs",
            Self::Ssm => "SSM",
        }
    }

    /// The version of its interface, for Query.
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            Self::Iam => "2010-05-08",
            Self::Elb => "2012-06-01",
            Self::ElbV2 => "2015-12-01",
            Self::AutoScaling => "2011-01-01",
            Self::Quotas | Self::Tagging | Self::Logs | Self::Ssm => "",
        }
    }

    /// What stands before the operation in `X-Amz-Target`, for JSON.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::Quotas => "ServiceQuotasV20190624",
            Self::Tagging => "ResourceGroupsTaggingAPI_20170126",
            Self::Logs => "Logs_20140328",
            Self::Ssm => "AmazonSSM",
            Self::Ec2 | Self::Iam | Self::Elb | Self::ElbV2 | Self::AutoScaling => "",
        }
    }

    /// Where it is asked from `region`, and in whose name requests are signed: the address and the region.
    pub(super) fn endpoint(self, region: &str, config: &SdkConfig) -> (String, String) {
        let partition = Partition::of(region);
        let domain = partition.domain();
        let (host, signed_for) = match (self, partition) {
            (Self::Iam, Partition::Standard) => (format!("iam.{domain}"), "us-east-1"),
            (Self::Iam, Partition::China) => (format!("iam.cn-north-1.{domain}"), "cn-north-1"),
            (Self::Iam, Partition::GovCloud) => (format!("iam.us-gov.{domain}"), "us-gov-west-1"),
            _ => (format!("{}.{region}.{domain}", self.signing_name()), region),
        };
        let address = self.chosen(config).unwrap_or_else(|| format!("https://{host}"));
        (address.trim_end_matches('/').to_string(), signed_for.to_string())
    }

    /// The endpoint that the environment or the AWS configuration names for it: its own one, or that of all.
    fn chosen(self, config: &SdkConfig) -> Option<String> {
        named(self.id(), config).or_else(|| config.endpoint_url().map(str::to_string))
    }
}

/// The ids of the services that are asked by crates of their own.
const WITH_CRATES: [&str; 4] = ["EKS", "ECR", "CloudFormation", "STS"];

/// All others.
const WITHOUT_CRATES: [Service; 9] = [
    Service::Ec2,
    Service::Iam,
    Service::Elb,
    Service::ElbV2,
    Service::AutoScaling,
    Service::Quotas,
    Service::Tagging,
    Service::Logs,
    Service::Ssm,
];

/// The first endpoint that the environment or the AWS configuration names and that is no address. Signing crashes at an
/// empty one, and the SDKs do not say which variable is meant at others.
pub(super) fn unusable_endpoint(config: &SdkConfig) -> Option<String> {
    let ids = WITH_CRATES.into_iter().chain(WITHOUT_CRATES.map(Service::id));
    let own = ids.filter_map(|id| named(id, config));
    let is_address = |named: &str| ["http://", "https://"].iter().any(|scheme| named.starts_with(scheme));
    own.chain(config.endpoint_url().map(str::to_string)).find(|named| !is_address(named))
}

/// The endpoint that is named for the service with this id alone.
fn named(id: &'static str, config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    config.service_config().and_then(|configured| configured.load_config(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_found_where_its_partition_has_it() {
        let none = SdkConfig::builder().build();
        let at = |service: Service, region| service.endpoint(region, &none);
        let pair = |address: &str, region: &str| (address.to_string(), region.to_string());
        assert_eq!(at(Service::Ec2, "eu-west-1"), pair("https://ec2.eu-west-1.amazonaws.com", "eu-west-1"));
        assert_eq!(
            at(Service::ElbV2, "cn-north-1"),
            pair("https://elasticloadbalancing.cn-north-1.amazonaws.com.cn", "cn-north-1")
        );
        assert_eq!(at(Service::Iam, "eu-west-1"), pair("https://iam.amazonaws.com", "us-east-1"));
        assert_eq!(
            at(Service::Iam, "cn-northwest-1"),
            pair("https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1")
        );
        assert_eq!(
            at(Service::Iam, "us-gov-east-1"),
            pair("https://iam.us-gov.amazonaws.com", "us-gov-west-1")
        );
    }

    #[test]
    fn a_chosen_endpoint_takes_the_place_of_all_hosts() {
        let chosen = SdkConfig::builder().endpoint_url("http://127.0.0.1:5000/").build();
        assert_eq!(
            Service::Iam.endpoint("eu-west-1", &chosen),
            ("http://127.0.0.1:5000".to_string(), "us-east-1".to_string())
        );
    }
}
