//! Tells cargo which folders are embedded, and renders the manifests of shipped addons that need no values, so
//! that no run has to: definitions of custom resources are long, and reading them is most of what rendering takes.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use serde_json::Value;

#[path = "src/addons/written.rs"]
mod written;

fn main() -> Result<(), Box<dyn Error>> {
    // Without this a new file in one of them would not be noticed; one that is not there would make every
    // build start anew.
    for folder in ["addons", "profiles"].iter().filter(|folder| Path::new(folder).is_dir()) {
        println!("cargo::rerun-if-changed={folder}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/addons/written.rs");

    let target = Path::new(&env::var("OUT_DIR")?).join("constant");
    // What an earlier build left there may be constant no more.
    if target.is_dir() {
        fs::remove_dir_all(&target)?;
    }
    fs::create_dir_all(&target)?;
    for addon in fs::read_dir("addons")? {
        let addon = addon?;
        let manifests = addon.path().join("manifests");
        if !manifests.is_dir() {
            continue;
        }
        let folder = target.join(addon.file_name());
        fs::create_dir_all(&folder)?;
        for manifest in fs::read_dir(manifests)? {
            let manifest = manifest?;
            if let Some(documents) = constant(&fs::read_to_string(manifest.path())?) {
                let name = format!("{}.json", manifest.file_name().to_string_lossy());
                fs::write(folder.join(name), serde_json::to_string(&documents)?)?;
            }
        }
    }
    Ok(())
}

/// The documents of a template that renders without any value. What is wrong with another one is found
/// when it is rendered with them.
fn constant(template: &str) -> Option<Vec<Value>> {
    let text = written::environment().render_str(template, ()).ok()?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).ok()?;
    Some(documents.into_iter().filter(|document| !document.is_null()).collect())
}
