use aws_sdk_eks::Client;
use aws_sdk_eks::operation::create_nodegroup::CreateNodegroupError;
use aws_sdk_eks::types::{
    AmiTypes, CapacityTypes, LaunchTemplateSpecification, NodeRepairConfig, NodegroupScalingConfig,
    NodegroupUpdateConfig, Taint as EksTaint, TaintEffect, Update as Begun, UpdateLabelsPayload,
    UpdateTaintsPayload,
};

use super::difference::Update;
use super::hints::Hints;
use super::live::{Live, Status};
use super::wanted::Wanted;
use crate::base::{Fault, FaultKind};
use crate::clouds::aws::{Aws, Params, Refusal, Service, fault};
use crate::flow::Flow;
use crate::profile::Taint;
use crate::profile::schema::MaxUnavailable;

/// The names of all node groups of `cluster`; none when there is no such cluster.
pub(super) async fn names(eks: &Client, cluster: &str) -> Result<Vec<String>, Fault> {
    let mut pages = eks.list_nodegroups().cluster_name(cluster).into_paginator().send();
    let mut all = Vec::new();
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => all.extend(page.nodegroups().iter().cloned()),
            Err(error) if Refusal::of(&error).is_absent() => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(fault(format!("list the node groups of {cluster}"), &error)),
        }
    }
    Ok(all)
}

/// The node group `name`, if there is one.
pub(super) async fn describe(eks: &Client, cluster: &str, name: &str) -> Result<Option<Live>, Fault> {
    match eks.describe_nodegroup().cluster_name(cluster).nodegroup_name(name).send().await {
        Ok(answer) => Ok(answer.nodegroup().map(Live::of)),
        Err(error) if Refusal::of(&error).is_absent() => Ok(None),
        Err(error) => Err(fault(format!("look at node group {name} of {cluster}"), &error)),
    }
}

/// What a node group is made with.
pub(super) struct Making<'a> {
    pub cluster: &'a str,
    pub name: &'a str,
    pub wanted: &'a Wanted,
    pub ami_type: &'a str,
    pub subnets: Vec<String>,
    /// How many nodes it begins with.
    pub desired: u32,
}

/// Makes a node group; one that is there already is for the next look.
///
/// If this dies right after the call, the group is on its way with our mark, and the next run waits for it.
pub(super) async fn create(eks: &Client, making: &Making<'_>) -> Result<(), Fault> {
    let Making { cluster, name, wanted, ami_type, subnets, desired } = making;
    let attempted = format!("make node group {name}");
    let place = wanted.place.as_ref().ok_or_else(|| {
        Fault::new(FaultKind::Bug, attempted.clone(), "its network has not told where its machines live")
    })?;
    let scaling = NodegroupScalingConfig::builder()
        .min_size(count(wanted.min))
        .max_size(count(wanted.max))
        .desired_size(count(*desired))
        .build();
    let template = LaunchTemplateSpecification::builder()
        .id(&place.template.id)
        .version(&place.template.version)
        .build();
    let capacity = if wanted.spot { CapacityTypes::Spot } else { CapacityTypes::OnDemand };
    let taints: Vec<EksTaint> = wanted.taints.iter().map(taint).collect();
    let request = eks
        .create_nodegroup()
        .cluster_name(*cluster)
        .nodegroup_name(*name)
        .scaling_config(scaling)
        .set_subnets(Some(subnets.clone()))
        .set_instance_types(Some(wanted.machines.clone()))
        .ami_type(AmiTypes::from(*ami_type))
        .capacity_type(capacity)
        .node_role(&place.role)
        .launch_template(template)
        .set_labels(Some(wanted.labels.clone().into_iter().collect()))
        .set_taints((!taints.is_empty()).then_some(taints))
        .update_config(update_config(wanted.max_unavailable))
        .node_repair_config(NodeRepairConfig::builder().enabled(true).build())
        .set_tags(Some(wanted.tags.clone().into_iter().collect()));
    let Err(error) = request.send().await else { return Ok(()) };
    let told = fault(attempted, &error);
    match error.as_service_error() {
        Some(CreateNodegroupError::ResourceInUseException(_)) => Ok(()),
        // IAM tells of a new role to one service after the other.
        Some(CreateNodegroupError::InvalidParameterException(_)) if is_propagating(&told.reason) => {
            Err(Fault { kind: FaultKind::Transient, ..told })
        }
        Some(CreateNodegroupError::InvalidRequestException(_))
            if told.reason.contains("is not in ACTIVE status") =>
        {
            let reason =
                format!("somebody is at work on the cluster {cluster}, which takes no node groups now");
            Err(Fault { kind: FaultKind::Locked, reason, ..told }
                .untouched()
                .hint("wait until that is over and run the same command again"))
        }
        _ => Err(told),
    }
}

/// Source: terraform-provider-aws, `internal/service/eks/node_group.go` and `cluster.go`.
fn is_propagating(reason: &str) -> bool {
    reason.contains("does not exist")
        || reason.contains("could not be assumed")
        || reason.contains("Error in role")
}

/// Makes one change.
///
/// If this dies right after the call, the group is UPDATING, and the next run waits for that.
pub(super) async fn update(
    eks: &Client,
    cluster: &str,
    live: &Live,
    wanted: &Wanted,
    update: &Update,
) -> Result<Option<Begun>, Fault> {
    let name = &live.name;
    let attempted = format!("change node group {name}");
    match update {
        Update::Tags => {
            let tags = wanted.tags.clone().into_iter().collect();
            let sent = eks.tag_resource().resource_arn(&live.arn).set_tags(Some(tags)).send().await;
            sent.map(|_| None).map_err(|error| fault(attempted, &error))
        }
        // Its scaling groups were told before.
        Update::Hints(mark) => {
            let sent = eks.tag_resource().resource_arn(&live.arn).tags(Hints::MARK, mark).send().await;
            sent.map(|_| None).map_err(|error| fault(attempted, &error))
        }
        Update::Config { sizes, add_labels, remove_labels, add_taints, remove_taints, max_unavailable } => {
            let scaling = sizes.map(|sizes| {
                NodegroupScalingConfig::builder()
                    .min_size(count(sizes.min))
                    .max_size(count(sizes.max))
                    .set_desired_size(sizes.desired.map(count))
                    .build()
            });
            let labels = UpdateLabelsPayload::builder()
                .set_add_or_update_labels(some(add_labels.clone().into_iter().collect()))
                .set_remove_labels((!remove_labels.is_empty()).then(|| remove_labels.clone()))
                .build();
            let taints = |taints: &[Taint]| {
                let taints: Vec<EksTaint> = taints.iter().map(taint).collect();
                (!taints.is_empty()).then_some(taints)
            };
            let taints = UpdateTaintsPayload::builder()
                .set_add_or_update_taints(taints(add_taints))
                .set_remove_taints(taints(remove_taints))
                .build();
            let sent = eks
                .update_nodegroup_config()
                .cluster_name(cluster)
                .nodegroup_name(name)
                .set_scaling_config(scaling)
                .set_labels(Some(labels).filter(|_| !add_labels.is_empty() || !remove_labels.is_empty()))
                .set_taints(Some(taints).filter(|_| !add_taints.is_empty() || !remove_taints.is_empty()))
                .set_update_config(max_unavailable.map(update_config))
                .node_repair_config(NodeRepairConfig::builder().enabled(true).build())
                .send()
                .await;
            sent.map(|sent| sent.update).map_err(|error| fault(attempted, &error))
        }
        Update::Machines => {
            let template = wanted.place.as_ref().map(|place| {
                let template = &place.template;
                LaunchTemplateSpecification::builder().id(&template.id).version(&template.version).build()
            });
            let version = wanted.version.map(|(major, minor)| format!("{major}.{minor}"));
            let sent = eks
                .update_nodegroup_version()
                .cluster_name(cluster)
                .nodegroup_name(name)
                .set_launch_template(template)
                .set_version(version)
                .send()
                .await;
            sent.map(|sent| sent.update).map_err(|error| fault(attempted, &error))
        }
        Update::Release(release) => {
            let request = eks.update_nodegroup_version().cluster_name(cluster).nodegroup_name(name);
            let sent = request.release_version(release).send().await;
            sent.map(|sent| sent.update).map_err(|error| fault(attempted, &error))
        }
    }
}

/// Deletes a node group; EKS drains its nodes.
///
/// If this dies right after the call, the group is DELETING, and the next run waits for that.
pub(super) async fn delete(eks: &Client, cluster: &str, name: &str) -> Result<(), Fault> {
    match eks.delete_nodegroup().cluster_name(cluster).nodegroup_name(name).send().await {
        Ok(_) => Ok(()),
        Err(error) if Refusal::of(&error).is_absent() => Ok(()),
        // A call whose answer was lost is repeated, and then it is on its way already.
        Err(error) => match describe(eks, cluster, name).await? {
            Some(live) if live.status != Status::Deleting => {
                Err(fault(format!("delete node group {name}"), &error))
            }
            _ => Ok(()),
        },
    }
}

/// Why the machines of a group do not come, by what its scaling group tried last; `None` when nothing failed.
pub(super) async fn why_no_machines(aws: &Aws, scaling_group: &str, flow: &Flow) -> Option<String> {
    let params = Params::new().with("AutoScalingGroupName", scaling_group).with("MaxRecords", "5");
    let answer =
        aws.query(Service::AutoScaling).call(flow, "DescribeScalingActivities", &params).await.ok()?;
    let last = answer.list("Activities").next()?;
    if last.text("StatusCode") != Some("Failed") {
        return None;
    }
    let why = last.text("StatusMessage").or(last.text("Description"))?;
    Some(why.trim_end_matches('.').to_string())
}

fn update_config(at_once: MaxUnavailable) -> NodegroupUpdateConfig {
    let config = NodegroupUpdateConfig::builder();
    match at_once {
        MaxUnavailable::Count(count) => config.max_unavailable(count.into()),
        MaxUnavailable::Percent(percent) => config.max_unavailable_percentage(percent.into()),
    }
    .build()
}

fn taint(taint: &Taint) -> EksTaint {
    let effect = match taint.effect.as_str() {
        "NoExecute" => TaintEffect::NoExecute,
        "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
        _ => TaintEffect::NoSchedule,
    };
    let value = Some(taint.value.clone()).filter(|value| !value.is_empty());
    EksTaint::builder().key(&taint.key).set_value(value).effect(effect).build()
}

fn some<K, V>(map: std::collections::HashMap<K, V>) -> Option<std::collections::HashMap<K, V>> {
    (!map.is_empty()).then_some(map)
}

fn count(nodes: u32) -> i32 {
    i32::try_from(nodes).unwrap_or(i32::MAX)
}
