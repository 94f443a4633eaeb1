use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::registries::{self, REGISTRY};
use super::sets::{POLICIES, Rendering, STORAGE, TENANTS, policies_id, render, render_for_removal};
use super::subject::canary_image;
use crate::addons::{LEFT_OPEN, Sources};
use crate::base::{Fault, FaultKind, Note, ProviderKind, ResourceId, RunId, Secret, label};
use crate::clouds::aws;
use crate::engine::{Graph, Need, Outputs, Removal};
use crate::k8s::{
    Hub, HubSettings, Kind, Kinds, Leftovers, ObjectSet, Provided, Records, SetResource, known_kind,
};
use crate::profile::{Environment, NodeGroup};
use crate::providers;
use crate::verify::PolicyTruth;

/// What a run needs besides the profile.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // One flag each on the command line, all of them independent.
pub struct Settings {
    /// Folders and tools of this machine.
    pub local: providers::Local,
    /// What may be done to a cluster.
    pub cluster: providers::Leave,
    /// This run.
    pub run: RunId,
    /// The user, for the courtesy lock.
    pub user: String,
    /// This machine's name, for the courtesy lock.
    pub host: String,
    /// Take over objects of our names that somebody else made.
    pub adopt: bool,
    /// Take over fields that another manager applies.
    pub force_conflicts: bool,
    /// Remove namespaces that are no longer in the profile.
    pub prune_namespaces: bool,
    /// Remove custom resource definitions that are no longer in the profile.
    pub prune_crds: bool,
    /// Work on a part of the environment alone: nothing is removed for having left the profile.
    pub partial: bool,
    /// Only take away what stands: what is wrong with what would be made is in nobody's way.
    pub removal: bool,
    /// Take away the images of the registries too. Only in a removal.
    pub registries: bool,
    /// The logins that the pods of tenants pull images with, as their Secret keeps them; nothing where they
    /// were not read: what stands is left as it is.
    pub logins: Option<Secret<String>>,
    /// The tenants to work on; all when there are none. Only in a partial run.
    pub tenants: BTreeSet<String>,
}

/// Everything that a run works with.
pub struct Assembly {
    /// The resources.
    pub graph: Graph,
    /// The hub that they share; closed at the end of a run.
    pub hub: Arc<Hub>,
    /// Who brings what berth does not, and what is not rehearsed.
    pub notes: Vec<Note>,
    /// The way to AWS that they share, where some of them are there.
    pub aws: Option<Arc<aws::Session>>,
    /// What its addons came to, as a hash.
    pub content: String,
}

/// What a plan depends on besides the live world, as a hash: the whole profile, what shapes the plan
/// of it, what its addons came to (their files may change while the profile does not, and a plan shows neither
/// what is made anew nor what a Secret holds), the version of berth.
pub fn fingerprint(resolved: &Value, shape: &str, addons: &str) -> String {
    let mut hasher = Sha256::new();
    for part in [resolved.to_string().as_str(), shape, addons, env!("CARGO_PKG_VERSION")] {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    in_hex(&hasher.finalize())
}

/// The objects of all addons, as a hash.
fn content_of(sets: &[ObjectSet]) -> String {
    let mut hasher = Sha256::new();
    for object in sets.iter().filter(|set| set.name != TENANTS).flat_map(|set| &set.objects) {
        hasher.update(object.body.to_string());
    }
    in_hex(&hasher.finalize())
}

/// The first half of a hash.
fn in_hex(digest: &[u8]) -> String {
    digest.iter().take(16).fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"))
}

/// The graph of all resources of `environment`, with what was fetched for its addons.
pub fn assemble(
    environment: &Environment,
    settings: &Settings,
    sources: &Sources,
) -> Result<Assembly, Fault> {
    // First of all: whatever else may be wrong, on this provider nothing can be made right.
    providers::check(environment)?;
    let rendering = if settings.removal {
        render_for_removal(environment, sources)?
    } else {
        render(environment, sources, settings.logins.as_ref())?
    };
    let Rendering { mut sets, provided: brought, mut notes } = rendering;
    let content = content_of(&sets);
    let behind = settle_kinds(&mut sets)?;
    if settings.partial && !settings.tenants.is_empty() {
        keep_tenants(&mut sets, &settings.tenants);
    }
    let hub = Arc::new(Hub::new(hub_settings(environment, settings, kinds(&sets))));
    // That pools are chosen once there is a network is said where their addon is to be made.
    notes.retain(|note| note.topic != LEFT_OPEN);
    notes.extend(registry_note(environment));
    notes.extend(pull_note(environment));
    notes.extend(nodes_note(environment));
    let mut graph = Graph::new();
    let session = providers::aws_session(environment);
    let provided =
        providers::provide(environment, &settings.local, settings.cluster, session.as_ref(), &hub)?;
    let cluster_id = provided.cluster_id().clone();
    let removal = provided.cluster_removal;
    let mut needs = registries::before(&mut graph, environment, settings);
    needs.extend(provided.cluster_behind);
    registries::beside(&mut graph, environment, settings, session.as_ref());
    provided.ground.into_iter().for_each(|part| graph.add_behind(part.resource, part.removal, part.behind));
    graph.add_behind(provided.cluster, removal, needs);
    provided
        .door
        .into_iter()
        .chain(provided.machines)
        .for_each(|part| graph.add_behind(part.resource, part.removal, part.behind));
    let nodes_of_registry = registries::behind(&mut graph, environment, settings, &cluster_id);
    // What lies in a cluster of our own goes with it; what lies in somebody else's is taken out.
    let inner = if removal == Removal::Kept { Removal::Itself } else { Removal::WithContainer };
    let records = Records::new(Arc::clone(&hub), cluster_id.clone());
    graph.add(Box::new(records), inner);
    let mut needs = vec![Need::Inside(cluster_id.clone()), Need::Ready(ResourceId::new("records"))];
    graph.add(provided.node_groups, provided.node_groups_removal);
    // What runs containers is started again for them: pods better come behind.
    if let Some(gpus) = providers::gpus(environment, &settings.local, cluster_id.clone()) {
        needs.push(Need::Ready(gpus.id().clone()));
        graph.add(gpus, inner);
    }
    let truth_needs = truth_needs(environment, &needs);
    // What is pulled should find the way that the nodes are told of.
    needs.extend(nodes_of_registry.map(Need::Ready));
    let network = providers::network(environment, &settings.local, &hub, cluster_id.clone())
        .filter(|_| sets.iter().any(follows_network));
    let network_id = network.as_ref().map(|network| network.id().clone());
    if let Some(network) = network {
        graph.add(network, Removal::LookedAt);
    }
    let names: BTreeSet<String> = sets
        .iter()
        .map(|set| set.name.as_str())
        .chain(["node-groups", POLICIES])
        .map(str::to_string)
        .collect();
    let mut leftover_needs = needs.clone();
    let mut note_needs = vec![Need::Inside(cluster_id)];
    for set in in_order(sets, &behind) {
        let id = id_of(&set.name);
        let before = behind.get(&set.name).into_iter().flatten().map(|other| Need::Ready(id_of(other)));
        // Of two sets that come behind each other, the first one does not wait.
        let before = before.filter(|need| leftover_needs.contains(need));
        let looked = looked(&set, network_id.as_ref());
        let needs = needs.iter().cloned().chain(before).chain(looked).collect();
        leftover_needs.push(Need::Ready(id.clone()));
        note_needs.extend(follows_network(&set).then(|| Need::Ready(id.clone())));
        graph.add(Box::new(SetResource::new(id, needs, Arc::clone(&hub), set)), inner);
    }
    if has_machines(environment) {
        let nodes_come = providers::brings_nodes(environment);
        let truth = PolicyTruth::new(truth_needs, Arc::clone(&hub), canary_image(environment), nodes_come);
        graph.add(Box::new(truth), inner);
    }
    for (addon, path) in brought {
        let id = ResourceId::new(format!("addon/{addon}"));
        let stays = if inner == Removal::Itself { Removal::Kept } else { inner };
        // It may have nothing to tell before the others' pods run.
        graph.add(Box::new(Provided::new(id, leftover_needs.clone(), Arc::clone(&hub), path)), stays);
    }
    graph.add(Box::new(Leftovers::new(leftover_needs, Arc::clone(&hub), names)), inner);
    provided.leaving.into_iter().for_each(|part| graph.add_behind(part.resource, part.removal, part.behind));
    if network_id.is_none() {
        // The pools of an addon that left the profile go with what it left.
        note_needs.push(Need::Ready(ResourceId::new("leftovers")));
    }
    if let Some(note) = providers::pool_note(environment, &settings.local, &hub, note_needs) {
        graph.add_along(note, Removal::LookedAt);
    }
    Ok(Assembly { graph, hub, notes, aws: session, content })
}

/// Whether its nodes are machines, on which something runs.
fn has_machines(environment: &Environment) -> bool {
    !environment.rehearsal && environment.cluster.provider() != ProviderKind::Kwok
}

/// Whether objects of a set follow from the network of the nodes.
fn follows_network(set: &ObjectSet) -> bool {
    set.late.as_ref().is_some_and(|late| late.key == Outputs::CLUSTER_NETWORK)
}

/// What has to be looked at before a set is whole, where somebody looks: at the `network` of the nodes, or at the
/// way that they have to the registry.
fn looked(set: &ObjectSet, network: Option<&ResourceId>) -> Option<Need> {
    let key = set.late.as_ref()?.key;
    let from = if follows_network(set) { network?.clone() } else { registries::nodes_id() };
    Some(Need::Output { from, key })
}

/// How the objects in the cluster are worked on.
fn hub_settings(environment: &Environment, settings: &Settings, kinds: BTreeSet<Kind>) -> HubSettings {
    HubSettings {
        owner: environment.owner.clone(),
        run: settings.run.clone(),
        place: format!("{}@{}:{}", settings.user, settings.host, settings.local.dirs.state.display()),
        kinds,
        adopt: settings.adopt,
        force_conflicts: settings.force_conflicts,
        prune_namespaces: settings.prune_namespaces,
        prune_crds: settings.prune_crds,
        partial: settings.partial,
    }
}

/// What has to stand before it is made out whether network policies act, besides what is `inside` of the cluster:
/// nodes, and once they are told to act they do.
fn truth_needs(environment: &Environment, inside: &[Need]) -> Vec<Need> {
    let others = [ResourceId::new("node-groups")].into_iter().chain(policies_id(environment));
    inside.iter().cloned().chain(others.map(Need::Ready)).collect()
}

/// The name of a set's resource.
fn id_of(set: &str) -> ResourceId {
    ResourceId::new(match set.strip_prefix("addon-") {
        Some(addon) => format!("addon/{addon}"),
        None if set == REGISTRY => format!("{REGISTRY}/hosting"),
        None if set == STORAGE || set == POLICIES => set.to_string(),
        None => TENANTS.to_string(),
    })
}

/// Settles the kinds that one set defines and another one uses. The sets that each set comes behind: its
/// custom resources are made once their controllers run, and removed while those still do.
fn settle_kinds(sets: &mut [ObjectSet]) -> Result<BTreeMap<String, BTreeSet<String>>, Fault> {
    let mut behind: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut definers: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut kinds = Kinds::default();
    for set in sets.iter() {
        let mut own = Kinds::default();
        set.objects.iter().for_each(|object| own.learn(&object.body));
        definers
            .extend(own.defined().map(|kind| ((kind.api_version(), kind.kind.clone()), set.name.clone())));
        set.objects.iter().for_each(|object| kinds.learn(&object.body));
    }
    for set in sets.iter_mut() {
        for object in &mut set.objects {
            let (api_version, kind) = (object.kind.api_version(), object.kind.kind.clone());
            let definer = definers.get(&(api_version.clone(), kind.clone()));
            if let Some(definer) = definer.filter(|definer| **definer != set.name) {
                behind.entry(set.name.clone()).or_default().insert(definer.clone());
            }
            if let Some(served) = kinds.find(&api_version, &kind).and_then(|kind| kind.served)
                && object.kind.served.is_none()
            {
                *object = object.clone().served_as(served).map_err(|error| {
                    Fault::new(FaultKind::Invalid, format!("render {}", id_of(&set.name)), error.to_string())
                })?;
            }
        }
    }
    Ok(behind)
}

/// The sets, each behind those that it comes behind. Sets that come behind each other keep their order, and
/// then the later one alone waits.
fn in_order(sets: Vec<ObjectSet>, behind: &BTreeMap<String, BTreeSet<String>>) -> Vec<ObjectSet> {
    let mut waiting: Vec<ObjectSet> = sets;
    let mut ordered: Vec<ObjectSet> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_free = |set: &ObjectSet| {
            let before = behind.get(&set.name).into_iter().flatten();
            let mut before = before.filter(|name| waiting.iter().any(|other| other.name == **name));
            before.next().is_none()
        };
        let next = waiting.iter().position(is_free).unwrap_or_default();
        ordered.push(waiting.remove(next));
    }
    ordered
}

/// Leaves the objects of `tenants` in the set of all tenants, and those that they share. They are rendered
/// with all others, since what one tenant may reach depends on whom the others let in.
fn keep_tenants(sets: &mut [ObjectSet], tenants: &BTreeSet<String>) {
    for set in sets.iter_mut().filter(|set| set.name == TENANTS) {
        set.objects.retain(|object| {
            let tenant = object.body["metadata"]["labels"][label::TENANT].as_str();
            tenant.is_none_or(|tenant| tenants.contains(tenant))
        });
    }
}

/// The kinds of all sets, and those whose last object may have left the profile unrecorded.
fn kinds(sets: &[ObjectSet]) -> BTreeSet<Kind> {
    let objects = sets.iter().flat_map(|set| &set.objects).map(|object| object.kind.clone());
    let namespace = known_kind("v1", "Namespace");
    // One that was kept stands without a record of its kind.
    let definition = known_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    objects.chain(namespace).chain(definition).filter(|kind| kind.served.is_some()).collect()
}

fn registry_note(environment: &Environment) -> Option<Note> {
    let registry = environment.registry.as_ref()?;
    let text = format!("registry {}: nothing stands behind it here", registry.kind());
    environment.rehearsal.then(|| Note::new("not rehearsed", text))
}

fn pull_note(environment: &Environment) -> Option<Note> {
    let hosts = environment.pull_secrets.join(", ");
    let text = format!("pull secrets: the logins for {hosts} (nothing pulls images here)");
    (environment.rehearsal && !hosts.is_empty()).then(|| Note::new("not rehearsed", text))
}

/// That the nodes of a rehearsal are not those of the profile, which declares none.
fn nodes_note(environment: &Environment) -> Option<Note> {
    let NodeGroup { name, min, resources, .. } = providers::nodes::stand_in(environment)?;
    let nodes = if min == 1 { "1 node".to_string() } else { format!("{min} nodes") };
    let (why, others) = if providers::brings_nodes(environment) {
        ("EKS makes the nodes as pods need them", "")
    } else {
        ("the profile declares no node groups", "; declare `nodeGroups` to have others")
    };
    let text = format!(
        "{why}: the rehearsal has {nodes} `{name}` of {} cores and {}{others}",
        resources.cpu, resources.memory
    );
    Some(Note::new("assumed", text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::k8s::{Leaving, Object, Readiness};

    fn set(name: &str, objects: &[Value]) -> ObjectSet {
        let object = |body: &Value| Object::of(body.clone(), &Kinds::default()).expect("an object");
        ObjectSet {
            name: name.to_string(),
            objects: objects.iter().map(object).collect(),
            behind: Vec::new(),
            late: None,
            leaving: Leaving::Everything,
            readiness: Readiness { addresses: false },
            notes: Vec::new(),
            outline: String::new(),
            offers: None,
            yields_to: None,
            outputs: |_| Outputs::default(),
        }
    }

    fn definition(kind: &str) -> Value {
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{kind}s.example.org")},
            "spec": {"group": "example.org", "scope": "Namespaced", "names": {"kind": kind, "plural": format!("{kind}s")},
                "versions": [{"name": "v1", "served": true}]}})
    }

    fn resource(kind: &str) -> Value {
        json!({"apiVersion": "example.org/v1", "kind": kind, "metadata": {"name": "one", "namespace": "n"}})
    }

    fn names(sets: &[ObjectSet]) -> Vec<&str> {
        sets.iter().map(|set| set.name.as_str()).collect()
    }

    #[test]
    fn a_set_comes_behind_the_one_that_defines_its_kinds() {
        let mut sets = vec![set("addon-user", &[resource("a")]), set("addon-maker", &[definition("a")])];
        let behind = settle_kinds(&mut sets).expect("settled");
        assert_eq!(sets[0].objects[0].kind.namespaced(), Some(true));
        assert_eq!(names(&in_order(sets, &behind)), ["addon-maker", "addon-user"]);
    }

    #[test]
    fn sets_that_define_kinds_for_each_other_keep_their_order() {
        let mut sets = vec![
            set("addon-one", &[definition("a"), resource("b")]),
            set("addon-two", &[definition("b"), resource("a")]),
        ];
        let behind = settle_kinds(&mut sets).expect("settled");
        assert_eq!(names(&in_order(sets, &behind)), ["addon-one", "addon-two"]);
    }
}
