use std::collections::BTreeMap;

use serde_json::Value;

use super::catalog::{Addon, Catalog, path};
use super::draft::{Course, Draft, definition_place};
use super::error::AddonError;
use super::images::Image;
use super::rendered::Rendered;
use super::source::{SourceObjects, downloaded, missing_namespace, of_source};
use crate::base::{Note, Platform, ProviderKind};
use crate::k8s::{Kinds, Object};
use crate::profile::{AddonSpec, Reach};

impl Catalog {
    /// What the addons of a profile come to on `platform`, in the order of the profile.
    pub fn render_all(&self, specs: &[AddonSpec], platform: &Platform) -> Result<Vec<Rendered>, AddonError> {
        let rendered: Vec<Rendered> =
            specs.iter().map(|spec| self.render(spec, specs, platform)).collect::<Result<_, _>>()?;
        check_brought_once(&rendered)?;
        Ok(rendered)
    }

    /// What the addon of `spec` comes to on `platform`, beside the addons `all` of the same profile.
    pub fn render(
        &self,
        spec: &AddonSpec,
        all: &[AddonSpec],
        platform: &Platform,
    ) -> Result<Rendered, AddonError> {
        if let Some(reach) = spec.source.reach() {
            return self.render_source(spec, reach, all, platform);
        }
        let Draft { addon, version, course, values, open, offers, .. } = self.draft(spec, all, platform)?;
        let mut rendered = Rendered {
            name: spec.name.clone(),
            version: version.version.clone(),
            provides: addon.definition.provides.clone(),
            yields_to: addon.definition.yields_to.clone(),
            ..Rendered::default()
        };
        match course {
            Course::Apply if addon.manifests.is_empty() => {
                return Err(AddonError::NoManifests { name: spec.name.clone(), provider: platform.provider });
            }
            Course::Apply => {
                let objects = self.objects(addon, &values)?;
                (rendered.objects, rendered.images) = self.mirrored(addon, objects)?;
                rendered.offers = offers;
                rendered.leave_out(&open, platform.rehearsal);
                rendered.open = open;
                // A rehearsal has no such network.
                rendered.follows_network = addon.definition.address_pools.is_some()
                    && platform.provider == ProviderKind::Kind
                    && !platform.rehearsal;
            }
            Course::CheckOnly(because) => {
                // Rendered all the same: what cannot be rendered is not worth rehearsing.
                let objects = self.objects(addon, &values)?;
                (_, rendered.images) = self.mirrored(addon, objects)?;
                rendered.notes.push(Note::new("not rehearsed", format!("addon {}: {because}", spec.name)));
            }
            Course::LeaveToOthers(because) => {
                rendered.provided.clone_from(&addon.definition.answers);
                rendered.notes.push(Note::new("provided", format!("addon {}: {because}", spec.name)));
            }
        }
        Ok(rendered)
    }

    /// An addon from elsewhere, as far as it was fetched.
    fn render_source(
        &self,
        spec: &AddonSpec,
        reach: &Reach,
        all: &[AddonSpec],
        platform: &Platform,
    ) -> Result<Rendered, AddonError> {
        let mut rendered = Rendered { name: spec.name.clone(), absent: true, ..Rendered::default() };
        let Some(fetched) = self.sources.of(&spec.name) else { return Ok(rendered) };
        let mut kinds = Kinds::default();
        self.sources.documents().for_each(|document| kinds.learn(&document.body));
        let SourceObjects { mut objects, notes } = of_source(spec, fetched, reach, &kinds)?;
        objects.splice(0..0, missing_namespace(&objects, spec, reach, all));
        let images = self.mirrors().settle(&mut objects, spec.source.image_fields());
        let at = format!("{}.imageFields", path(spec));
        rendered.images = images.map_err(|problem| AddonError::option(&at, problem, None))?;
        rendered.version.clone_from(&fetched.version);
        rendered.notes = notes;
        rendered.absent = false;
        rendered.objects = objects;
        rendered.leave_out(&[], platform.rehearsal);
        Ok(rendered)
    }

    /// The objects of `addon` with their images pointed to where they are pulled from, and these images.
    fn mirrored(
        &self,
        addon: &Addon,
        mut objects: Vec<Object>,
    ) -> Result<(Vec<Object>, Vec<Image>), AddonError> {
        let images = self.mirrors().settle(&mut objects, &addon.definition.image_fields);
        let wrong = |problem: String| AddonError::file(&definition_place(addon), problem);
        Ok((objects, images.map_err(wrong)?))
    }

    fn objects(&self, addon: &Addon, values: &Value) -> Result<Vec<Object>, AddonError> {
        let downloaded = self.sources.of(&addon.definition.name).map(downloaded).unwrap_or_default();
        let mut documents: Vec<(&str, Value)> =
            downloaded.iter().map(|document| (document.place.as_str(), document.body.clone())).collect();
        for manifest in &addon.manifests {
            let rendered = self.templates.documents(manifest, values)?;
            documents.extend(rendered.into_iter().map(|document| (manifest.place.as_str(), document)));
        }
        let mut kinds = Kinds::default();
        for (_, document) in &documents {
            kinds.learn(document);
        }
        let object = |(place, document)| {
            Object::of(document, &kinds).map_err(|error| AddonError::file(place, error.to_string()))
        };
        documents.into_iter().map(object).collect()
    }
}

/// Refuses an object that two addons bring: each would take it from the other, for ever.
fn check_brought_once(addons: &[Rendered]) -> Result<(), AddonError> {
    let mut brought: BTreeMap<(&str, String), &str> = BTreeMap::new();
    for addon in addons {
        for object in &addon.objects {
            let title = object.title();
            if let Some(other) = brought.insert((&object.kind.group, title.clone()), &addon.name) {
                let (problem, hint) = if other == addon.name {
                    (
                        format!("brings {title} twice"),
                        "let it bring only one of the two, by what is set in it",
                    )
                } else {
                    (
                        format!("brings {title}, and so does `addons.{other}`"),
                        "let only one of them bring it: by another `namespace`, or by what is set in them",
                    )
                };
                return Err(AddonError::source(&addon.name, problem, hint));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::catalog::Manifest;
    use super::super::draft::tests::platform;
    use super::*;
    use crate::base::{Capability, Network, Subnet};

    fn spec(name: &str, options: Value) -> AddonSpec {
        AddonSpec::of_catalog(name, options)
    }

    fn catalog() -> Catalog {
        Catalog::load(&[]).expect("the shipped addons")
    }

    fn render(specs: &[AddonSpec], platform: &Platform) -> Rendered {
        catalog().render(&specs[0], specs, platform).expect("rendered")
    }

    fn find<'a>(rendered: &'a Rendered, kind: &str) -> &'a Value {
        &rendered.objects.iter().find(|object| object.kind.kind == kind).expect("there").body
    }

    #[test]
    fn traefik_is_seven_objects() {
        let rendered = render(&[spec("traefik", json!({}))], &platform(ProviderKind::Gke));
        let titles: Vec<String> = rendered.objects.iter().map(Object::title).collect();
        assert_eq!(
            titles,
            [
                "Namespace traefik",
                "ServiceAccount traefik/traefik",
                "ClusterRole traefik",
                "ClusterRoleBinding traefik",
                "IngressClass traefik",
                "Service traefik/traefik",
                "Deployment traefik/traefik",
            ]
        );
        assert_eq!(rendered.version, "3.7.11");
        assert_eq!(rendered.notes, []);
    }

    #[test]
    fn options_reach_the_objects_and_the_rest_has_defaults() {
        let platform = platform(ProviderKind::Gke);
        let plain = render(&[spec("traefik", json!({}))], &platform);
        assert_eq!(find(&plain, "Deployment")["spec"]["replicas"], 1);
        let set = json!({"replicas": 3, "logLevel": "DEBUG", "defaultClass": false});
        let set = render(&[spec("traefik", set)], &platform);
        assert_eq!(find(&set, "Deployment")["spec"]["replicas"], 3);
        let args = find(&set, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
        assert!(args.contains("\"--log.level=DEBUG\""), "{args}");
        assert!(find(&plain, "IngressClass")["metadata"].get("annotations").is_some());
        assert!(find(&set, "IngressClass")["metadata"].get("annotations").is_none());
    }

    #[test]
    fn the_service_is_a_load_balancer_only_where_something_gives_it_an_address() {
        let service_type = |specs: &[AddonSpec], load_balancer| {
            let platform = Platform { load_balancer, ..platform(ProviderKind::Kind) };
            find(&render(specs, &platform), "Service")["spec"]["type"].clone()
        };
        let alone = [spec("traefik", json!({}))];
        let with_metallb = [spec("traefik", json!({})), spec("metallb", json!({}))];
        assert_eq!(service_type(&alone, Capability::Native), "LoadBalancer");
        assert_eq!(service_type(&alone, Capability::ByAddon), "ClusterIP");
        assert_eq!(service_type(&with_metallb, Capability::ByAddon), "LoadBalancer");
        assert_eq!(service_type(&with_metallb, Capability::Unknown), "LoadBalancer");
        assert_eq!(service_type(&with_metallb, Capability::Absent), "ClusterIP");
        let mapped = Platform {
            ports_mapped: true,
            load_balancer: Capability::ByAddon,
            ..platform(ProviderKind::Kind)
        };
        let both = render(&with_metallb, &mapped);
        assert_eq!(find(&both, "Service")["spec"]["type"], "LoadBalancer");
        let ports = &find(&both, "DaemonSet")["spec"]["template"]["spec"]["containers"][0]["ports"];
        assert!(ports.to_string().contains("\"hostPort\":80"), "{ports}");
        let asked = [spec("traefik", json!({"service": {"type": "ClusterIP"}}))];
        assert_eq!(service_type(&asked, Capability::Native), "ClusterIP");
    }

    #[test]
    fn what_a_rehearsal_brings_or_cannot_have_is_noted_and_not_applied() {
        for (provider, name, topic) in [
            (ProviderKind::Gke, "metrics-server", "provided"),
            (ProviderKind::Eks, "nvidia-device-plugin", "not rehearsed"),
        ] {
            let platform = Platform { rehearsal: true, ..platform(provider) };
            let rendered = render(&[spec(name, json!({}))], &platform);
            assert_eq!(rendered.objects, [], "{name}");
            let [note] = rendered.notes.as_slice() else { unreachable!("{name}: {:?}", rendered.notes) };
            assert_eq!(note.topic, topic);
            assert!(note.text.starts_with(&format!("addon {name}: ")), "{}", note.text);
        }
    }

    #[test]
    fn a_rehearsal_leaves_out_what_a_webhook_guards_and_says_so_in_one_note() {
        let platform = Platform { rehearsal: true, ..platform(ProviderKind::Kind) };
        let given = render(&[spec("metallb", json!({"addresses": "192.0.2.240/28"}))], &platform);
        let left_out = "addon metallb: ValidatingWebhookConfiguration metallb-webhook-configuration";
        let pools = "IPAddressPool metallb-system/default, L2Advertisement metallb-system/default";
        assert_eq!(given.notes, [Note::new("not rehearsed", format!("{left_out}, {pools}"))]);
        let auto = render(&[spec("metallb", json!({}))], &platform);
        let open = "pool `default` (its addresses are chosen from the docker network once it is there)";
        assert_eq!(auto.notes, [Note::new("not rehearsed", format!("{left_out}, {open}"))]);
        let kinds = |rendered: &Rendered| -> Vec<String> {
            rendered.objects.iter().map(|object| object.kind.kind.clone()).collect()
        };
        assert_eq!(kinds(&given), kinds(&auto));
        assert!(kinds(&auto).contains(&"DaemonSet".to_string()));
        assert!(!kinds(&auto).iter().any(|kind| kind.contains("Webhook") || kind.contains("Pool")));
    }

    #[test]
    fn a_pool_of_auto_is_left_open_until_its_network_is_known() {
        let platform = platform(ProviderKind::Kind);
        let auto = [spec("metallb", json!({}))];
        let open = render(&auto, &platform);
        let text = "addon metallb: pool `default` (its addresses are chosen from the docker network once it is there)";
        assert_eq!(open.notes, [Note::new("left open", text)]);
        assert!(!open.objects.iter().any(|object| object.kind.kind == "IPAddressPool"));
        let network = Network {
            title: "docker network `kind`".to_string(),
            subnets: vec![Subnet { range: "172.18.0.0/16".parse().expect("a range"), gateway: None }],
            used: Vec::new(),
            taken: Vec::new(),
            own: Vec::new(),
            seed: "7f3k2q9d".to_string(),
            rivals: Vec::new(),
            reachable: true,
        };
        let known = render(&auto, &Platform { network: Some(network), ..platform });
        assert_eq!(known.notes, []);
        let addresses = &find(&known, "IPAddressPool")["spec"]["addresses"];
        assert_eq!(addresses.as_array().map(Vec::len), Some(1), "{addresses}");
    }

    #[test]
    fn metrics_server_trusts_self_signed_kubelets_on_kind_only() {
        for (provider, trusts) in [(ProviderKind::Kind, true), (ProviderKind::Existing, false)] {
            let rendered = render(&[spec("metrics-server", json!({}))], &platform(provider));
            assert_eq!(rendered.objects.len(), 9);
            let args =
                find(&rendered, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"].clone();
            let args = args.as_array().expect("a list");
            assert_eq!(args.contains(&json!("--kubelet-insecure-tls")), trusts, "{provider}");
        }
    }

    #[test]
    fn an_older_cluster_gets_an_older_metrics_server() {
        let version = |minor| {
            let platform = Platform { kubernetes: (1, minor), ..platform(ProviderKind::Kind) };
            render(&[spec("metrics-server", json!({}))], &platform).version
        };
        assert_eq!((version(33), version(34)), ("0.8.1".to_string(), "0.9.0".to_string()));
    }

    #[test]
    fn each_version_of_metrics_server_can_be_asked_for_so_that_one_can_be_upgraded() {
        for minor in 34..=37 {
            let platform = Platform { kubernetes: (1, minor), ..platform(ProviderKind::Kind) };
            let mut older = spec("metrics-server", json!({}));
            older.version = Some("0.8.1".to_string());
            let image = |spec: AddonSpec| {
                let rendered = render(&[spec], &platform);
                let deployment = find(&rendered, "Deployment");
                deployment["spec"]["template"]["spec"]["containers"][0]["image"].to_string()
            };
            assert!(image(older).contains(":v0.8.1"), "1.{minor}");
            assert!(image(spec("metrics-server", json!({}))).contains(":v0.9.0"), "1.{minor}");
        }
    }

    #[test]
    fn what_the_platform_brings_is_left_to_it() {
        let native_addons = vec!["traefik".to_string()];
        let platform = Platform { native_addons, ..platform(ProviderKind::Existing) };
        let rendered = render(&[spec("traefik", json!({}))], &platform);
        assert_eq!((rendered.objects, rendered.notes.len()), (Vec::new(), 1));
    }

    #[test]
    fn what_the_build_renders_is_what_the_templates_say() {
        let catalog = catalog();
        let mut constants = Vec::new();
        for manifest in catalog.addons().flat_map(|addon| &addon.manifests) {
            let Some(constant) = manifest.constant else { continue };
            let template = Manifest { constant: None, ..manifest.clone() };
            let documents = catalog.templates.documents(&template, &json!({})).expect("it needs no values");
            // As text: also the order of the fields is the same.
            let rendered = serde_json::to_string(&documents).expect("plain values");
            assert_eq!(rendered, constant, "{}", manifest.place);
            constants.push(manifest.place.as_str());
        }
        assert!(constants.contains(&"addons/metallb/manifests/11-bgp-definitions.yaml"), "{constants:?}");
        assert!(!constants.contains(&"addons/metallb/manifests/70-pools.yaml"), "{constants:?}");
    }

    #[test]
    fn every_shipped_addon_renders_or_says_why_not_on_every_provider_and_minor() {
        let catalog = catalog();
        for name in super::super::shipped_names() {
            let addresses = json!({"addresses": "192.0.2.240/28"});
            let spec = spec(&name, if name == "metallb" { addresses } else { json!({}) });
            for provider in [
                ProviderKind::Eks,
                ProviderKind::Gke,
                ProviderKind::Kind,
                ProviderKind::Kwok,
                ProviderKind::Existing,
            ] {
                for minor in 33..=37 {
                    let platform = Platform { kubernetes: (1, minor), ..platform(provider) };
                    let rendered = catalog.render(&spec, std::slice::from_ref(&spec), &platform);
                    let fine = match &rendered {
                        Ok(rendered) => rendered.objects.is_empty() != rendered.notes.is_empty(),
                        Err(error) => {
                            matches!(error, AddonError::Refused { .. } | AddonError::NoManifests { .. })
                        }
                    };
                    assert!(fine, "{name} on {provider} 1.{minor}: {rendered:?}");
                }
            }
        }
    }
}
