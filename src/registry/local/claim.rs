use std::fs;
use std::path::{Path, PathBuf};

use super::users::Lab;
use crate::base::Fault;
use crate::os::{FileLock, files};

/// Where each run that brings up a lab says which registries it is going to use: until its nodes lead to them,
/// nobody could know. One locked file for each registry and lab; the system lets go of it when the run ends, however
/// it ends.
#[derive(Debug, Clone)]
pub struct Claims {
    /// The folder of all claims of this user.
    folder: PathBuf,
    /// The lock that a run holds which may change the lab.
    lock: PathBuf,
    /// The name of this lab's files.
    own: String,
    /// The name of its cluster, for the others.
    cluster: String,
}

/// A registry that this run uses. The file goes with it.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    _lock: FileLock,
}

impl Claims {
    /// Those of `lab`, kept below berth's folder `state`; a run that may change the lab holds `lock`.
    pub fn new(state: &Path, lock: PathBuf, lab: &Lab) -> Self {
        Self {
            folder: state.join("registries"),
            lock,
            own: format!("{}-{}", lab.owner.environment, lab.owner.id),
            cluster: lab.cluster.clone(),
        }
    }

    /// Says that the registry in container `name` is used; nothing in a run that only looks.
    pub(super) fn hold(&self, name: &str) -> Result<Option<Claim>, Fault> {
        if FileLock::holder(&self.lock)?.is_none() {
            return Ok(None);
        }
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).map_err(|error| files::fault("make", &folder, &error))?;
        let path = folder.join(&self.own);
        let taken = FileLock::try_take(&path, &self.cluster)?;
        // Whoever looks at this lab while it is brought up finds the claim of that run.
        Ok(taken.ok().map(|lock| Claim { path, _lock: lock }))
    }

    /// A lab that is being brought up now with the registry in container `name`, other than this one.
    pub(super) fn other(&self, name: &str) -> Result<Option<String>, Fault> {
        let folder = self.folder.join(name);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(files::fault("read", &folder, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| files::fault("read", &folder, &error))?;
            if entry.file_name().to_str() == Some(self.own.as_str()) {
                continue;
            }
            if let Some(held) = FileLock::holder(&entry.path())? {
                return Ok(Some(held.by));
            }
        }
        Ok(None)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // One that stays is held by nobody, and says nothing.
        fs::remove_file(&self.path).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Owner;

    fn claims(state: &Path, environment: &str) -> Claims {
        let owner = Owner { id: "7f3k2q9d".to_string(), environment: environment.to_string() };
        let lab =
            Lab { cluster: environment.to_string(), owner, networks: std::collections::BTreeMap::new() };
        Claims::new(state, state.join(environment), &lab)
    }

    #[test]
    fn a_run_that_brings_up_a_lab_is_known_by_the_others_until_it_ends() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let (one, other) = (claims(state.path(), "one"), claims(state.path(), "other"));
        assert!(one.hold("berth-registry").expect("asked").is_none(), "nobody holds the lock of the lab");
        let _run =
            FileLock::try_take(&state.path().join("one"), "berth up one").expect("opened").expect("free");
        let claim = one.hold("berth-registry").expect("taken");
        assert!(claim.is_some());
        assert_eq!(other.other("berth-registry"), Ok(Some("one".to_string())));
        assert_eq!(other.other("berth-registry-5002"), Ok(None));
        assert_eq!(one.other("berth-registry"), Ok(None));
        drop(claim);
        assert_eq!(other.other("berth-registry"), Ok(None));
    }
}
