//! Every addon with its defaults and every variant of its options, on every provider and minor.
//!
//! Variants are data: each file of tests/fixtures/addons/ADDON/ is one, `{options, beside, only}`:
//! the options, other addons of the same profile, and the providers that it is meant for. Switches,
//! words from a list and bounds of numbers are tried without a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use berth::addons::{AddonError, Catalog, shipped_names};
use berth::k8s::Object;
use berth::profile::{Environment, Found, LoadOptions, load};
use berth::providers;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The minors that berth supports.
pub const MINORS: std::ops::RangeInclusive<u32> = 33..=37;

/// The minor of the API server of the tests.
pub const API_SERVER: u32 = 36;

/// A cluster of each provider, with nodes that have GPUs where there can be any.
const CLUSTERS: [(&str, &str); 5] = [
    (
        "eks",
        "{eks: {account: '123456789012', region: eu-central-1, version: '1.36', endpoint: {public: [203.0.113.0/24]}, \
         network: {nat: single}}}\nnodeGroups: [{name: gpu, machine: g6.xlarge, nodes: 1, zones: [a]}]",
    ),
    (
        "gke",
        "{gke: {project: example, location: europe-west4}}\n\
         nodeGroups: [{name: gpu, machine: g2-standard-8, nodes: 1, zones: [a]}]",
    ),
    ("kind", "{kind: {version: '1.36'}}"),
    ("kwok", "{kwok: {version: '1.36'}}"),
    ("existing", "{existing: {kubeconfig: ~/.kube/config, context: office}}"),
];

/// One addon of the catalog, as its folder has it.
pub struct Folder {
    /// Its name.
    pub name: String,
    /// Its `addon.yaml`, untyped.
    pub definition: Value,
    /// The texts of its manifests, by file name.
    pub manifests: BTreeMap<String, String>,
    /// What is tried of its options.
    pub variants: Vec<Variant>,
}

/// A choice of options.
#[derive(Clone)]
pub struct Variant {
    /// Of the file, or of the option that is tried.
    pub name: String,
    /// The options as a profile has them.
    pub options: Value,
    /// Other addons of the profile.
    pub beside: Map<String, Value>,
    /// The providers that it is for; all when there are none.
    pub only: Vec<String>,
    /// Made of the schema: an addon may refuse it where it has reasons.
    pub derived: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VariantFile {
    options: Value,
    #[serde(default)]
    beside: Map<String, Value>,
    #[serde(default)]
    only: Vec<String>,
}

/// What an addon comes to in one place of the matrix.
pub struct Rendering {
    /// Of the addon.
    pub addon: String,
    /// Variant, provider, minor: for messages.
    pub place: String,
    /// `1.36`.
    pub minor: u32,
    /// The version of the addon's program.
    pub version: String,
    /// What berth would apply.
    pub objects: Vec<Object>,
}

/// The folders of the shipped addons, and of the user's own in the fixtures.
pub fn folders() -> Vec<Folder> {
    let root = root();
    let shipped = shipped_names().into_iter().map(|name| root.join("addons").join(name));
    let own = files(&own_folder());
    shipped.chain(own).map(|folder| read_folder(&folder)).collect()
}

/// A folder of addons as users have them.
pub fn own_folder() -> PathBuf {
    root().join("tests/fixtures/my-addons")
}

/// Every addon in every place that does not refuse it.
pub fn renderings() -> &'static [Rendering] {
    static ALL: OnceLock<Vec<Rendering>> = OnceLock::new();
    ALL.get_or_init(render_all)
}

fn render_all() -> Vec<Rendering> {
    let mut all = Vec::new();
    for folder in folders() {
        for variant in &folder.variants {
            let before = all.len();
            for (provider, _) in CLUSTERS {
                if folder.definition["providers"][provider].get("refused").is_none() {
                    render_on(provider, &folder.name, variant, &mut all);
                }
            }
            let known = !folder.manifests.is_empty();
            assert!(all.len() > before || !known, "{}: {}: refused everywhere", folder.name, variant.name);
        }
    }
    all
}

/// What `variant` of an addon comes to on one provider, on each minor, for real and in a rehearsal.
fn render_on(provider: &str, addon: &str, variant: &Variant, all: &mut Vec<Rendering>) {
    if !variant.only.is_empty() && !variant.only.iter().any(|name| name == provider) {
        return;
    }
    let place = format!("{addon}, variant {}, on {provider}", variant.name);
    let declared = match environment(provider, addon, variant) {
        Ok(environment) => environment,
        Err(_) if variant.derived => return,
        Err(error) => panic!("{place}: {error}"),
    };
    // One option alone does the same on every minor, and a rehearsal leaves the same things out.
    let alone = variant.derived && variant.options != json!({});
    let minors = MINORS.filter(|minor| !alone || *minor == API_SERVER);
    for (rehearsed, minor) in minors.map(|minor| (false, minor)).chain([(true, API_SERVER)]) {
        let mut environment = if rehearsed { declared.clone().rehearse() } else { declared.clone() };
        environment.kubernetes = (1, minor);
        let place = format!("{place} 1.{minor}{}", if rehearsed { ", rehearsed" } else { "" });
        match render(&environment, addon) {
            Ok((version, objects)) => {
                all.push(Rendering { addon: addon.to_string(), place, minor, version, objects });
            }
            Err(AddonError::NoManifests { .. }) => return,
            Err(AddonError::Option { .. }) if variant.derived => return,
            Err(error) => panic!("{place}: {error}"),
        }
    }
}

/// The environment of a profile that has the addon; the refusal as text.
pub fn environment(provider: &str, addon: &str, variant: &Variant) -> Result<Environment, String> {
    let (_, cluster) = CLUSTERS.iter().find(|(name, _)| *name == provider).expect("one of the table");
    let mut addons = variant.beside.clone();
    addons.insert(addon.to_string(), variant.options.clone());
    let text = format!(
        "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: catalog\nid: c4ta1og2\ncluster: {cluster}\n\
         addons: {}\naddonsFrom: [{}]\n",
        Value::Object(addons),
        json!(own_folder())
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("profile.yaml");
    fs::write(&path, text).expect("written");
    let known_addons = shipped_names().into_iter().chain(["echo".to_string()]).collect();
    let options = LoadOptions { home: PathBuf::from("/home/ada"), known_addons };
    Ok(load(&Found::file(&path), &options).map_err(|error| error.to_string())?.environment)
}

/// The version and the objects of an addon of `environment`.
pub fn render(environment: &Environment, addon: &str) -> Result<(String, Vec<Object>), AddonError> {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    let catalog = CATALOG.get_or_init(|| Catalog::load(&environment.addons_from).expect("readable"));
    let rendered = catalog.render_all(&environment.addons, &providers::platform(environment))?;
    let rendered = rendered.into_iter().find(|it| it.name == addon).expect("the profile has it");
    let mut objects = rendered.objects;
    // Definitions of it are downloaded, or the cluster brings them: nothing here can judge its objects.
    objects.retain(|object| object.kind.group != "gateway.networking.k8s.io");
    Ok((rendered.version, objects))
}

fn read_folder(folder: &Path) -> Folder {
    let name = folder.file_name().and_then(|name| name.to_str()).expect("ASCII").to_string();
    let definition = read(&folder.join("addon.yaml"));
    let definition: Value = serde_saphyr::from_str(&definition).expect("YAML");
    let manifests = files(&folder.join("manifests"));
    let manifests = manifests.iter().map(|path| (path.display().to_string(), read(path))).collect();
    let made_up = |name: &str, options: Value| Variant {
        name: name.to_string(),
        options,
        beside: Map::new(),
        only: Vec::new(),
        derived: true,
    };
    let mut variants = vec![made_up("defaults", json!({}))];
    for path in files(&root().join("tests/fixtures/addons").join(&name)) {
        let file: VariantFile = serde_saphyr::from_str(&read(&path))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        variants.push(Variant {
            name: path.file_stem().and_then(|stem| stem.to_str()).expect("ASCII").to_string(),
            options: file.options,
            beside: file.beside,
            only: file.only,
            derived: false,
        });
    }
    for (path, choice) in choices(&definition["options"], &[]) {
        let mut options = path.iter().rev().fold(choice.clone(), |inner, key| json!({ key: inner }));
        fill_in(&definition["options"], &mut options);
        variants.push(made_up(&format!("{}={choice}", path.join(".")), options));
    }
    Folder { name, definition, manifests, variants }
}

/// What a schema says by itself can be tried: switches, words from a list, bounds of numbers.
fn choices(schema: &Value, path: &[String]) -> Vec<(Vec<String>, Value)> {
    let mut found = Vec::new();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = [path, std::slice::from_ref(name)].concat();
        let mut values: Vec<Value> = schema["enum"].as_array().cloned().unwrap_or_default();
        if is_a(schema, "boolean") {
            values.extend([json!(true), json!(false)]);
        }
        values.extend(["minimum", "maximum"].iter().filter_map(|key| schema.get(*key).cloned()));
        values.retain(|value| schema.get("default") != Some(value));
        found.extend(values.into_iter().map(|value| (path.clone(), value)));
        found.extend(choices(schema, &path));
    }
    found
}

/// Adds the numbers that have to be there beside a choice.
fn fill_in(schema: &Value, options: &mut Value) {
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(inner) = options.get_mut(name) {
            fill_in(schema, inner);
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let (Some(options), Some(least)) =
            (options.as_object_mut(), schema["properties"][name].get("minimum"))
        {
            options.entry(name).or_insert_with(|| least.clone());
        }
    }
}

/// Whether a schema takes values of this type, alone or beside others.
fn is_a(schema: &Value, wanted: &str) -> bool {
    schema["type"] == wanted
        || schema["type"].as_array().is_some_and(|types| types.contains(&Value::from(wanted)))
}

/// The files and folders in `folder`, sorted; none when there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths: BTreeSet<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.into_iter().collect()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
