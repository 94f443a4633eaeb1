use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::event::{Event, Listener};
use crate::base::{Fault, RunId};
use crate::os::files;

/// How many journals of an environment are kept.
const KEPT: usize = 20;

/// The event stream of a run in a file, one JSON object per line: history and what was in flight,
/// never needed for correctness.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    broken: bool,
}

impl Journal {
    /// Opens `FOLDER/RUN.jsonl` and removes the oldest journals beyond 20.
    pub fn open(folder: &Path, run: &RunId) -> Result<Self, Fault> {
        files::make_private_folder(folder)?;
        let names = files::names_in(folder)?;
        for old in names.iter().take((names.len() + 1).saturating_sub(KEPT)) {
            files::remove_if_there(&folder.join(old))?;
        }
        let path = folder.join(format!("{}.jsonl", run.as_str()));
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| files::fault("open", &path, &error))?;
        Ok(Self { path, file, broken: false })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Listener for Journal {
    fn on(&mut self, event: &Event) {
        if self.broken {
            return;
        }
        let written = serde_json::to_vec(event).map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            self.file.write_all(&line)
        });
        // A full disk must not stop a run that needs no disk: history ends here.
        self.broken = written.is_err();
    }
}
