use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::files;
use crate::base::Fault;

/// An advisory lock on a file (`flock`). The system lets go of it when the last process that holds
/// the file open ends, however it ends.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

/// Who holds a lock that could not be had, in the words it wrote into the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// For example `berth up lab, process 4711, since 2026-11-21T00:15:00Z`.
    pub by: String,
}

impl FileLock {
    /// Takes the lock on the file at `path`, made if need be, and writes `holder` into it.
    /// When somebody else has it, says who.
    pub fn try_take(path: &Path, holder: &str) -> Result<Result<Self, Held>, Fault> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| files::fault("open", path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut by = String::new();
                file.read_to_string(&mut by).map_err(|error| files::fault("read", path, &error))?;
                return Ok(Err(Held { by }));
            }
            Err(TryLockError::Error(error)) => return Err(files::fault("lock", path, &error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(|error| files::fault("write", path, &error))?;
        Ok(Ok(Self { file }))
    }

    /// Who holds the lock on the file at `path` now; `None` when nobody does. Takes nothing.
    pub fn holder(path: &Path) -> Result<Option<Held>, Fault> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(files::fault("open", path, &error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => {
                let mut by = String::new();
                file.read_to_string(&mut by).map_err(|error| files::fault("read", path, &error))?;
                Ok(Some(Held { by }))
            }
            Err(TryLockError::Error(error)) => Err(files::fault("lock", path, &error)),
        }
    }

    /// A second handle on the locked file, for a child that shall keep the lock while it lives.
    pub fn share(&self, path: &Path) -> Result<File, Fault> {
        self.file.try_clone().map_err(|error| files::fault("share the lock on", path, &error))
    }
}

/// A lock by the mere existence of a file, as client-go takes it on kubeconfigs (`config.lock`).
/// The file goes when this is dropped; a process that is killed leaves it.
#[derive(Debug)]
pub struct MarkerLock {
    path: PathBuf,
}

impl MarkerLock {
    /// Makes the file at `path`; `None` when it is there already.
    pub fn try_take(path: &Path) -> Result<Option<Self>, Fault> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(_) => Ok(Some(Self { path: path.to_path_buf() })),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(files::fault("make", path, &error)),
        }
    }
}

impl Drop for MarkerLock {
    fn drop(&mut self) {
        // If it cannot be removed, the next taker says which file is in the way.
        std::fs::remove_file(&self.path).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_learns_who_holds_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lock");
        let first = FileLock::try_take(&path, "berth up lab").expect("opened").expect("free");
        let second = FileLock::try_take(&path, "berth down lab").expect("opened");
        assert_eq!(second.expect_err("held"), Held { by: "berth up lab".to_string() });
        assert_eq!(FileLock::holder(&path), Ok(Some(Held { by: "berth up lab".to_string() })));
        drop(first);
        assert_eq!(FileLock::holder(&path), Ok(None));
        FileLock::try_take(&path, "berth down lab").expect("opened").expect("free again");
    }

    #[test]
    fn a_marker_is_there_exactly_as_long_as_it_is_held() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("config.lock");
        let held = MarkerLock::try_take(&path).expect("made").expect("free");
        assert!(MarkerLock::try_take(&path).expect("asked").is_none());
        drop(held);
        assert!(MarkerLock::try_take(&path).expect("asked").is_some());
        assert!(!path.exists());
    }
}
