//! From files to one merged tree.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compose::{merge, settle};
use super::diagnostic::Diagnostic;
use super::files::{Files, Problem, without_detours};
use super::tree::{FileNumber, Node, Place, Value};
use super::yaml;
use crate::os::files::{names_in, read_at_most, real_path};

/// The longest file that is read, in bytes.
const LONGEST: u64 = 8 * 1024 * 1024;
/// More files in one profile are a mistake, such as two bases that each extend the same two.
const MOST_FILES: usize = 5_000;

/// Reads files into trees and keeps what is wrong with them.
pub(super) struct Loader {
    pub files: Files,
    pub problems: Vec<Problem>,
    /// About files that cannot be read at all.
    pub diagnostics: Vec<Diagnostic>,
    /// The profiles that are being read, outermost first: as shown, and the real path.
    chain: Vec<(String, PathBuf)>,
    read: usize,
}

/// A file to read: as the user knows it, and where it is.
pub(super) struct Source<'a> {
    pub shown: &'a str,
    pub path: &'a Path,
}

impl Loader {
    pub fn new() -> Self {
        Self {
            files: Files::default(),
            problems: Vec::new(),
            diagnostics: Vec::new(),
            chain: Vec::new(),
            read: 0,
        }
    }

    /// The tree of a profile that is in a file, with its bases below it. `named_at` is where a profile
    /// names it as a base.
    pub fn profile(&mut self, source: &Source<'_>, named_at: Option<Place>) -> Option<Node> {
        let real = real_path(source.path);
        if let Some(start) = self.chain.iter().position(|(_, path)| *path == real) {
            let mut names: Vec<&str> = self.chain[start..].iter().map(|(shown, _)| shown.as_str()).collect();
            names.push(&self.chain[start].0);
            let message = format!("`extends` goes round in a circle: {}", names.join(" -> "));
            let place = named_at.unwrap_or_default();
            self.problems.push(Problem::new(place, message, "take one of these files out of an `extends`"));
            return None;
        }
        let (file, text) = self.text(source, named_at)?;
        self.chain.push((source.shown.to_string(), real));
        let tree = self.composed(file, &text);
        self.chain.pop();
        tree
    }

    /// The tree of a profile that ships in the binary.
    pub fn shipped(&mut self, shown: &str, folder: &Path, text: &str) -> Option<Node> {
        let file = self.files.add(shown, None, folder, text.into());
        self.composed(file, text)
    }

    fn composed(&mut self, file: FileNumber, text: &str) -> Option<Node> {
        let start = Place { file, line: 1, column: 1, width: 1 };
        let mut documents = self.documents(file, text)?;
        if let Some(second) = documents.get(1) {
            self.problems.push(Problem::new(
                second.place,
                "a profile is one document, this is a second one",
                "put it into a file of its own; tenants can have theirs under `tenantsFrom`",
            ));
        }
        if documents.is_empty() {
            self.problems.push(Problem::new(
                start,
                "this file is empty",
                "write a profile, or let `berth init` write one",
            ));
            return None;
        }
        let mut tree = documents.swap_remove(0);
        let Value::Map(entries) = &mut tree.value else {
            let message = format!("a profile is a map, this is {}", tree.describe());
            self.problems.push(Problem::new(
                tree.place,
                message,
                "begin with `apiVersion: berth.dev/v1alpha1`",
            ));
            return None;
        };
        let extends = entries.iter().position(|entry| &*entry.key == "extends");
        let Some(extends) = extends.map(|number| entries.remove(number).node) else {
            return Some(settle(tree, &mut self.problems));
        };
        let mut base: Option<Node> = None;
        for named in self.base_names(&extends)? {
            let next = self.base(file, &named)?;
            // An `id` is the mark of one environment: shared, two of them would be one.
            if let Some(id) = next.entry("id") {
                self.problems.push(Problem::new(
                    id.key_place,
                    "a base must not have an `id`",
                    "the id marks what one environment owns: move it into each profile that extends this file",
                ));
            }
            base = Some(match base {
                Some(base) => merge(base, next, &mut self.problems),
                None => next,
            });
        }
        Some(match base {
            Some(base) => merge(base, tree, &mut self.problems),
            None => settle(tree, &mut self.problems),
        })
    }

    /// The files under `extends`; `None` when it is no list of files.
    fn base_names(&mut self, extends: &Node) -> Option<Vec<Node>> {
        let Value::List(items) = &extends.value else {
            let message = format!("expected a list of files, found {}", extends.describe());
            self.problems.push(Problem::new(extends.place, message, "write `extends: [base.yaml]`"));
            return None;
        };
        let mut all_are_text = true;
        for item in items.iter().filter(|item| item.text().is_none()) {
            let message = format!("expected the path of a file, found {}", item.describe());
            self.problems.push(Problem::new(item.place, message, "write `extends: [base.yaml]`"));
            all_are_text = false;
        }
        all_are_text.then(|| items.clone())
    }

    fn base(&mut self, file: FileNumber, named: &Node) -> Option<Node> {
        let relative = named.text().unwrap_or_default();
        let path = self.files.folder(file).join(relative);
        let shown = self.shown_beside(file, relative);
        self.profile(&Source { shown: &shown, path: &path }, Some(named.place))
    }

    /// How the user would know a file that `file` names by `relative`.
    fn shown_beside(&self, file: FileNumber, relative: &str) -> String {
        let folder = Path::new(self.files.shown(file)).parent().unwrap_or(Path::new(""));
        without_detours(&folder.join(relative)).display().to_string()
    }

    /// The tenants of the files that `tenantsFrom` of `tree` names, in the order of their file names.
    pub fn tenants_from(&mut self, tree: &Node, home: &Path) -> Vec<Node> {
        let mut tenants = Vec::new();
        for named in tree.get("tenantsFrom").map(Node::items).unwrap_or_default() {
            let Some(text) = named.text() else { continue };
            let path = match text.strip_prefix("~/") {
                Some(rest) => home.join(rest),
                None => self.files.folder(named.place.file).join(text),
            };
            let shown = self.shown_beside(named.place.file, text);
            if path.is_file() {
                tenants.extend(self.tenant_file(&Source { shown: &shown, path: &path }, named.place));
                continue;
            }
            let names = match names_in(&path) {
                Ok(names) if path.is_dir() => names,
                Ok(_) => {
                    self.problems.push(Problem::new(
                        named.place,
                        format!("there is no folder `{shown}`"),
                        "make it, or correct the path: it is relative to this file",
                    ));
                    continue;
                }
                Err(fault) => {
                    let message = format!("cannot read `{shown}`: {}", fault.reason);
                    self.problems.push(Problem::new(
                        named.place,
                        message,
                        "check the owner and mode of that path",
                    ));
                    continue;
                }
            };
            for name in names.iter().filter(|name| is_yaml(name) && !name.starts_with('.')) {
                let shown = Path::new(&shown).join(name).display().to_string();
                tenants
                    .extend(self.tenant_file(&Source { shown: &shown, path: &path.join(name) }, named.place));
            }
        }
        tenants
    }

    fn tenant_file(&mut self, source: &Source<'_>, named_at: Place) -> Vec<Node> {
        let Some((file, text)) = self.text(source, Some(named_at)) else { return Vec::new() };
        let documents = self.documents(file, &text).unwrap_or_default();
        documents.into_iter().filter_map(|document| self.tenant(document)).collect()
    }

    /// A document of `kind: Tenant` without its kind.
    fn tenant(&mut self, document: Node) -> Option<Node> {
        let mut document = settle(document, &mut self.problems);
        for (key, expected) in [("apiVersion", super::schema::API_VERSION), ("kind", "Tenant")] {
            let (place, found) = match document.get(key) {
                Some(node) if node.text() == Some(expected) => continue,
                Some(node) => (node.place, format!("expected `{expected}`, found {}", node.describe())),
                None => (document.place, format!("`{key}` is missing")),
            };
            let help = format!("write `{key}: {expected}`: files under `tenantsFrom` hold one tenant each");
            self.problems.push(Problem::new(place, found, help));
            return None;
        }
        if let Value::Map(entries) = &mut document.value {
            entries.retain(|entry| !matches!(&*entry.key, "apiVersion" | "kind"));
        }
        Some(document)
    }

    fn documents(&mut self, file: FileNumber, text: &str) -> Option<Vec<Node>> {
        match yaml::parse(text, file) {
            Ok(documents) => Some(documents),
            Err(errors) => {
                let problems = errors.into_iter().map(|e| Problem::new(e.place, e.message, e.help));
                self.problems.extend(problems);
                None
            }
        }
    }

    fn text(&mut self, source: &Source<'_>, named_at: Option<Place>) -> Option<(FileNumber, Arc<str>)> {
        self.read += 1;
        let read = if self.read > MOST_FILES {
            Err((
                format!("this profile is made of more than {MOST_FILES} files"),
                "look for bases that extend each other's bases".to_string(),
            ))
        } else {
            read_text(source.path)
        };
        match read {
            Ok(text) => {
                let text: Arc<str> = text.into();
                let folder = real_path(source.path.parent().unwrap_or(Path::new("")));
                let file = self.files.add(source.shown, Some(source.path), &folder, Arc::clone(&text));
                Some((file, text))
            }
            Err((reason, help)) => {
                if let Some(place) = named_at {
                    let message = format!("cannot read `{}`: {reason}", source.shown);
                    self.problems.push(Problem::new(place, message, help));
                } else {
                    let message = format!("cannot read this file: {reason}");
                    self.diagnostics.push(Diagnostic::of_file(source.shown, message, help));
                }
                None
            }
        }
    }
}

pub(super) fn is_yaml(name: &str) -> bool {
    matches!(Path::new(name).extension().and_then(|e| e.to_str()), Some("yaml" | "yml"))
}

/// The text of a file, or why there is none and what to do.
fn read_text(path: &Path) -> Result<String, (String, String)> {
    use std::io::ErrorKind;
    let content = match read_at_most(path, LONGEST) {
        Ok(Some(content)) => content,
        Ok(None) => {
            return Err((
                format!("it is longer than {} MiB", LONGEST >> 20),
                "split it: bases go under `extends`, tenants under `tenantsFrom`".to_string(),
            ));
        }
        Err(error) => {
            return Err(match error.kind() {
                ErrorKind::NotFound => (
                    "there is no such file".to_string(),
                    "correct the path: in a profile it is relative to the file that names it".to_string(),
                ),
                ErrorKind::IsADirectory => ("it is a folder".to_string(), "name a file in it".to_string()),
                ErrorKind::PermissionDenied => {
                    ("permission denied".to_string(), "check the owner and mode of that path".to_string())
                }
                _ => (error.to_string().to_lowercase(), "check that path".to_string()),
            });
        }
    };
    String::from_utf8(content).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = String::from_utf8_lossy(good).split('\n').count();
        (
            format!("it is not UTF-8, first on line {line}"),
            "save it as UTF-8: `iconv -f latin1 -t utf-8` converts from Latin-1".to_string(),
        )
    })
}
