use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::control_plane::path_with_tools;
use super::eventually;

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

    /// Standard error without what only a busy machine brings about.
    pub fn complaints(&self) -> String {
        without_signs_of_life(&self.stderr)
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

/// The text without lines that say no more than that it is still being looked.
pub fn without_signs_of_life(text: &str) -> String {
    let is_one = |line: &&str| line.starts_with("looking at ") && line.trim_end().ends_with('…');
    text.split_inclusive('\n').filter(|line| !is_one(line)).collect()
}

/// A program that is still running; dropped, it is killed.
pub struct Running {
    child: Child,
    began: Instant,
    stdout: Said,
    stderr: Said,
}

impl Running {
    /// Starts `command` with nothing on its standard input.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Said::gather(child.stdout.take().expect("it was asked for"));
        let stderr = Said::gather(child.stderr.take().expect("it was asked for"));
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

    /// Waits until it has said `words` on standard error, however they were broken into lines.
    ///
    /// # Panics
    /// When it never says them, or ends before, with what it said instead.
    #[track_caller]
    pub fn until_told(&mut self, words: &str) {
        let is_told = |running: &Self| {
            running.stderr.so_far().split_whitespace().collect::<Vec<_>>().join(" ").contains(words)
        };
        eventually(&format!("it says `{words}`"), || {
            // Looked at first: what it said last was said before its end.
            let has_ended = self.has_ended();
            if has_ended {
                self.stderr.await_end();
            }
            let told = is_told(self);
            assert!(told || !has_ended, "it ended without `{words}`: {}", self.stderr.so_far());
            told.then_some(())
        });
    }

    /// The same, and then it is stopped as by Ctrl-C: it is not waited for what it waits for.
    #[track_caller]
    pub fn stopped_once_told(mut self, words: &str) -> Finished {
        self.until_told(words);
        self.signal(Signal::INT);
        self.finish().expect(130)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("it runs, so it has a pid");
        kill_process(pid, signal).expect("it is our child and not waited for yet");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// After ten minutes, when it is killed.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        let end = self.began + Duration::from_mins(10);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            if Instant::now() > end {
                self.child.kill().expect("it is our child");
                self.child.wait().expect("it is our child");
                let (stdout, stderr) = (self.stdout.whole(), self.stderr.whole());
                panic!("still running after ten minutes: {stdout} {stderr}");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Finished {
            code: status.code(),
            took: self.began.elapsed(),
            stdout: self.stdout.whole(),
            stderr: self.stderr.whole(),
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

/// What comes out of a pipe.
struct Said {
    bytes: Arc<Mutex<Vec<u8>>>,
    reading: Option<JoinHandle<()>>,
}

impl Said {
    fn gather(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let reading = std::thread::spawn(move || {
            let mut part = [0; 4096];
            loop {
                let length = match pipe.read(&mut part) {
                    Ok(0) => return,
                    Ok(length) => length,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => panic!("a pipe cannot be read: {error}"),
                };
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&part[..length]);
            }
        });
        Self { bytes, reading: Some(reading) }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until nobody can write to it any more.
    fn await_end(&mut self) {
        if let Some(reading) = self.reading.take() {
            reading.join().expect("it only reads");
        }
    }

    fn whole(&mut self) -> String {
        self.await_end();
        self.so_far()
    }
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
