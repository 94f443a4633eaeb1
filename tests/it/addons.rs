//! What addons of a profile come to, without a cluster.

use std::fs;
use std::path::PathBuf;

use berth::addons::{AddonError, Catalog, Rendered};
use berth::profile::{self, Found, LoadOptions};
use berth::providers;
use serde_json::Value;

/// The objects of all addons of a profile.
pub struct Objects(Vec<Value>);

impl Objects {
    /// The objects of a kind.
    pub fn all(&self, kind: &str) -> Vec<Value> {
        self.0.iter().filter(|object| object["kind"] == kind).cloned().collect()
    }

    /// The first object of a kind.
    #[track_caller]
    pub fn one(&self, kind: &str) -> Value {
        self.all(kind).into_iter().next().unwrap_or_else(|| unreachable!("no {kind}"))
    }
}

/// What `addons` come to on `cluster`; both are as a profile has them.
#[track_caller]
pub fn on(cluster: &str, addons: &str) -> Objects {
    let rendered = render(cluster, addons).expect("rendered");
    Objects(rendered.into_iter().flat_map(|addon| addon.objects).map(|object| object.body).collect())
}

/// Why `addons` are refused on `cluster`.
#[track_caller]
pub fn refusal(cluster: &str, addons: &str) -> AddonError {
    let error = render(cluster, addons).expect_err(addons);
    assert!(error.path().is_some(), "no path: {error}");
    error
}

fn render(cluster: &str, addons: &str) -> Result<Vec<Rendered>, AddonError> {
    let addons = if addons.starts_with('{') { addons.to_string() } else { format!("{{{addons}}}") };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("profile.yaml");
    let text = format!(
        "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: dev\nid: 7f3k2q9d\ncluster: {{{cluster}}}\naddons: {addons}\n"
    );
    fs::write(&path, text).expect("written");
    let options =
        LoadOptions { home: PathBuf::from("/home/ada"), known_addons: berth::addons::shipped_names() };
    let environment = profile::load(&Found::file(&path), &options).expect("a valid profile").environment;
    Catalog::load(&[])?.render_all(&environment.addons, &providers::platform(&environment))
}
