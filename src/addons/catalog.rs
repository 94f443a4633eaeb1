use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use include_dir::{Dir, include_dir};
use serde_json::Value;

use super::definition::{API_VERSION, Definition, KIND};
use super::error::{AddonError, nearest};
use super::images::Mirrors;
use super::options::OptionType;
use super::places;
use super::pools::Pools;
use super::source::Sources;
use super::template::Templates;
use crate::base::ProviderKind;
use crate::base::Reference;
use crate::os::files;
use crate::profile::AddonSpec;

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/addons");

/// The manifests among them that need no values, rendered by the build: `metallb/10-pool-definitions.yaml.json`.
static CONSTANT: Dir<'_> = include_dir!("$OUT_DIR/constant");

/// What ships, read once: a run needs the catalog several times.
static READ: LazyLock<Result<Vec<Arc<Addon>>, AddonError>> =
    LazyLock::new(|| SHIPPED.dirs().map(|folder| shipped(folder).map(Arc::new)).collect());

/// The names of the addons that ship in the binary, sorted.
pub fn shipped_names() -> Vec<String> {
    let folders = SHIPPED.dirs().filter_map(|folder| folder.path().file_name());
    let mut names: Vec<String> = folders.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// All addons that a profile can name: those in the binary and those of the user's own folders.
#[derive(Debug, Clone)]
pub struct Catalog {
    addons: BTreeMap<String, Arc<Addon>>,
    /// What was fetched for addons that need it.
    pub(super) sources: Sources,
    pub(super) templates: Templates,
    mirrors: Mirrors,
}

/// One addon: its definition and its manifests, as they stand in its folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Addon {
    /// Its `addon.yaml`.
    pub definition: Definition,
    /// The files of its `manifests` folder, sorted by name.
    pub manifests: Vec<Manifest>,
    /// The folder, for messages.
    pub folder: String,
}

/// A template of one or more Kubernetes objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The file, for messages: `addons/traefik/manifests/10-namespace.yaml`.
    pub place: String,
    /// The template.
    pub text: String,
    /// What it renders to whatever the values are, as a list in JSON, when the build has found it to be so: that is
    /// read in a fraction of the time.
    pub constant: Option<&'static str>,
}

impl Catalog {
    /// The addons that ship, and those in `folders` (`addonsFrom`), which have the shape of `addons/`.
    pub fn load(folders: &[PathBuf]) -> Result<Self, AddonError> {
        let mut catalog = Self {
            addons: BTreeMap::new(),
            sources: Sources::absent(),
            templates: Templates::new(),
            mirrors: Mirrors::default(),
        };
        for addon in READ.as_ref().map_err(Clone::clone)? {
            catalog.add(Arc::clone(addon))?;
        }
        for folder in folders {
            let names = files::names_in(folder)?;
            let addons: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
            let before = catalog.addons.len();
            for addon in addons.iter().filter(|addon| addon.join("addon.yaml").is_file()) {
                catalog.add(Arc::new(on_disk(addon)?))?;
            }
            if catalog.addons.len() == before {
                let problem = "no addon in it: expected folders that hold an `addon.yaml`";
                return Err(AddonError::file(&folder.display().to_string(), problem));
            }
        }
        Ok(catalog)
    }

    /// The same catalog, with what was fetched for the addons of a profile.
    #[must_use]
    pub fn with_sources(self, sources: &Sources) -> Self {
        Self { sources: sources.clone(), ..self }
    }

    /// The same, with images pulled from `mirrors`.
    #[must_use]
    pub fn with_mirrors(self, mirrors: Mirrors) -> Self {
        Self { mirrors, ..self }
    }

    /// Where images are pulled from.
    pub(super) fn mirrors(&self) -> &Mirrors {
        &self.mirrors
    }

    /// The names of all addons, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.addons.keys().map(String::as_str)
    }

    /// All addons, sorted by name.
    pub fn addons(&self) -> impl Iterator<Item = &Addon> {
        self.addons.values().map(Arc::as_ref)
    }

    /// The addon called `name`.
    pub fn get(&self, name: &str) -> Result<&Addon, AddonError> {
        self.addons.get(name).map(Arc::as_ref).ok_or_else(|| AddonError::Unknown {
            name: name.to_string(),
            nearest: nearest(name, self.names()).map(str::to_string),
            known: self.names().map(str::to_string).collect(),
        })
    }

    fn add(&mut self, addon: Arc<Addon>) -> Result<(), AddonError> {
        let name = addon.definition.name.clone();
        if let Some(other) = self.addons.get(&name) {
            return Err(AddonError::Twice {
                name,
                first: other.folder.clone(),
                second: addon.folder.clone(),
            });
        }
        self.addons.insert(name, addon);
        Ok(())
    }
}

impl Addon {
    /// The address pools in `options`, the complete options of the addon at `path`.
    pub(super) fn pools(
        &self,
        path: &str,
        options: &Value,
        provider: ProviderKind,
    ) -> Result<Pools, Vec<AddonError>> {
        let Some(keys) = &self.definition.address_pools else { return Ok(Pools::default()) };
        Pools::read(keys, &self.definition.options, path, options, provider)
    }
}

/// Where the options of an addon stand in the profile.
pub(super) fn path(spec: &AddonSpec) -> String {
    format!("addons.{}", spec.name)
}

/// The addon in a folder of the binary.
fn shipped(folder: &Dir<'_>) -> Result<Addon, AddonError> {
    let place = |path: &Path| format!("addons/{}", path.display());
    let text =
        |path: PathBuf| SHIPPED.get_file(&path).and_then(|file| file.contents_utf8()).map(str::to_string);
    let definition = folder.path().join("addon.yaml");
    let definition_text = text(definition.clone()).unwrap_or_default();
    let mut manifests: Vec<Manifest> = SHIPPED
        .get_dir(folder.path().join("manifests"))
        .into_iter()
        .flat_map(Dir::files)
        .filter_map(|file| {
            let name = file.path().file_name()?.to_string_lossy();
            let rendered = folder.path().join(format!("{name}.json"));
            let constant = CONSTANT.get_file(rendered).and_then(|file| file.contents_utf8());
            Some(Manifest { place: place(file.path()), text: file.contents_utf8()?.to_string(), constant })
        })
        .collect();
    manifests.sort_by(|a, b| a.place.cmp(&b.place));
    let definition = read_definition(&place(&definition), folder.path(), &definition_text)?;
    manifests.iter().try_for_each(places::check)?;
    Ok(Addon { definition, manifests, folder: place(folder.path()) })
}

/// The addon in a folder of the user's own.
fn on_disk(folder: &Path) -> Result<Addon, AddonError> {
    let path = folder.join("addon.yaml");
    let text = files::read_if_there(&path)?.unwrap_or_default();
    let definition = read_definition(&path.display().to_string(), folder, &text)?;
    let manifests_folder = folder.join("manifests");
    let mut manifests = Vec::new();
    for name in files::names_in(&manifests_folder)? {
        let path = manifests_folder.join(&name);
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            let text = files::read_if_there(&path)?.unwrap_or_default();
            manifests.push(Manifest { place: path.display().to_string(), text, constant: None });
        }
    }
    manifests.iter().try_for_each(places::check)?;
    Ok(Addon { definition, manifests, folder: folder.display().to_string() })
}

fn read_definition(place: &str, folder: &Path, text: &str) -> Result<Definition, AddonError> {
    let wrong = |problem: String| AddonError::file(place, problem);
    let definition: Definition = serde_saphyr::from_str(text).map_err(|error| yaml_error(place, &error))?;
    if definition.api_version != API_VERSION || definition.kind != KIND {
        return Err(wrong(format!("expected `apiVersion: {API_VERSION}` and `kind: {KIND}`")));
    }
    let folder_name = folder.file_name().unwrap_or_default().to_string_lossy();
    if definition.name != folder_name {
        return Err(wrong(format!(
            "`name` is `{}`, but the folder is called `{folder_name}`",
            definition.name
        )));
    }
    if definition.versions.is_empty() {
        return Err(wrong("`versions` is empty".to_string()));
    }
    for version in &definition.versions {
        let mut images = version.images.iter();
        if let Some((name, image)) = images.find(|(_, image)| Reference::parse(image).is_none()) {
            let of = &version.version;
            let problem = format!("`images.{name}` of version {of}: `{image}` is no reference of an image");
            return Err(wrong(problem));
        }
    }
    if !definition.options.kind.is(OptionType::Object) {
        return Err(wrong("`options.type` is not `object`".to_string()));
    }
    definition
        .options
        .check_defaults("options")
        .map_err(|error| wrong(format!("a default is not what its own schema allows: {error}")))?;
    Ok(definition)
}

/// A refusal of YAML, with line and column.
pub(super) fn yaml_error(place: &str, error: &serde_saphyr::Error) -> AddonError {
    let place = match error.location() {
        Some(location) => format!("{place}:{}:{}", location.line(), location.column()),
        None => place.to_string(),
    };
    AddonError::file(&place, error.without_snippet().to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::base::{Capability, Platform};

    const ADDON: &str = r#"
apiVersion: berth.dev/v1alpha1
kind: Addon
name: echo
summary: answers
versions:
  - {version: 1.0.0, kubernetes: {from: "1.33", to: "1.37"}, images: {echo: example.com/echo:1}}
options:
  type: object
  additionalProperties: false
  properties: {text: {type: string, default: hello}}
providers: {eks: objects, gke: objects, kind: objects, kwok: objects, existing: objects}
rehearsal: applied
"#;
    const MANIFEST: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: echo, namespace: kube-public}\n\
                            data: {text: {{ options.text }}, image: {{ images.echo }}}\n";

    fn folder_with(definition: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let manifests = folder.path().join("echo/manifests");
        fs::create_dir_all(&manifests).expect("made");
        fs::write(folder.path().join("echo/addon.yaml"), definition).expect("written");
        fs::write(manifests.join("echo.yaml"), MANIFEST).expect("written");
        fs::write(manifests.join("notes.txt"), "{{ nothing").expect("written");
        folder
    }

    fn refusal(definition: &str) -> String {
        let folder = folder_with(definition);
        let error = Catalog::load(&[folder.path().to_path_buf()]).expect_err("refused").to_string();
        error.replace(&folder.path().display().to_string(), "FOLDER")
    }

    #[test]
    fn the_shipped_addons_can_be_read() {
        let catalog = Catalog::load(&[]).expect("readable");
        let names: Vec<&str> = catalog.names().collect();
        assert_eq!(
            names,
            ["cluster-autoscaler", "metallb", "metrics-server", "nvidia-device-plugin", "traefik"]
        );
        assert_eq!(names, shipped_names());
    }

    #[test]
    fn the_readme_of_a_shipped_addon_names_each_of_its_options() {
        for (name, addon) in &Catalog::load(&[]).expect("readable").addons {
            let readme = SHIPPED.get_file(format!("{name}/README.md")).expect("a readme");
            let readme = readme.contents_utf8().expect("text");
            for option in addon.definition.options.properties.keys() {
                assert!(readme.contains(&format!("| `{option}` |")), "{name}: {option}");
            }
        }
    }

    #[test]
    fn an_addon_in_a_folder_of_the_user_is_one_like_the_others() {
        let folder = folder_with(ADDON);
        let catalog = Catalog::load(&[folder.path().to_path_buf()]).expect("readable");
        let spec = AddonSpec::of_catalog("echo", json!({"text": "x\ny: z"}));
        let platform = Platform {
            provider: ProviderKind::Kind,
            cluster: "dev".to_string(),
            region: None,
            kubernetes: (1, 36),
            kubernetes_assumed: false,
            rehearsal: true,
            load_balancer: Capability::Absent,
            ports_mapped: false,
            dns_addresses: Vec::new(),
            native_addons: Vec::new(),
            network: None,
        };
        let rendered = catalog.render(&spec, std::slice::from_ref(&spec), &platform).expect("rendered");
        let [object] = rendered.objects.as_slice() else { unreachable!("{:?}", rendered.objects) };
        assert_eq!(object.body["data"], json!({"text": "x\ny: z", "image": "example.com/echo:1"}));
    }

    #[test]
    fn a_template_that_writes_a_value_into_a_text_is_refused() {
        let folder = folder_with(ADDON);
        let manifest = MANIFEST.replace("text: {{ options.text }}", "text: 'x{{ options.text }}'");
        fs::write(folder.path().join("echo/manifests/echo.yaml"), manifest).expect("written");
        let error = Catalog::load(&[folder.path().to_path_buf()]).expect_err("refused").to_string();
        assert!(error.contains("/echo/manifests/echo.yaml:4`: "), "{error}");
        assert!(error.contains("write `{{ \"x\" ~ options.text }}`"), "{error}");
    }

    #[test]
    fn a_wrong_definition_is_refused_by_file_and_place() {
        let unknown = refusal(&ADDON.replace("summary: answers", "sumary: answers"));
        assert!(unknown.starts_with("`FOLDER/echo/addon.yaml:5:"), "{unknown}");
        assert!(unknown.contains("sumary"), "{unknown}");
        assert_eq!(
            refusal(&ADDON.replace("name: echo", "name: ecco")),
            "`FOLDER/echo/addon.yaml`: `name` is `ecco`, but the folder is called `echo`"
        );
        assert_eq!(
            refusal(&ADDON.replace("example.com/echo:1", "example.com/Echo:1")),
            "`FOLDER/echo/addon.yaml`: `images.echo` of version 1.0.0: `example.com/Echo:1` is no reference of an image"
        );
        let need = refusal(&ADDON.replace("rehearsal:", "needs: {nodeGroup: tpu}\nrehearsal:"));
        assert!(need.contains("tpu") && need.contains("gpu"), "{need}");
        let field = "imageFields: [{apiVersion: v1, kind: X, path: a..b}]\nrehearsal:";
        let field = refusal(&ADDON.replace("rehearsal:", field));
        assert!(field.contains("`a..b` is no path of a field"), "{field}");
        let minor = refusal(&ADDON.replace("\"1.33\"", "newest"));
        assert!(minor.contains("`newest` is no Kubernetes minor"), "{minor}");
        let default = refusal(&ADDON.replace("default: hello", "default: 1"));
        assert!(default.contains("`options.text`: expected a text, but it is a whole number"), "{default}");
    }

    #[test]
    fn a_name_that_is_taken_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(folder.path().join("traefik")).expect("made");
        let definition = ADDON.replace("name: echo", "name: traefik");
        fs::write(folder.path().join("traefik/addon.yaml"), definition).expect("written");
        let error = Catalog::load(&[folder.path().to_path_buf()]).expect_err("refused");
        assert!(
            error.to_string().starts_with("two addons are called `traefik`: in `addons/traefik`"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_without_addons_is_refused() {
        let error = Catalog::load(&[PathBuf::from("/nonexistent/addons")]).expect_err("refused");
        assert!(error.to_string().contains("`/nonexistent/addons`: no addon in it"), "{error}");
    }
}
