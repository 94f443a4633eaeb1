use std::path::PathBuf;

use crate::base::{Fault, Owner};
use crate::os::files;
use crate::providers::Dirs;

/// berth's own files of one kind cluster: access, lock and history. All of it may be lost.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    /// The folder of the environment.
    pub(super) own: PathBuf,
}

impl Folder {
    pub(super) fn new(dirs: &Dirs, owner: &Owner) -> Self {
        Self { own: dirs.environment(owner) }
    }

    /// The private kubeconfig, in berth's words.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.own.join("kubeconfig")
    }

    /// The kubeconfig that kind writes as its last act: there as long as berth has not taken it over.
    pub(super) fn kind_kubeconfig(&self) -> PathBuf {
        self.own.join("kind.kubeconfig")
    }

    /// What kind was given. It is there from the beginning of the making until the cluster is known to be
    /// finished.
    pub(super) fn making(&self) -> PathBuf {
        self.own.join("kind.yaml")
    }

    /// What an adopted cluster is taken to be made with: its containers cannot be marked any more.
    pub(super) fn adopted(&self) -> PathBuf {
        self.own.join("adopted")
    }

    /// The lock that a running kind holds.
    pub(super) fn lock(&self) -> PathBuf {
        self.own.join("kind.lock")
    }

    /// Makes the folder, for the user alone.
    pub(super) fn make(&self) -> Result<(), Fault> {
        files::make_private_folder(&self.own)
    }

    /// Removes berth's own files of the cluster, and the folder when it is empty.
    pub(super) fn remove(&self) -> Result<(), Fault> {
        for path in [self.kubeconfig(), self.kind_kubeconfig(), self.making(), self.adopted(), self.lock()] {
            files::remove_if_there(&path)?;
        }
        // The lock and journal of the run that removes the cluster may still be in there.
        std::fs::remove_dir(&self.own).ok();
        Ok(())
    }
}
