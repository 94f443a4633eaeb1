use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use crate::base::{Fault, FaultKind};

/// A program to be run to its end, with its own process group so that a Ctrl-C at the terminal
/// reaches berth alone. Dropping the running future kills it.
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    folder: Option<PathBuf>,
    stdin: Option<File>,
    input: Option<Vec<u8>>,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output, as text.
    pub stdout: String,
    /// Standard error, as text.
    pub stderr: String,
}

impl Finished {
    /// Whether the exit code is 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// The last `lines` non-empty lines of standard error, for an error message.
    pub fn stderr_tail(&self, lines: usize) -> String {
        let all: Vec<&str> = self.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Program {
    /// The program at `path`, with berth's own environment and no arguments.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            folder: None,
            stdin: None,
            input: None,
        }
    }

    /// Adds one argument. Never give it a secret: arguments are visible to every user of the machine.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.insert(key.into(), value.into());
        self
    }

    /// Runs it in `folder`.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Lets the program hold `file` open as its standard input. With a locked file the lock lives
    /// as long as the program does, also when berth is killed.
    #[must_use]
    pub fn holding(mut self, file: File) -> Self {
        self.stdin = Some(file);
        self
    }

    /// Gives the program `input` as its standard input, whole. It may be a secret: nobody else sees it.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// The file name, for messages.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }

    /// Runs the program to its end. A non-zero exit is no fault: see [`Finished::code`].
    pub async fn run(mut self) -> Result<Finished, Fault> {
        let input = self.input.take();
        let stdin = match (&input, self.stdin.take()) {
            (Some(_), _) => Stdio::piped(),
            (None, Some(file)) => Stdio::from(file),
            (None, None) => Stdio::null(),
        };
        let mut child = self.spawn(stdin)?;
        let stdin = child.stdin.take();
        let feed = async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // One that ends before it has read everything says why by itself.
                stdin.write_all(&input).await.ok();
            }
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), feed);
        output.map(Finished::from).map_err(|error| self.fault(&error))
    }

    /// Starts it with `stdin`, to be killed when the handle is dropped.
    pub(super) fn spawn(&self, stdin: Stdio) -> Result<Child, Fault> {
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .envs(&self.environment)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command.spawn().map_err(|error| self.fault(&error))
    }

    fn fault(&self, error: &std::io::Error) -> Fault {
        let attempted = format!("run `{}`", self.name());
        Fault::new(FaultKind::Invalid, attempted, format!("`{}`: {error}", self.path.display()))
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The first executable file called `name` in the folders of `search_path` (the value of `PATH`).
pub fn find_on_path(name: &str, search_path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(search_path).map(|folder| folder.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
