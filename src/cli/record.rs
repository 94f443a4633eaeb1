//! What berth remembers of an environment on this machine, beside its journals: what the last run was,
//! so that `list` can tell without the profile. Never needed for correctness.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::exit::Exit;
use super::session::Session;
use crate::base::Fault;
use crate::engine::Direction;
use crate::os::files;
use crate::plan::About;

const FILE: &str = "record.json";

/// The last run on an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    /// The environment.
    pub(super) about: About,
    /// The profile's path or name, as it can be typed again from any folder.
    pub(super) profile: String,
    /// What it was.
    pub(super) command: Direction,
    /// The exit code; `None` while it runs, or after it was killed.
    pub(super) exit_code: Option<u8>,
    /// When it began.
    pub(super) began: Timestamp,
}

impl Record {
    /// A run that has just begun.
    pub(super) fn begun(session: &Session<'_>, command: Direction) -> Self {
        Self {
            about: session.about.clone(),
            profile: session.profile.clone(),
            command,
            exit_code: None,
            began: session.began,
        }
    }

    /// The same run, ended.
    pub(super) fn ended(self, exit: Exit) -> Self {
        Self { exit_code: Some(exit.code()), ..self }
    }

    /// Writes it into the environment's `folder`.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Fault> {
        let text = serde_json::to_vec_pretty(self).expect("plain values with text keys are JSON");
        files::write_private(&folder.join(FILE), &text)
    }

    /// Removes it from the environment's `folder`.
    pub(super) fn remove(folder: &Path) -> Result<(), Fault> {
        files::remove_if_there(&folder.join(FILE))
    }

    /// The record in the environment's `folder`; none when there is none or none that can be read.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Fault> {
        let text = files::read_if_there(&folder.join(FILE))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// How the environment is, as far as the last run knows.
    pub(super) fn state(&self) -> &'static str {
        match (self.command, self.exit_code) {
            (_, None) => "interrupted",
            (Direction::Up, Some(0)) => "up",
            (Direction::Up, Some(_)) => "partly up",
            (Direction::Down, Some(0)) => "down",
            (Direction::Down, Some(_)) => "partly down",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_and_scrap_is_none() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(Record::read(folder.path()), Ok(None));
        let record = Record {
            about: About {
                environment: "lab".to_string(),
                owner: "7f3k2q9d".to_string(),
                provider: "kind".to_string(),
                rehearsal: false,
                profile: "lab".to_string(),
                fingerprint: "f00d".to_string(),
                version: "0.1.0".to_string(),
            },
            profile: "/profiles/lab.yaml".to_string(),
            command: Direction::Up,
            exit_code: Some(6),
            began: Timestamp::UNIX_EPOCH,
        };
        record.write(folder.path()).expect("written");
        assert_eq!(Record::read(folder.path()), Ok(Some(record.clone())));
        assert_eq!(record.state(), "partly up");
        files::write_private(&folder.path().join(FILE), b"{").expect("written");
        assert_eq!(Record::read(folder.path()), Ok(None));
    }
}
