use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::geteuid;
use serde::Deserialize;
use tempfile::TempDir;

use super::{addon_binaries, run};

/// What runs first inside, until its standard input ends, which comes with the end of the test. Its own
/// end is the end of everything inside: the kernel kills all that is left in a process namespace. It
/// kills before, so that the folder of the machine is left alone while it goes.
const INIT: &str = r#"set -e
folder=$1
shift
mount -t tmpfs run /run
mkdir /run/netns
ip link set lo up
for address in "$@"; do ip address add "$address/32" dev lo; done
echo 1 >/proc/sys/net/ipv4/ip_forward
echo ready
cat
kill -9 -1 || true
rm -rf "$folder"
"#;

/// A machine of a test's own: namespaces for network, mounts and processes. What listens inside is
/// not seen outside, and all of it ends with the test, however the test ends.
pub struct Machine {
    folder: TempDir,
    holder: Child,
    rootless: bool,
    gateway: String,
    networks: AtomicUsize,
    relays: Mutex<BTreeMap<String, Relay>>,
}

/// What an HTTP server answered.
#[derive(Debug, Clone, Deserialize)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Where it redirects to; empty when it does not.
    pub location: String,
    /// Its body.
    pub body: String,
    /// The common name of the certificate it showed.
    #[serde(default)]
    pub certificate: Option<String>,
}

impl Machine {
    /// A machine with these addresses, one at least, or why this one cannot have it.
    pub fn start(addresses: &[&str]) -> Result<Self, String> {
        if !cfg!(target_os = "linux") {
            return Err("namespaces are Linux's".to_string());
        }
        let folder =
            tempfile::Builder::new().prefix("berth-proof-").tempdir().expect("a temp folder is writable");
        let rootless = !geteuid().is_root();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        if rootless {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["sh", "-c", INIT, "init"]).arg(folder.path()).args(addresses).env("PATH", PATH);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Ctrl-C is for the test; this ends after it.
        command.process_group(0);
        let mut holder = command.spawn().map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut line).expect("a pipe can be read");
        if line != "ready\n" {
            let mut said = String::new();
            let mut stderr = holder.stderr.take().expect("it was asked for");
            stderr.read_to_string(&mut said).expect("it speaks UTF-8");
            holder.wait().expect("it is our child");
            let who = if rootless { "user namespaces are not allowed" } else { "root may not make them" };
            return Err(format!("no namespaces ({who}, or `unshare` or `ip` is missing): {}", said.trim()));
        }
        let gateway = addresses[0].to_string();
        Ok(Self {
            folder,
            holder,
            rootless,
            gateway,
            networks: AtomicUsize::new(0),
            relays: Mutex::default(),
        })
    }

    /// Whether it stands in a user namespace, where nobody but its root is known.
    pub fn is_rootless(&self) -> bool {
        self.rootless
    }

    /// A folder for its files, the same path inside and outside.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What starts a program in its network and nowhere else new.
    pub fn network_prefix(&self) -> Vec<String> {
        let mut words = vec!["nsenter".to_string(), format!("--net={}", self.namespace("net"))];
        if self.rootless {
            words
                .extend([format!("--user={}", self.namespace("user")), "--preserve-credentials".to_string()]);
        }
        words.push("--".to_string());
        words
    }

    /// What starts a program inside.
    pub fn prefix(&self) -> Vec<String> {
        let mut words = self.network_prefix();
        let more = [("mount", "mnt"), ("pid", "pid_for_children")];
        let more = more.map(|(flag, kind)| format!("--{flag}={}", self.namespace(kind)));
        words.splice(1..1, more);
        words
    }

    fn namespace(&self, kind: &str) -> String {
        format!("/proc/{}/ns/{kind}", self.holder.id())
    }

    /// A program inside, with nothing in its environment but PATH.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let prefix = self.prefix();
        let mut command = Command::new(&prefix[0]);
        command.env_clear().env("PATH", PATH).args(&prefix[1..]).arg(program).args(arguments);
        command
    }

    /// Runs a program inside.
    ///
    /// # Panics
    /// When it does not end with 0.
    #[track_caller]
    pub fn must(&self, program: &str, arguments: &[&str]) -> String {
        run(self.command(program, arguments)).expect(0).stdout
    }

    /// Gives the machine one more address.
    pub fn add_address(&self, address: &str) {
        self.must("ip", &["address", "replace", &format!("{address}/32"), "dev", "lo"]);
    }

    /// Makes a network namespace that has `address` and reaches every other address of the machine.
    pub fn add_network(&self, address: Ipv4Addr) -> PodNetwork {
        let number = self.networks.fetch_add(1, Ordering::Relaxed);
        let (name, outer, address) =
            (format!("pod{number}"), format!("veth{number}"), format!("{address}/32"));
        self.must("ip", &["netns", "add", &name]);
        self.must("ip", &["link", "add", &outer, "type", "veth", "peer", "name", "eth0", "netns", &name]);
        self.must("ip", &["link", "set", &outer, "up"]);
        self.must("ip", &["route", "add", &address, "dev", &outer]);
        for step in [
            "link set lo up",
            "link set eth0 up",
            &format!("address add {address} dev eth0"),
            // The machine answers on every link for each address that it has.
            &format!("route add {} dev eth0 scope link", self.gateway),
            &format!("route add default via {}", self.gateway),
        ] {
            let words: Vec<&str> = ["-n", &name].into_iter().chain(step.split(' ')).collect();
            self.must("ip", &words);
        }
        PodNetwork { file: PathBuf::from(format!("/run/netns/{name}")), outer }
    }

    /// Takes it away at once, so that its address can be given to another one.
    pub fn remove_network(&self, network: &PodNetwork) {
        // Where a test fails, the machine may be gone already.
        run(self.command("ip", &["link", "delete", &network.outer]));
    }

    /// Passes connections to `from` on to `to`, until it is told another `to` or the machine ends.
    ///
    /// # Panics
    /// When something else listens on `from`.
    pub fn relay(&self, from: &str, to: &str) {
        let mut relays = self.relays.lock().expect("nothing panics inside");
        // The one before must let go of the port.
        relays.remove(from);
        let mut command = self.command(&stagehand(), &["relay", from, to]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("nsenter is there: it was used before");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut line).expect("a pipe can be read");
        assert_eq!(line, "listening\n", "nothing listens on {from}");
        relays.insert(from.to_string(), Relay(child));
    }

    /// What `url` answers at `address` (`10.0.0.7:80`), if anything.
    pub fn get(&self, address: &str, url: &str) -> Option<Answer> {
        let answer = run(self.command(&stagehand(), &["get", address, url]));
        (answer.code == Some(0)).then(|| serde_json::from_str(&answer.stdout).expect("it prints JSON"))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        self.holder.wait().expect("it is our child");
    }
}

/// A program that passes connections on until its standard input ends.
struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("it is our child");
    }
}

/// A network namespace inside of a [`Machine`].
#[derive(Debug)]
pub struct PodNetwork {
    /// Its file, which exists inside only.
    pub file: PathBuf,
    outer: String,
}

/// The program of tests/support/stagehand.
pub fn stagehand() -> String {
    addon_binaries().join("stagehand").display().to_string()
}

/// Where the machine's own programs are.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
