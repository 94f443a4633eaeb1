//! Charts and manifests from elsewhere: where they are, what proves them, where they may write.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Check;
use super::names::check_label;
use crate::base::Checksum;
use crate::profile::decode::decode;
use crate::profile::files::Problem;
use crate::profile::schema::{ChartFile, ManifestsFile};
use crate::profile::tree::{Step, shorten};
use crate::profile::{
    AddonSource, AddonSpec, ChartPlace, ChartSpec, ManifestsPlace, ManifestsSpec, Reach, Tenant,
};

/// The keys that say where an addon is from which is not in the catalog.
pub(super) const KEYS: [&str; 2] = ["chart", "manifests"];

/// helm takes no longer name for a release.
const LONGEST_NAME: usize = 53;
/// Kubernetes takes no longer name for a namespace.
const LONGEST_NAMESPACE: usize = 63;
/// Programs on this machine, which nobody in between can listen to.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// The addon `name` with a chart or manifests; `None` when something is wrong. `fields` becomes what was
/// understood.
pub(super) fn source(
    check: &mut Check<'_>,
    name: &str,
    fields: &mut Map<String, Value>,
    home: &Path,
) -> Option<AddonSpec> {
    let before = check.problems.len();
    let at = [Step::Key("addons"), Step::Key(name)];
    let place = check.key_place(&at[..1], name);
    check_label(check, place, "the addon", name, LONGEST_NAME);
    let is_chart = fields.contains_key("chart");
    let kind = if is_chart { "chart" } else { "manifests" };
    for key in fields.keys().filter(|key| *key != kind) {
        let place = check.key_place(&at, key);
        let help = match key.as_str() {
            "manifests" => "keep one of them: an addon is a chart or manifests".to_string(),
            _ if is_chart => "what is set in a chart goes under its `values`".to_string(),
            _ => "take it out: manifests are applied as they are".to_string(),
        };
        check.error_at(place, format!("`{}` beside `{kind}`", shorten(key)), help);
    }
    let mut field = Field { check, addon: name, kind };
    let source = if is_chart {
        field.decode(home, fields).and_then(|file| field.chart(&file)).map(AddonSource::Chart)
    } else {
        field.decode(home, fields).and_then(|file| field.manifests(&file)).map(AddonSource::Manifests)
    };
    let source = source.filter(|_| check.problems.len() == before)?;
    let options = Value::Object(Map::new());
    Some(AddonSpec { name: name.to_string(), version: None, options, source })
}

/// Refuses a chart or manifests under a name that the catalog has.
pub(super) fn refuse_beside_catalog(check: &mut Check<'_>, name: &str, fields: &Map<String, Value>) {
    for key in KEYS.iter().filter(|key| fields.contains_key(**key)) {
        let place = check.key_place(&[Step::Key("addons"), Step::Key(name)], key);
        let help = format!("give it a name of its own, such as `my-{name}`, or take `{key}` out");
        check.error_at(place, format!("`{name}` is an addon of the catalog and takes no `{key}`"), help);
    }
}

/// Refuses an addon that writes where a tenant is at home: there, a tenant's guards stand.
pub(super) fn check_homes(check: &mut Check<'_>, addons: &[AddonSpec], tenants: &[Tenant]) {
    for addon in addons {
        let Some(reach) = addon.source.reach() else { continue };
        let kind = if matches!(addon.source, AddonSource::Chart(_)) { "chart" } else { "manifests" };
        for tenant in tenants {
            for home in tenant.namespaces.iter().filter(|home| reach.holds(home)) {
                let at = [Step::Key("addons"), Step::Key(&addon.name), Step::Key(kind)];
                let key = if reach.namespace == *home { "namespace" } else { "namespaces" };
                let place = check.key_place(&at, key);
                let message = format!("the namespace `{home}` is that of the tenant `{}`", tenant.name);
                check.error_at(place, message, "let the addon have a namespace of its own");
            }
        }
    }
}

/// Reads and checks the fields of one `chart` or `manifests`.
struct Field<'c, 'a, 'n> {
    check: &'c mut Check<'a>,
    addon: &'n str,
    kind: &'static str,
}

impl Field<'_, '_, '_> {
    /// Reads the struct from the tree, where every value has its place.
    fn decode<T: DeserializeOwned + Serialize>(
        &mut self,
        home: &Path,
        fields: &mut Map<String, Value>,
    ) -> Option<T> {
        let tree = self.check.tree;
        let node = tree.get("addons")?.get(self.addon)?.get(self.kind)?;
        let decoded = decode::<T>(node.clone(), self.check.files, home);
        self.check.problems.extend(decoded.problems);
        let value = decoded.value?;
        let understood = serde_json::to_value(&value).unwrap_or_default();
        fields.insert(self.kind.to_string(), understood);
        Some(value)
    }

    fn chart(&mut self, file: &ChartFile) -> Option<ChartSpec> {
        let reach = self.reach(file.namespace.as_deref(), &file.namespaces);
        let given =
            [("repo", file.repo.is_some()), ("oci", file.oci.is_some()), ("path", file.path.is_some())];
        let choice = self.one_of(&given)?;
        if choice != "repo" && file.name.is_some() {
            self.error("name", format!("`name` beside `{choice}`"), "take it out: it goes with `repo`");
        }
        let place = if choice == "path" {
            self.chart_path(file)?
        } else {
            let version = self.required("version", file.version.as_ref(), "`version: 1.2.3`");
            let version = version.filter(|version| self.is_version(version));
            let sha256 = self.required("sha256", file.sha256.as_ref(), HOW_TO_SUM);
            let sha256 = sha256.and_then(|text| self.checksum(&text));
            if let Some(repo) = &file.repo {
                let name = self.required("name", file.name.as_ref(), "the chart's name in the repository");
                let name = name.filter(|name| self.is_chart_name(name));
                self.is_address("repo", repo, "https://");
                let repo = repo.clone();
                ChartPlace::Repository { repo, name: name?, version: version?, sha256: sha256? }
            } else {
                let reference = file.oci.clone().unwrap_or_default();
                self.is_address("oci", &reference, "oci://");
                ChartPlace::Registry { reference, version: version?, sha256: sha256? }
            }
        };
        Some(ChartSpec {
            place,
            values: Value::Object(file.values.clone()),
            reach,
            image_fields: file.image_fields.clone(),
        })
    }

    fn chart_path(&mut self, file: &ChartFile) -> Option<ChartPlace> {
        let path = file.path.as_ref()?.0.clone();
        if file.version.is_some() {
            let help = "take it out: the chart at that path has the version that its Chart.yaml says";
            self.error("version", "`version` beside `path`", help);
        }
        let sha256 = file.sha256.as_ref().and_then(|text| self.checksum(text));
        if path.is_dir() {
            if !path.join("Chart.yaml").is_file() {
                self.error("path", "there is no `Chart.yaml` in this folder", "name the chart's own folder");
            }
            if sha256.is_some() {
                let help = "take it out, or name a packed chart: `helm package FOLDER` makes one";
                self.error("sha256", "a folder has no SHA-256", help);
            }
        } else if !path.is_file() {
            self.missing_path();
        }
        Some(ChartPlace::Path { path, sha256 })
    }

    fn manifests(&mut self, file: &ManifestsFile) -> Option<ManifestsSpec> {
        let reach = self.reach(file.namespace.as_deref(), &file.namespaces);
        let choice = self.one_of(&[("url", file.url.is_some()), ("path", file.path.is_some())])?;
        let place = if choice == "url" {
            let url = file.url.clone().unwrap_or_default();
            self.is_address("url", &url, "https://");
            let sha256 = self.required("sha256", file.sha256.as_ref(), HOW_TO_SUM)?;
            ManifestsPlace::Url { url, sha256: self.checksum(&sha256)? }
        } else {
            let path = file.path.as_ref()?.0.clone();
            if !path.exists() {
                self.missing_path();
            }
            if file.sha256.is_some() {
                let help = "take it out: what is on this machine is taken as it is";
                self.error("sha256", "`sha256` beside `path`", help);
            }
            ManifestsPlace::Path(path)
        };
        Some(ManifestsSpec { place, reach, image_fields: file.image_fields.clone() })
    }

    fn reach(&mut self, namespace: Option<&str>, further: &[String]) -> Reach {
        if let Some(namespace) = namespace {
            self.check_namespace(&[Step::Key("namespace")], namespace);
        }
        for (index, namespace) in further.iter().enumerate() {
            self.check_namespace(&[Step::Key("namespaces"), Step::Item(index)], namespace);
        }
        Reach { namespace: namespace.unwrap_or(self.addon).to_string(), further: further.to_vec() }
    }

    fn check_namespace(&mut self, below: &[Step<'_>], namespace: &str) {
        let at = [Step::Key("addons"), Step::Key(self.addon), Step::Key(self.kind)];
        let place = self.check.tree.place_of(&[&at, below].concat());
        check_label(self.check, place, "the namespace", namespace, LONGEST_NAMESPACE);
        if namespace == "berth-system" {
            let help = "berth keeps its records there: choose another namespace";
            self.check.error_at(place, "the namespace `berth-system` is berth's own", help);
        }
    }

    /// The one key that is given of those that exclude each other.
    fn one_of(&mut self, keys: &[(&'static str, bool)]) -> Option<&'static str> {
        let names: Vec<String> = keys.iter().map(|(key, _)| format!("`{key}`")).collect();
        let names = names.join(", ");
        let mut given = keys.iter().filter(|(_, given)| *given).map(|(key, _)| *key);
        let Some(first) = given.next() else {
            let at = [Step::Key("addons"), Step::Key(self.addon)];
            let place = self.check.key_place(&at, self.kind);
            let message = format!("`{}` does not say where it is", self.kind);
            self.check.error_at(place, message, format!("add one of {names}"));
            return None;
        };
        if let Some(second) = given.next() {
            let message = format!("`{second}` beside `{first}`: there can be only one");
            self.error(second, message, format!("keep one of {names}"));
            return None;
        }
        Some(first)
    }

    fn required(&mut self, key: &'static str, value: Option<&String>, what: &str) -> Option<String> {
        if value.is_none() {
            let at = [Step::Key("addons"), Step::Key(self.addon)];
            let place = self.check.key_place(&at, self.kind);
            self.check.error_at(place, format!("`{key}` is missing"), format!("add it here: {what}"));
        }
        value.cloned()
    }

    fn checksum(&mut self, text: &str) -> Option<Checksum> {
        let checksum = text.parse().ok();
        if checksum.is_none() {
            let length = text.chars().count();
            let message = format!("`{}` is no SHA-256, it has {length} characters", shorten(text));
            self.error("sha256", message, format!("write 64 hex digits: {HOW_TO_SUM}"));
        }
        checksum
    }

    fn is_version(&mut self, version: &str) -> bool {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
        let starts = version.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
        let is_whole = starts && version.chars().all(is_plain) && version.matches('.').count() >= 2;
        if !is_whole {
            let message = format!("`{}` is no whole version", shorten(version));
            let help = "write one such as `1.2.3`: a range could be another chart tomorrow";
            self.error("version", message, help);
        }
        is_whole
    }

    fn is_chart_name(&mut self, name: &str) -> bool {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let fine = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_plain);
        if !fine {
            let message = format!("`{}` cannot be the name of a chart", shorten(name));
            self.error("name", message, "use letters, digits and `- _ .`, as the repository's index does");
        }
        fine
    }

    /// Whether `address` begins with `scheme`, or with `http://` when it is on this machine, and names
    /// nobody's password.
    fn is_address(&mut self, key: &'static str, address: &str, scheme: &str) {
        if holds_login(address) {
            let at = [Step::Key("addons"), Step::Key(self.addon), Step::Key(self.kind), Step::Key(key)];
            self.check.problems.push(Problem {
                place: self.check.tree.place_of(&at),
                message: "this address holds a user or a password".to_string(),
                help: "take it out and log in instead: `helm registry login` for `oci://`".to_string(),
                secret: true,
            });
        } else if let Some((message, help)) = address_problem(address, scheme) {
            self.error(key, message, help);
        }
    }

    fn missing_path(&mut self) {
        let tree = self.check.tree;
        let node = tree.get("addons").and_then(|addons| addons.get(self.addon)?.get(self.kind)?.get("path"));
        let shown = node.and_then(|node| node.text()).unwrap_or_default();
        let message = format!("there is no file or folder `{}`", shorten(shown));
        self.error("path", message, "make it, or correct the path: it is relative to this file");
    }

    fn error(&mut self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        let at = [Step::Key("addons"), Step::Key(self.addon), Step::Key(self.kind), Step::Key(key)];
        self.check.error(&at, message, help);
    }
}

const HOW_TO_SUM: &str = "`sha256sum FILE` of the file as it is fetched prints it";

/// Why `address` is none, and what would be.
fn address_problem(address: &str, scheme: &str) -> Option<(String, String)> {
    let shown = shorten(address);
    let rest = match (address.strip_prefix(scheme), address.strip_prefix("http://")) {
        (Some(rest), _) => rest,
        (None, Some(rest)) if scheme == "https://" => {
            if !LOOPBACK.contains(&host(rest)) {
                let help = "use `https://`; `http://` is for programs on this machine alone";
                return Some((format!("`{shown}` goes over the network in the clear"), help.to_string()));
            }
            rest
        }
        _ => {
            return Some((
                format!("`{shown}` does not begin with `{scheme}`"),
                format!("write the whole address: `{scheme}…`"),
            ));
        }
    };
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '<' | '>' | '`');
    if host(rest).is_empty() || !rest.chars().all(is_plain) {
        return Some((format!("`{shown}` is no address"), format!("write `{scheme}HOST/PATH`")));
    }
    let last = rest.rsplit('/').next().unwrap_or_default();
    if scheme == "oci://" && (!rest.contains('/') || last.is_empty() || last.contains([':', '@'])) {
        return Some((
            format!("`{shown}` is no chart without its version"),
            "write `oci://HOST/PATH/CHART`, and what is behind `:` under `version`".to_string(),
        ));
    }
    None
}

/// Whether a user or a password stands before the host: `https://ann:secret@example.com`.
fn holds_login(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

/// The host of an address without its scheme: `[::1]` of `[::1]:5000/charts`.
fn host(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.strip_prefix('[').and_then(|inner| inner.find(']')) {
        Some(end) => &authority[..end + 2],
        None => authority.split(':').next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_encrypted_or_on_this_machine_and_hold_no_password() {
        for (address, scheme) in [
            ("https://charts.example.com/stable", "https://"),
            ("http://127.0.0.1:8080/charts", "https://"),
            ("http://[::1]:8080/charts", "https://"),
            ("http://localhost/install.yaml?raw=true", "https://"),
            ("oci://registry.example.com:5000/charts/web", "oci://"),
        ] {
            assert_eq!(address_problem(address, scheme), None, "{address}");
        }
        for (address, scheme, problem) in [
            ("http://charts.example.com", "https://", "in the clear"),
            ("http://127.0.0.1.example.com", "https://", "in the clear"),
            ("ftp://example.com", "https://", "does not begin with"),
            ("--repo=x", "https://", "does not begin with"),
            ("https:///charts", "https://", "is no address"),
            ("https://example.com/a b", "https://", "is no address"),
            ("oci://example.com/charts/web:1.2.3", "oci://", "without its version"),
            ("oci://example.com", "oci://", "without its version"),
            ("http://127.0.0.1/charts/web", "oci://", "does not begin with"),
        ] {
            let (message, _) = address_problem(address, scheme).expect("refused");
            assert!(message.contains(problem), "{address}: {message}");
        }
        assert!(
            holds_login("https://ann:secret@example.com/") && holds_login("http://localhost@example.com")
        );
        assert!(!holds_login("https://example.com/a@b") && !holds_login("oci://example.com/web"));
    }
}
