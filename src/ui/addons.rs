//! What `addon list` and `addon images` show.

use serde::Serialize;

use super::plan::title;
use super::words::{item, list, tame};
use super::{Paint, Table};
use crate::base::ResourceId;
use crate::engine::{Look, State, Survey};
use crate::plan::{About, hindrance, state_words};

/// The version of the JSON of both commands; it grows when a field changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;

/// What stands in a cell that has nothing to say.
const NOTHING: &str = "-";

/// Every addon that a profile can name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Known {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// Sorted by name.
    pub addons: Vec<KnownAddon>,
}

/// One addon of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownAddon {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub summary: String,
    /// Newest first.
    pub versions: Vec<KnownVersion>,
    /// What each provider does with it.
    pub providers: Vec<OnProvider>,
    /// What it wants of an environment.
    pub needs: Vec<Want>,
}

/// One version of an addon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownVersion {
    /// `3.7.11`.
    pub version: String,
    /// The Kubernetes minors that it is made for: `1.33 to 1.37`.
    pub kubernetes: String,
}

/// What a provider does with an addon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OnProvider {
    /// `eks`.
    pub provider: String,
    /// `objects`, `native` or `refused`.
    pub way: &'static str,
    /// How the provider brings it, or why it cannot be had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// Something that an addon wants of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Want {
    /// `load balancer`.
    pub what: String,
    /// Whether the addon does something without it.
    pub optional: bool,
    /// Who gives it in this environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

impl Known {
    /// The catalog as a table.
    pub fn text(&self, paint: Paint) -> String {
        let mut table = Table::titled(&["ADDON", "VERSION", "KUBERNETES", "PROVIDERS", "NEEDS", "SUMMARY"]);
        for addon in &self.addons {
            let newest = addon.versions.first();
            let on = addon.providers.iter().filter(|on| on.way != "refused");
            let providers: Vec<&str> = on.map(|on| on.provider.as_str()).collect();
            let needs: Vec<String> = addon.needs.iter().map(Want::asked).collect();
            table.row([
                addon.name.clone(),
                newest.map(|newest| newest.version.clone()).unwrap_or_default(),
                newest.map(|newest| newest.kubernetes.clone()).unwrap_or_default(),
                providers.join(" "),
                if needs.is_empty() { NOTHING.to_string() } else { needs.join(", ") },
                tame(&addon.summary),
            ]);
        }
        table.lines(|row, _, cell| if row == 0 { paint.faint(&cell) } else { cell }).join("\n")
    }
}

impl Want {
    /// `load balancer, optional`: what is wanted of any environment.
    fn asked(&self) -> String {
        if self.optional { format!("{} (optional)", self.what) } else { self.what.clone() }
    }

    /// `load balancer from metallb`, `no load balancer (optional)`: who gives it in this one.
    fn answered(&self) -> String {
        match &self.from {
            Some(from) => format!("{} from {from}", self.what),
            None => format!("no {}", self.asked()),
        }
    }
}

/// The addons of one environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Addons {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// Which environment.
    pub about: About,
    /// In the order of the profile, then those that left it and stand.
    pub addons: Vec<Addon>,
}

/// One addon of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Addon {
    /// Its name.
    pub name: String,
    /// The version that the profile means; none when it is no longer in the profile.
    pub version: Option<String>,
    /// The versions that its live workloads say they run.
    pub standing: Vec<String>,
    /// `ready`, `differs`, `progressing`, `broken`, `absent`, `unknown`, `provided`, `not rehearsed`, `left`.
    pub state: &'static str,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The newest version for this Kubernetes, when another one is meant or stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newer: Option<String>,
    /// What it wants, and who gives it.
    pub needs: Vec<Want>,
}

/// The state of the addon `id` as `survey` found it, and why it is so.
pub fn state_of(survey: &Survey, id: &ResourceId) -> (&'static str, Option<String>) {
    let Some(seen) = survey.resources.iter().find(|seen| seen.id == *id) else { return ("absent", None) };
    match (&seen.look, seen.changes.len()) {
        (Look::After(_), _) => ("absent", None),
        (Look::Behind(other), _) => ("unknown", Some(hindrance(survey, other))),
        (Look::Seen(State::Ready), changes) if changes > 0 => {
            ("differs", Some(format!("{} to make", super::words::count(changes, "change"))))
        }
        (look, _) => state_words(look),
    }
}

impl Addons {
    /// The addons as a table of at most `columns` columns, with the details below it.
    pub fn text(&self, paint: Paint, columns: usize) -> String {
        let mut table = Table::titled(&["ADDON", "VERSION", "STANDS", "NEWER", "STATE", "NEEDS"]);
        let or_nothing = |text: String| if text.is_empty() { NOTHING.to_string() } else { tame(&text) };
        for addon in &self.addons {
            let needs: Vec<String> = addon.needs.iter().map(Want::answered).collect();
            table.row([
                addon.name.clone(),
                or_nothing(addon.version.clone().unwrap_or_default()),
                or_nothing(list(&addon.standing)),
                or_nothing(addon.newer.clone().unwrap_or_default()),
                addon.state.to_string(),
                or_nothing(needs.join(", ")),
            ]);
        }
        let mut lines = vec![paint.strong(&title(&self.about))];
        lines.extend(table.lines(|row, column, text| match (row, column) {
            (0, _) => paint.faint(&text),
            (_, 4) => match text.trim_end() {
                "ready" | "provided" => paint.good(&text),
                "broken" | "unknown" => paint.bad(&text),
                _ => paint.notice(&text),
            },
            _ => text,
        }));
        let details = self.addons.iter().filter_map(|addon| Some((addon, addon.detail.as_ref()?)));
        let details: Vec<String> = details
            .map(|(addon, detail)| item(&format!("{}: {}", addon.name, tame(detail)), columns))
            .collect();
        let text = lines.join("\n") + "\n";
        if details.is_empty() { text } else { format!("{text}\n{}", details.concat()) }
    }
}

/// The images of an environment, or of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Images {
    /// [`SCHEMA_VERSION`].
    pub schema: u32,
    /// The environment's name; none for the catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Sorted.
    pub images: Vec<Image>,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Its reference in full, as it is pulled.
    pub image: String,
    /// Its reference in full where it comes from.
    pub original: String,
    /// `sha256:…`; none when it is not known.
    pub digest: Option<String>,
    /// Whether it is pulled from a mirror.
    pub mirrored: bool,
    /// Whether there are mirrors and none is for it: `up` refuses.
    pub missed: bool,
    /// Who names it.
    pub used_by: Vec<User>,
}

/// An addon that uses an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Its name.
    pub addon: String,
    /// Its version.
    pub version: String,
    /// The kinds of the objects that name the image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// These objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
}

impl Images {
    /// One line for each, the reference first; no titles, since programs read it.
    pub fn text(&self, paint: Paint) -> String {
        let mut table = Table::new();
        for image in &self.images {
            let users: Vec<String> = image.used_by.iter().map(User::words).collect();
            let origin = match image {
                Image { missed: true, .. } => "no mirror is for it".to_string(),
                Image { mirrored: true, original, .. } => format!("mirror of {original}"),
                Image { .. } => String::new(),
            };
            let digest = if image.digest.is_some() { "digest" } else { "no digest" };
            table.row([tame(&image.image), digest.to_string(), users.join(", "), tame(&origin)]);
        }
        let lines = table.lines(|_, column, cell| match column {
            0 => cell,
            3 if cell.starts_with("no mirror") => paint.bad(&cell),
            _ => paint.faint(&cell),
        });
        lines.join("\n")
    }
}

impl User {
    fn words(&self) -> String {
        let kinds = if self.kinds.is_empty() { String::new() } else { format!(" ({})", list(&self.kinds)) };
        format!("{} {}{kinds}", self.addon, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Change, ChangeKind};
    use crate::plan::samples::{about, observed, survey};

    fn addon(name: &str, state: &'static str) -> Addon {
        Addon {
            name: name.to_string(),
            version: Some("3.7.11".to_string()),
            standing: Vec::new(),
            state,
            detail: None,
            newer: None,
            needs: Vec::new(),
        }
    }

    #[test]
    fn every_cell_has_something_and_details_come_below() {
        let needs = vec![Want { what: "load balancer".to_string(), optional: true, from: None }];
        let addons = vec![
            Addon { standing: vec!["3.6.0".to_string()], needs, ..addon("traefik", "differs") },
            Addon { detail: Some("no network".to_string()), ..addon("metallb", "not rehearsed") },
        ];
        let text = Addons { schema: 1, about: about(), addons }.text(Paint::PLAIN, 80);
        let expected = "\
lab-rehearsal (kind, rehearsed)
ADDON    VERSION  STANDS  NEWER  STATE          NEEDS
traefik  3.7.11   3.6.0   -      differs        no load balancer (optional)
metallb  3.7.11   -       -      not rehearsed  -

  metallb: no network
";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_reference_of_an_image_is_the_first_word_of_its_line() {
        let image = Image {
            image: "r.example.com/hub/library/traefik:v3".to_string(),
            original: "docker.io/library/traefik:v3".to_string(),
            digest: None,
            mirrored: true,
            missed: false,
            used_by: vec![User {
                addon: "traefik".to_string(),
                version: "3".to_string(),
                kinds: vec!["Deployment".to_string()],
                objects: Vec::new(),
            }],
        };
        let images = Images { schema: 1, environment: None, images: vec![image] };
        assert_eq!(
            images.text(Paint::PLAIN),
            "r.example.com/hub/library/traefik:v3  no digest  traefik 3 (Deployment)  \
             mirror of docker.io/library/traefik:v3"
        );
    }

    #[test]
    fn what_stands_with_changes_to_make_differs() {
        let of = |look, changes: usize| {
            let changes = vec![Change::new(ChangeKind::Create, "Service n/web"); changes];
            let world = survey(vec![observed("addon/web", look, changes)]);
            state_of(&world, &ResourceId::new("addon/web"))
        };
        assert_eq!(of(Look::Seen(State::Ready), 0), ("ready", None));
        assert_eq!(of(Look::Seen(State::Ready), 1).0, "differs");
        assert_eq!(of(Look::Seen(State::Absent), 7).0, "absent");
        assert_eq!(state_of(&survey(Vec::new()), &ResourceId::new("addon/web")).0, "absent");
    }
}
