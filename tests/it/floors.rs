//! The rules of the house, as docs/ARCHITECTURE.md prints them: which room may name which, where
//! outside crates may be named, and what nobody but one room does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::support::paths::{Named, paths};

/// What only one room does, by the path that does it.
const ONLY_IN: [(&str, &[&str], &str); 14] = [
    ("std::env::var", &["cli"], "only cli reads the environment"),
    ("std::env::var_os", &["cli"], "only cli reads the environment"),
    ("std::env::vars", &["cli"], "only cli reads the environment"),
    ("std::env::vars_os", &["cli"], "only cli reads the environment"),
    ("std::env::home_dir", &["cli"], "only cli reads the environment"),
    ("std::process::Command", &["os"], "only os starts programs"),
    ("tokio::process", &["os"], "only os starts programs"),
    ("std::thread", &["flow"], "only flow sleeps or spawns"),
    ("tokio::time::sleep", &["flow"], "only flow sleeps or spawns"),
    ("tokio::time::sleep_until", &["flow"], "only flow sleeps or spawns"),
    ("tokio::time::interval", &["flow"], "only flow sleeps or spawns"),
    ("tokio::spawn", &["flow"], "only flow sleeps or spawns"),
    ("tokio::task", &["flow"], "only flow sleeps or spawns"),
    ("std::process::exit", &[], "the exit code is returned, so that everything is put away first"),
];

/// The crates that must not come in, even through others.
const NEVER_LINKED: [&str; 4] = ["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls"];

struct House {
    floors: BTreeMap<String, u32>,
    later: BTreeSet<String>,
    /// Outside crate (as paths name it) to the rooms and folders that may name it; empty for all.
    outside: BTreeMap<String, Vec<String>>,
}

impl House {
    /// The tables of the page.
    fn from_page(page: &str) -> Self {
        let mut house = Self { floors: BTreeMap::new(), later: BTreeSet::new(), outside: BTreeMap::new() };
        for row in rows(page, "Room") {
            house.floors.insert(row[0].clone(), row[1].parse().expect("a floor is a number"));
            if row[2].starts_with("later:") {
                house.later.insert(row[0].clone());
            }
        }
        for row in rows(page, "Crate") {
            let rooms = row[1].split(", ").filter(|room| *room != "any room").map(str::to_string).collect();
            for name in row[0].split(", ") {
                house.outside.insert(name.replace('-', "_"), Vec::clone(&rooms));
            }
        }
        house
    }

    /// What is wrong in the file `place` (below src/) that names `named`.
    fn complaints(&self, place: &Path, named: &[Named]) -> Vec<String> {
        let mut complaints = Vec::new();
        let room = place.iter().next().expect("a file has a path").to_string_lossy().into_owned();
        for named in named {
            let mut complain = |why: String| {
                complaints.push(format!("src/{}:{}: `{}`: {why}", place.display(), named.line, named.text()));
            };
            if named.segments[0] == "crate" {
                let other = named.segments.get(1).map_or("*", String::as_str);
                match (self.floors.get(&room), self.floors.get(other)) {
                    _ if other == room => {}
                    (Some(own), Some(theirs)) if theirs < own => {}
                    (Some(own), Some(theirs)) => {
                        complain(format!(
                            "{room} is on floor {own} and {other} on floor {theirs}, not below it"
                        ));
                    }
                    (_, None) => complain(format!("`{other}` is no room of the table")),
                    (None, _) => complain(format!("`{room}` is no room of the table")),
                }
            }
            if let Some(folders) = self.outside.get(&named.segments[0])
                && !folders.is_empty()
                && !folders.iter().any(|folder| place.starts_with(folder))
            {
                complain(format!("`{}` may be named only in {}", named.segments[0], folders.join(", ")));
            }
            for (path, rooms, reason) in ONLY_IN {
                if named.is_in(path) && !rooms.contains(&room.as_str()) {
                    complain(reason.to_string());
                }
            }
        }
        complaints
    }
}

/// The cells of the table of `page` whose first heading is `heading`, without backticks.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    page.lines()
        .skip_while(|line| !line.starts_with(&format!("| {heading} |")))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            line.trim_matches('|').split(" | ").map(|cell| cell.replace('`', "").trim().to_string()).collect()
        })
        .collect()
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn house() -> House {
    let page = repository().join("docs/ARCHITECTURE.md");
    House::from_page(&fs::read_to_string(page).expect("the page belongs to the repository"))
}

/// Every Rust file of a room, by its path below src/.
fn files() -> Vec<PathBuf> {
    let source = repository().join("src");
    let mut folders = vec![source.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("it belongs to the repository").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path.strip_prefix(&source).expect("it was found there").to_path_buf());
            }
        }
    }
    files.sort();
    files
}

/// The module of a file: `k8s/client.rs` is `["k8s", "client"]`.
fn module(place: &Path) -> Vec<String> {
    let mut module: Vec<String> =
        place.with_extension("").iter().map(|part| part.to_string_lossy().into()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

fn named_in(place: &Path, text: &str) -> Vec<Named> {
    let module = module(place);
    let module: Vec<&str> = module.iter().map(String::as_str).collect();
    paths(&module, text).unwrap_or_else(|error| panic!("src/{}: {error}", place.display()))
}

#[test]
fn every_room_names_only_what_the_page_allows() {
    let house = house();
    let mut complaints = Vec::new();
    // lib.rs only lists the rooms, main.rs only calls the library, docker_credential_berth.rs only becomes berth.
    for place in files().iter().filter(|place| place.components().count() > 1) {
        let text = fs::read_to_string(repository().join("src").join(place)).expect("it was found there");
        complaints.extend(house.complaints(place, &named_in(place, &text)));
    }
    assert!(
        complaints.is_empty(),
        "{} breaches of docs/ARCHITECTURE.md:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

#[test]
fn the_page_lists_the_rooms_that_there_are() {
    let house = house();
    let there: BTreeSet<String> = files()
        .iter()
        .filter(|place| place.components().count() > 1)
        .map(|place| place.iter().next().expect("it has two parts").to_string_lossy().into_owned())
        .collect();
    let listed: BTreeSet<String> = house.floors.keys().cloned().collect();
    let missing: Vec<_> = there.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&there).filter(|room| !house.later.contains(*room)).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "not on the page: {missing:?}; on the page only: {gone:?}"
    );
}

#[test]
fn the_page_says_where_every_outside_crate_may_be_named() {
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).expect("it belongs to the repository");
    let listed = house().outside;
    let unlisted: Vec<&str> = manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        .filter(|name| !listed.contains_key(&name.replace('-', "_")))
        .collect();
    assert!(unlisted.is_empty(), "docs/ARCHITECTURE.md does not say where these may be named: {unlisted:?}");
}

#[test]
fn every_room_has_its_door_plate() {
    for place in files().iter().filter(|place| place.components().count() == 2 && place.ends_with("mod.rs")) {
        let text = fs::read_to_string(repository().join("src").join(place)).expect("it was found there");
        let plate: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        for words in ["**Owns** ", "**May name** ", "**Never** ", "**Start reading at** "] {
            assert!(plate.contains(words), "src/{} does not say `{words}`", place.display());
        }
    }
}

#[test]
fn no_second_crypto_library_is_linked() {
    let lock = fs::read_to_string(repository().join("Cargo.lock")).expect("it belongs to the repository");
    for name in NEVER_LINKED {
        assert!(!lock.contains(&format!("name = \"{name}\"\n")), "Cargo.lock holds `{name}`");
    }
}

/// A page like the real one, for the tests of the tests.
const PAGE: &str = "\
| Room | Floor | What |
|---|---|---|
| `base` | 0 | values |
| `os` | 1 | programs |
| `flow` | 1 | time |
| `k8s` | 3 | the API |
| `clouds` | 3 | later: sessions |

| Crate | Where | Why |
|---|---|---|
| `kube`, `k8s-openapi` | `k8s` | one door |
| `aws-sdk-eks` | `clouds/aws`, `providers/eks` | one door |
| `serde` | any room | values |
";

fn complaints_about(place: &str, text: &str) -> Vec<String> {
    House::from_page(PAGE).complaints(Path::new(place), &named_in(Path::new(place), text))
}

#[test]
fn a_room_that_names_its_own_floor_or_a_higher_one_is_found() {
    assert_eq!(
        complaints_about("os/exec.rs", "use crate::base::Fault;\nuse crate::{flow::Flow, k8s};"),
        [
            "src/os/exec.rs:2: `crate::flow::Flow`: os is on floor 1 and flow on floor 1, not below it",
            "src/os/exec.rs:2: `crate::k8s`: os is on floor 1 and k8s on floor 3, not below it",
        ]
    );
    assert_eq!(complaints_about("base/mod.rs", "mod tests { use super::super::os::Held; }").len(), 1);
    assert_eq!(complaints_about("attic/mod.rs", "use crate::base::Fault;").len(), 1);
    assert_eq!(complaints_about("k8s/mod.rs", "use crate::*;").len(), 1);
}

#[test]
fn an_outside_crate_in_the_wrong_room_is_found() {
    assert_eq!(
        complaints_about(
            "flow/mod.rs",
            "fn f(_: k8s_openapi::api::core::v1::Pod, _: serde::de::Unexpected) {}"
        ),
        ["src/flow/mod.rs:1: `k8s_openapi::api::core::v1::Pod`: `k8s_openapi` may be named only in k8s"]
    );
    assert_eq!(complaints_about("k8s/wait.rs", "use kube::Client;"), [""; 0]);
    assert_eq!(complaints_about("clouds/aws/eks.rs", "use aws_sdk_eks as eks;"), [""; 0]);
    assert_eq!(complaints_about("clouds/gcp/gke.rs", "use aws_sdk_eks as eks;").len(), 1);
}

#[test]
fn what_only_one_room_does_is_found_elsewhere() {
    for (path, rooms, reason) in ONLY_IN {
        let text = format!("fn f() {{ {path}(); }}");
        let found = complaints_about("k8s/mod.rs", &text);
        assert!(
            found.iter().any(|complaint| complaint.ends_with(reason)),
            "`{path}` was not found: {found:?}"
        );
        let (parent, name) = path.rsplit_once("::").expect("a path");
        let imported = complaints_about("k8s/mod.rs", &format!("use {parent}::{{{name} as thing}};"));
        assert!(
            imported.iter().any(|complaint| complaint.ends_with(reason)),
            "`{path}` as import: {imported:?}"
        );
        for room in rooms {
            let allowed = complaints_about(&format!("{room}/mod.rs"), &text);
            assert!(!allowed.iter().any(|complaint| complaint.ends_with(reason)), "{allowed:?}");
        }
    }
}
