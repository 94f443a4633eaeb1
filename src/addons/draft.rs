use serde_json::{Value, json};

use super::catalog::{Addon, Catalog, path};
use super::definition::{Download, Minor, MinorRange, Rehearsal, Version, Way};
use super::error::AddonError;
use super::pools::{Pools, Settled};
use super::rendered::Offered;
use super::rules::evaluate;
use super::template::problem;
use crate::base::{Capability, Network, Platform, ProviderKind};
use crate::profile::{AddonSource, AddonSpec, NEWEST, OLDEST};

/// An addon of a profile as far as it can be told without its manifests.
pub(super) struct Draft<'a> {
    pub(super) addon: &'a Addon,
    pub(super) version: &'a Version,
    pub(super) course: Course<'a>,
    /// What its templates see; nothing where somebody else brings it.
    pub(super) values: Value,
    /// The address pools that wait for their network to be known.
    pub(super) open: Vec<String>,
    /// What nodes with GPUs offer once it works.
    pub(super) offers: Option<Offered>,
    /// What has to be downloaded before it is applied.
    pub(super) downloads: Vec<&'a Download>,
}

/// What is done about an addon on a platform.
pub(super) enum Course<'a> {
    Apply,
    CheckOnly(&'a str),
    LeaveToOthers(&'a str),
}

/// A rehearsal comes first: there, also an addon that the cloud brings has to come from somewhere.
fn course<'a>(addon: &'a Addon, platform: &Platform) -> Course<'a> {
    let definition = &addon.definition;
    if platform.rehearsal {
        match &definition.rehearsal {
            Rehearsal::Provided(because) => return Course::LeaveToOthers(because),
            Rehearsal::NotRehearsed(because) => return Course::CheckOnly(because),
            Rehearsal::Applied => {}
        }
    }
    match definition.providers.on(platform.provider) {
        Way::Native(because) => Course::LeaveToOthers(because),
        _ if platform.native_addons.contains(&definition.name) => {
            Course::LeaveToOthers("the platform brings it")
        }
        _ => Course::Apply,
    }
}

/// The first of several errors.
fn first_of(mut errors: Vec<AddonError>) -> AddonError {
    errors.swap_remove(0)
}

impl Catalog {
    /// What is wrong with what a profile says of the addon of `spec` beside the addons `all` of it, as far as that
    /// can be told without its manifests: options, rules, pools, version, provider. Ranges of addresses that are
    /// wrong are told together.
    pub fn check(&self, spec: &AddonSpec, all: &[AddonSpec], platform: &Platform) -> Vec<AddonError> {
        if spec.source != AddonSource::Catalog {
            return Vec::new();
        }
        let Err(first) = self.draft(spec, all, platform) else { return Vec::new() };
        match self.pools_of(spec, platform.provider) {
            Err(errors) if errors.first() == Some(&first) => errors,
            _ => vec![first],
        }
    }

    /// Whether the profile says in the options of `spec` which addresses are announced.
    pub fn has_ranges(&self, spec: &AddonSpec, provider: ProviderKind) -> bool {
        self.pools_of(spec, provider).is_ok_and(|pools| pools.has_ranges())
    }

    /// What is wrong with these addresses on `network`. That something is wrong with them anywhere is told by
    /// [`check`](Self::check).
    pub fn misplaced_ranges(
        &self,
        spec: &AddonSpec,
        provider: ProviderKind,
        network: &Network,
    ) -> Vec<AddonError> {
        self.pools_of(spec, provider).map(|pools| pools.misplaced(network)).unwrap_or_default()
    }

    fn pools_of(&self, spec: &AddonSpec, provider: ProviderKind) -> Result<Pools, Vec<AddonError>> {
        if spec.source != AddonSource::Catalog {
            return Ok(Pools::default());
        }
        let read = || -> Result<_, AddonError> {
            let (addon, path) = (self.get(&spec.name)?, path(spec));
            let options = addon.definition.options.complete(&path, &spec.options)?;
            Ok((addon, path, options))
        };
        let (addon, path, options) = read().map_err(|error| vec![error])?;
        addon.pools(&path, &options, provider)
    }

    /// The addon of `spec`, one of the catalog, before its manifests are rendered.
    pub(super) fn draft(
        &self,
        spec: &AddonSpec,
        all: &[AddonSpec],
        platform: &Platform,
    ) -> Result<Draft<'_>, AddonError> {
        let addon = self.get(&spec.name)?;
        let provider = platform.provider;
        if let Way::Refused(because) = addon.definition.providers.on(provider) {
            return Err(AddonError::Refused { name: spec.name.clone(), provider, because: because.clone() });
        }
        let path = path(spec);
        let options = addon.definition.options.complete(&path, &spec.options)?;
        let pools = addon.pools(&path, &options, provider).map_err(first_of)?;
        let version = version_for(addon, spec, platform)?;
        let course = course(addon, platform);
        let mut draft = Draft {
            addon,
            version,
            course,
            values: Value::Null,
            open: Vec::new(),
            offers: None,
            downloads: Vec::new(),
        };
        if matches!(draft.course, Course::LeaveToOthers(_)) {
            return Ok(draft);
        }
        let Settled { values: pools, open } = pools.settle(platform.network.as_ref())?;
        draft.open = open;
        draft.values = json!({
            "options": options,
            "pools": pools,
            "images": version.images,
            "version": version.version,
            "platform": self.platform_values(all, platform),
            "values": {},
        });
        self.apply_rules(addon, &mut draft.values, &path)?;
        let downloads = self.downloads(addon, &draft.values)?;
        if matches!(draft.course, Course::Apply) {
            draft.downloads = downloads;
        }
        draft.offers = self.offered(addon, &draft.values)?;
        Ok(draft)
    }

    /// What `addon` has to download where templates see `values`.
    fn downloads<'a>(&self, addon: &'a Addon, values: &Value) -> Result<Vec<&'a Download>, AddonError> {
        let mut wanted = Vec::new();
        for download in &addon.definition.downloads {
            let holds = match &download.when {
                Some(when) => self.templates.holds(when, values).map_err(|problem| {
                    AddonError::file(
                        &definition_place(addon),
                        format!("`when` of the download `{}`: {problem}", download.name),
                    )
                })?,
                None => true,
            };
            if holds {
                wanted.push(download);
            }
        }
        Ok(wanted)
    }

    /// Adds the values that the addon works out to `values`, and refuses what its rules refuse.
    fn apply_rules(&self, addon: &Addon, values: &mut Value, path: &str) -> Result<(), AddonError> {
        let (place, templates) = (definition_place(addon), self.templates.environment());
        for named in &addon.definition.values {
            named.add(templates, values, &place)?;
        }
        addon.definition.rules.iter().try_for_each(|rule| rule.check(templates, values, path, &place))
    }

    fn offered(&self, addon: &Addon, values: &Value) -> Result<Option<Offered>, AddonError> {
        let Some(offer) = &addon.definition.offers else { return Ok(None) };
        let place = definition_place(addon);
        let wrong = |problem: &str| AddonError::file(&place, format!("`offers`: {problem}"));
        let of = |expression: &str| {
            evaluate(self.templates.environment(), expression, values)
                .map_err(|error| wrong(&problem(&error)))
        };
        let (resource, times) = (of(&offer.resource)?, of(&offer.times)?);
        let times = times.as_i64().and_then(|times| u32::try_from(times).ok());
        let times = times.ok_or_else(|| wrong("`times` is no whole number"))?;
        Ok(Some(Offered { resource: resource.to_string(), times }))
    }

    /// What templates see of the platform.
    fn platform_values(&self, all: &[AddonSpec], platform: &Platform) -> Value {
        let load_balancer = match platform.load_balancer {
            Capability::Native => true,
            Capability::ByAddon | Capability::Unknown => all.iter().any(|spec| self.gives_addresses(spec)),
            Capability::Absent => false,
        };
        json!({
            "provider": platform.provider,
            "cluster": platform.cluster,
            "region": platform.region,
            "kubernetes": minor(platform).to_string(),
            "loadBalancer": load_balancer,
            "portsMapped": platform.ports_mapped,
        })
    }
}

/// The file that says what an addon is, for messages.
pub(super) fn definition_place(addon: &Addon) -> String {
    format!("{}/addon.yaml", addon.folder)
}

/// The version that the profile asks for, or the newest, among those for the platform's Kubernetes. Where that
/// is only assumed, every version may be the one for it.
fn version_for<'a>(
    addon: &'a Addon,
    spec: &AddonSpec,
    platform: &Platform,
) -> Result<&'a Version, AddonError> {
    let (definition, minor) = (&addon.definition, minor(platform));
    let fitting = || {
        let fits = |version: &&Version| platform.kubernetes_assumed || version.kubernetes.holds(minor);
        definition.versions.iter().filter(fits)
    };
    let newest = definition.version_for(minor).or_else(|| fitting().next());
    let newest = newest.ok_or_else(|| AddonError::Kubernetes {
        name: definition.name.clone(),
        minor: minor.to_string(),
        newest: definition.versions.first().map(|version| version.kubernetes),
    })?;
    let Some(asked) = &spec.version else { return Ok(newest) };
    fitting().find(|version| version.version == *asked).ok_or_else(|| {
        let known = definition.versions.iter().find(|version| version.version == *asked);
        AddonError::Version {
            name: definition.name.clone(),
            asked: asked.clone(),
            made_for: known.map(|version| version.kubernetes),
            minor: if platform.kubernetes_assumed {
                MinorRange { from: Minor(OLDEST.0, OLDEST.1), to: Minor(NEWEST.0, NEWEST.1) }.to_string()
            } else {
                minor.to_string()
            },
            fitting: fitting().map(|version| version.version.clone()).collect(),
        }
    })
}

fn minor(platform: &Platform) -> Minor {
    Minor(platform.kubernetes.0, platform.kubernetes.1)
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;
    use crate::base::ProviderKind;

    /// A platform with load balancers and nothing else.
    pub(in crate::addons) fn platform(provider: ProviderKind) -> Platform {
        Platform {
            provider,
            cluster: "dev".to_string(),
            region: None,
            kubernetes: (1, 36),
            kubernetes_assumed: false,
            rehearsal: false,
            load_balancer: Capability::Native,
            ports_mapped: false,
            dns_addresses: Vec::new(),
            native_addons: Vec::new(),
            network: None,
        }
    }

    fn check(name: &str, options: Value, platform: &Platform) -> Result<(), AddonError> {
        let spec = AddonSpec::of_catalog(name, options);
        let catalog = Catalog::load(&[]).expect("the shipped addons");
        refusal(&catalog, &spec, platform)
    }

    fn refusal(catalog: &Catalog, spec: &AddonSpec, platform: &Platform) -> Result<(), AddonError> {
        catalog.check(spec, std::slice::from_ref(spec), platform).into_iter().next().map_or(Ok(()), Err)
    }

    #[test]
    fn a_refusal_names_the_place_in_the_profile_and_what_to_do() {
        let refused = |name: &str, options: Value, provider| {
            let error = check(name, options, &platform(provider)).expect_err("refused");
            (error.to_string(), error.path(), error.hint())
        };
        let some = |text: &str| Some(text.to_string());
        assert_eq!(
            refused("traefk", json!({}), ProviderKind::Kind),
            (
                "`addons.traefk`: no such addon".to_string(),
                some("addons.traefk"),
                some("did you mean `traefik`?")
            )
        );
        assert_eq!(
            refused("traefik", json!({"replica": 2}), ProviderKind::Kind),
            (
                "`addons.traefik.replica`: no such option".to_string(),
                some("addons.traefik.replica"),
                some("did you mean `replicas`?")
            )
        );
        let (message, path, _) = refused("metallb", json!({}), ProviderKind::Gke);
        assert_eq!(
            message,
            "`addons.metallb`: not on gke: GKE gives load balancers their addresses itself and MetalLB cannot \
             announce any there"
        );
        assert_eq!(path, some("addons.metallb"));
    }

    #[test]
    fn a_version_is_not_refused_for_a_kubernetes_that_is_only_assumed() {
        let known = platform(ProviderKind::Existing);
        let assumed = Platform { kubernetes_assumed: true, ..known.clone() };
        let check = |version: &str, platform: &Platform| {
            let mut spec = AddonSpec::of_catalog("metrics-server", json!({}));
            spec.version = Some(version.to_string());
            let catalog = Catalog::load(&[]).expect("the shipped addons");
            refusal(&catalog, &spec, platform)
        };
        // 0.9.0 is for 1.34 and later.
        assert!(check("0.9.0", &Platform { kubernetes: (1, 33), ..known }).is_err(), "1.33 was said");
        assert_eq!(check("0.9.0", &Platform { kubernetes: (1, 33), ..assumed.clone() }), Ok(()));
        let hint = check("0.8.2", &assumed).expect_err("nobody knows it").hint();
        assert_eq!(hint.as_deref(), Some("for Kubernetes 1.33 to 1.37 there are: 0.9.0, 0.8.1"));
    }

    #[test]
    fn what_only_manifests_can_tell_is_not_asked() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let addon = folder.path().join("broken");
        fs::create_dir_all(addon.join("manifests")).expect("made");
        fs::write(addon.join("manifests/10.yaml"), "{{ nothing").expect("written");
        let definition = "{apiVersion: berth.dev/v1alpha1, kind: Addon, name: broken, summary: breaks,
            versions: [{version: 1.0.0, kubernetes: {from: '1.33', to: '1.37'}, images: {}}],
            options: {type: object, additionalProperties: false},
            providers: {eks: objects, gke: objects, kind: objects, kwok: objects, existing: objects},
            rehearsal: applied}";
        fs::write(addon.join("addon.yaml"), definition).expect("written");
        let catalog = Catalog::load(&[folder.path().to_path_buf()]).expect("loaded");
        let (spec, platform) = (AddonSpec::of_catalog("broken", json!({})), platform(ProviderKind::Kind));
        assert_eq!(catalog.check(&spec, std::slice::from_ref(&spec), &platform), []);
        assert!(catalog.render(&spec, std::slice::from_ref(&spec), &platform).is_err());
    }

    #[test]
    fn a_cluster_too_new_for_every_version_is_refused() {
        let platform = Platform { kubernetes: (1, 38), ..platform(ProviderKind::Kind) };
        let error = check("traefik", json!({}), &platform).expect_err("too new");
        assert_eq!(error.to_string(), "`addons.traefik`: no version of it for Kubernetes 1.38");
        assert_eq!(error.hint().as_deref(), Some("its newest version is made for Kubernetes 1.33 to 1.37"));
    }
}
