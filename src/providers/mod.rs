//! **Owns** clusters and their machines: the table of providers, what each platform can do, kwok
//! clusters, rehearsed nodes, kind clusters, clusters of EKS, clusters that somebody else made.
//! **May name** base, os, flow, containers, profile, engine, k8s, clouds.
//! **Never** knows addons, tenants or the order in which things are built.
//! **Start reading at** [`provide`], then [`platform()`].

pub mod eks;
mod estimate;
pub mod existing;
pub mod images;
pub mod kind;
mod kubeconfig;
pub mod kwok;
mod leftover;
pub mod nodes;
mod platform;
mod provided;
mod tools;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Fault, FaultKind, Network, ProviderKind, ResourceId, label};
use crate::clouds::aws::{Session, Whose};
use crate::containers::EngineSearch;
use crate::engine::{Need, Removal, Resource, Survey};
use crate::flow::Flow;
use crate::k8s::{Hub, Object};
use crate::os::files;
use crate::profile::{ClusterSpec, Environment, Misfit, NodeGroup};

pub use estimate::{CostPart, Estimate, TimeHint};
pub use kind::preflight::Proxies;
pub use kubeconfig::{Plugin, keep_kubeconfig};
pub use kwok::{Dirs, Mark, environments};
pub use platform::platform;
pub use provided::{Part, Provided};
pub use tools::{ToolSearch, Tools};

/// The providers whose clusters this build can make or use. Every declared provider can be rehearsed.
pub const AVAILABLE: &[ProviderKind] =
    &[ProviderKind::Eks, ProviderKind::Kind, ProviderKind::Kwok, ProviderKind::Existing];

/// How long an engine may take to tell a network ahead of the work.
const AHEAD: Duration = Duration::from_secs(10);

/// What local clusters need of this machine.
#[derive(Debug, Clone)]
pub struct Local {
    /// Where berth keeps what it makes.
    pub dirs: Dirs,
    /// Where the programs of a rehearsal are.
    pub tools: ToolSearch,
    /// Where the container engine is.
    pub engine: EngineSearch,
    /// What was chosen for the kind clusters of this machine.
    pub kind: kind::Choices,
    /// The proxies that programs started from here get.
    pub proxies: Proxies,
}

/// What a run may do to a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // One for each thing that may or may not be done, all of them independent.
pub struct Leave {
    /// Make it anew where a change of the profile needs that, with all that is in it lost.
    pub recreate: bool,
    /// Make what is not there: then it is asked first whether this machine can stand it.
    pub makes: bool,
    /// Take it away: then nobody waits until it works again.
    pub removes: bool,
    /// Ask what could be newer, though nothing is done about it.
    pub asks_newer: bool,
}

/// Refuses an environment whose cluster this build can neither make nor use.
pub fn check(environment: &Environment) -> Result<(), Fault> {
    match &environment.cluster {
        _ if environment.rehearsal => Ok(()),
        ClusterSpec::Eks(_) | ClusterSpec::Kind(_) | ClusterSpec::Kwok(_) | ClusterSpec::Existing(_) => {
            Ok(())
        }
        ClusterSpec::Gke(_) => Err(unavailable(environment)),
    }
}

/// What in the profile of `environment` its provider cannot make, though a rehearsal of it can be made.
pub fn misfits(environment: &Environment) -> Vec<Misfit> {
    match &environment.cluster {
        ClusterSpec::Eks(_) if !environment.rehearsal => eks::misfits(environment),
        _ => Vec::new(),
    }
}

/// The cluster of `environment` and its node groups. A rehearsal is played by kwok, whatever is declared.
pub fn provide(
    environment: &Environment,
    local: &Local,
    leave: Leave,
    session: Option<&Arc<Session>>,
    hub: &Arc<Hub>,
) -> Result<Provided, Fault> {
    match &environment.cluster {
        _ if environment.rehearsal => Ok(played_by_kwok(environment, local, hub)),
        ClusterSpec::Kwok(_) => Ok(played_by_kwok(environment, local, hub)),
        ClusterSpec::Kind(spec) => {
            let cluster = kind::ClusterResource::new(environment, spec, local, leave, Arc::clone(hub));
            let node_groups = kind::NodeGroups::new(environment, spec, cluster.id().clone(), Arc::clone(hub));
            Ok(Provided::bare(cluster, node_groups, (Removal::Itself, Removal::WithContainer)))
        }
        ClusterSpec::Existing(spec) => {
            let cluster = existing::ClusterResource::new(environment, spec, Arc::clone(hub));
            let node_groups =
                existing::NodeGroupsCheck::new(environment, cluster.id().clone(), Arc::clone(hub));
            Ok(Provided::bare(cluster, node_groups, (Removal::Kept, Removal::Kept)))
        }
        ClusterSpec::Eks(spec) => {
            let session = session.ok_or_else(|| {
                let attempted = format!("make the cluster of environment {}", environment.name);
                Fault::new(FaultKind::Bug, attempted, "it has no session with AWS")
            })?;
            Ok(eks::provide(environment, spec, leave, session, hub))
        }
        ClusterSpec::Gke(_) => Err(unavailable(environment)),
    }
}

/// The session with AWS of `environment`, where it is one on AWS; nothing is asked before it is used.
pub fn aws_session(environment: &Environment) -> Option<Arc<Session>> {
    match &environment.cluster {
        ClusterSpec::Eks(spec) if !environment.rehearsal => {
            let (region, account) = (spec.region.clone(), spec.account.clone());
            Some(Session::new(Whose { region, account, ..Whose::default() }))
        }
        _ => None,
    }
}

/// What `environment` costs in a month, roughly, where somebody asks a price for it, and how long it takes to make
/// what `survey` found missing.
pub fn estimate(environment: &Environment, survey: &Survey) -> Option<Estimate> {
    match &environment.cluster {
        ClusterSpec::Eks(spec) if !environment.rehearsal => {
            Some(Estimate { time: eks::time(survey), ..eks::estimate(environment, spec, &survey.outputs) })
        }
        _ => None,
    }
}

/// What has to stand outside of the cluster of `environment` before the pods of its addon `name` begin.
pub fn before_addon(environment: &Environment, name: &str) -> Option<ResourceId> {
    match &environment.cluster {
        ClusterSpec::Eks(_) if !environment.rehearsal => eks::before_addon(environment, name),
        _ => None,
    }
}

/// The default class of volumes that berth brings to the cluster of `environment`.
pub fn storage_class(environment: &Environment) -> Option<Object> {
    match &environment.cluster {
        ClusterSpec::Eks(spec) if !environment.rehearsal => {
            Some(eks::storage_class(spec, &environment.owner))
        }
        _ => None,
    }
}

/// What berth brings to the cluster of `environment` to have network policies enforced, and what has to be gone before.
pub fn policy_switch(environment: &Environment) -> Option<(Object, ResourceId)> {
    match &environment.cluster {
        ClusterSpec::Eks(spec) if !environment.rehearsal => {
            Some((eks::policy_switch(spec)?, eks::before_policy_switch()))
        }
        _ => None,
    }
}

/// Whether nodes come to the cluster of `environment` once pods wait for them, though it declares none.
pub fn brings_nodes(environment: &Environment) -> bool {
    matches!(&environment.cluster, ClusterSpec::Eks(spec) if spec.auto_mode)
}

/// Whether much of `environment` stands beside its cluster, in a cloud, and goes on there without the run that began it.
pub fn stands_in_cloud(environment: &Environment) -> bool {
    !environment.rehearsal && matches!(environment.cluster, ClusterSpec::Eks(_) | ClusterSpec::Gke(_))
}

/// The Kubernetes of the cluster of `environment`, where only the cluster itself can say it: one short
/// question. `None` where the profile says it, or where berth makes the cluster.
pub async fn ask_kubernetes(environment: &Environment, flow: &Flow) -> Result<Option<(u32, u32)>, Fault> {
    match &environment.cluster {
        ClusterSpec::Existing(spec) if asks_kubernetes(environment) => existing::ask(spec, flow).await,
        _ => Ok(None),
    }
}

/// Whether only the cluster of `environment` can say which Kubernetes it runs.
pub fn asks_kubernetes(environment: &Environment) -> bool {
    environment.kubernetes_assumed && !environment.rehearsal
}

/// What of the cluster of `environment` still exists on this machine or in its account, in words: nothing after a whole `down`.
pub async fn remains(environment: &Environment, local: &Local, flow: &Flow) -> Result<Vec<String>, Fault> {
    match &environment.cluster {
        ClusterSpec::Kind(_) if !environment.rehearsal => {
            kind::remains(local, &environment.owner, flow).await
        }
        ClusterSpec::Eks(spec) if !environment.rehearsal => {
            let (region, account) = (spec.region.clone(), spec.account.clone());
            let session = Session::new(Whose { region, account, ..Whose::default() });
            eks::remains(&session, &environment.owner, flow).await
        }
        _ => kwok::remains(&local.dirs, &environment.owner).await,
    }
}

/// Where what still [`remains`] of the cluster of `environment` is, in words.
pub fn place(environment: &Environment) -> String {
    match &environment.cluster {
        ClusterSpec::Eks(spec) if !environment.rehearsal => format!("on AWS, in {}", spec.region),
        _ => "on this machine".to_string(),
    }
}

/// Removes what berth keeps on this machine of the cluster of `environment`, which was seen to be gone. One that
/// was gone before was deleted by nobody, and so nobody removed that either.
pub fn forget(environment: &Environment, local: &Local) -> Result<(), Fault> {
    match &environment.cluster {
        ClusterSpec::Kind(_) if !environment.rehearsal => kind::forget(&local.dirs, &environment.owner),
        ClusterSpec::Eks(_) if !environment.rehearsal => {
            files::remove_if_there(&local.dirs.kubeconfig(&environment.owner))
        }
        _ => Ok(()),
    }
}

/// The labels by which the nodes of `group` are known in a cluster of `provider`.
pub fn node_selector(provider: ProviderKind, group: &NodeGroup) -> BTreeMap<String, String> {
    let owned = |(key, value): (&str, &str)| (key.to_string(), value.to_string());
    match provider {
        ProviderKind::Existing => existing::selector(group).into_iter().map(owned).collect(),
        _ => BTreeMap::from([owned((label::NODE_GROUP, &group.name))]),
    }
}

/// The network that the nodes of the cluster `inside` are on, where a provider knows it: what looks at it.
pub fn network(
    environment: &Environment,
    local: &Local,
    hub: &Arc<Hub>,
    inside: ResourceId,
) -> Option<Box<dyn Resource>> {
    match &environment.cluster {
        ClusterSpec::Kind(_) if !environment.rehearsal => {
            let (name, hub) = (&environment.owner.environment, Arc::clone(hub));
            Some(Box::new(kind::NetworkResource::new(name, &local.engine, inside, hub)))
        }
        _ => None,
    }
}

/// What a cluster whose network is known notes of its address pools, once what it `needs` stands.
pub fn pool_note(
    environment: &Environment,
    local: &Local,
    hub: &Arc<Hub>,
    needs: Vec<Need>,
) -> Option<Box<dyn Resource>> {
    match &environment.cluster {
        ClusterSpec::Kind(_) if !environment.rehearsal => {
            let (name, hub) = (&environment.owner.environment, Arc::clone(hub));
            Some(Box::new(kind::PoolNote::new(name, &local.engine, needs, hub)))
        }
        _ => None,
    }
}

/// The network that the nodes of the cluster of `environment` are on or will be, as far as it is there before
/// anything is made. What cannot be asked now is told by whoever needs it next.
pub async fn network_ahead(environment: &Environment, local: &Local, flow: &Flow) -> Option<Network> {
    match &environment.cluster {
        ClusterSpec::Kind(_) if !environment.rehearsal => {
            let owner = &environment.owner;
            let engine = local.engine.find().ok()?.patient(AHEAD);
            kind::network_ahead(&engine, &owner.environment, owner, local.kind.network(engine.kind()), flow)
                .await
                .ok()?
        }
        _ => None,
    }
}

/// What sets up the nodes of the cluster `inside` for the GPUs that they were given, where a provider does that
/// itself.
pub fn gpus(environment: &Environment, local: &Local, inside: ResourceId) -> Option<Box<dyn Resource>> {
    match &environment.cluster {
        ClusterSpec::Kind(spec) if !environment.rehearsal => {
            let setup = kind::GpuSetup::new(environment, spec, &local.engine, inside)?;
            Some(Box::new(setup))
        }
        _ => None,
    }
}

fn played_by_kwok(environment: &Environment, local: &Local, hub: &Arc<Hub>) -> Provided {
    let cluster = kwok::ClusterResource::new(environment, local, Arc::clone(hub));
    let node_groups = nodes::NodeGroups::new(environment, cluster.id().clone(), Arc::clone(hub));
    Provided::bare(cluster, node_groups, (Removal::Itself, Removal::WithContainer))
}

fn unavailable(environment: &Environment) -> Fault {
    let provider = environment.cluster.provider();
    let names: Vec<String> = AVAILABLE.iter().map(ToString::to_string).collect();
    Fault::new(
        FaultKind::Invalid,
        format!("make the cluster of environment {}", environment.name),
        format!("this build of berth has the providers {}, not {provider}", names.join(", ")),
    )
    .hint(format!("rehearse it on this machine: `berth up {} --rehearse`", environment.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Capability, Owner, RunId};
    use crate::k8s::HubSettings;
    use crate::profile::schema::{EksCluster, GkeCluster};

    fn on_gke(rehearsal: bool) -> Environment {
        let name = if rehearsal { "prod-rehearsal" } else { "prod" };
        Environment {
            name: name.to_string(),
            owner: Owner { id: "7f3k2q9d".to_string(), environment: name.to_string() },
            rehearsal,
            protected: false,
            cluster: ClusterSpec::Gke(GkeCluster::default()),
            kubernetes: (1, 36),
            kubernetes_assumed: false,
            admins: Vec::new(),
            members: std::collections::BTreeMap::new(),
            node_groups: Vec::new(),
            registry: None,
            mirrors: std::collections::BTreeMap::new(),
            pull_secrets: Vec::new(),
            addons: Vec::new(),
            addons_from: Vec::new(),
            tenants: Vec::new(),
        }
    }

    fn provided(environment: &Environment) -> Result<Provided, Fault> {
        let local = Local {
            dirs: Dirs { state: "/state".into(), cache: "/cache".into() },
            tools: ToolSearch::default(),
            engine: EngineSearch::default(),
            kind: kind::Choices::default(),
            proxies: Proxies::default(),
        };
        let hub = Hub::new(HubSettings {
            owner: environment.owner.clone(),
            run: RunId::new(jiff::Timestamp::UNIX_EPOCH, 1),
            place: String::new(),
            kinds: std::collections::BTreeSet::new(),
            adopt: false,
            force_conflicts: false,
            prune_namespaces: false,
            partial: false,
            prune_crds: false,
        });
        provide(environment, &local, Leave::default(), None, &Arc::new(hub))
    }

    #[test]
    fn a_provider_that_is_not_built_in_is_refused_with_the_way_to_rehearse_it() {
        let Err(fault) = provided(&on_gke(false)) else { unreachable!("gke comes later") };
        assert_eq!(fault.reason, "this build of berth has the providers eks, kind, kwok, existing, not gke");
        assert!(fault.hint.is_some_and(|hint| hint.contains("berth up prod --rehearse")));
    }

    #[test]
    fn a_rehearsal_is_played_by_kwok_and_keeps_the_platform_of_the_declared_provider() {
        let environment = on_gke(true);
        let provided = provided(&environment).map(|provided| provided.cluster_id().to_string());
        assert_eq!(provided, Ok("cluster/kwok/prod-rehearsal".to_string()));
        let platform = platform(&environment);
        assert_eq!(platform.provider, ProviderKind::Gke);
        assert_eq!(platform.load_balancer, Capability::Native);
        assert_eq!(platform.dns_addresses, ["169.254.20.10/32", "169.254.169.254/32"]);
    }

    fn on_eks(auto_mode: bool) -> Environment {
        let spec = EksCluster { region: "eu-central-1".to_string(), auto_mode, ..EksCluster::default() };
        Environment { cluster: ClusterSpec::Eks(spec), ..on_gke(false) }
    }

    #[test]
    fn nodes_of_auto_mode_answer_for_names_themselves() {
        let addresses = |auto_mode| platform(&on_eks(auto_mode)).dns_addresses;
        assert_eq!(addresses(true), ["10.100.0.10/32", "172.20.0.10/32"]);
        assert_eq!(addresses(false), Vec::<String>::new());
    }

    #[test]
    fn volumes_carry_our_mark_where_their_driver_may_set_it() {
        let parameters = |auto_mode| {
            let class = storage_class(&on_eks(auto_mode)).expect("there is one on EKS");
            let parameters = class.body["parameters"].as_object().expect("parameters").clone();
            parameters.keys().filter(|key| key.starts_with("tagSpecification")).count()
        };
        assert_eq!((parameters(false), parameters(true)), (2, 0));
    }
}
