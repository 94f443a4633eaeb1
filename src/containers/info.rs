use std::collections::BTreeMap;

use serde_json::Value;

/// What an engine tells of itself and its machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    /// The engine's version: `28.2.2`.
    pub version: String,
    /// The architecture of what it runs, as images name it: `amd64`, `arm64`.
    pub architecture: String,
    /// What it runs on: `Debian GNU/Linux 12 (bookworm)`, `Docker Desktop`.
    pub system: String,
    /// 1 or 2.
    pub cgroups: Option<u32>,
    /// Whether it runs without root.
    pub rootless: bool,
    /// Whether it can limit memory, processes and CPU of containers: without root, only where the system
    /// hands these controllers to the user.
    pub limits: bool,
    /// Cores of the machine, or of the virtual machine that the containers run in.
    pub cores: u64,
    /// Memory in bytes, likewise.
    pub memory: u64,
    /// The names of its container runtimes, such as `runc` and `nvidia`.
    pub runtimes: Vec<String>,
    /// The runtime that containers get when they name none.
    pub default_runtime: String,
    /// Where it keeps images and containers.
    pub root: String,
    /// Whether its images are in containerd's own store.
    pub containerd_store: bool,
    /// Proxies that it uses, by name of the setting; values may hold credentials.
    pub proxies: BTreeMap<String, String>,
}

impl Info {
    /// From `docker info --format '{{json .}}'` or that of podman or nerdctl. The inner fault is what the engine
    /// said instead of answering.
    pub(super) fn parse(text: &str) -> Result<Result<Self, String>, String> {
        let value: Value = serde_json::from_str(text.trim()).map_err(|error| error.to_string())?;
        let errors: Vec<&str> =
            value["ServerErrors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !errors.is_empty() {
            return Ok(Err(errors.join("\n")));
        }
        Ok(Ok(if value["host"].is_object() { Self::of_podman(&value) } else { Self::of(&value) }))
    }

    fn of(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_string();
        let entries = |key: &str| value[key].as_array().cloned().unwrap_or_default();
        let driver = entries("DriverStatus");
        let proxy = |key: &str| Some((key.to_string(), text(key))).filter(|(_, value)| !value.is_empty());
        let containerd_store = driver.iter().any(|pair| {
            pair[0] == "driver-type" && pair[1].as_str().is_some_and(|name| name.contains("containerd"))
        });
        Self {
            version: text("ServerVersion"),
            architecture: architecture(&text("Architecture")),
            system: text("OperatingSystem"),
            cgroups: text("CgroupVersion").parse().ok(),
            rootless: entries("SecurityOptions")
                .iter()
                .any(|option| option.as_str().is_some_and(|option| option.contains("rootless"))),
            limits: ["MemoryLimit", "PidsLimit", "CPUShares"].iter().all(|key| value[key] == true),
            cores: value["NCPU"].as_u64().unwrap_or_default(),
            memory: value["MemTotal"].as_u64().unwrap_or_default(),
            runtimes: value["Runtimes"]
                .as_object()
                .map(|all| all.keys().cloned().collect())
                .unwrap_or_default(),
            default_runtime: text("DefaultRuntime"),
            root: text("DockerRootDir"),
            containerd_store,
            proxies: ["HttpProxy", "HttpsProxy", "NoProxy"].into_iter().filter_map(proxy).collect(),
        }
    }

    fn of_podman(value: &Value) -> Self {
        let host = &value["host"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let system = &host["distribution"];
        let runtime = text(&host["ociRuntime"]["name"]);
        let controllers = host["cgroupControllers"].as_array().cloned().unwrap_or_default();
        Self {
            version: text(&value["version"]["Version"]),
            architecture: architecture(&text(&host["arch"])),
            system: format!("{} {}", text(&system["distribution"]), text(&system["version"]))
                .trim()
                .to_string(),
            cgroups: text(&host["cgroupVersion"]).trim_start_matches('v').parse().ok(),
            rootless: host["security"]["rootless"].as_bool().unwrap_or_default(),
            limits: ["memory", "pids", "cpu"].iter().all(|name| controllers.iter().any(|has| has == name)),
            cores: host["cpus"].as_u64().unwrap_or_default(),
            memory: host["memTotal"].as_u64().unwrap_or_default(),
            runtimes: vec![runtime.clone()],
            default_runtime: runtime,
            root: text(&value["store"]["graphRoot"]),
            containerd_store: false,
            proxies: BTreeMap::new(),
        }
    }
}

/// The name that images use for what the kernel calls its machine.
fn architecture(machine: &str) -> String {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Info {
        Info::parse(text).expect("JSON").expect("an answer")
    }

    #[test]
    fn docker_tells_of_itself() {
        let info = read(include_str!("../../tests/fixtures/engines/docker-20.10/info.json"));
        assert_eq!(
            (info.version.as_str(), info.cgroups, info.architecture.as_str()),
            ("20.10.24+dfsg1", Some(1), "amd64")
        );
        assert!(!info.containerd_store && !info.rootless);
        assert_eq!(info.default_runtime, "runc");
    }

    #[test]
    fn podman_tells_the_same_in_other_words() {
        let info = read(include_str!("../../tests/fixtures/engines/podman-4.3.1/info.json"));
        assert_eq!(
            (info.version.as_str(), info.cgroups, info.architecture.as_str()),
            ("4.3.1", Some(1), "amd64")
        );
        assert_eq!((info.cores, info.memory), (4, 25_274_359_808));
        assert_eq!(info.system, "debian 12");
        assert_eq!(
            (info.runtimes, info.root.as_str()),
            (vec!["runc".to_string()], "/var/lib/containers/storage")
        );
    }

    #[test]
    fn nerdctl_tells_what_docker_does_and_not_where_it_keeps_things() {
        let info = read(include_str!("../../tests/fixtures/engines/nerdctl-2.2.1/info.json"));
        assert_eq!((info.version.as_str(), info.cgroups, info.cores), ("v2.3.7", Some(1), 4));
        assert_eq!((info.architecture.as_str(), info.root.as_str()), ("amd64", ""));
        assert!(info.limits && !info.rootless && !info.containerd_store);
    }

    /// The parts that matter of <https://github.com/sourcegraph/src-cli/pull/1008>, with the image store that
    /// <https://github.com/buildpacks/imgutil/pull/231> shows.
    #[test]
    fn docker_desktop_is_known_with_the_store_of_its_images() {
        let info = read(
            r#"{"ID":"fdd17e44","Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],
            "CgroupDriver":"cgroupfs","CgroupVersion":"2","KernelVersion":"5.15.49-linuxkit-pr","OperatingSystem":"Docker Desktop",
            "OSType":"linux","Architecture":"aarch64","HttpProxy":"http.docker.internal:3128","NCPU":8,"MemTotal":8232910848}"#,
        );
        assert!(info.containerd_store);
        assert_eq!(
            (info.system.as_str(), info.architecture.as_str(), info.cgroups),
            ("Docker Desktop", "arm64", Some(2))
        );
        assert_eq!(info.proxies.len(), 1);
    }

    #[test]
    fn an_engine_that_lacks_one_controller_limits_nothing_that_kubelets_need() {
        let of_docker = |pids: bool| {
            read(&format!(r#"{{"MemoryLimit": true, "PidsLimit": {pids}, "CPUShares": true}}"#)).limits
        };
        assert_eq!((of_docker(true), of_docker(false)), (true, false));
        let of_podman = |all: &str| read(&format!(r#"{{"host": {{"cgroupControllers": [{all}]}}}}"#)).limits;
        assert!(of_podman(r#""cpu", "memory", "pids""#) && !of_podman(r#""memory", "pids""#));
    }

    #[test]
    fn an_answer_of_the_client_alone_is_none() {
        let said = r#"{"ServerErrors":["Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"],"ClientInfo":{}}"#;
        let errors = Info::parse(said).expect("JSON").expect_err("no answer");
        assert!(errors.starts_with("Cannot connect"));
    }
}
