use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::machine::{Answer, PodNetwork, stagehand};
use super::volumes::Volumes;
use super::{PATIENCE, Proof, eventually, run};

/// What a container may do when its pod drops nothing: the default of container runtimes.
const DEFAULT_CAPABILITIES: &str = "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE \
     NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_CHROOT";

/// A pod of the cluster, played with the real program: in mount and network namespaces of its own,
/// with a root that holds what the live Pod says and nothing else.
///
/// What a kubelet and a container runtime do beyond that and this does not: seccomp profiles, limits
/// of memory and CPU, restarts.
pub struct Pod<'proof> {
    proof: &'proof Proof,
    live: Value,
    address: String,
    folder: PathBuf,
    network: Option<PodNetwork>,
    child: Child,
    _volumes: Volumes,
}

impl<'proof> Pod<'proof> {
    pub(super) fn play(proof: &'proof Proof, namespace: &str, workload: &str, program: &Path) -> Self {
        let live = running_pod(proof, namespace, workload);
        let containers = live["spec"]["containers"].as_array().expect("the schema says so");
        assert!(containers.len() == 1 && live["spec"]["initContainers"].is_null(), "one container is played");
        let name = text(&live["metadata"]["name"]).to_string();
        let folder = proof.machine.folder().join("pods").join(&name);
        fs::create_dir_all(folder.join("root")).expect("ours");
        let volumes = Volumes::fill(proof, &live, &folder.join("volumes"));
        let contract = contract(proof, &live, &volumes, program, &folder);
        fs::write(folder.join("container.json"), contract.to_string()).expect("ours");

        let mut words = Vec::new();
        let mut address = text(&live["status"]["podIP"]).to_string();
        let mut network = None;
        if live["spec"]["hostNetwork"] == true {
            address = text(&live["status"]["hostIP"]).to_string();
        } else {
            let wanted: Ipv4Addr = address.parse().expect("kwok gives addresses of version 4");
            let network = network.insert(proof.machine.add_network(wanted));
            words.extend([
                "nsenter".to_string(),
                format!("--net={}", network.file.display()),
                "--".to_string(),
            ]);
        }
        words.extend(["unshare", "--mount", "--uts", "--", &stagehand(), "contain"].map(str::to_string));
        words.push(folder.join("container.json").display().to_string());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = proof.machine.command(words[0], &words[1..]);
        let log = File::create(folder.join("log")).expect("ours");
        let again = log.try_clone().expect("a file can be shared");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(again).spawn().expect("nsenter is there");

        Self { proof, live, address, folder, network, child, _volumes: volumes }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        text(&self.live["metadata"]["name"])
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `10.244.1.1:8080` for one of its ports, by name or number.
    pub fn at(&self, port: &str) -> String {
        format!("{}:{}", self.address, self.port(&json!(port)))
    }

    /// The number of a port that is given by name or number.
    pub(super) fn port(&self, wanted: &Value) -> u64 {
        let number = wanted.as_u64().or_else(|| wanted.as_str().and_then(|name| name.parse().ok()));
        let ports = self.live["spec"]["containers"][0]["ports"].as_array().cloned().unwrap_or_default();
        let named = || ports.iter().find(|port| port["name"] == *wanted)?["containerPort"].as_u64();
        number.or_else(named).unwrap_or_else(|| panic!("{} has no port {wanted}", self.name()))
    }

    /// All that the program has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).expect("it was made before the start")
    }

    /// Waits until the program's log has `words`.
    ///
    /// # Panics
    /// When it never comes, or when the program has ended, with the log.
    pub fn await_log(&mut self, words: &str) {
        self.until(&format!("the log says `{words}`"), |pod| pod.log().contains(words).then_some(()));
    }

    /// Waits until the readiness probe of the manifest is answered as a kubelet wants it.
    ///
    /// # Panics
    /// When it never comes, or when the program has ended, with the log.
    pub fn await_ready(&mut self) {
        for kind in ["readinessProbe", "livenessProbe"] {
            let probe = self.live["spec"]["containers"][0][kind]["httpGet"].clone();
            if probe.is_null() {
                continue;
            }
            let host = probe["host"].as_str().unwrap_or(&self.address);
            let address = format!("{host}:{}", self.port(&probe["port"]));
            let scheme = text(&probe["scheme"]).to_lowercase();
            let url = format!("{scheme}://{address}{}", text(&probe["path"]));
            self.until(&format!("{kind} {url} succeeds"), |pod| {
                pod.proof.machine.get(&address, &url).filter(|answer| (200..400).contains(&answer.status))
            });
        }
    }

    /// Asks `url` at `address` until the answer has this status.
    ///
    /// # Panics
    /// When it never comes, or when the program has ended, with the log.
    pub fn await_answer(&mut self, address: &str, url: &str, status: u16) -> Answer {
        self.until(&format!("{url} at {address} answers {status}"), |pod| {
            pod.proof.machine.get(address, url).filter(|answer| answer.status == status)
        })
    }

    /// Asks `look` until it finds something.
    ///
    /// # Panics
    /// When it never comes, or when the program has ended, with the log.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let ended = self.child.try_wait().expect("it is our child");
            let name = self.name();
            assert!(ended.is_none(), "{name} ended ({ended:?}) before {what}:\n{}", self.log());
            assert!(
                Instant::now() < end,
                "not within {PATIENCE:?}: {what}; the log of {name}:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it as a kubelet does, and waits.
    pub fn stop(mut self) {
        self.kill("TERM");
        let name = self.name().to_string();
        eventually(&format!("{name} ends when asked to"), || self.child.try_wait().expect("it is our child"));
    }

    fn kill(&self, signal: &str) {
        let script = r#"kill "-$2" "$(cat "$1")""#;
        let pid = self.folder.join("pid").display().to_string();
        // It may have ended by itself.
        run(self.proof.machine.command("sh", &["-c", script, "kill", &pid, signal]));
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill("KILL");
            self.child.kill().expect("it is our child");
            self.child.wait().expect("it is our child");
        }
        if let Some(network) = &self.network {
            self.proof.machine.remove_network(network);
        }
    }
}

/// A pod of the workload that kwok has given its address.
fn running_pod(proof: &Proof, namespace: &str, workload: &str) -> Value {
    let what = format!("{workload} in {namespace} has a running pod");
    eventually(&what, || {
        let owner = proof.object(namespace, workload)?;
        let labels = owner["spec"]["selector"]["matchLabels"].as_object()?;
        let selector: Vec<String> =
            labels.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
        let pods = ["-n", namespace, "get", "pods", "-l", &selector.join(","), "-o", "json"];
        let pods: Value = serde_json::from_str(&proof.kubectl(&pods).expect(0).stdout).ok()?;
        let alive = |pod: &&Value| {
            pod["status"]["phase"] == "Running"
                && pod["status"]["podIP"].is_string()
                && pod["metadata"]["deletionTimestamp"].is_null()
        };
        // The newest one: those of the template before are on their way out.
        let mut pods: Vec<&Value> = pods["items"].as_array()?.iter().filter(alive).collect();
        pods.sort_by_key(|pod| text(&pod["metadata"]["creationTimestamp"]).to_string());
        pods.last().map(|pod| (*pod).clone())
    })
}

/// What the stagehand is told: see tests/support/stagehand/contain.go.
fn contract(proof: &Proof, live: &Value, volumes: &Volumes, program: &Path, folder: &Path) -> Value {
    let container = &live["spec"]["containers"][0];
    let own = &container["securityContext"];
    let shared = &live["spec"]["securityContext"];
    let either = |key: &str| if own[key].is_null() { &shared[key] } else { &own[key] };
    let user = either("runAsUser").as_u64().unwrap_or(0);
    assert!(user != 0 || either("runAsNonRoot") != true, "a kubelet refuses: runAsNonRoot without a user");
    let mut groups: Vec<u64> = shared["fsGroup"].as_u64().into_iter().collect();
    groups.extend(numbers(&shared["supplementalGroups"]));
    let mut group = either("runAsGroup").as_u64().unwrap_or(0);
    let mut user = user;
    if proof.machine.is_rootless() {
        (user, group, groups) = (0, 0, Vec::new());
    }

    let environment = environment(proof, live);
    let mut command: Vec<String> = strings(&container["command"]);
    if command.is_empty() {
        let name = program.file_name().expect("a program is a file").to_string_lossy();
        command.push(format!("/{name}"));
    }
    command.extend(strings(&container["args"]));
    let command: Vec<String> = command.iter().map(|word| expand(word, &environment)).collect();
    let mut words: Vec<String> = environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    words.extend([format!("HOSTNAME={}", text(&live["metadata"]["name"])), "HOME=/".to_string()]);

    json!({
        "Root": folder.join("root"),
        "Program": program,
        "Command": command,
        "Environment": words,
        "Mounts": volumes.mounts(container),
        "ReadOnlyRoot": own["readOnlyRootFilesystem"] == true,
        "User": user,
        "Group": group,
        "Groups": groups,
        "Capabilities": capabilities(&own["capabilities"]),
        "MayGainMore": own["allowPrivilegeEscalation"] != false,
        "PidFile": folder.join("pid"),
    })
}

fn capabilities(wanted: &Value) -> Vec<String> {
    let (added, dropped) = (strings(&wanted["add"]), strings(&wanted["drop"]));
    let dropped = |name: &str| dropped.iter().any(|drop| drop == name || drop == "ALL");
    let defaults = DEFAULT_CAPABILITIES.split_whitespace().filter(|name| !dropped(name)).map(str::to_string);
    let mut kept: Vec<String> = defaults.chain(added).collect();
    kept.sort();
    kept.dedup();
    kept
}

/// The variables of the container, and where the API server is.
fn environment(proof: &Proof, live: &Value) -> BTreeMap<String, String> {
    let service = proof.object("default", "service/kubernetes").expect("the API server makes it");
    let mut variables = BTreeMap::from([
        ("KUBERNETES_SERVICE_HOST".to_string(), text(&service["spec"]["clusterIP"]).to_string()),
        ("KUBERNETES_SERVICE_PORT".to_string(), service["spec"]["ports"][0]["port"].to_string()),
    ]);
    let container = &live["spec"]["containers"][0];
    assert!(container["envFrom"].is_null(), "envFrom is not played yet");
    for variable in container["env"].as_array().into_iter().flatten() {
        let from = &variable["valueFrom"];
        let value = if from.is_null() {
            Some(expand(variable["value"].as_str().unwrap_or_default(), &variables))
        } else if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
            Some(field(live, path))
        } else {
            key_of(proof, live, from)
        };
        if let Some(value) = value {
            variables.insert(text(&variable["name"]).to_string(), value);
        }
    }
    variables
}

/// The value of a `secretKeyRef` or `configMapKeyRef`; none when it is optional and not there.
fn key_of(proof: &Proof, live: &Value, from: &Value) -> Option<String> {
    let kinds = [("secretKeyRef", "secret"), ("configMapKeyRef", "configmap")];
    let (reference, kind) = kinds
        .iter()
        .find_map(|(key, kind)| Some((from.get(key)?, kind)))
        .unwrap_or_else(|| panic!("not played yet: {from}"));
    let object = format!("{kind}/{}", text(&reference["name"]));
    let namespace = text(&live["metadata"]["namespace"]);
    let data =
        proof.object(namespace, &object).map(|object| super::volumes::content(&object)).unwrap_or_default();
    let value = data.get(text(&reference["key"])).map(|value| String::from_utf8_lossy(value).into_owned());
    assert!(value.is_some() || reference["optional"] == true, "a kubelet waits for {object}");
    value
}

/// A field of the downward API.
pub fn field(live: &Value, path: &str) -> String {
    let metadata = &live["metadata"];
    if let Some((map, key)) = path.split_once("['") {
        let map = map.strip_prefix("metadata.").expect("only these have keys");
        return text(&metadata[map][key.trim_end_matches("']")]).to_string();
    }
    let found = match path {
        "status.podIPs" => &live["status"]["podIP"],
        "status.hostIPs" => &live["status"]["hostIP"],
        _ => path.split('.').fold(live, |value, key| &value[key]),
    };
    found.as_str().unwrap_or_else(|| panic!("the pod has no {path}")).to_string()
}

/// Replaces `$(NAME)`; a name that is not known stays as it is, as in a kubelet.
fn expand(word: &str, variables: &BTreeMap<String, String>) -> String {
    variables.iter().fold(word.to_string(), |word, (name, value)| word.replace(&format!("$({name})"), value))
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|word| text(word).to_string()).collect()
}

fn numbers(list: &Value) -> Vec<u64> {
    list.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
