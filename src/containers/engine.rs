use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::fault::{Meaning, words_of};
use super::info::Info;
use super::inspect::{self, Container, EngineNetwork};
use crate::base::{Fault, FaultKind};
use crate::flow::{Cancel, Flow};
use crate::os::{Finished, Program, find_on_path};

/// An engine that does not answer a question within this time hangs.
const ANSWER: Duration = Duration::from_secs(20);
/// What an engine does may take this long: to run a container, with the image pulled first.
pub(super) const WORK: Duration = Duration::from_mins(10);

/// The container engines that kind can use, by the name of their command line program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EngineKind {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// nerdctl, for containerd.
    Nerdctl,
}

impl EngineKind {
    /// All, in the order in which kind looks for them.
    pub const ALL: [Self; 3] = [Self::Docker, Self::Nerdctl, Self::Podman];

    /// The name of the program, which is also what kind calls the engine.
    pub fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Nerdctl => "nerdctl",
        }
    }

    /// What helps when the disk is full on which it keeps images and containers.
    pub fn how_to_make_room(self) -> &'static str {
        match self {
            Self::Docker => {
                "make room: `docker system df` shows what takes it, `docker system prune` removes what is unused"
            }
            Self::Podman => {
                "make room: `podman system df` shows what takes it, `podman system prune` removes what is unused"
            }
            Self::Nerdctl => "make room: `nerdctl system prune` removes what is unused",
        }
    }

    /// The command that pushes to a registry of this machine, which has no TLS: only Podman has to be told.
    pub fn push(self) -> &'static str {
        match self {
            Self::Docker => "docker push",
            Self::Podman => "podman push --tls-verify=false",
            Self::Nerdctl => "nerdctl push",
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.program())
    }
}

/// Where a container engine is looked for.
#[derive(Debug, Clone, Default)]
pub struct EngineSearch {
    /// The engine that the user chose; the first that is there, without a choice.
    pub chosen: Option<EngineKind>,
    /// The value of `PATH`.
    pub search_path: OsString,
    /// What plays the environment in question without an engine, as it is typed.
    rehearsal: Option<String>,
    /// What the engine that is used told: the same to all that share this search.
    told: Told,
}

/// What an engine told, asked for once.
type Told = Arc<Answers>;

#[derive(Debug, Default)]
struct Answers {
    /// Of itself.
    info: OnceLock<Info>,
    /// What files of images hold, by image and path.
    files: Mutex<BTreeMap<(String, String), String>>,
}

impl EngineSearch {
    /// Looks on `search_path` for the engine that was `chosen`, or for any.
    pub fn new(chosen: Option<EngineKind>, search_path: impl Into<OsString>) -> Self {
        Self { chosen, search_path: search_path.into(), rehearsal: None, told: Told::default() }
    }

    /// The same search for an environment that `command` plays without an engine.
    #[must_use]
    pub fn or_else(self, command: impl Into<String>) -> Self {
        Self { rehearsal: Some(command.into()), ..self }
    }

    /// What plays an environment without an engine, as it is typed.
    pub fn rehearsal(&self) -> &str {
        self.rehearsal.as_deref().unwrap_or("berth up ENV --rehearse")
    }

    /// The engine to use: the one that was chosen, or the first whose program is on `PATH`. Whether it
    /// answers is not asked.
    pub fn find(&self) -> Result<Engine, Fault> {
        let wanted: &[EngineKind] = self.chosen.as_ref().map_or(&EngineKind::ALL, std::slice::from_ref);
        let found = wanted.iter().find_map(|kind| {
            find_on_path(kind.program(), &self.search_path).map(|path| Engine {
                kind: *kind,
                path,
                patience: None,
                told: Arc::clone(&self.told),
            })
        });
        found.ok_or_else(|| self.missing(wanted))
    }

    /// Every engine whose program is on `PATH`.
    pub fn all(&self) -> Vec<Engine> {
        let there = |kind: EngineKind| {
            let path = find_on_path(kind.program(), &self.search_path)?;
            Some(Engine { kind, path, patience: None, told: Told::default() })
        };
        EngineKind::ALL.into_iter().filter_map(there).collect()
    }

    fn missing(&self, wanted: &[EngineKind]) -> Fault {
        let names: Vec<String> = wanted.iter().map(|kind| format!("`{kind}`")).collect();
        let reason = match self.chosen {
            Some(_) => format!("{} is not on PATH", names.concat()),
            None => format!("none of {} is on PATH", names.join(", ")),
        };
        Fault::new(FaultKind::Invalid, "find a container engine", reason)
            .hint(format!("install Docker, or rehearse without one: `{}`", self.rehearsal()))
    }
}

/// A container engine, by its command line program.
#[derive(Debug, Clone)]
pub struct Engine {
    kind: EngineKind,
    path: PathBuf,
    patience: Option<Duration>,
    told: Told,
}

impl PartialEq for Engine {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.path) == (other.kind, &other.path)
    }
}

impl Eq for Engine {}

impl Engine {
    /// Which engine it is.
    pub fn kind(&self) -> EngineKind {
        self.kind
    }

    /// Whether a container can join a network after it was made: nerdctl has no `network connect`.
    pub fn moves_containers(&self) -> bool {
        self.kind != EngineKind::Nerdctl
    }

    /// Its program.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same engine, whose every call fails when it takes longer than `limit`.
    #[must_use]
    pub fn patient(&self, limit: Duration) -> Self {
        Self { patience: Some(limit), ..self.clone() }
    }

    /// Its program, ready to be given arguments. Whoever runs it waits for it without a limit.
    pub fn program(&self) -> Program {
        Program::new(&self.path)
    }

    /// What it tells of itself and its machine: asked for once by all that came from the same search, since it
    /// takes the engine longer than anything else that is asked.
    pub async fn info(&self) -> Result<Info, Fault> {
        if let Some(info) = self.told.info.get() {
            return Ok(info.clone());
        }
        let info = self.ask_for_info().await?;
        Ok(self.told.info.get_or_init(|| info).clone())
    }

    async fn ask_for_info(&self) -> Result<Info, Fault> {
        let attempted = "ask for its state";
        let finished = self.ask(attempted, ["info", "--format", "{{json .}}"]).await?;
        let info = Info::parse(&finished.stdout).map_err(|problem| self.unreadable("info", &problem))?;
        // docker before 24 calls it a success when only its own part answers.
        match info {
            Ok(info) => Ok(info),
            Err(errors) => Err(Meaning::of(&errors).fault(self.kind, attempted, &errors)),
        }
    }

    /// What the file `path` of `image` holds, by the image's own `cat`; `None` where the image is not on this machine or
    /// has no such file. What it holds is asked for once by all that came from the same search, since a container
    /// has to be made for that.
    pub async fn file_of_image(&self, image: &str, path: &str) -> Result<Option<String>, Fault> {
        let key = (image.to_string(), path.to_string());
        let known = self.told.files.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let start = ["run", "--rm", "--pull", "never", "--network", "none", "--entrypoint", "cat"];
        let finished = self.try_to_ask("look into an image", start.into_iter().chain([image, path])).await?;
        if !finished.succeeded() {
            return Ok(None);
        }
        let mut files = self.told.files.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(files.entry(key).or_insert(finished.stdout).clone()))
    }

    /// The containers with this label, also those that do not run, by name.
    pub async fn containers_with(&self, label: &str) -> Result<Vec<Container>, Fault> {
        let filter = format!("label={label}");
        let listed = self
            .ask("list containers", ["ps", "--all", "--quiet", "--no-trunc", "--filter", filter.as_str()])
            .await?;
        self.inspect(&listed.stdout.split_whitespace().collect::<Vec<_>>()).await
    }

    /// The names of the containers with this label, also of those that do not run.
    pub async fn names_with(&self, label: &str) -> Result<Vec<String>, Fault> {
        let filter = format!("label={label}");
        let arguments = ["ps", "--all", "--filter", filter.as_str(), "--format", "{{.Names}}"];
        let listed = self.ask("list containers", arguments).await?;
        Ok(listed.stdout.split_whitespace().map(str::to_string).collect())
    }

    /// These containers, by name or id; those that are not there are left out.
    pub async fn inspect(&self, names: &[&str]) -> Result<Vec<Container>, Fault> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let arguments = ["container", "inspect"].into_iter().chain(names.iter().copied());
        // It fails when one of them is not there, and prints the others all the same; nerdctl prints none.
        let finished = self.question("look at containers", arguments).await?;
        let mut values = self.values("container inspect", &finished.stdout)?;
        if !finished.succeeded() && values.is_empty() && names.len() > 1 {
            for name in names {
                let finished = self.question("look at a container", ["container", "inspect", *name]).await?;
                values.extend(self.values("container inspect", &finished.stdout)?);
            }
        }
        let mut containers: Vec<Container> = values.iter().map(Container::of).collect();
        containers.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(containers)
    }

    /// The network `name`, if there is one.
    pub async fn network(&self, name: &str) -> Result<Option<EngineNetwork>, Fault> {
        let finished = self.question("look at a network", ["network", "inspect", name]).await?;
        Ok(self.values("network inspect", &finished.stdout)?.first().map(inspect::network_of))
    }

    /// The same with the containers that run on it, also where the engine does not tell them with their addresses:
    /// Podman before 5 and nerdctl do not.
    pub async fn network_in_use(&self, name: &str) -> Result<Option<EngineNetwork>, Fault> {
        let Some(mut network) = self.network(name).await? else { return Ok(None) };
        let is_told = network.containers.iter().any(|(_, addresses)| !addresses.is_empty());
        if self.kind != EngineKind::Docker && !is_told {
            let running = self.running().await?;
            let on_it = running.into_iter().filter_map(|container| {
                let addresses = container.networks.get(name)?.addresses();
                Some((container.name, addresses))
            });
            network.containers = on_it.collect();
        }
        Ok(Some(network))
    }

    /// What is in the files below the folder `path` of `container`, as one text, whatever stands around it; nothing where
    /// there is no such folder or container. `None` when nobody can tell: nerdctl looks only into containers that run.
    pub async fn read_below(&self, container: &Container, path: &str) -> Result<Option<String>, Fault> {
        let attempted = format!("look at `{path}` of `{}`", container.name);
        let finished = if self.kind != EngineKind::Nerdctl {
            // An archive, which can be had of a container that does not run, too.
            self.run(&attempted, ["cp", &format!("{}:{path}", container.name), "-"]).await?
        } else if container.runs() {
            let script = "[ ! -d \"$1\" ] || find \"$1\" -type f -exec cat {} +";
            self.exec(&container.name, ["sh", "-c", script, "sh", path], None).await?
        } else {
            return Ok(None);
        };
        if finished.succeeded() {
            return Ok(Some(finished.stdout));
        }
        // One that has no such folder knows nothing, and so does one that has gone meanwhile or is about to: Docker
        // has errors of its own for a container whose files it is deleting.
        let said = finished.stderr.to_lowercase();
        let is_missing =
            ["could not find", "no such", "not found", "not exist"].iter().any(|words| said.contains(words));
        if is_missing || self.inspect(&[&container.id]).await?.iter().all(Container::is_going) {
            return Ok(Some(String::new()));
        }
        Err(self.failed(&attempted, &finished))
    }

    /// Runs `command` in the running container `container` to its end, with `input` as its standard
    /// input. A non-zero exit is no fault.
    pub async fn exec<'a>(
        &self,
        container: &str,
        command: impl IntoIterator<Item = &'a str>,
        input: Option<Vec<u8>>,
    ) -> Result<Finished, Fault> {
        let interactive = input.as_ref().map(|_| "--interactive");
        let arguments = ["exec"].into_iter().chain(interactive).chain([container]);
        let program = self.program().args(arguments).args(command);
        let program = match input {
            Some(input) => program.input(input),
            None => program,
        };
        self.finish(&format!("run a program in `{container}`"), program, WORK).await
    }

    /// Runs the engine with `arguments`; anything but success is a fault that says what was tried.
    pub async fn call<A: Into<OsString>>(
        &self,
        attempted: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Finished, Fault> {
        let finished = self.finish(attempted, self.program().args(arguments), WORK).await?;
        if finished.succeeded() { Ok(finished) } else { Err(self.failed(attempted, &finished)) }
    }

    /// Runs the engine with `arguments` to its end. A non-zero exit is no fault.
    pub async fn run<A: Into<OsString>>(
        &self,
        attempted: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Finished, Fault> {
        self.finish(attempted, self.program().args(arguments), WORK).await
    }

    /// [`call`](Self::call) for a question, which is answered soon or never.
    pub(super) async fn ask<A: Into<OsString>>(
        &self,
        attempted: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Finished, Fault> {
        let finished = self.try_to_ask(attempted, arguments).await?;
        if finished.succeeded() { Ok(finished) } else { Err(self.failed(attempted, &finished)) }
    }

    /// [`ask`](Self::ask) whose failure is no fault.
    pub(super) async fn try_to_ask<A: Into<OsString>>(
        &self,
        attempted: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Finished, Fault> {
        self.finish(attempted, self.program().args(arguments), ANSWER).await
    }

    /// [`ask`](Self::ask) about things of which it is no fault that they are not there.
    pub(super) async fn question<A: Into<OsString>>(
        &self,
        attempted: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Finished, Fault> {
        let finished = self.try_to_ask(attempted, arguments).await?;
        if finished.succeeded() || Meaning::of(&finished.stderr) == Meaning::Missing {
            return Ok(finished);
        }
        Err(self.failed(attempted, &finished))
    }

    /// The fault for a call that ended badly, in the engine's own words.
    pub fn failed(&self, attempted: &str, finished: &Finished) -> Fault {
        let said = words_of(finished);
        let meaning = Meaning::of(&finished.stderr);
        match finished.code {
            _ if !said.is_empty() => meaning.fault(self.kind, attempted, &said),
            Some(code) => meaning.fault(self.kind, attempted, &format!("it ended with exit code {code}")),
            None => meaning.fault(self.kind, attempted, "it was killed by a signal"),
        }
    }

    /// Runs `program` to its end, which has to come within `limit`.
    pub(super) async fn finish(
        &self,
        attempted: &str,
        program: Program,
        limit: Duration,
    ) -> Result<Finished, Fault> {
        let limit = self.patience.unwrap_or(limit);
        let attempted = format!("{attempted} with {}", self.kind);
        // Whoever has to stop drops this; here is the limit alone.
        let answer = Flow::new(Cancel::default()).within(limit, &attempted, program.run()).await;
        answer.map_err(|fault| match fault.kind {
            FaultKind::Transient => fault.hint(format!(
                "`{0} info` has to answer: if it hangs too, restart {0} and run the same command again",
                self.kind
            )),
            _ => fault,
        })
    }

    /// The JSON values that a command printed: one array, or one value per line.
    pub(super) fn values(&self, command: &str, text: &str) -> Result<Vec<Value>, Fault> {
        let mut values = Vec::new();
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            match value.map_err(|error| self.unreadable(command, &error.to_string()))? {
                Value::Array(items) => values.extend(items),
                value => values.push(value),
            }
        }
        Ok(values)
    }

    fn unreadable(&self, command: &str, problem: &str) -> Fault {
        let attempted = format!("read the output of `{} {command}`", self.kind);
        Fault::new(FaultKind::Bug, attempted, problem.to_string())
    }
}
