//! A lab for a test: an environment's own name, home, ports and cluster, with the real `berth`, `kind`,
//! `kubectl` and the container engine at hand, and nothing left of it at the end.

mod ground;
mod remains;
mod seats;
mod watches;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

pub use ground::{Ground, skipped};
pub use seats::Seats;

use crate::support::{Berth, Finished, Running, run, tools};
use remains::Remains;
use seats::Ports;

/// An environment of a test's own. Dropped, its cluster and its containers are removed, also when the
/// test fails; `BERTH_E2E_KEEP=1` leaves them where they are.
pub struct Lab {
    name: String,
    berth: Berth,
    ground: &'static Ground,
    programs: PathBuf,
    ports: Ports,
    // The fields below are dropped in this order: what is left goes before others may start.
    remains: Remains,
    _seats: Seats,
}

impl Lab {
    /// The lab of the test `name` (at most 20 characters; no two tests share one), or nothing when this
    /// machine has no ground for it, which is said. Its cluster has one node. Waits until there is room
    /// for it beside the labs of other tests.
    pub fn start(name: &str) -> Option<Self> {
        Self::of_nodes(name, 1)
    }

    /// The same for a cluster of so many nodes.
    pub fn of_nodes(name: &str, nodes: usize) -> Option<Self> {
        Self::seated(name, Seats::take(name, nodes)?)
    }

    /// Two labs side by side, of so many nodes each.
    pub fn pair(one: &str, other: &str, nodes: usize) -> Option<(Self, Self)> {
        let (first, second) = Seats::take(one, 2 * nodes)?.split();
        Some((Self::seated(one, first)?, Self::seated(other, second)?))
    }

    /// A lab while no other lab runs, for what others would notice.
    pub fn alone(name: &str) -> Option<Self> {
        Self::seated(name, Seats::take_all(name)?)
    }

    /// A lab of one node in Podman, where this machine has that: `docker` is Podman then.
    pub fn in_podman(name: &str) -> Option<Self> {
        let ground = Ground::of_podman(name)?;
        Some(Self::on(ground, name, Seats::wait_for(1)))
    }

    fn seated(name: &str, seats: Seats) -> Option<Self> {
        Some(Self::on(Ground::find(name)?, name, seats))
    }

    fn on(ground: &'static Ground, name: &str, seats: Seats) -> Self {
        watches::wait_for_inotify(name, seats.count());
        let name = format!("{name}-{}", seats::checkout());
        let ports = Ports::take();
        let remains = Remains::of(&name, ports.all(), ground);
        // Of a run that was killed.
        remains.remove();
        let mut berth = Berth::new().with_variable("BERTH_ENGINE", ground.engine());
        let programs = berth.home().with_file_name("programs");
        link_programs(&programs, &[&ground.kind, &ground.docker]);
        if ground.engine() == "podman" {
            unset_host(&programs.join("podman"), &ground.docker);
        }
        berth = berth.with_path_first(&programs);
        if let Some(image) = &ground.image {
            berth = berth.with_variable("BERTH_KIND_IMAGE", image);
        }
        for variable in ["DOCKER_HOST", "DOCKER_CONTEXT"] {
            // Without a value, docker finds its daemon where it always is.
            berth = berth.with_variable(variable, &std::env::var(variable).unwrap_or_default());
        }
        Self { name, berth, ground, programs, ports, remains, _seats: seats }
    }

    /// The name of the environment and of its cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node image; none when kind takes its own.
    pub fn image(&self) -> Option<&str> {
        self.ground.image.as_deref()
    }

    /// A TCP port of this machine that is this lab's: there are ten, from 0.
    pub fn port(&self, index: u16) -> u16 {
        self.ports.all().nth(index.into()).expect("a lab has ten ports")
    }

    /// Where `kind` and `docker` are that berth finds first on PATH: links that a test may replace.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The home of the user, empty at first.
    pub fn home(&self) -> PathBuf {
        self.berth.home()
    }

    /// The working folder, with `profiles/`.
    pub fn work(&self) -> PathBuf {
        self.berth.work()
    }

    /// The same lab, in which berth is started with an environment variable.
    #[must_use]
    pub fn with_variable(mut self, key: &str, value: &str) -> Self {
        self.berth = self.berth.with_variable(key, value);
        self
    }

    /// Writes the profile of this environment: `body` is all of it but version, kind and name.
    pub fn profile(&self, body: &str) -> PathBuf {
        let head = format!("apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: {}\n", self.name);
        self.berth.profile(&self.name, &format!("{head}{body}"))
    }

    /// Runs `berth COMMAND ENVIRONMENT ARGUMENTS…` to its end.
    pub fn berth(&self, command: &str, arguments: &[&str]) -> Finished {
        self.berth.run(&self.words(command, arguments))
    }

    /// Starts the same and returns at once.
    pub fn start_berth(&self, command: &str, arguments: &[&str]) -> Running {
        self.berth.start(&self.words(command, arguments))
    }

    /// `berth` with any arguments, ready to be changed and started.
    pub fn berth_command(&self, arguments: &[&str]) -> Command {
        self.berth.command(arguments)
    }

    /// Runs `kind`, with the lab's home.
    pub fn kind(&self, arguments: &[&str]) -> Finished {
        run(self.program(&self.ground.kind, arguments))
    }

    /// `docker` with any arguments, ready to be changed and started.
    pub fn docker_command(&self, arguments: &[&str]) -> Command {
        self.program(&self.ground.docker, arguments)
    }

    /// Runs `docker`.
    pub fn docker(&self, arguments: &[&str]) -> Finished {
        run(self.program(&self.ground.docker, arguments))
    }

    /// What `docker` prints, without space around it.
    #[track_caller]
    pub fn docker_says(&self, arguments: &[&str]) -> String {
        self.docker(arguments).expect(0).stdout.trim().to_string()
    }

    /// The names of the nodes' containers, also of those that do not run, in order.
    pub fn nodes(&self) -> Vec<String> {
        self.ground.nodes_of(&self.name)
    }

    /// A container that is removed with the lab.
    pub fn removes(&mut self, container: &str) {
        self.remains.add(container);
    }

    /// The kubeconfig that berth keeps for this environment.
    #[track_caller]
    pub fn kubeconfig(&self) -> PathBuf {
        PathBuf::from(self.berth("kubeconfig", &[]).expect(0).stdout.trim())
    }

    /// Runs `kubectl` with the kubeconfig that berth keeps.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> Finished {
        self.kubectl_with(&self.kubeconfig(), arguments)
    }

    /// Runs `kubectl` with this kubeconfig.
    pub fn kubectl_with(&self, kubeconfig: &Path, arguments: &[&str]) -> Finished {
        let mut command = self.program(&tools().join("kubectl"), arguments);
        command.env("KUBECONFIG", kubeconfig);
        run(command)
    }

    /// What `kubectl` prints, without space around it.
    #[track_caller]
    pub fn kubectl_says(&self, arguments: &[&str]) -> String {
        self.kubectl(arguments).expect(0).stdout.trim().to_string()
    }

    fn words<'a>(&'a self, command: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
        command.split(' ').chain([self.name.as_str()]).chain(arguments.iter().copied()).collect()
    }

    fn program(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("HOME", self.home()).current_dir(self.work());
        command
    }
}

/// Podman as it is without `CONTAINER_HOST`, by which tests keep berth away from it, and which may not be empty. It
/// looks for iptables itself.
fn unset_host(path: &Path, podman: &Path) {
    fs::remove_file(path).expect("a link to it");
    let script = format!(
        "#!/bin/sh\nunset CONTAINER_HOST\nPATH=$PATH:/usr/sbin:/sbin exec '{}' \"$@\"\n",
        podman.display()
    );
    fs::write(path, script).expect("the folder is ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// Links to programs, alone in a folder: what else lies beside them is not found on PATH.
fn link_programs(folder: &Path, programs: &[&Path]) {
    fs::create_dir(folder).expect("the folder is ours");
    for program in programs {
        let name = program.file_name().expect("a program has a name");
        symlink(program, folder.join(name)).expect("the folder is ours");
    }
}
