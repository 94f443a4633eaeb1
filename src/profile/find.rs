//! From a name to a profile: a file, or one that ships in the binary.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use super::load::is_yaml;
use super::nearest::nearest;
use crate::os::files::{names_in, real_path};

static SHIPPED: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/profiles");

/// A profile that is there, not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// As messages call it: the path as typed, or `shipped/NAME.yaml`.
    pub shown: String,
    pub(super) origin: Origin,
    /// What the id of a local environment follows from: the real path, or the name of a shipped profile.
    pub(super) identity: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File(PathBuf),
    Shipped { text: &'static str, folder: PathBuf },
}

impl Found {
    /// The file, unless it ships in the binary.
    pub fn path(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File(path) => Some(path),
            Origin::Shipped { .. } => None,
        }
    }

    /// The profile in the file at `path`, which need not be there.
    pub fn file(path: &Path) -> Self {
        Self {
            shown: path.display().to_string(),
            origin: Origin::File(path.to_path_buf()),
            identity: real_path(path),
        }
    }

    /// Whether it ships in the binary.
    pub fn is_shipped(&self) -> bool {
        matches!(self.origin, Origin::Shipped { .. })
    }
}

/// There is no profile of a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile `{name}`: no file `{}`, and none of that name ships with berth", file.display())]
pub struct NotFound {
    /// As typed.
    pub name: String,
    /// Where it was looked for.
    pub file: PathBuf,
    /// What to type next.
    pub hint: String,
}

/// The profile that `name_or_file` names: a file when it holds a `/` or ends in `.yaml` or `.yml`, else
/// `FOLDER/NAME.yaml`, else the one of that name that ships in the binary.
pub fn find(name_or_file: &str, folder: &Path) -> Result<Found, NotFound> {
    if name_or_file.contains('/') || is_yaml(name_or_file) {
        let path = Path::new(name_or_file);
        if is_there(path) {
            return Ok(Found::file(path));
        }
        return Err(NotFound {
            name: name_or_file.to_string(),
            file: path.to_path_buf(),
            hint: "check the path, or name an environment: `berth list` shows them".to_string(),
        });
    }
    let file = folder.join(format!("{name_or_file}.yaml"));
    if !name_or_file.is_empty() && is_there(&file) && !file.is_dir() {
        return Ok(Found::file(&file));
    }
    let shown = format!("shipped/{name_or_file}.yaml");
    if let Some(text) = SHIPPED.get_file(format!("{name_or_file}.yaml")).and_then(|file| file.contents_utf8())
    {
        let identity = PathBuf::from(&shown);
        let origin = Origin::Shipped { text, folder: folder.to_path_buf() };
        return Ok(Found { shown, origin, identity });
    }
    let hint = hint(name_or_file, folder);
    Err(NotFound { name: name_or_file.to_string(), file, hint })
}

/// Whether there is something, or may be: where looking is forbidden, reading says so. A file that is merely
/// hidden shall not be replaced by a shipped one of its name.
fn is_there(path: &Path) -> bool {
    path.try_exists().unwrap_or_else(|error| error.kind() != std::io::ErrorKind::NotADirectory)
}

fn hint(name: &str, folder: &Path) -> String {
    // A folder that cannot be listed offers no names; the missing file is what is reported.
    let own = names_in(folder).unwrap_or_default();
    let own = own.iter().filter_map(|file| file.strip_suffix(".yaml"));
    // A profile in the folder stands in front of a shipped one of the same name.
    let names: BTreeSet<&str> = own.chain(shipped()).collect();
    match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("`berth init {name}` writes one; there are {}", Vec::from_iter(names).join(", ")),
    }
}

/// The names of the profiles that ship in the binary, sorted.
pub fn shipped() -> Vec<&'static str> {
    let mut names: Vec<&str> =
        SHIPPED.files().filter_map(|file| file.path().to_str()?.strip_suffix(".yaml")).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shipped_profile_never_stands_in_for_a_file_that_cannot_be_looked_at() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(find("lab", folder.path()).is_ok_and(|found| found.is_shipped()));
        // A link to itself is there and leads nowhere, for every user.
        let file = folder.path().join("lab.yaml");
        std::os::unix::fs::symlink(&file, &file).expect("the folder is ours");
        assert_eq!(find("lab", folder.path()), Ok(Found::file(&file)));
    }
}
