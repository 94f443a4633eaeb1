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
