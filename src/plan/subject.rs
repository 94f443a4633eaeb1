use crate::addons::{Ability, Catalog, Mirrors, Rendered, Sources, Wanted};
use crate::base::{Capability, Fault, Platform, ProviderKind};
use crate::engine::Outputs;
use crate::profile::{Environment, NodeGroup};
use crate::providers;
use crate::verify::{Expected, Group, IMAGE, Subject};

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
    let ingress = outputs.texts().filter_map(|(key, address)| key.starts_with("ingress.").then_some(address));
    Ok(Subject {
        simulated: environment.rehearsal || platform.provider == ProviderKind::Kwok,
        groups: environment.node_groups.iter().map(|group| promised(environment, group)).collect(),
        load_balancer: load_balancer(environment, &catalog, &platform),
        ingress: ingress_of(&addons, &platform),
        ingress_addresses: ingress.map(str::to_string).collect(),
        metrics: metrics(&addons, &platform),
        image: image.map_or_else(|| canary_image(environment), str::to_string),
    })
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
    use crate::profile::{LoadOptions, find, load};

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

    #[test]
    fn the_canary_comes_from_the_mirror_of_its_registry() {
        let mut environment = lab();
        environment.mirrors.insert("registry.k8s.io".to_string(), "mirror.example.com/k8s".to_string());
        let image = subject_of(&environment).image;
        assert!(image.starts_with("mirror.example.com/k8s/e2e-test-images/agnhost:"), "{image}");
    }
}
