use std::sync::Arc;

use super::assemble::Settings;
use crate::base::ResourceId;
use crate::clouds::aws::{Session, Whose};
use crate::engine::{Graph, Need, Outputs, Removal};
use crate::k8s::{Late, Leaving, Object, ObjectSet, Readiness};
use crate::profile::schema::LocalRegistry;
use crate::profile::{ClusterSpec, Environment, RegistrySpec};
use crate::registry::ecr;
use crate::registry::local::{self, Claims, Lab, Nodes, Purpose};

/// The name of the set that says in the cluster where its registry is.
pub(super) const REGISTRY: &str = "registry";

/// The objects by which programs in the cluster and around it find the registry on this machine.
pub(super) fn hosting_set(environment: &Environment) -> Option<ObjectSet> {
    let port = declared(environment)?.port;
    let object = move |inside: Option<&str>| {
        Object::new(local::hosting(port, inside)).expect("a ConfigMap is known everywhere")
    };
    let render = move |outputs: &Outputs| Ok(vec![object(outputs.text(Outputs::REGISTRY_INSIDE))]);
    let late = Late { key: Outputs::REGISTRY_INSIDE, render: Arc::new(render) };
    // As it is with berth's own registry.
    let object = object(None);
    Some(ObjectSet {
        name: REGISTRY.to_string(),
        outline: object.title(),
        objects: vec![object],
        behind: Vec::new(),
        leaving: Leaving::Everything,
        readiness: Readiness { addresses: false },
        notes: Vec::new(),
        yields_to: None,
        offers: None,
        late: Some(late),
        outputs: |_| Outputs::default(),
    })
}

/// The registry on this machine that the environment declares.
pub(super) fn declared(environment: &Environment) -> Option<&LocalRegistry> {
    match &environment.registry {
        Some(RegistrySpec::Local(declared)) if has_nodes_here(environment) => Some(declared),
        _ => None,
    }
}

/// What references of images in the registry on this machine begin with, where the environment has one.
pub fn registry_host(environment: &Environment) -> Option<String> {
    declared(environment).map(|declared| local::host(declared.port))
}

/// The resource that knows the way of the nodes to the registry.
pub(super) fn nodes_id() -> ResourceId {
    Nodes::resource_id()
}

/// Whether the nodes of the cluster are containers of this machine.
fn has_nodes_here(environment: &Environment) -> bool {
    matches!(environment.cluster, ClusterSpec::Kind(_)) && !environment.rehearsal
}

/// The environment as the registry knows it, and what its run says of itself.
fn lab(environment: &Environment, settings: &Settings) -> (Lab, Claims) {
    let dirs = &settings.local.dirs;
    let lab = Lab {
        cluster: environment.name.clone(),
        owner: environment.owner.clone(),
        networks: settings.local.kind.networks.clone(),
    };
    let claims = Claims::new(&dirs.state, dirs.environment(&environment.owner).join("lock"), &lab);
    (lab, claims)
}

/// Adds the registry. What the cluster has to wait for: nothing to be made, and it goes first, since then
/// each of two labs that go at the same time sees whether the other one still uses the registry.
pub(super) fn before(graph: &mut Graph, environment: &Environment, settings: &Settings) -> Vec<Need> {
    let declared = declared(environment);
    // On the way down its nodes tell what it uses, whatever the profile says by now.
    if !has_nodes_here(environment) || (declared.is_none() && !settings.removal) {
        return Vec::new();
    }
    let purpose =
        if settings.removal { Purpose::TakeAway { images: settings.registries } } else { Purpose::Bring };
    let registry =
        local::LocalRegistry::new(declared, &settings.local.engine, lab(environment, settings), &purpose);
    graph.add(Box::new(registry), Removal::Itself);
    if settings.removal { vec![Need::Ready(local::LocalRegistry::resource_id())] } else { Vec::new() }
}

/// Adds the repositories of a cloud. They stand beside the cluster and need nothing of it, and stay when it goes
/// unless they are asked for.
pub(super) fn beside(
    graph: &mut Graph,
    environment: &Environment,
    settings: &Settings,
    session: Option<&Arc<Session>>,
) {
    let Some(RegistrySpec::Ecr(spec)) = &environment.registry else { return };
    let Some(session) = ecr_session(environment, session) else { return };
    let (purpose, removal) = match (settings.removal, settings.registries) {
        (false, _) => (ecr::Purpose::Bring { adopt: settings.adopt }, Removal::Itself),
        (true, false) => (ecr::Purpose::Keep, Removal::LookedAt),
        (true, true) => (ecr::Purpose::TakeAway, Removal::Itself),
    };
    graph.add(Box::new(ecr::EcrResource::new(environment, spec, session, purpose)), removal);
}

/// The session with the account and region of the repositories that the environment declares: `shared`, that of its
/// cluster, where it is the same region.
pub fn ecr_session(environment: &Environment, shared: Option<&Arc<Session>>) -> Option<Arc<Session>> {
    let Some(RegistrySpec::Ecr(spec)) = environment.registry.as_ref().filter(|_| !environment.rehearsal)
    else {
        return None;
    };
    let (cluster, account) = match &environment.cluster {
        ClusterSpec::Eks(cluster) => (Some(&cluster.region), cluster.account.clone()),
        _ => (None, None),
    };
    let region = spec.region.as_ref().or(cluster)?;
    match shared.filter(|session| session.region() == region) {
        Some(shared) => Some(Arc::clone(shared)),
        None => Some(Session::new(Whose { region: region.clone(), account, ..Whose::default() })),
    }
}

/// Adds what the nodes of the cluster know of the registry; also without one, since they may know one that
/// left the profile. Its id, where what the nodes pull may come from there.
pub(super) fn behind(
    graph: &mut Graph,
    environment: &Environment,
    settings: &Settings,
    cluster: &ResourceId,
) -> Option<ResourceId> {
    if !has_nodes_here(environment) {
        return None;
    }
    let declared = declared(environment);
    let nodes = Nodes::new(declared, lab(environment, settings), cluster.clone(), &settings.local.engine);
    let id = Nodes::resource_id();
    graph.add(Box::new(nodes), Removal::WithContainer);
    let is_pulled_from = declared.is_some_and(|declared| !declared.pull_through.is_empty());
    (is_pulled_from || (declared.is_some() && !environment.mirrors.is_empty())).then_some(id)
}
