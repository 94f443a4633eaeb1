use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::inspect::{self, Container, EngineNetwork, Info};
use crate::base::{Fault, FaultKind};
use crate::os::{Finished, Program, find_on_path};

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
}

impl EngineSearch {
    /// The engine to use: the one that was chosen, or the first whose program is on `PATH`. Whether it
    /// answers is not asked.
    pub fn find(&self) -> Result<Engine, Fault> {
        let wanted: &[EngineKind] = self.chosen.as_ref().map_or(&EngineKind::ALL, std::slice::from_ref);
        let found = wanted.iter().find_map(|kind| {
            find_on_path(kind.program(), &self.search_path).map(|path| Engine { kind: *kind, path })
        });
        found.ok_or_else(|| self.missing(wanted))
    }

    /// Every engine whose program is on `PATH`.
    pub fn all(&self) -> Vec<Engine> {
        let there = |kind: EngineKind| {
            find_on_path(kind.program(), &self.search_path).map(|path| Engine { kind, path })
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
            .hint("install Docker, or rehearse without one: `berth up ENV --rehearse`")
    }
}

/// A container engine, by its command line program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    kind: EngineKind,
    path: PathBuf,
}

impl Engine {
    /// Which engine it is.
    pub fn kind(&self) -> EngineKind {
        self.kind
    }

    /// Its program.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its program, ready to be given arguments.
    pub fn program(&self) -> Program {
        Program::new(&self.path)
    }

    /// What it tells of itself and its machine.
    pub async fn info(&self) -> Result<Info, Fault> {
        let finished = self.call("ask for its state", ["info", "--format", "{{json .}}"]).await?;
        Info::parse(&finished.stdout).map_err(|problem| self.unreadable("info", &problem))
    }

    /// The containers with this label, also those that do not run, by name.
    pub async fn containers_with(&self, label: &str) -> Result<Vec<Container>, Fault> {
        let filter = format!("label={label}");
        let listed = self
            .call("list containers", ["ps", "--all", "--quiet", "--no-trunc", "--filter", filter.as_str()])
            .await?;
        self.inspect(&listed.stdout.split_whitespace().collect::<Vec<_>>()).await
    }

    /// These containers, by name or id; those that are not there are left out.
    pub async fn inspect(&self, names: &[&str]) -> Result<Vec<Container>, Fault> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let arguments = ["container", "inspect"].into_iter().chain(names.iter().copied());
        let finished = self.program().args(arguments).run().await?;
        // It fails when one of them is not there, and prints the others all the same.
        if !finished.succeeded() && !is_missing(&finished) {
            return Err(self.failed("look at containers", &finished));
        }
        let values = self.values("container inspect", &finished.stdout)?;
        let mut containers: Vec<Container> = values.iter().map(Container::of).collect();
        containers.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(containers)
    }

    /// The network `name`, if there is one.
    pub async fn network(&self, name: &str) -> Result<Option<EngineNetwork>, Fault> {
        let finished = self.program().args(["network", "inspect", name]).run().await?;
        if !finished.succeeded() {
            return if is_missing(&finished) {
                Ok(None)
            } else {
                Err(self.failed("look at a network", &finished))
            };
        }
        Ok(self.values("network inspect", &finished.stdout)?.first().map(inspect::network_of))
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
        match input {
            Some(input) => program.input(input).run().await,
            None => program.run().await,
        }
    }

    /// Runs the engine with `arguments`; anything but success is a fault that says what was tried.
    pub async fn call<A: Into<OsString>>(
        &self,
        attempted: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Finished, Fault> {
        let finished = self.program().args(arguments).run().await?;
        if finished.succeeded() { Ok(finished) } else { Err(self.failed(attempted, &finished)) }
    }

    /// The fault for a call that ended badly, in the engine's own words.
    pub fn failed(&self, attempted: &str, finished: &Finished) -> Fault {
        let said = finished.stderr_tail(3);
        let reason = if said.is_empty() { format!("exit code {:?}", finished.code) } else { said };
        Fault::new(FaultKind::Transient, format!("{}: {attempted}", self.kind), reason)
    }

    /// The JSON values that a command printed: one array, or one value per line.
    fn values(&self, command: &str, text: &str) -> Result<Vec<Value>, Fault> {
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

/// Whether a program says that the thing it was asked for does not exist.
fn is_missing(finished: &Finished) -> bool {
    let said = finished.stderr.to_lowercase();
    said.contains("no such") || said.contains("not found")
}
