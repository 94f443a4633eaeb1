use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::access::AccessResource;
use super::addons::AddonResource;
use super::association::AssociationResource;
use super::cluster::ClusterResource;
use super::network::{LeavingParts, NetworkResource};
use super::node_groups::{self, Fates, NodeGroupsWatch};
use super::sweep::{Sweeps, SweptNetwork};
use crate::base::{Fault, Owner, ResourceId, label};
use crate::clouds::aws::Session;
use crate::engine::{Need, Removal, Resource};
use crate::flow::{Flow, Patience};
use crate::k8s::{Hub, Object};
use crate::profile::schema::EksCluster;
use crate::profile::{AUTOSCALER, Environment};
use crate::providers::{Leave, Part, Provided};

/// The pauses between two looks at something of AWS.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// How often something that EKS refused for a role that it has not heard of is asked for again: two minutes in all.
pub(super) const UNTIL_HEARD: Patience =
    Patience { retries: 24, first_pause: Duration::from_secs(1), longest_pause: Duration::from_secs(5) };

/// What the parts of an environment on EKS are called, for those that need each other.
#[derive(Debug, Clone)]
pub(super) struct Around {
    /// The stack of network and roles.
    pub network: ResourceId,
    /// The control plane.
    pub cluster: ResourceId,
    /// The way in.
    pub door: ResourceId,
    /// How it goes with the node groups.
    pub fates: Arc<Fates>,
}

impl Around {
    fn of(environment: &Environment) -> Self {
        let id = |kind: &str| ResourceId::new(format!("{kind}/eks/{}", environment.name));
        Self {
            network: NetworkResource::id_of(&environment.name),
            cluster: id("cluster"),
            door: id("access"),
            fates: Arc::new(Fates::of(environment)),
        }
    }
}

/// A client of EKS.
pub(super) async fn client(session: &Session, flow: &Flow) -> Result<aws_sdk_eks::Client, Fault> {
    Ok(session.open(flow).await?.eks(flow))
}

/// The parts of `environment` on EKS.
pub(in crate::providers) fn provide(
    environment: &Environment,
    spec: &EksCluster,
    leave: Leave,
    session: &Arc<Session>,
    hub: &Arc<Hub>,
) -> Provided {
    let around = Around::of(environment);
    let adopt = hub.settings().adopt;
    let network = NetworkResource::new(environment, spec, Arc::clone(session), leave, adopt);
    let cluster = ClusterResource::new(environment, spec, &network, Arc::clone(session), leave, hub);
    let access = AccessResource::new(
        environment,
        spec,
        around.cluster.clone(),
        Arc::clone(session),
        leave,
        Arc::clone(hub),
    );
    let addons = AddonResource::all(environment, spec, &around, session, hub);
    let (groups, others) = node_groups::all(environment, spec, leave, &around, session, hub);
    let watch = NodeGroupsWatch::new(environment, &around, Arc::clone(hub));
    let of_eks: Vec<ResourceId> = addons.iter().map(Resource::id).cloned().collect();
    let addons = addons.into_iter().map(|addon| Part::new(addon, Removal::WithContainer));
    let association =
        Part::new(AssociationResource::new(environment, &around, session), Removal::WithContainer);
    let (wanted, leaving) =
        if environment.is_scaled() { (Some(association), None) } else { (None, Some(association)) };
    let addons = addons.chain(wanted);
    let mut parts = Provided {
        ground: Vec::new(),
        cluster: Box::new(cluster),
        cluster_behind: Vec::new(),
        door: Some(Part::new(access, Removal::WithContainer)),
        machines: Vec::new(),
        node_groups: Box::new(watch),
        cluster_removal: Removal::Itself,
        node_groups_removal: Removal::WithContainer,
        leaving: Vec::new(),
    };
    if leave.removes {
        // In the order of `up`, of which `down` is the reverse.
        let machines = groups.iter().map(Resource::id).chain([others.id()]).cloned().collect();
        let sweeps = Sweeps::new(environment, spec, &around, machines, session, hub);
        let network = SweptNetwork::new(network, &sweeps);
        let Sweeps { made, interfaces, left, logs, .. } = sweeps;
        let (before_cluster, before_nodes) = (left.id().clone(), interfaces.id().clone());
        let groups =
            groups.into_iter().map(|group| Part::new(group, Removal::Itself).behind([&before_nodes]));
        parts.ground.push(Part::new(logs, Removal::Itself));
        let network =
            Part::new(network, Removal::Itself).behind(parts.ground.iter().map(|part| part.resource.id()));
        parts.ground.push(network);
        parts.ground.push(Part::new(left, Removal::Itself));
        parts.cluster_behind.push(Need::Ready(before_cluster));
        parts.machines = groups.chain(addons).collect();
        parts.machines.insert(0, Part::new(interfaces, Removal::Itself));
        parts.leaving.push(Part::new(others, Removal::Itself).behind([&before_nodes]));
        parts.leaving.push(Part::new(made, Removal::Itself));
    } else {
        // Pods keep their role until they are gone, groups what their machines are made from.
        let leaving = leaving.map(|part| part.behind([&ResourceId::new("leftovers")]));
        let users = leaving.iter().map(|part| part.resource.id().clone());
        let replaced: Vec<ResourceId> = groups.iter().map(Resource::id).cloned().collect();
        let rest =
            LeavingParts::new(&network, users.chain(replaced).chain(of_eks).chain([others.id().clone()]));
        let groups = groups.into_iter().map(|group| Part::new(group, Removal::Itself));
        parts.ground.push(Part::new(network, Removal::Itself));
        parts.machines = groups.chain(addons).collect();
        parts.leaving.push(Part::new(others, Removal::Itself));
        parts.leaving.extend(leaving);
        parts.leaving.push(Part::new(rest, Removal::WithContainer));
    }
    parts
}

/// What has to stand on AWS before the pods of the addon `name` begin.
pub fn before_addon(environment: &Environment, name: &str) -> Option<ResourceId> {
    (environment.is_scaled() && name == AUTOSCALER).then(AssociationResource::id_of)
}

/// What tells the control plane to enforce network policies where EKS Auto Mode makes the nodes: these ask for it by
/// default, and nobody else does. Where the network plugin is an addon, that brings it with its configuration.
/// Source: <https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html>.
///
/// # Panics
/// Never: config maps are among the kinds that are built in.
pub fn policy_switch(spec: &EksCluster) -> Option<Object> {
    let body = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "amazon-vpc-cni", "namespace": "kube-system"},
        "data": {"enable-network-policy-controller": "true"},
    });
    spec.auto_mode.then(|| Object::new(body).expect("config maps are built in"))
}

/// What has to be gone before the [`policy_switch`] is made: the addon has one of the same name.
pub fn before_policy_switch() -> ResourceId {
    AddonResource::network_plugin()
}

/// The class of volumes that a claim gets that names none: EKS makes none that is the default since Kubernetes 1.30.
/// Source: <https://docs.aws.amazon.com/eks/latest/userguide/create-storage-class.html> for Auto Mode.
///
/// Volumes of Auto Mode carry no mark of ours: its role may not set tags of users, and would make none at all
/// (<https://docs.aws.amazon.com/eks/latest/userguide/auto-learn-iam.html#tag-prop>). EKS's own tag tells the cluster.
///
/// # Panics
/// Never: storage classes are among the kinds that are built in.
pub fn storage_class(spec: &EksCluster, owner: &Owner) -> Object {
    let provisioner = if spec.auto_mode { "ebs.csi.eks.amazonaws.com" } else { "ebs.csi.aws.com" };
    let mut parameters = json!({"type": "gp3", "encrypted": "true"});
    if !spec.auto_mode {
        // By these a volume is known as ours once nothing else is there that could tell.
        parameters["tagSpecification_1"] = json!(format!("{}={}", label::OWNER, owner.id));
        parameters["tagSpecification_2"] = json!(format!("{}={}", label::ENVIRONMENT, owner.environment));
    }
    let body = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "gp3",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": provisioner,
        "parameters": parameters,
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": true,
        "reclaimPolicy": "Delete",
    });
    Object::new(body).expect("storage classes are built in")
}
