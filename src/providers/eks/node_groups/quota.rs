use serde_json::json;

use crate::base::{Fault, FaultKind, Note};
use crate::clouds::aws::{Aws, Service};
use crate::flow::Flow;

/// The quota of running cores for machines with GPUs. Which one spot machines of `p6` count for AWS does not say.
/// Sources: <https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html>,
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-limits.html>.
fn quota_code(machine: &str, spot: bool) -> Option<&'static str> {
    match (machine.chars().next()?, spot) {
        ('g' | 'v', false) => Some("L-DB2E81BA"),
        ('g' | 'v', true) => Some("L-3819A6DF"),
        ('p', false) => Some("L-417A185B"),
        ('p', true) if machine.starts_with("p5") => Some("L-C4BD4855"),
        ('p', true) if ["p2", "p3", "p4"].iter().any(|family| machine.starts_with(family)) => {
            Some("L-7212CCBC")
        }
        _ => None,
    }
}

/// What a group with GPUs asks of the account.
pub(super) struct Need<'a> {
    pub group: &'a str,
    pub machine: &'a str,
    pub spot: bool,
    /// Cores of one machine.
    pub vcpus: u32,
    pub min: u32,
    pub max: u32,
}

/// Whether the account may run the machines of a group with GPUs: by default it often may run none at all.
pub(super) async fn check(need: &Need<'_>, aws: &Aws, flow: &Flow) -> Result<Option<Note>, Fault> {
    let Some(code) = quota_code(need.machine, need.spot) else { return Ok(None) };
    let input = json!({"ServiceCode": "ec2", "QuotaCode": code});
    let answer = aws.json(Service::Quotas).call(flow, "GetServiceQuota", &input).await;
    let allowed = match answer {
        Ok(answer) => answer["Quota"]["Value"].as_f64(),
        Err(refusal) => {
            let text = format!(
                "node group {}: whether the account may run `{}` is not known: {}",
                need.group, need.machine, refusal.message
            );
            return Ok(Some(Note::new("warning", text)));
        }
    };
    let Some(allowed) = allowed else { return Ok(None) };
    judge(need, allowed, code, aws.region())
}

fn judge(need: &Need<'_>, allowed: f64, code: &str, region: &str) -> Result<Option<Note>, Fault> {
    let least = f64::from(need.vcpus * need.min.max(1));
    let most = f64::from(need.vcpus * need.max.max(1));
    let kind = if need.spot { "spot machines" } else { "machines" };
    let remedy = format!(
        "ask AWS for more: `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code {code} \
         --desired-value {most} --region {region}`"
    );
    let words = |cores: f64| {
        format!(
            "node group {} needs {cores} vCPUs of {kind} like `{}`, and the account may run {allowed} in {region}",
            need.group, need.machine
        )
    };
    if allowed < least {
        let attempted = format!("make node group {}", need.group);
        return Err(Fault::new(FaultKind::Quota, attempted, words(least)).hint(remedy));
    }
    Ok((allowed < most).then(|| Note::new("warning", format!("{} when it is full; {remedy}", words(most)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(allowed: f64) -> Result<Option<Note>, Fault> {
        let need = Need { group: "gpu", machine: "g6.xlarge", spot: false, vcpus: 4, min: 1, max: 4 };
        judge(&need, allowed, "L-DB2E81BA", "eu-central-1")
    }

    #[test]
    fn a_quota_that_is_too_small_is_told_before_anything_is_made() {
        let fault = judged(0.0).expect_err("none at all");
        assert_eq!(fault.kind, FaultKind::Quota);
        assert!(fault.hint.is_some_and(|hint| hint.contains("--quota-code L-DB2E81BA --desired-value 16")));
        assert!(judged(8.0).is_ok_and(|note| note.is_some()));
        assert_eq!(judged(16.0), Ok(None));
    }

    #[test]
    fn each_family_has_its_quota() {
        assert_eq!(quota_code("p5.48xlarge", true), Some("L-C4BD4855"));
        assert_eq!(quota_code("p5en.48xlarge", true), Some("L-C4BD4855"));
        assert_eq!(quota_code("p4d.24xlarge", true), Some("L-7212CCBC"));
        assert_eq!(quota_code("p6-b200.48xlarge", true), None);
        assert_eq!(quota_code("p6-b200.48xlarge", false), Some("L-417A185B"));
        assert_eq!(quota_code("m7i.large", false), None);
    }
}
