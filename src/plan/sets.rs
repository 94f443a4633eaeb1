use std::collections::BTreeSet;
use std::sync::Arc;

use super::registries;
use serde_json::Value;

use crate::addons::{Ability, Catalog, Mirrors, Offered, Rendered, Sources, check_mirrored};
use crate::base::{Fault, Note, Platform, ResourceId, Secret};
use crate::engine::{Output, Outputs};
use crate::k8s::{Late, Leaving, Live, NodesOffer, Object, ObjectSet, Offers, Readiness};
use crate::profile::Environment;
use crate::tenants::Pulling;
use crate::{providers, tenants};

/// All object sets of an environment, and what the user should know of what is not in them.
#[derive(Clone)]
pub struct Rendering {
    /// One set per addon that berth applies, then one for the registry of this machine, then one for all
    /// tenants.
    pub sets: Vec<ObjectSet>,
    /// Addons that somebody else brings, with the path of the list that has items once they work.
    pub provided: Vec<(String, String)>,
    /// Who brings the rest, and what is not rehearsed.
    pub notes: Vec<Note>,
}

/// The name of the set of what volumes are made by.
pub(super) const STORAGE: &str = "storage";

/// The name of the set of what network policies act by.
pub(super) const POLICIES: &str = "network-policies";

/// The name of the set of all tenants.
pub(super) const TENANTS: &str = "tenants";

/// Renders every object of `environment`, with what was fetched for its addons. Needs no cluster.
///
/// Refuses images that no mirror is for, before anything changes: a pod whose image cannot be pulled would
/// be found out late.
///
/// Without the `logins` that its tenants pull images with, their Secrets keep nothing.
pub fn render(
    environment: &Environment,
    sources: &Sources,
    logins: Option<&Secret<String>>,
) -> Result<Rendering, Fault> {
    let (catalog, addons) = render_addons(environment, sources)?;
    check_mirrored(&addons)?;
    Ok(rendering(environment, catalog, addons, logins))
}

/// The same with images that no mirror is for: what stands with them can be taken away.
pub(super) fn render_for_removal(environment: &Environment, sources: &Sources) -> Result<Rendering, Fault> {
    let (catalog, addons) = render_addons(environment, sources)?;
    Ok(rendering(environment, catalog, addons, None))
}

/// What the addons of `environment` come to, and the catalog that they are of. Images that no mirror is
/// for are marked, not refused.
pub fn render_addons(
    environment: &Environment,
    sources: &Sources,
) -> Result<(Catalog, Vec<Rendered>), Fault> {
    let mirrors = Mirrors::new(&environment.mirrors);
    let catalog = Catalog::load(&environment.addons_from)?.with_mirrors(mirrors).with_sources(sources);
    let rendered = catalog.render_all(&environment.addons, &providers::platform(environment))?;
    Ok((catalog, rendered))
}

fn rendering(
    environment: &Environment,
    catalog: Catalog,
    addons: Vec<Rendered>,
    logins: Option<&Secret<String>>,
) -> Rendering {
    let platform = providers::platform(environment);
    let mut rendering = addon_sets(environment, &Arc::new(catalog), addons, &platform);
    rendering.sets.extend(registries::hosting_set(environment));
    rendering.sets.extend(storage_set(environment, &platform));
    rendering.sets.extend(policies_set(environment, &platform));
    let pulling = match logins {
        _ if !pulls_with_logins(environment) => Pulling::Anonymously,
        Some(logins) => Pulling::With(logins),
        None => Pulling::Unread,
    };
    rendering.sets.push(tenants_set(environment, &platform, &pulling));
    rendering
}

/// Whether the tenants of `environment` pull images with logins, so that these have to be read before it is
/// made. In a rehearsal nothing is pulled.
pub fn pulls_with_logins(environment: &Environment) -> bool {
    !environment.rehearsal && !environment.pull_secrets.is_empty() && !environment.tenants.is_empty()
}

fn addon_sets(
    environment: &Environment,
    catalog: &Arc<Catalog>,
    addons: Vec<Rendered>,
    platform: &Platform,
) -> Rendering {
    let mut rendering = Rendering { sets: Vec::new(), provided: Vec::new(), notes: Vec::new() };
    for addon in addons {
        let outline = outline(&addon);
        let late = addon.follows_network.then(|| late(environment, catalog, &addon, platform)).flatten();
        rendering.notes.extend(addon.notes);
        rendering.provided.extend(addon.provided.map(|path| (addon.name.clone(), path)));
        if addon.objects.is_empty() && !addon.absent {
            continue;
        }
        if platform.rehearsal {
            rendering.notes.extend(without_address(&addon.name, &addon.objects));
        }
        rendering.sets.push(ObjectSet {
            outline,
            name: format!("addon-{}", addon.name),
            objects: addon.objects,
            behind: providers::before_addon(environment, &addon.name).into_iter().collect(),
            late,
            leaving: Leaving::Everything,
            readiness: readiness(platform),
            notes: Vec::new(),
            yields_to: addon.yields_to,
            offers: addon.offers.map(|offered| offers(environment, offered)),
            outputs: if addon.provides.contains(&Ability::Ingress) { ingress_addresses } else { addresses },
        });
    }
    rendering
}

fn outline(addon: &Rendered) -> String {
    if addon.absent {
        return String::new();
    }
    let pools: Vec<String> =
        addon.open.iter().map(|pool| format!(", pool `{pool}` of the nodes' network")).collect();
    format!("version {}, {}{}", addon.version, counted(addon.objects.len(), "object"), pools.concat())
}

/// What `addon` comes to besides on the network of the cluster's nodes: its address pools, or what is wrong
/// with one of them there.
fn late(
    environment: &Environment,
    catalog: &Arc<Catalog>,
    addon: &Rendered,
    platform: &Platform,
) -> Option<Late> {
    let (catalog, all, platform) = (Arc::clone(catalog), environment.addons.clone(), platform.clone());
    let spec = all.iter().find(|spec| spec.name == addon.name)?.clone();
    let known: BTreeSet<String> = addon.objects.iter().map(Object::title).collect();
    let render = move |outputs: &Outputs| {
        let platform = Platform { network: outputs.cluster_network().cloned(), ..platform.clone() };
        let rendered = catalog.render(&spec, &all, &platform)?;
        Ok(rendered.objects.into_iter().filter(|object| !known.contains(&object.title())).collect())
    };
    Some(Late { key: Outputs::CLUSTER_NETWORK, render: Arc::new(render) })
}

/// What volumes are made by where a claim names nothing, on platforms that bring no default of their own.
fn storage_set(environment: &Environment, platform: &Platform) -> Option<ObjectSet> {
    let class = providers::storage_class(environment)?;
    Some(ObjectSet {
        outline: format!("default storage class {}", class.name),
        name: STORAGE.to_string(),
        objects: vec![class],
        behind: Vec::new(),
        late: None,
        leaving: Leaving::Everything,
        readiness: readiness(platform),
        notes: Vec::new(),
        yields_to: None,
        offers: None,
        outputs: |_| Outputs::default(),
    })
}

/// What has network policies enforced, on platforms that have to be told. Whoever told it before may keep that.
fn policies_set(environment: &Environment, platform: &Platform) -> Option<ObjectSet> {
    let (switch, before) = providers::policy_switch(environment)?;
    Some(ObjectSet {
        outline: format!("network policies are enforced: {}", switch.title()),
        name: POLICIES.to_string(),
        yields_to: Some(switch.title()),
        objects: vec![switch],
        behind: vec![before],
        late: None,
        leaving: Leaving::Everything,
        readiness: readiness(platform),
        notes: Vec::new(),
        offers: None,
        outputs: |_| Outputs::default(),
    })
}

/// What stands once network policies are enforced, on platforms that have to be told.
pub(super) fn policies_id(environment: &Environment) -> Option<ResourceId> {
    providers::policy_switch(environment).map(|_| ResourceId::new(POLICIES))
}

/// The set of all tenants. It is there also when the profile has none: so that the last one that
/// leaves stays guarded, as the set's rule for leaving says.
fn tenants_set(environment: &Environment, platform: &Platform, pulling: &Pulling<'_>) -> ObjectSet {
    let owner = &environment.owner;
    let mut objects = tenants::render(&environment.tenants, owner, platform, pulling);
    objects.extend(tenants::render_admins(&environment.admins, owner));
    let namespaces: usize = environment.tenants.iter().map(|tenant| tenant.namespaces.len()).sum();
    let outline = format!(
        "{} in {}, {}",
        counted(environment.tenants.len(), "tenant"),
        counted(namespaces, "namespace"),
        counted(objects.len(), "object")
    );
    ObjectSet {
        outline: if objects.is_empty() { String::new() } else { outline },
        name: TENANTS.to_string(),
        objects,
        // They are guarded by policies from the first.
        behind: policies_id(environment).into_iter().collect(),
        late: None,
        leaving: Leaving::AccessOnly,
        readiness: readiness(platform),
        notes: Vec::new(),
        yields_to: None,
        offers: None,
        outputs: |_| Outputs::default(),
    }
}

fn readiness(platform: &Platform) -> Readiness {
    Readiness { addresses: !platform.rehearsal }
}

/// A rehearsal has nobody who gives a load balancer its address.
fn without_address<'a>(addon: &str, objects: &'a [Object]) -> impl Iterator<Item = Note> + use<'a> {
    let addon = addon.to_string();
    objects.iter().filter(|object| object.body["spec"]["type"] == "LoadBalancer").map(move |service| {
        Note::new(
            "not rehearsed",
            format!("addon {addon}: the address of {} (nothing gives one here)", service.title()),
        )
    })
}

/// What the nodes of the groups with GPUs have to offer once the addon works.
fn offers(environment: &Environment, offered: Offered) -> Offers {
    let groups = environment.node_groups.iter().filter(|group| group.resources.gpus > 0 && offered.times > 0);
    let nodes = groups.map(|group| NodesOffer {
        labels: providers::node_selector(environment.cluster.provider(), group),
        each: u64::from(group.resources.gpus) * u64::from(offered.times),
    });
    Offers { nodes: nodes.collect(), resource: offered.resource }
}

/// The addresses that load balancers got, under `address.NAMESPACE/NAME`.
fn addresses(standing: &[Arc<Live>]) -> Outputs {
    addresses_under("address", standing)
}

/// As [`addresses`], under `ingress.NAMESPACE/NAME`: the hosts of Ingress objects are served there. Under
/// `ingress-port.NAME` is the port at which every node serves them.
fn ingress_addresses(standing: &[Arc<Live>]) -> Outputs {
    let mut outputs = addresses_under("ingress", standing);
    let of = |live: &Live, pointer: &str| live.body.pointer(pointer).and_then(Value::as_array).cloned();
    for live in standing {
        let containers = of(live, "/spec/template/spec/containers").into_iter().flatten();
        let ports =
            containers.flat_map(|container| container["ports"].as_array().cloned().unwrap_or_default());
        let served = ports.filter(|port| port["name"] == "web").find_map(|port| port["hostPort"].as_u64());
        if let Some(port) = served {
            outputs.insert(format!("ingress-port.{}", live.name), Output::Text(port.to_string()));
        }
    }
    outputs
}

fn addresses_under(key: &str, standing: &[Arc<Live>]) -> Outputs {
    let mut outputs = Outputs::default();
    for service in standing.iter().filter(|live| live.kind.kind == "Service") {
        let first = &service.body["status"]["loadBalancer"]["ingress"][0];
        if let Some(address) = first["ip"].as_str().or(first["hostname"].as_str()) {
            let home = service.namespace.as_deref().unwrap_or_default();
            outputs.insert(format!("{key}.{home}/{}", service.name), Output::Text(address.to_string()));
        }
    }
    outputs
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::profile::{ClusterSpec, LoadOptions, find, load};

    /// The sets of a profile for EKS, with or without nodes that EKS makes: the name of each, and what it is behind.
    fn sets_on_eks(auto_mode: bool) -> BTreeMap<String, Vec<ResourceId>> {
        let options = LoadOptions { home: "/".into(), known_addons: crate::addons::shipped_names() };
        let found = find("dev-eks", Path::new("/nonexistent")).expect("ships in the binary");
        let mut environment = load(&found, &options).expect("valid").environment;
        let ClusterSpec::Eks(spec) = &mut environment.cluster else { unreachable!("it is on EKS") };
        spec.auto_mode = auto_mode;
        let rendering = render(&environment, &Sources::absent(), None).expect("rendered");
        rendering.sets.into_iter().map(|set| (set.name, set.behind)).collect()
    }

    #[test]
    fn tenants_come_once_their_network_policies_are_enforced() {
        let sets = sets_on_eks(true);
        assert_eq!(sets[POLICIES], [ResourceId::new("eks-addon/vpc-cni")]);
        assert_eq!(sets[TENANTS], [ResourceId::new(POLICIES)]);
        let sets = sets_on_eks(false);
        assert_eq!((sets.get(POLICIES), &sets[TENANTS]), (None, &Vec::new()));
    }

    #[test]
    fn without_tenants_there_is_still_the_set_that_keeps_those_who_left_guarded() {
        let options = LoadOptions { home: "/".into(), known_addons: crate::addons::shipped_names() };
        let found = find("lab", Path::new("/nonexistent")).expect("ships in the binary");
        let mut environment = load(&found, &options).expect("valid").environment.rehearse();
        environment.tenants.clear();
        let rendering = render(&environment, &Sources::absent(), None).expect("rendered");
        let tenants = rendering.sets.iter().find(|set| set.name == TENANTS).expect("there");
        assert_eq!(tenants.leaving, Leaving::AccessOnly);
        assert!(tenants.objects.is_empty() && tenants.outline.is_empty());
    }
}
