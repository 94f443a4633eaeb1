use crate::addons::{Ability, Catalog, Mirrors, Rendered, Sources, Wanted};
use crate::base::{Capability, Fault, Platform, ProviderKind};
use crate::engine::Outputs;
use crate::profile::{Environment, NodeGroup};
use crate::providers;
use crate::verify::{Expected, Group, IMAGE, Subject};

use super::ports::mapped_port;
use super::registries::registry_host;
use super::sets::render_addons;

/// What `verify` has to prove of `environment`, of which `outputs` are known; with `image` as the canary's in
/// place of its own.
pub fn subject(
    environment: &Environment,
    sources: &Sources,
    outputs: &Outputs,
    image: Option<&str>,
) -> Result<Subject, Fault> {
    let (catalog, addons) = render_addons(environment, sources)?;
    let platform = providers::platform(environment);
    let out_of_reach = outputs.cluster_network().filter(|network| !network.reachable);
    let out_of_reach =
        out_of_reach.map(|network| format!("this machine does not reach addresses of {}", network.title));
    let ways = Ways::to_ingress(environment, outputs, out_of_reach.is_none());
    Ok(Subject {
        simulated: environment.rehearsal || platform.provider == ProviderKind::Kwok,
        groups: environment.node_groups.iter().map(|group| promised(environment, group)).collect(),
        load_balancer: match (load_balancer(environment, &catalog, &platform), &out_of_reach) {
            (Expected::By(_) | Expected::Unknown, Some(why)) => Expected::Nobody(why.clone()),
            (expected, _) => expected,
        },
        ingress: match ingress_of(&addons, &platform) {
            Expected::By(who) => ways.expected(who, out_of_reach),
            expected => expected,
        },
        ingress_addresses: ways.addresses,
        metrics: metrics(&addons, &platform),
        image: image.map_or_else(|| canary_image(environment), str::to_string),
        registry: registry_host(environment),
    })
}

/// The ways from this machine to where hosts are served.
struct Ways {
    /// `HOST` or `HOST:PORT`.
    addresses: Vec<String>,
    /// A port at which every node serves them and that no port of this machine leads to.
    unmapped: Option<u16>,
}

impl Ways {
    /// The addresses of load balancers, where they are reached, and the ports of this machine that lead to nodes.
    fn to_ingress(environment: &Environment, outputs: &Outputs, are_reached: bool) -> Self {
        let mut ways = Self { addresses: Vec::new(), unmapped: None };
        let of = |prefix: &'static str| {
            outputs.texts().filter_map(move |(key, value)| key.starts_with(prefix).then_some(value))
        };
        ways.addresses.extend(of("ingress.").filter(|_| are_reached).map(str::to_string));
        for port in of("ingress-port.").filter_map(|port| port.parse().ok()) {
            match mapped_port(environment, port) {
                Some(mapped) => ways.addresses.push(mapped.to_string()),
                None if environment.cluster.provider() == ProviderKind::Kind => ways.unmapped = Some(port),
                None => {}
            }
        }
        ways
    }

    /// What is expected of `who`, who serves hosts: nothing, where no way leads there.
    fn expected(&self, who: String, out_of_reach: Option<String>) -> Expected {
        let nobody = match self.unmapped {
            Some(port) => Some(format!(
                "{who} serves hosts at port {port} of the nodes, and no port of this machine leads there; make the \
                 cluster with `ports: [{{host: 8080, node: {port}}}]` in `cluster.kind`"
            )),
            None => out_of_reach,
        };
        nobody.filter(|_| self.addresses.is_empty()).map_or(Expected::By(who), Expected::Nobody)
    }
}

/// What the canary of `environment` runs: the image, from its mirror where the profile has one for it.
pub(super) fn canary_image(environment: &Environment) -> String {
    Mirrors::new(&environment.mirrors).pulled_for(IMAGE)
}

fn promised(environment: &Environment, group: &NodeGroup) -> Group {
    Group {
        name: group.name.clone(),
        selector: providers::node_selector(environment.cluster.provider(), group),
        taints: group.taints.clone(),
        min: group.min,
        gpus: group.resources.gpus,
    }
}

fn load_balancer(environment: &Environment, catalog: &Catalog, platform: &Platform) -> Expected {
    let giver = catalog.giver(Wanted::LoadBalancer, &environment.addons, &environment.node_groups, platform);
    match (giver, platform.load_balancer) {
        (Some(who), _) if who == "the platform" => Expected::By(who),
        (Some(who), _) => Expected::By(format!("addon {who}")),
        (None, Capability::Unknown) => Expected::Unknown,
        (None, _) => Expected::Nobody(
            "nobody gives Services of type LoadBalancer an address here: addon metallb does".to_string(),
        ),
    }
}

fn ingress_of(addons: &[Rendered], platform: &Platform) -> Expected {
    match addons.iter().find(|addon| addon.provides.contains(&Ability::Ingress)) {
        Some(addon) => Expected::By(format!("addon {}", addon.name)),
        None if platform.provider == ProviderKind::Existing => Expected::Unknown,
        None => Expected::Nobody("no addon of the profile serves hosts: addon traefik does".to_string()),
    }
}

/// Who brings the metrics API; the platform itself may.
fn metrics(addons: &[Rendered], platform: &Platform) -> Expected {
    const METRICS: &str = "metrics-server";
    let is_native = platform.native_addons.iter().any(|addon| addon == METRICS);
    if addons.iter().any(|addon| addon.name == METRICS) {
        Expected::By(format!("addon {METRICS}"))
    } else if is_native || platform.provider == ProviderKind::Existing {
        Expected::Unknown
    } else {
        Expected::Nobody(format!("nobody brings the metrics API: addon {METRICS} does"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::base::Network;
    use crate::engine::Output;
    use crate::profile::schema::{KindPort, PortProtocol};
    use crate::profile::{ClusterSpec, LoadOptions, find, load};

    fn lab() -> Environment {
        let options = LoadOptions { home: "/".into(), known_addons: crate::addons::shipped_names() };
        let found = find("lab", Path::new("/nonexistent")).expect("ships in the binary");
        load(&found, &options).expect("valid").environment
    }

    fn subject_of(environment: &Environment) -> Subject {
        subject(environment, &Sources::absent(), &Outputs::default(), None).expect("rendered")
    }

    #[test]
    fn what_addons_bring_is_expected_of_them() {
        let subject = subject_of(&lab());
        assert_eq!(subject.load_balancer, Expected::By("addon metallb".to_string()));
        assert_eq!(subject.ingress, Expected::By("addon traefik".to_string()));
        assert_eq!(subject.metrics, Expected::By("addon metrics-server".to_string()));
        assert_eq!((subject.simulated, subject.groups.len(), subject.image.as_str()), (false, 1, IMAGE));
    }

    #[test]
    fn without_addons_nobody_brings_it_on_kind() {
        let environment = Environment { addons: Vec::new(), ..lab() };
        let subject = subject_of(&environment);
        for expected in [subject.load_balancer, subject.ingress, subject.metrics] {
            assert!(matches!(expected, Expected::Nobody(_)), "{expected:?}");
        }
    }

    /// What is known of a lab whose network this machine reaches or not, with more outputs.
    fn outputs(reachable: bool, more: &[(&str, &str)]) -> Outputs {
        let network = Network {
            title: "docker network `kind`".to_string(),
            subnets: Vec::new(),
            used: Vec::new(),
            taken: Vec::new(),
            own: Vec::new(),
            seed: String::new(),
            rivals: Vec::new(),
            reachable,
        };
        let mut outputs = Outputs::default();
        outputs.insert(Outputs::CLUSTER_NETWORK, Output::Network(Box::new(network)));
        for (key, value) in more {
            outputs.insert(*key, Output::Text((*value).to_string()));
        }
        outputs
    }

    fn subject_with(environment: &Environment, outputs: &Outputs) -> Subject {
        subject(environment, &Sources::absent(), outputs, None).expect("rendered")
    }

    #[test]
    fn addresses_that_this_machine_does_not_reach_are_expected_of_nobody() {
        let given = [("ingress.traefik/traefik", "172.18.255.1")];
        let reached = subject_with(&lab(), &outputs(true, &given));
        assert_eq!(reached.ingress_addresses, ["172.18.255.1"]);
        assert!(
            matches!(reached.load_balancer, Expected::By(_)) && matches!(reached.ingress, Expected::By(_))
        );
        let unreached = subject_with(&lab(), &outputs(false, &given));
        assert_eq!(unreached.ingress_addresses, Vec::<String>::new());
        let why = "this machine does not reach addresses of docker network `kind`".to_string();
        assert_eq!(unreached.load_balancer, Expected::Nobody(why.clone()));
        assert_eq!(unreached.ingress, Expected::Nobody(why));
    }

    #[test]
    fn hosts_are_asked_for_at_the_port_of_this_machine_that_leads_to_them() {
        let mut environment = lab();
        let served = outputs(false, &[("ingress-port.traefik", "80")]);
        let ClusterSpec::Kind(kind) = &mut environment.cluster else { unreachable!("a lab is on kind") };
        kind.ports.clear();
        let unmapped = subject_with(&environment, &served).ingress;
        let Expected::Nobody(why) = unmapped else { unreachable!("{unmapped:?}") };
        assert!(why.contains("no port of this machine leads there"), "{why}");
        let ClusterSpec::Kind(kind) = &mut environment.cluster else { unreachable!("a lab is on kind") };
        kind.ports.push(KindPort {
            host: 8080,
            node: 80,
            listen: "0.0.0.0".to_string(),
            protocol: PortProtocol::Tcp,
        });
        let mapped = subject_with(&environment, &served);
        assert_eq!(mapped.ingress_addresses, ["127.0.0.1:8080"]);
        assert!(matches!(mapped.ingress, Expected::By(_)), "{:?}", mapped.ingress);
    }

    #[test]
    fn the_canary_comes_from_the_mirror_of_its_registry() {
        let mut environment = lab();
        environment.mirrors.insert("registry.k8s.io".to_string(), "mirror.example.com/k8s".to_string());
        let image = subject_of(&environment).image;
        assert!(image.starts_with("mirror.example.com/k8s/e2e-test-images/agnhost:"), "{image}");
    }
}
