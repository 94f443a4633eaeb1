use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::{Fault, FaultKind, Owner};
use crate::os::files;

/// Where berth keeps what it makes on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Clusters and what belongs to an environment; nothing here can be made again without loss.
    pub state: PathBuf,
    /// What can be fetched or built again.
    pub cache: PathBuf,
}

impl Dirs {
    /// The folder of one environment: its mark, its kubeconfig, its lock. Made 0700 by who writes first.
    pub fn environment(&self, owner: &Owner) -> PathBuf {
        self.state.join("environments").join(local_name(owner))
    }

    /// The private kubeconfig of an environment that berth made a cluster for.
    pub fn kubeconfig(&self, owner: &Owner) -> PathBuf {
        self.environment(owner).join("kubeconfig")
    }
}

/// The name of an environment on this machine, `lab-7f3k2q9d`: names may repeat, ids do not.
fn local_name(owner: &Owner) -> String {
    format!("{}-{}", owner.environment, owner.id)
}

/// The places of one kwok cluster.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    /// The cluster's name to kwokctl.
    pub(super) cluster: String,
    /// `KWOK_WORKDIR`.
    pub(super) kwok: PathBuf,
    /// berth's own folder of the environment.
    pub(super) own: PathBuf,
    /// What kwokctl fetched or built: shared by all clusters, and no part of any.
    pub(super) cache: PathBuf,
}

impl Folder {
    pub(super) fn new(dirs: &Dirs, owner: &Owner) -> Self {
        Self {
            cluster: local_name(owner),
            kwok: dirs.state.join("kwok"),
            own: dirs.environment(owner),
            cache: dirs.cache.join("kwok"),
        }
    }

    /// kwokctl's folder of the cluster.
    pub(super) fn cluster_folder(&self) -> PathBuf {
        self.kwok.join("clusters").join(&self.cluster)
    }

    /// What the path of every process of the cluster begins with.
    pub(super) fn programs(&self) -> PathBuf {
        self.cluster_folder().join("bin")
    }

    pub(super) fn mark(&self) -> PathBuf {
        self.own.join(MARK)
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.own.join("kubeconfig")
    }

    /// The file that kwokctl writes its own words of access to.
    pub(super) fn kwokctl_kubeconfig(&self) -> PathBuf {
        self.own.join("kwokctl.kubeconfig")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.own.join("kwokctl.yaml")
    }

    /// The lock that a running kwokctl holds.
    pub(super) fn lock(&self) -> PathBuf {
        self.own.join("kwokctl.lock")
    }

    /// What of a finished cluster is missing, so that starting it cannot help.
    pub(super) fn missing_part(&self) -> Option<&'static str> {
        let folder = self.cluster_folder();
        ["kwok.yaml", "kubeconfig.yaml", "pki/ca.crt", "pki/admin.crt", "pki/admin.key", "etcd/member"]
            .into_iter()
            .find(|part| !folder.join(part).exists())
    }

    /// Makes the folders, for the user alone.
    pub(super) fn make(&self) -> Result<(), Fault> {
        files::make_private_folder(&self.kwok)?;
        files::make_private_folder(&self.own)
    }

    /// Removes berth's own files of the cluster, the mark last, and the folder when it is empty.
    pub(super) fn remove_own(&self) -> Result<(), Fault> {
        for path in [self.kubeconfig(), self.kwokctl_kubeconfig(), self.config(), self.lock()] {
            files::remove_if_there(&path)?;
        }
        files::remove_folder_if_there(&self.own.join("metrics-server"))?;
        files::remove_if_there(&self.mark())?;
        // The lock and journal of the run that removes the cluster may still be in there.
        std::fs::remove_dir(&self.own).ok();
        Ok(())
    }
}

const MARK: &str = "mark.json";

/// The owner mark of a local cluster: written before anything is made, removed last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Whose it is.
    pub owner: Owner,
    /// The provider that plays it.
    pub provider: String,
    /// When its making began.
    pub created: Timestamp,
    /// When its making was finished; until then nothing of value is in it.
    pub finished: Option<Timestamp>,
    /// The Kubernetes that it runs, `1.36.3`, when that is known.
    pub kubernetes: Option<String>,
    /// Whether its metrics API was enabled.
    pub metrics: bool,
    /// The hash of the configuration that it was made with.
    pub config: String,
}

impl Mark {
    /// The mark at `path`; `None` when there is none.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Fault> {
        let hint = "move that file away and run the same command again";
        let text = files::read_if_there(path).map_err(|fault| match fault.hint {
            Some(_) => fault,
            None => fault.hint(hint),
        })?;
        let Some(text) = text else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Fault::new(FaultKind::Invalid, format!("read `{}`", path.display()), error.to_string()).hint(hint)
        })
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Fault> {
        let text = serde_json::to_vec_pretty(self).expect("a mark is plain data");
        files::write_private(path, &text)
    }
}

/// The marks of all environments that have a local cluster, sorted by name.
pub fn environments(dirs: &Dirs) -> Result<Vec<Mark>, Fault> {
    let folder = dirs.state.join("environments");
    let mut marks = Vec::new();
    for name in files::names_in(&folder)? {
        marks.extend(Mark::read(&folder.join(name).join(MARK))?);
    }
    Ok(marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_are_found_by_their_marks() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dirs = Dirs { state: folder.path().to_path_buf(), cache: folder.path().join("cache") };
        assert_eq!(environments(&dirs), Ok(Vec::new()));
        let owner = Owner { id: "7f3k2q9d".to_string(), environment: "lab".to_string() };
        let place = Folder::new(&dirs, &owner);
        place.make().expect("made");
        let mark = Mark {
            owner,
            provider: "kwok".to_string(),
            created: Timestamp::UNIX_EPOCH,
            finished: None,
            kubernetes: Some("1.36.3".to_string()),
            metrics: true,
            config: "abc".to_string(),
        };
        mark.write(&place.mark()).expect("written");
        assert_eq!(environments(&dirs), Ok(vec![mark]));
        place.remove_own().expect("removed");
        assert_eq!(environments(&dirs), Ok(Vec::new()));
        assert!(!place.own.exists());
    }
}
