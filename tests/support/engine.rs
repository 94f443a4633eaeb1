use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A program that is called `docker`, `podman` or `nerdctl` and says what the real one was recorded to say.
///
/// A call is answered by the first rule whose pattern (of `case` in a shell) fits its arguments; one that nobody
/// wrote a rule for fails with 97, so that it is seen.
pub struct EngineShim {
    folder: TempDir,
    name: String,
    rules: Vec<(String, String)>,
    behind: Option<Box<EngineShim>>,
}

impl EngineShim {
    /// One that answers nothing yet.
    pub fn new(name: &str) -> Self {
        let folder =
            tempfile::Builder::new().prefix("berth-engine-").tempdir().expect("a temp folder is writable");
        Self { folder, name: name.to_string(), rules: Vec::new(), behind: None }
    }

    /// What was recorded of `engine` in `file`, below tests/fixtures/engines.
    pub fn recorded(engine: &str, file: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/engines").join(engine).join(file)
    }

    /// Prints the content of `file`.
    #[must_use]
    pub fn prints(self, pattern: &str, file: &Path) -> Self {
        let script = format!("cat '{}'", file.display());
        self.does(pattern, &script)
    }

    /// Says `words` on standard error and ends with `code`.
    #[must_use]
    pub fn fails(self, pattern: &str, words: &str, code: u8) -> Self {
        let file = self.folder.path().join(format!("words-{}", self.rules.len()));
        fs::write(&file, format!("{words}\n")).expect("the folder is ours");
        let script = format!("cat '{}' >&2; exit {code}", file.display());
        self.does(pattern, &script)
    }

    /// Does not answer until it is killed.
    #[must_use]
    pub fn hangs(self, pattern: &str) -> Self {
        self.does(pattern, "exec tail -f /dev/null")
    }

    /// Runs `script`.
    #[must_use]
    pub fn does(mut self, pattern: &str, script: &str) -> Self {
        let pattern = pattern.replace(' ', "\\ ");
        self.rules.push((pattern, script.to_string()));
        self.write();
        self
    }

    /// The same, and what it has no rule for as `other` would answer.
    #[must_use]
    pub fn followed_by(self, other: Self) -> Self {
        let name = self.name.clone();
        let script = format!("exec '{}' \"$@\"", other.folder().join(&name).display());
        let mut joined = self.does("*", &script);
        // It is asked as long as this one is.
        joined.behind = Some(Box::new(other));
        joined
    }

    /// The folder for PATH.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    /// The arguments of every call so far, one line for each.
    pub fn calls(&self) -> String {
        // Nothing was called as long as there is no such file.
        fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default()
    }

    /// What was sent to the standard input of the last call that kept it, by `cat >KEPT` in its script.
    pub fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }

    fn write(&self) {
        let mut text = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$*\" >>'{0}/calls'\nKEPT=${{KEPT:-'{0}/kept'}}\nexport KEPT\ncase \"$*\" in\n",
            self.folder.path().display()
        );
        for (pattern, script) in &self.rules {
            text.push_str(&format!("{pattern})\n\t{script}\n\t;;\n"));
        }
        text.push_str("*)\n\techo \"shim: nobody said what to answer to: $*\" >&2\n\texit 97\n\t;;\nesac\n");
        let folder = self.folder();
        fs::create_dir_all(&folder).expect("the folder is ours");
        let program = folder.join(&self.name);
        fs::write(&program, text).expect("the folder is ours");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }
}
