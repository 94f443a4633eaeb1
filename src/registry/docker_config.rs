use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::credentials::HELPER;
use crate::base::{Fault, FaultKind};
use crate::os::files;

/// The configuration of the user's container engine: `~/.docker/config.json`.
#[derive(Debug, Clone)]
pub struct DockerConfig {
    path: PathBuf,
}

/// What [`DockerConfig::use_helper`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The helper was there for this registry.
    Unchanged,
    /// The file names the helper now.
    Written,
    /// Another helper was named for this registry and stays.
    Other(String),
}

impl DockerConfig {
    /// The file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it; nothing where there is no such file.
    pub(super) fn read(&self) -> Result<Map<String, Value>, Fault> {
        let text = files::read_if_there(&files::real_path(&self.path))?.unwrap_or_default();
        parse(&text).map_err(|problem| {
            let attempted = format!("read the logins in `{}`", self.path.display());
            Fault::new(FaultKind::Invalid, attempted, problem)
                .hint("mend that file, or name another folder in DOCKER_CONFIG")
        })
    }

    /// Lets engines ask berth for the login of the registry `host`. All else in the file stays as it is.
    ///
    /// If this dies half way, the file is the old one.
    pub fn use_helper(&self, host: &str) -> Result<Entry, Fault> {
        // Where the file is a link, the file behind it is written.
        let path = files::real_path(&self.path);
        let text = files::read_if_there(&path)?.unwrap_or_default();
        let (entry, text) = with_helper(&text, host).map_err(|problem| {
            let attempted = format!("name berth's credential helper in `{}`", self.path.display());
            Fault::new(FaultKind::Invalid, attempted, problem)
                .hint("mend that file, or move it away: nothing of it was changed")
        })?;
        if entry == Entry::Written {
            if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
                files::make_private_folder(folder)?;
            }
            files::write_private(&path, text.as_bytes())?;
        }
        Ok(entry)
    }
}

/// What is in the file `text`; nothing in an empty one.
fn parse(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    // What a parser says may quote the file, which holds logins.
    serde_json::from_str(text)
        .map_err(|error| format!("it is no JSON object (line {}, column {})", error.line(), error.column()))
}

/// The file `text` with the helper for `host`.
fn with_helper(text: &str, host: &str) -> Result<(Entry, String), String> {
    let mut config = parse(text)?;
    let helpers = config.entry("credHelpers").or_insert_with(|| Value::Object(Map::new()));
    let Some(helpers) = helpers.as_object_mut() else {
        return Err("`credHelpers` is no object".to_string());
    };
    match helpers.get(host).and_then(Value::as_str) {
        Some(HELPER) => return Ok((Entry::Unchanged, text.to_string())),
        Some(other) => return Ok((Entry::Other(other.to_string()), text.to_string())),
        None => helpers.insert(host.to_string(), Value::from(HELPER)),
    };
    // Docker writes it with tabs.
    let mut written = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut written, formatter);
    config.serialize(&mut serializer).expect("plain values with text keys are JSON");
    let text = String::from_utf8(written).expect("JSON is UTF-8");
    Ok((Entry::Written, text + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "localhost:5001";

    #[test]
    fn all_else_in_the_file_stays_in_its_order() {
        let text =
            "{\n\t\"auths\": {\n\t\t\"ghcr.io\": {}\n\t},\n\t\"credsStore\": \"desktop\",\n\t\"x\": 1\n}\n";
        let (entry, written) = with_helper(text, HOST).expect("an object");
        assert_eq!(entry, Entry::Written);
        let kept = text.trim_end().trim_end_matches("\n}");
        assert!(written.starts_with(kept), "{written}");
        assert!(written.contains("\"credHelpers\": {\n\t\t\"localhost:5001\": \"berth\"\n\t}"), "{written}");
        assert_eq!(with_helper(&written, HOST), Ok((Entry::Unchanged, written.clone())));
    }

    #[test]
    fn a_helper_that_the_user_chose_stays() {
        let text = "{\"credHelpers\": {\"localhost:5001\": \"pass\"}}";
        assert_eq!(with_helper(text, HOST).map(|(entry, _)| entry), Ok(Entry::Other("pass".to_string())));
    }

    #[test]
    fn a_damaged_file_is_refused_without_its_content() {
        let problem = with_helper("{\"auths\": {\"ghcr.io\": {\"auth\": \"c2VjcmV0\"", HOST);
        let problem = problem.expect_err("cut off");
        assert!(problem.starts_with("it is no JSON object (line 1"), "{problem}");
        assert!(!problem.contains("c2VjcmV0"), "{problem}");
        assert!(with_helper("[]", HOST).is_err() && with_helper("{\"credHelpers\": 1}", HOST).is_err());
    }

    #[test]
    fn a_link_stays_a_link_and_the_folder_is_made() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let new = DockerConfig::new(folder.path().join(".docker/config.json"));
        assert_eq!(new.use_helper(HOST), Ok(Entry::Written));
        assert_eq!(new.use_helper(HOST), Ok(Entry::Unchanged));
        let link = folder.path().join("link.json");
        std::os::unix::fs::symlink(new.path(), &link).expect("linked");
        assert_eq!(DockerConfig::new(&link).use_helper("localhost:5002"), Ok(Entry::Written));
        assert!(link.symlink_metadata().expect("there").is_symlink());
    }
}
