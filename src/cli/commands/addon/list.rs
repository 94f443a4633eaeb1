use super::{print, print_json, unknown};
use crate::addons::{Addon as Definition, Catalog, Minor, Rendered, Wanted, Way};
use crate::base::{Fault, Layer, ProviderKind, ResourceId};
use crate::cli::args::{AddonList, Leave, Target};
use crate::cli::exit::{Exit, Failure};
use crate::cli::session::{Asked, Purpose, Session, looking};
use crate::cli::settings::Settings;
use crate::engine::{Look, State, Survey};
use crate::profile::Environment;
use crate::ui::addons::{
    Addon, Addons, Known, KnownAddon, KnownVersion, OnProvider, SCHEMA_VERSION, Want, state_of,
};
use crate::{plan, providers};

/// Every provider, in the order in which they are shown.
const PROVIDERS: [ProviderKind; 5] =
    [ProviderKind::Eks, ProviderKind::Gke, ProviderKind::Kind, ProviderKind::Kwok, ProviderKind::Existing];

/// `berth addon list [ENV]`
pub(super) fn run(arguments: &AddonList, settings: &Settings) -> Result<Exit, Failure> {
    match arguments.of.target() {
        Some(target) => of_environment(&target, arguments, settings),
        None => of_catalog(settings),
    }
}

fn of_catalog(settings: &Settings) -> Result<Exit, Failure> {
    let catalog = Catalog::load(&[]).map_err(Fault::from)?;
    let known = Known { schema: SCHEMA_VERSION, addons: catalog.addons().map(known).collect() };
    if settings.json() {
        print_json(settings, &known)?;
    } else {
        print(settings, &known.text(settings.printer.data_paint))?;
    }
    Ok(Exit::Done)
}

fn known(addon: &Definition) -> KnownAddon {
    let definition = &addon.definition;
    let version = |version: &crate::addons::Version| KnownVersion {
        version: version.version.clone(),
        kubernetes: version.kubernetes.to_string(),
    };
    let on = |provider: ProviderKind| {
        let (way, because) = match definition.providers.on(provider) {
            Way::Objects => ("objects", None),
            Way::Native(because) => ("native", Some(because.clone())),
            Way::Refused(because) => ("refused", Some(because.clone())),
        };
        OnProvider { provider: provider.to_string(), way, because }
    };
    KnownAddon {
        name: definition.name.clone(),
        summary: definition.summary.clone(),
        versions: definition.versions.iter().map(version).collect(),
        providers: PROVIDERS.into_iter().map(on).collect(),
        needs: definition.needs.wanted().into_iter().map(|need| want(need, None)).collect(),
    }
}

/// Looks at the addons of an environment alone: what they live in is asked too, the tenants are not.
fn of_environment(target: &Target, arguments: &AddonList, settings: &Settings) -> Result<Exit, Failure> {
    let scope = looking(&arguments.live);
    let asked = Asked { target, scope: &scope, leave: &Leave::default(), purpose: Purpose::Look };
    let mut session = Session::open(&asked, settings)?;
    let (catalog, rendered) = plan::render_addons(&session.environment, &session.sources)
        .map_err(|fault| Failure::profile(&fault))?;
    session.assembly.graph.keep_only(|id| id.layer() == Layer::Addons);
    let survey = session.look()?;
    let mut standing = session.assembly.hub.standing_versions();
    let platform = providers::platform(&session.environment);
    let mut addons = Vec::new();
    for rendered in rendered {
        let on_cluster = standing.remove(&format!("addon-{}", rendered.name)).unwrap_or_default();
        let (state, detail) = state(&rendered, &survey);
        let mut addon = Addon {
            name: rendered.name.clone(),
            version: Some(rendered.version.clone()),
            standing: on_cluster.into_iter().collect(),
            state,
            detail,
            newer: None,
            needs: Vec::new(),
        };
        if let Ok(known) = catalog.get(&rendered.name) {
            addon.newer = newer(known, &session.environment, &addon);
            let Environment { addons, node_groups, .. } = &session.environment;
            let from = |wanted| catalog.giver(wanted, addons, node_groups, &platform);
            let needs = known.definition.needs.wanted();
            addon.needs = needs.into_iter().map(|need| want(need, from(need.0))).collect();
        }
        addons.push(addon);
    }
    addons.extend(standing.into_iter().filter_map(|(set, versions)| {
        Some(Addon {
            name: set.strip_prefix("addon-")?.to_string(),
            version: None,
            standing: versions.into_iter().collect(),
            state: "left",
            detail: Some("no longer in the profile: `berth up` removes it".to_string()),
            newer: None,
            needs: Vec::new(),
        })
    }));
    if addons.is_empty() {
        settings.printer.talk("no addons in this profile; `berth addon list` shows which there are");
    }
    let broken = addons.iter().any(|addon| addon.state == "broken");
    let addons = Addons { schema: SCHEMA_VERSION, about: session.about.clone(), addons };
    if settings.json() {
        print_json(settings, &addons)?;
    } else if !addons.addons.is_empty() {
        print(settings, &addons.text(settings.printer.data_paint, settings.printer.width))?;
    }
    unknown(&survey).map_err(Failure::answered)?;
    Ok(if broken { Exit::Failed } else { Exit::Done })
}

/// How the addon is, and why: what somebody else brings is said to be so once it works, or where nothing
/// shows whether it does.
fn state(rendered: &Rendered, survey: &Survey) -> (&'static str, Option<String>) {
    let id = ResourceId::new(format!("addon/{}", rendered.name));
    let seen = survey.resources.iter().find(|seen| seen.id == id);
    let works = seen.is_none_or(|seen| seen.look == Look::Seen(State::Ready));
    let left_to_others =
        seen.into_iter().flat_map(|seen| &seen.notes).filter(|note| note.topic == "provided");
    let of_others = left_to_others.map(|note| ("provided", note)).next();
    let of_others = of_others.or_else(|| {
        rendered.notes.iter().find_map(|note| match note.topic.as_str() {
            "provided" if works => Some(("provided", note)),
            "not rehearsed" if rendered.objects.is_empty() => Some(("not rehearsed", note)),
            _ => None,
        })
    });
    if let Some((state, note)) = of_others {
        let prefix = format!("addon {}: ", rendered.name);
        let why = note.text.strip_prefix(&prefix).unwrap_or(&note.text);
        return (state, Some(why.to_string()));
    }
    let (state, why) = state_of(survey, &id);
    let prefix = format!("addon {}: ", rendered.name);
    let partly = || {
        let note = rendered.notes.first()?;
        Some(format!("{}: {}", note.topic, note.text.strip_prefix(&prefix).unwrap_or(&note.text)))
    };
    (state, why.or_else(partly))
}

/// The newest version for the environment's Kubernetes, when another one is meant or stands.
fn newer(known: &Definition, environment: &Environment, addon: &Addon) -> Option<String> {
    let (major, minor) = environment.kubernetes;
    let newest = &known.definition.version_for(Minor(major, minor))?.version;
    let mut others = addon.version.iter().chain(&addon.standing);
    others.any(|version| version != newest).then(|| newest.clone())
}

fn want((wanted, optional): (Wanted, bool), from: Option<String>) -> Want {
    Want { what: wanted.to_string(), optional, from }
}
