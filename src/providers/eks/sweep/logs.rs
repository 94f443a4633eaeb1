use serde_json::{Value, json};

use super::ground::Ground;
use crate::base::{Fault, Note};
use crate::clouds::aws::{Aws, Service};
use crate::flow::Flow;

/// Whether the log group `name` is there.
pub(super) async fn stands(aws: &Aws, name: &str, flow: &Flow) -> Result<bool, Fault> {
    let logs = aws.json(Service::Logs);
    let asked = json!({"logGroupNamePrefix": name});
    let found = logs.all(flow, "DescribeLogGroups", &asked, "logGroups", "nextToken").await;
    let found = found.map_err(|refusal| refusal.fault(format!("look at log group {name}")))?;
    Ok(found.iter().any(|group: &Value| group["logGroupName"] == name))
}

/// Removes the log group `name`.
///
/// If this dies right after the call, it is gone.
pub(super) async fn remove(aws: &Aws, name: &str, flow: &Flow) -> Result<(), Fault> {
    let input = json!({"logGroupName": name});
    match aws.json(Service::Logs).call(flow, "DeleteLogGroup", &input).await {
        Ok(_) => Ok(()),
        Err(refusal) if refusal.is_absent() || refusal.is("OperationAbortedException") => Ok(()),
        Err(refusal) => Err(refusal.fault(format!("remove log group {name}"))),
    }
}

/// What is said of a log group that stays: EKS makes one without any mark when late events come, and for every
/// cluster of that name.
pub(super) fn kept(name: &str, region: &str, ground: &Ground) -> Note {
    let why = match &ground.stranger {
        Some(whose) => format!("the cluster that writes into it is there, and {whose}"),
        None => format!(
            "it carries no mark, and nothing else of this environment stands that could tell whose it is; its logs \
             cost about 0.03 USD a GB and month, until `aws logs delete-log-group --region {region} \
             --log-group-name {name}`"
        ),
    };
    Note::new("kept", format!("log group {name}: {why}"))
}
