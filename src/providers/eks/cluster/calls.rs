use std::collections::BTreeMap;

use aws_sdk_eks::Client;
use aws_sdk_eks::operation::create_cluster::CreateClusterError;
use aws_sdk_eks::types::{
    AuthenticationMode, BlockStorage, Category, ComputeConfigRequest, CreateAccessConfigRequest,
    ElasticLoadBalancing, EncryptionConfig, InsightStatusValue, InsightsFilter,
    KubernetesNetworkConfigRequest, LogSetup, LogType, Logging, Provider, StorageConfigRequest, SupportType,
    Update as Begun, UpdateAccessConfigRequest, UpgradePolicyRequest, VersionStatus, VpcConfigRequest,
};

use super::difference::Update;
use super::live::Live;
use super::wanted::{Wanted, minor};
use crate::base::{Fault, FaultKind};
use crate::clouds::aws::{self, fault};

/// What a cluster is made in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ground {
    /// The subnets, with their zones.
    pub subnets: Vec<(String, String)>,
    pub role: String,
    /// The role of nodes, which Auto Mode makes.
    pub node_role: Option<String>,
}

/// Why a cluster was not made.
pub(super) enum Refusal {
    /// There is one of this name.
    Exists,
    /// EKS has no room in some of the zones; in these it has.
    Zones(Vec<String>, Fault),
    Fault(Fault),
}

/// The cluster `name`, if there is one.
pub(super) async fn describe(eks: &Client, name: &str) -> Result<Option<Live>, Fault> {
    match eks.describe_cluster().name(name).send().await {
        Ok(answer) => Ok(answer.cluster().map(Live::of)),
        Err(error) if aws::Refusal::of(&error).is_absent() => Ok(None),
        Err(error) => Err(fault(format!("look at the EKS cluster {name}"), &error)),
    }
}

/// A version of Kubernetes that EKS offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offered {
    /// `1.36`.
    pub version: String,
    /// Whether it is in its extended support.
    pub is_extended: bool,
}

/// The versions of Kubernetes that EKS offers, oldest first.
/// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_ClusterVersionInformation.html>.
pub(super) async fn offered(eks: &Client) -> Result<Vec<Offered>, Fault> {
    let mut pages = eks.describe_cluster_versions().into_paginator().send();
    let mut offered = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| fault("ask for the Kubernetes versions of EKS", &error))?;
        offered.extend(page.cluster_versions().iter().filter_map(|one| {
            Some(Offered {
                version: one.cluster_version()?.to_string(),
                is_extended: one.version_status() == Some(&VersionStatus::ExtendedSupport),
            })
        }));
    }
    let numbers =
        |version: &str| version.split('.').filter_map(|part| part.parse().ok()).collect::<Vec<u32>>();
    offered.sort_by_key(|one| numbers(&one.version));
    offered.dedup();
    Ok(offered)
}

/// Makes the cluster.
///
/// If this dies right after the call, the cluster is on its way with our mark on it, and the next run waits for it.
pub(super) async fn create(eks: &Client, wanted: &Wanted, ground: &Ground) -> Result<(), Refusal> {
    let attempted = format!("make the EKS cluster {}", wanted.name);
    let network = VpcConfigRequest::builder()
        .set_subnet_ids(Some(ground.subnets.iter().map(|(_, id)| id.clone()).collect()))
        .endpoint_private_access(wanted.private)
        .endpoint_public_access(!wanted.public.is_empty())
        .set_public_access_cidrs((!wanted.public.is_empty()).then(|| wanted.public.iter().cloned().collect()))
        .build();
    let access = CreateAccessConfigRequest::builder()
        .authentication_mode(AuthenticationMode::Api)
        .bootstrap_cluster_creator_admin_permissions(false)
        .build();
    let request = eks
        .create_cluster()
        .name(&wanted.name)
        .version(minor(wanted.version))
        .role_arn(&ground.role)
        .resources_vpc_config(network)
        .access_config(access)
        .bootstrap_self_managed_addons(false)
        .upgrade_policy(UpgradePolicyRequest::builder().support_type(support(wanted.extended)).build())
        .deletion_protection(wanted.protected)
        .set_logging((!wanted.logs.is_empty()).then(|| logging(wanted.logs.iter(), [].iter())))
        .set_encryption_config(wanted.secrets_key.as_deref().map(|key| vec![encryption(key)]))
        .set_tags(Some(wanted.tags.clone().into_iter().collect()));
    let request = if wanted.auto_mode {
        let (compute, network, storage) = auto_mode(true, ground.node_role.as_deref());
        request.compute_config(compute).kubernetes_network_config(network).storage_config(storage)
    } else {
        request
    };
    let Err(error) = request.send().await else { return Ok(()) };
    let told = fault(attempted, &error);
    Err(match error.as_service_error() {
        Some(CreateClusterError::ResourceInUseException(_)) => Refusal::Exists,
        Some(CreateClusterError::UnsupportedAvailabilityZoneException(refused))
            if !refused.valid_zones().is_empty() =>
        {
            Refusal::Zones(refused.valid_zones().to_vec(), told)
        }
        _ if is_propagating(&told.reason) => Refusal::Fault(Fault { kind: FaultKind::Transient, ..told }),
        _ => Refusal::Fault(told),
    })
}

/// Whether EKS refused a role for not having heard of it, or of its policies, yet.
/// Source: terraform-provider-aws, internal/service/eks/cluster.go.
fn is_propagating(reason: &str) -> bool {
    const WORDS: [&str; 5] = [
        "does not exist",
        "Error in role params",
        "Role could not be assumed because the trusted entity is not correct",
        "The provided role doesn't have the Amazon EKS Managed Policies associated with it",
        "IAM role's policy must include",
    ];
    WORDS.iter().any(|words| reason.contains(words))
}

/// What came of asking for a change.
pub(super) enum Altered {
    /// It is begun, or made.
    Begun(Option<Begun>),
    /// Nothing: somebody else's change is not over.
    Busy,
}

/// Makes one change. EKS takes one kind of it in a call, and one at a time.
///
/// If this dies right after the call, the cluster is UPDATING, and the next run waits for that.
pub(super) async fn update(
    eks: &Client,
    name: &str,
    update: &Update,
    arn_of_node_role: Option<&str>,
    tags: &BTreeMap<String, String>,
) -> Result<Altered, Fault> {
    let attempted = format!("change the EKS cluster {name}");
    let config = eks.update_cluster_config().name(name);
    let config = match update {
        Update::Protection(on) => config.deletion_protection(*on),
        Update::Authentication(mode) => config.access_config(
            UpdateAccessConfigRequest::builder().authentication_mode(AuthenticationMode::from(*mode)).build(),
        ),
        Update::Endpoint { public, private } => config.resources_vpc_config(
            VpcConfigRequest::builder()
                .endpoint_private_access(*private)
                .endpoint_public_access(!public.is_empty())
                .set_public_access_cidrs((!public.is_empty()).then(|| public.iter().cloned().collect()))
                .build(),
        ),
        Update::Logs { on, off } => config.logging(logging(on.iter(), off.iter())),
        Update::Support { extended } => {
            config.upgrade_policy(UpgradePolicyRequest::builder().support_type(support(*extended)).build())
        }
        Update::AutoMode(on) => {
            let (compute, network, storage) = auto_mode(*on, arn_of_node_role);
            config.compute_config(compute).kubernetes_network_config(network).storage_config(storage)
        }
        Update::SecretsKey(key) => {
            let request = eks.associate_encryption_config().cluster_name(name);
            let sent = request.encryption_config(encryption(key)).send().await.map_err(aws::Refusal::from);
            return altered(attempted, name, sent.map(|sent| sent.update));
        }
        Update::Version(version) => {
            let request = eks.update_cluster_version().name(name).version(minor(*version));
            let sent = request.send().await.map_err(aws::Refusal::from);
            return altered(attempted, name, sent.map(|sent| sent.update));
        }
        Update::Tags => {
            let described = eks.describe_cluster().name(name).send().await;
            let described = described.map_err(|error| fault(attempted.clone(), &error))?;
            let arn = described.cluster().and_then(|cluster| cluster.arn()).unwrap_or_default();
            let request = eks.tag_resource().resource_arn(arn);
            let sent = request.set_tags(Some(tags.clone().into_iter().collect())).send().await;
            return sent.map(|_| Altered::Begun(None)).map_err(|error| fault(attempted, &error));
        }
    };
    let sent = config.send().await.map_err(aws::Refusal::from);
    altered(attempted, name, sent.map(|sent| sent.update))
}

fn altered(
    attempted: String,
    cluster: &str,
    sent: Result<Option<Begun>, aws::Refusal>,
) -> Result<Altered, Fault> {
    let refusal = match sent {
        Ok(begun) => return Ok(Altered::Begun(begun)),
        Err(refusal) if is_busy(&refusal) => return Ok(Altered::Busy),
        Err(refusal) => refusal,
    };
    let fault = refusal.fault(attempted);
    // A policy that a role was given a moment ago.
    let kind = if is_propagating(&fault.reason) { FaultKind::Transient } else { fault.kind };
    let fault = Fault { kind, ..fault };
    Err(if is_held_by_insights(&refusal) { fault.hint(while_insights(cluster)) } else { fault })
}

/// Whether EKS refuses a change for another one that is not over. The status of a cluster may not show that yet.
/// Source: <https://github.com/aws-controllers-k8s/community/issues/1192>.
fn is_busy(refusal: &aws::Refusal) -> bool {
    refusal.is("ResourceInUseException") && refusal.says("currently has update")
}

/// What to do where EKS holds an upgrade up.
fn while_insights(cluster: &str) -> String {
    format!(
        "mend what the upgrade insights name (`aws eks list-insights --cluster-name {cluster}`; EKS looks again within \
         a day, or at once in its console), then run the same command again; berth never forces an upgrade past them"
    )
}

/// Whether EKS refuses an upgrade for what its insights say.
/// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateClusterVersion.html>.
fn is_held_by_insights(refusal: &aws::Refusal) -> bool {
    refusal.is("InvalidStateException")
}

/// Deletes the cluster. `false`: it is busy, and this has to be asked again later.
///
/// If this dies right after the call, the cluster is DELETING, and the next run waits for that.
pub(super) async fn delete(eks: &Client, name: &str) -> Result<bool, Fault> {
    let Err(error) = eks.delete_cluster().name(name).send().await else { return Ok(true) };
    match error.as_service_error() {
        Some(refused) if refused.is_resource_not_found_exception() => Ok(true),
        // Words of Amazon EKS for a cluster that is not there, by terraform-provider-aws.
        Some(refused)
            if refused.is_client_exception()
                && refused.meta().message().is_some_and(|words| words.contains("No cluster found")) =>
        {
            Ok(true)
        }
        Some(refused)
            if refused.is_resource_in_use_exception()
                && refused.meta().message().is_some_and(|words| words.contains("in progress")) =>
        {
            Ok(false)
        }
        _ => Err(fault(format!("delete the EKS cluster {name}"), &error)),
    }
}

/// What EKS says of an upgrade to `version`: what is not in order, each with its state.
pub(super) async fn insights(eks: &Client, name: &str, version: (u32, u32)) -> Result<Vec<String>, Fault> {
    let filter = InsightsFilter::builder()
        .categories(Category::UpgradeReadiness)
        .kubernetes_versions(minor(version))
        .build();
    let answer = eks.list_insights().cluster_name(name).filter(filter).send().await;
    let answer =
        answer.map_err(|error| fault(format!("ask what EKS says of the upgrade of {name}"), &error))?;
    let insights = answer.insights().iter().filter_map(|insight| {
        let status = insight.insight_status()?;
        let value = status.status()?;
        if *value == InsightStatusValue::Passing {
            return None;
        }
        let (name, why) = (insight.name().unwrap_or_default(), status.reason().unwrap_or_default());
        Some(format!("{name}: {} {why}", value.as_str()).trim_end().to_string())
    });
    Ok(insights.collect())
}

fn support(extended: bool) -> SupportType {
    if extended { SupportType::Extended } else { SupportType::Standard }
}

fn logging<'a>(on: impl Iterator<Item = &'a String>, off: impl Iterator<Item = &'a String>) -> Logging {
    let setup = |enabled: bool, types: Vec<LogType>| {
        (!types.is_empty()).then(|| LogSetup::builder().enabled(enabled).set_types(Some(types)).build())
    };
    let types = |names: &mut dyn Iterator<Item = &'a String>| -> Vec<LogType> {
        names.map(|name| LogType::from(name.as_str())).collect()
    };
    let (mut on, mut off) = (on, off);
    let setups = [setup(true, types(&mut on)), setup(false, types(&mut off))];
    Logging::builder().set_cluster_logging(Some(setups.into_iter().flatten().collect())).build()
}

/// That it is for Secrets is what EKS once asked for, and still takes.
#[allow(deprecated)]
fn encryption(key: &str) -> EncryptionConfig {
    let provider = Provider::builder().key_arn(key).build();
    EncryptionConfig::builder().resources("secrets").provider(provider).build()
}

/// All three have to be switched together.
/// Source: <https://docs.aws.amazon.com/eks/latest/userguide/auto-enable-existing.html>.
fn auto_mode(
    on: bool,
    node_role: Option<&str>,
) -> (ComputeConfigRequest, KubernetesNetworkConfigRequest, StorageConfigRequest) {
    let pools = ["general-purpose", "system"].map(str::to_string).to_vec();
    let compute = ComputeConfigRequest::builder()
        .enabled(on)
        .set_node_pools(on.then_some(pools))
        .set_node_role_arn(node_role.filter(|_| on).map(str::to_string))
        .build();
    let balancing = ElasticLoadBalancing::builder().enabled(on).build();
    let network = KubernetesNetworkConfigRequest::builder().elastic_load_balancing(balancing).build();
    let storage =
        StorageConfigRequest::builder().block_storage(BlockStorage::builder().enabled(on).build()).build();
    (compute, network, storage)
}
