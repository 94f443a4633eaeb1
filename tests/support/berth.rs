use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::control_plane::path_with_tools;

/// By these variables the programs of container engines find their daemons.
const NO_ENGINE: [&str; 3] = ["DOCKER_HOST", "CONTAINER_HOST", "CONTAINERD_ADDRESS"];

/// How a program ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Its process id, for what it left behind.
    pub pid: u32,
    /// From start to end.
    pub took: Duration,
}

impl Finished {
    /// Both outputs, for the message of a failed assertion.
    pub fn said(&self) -> String {
        format!("code {:?}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }

    /// Passes when it ended with `code`.
    ///
    /// # Panics
    /// With everything it said, otherwise.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.said());
        self
    }
}

/// A program that is still running; dropped, it is killed.
pub struct Running {
    child: Child,
    began: Instant,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts `command` with nothing on its standard input.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = child.stdout.take().map(gather);
        let stderr = child.stderr.take().map(gather);
        Self { child, began: Instant::now(), stdout, stderr }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has come to its end.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("it runs, so it has a pid");
        kill_process(pid, signal).expect("it is our child and not waited for yet");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// After five minutes, when it is killed.
    pub fn finish(mut self) -> Finished {
        let end = self.began + Duration::from_mins(5);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            if Instant::now() > end {
                self.child.kill().expect("it is our child");
                self.child.wait().expect("it is our child");
                panic!(
                    "still running after five minutes: {} {}",
                    take(&mut self.stdout),
                    take(&mut self.stderr)
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Finished {
            code: status.code(),
            took: self.began.elapsed(),
            stdout: take(&mut self.stdout),
            stderr: take(&mut self.stderr),
            pid: self.child.id(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().expect("it is our child");
            self.child.wait().expect("it is our child");
        }
    }
}

/// Runs `command` to its end.
pub fn run(command: Command) -> Finished {
    Running::start(command).finish()
}

fn gather(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("a pipe can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn take(stream: &mut Option<JoinHandle<String>>) -> String {
    stream.take().map(|thread| thread.join().expect("it only reads")).unwrap_or_default()
}

/// The real binary, with a home and a working folder of its own.
pub struct Berth {
    folder: TempDir,
    path: String,
    variables: Vec<(String, String)>,
    prefix: Vec<String>,
}

impl Berth {
    /// With an empty home, the tools of a rehearsal on PATH, and an empty folder for profiles.
    pub fn new() -> Self {
        let folder =
            tempfile::Builder::new().prefix("berth-test-").tempdir().expect("a temp folder is writable");
        for name in ["home", "work/profiles"] {
            fs::create_dir_all(folder.path().join(name)).expect("the folder is ours");
        }
        Self { folder, path: path_with_tools(), variables: Vec::new(), prefix: Vec::new() }
    }

    /// The same with `folder` first on PATH.
    #[must_use]
    pub fn with_path_first(mut self, folder: &Path) -> Self {
        self.path = format!("{}:{}", folder.display(), self.path);
        self
    }

    /// The same, started by the program `prefix`, as in `nsenter --net=… -- berth …`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: Vec<String>) -> Self {
        self.prefix = prefix;
        self
    }

    /// The same with an environment variable.
    #[must_use]
    pub fn with_variable(mut self, key: &str, value: &str) -> Self {
        self.variables.push((key.to_string(), value.to_string()));
        self
    }

    /// The home, empty at first.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// The working folder; profiles lie in `profiles/` below it.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Writes `profiles/NAME.yaml`.
    pub fn profile(&self, name: &str, text: &str) -> PathBuf {
        let path = self.work().join("profiles").join(format!("{name}.yaml"));
        fs::write(&path, text).expect("the folder is ours");
        path
    }

    /// The command, ready to be changed and started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let home = self.home();
        let mut words = self.prefix.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_berth")]);
        let mut command = Command::new(words.next().expect("there is one at least"));
        command
            .args(words)
            .env_clear()
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .env("PATH", &self.path)
            .env("TERM", "dumb")
            // The clusters of this machine are other people's, and of other tests.
            .envs(NO_ENGINE.map(|variable| (variable, "unix:///nowhere/engine.sock")))
            .envs(self.variables.iter().cloned())
            .current_dir(self.work())
            .args(arguments);
        command
    }

    /// Starts it and returns at once.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments))
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.start(arguments).finish()
    }
}
