use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::leftover::{RETAINED, Tags};
use super::retained::may_be_wanted;
use crate::base::{Fault, Owner, label};
use crate::clouds::aws::{Aws, Params, Refusal, Service, Session};
use crate::flow::Flow;
use crate::providers::eks::names::{Names, PodRole};

/// How EC2 lists what the tagging interface knows as `instance` or `vpc`: that one still names what has been gone
/// for an hour.
struct Listing {
    kind: &'static str,
    operation: &'static str,
    list: &'static str,
    id: &'static str,
    state: &'static str,
}

const fn listing(
    kind: &'static str,
    operation: &'static str,
    list: &'static str,
    id: &'static str,
) -> Listing {
    Listing { kind, operation, list, id, state: "state" }
}

const LISTINGS: [Listing; 11] = [
    listing("vpc", "DescribeVpcs", "vpcSet", "vpcId"),
    listing("subnet", "DescribeSubnets", "subnetSet", "subnetId"),
    listing("route-table", "DescribeRouteTables", "routeTableSet", "routeTableId"),
    listing("internet-gateway", "DescribeInternetGateways", "internetGatewaySet", "internetGatewayId"),
    listing("natgateway", "DescribeNatGateways", "natGatewaySet", "natGatewayId"),
    listing("elastic-ip", "DescribeAddresses", "addressesSet", "allocationId"),
    listing("vpc-endpoint", "DescribeVpcEndpoints", "vpcEndpointSet", "vpcEndpointId"),
    listing("security-group", "DescribeSecurityGroups", "securityGroupInfo", "groupId"),
    listing("network-interface", "DescribeNetworkInterfaces", "networkInterfaceSet", "networkInterfaceId"),
    listing("volume", "DescribeVolumes", "volumeSet", "volumeId"),
    listing("launch-template", "DescribeLaunchTemplates", "launchTemplates", "launchTemplateId"),
];

/// A thing of AWS by its ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tagged {
    service: String,
    kind: String,
    id: String,
    arn: String,
}

impl Tagged {
    /// `arn:aws:ec2:eu-central-1:123456789012:vpc/vpc-1`, `arn:aws:logs:…:log-group:/aws/eks/dev/cluster`.
    fn of(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':').skip(2);
        let (service, rest) = (parts.next()?, parts.nth(2)?);
        let (kind, id) = rest.split_once(['/', ':'])?;
        Some(Self {
            service: service.to_string(),
            kind: kind.to_string(),
            id: id.to_string(),
            arn: arn.to_string(),
        })
    }

    fn told(&self) -> String {
        let Self { service, kind, id, .. } = self;
        match service.as_str() {
            "ec2" => format!("{} {id}", kind.replace('-', " ")),
            "cloudformation" => format!("stack {}", id.split('/').next().unwrap_or(id)),
            "logs" => format!("log group {id}"),
            service => format!("{service} {kind} {id}"),
        }
    }
}

/// What on AWS still carries the mark of `owner`, in words, but for registries and what is kept on purpose: what the
/// tagging interface names, each looked at where it lives, and the roles, which it does not name.
pub async fn remains(session: &Session, owner: &Owner, flow: &Flow) -> Result<Vec<String>, Fault> {
    let aws = session.open(flow).await?;
    let names = Names::new(&owner.environment, session.region());
    let (tagged, roles) = futures::try_join!(tagged(&aws, owner, flow), roles(&aws, &names, owner, flow))?;
    let mut found = still_there(&aws, tagged, owner, flow).await?;
    found.extend(roles);
    Ok(found)
}

async fn tagged(aws: &Aws, owner: &Owner, flow: &Flow) -> Result<Vec<Tagged>, Fault> {
    let asked = json!({"TagFilters": [
        {"Key": label::OWNER, "Values": [owner.id]}, {"Key": label::ENVIRONMENT, "Values": [owner.environment]},
    ]});
    let tagging = aws.json(Service::Tagging);
    let found = tagging.all(flow, "GetResources", &asked, "ResourceTagMappingList", "PaginationToken").await;
    let found = found.map_err(|refusal| refusal.fault("list what carries the mark of the environment"))?;
    Ok(found
        .iter()
        .filter(|one| !is_kept(one))
        .filter_map(|one| Tagged::of(one["ResourceARN"].as_str()?))
        .collect())
}

/// Whether it is a registry, or a volume that stays: those are told by their own resource.
fn is_kept(found: &Value) -> bool {
    let is_registry = found["ResourceARN"].as_str().is_some_and(|arn| arn.split(':').nth(2) == Some("ecr"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let tags = found["Tags"].as_array().into_iter().flatten();
    let tags: Tags = tags.map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect();
    is_registry || tags.contains_key(RETAINED) || may_be_wanted(&tags)
}

/// Those that are there when they are asked for themselves.
async fn still_there(
    aws: &Aws,
    tagged: Vec<Tagged>,
    owner: &Owner,
    flow: &Flow,
) -> Result<Vec<String>, Fault> {
    let kinds: BTreeSet<String> =
        tagged.iter().filter(|one| one.service == "ec2").map(|one| one.kind.clone()).collect();
    let mut live: BTreeSet<String> = BTreeSet::new();
    for kind in &kinds {
        live.extend(listed(aws, kind, owner, flow).await?);
    }
    let mut found = Vec::new();
    for one in tagged {
        let stands = match (one.service.as_str(), one.kind.as_str()) {
            ("ec2", kind) if kind == "instance" || LISTINGS.iter().any(|listing| listing.kind == kind) => {
                live.contains(&one.id)
            }
            ("cloudformation", "stack") => has_stack(aws, &one.arn, flow).await?,
            ("eks", _) => has_cluster(aws, one.id.split('/').next().unwrap_or_default(), flow).await?,
            ("logs", "log-group") => super::logs::stands(aws, &one.id, flow).await?,
            _ => true,
        };
        if stands {
            found.push(one.told());
        }
    }
    found.sort();
    Ok(found)
}

/// The ids of what EC2 has of `kind` with the mark of `owner`.
async fn listed(aws: &Aws, kind: &str, owner: &Owner, flow: &Flow) -> Result<Vec<String>, Fault> {
    let ec2 = aws.query(Service::Ec2);
    let params = Params::new().filter(&format!("tag:{}", label::OWNER), [owner.id.as_str()]);
    let refused = |refusal: Refusal| refusal.fault(format!("list what is left of {kind}"));
    if kind == "instance" {
        let found = ec2.all(flow, "DescribeInstances", &params, "reservationSet").await.map_err(refused)?;
        let machines = found.iter().flat_map(|one| one.list("instancesSet"));
        let there = machines.filter(|one| one.text("instanceState/name") != Some("terminated"));
        return Ok(there.filter_map(|one| one.text("instanceId").map(str::to_string)).collect());
    }
    let Some(Listing { operation, list, id, state, .. }) = LISTINGS.iter().find(|one| one.kind == kind)
    else {
        return Ok(Vec::new());
    };
    let found = ec2.all(flow, operation, &params, list).await.map_err(refused)?;
    let there = found.iter().filter(|one| one.text(state) != Some("deleted"));
    Ok(there.filter_map(|one| one.text(id).map(str::to_string)).collect())
}

async fn has_stack(aws: &Aws, arn: &str, flow: &Flow) -> Result<bool, Fault> {
    let answer = aws.cloudformation(flow).describe_stacks().stack_name(arn).send().await;
    match answer.map_err(Refusal::from) {
        Ok(answer) => {
            let status = answer.stacks().first().and_then(|stack| stack.stack_status());
            Ok(status.is_some_and(|status| status.as_str() != "DELETE_COMPLETE"))
        }
        Err(refusal) if refusal.is_absent() => Ok(false),
        Err(refusal) => Err(refusal.fault("look for what is left of the stack")),
    }
}

async fn has_cluster(aws: &Aws, name: &str, flow: &Flow) -> Result<bool, Fault> {
    match aws.eks(flow).describe_cluster().name(name).send().await.map_err(Refusal::from) {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.is_absent() => Ok(false),
        Err(refusal) => Err(refusal.fault(format!("look for what is left of the EKS cluster {name}"))),
    }
}

async fn roles(aws: &Aws, names: &Names, owner: &Owner, flow: &Flow) -> Result<Vec<String>, Fault> {
    let iam = aws.query(Service::Iam);
    let mut found = Vec::new();
    let pods = PodRole::ALL.map(|role| names.pod_role(role));
    for name in [names.cluster_role(), names.node_role(), names.auto_node_role()].into_iter().chain(pods) {
        match iam.call(flow, "GetRole", &Params::new().with("RoleName", &name)).await {
            Ok(answer) => {
                let mark = answer.at("Role").and_then(|role| role.tag("Tags", label::OWNER));
                found.extend((mark == Some(owner.id.as_str())).then(|| format!("role {name}")));
            }
            Err(refusal) if refusal.is_absent() => {}
            Err(refusal) => return Err(refusal.fault(format!("look for the role {name}"))),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_told_by_what_their_arns_say() {
        let told = |arn: &str| Tagged::of(arn).map(|one| one.told());
        let at = |service: &str, rest: &str| format!("arn:aws:{service}:eu-central-1:123456789012:{rest}");
        assert_eq!(told(&at("ec2", "vpc/vpc-1")).as_deref(), Some("vpc vpc-1"));
        assert_eq!(told(&at("ec2", "route-table/rtb-1")).as_deref(), Some("route table rtb-1"));
        assert_eq!(
            told(&at("logs", "log-group:/aws/eks/dev/cluster")).as_deref(),
            Some("log group /aws/eks/dev/cluster")
        );
        assert_eq!(told(&at("cloudformation", "stack/berth-dev/1-2")).as_deref(), Some("stack berth-dev"));
        assert_eq!(told(&at("eks", "cluster/dev")).as_deref(), Some("eks cluster dev"));
    }

    #[test]
    fn registries_and_what_is_retained_are_not_left_over() {
        let found = |arn: &str, key: &str| json!({"ResourceARN": arn, "Tags": [{"Key": key, "Value": "x"}]});
        assert!(is_kept(&found("arn:aws:ecr:eu-central-1:1:repository/x", label::OWNER)));
        assert!(is_kept(&found("arn:aws:ec2:eu-central-1:1:volume/vol-1", RETAINED)));
        assert!(is_kept(&found("arn:aws:ec2:eu-central-1:1:volume/vol-1", "CSIVolumeName")));
        assert!(!is_kept(&found("arn:aws:ec2:eu-central-1:1:volume/vol-1", label::OWNER)));
    }
}
