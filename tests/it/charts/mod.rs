//! Addons from elsewhere: charts rendered by the real helm, version 3 and 4, and manifests as they are.

mod fetched;
mod helm;
mod manifests;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::support::{Berth, Finished, addon_binaries, run};

const HELMS: [&str; 2] = ["helm3", "helm4"];

fn chart(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/charts").join(name)
}

fn sum(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}

/// A folder for PATH with a program called `helm`.
fn path_with(helm: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    symlink(addon_binaries().join(helm), folder.path().join("helm")).expect("the folder is ours");
    folder
}

/// A folder for PATH with this script as `helm`.
fn path_with_script(script: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("helm");
    fs::write(&path, script).expect("the folder is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    folder
}

/// A berth whose profile `lab` has these addons, and whose first folder on PATH is `path`.
fn berth_with(addons: &str, path: &Path) -> Berth {
    let berth = Berth::new().with_path_first(path);
    declare(&berth, addons);
    berth
}

fn declare(berth: &Berth, addons: &str) {
    let head = "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: lab\ncluster: {kwok: {}}\n";
    berth.profile("lab", &format!("{head}addons:\n{addons}"));
}

fn render(berth: &Berth) -> Finished {
    berth.run(&["render", "lab", "--out", "out"])
}

/// The files of the rendering, without the folders of the waves.
fn rendered(berth: &Berth) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in fs::read_dir(berth.work().join("out")).expect("rendered").flatten() {
        for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            names.insert(file.file_name().to_string_lossy().into_owned());
        }
    }
    names
}

/// What stands on standard error, on one line, so that breaks do not matter.
fn words(finished: &Finished) -> String {
    finished.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Fails with `code` and says each of `parts`.
#[track_caller]
fn refused(finished: Finished, code: i32, parts: &[&str]) -> Finished {
    let finished = finished.expect(code);
    for part in parts {
        assert!(words(&finished).contains(part), "`{part}` is not said: {}", finished.said());
    }
    finished
}

/// The packed chart, as a repository has it.
fn packed(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut helm = Command::new(addon_binaries().join("helm3"));
    helm.env("HOME", folder.path()).args(["package", "--destination"]).arg(folder.path()).arg(chart(name));
    run(helm).expect(0);
    let mut files = fs::read_dir(folder.path()).expect("readable").flatten().map(|entry| entry.path());
    let file = files.find(|path| path.extension().is_some_and(|e| e == "tgz")).expect("helm packs");
    fs::read(file).expect("readable")
}
