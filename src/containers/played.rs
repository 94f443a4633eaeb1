//! Engines for tests of other rooms.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{Engine, EngineKind, EngineSearch};

/// Does what the file beside it says. A program that was written just now may be open in another test's child for a
/// moment, and then cannot be started; this one is linked to.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/engines/played");

impl Engine {
    /// An engine of `kind` in `folder` whose program does what the shell script `script` says.
    pub(crate) fn played(kind: EngineKind, folder: &Path, script: &str) -> Self {
        let program = folder.join(kind.program());
        fs::write(program.with_extension("played"), script).expect("the folder is ours");
        match symlink(PROGRAM, &program) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            linked => linked.expect("the folder is ours"),
        }
        EngineSearch::new(Some(kind), folder).find().expect("it was just linked to")
    }
}
