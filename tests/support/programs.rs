use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder for PATH with programs that replay what real ones said: tests/fixtures/engines.
pub struct Programs {
    folder: TempDir,
}

impl Programs {
    /// None yet.
    pub fn new() -> Self {
        let folder =
            tempfile::Builder::new().prefix("berth-programs-").tempdir().expect("a temp folder is writable");
        Self { folder }
    }

    /// The folder for PATH.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Adds the shell script `body` as the program `name`.
    #[must_use]
    pub fn script(self, name: &str, body: &str) -> Self {
        let path = self.folder.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        self
    }

    /// Adds a docker that answers `info` with the recording `info`, and has no containers and networks.
    #[must_use]
    pub fn docker(self, info: &str) -> Self {
        self.docker_but(info, "")
    }

    /// The same, but for `cases`: branches of a shell's `case "$*" in`, which come first.
    #[must_use]
    pub fn docker_but(self, info: &str, cases: &str) -> Self {
        let info = recording(info);
        let body = format!(
            "case \"$*\" in\n{cases}\n'info '*) /bin/cat '{}' ;;\n'network ls'* | 'ps '*) ;;\n\
             *) echo \"not recorded: $*\" >&2; exit 70 ;;\nesac",
            info.display()
        );
        self.script("docker", &body)
    }

    /// Adds a docker whose every call fails with what the recording `said` holds.
    #[must_use]
    pub fn docker_that_fails(self, said: &str) -> Self {
        self.script("docker", &format!("/bin/cat '{}' >&2\nexit 1", recording(said).display()))
    }

    /// Adds a kind of this version.
    #[must_use]
    pub fn kind(self, version: &str) -> Self {
        self.script("kind", &format!("echo 'kind v{version} go1.26.8 linux/amd64'"))
    }
}

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/engines").join(name)
}
