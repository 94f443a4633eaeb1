//! Engines for tests of other rooms.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Engine, EngineKind, EngineSearch};

impl Engine {
    /// An engine of `kind` whose program is the shell script `script`, written into `folder`.
    pub(crate) fn played(kind: EngineKind, folder: &Path, script: &str) -> Self {
        let program = folder.join(kind.program());
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("the folder is ours");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        EngineSearch::new(Some(kind), folder).find().expect("it was just written")
    }
}
