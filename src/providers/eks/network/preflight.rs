use futures::future::join_all;
use serde_json::json;

use crate::base::{Change, Conflict, Fault, Note, label};
use crate::clouds::aws::{Aws, Element, Params, Service};
use crate::flow::Flow;
use crate::providers::eks::template::{Blueprint, NetworkPlan};

/// Quotas that a network counts against, by their codes.
/// <https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html>
const VPCS: Quota = Quota { service: "vpc", code: "L-F678F1CE", what: "VPCs" };
const ADDRESSES: Quota = Quota { service: "ec2", code: "L-0263D0A3", what: "elastic IP addresses" };

/// What is in the way of a network that is to be made.
#[derive(Debug, Default)]
pub struct Findings {
    /// What it cannot be made with.
    pub conflicts: Vec<Change>,
    /// What should be known.
    pub notes: Vec<Note>,
}

#[derive(Debug, Clone, Copy)]
struct Quota {
    service: &'static str,
    code: &'static str,
    what: &'static str,
}

/// Asks the account whether there is room for what `blueprint` is made of.
pub async fn check(blueprint: &Blueprint, aws: &Aws, flow: &Flow) -> Result<Findings, Fault> {
    let (network, logs) =
        futures::join!(network(blueprint, aws, flow), logs_in_the_way(blueprint, aws, flow));
    let mut findings = network?;
    findings.conflicts.extend(logs?);
    Ok(findings)
}

/// A log group of the name that EKS gives it: one that berth did not make keeps logs that somebody may want.
async fn logs_in_the_way(blueprint: &Blueprint, aws: &Aws, flow: &Flow) -> Result<Option<Change>, Fault> {
    if blueprint.log_days.is_none() {
        return Ok(None);
    }
    let name = blueprint.names.log_group();
    let input = json!({"logGroupNamePrefix": name});
    // Where it may not be asked, the stack itself will tell.
    let Ok(answer) = aws.json(Service::Logs).call(flow, "DescribeLogGroups", &input).await else {
        return Ok(None);
    };
    let mut groups = answer["logGroups"].as_array().into_iter().flatten();
    let group = groups.find(|group| group["logGroupName"] == name.as_str());
    let Some(arn) = group.and_then(|group| group["arn"].as_str()) else { return Ok(None) };
    if is_ours(arn, blueprint, aws, flow).await? {
        return Ok(None);
    }
    let remedy = format!(
        "`aws logs delete-log-group --region {} --log-group-name {name}` removes it with the logs in it",
        aws.region()
    );
    let conflict = Conflict::new("it is there already, of an earlier cluster of this name", remedy);
    Ok(Some(conflict.of(format!("log group {name}"))))
}

/// Whether the log group carries the mark: then it is a part of a stack of ours that is on its way, and that reads do
/// not show yet.
async fn is_ours(arn: &str, blueprint: &Blueprint, aws: &Aws, flow: &Flow) -> Result<bool, Fault> {
    let input = json!({"resourceArn": arn.trim_end_matches(":*")});
    let asked = aws.json(Service::Logs).call(flow, "ListTagsForResource", &input).await;
    let answer = asked.map_err(|refusal| {
        refusal.fault(format!("see whose log group {} is", blueprint.names.log_group()))
    })?;
    let owner = blueprint.tags.get(label::OWNER).map(String::as_str);
    Ok(owner.is_some() && answer["tags"][label::OWNER].as_str() == owner)
}

async fn network(blueprint: &Blueprint, aws: &Aws, flow: &Flow) -> Result<Findings, Fault> {
    let Some(plan) = &blueprint.network else { return Ok(Findings::default()) };
    let ec2 = aws.query(Service::Ec2);
    let params = Params::new();
    let (vpcs, addresses, limits) = futures::join!(
        ec2.all(flow, "DescribeVpcs", &params, "vpcSet"),
        ec2.call(flow, "DescribeAddresses", &params),
        join_all([VPCS, ADDRESSES].map(|quota| limit(quota, aws, flow))),
    );
    let vpcs = vpcs.map_err(|refusal| refusal.fault("list the VPCs of the account"))?;
    let addresses = addresses.map_err(|refusal| refusal.fault("list the addresses of the account"))?;
    let used = [vpcs.len(), addresses.list("addressesSet").count()];
    let needed = [1, plan.gateways()];
    let mut findings = Findings::default();
    for (index, quota) in [VPCS, ADDRESSES].into_iter().enumerate() {
        let room = Room { used: used[index], needed: needed[index], limit: limits[index] };
        findings.conflicts.extend(room.conflict(quota, aws.region()));
    }
    findings.notes.extend(overlaps(plan, &vpcs));
    Ok(findings)
}

/// The limit of the account; `None` where it may not be asked or AWS does not say: then the call itself will tell.
async fn limit(quota: Quota, aws: &Aws, flow: &Flow) -> Option<usize> {
    let input = json!({"ServiceCode": quota.service, "QuotaCode": quota.code});
    let answer = aws.json(Service::Quotas).call(flow, "GetServiceQuota", &input).await.ok()?;
    let value = answer["Quota"]["Value"].as_f64()?;
    // Quotas are whole numbers that AWS writes as `5.0`.
    format!("{:.0}", value.max(0.0)).parse().ok()
}

struct Room {
    used: usize,
    needed: usize,
    limit: Option<usize>,
}

impl Room {
    fn conflict(&self, quota: Quota, region: &str) -> Option<Change> {
        let Quota { service, code, what } = quota;
        let limit = self.limit.filter(|limit| self.used + self.needed > *limit)?;
        let why = format!(
            "the account has {} of {limit} in {region}, and {} more are needed",
            self.used, self.needed
        );
        let remedy = format!(
            "have it raised: `aws service-quotas request-service-quota-increase --region {region} --service-code \
             {service} --quota-code {code} --desired-value {}`",
            self.used + self.needed
        );
        Some(Conflict::new(why, remedy).of(format!("quota of {what}")))
    }
}

/// Networks with the same addresses can never be connected to each other.
fn overlaps(plan: &NetworkPlan, vpcs: &[Element]) -> Option<Note> {
    let overlapping: Vec<String> = vpcs
        .iter()
        .filter_map(|vpc| {
            let blocks = vpc.list("cidrBlockAssociationSet").filter_map(|block| block.text("cidrBlock"));
            let cidr = blocks.chain(vpc.text("cidrBlock")).find(|cidr| plan.addresses.overlaps(cidr))?;
            Some(format!("{} ({cidr})", vpc.text("vpcId")?))
        })
        .collect();
    let text = format!(
        "the addresses {} overlap those of {}: the two networks can never be connected; another \
         `cluster.eks.network.cidr` keeps that open",
        plan.addresses,
        overlapping.join(", ")
    );
    (!overlapping.is_empty()).then(|| Note::new("warning", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_in_the_way_only_when_it_is_known_and_too_small() {
        let conflict =
            |used, needed, limit| Room { used, needed, limit }.conflict(ADDRESSES, "eu-central-1").is_some();
        assert!(!conflict(2, 3, Some(5)));
        assert!(conflict(3, 3, Some(5)));
        assert!(!conflict(9, 9, None));
        assert!(conflict(0, 1, Some(0)));
    }
}
