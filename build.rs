//! Tells cargo which folders are embedded: without it a new file in one of them would not be noticed.

use std::path::Path;

fn main() {
    // A folder that is not there would make every build start anew.
    for folder in ["addons", "profiles"].iter().filter(|folder| Path::new(folder).is_dir()) {
        println!("cargo::rerun-if-changed={folder}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
