use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::base::{Checksum, Fault, FaultKind};
use crate::os::files;

/// The largest file that is fetched: manifests and charts are a few MiB at most.
pub(super) const LARGEST: u64 = 32 * 1024 * 1024;

/// Downloads, kept by their content: `CACHE/downloads/SHA256`. Who has no network puts them there.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    pub fn new(cache: &Path) -> Self {
        Self { folder: cache.join("downloads") }
    }

    /// Where the file with this hash is kept.
    pub fn path(&self, sha256: &Checksum) -> PathBuf {
        self.folder.join(sha256.as_str())
    }

    /// The file with this hash, when it is there whole.
    pub fn read(&self, sha256: &Checksum) -> Result<Option<Vec<u8>>, Fault> {
        let path = self.path(sha256);
        if !path.is_file() {
            return Ok(None);
        }
        Ok(Some(read(&path)?).filter(|content| sum(content) == *sha256))
    }

    /// Keeps `content`. If this dies half way, nothing is there under its hash.
    pub fn keep(&self, content: &[u8]) -> Result<(), Fault> {
        files::make_private_folder(&self.folder)?;
        files::write_private(&self.path(&sum(content)), content)
    }

    /// What to do where `fault` is that of a network.
    pub fn by_hand(&self, fault: Fault, sha256: &Checksum) -> Fault {
        if fault.kind != FaultKind::Transient {
            return fault;
        }
        fault.hint(format!(
            "look at your network and proxy; without any, put the file at `{}`",
            self.path(sha256).display()
        ))
    }

    /// A folder to fetch into, empty, which goes with the value.
    pub fn scratch(&self, name: &str) -> Result<Scratch, Fault> {
        let folder = self.folder.join(format!(".{name}.{}", std::process::id()));
        files::remove_folder_if_there(&folder)?;
        files::make_private_folder(&folder)?;
        Ok(Scratch(folder))
    }
}

/// A folder that goes with the value.
pub(super) struct Scratch(pub PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is found and removed by the next one of its name, or stays hidden in the cache.
        files::remove_folder_if_there(&self.0).ok();
    }
}

/// The file at `path`, of at most [`LARGEST`].
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let content = files::read_at_most(path, LARGEST).map_err(|error| files::fault("read", path, &error))?;
    content.ok_or_else(|| too_large(format!("read `{}`", path.display())))
}

pub(super) fn too_large(attempted: String) -> Fault {
    Fault::new(FaultKind::Invalid, attempted, format!("it is larger than {} MiB", LARGEST >> 20))
        .hint("name the chart or the manifests themselves: they are a few MiB at most")
}

/// The SHA-256 of `content`.
pub(super) fn sum(content: &[u8]) -> Checksum {
    let digits = format!("{:x}", Sha256::digest(content));
    digits.parse().expect("SHA-256 has 64 hex digits")
}

/// Refuses `content` that is not what the profile says.
pub(super) fn check(content: &[u8], wanted: &Checksum, attempted: &str) -> Result<(), Fault> {
    let found = sum(content);
    if found == *wanted {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::Invalid,
        attempted,
        format!("its SHA-256 is {found}, the profile says {wanted}"),
    )
    .hint(
        "somebody published it again under the same name, or changed it on the way: look at what it is now, \
         and only then write its new `sha256`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_by_its_hash_as_long_as_it_is_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::new(folder.path());
        let sha256 = sum(b"content");
        assert_eq!(store.read(&sha256), Ok(None));
        store.keep(b"content").expect("kept");
        assert_eq!(store.read(&sha256), Ok(Some(b"content".to_vec())));
        std::fs::write(store.path(&sha256), b"conte").expect("cut short");
        assert_eq!(store.read(&sha256), Ok(None));
    }

    #[test]
    fn another_content_is_refused_with_both_sums() {
        let fault = check(b"one", &sum(b"two"), "fetch `x`").expect_err("another");
        assert!(fault.reason.contains(sum(b"one").as_str()) && fault.reason.contains(sum(b"two").as_str()));
    }

    #[test]
    fn a_scratch_folder_goes_with_its_value() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let scratch = Store::new(folder.path()).scratch("web").expect("made");
        let path = scratch.0.clone();
        assert!(path.is_dir());
        drop(scratch);
        assert!(!path.exists());
    }
}
