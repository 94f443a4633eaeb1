//! What `up` says at its end: the commands that reach what stands.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::session::Session;
use crate::containers::EngineKind;
use crate::engine::{Direction, Outcome};
use crate::plan;
use crate::profile::ClusterSpec;
use crate::registry::ecr;

impl Session<'_> {
    /// Commands that reach what stands, with what each is for.
    pub(super) fn reach(&self, outcome: &Outcome) -> Vec<(String, String)> {
        let mut lines: Vec<(String, String)> = Vec::new();
        let mut line = |command: String, purpose: &str| lines.push((command, purpose.to_string()));
        if let Some((kubeconfig, context)) = self.kubeconfig() {
            let kubectl = self.kubectl();
            line(format!("export KUBECONFIG={}", quoted(&kubeconfig)), "");
            line(format!("{kubectl}{context} get nodes"), "the nodes");
            if !self.environment.tenants.is_empty() {
                let tenants = "get resourcequotas,rolebindings -A -l berth.dev/tenant";
                line(format!("{kubectl}{context} {tenants}"), "the tenants' quotas and rights");
            }
        }
        if let Some(host) = plan::registry_host(&self.environment) {
            let engine = self.local.engine.find().map_or(EngineKind::Docker, |engine| engine.kind());
            line(format!("{} {host}/NAME:TAG", engine.push()), "an image for its pods");
        }
        if let Some(host) = outcome.outputs.text(ecr::HOST) {
            line(self.typed("registry login"), &format!("lets docker push to {host}"));
        }
        line(self.typed("status"), "how it is");
        line(self.again(Direction::Down), "take it away");
        // What a platform is for comes last: there it is seen.
        lines.extend(self.ways_in(outcome));
        lines
    }

    /// The addresses that others reach, and a request that works from here.
    fn ways_in(&self, outcome: &Outcome) -> Vec<(String, String)> {
        const REQUEST: &str = "404 until an Ingress for the host exists; it needs no DNS record";
        let network = outcome.outputs.cluster_network().filter(|network| !network.reachable);
        let inside = network.map(|network| format!(" from inside {}, not from here", network.title));
        let mut lines: Vec<(String, String)> = Vec::new();
        let mut requests: Vec<String> = Vec::new();
        let mut unserved = false;
        for (key, value) in outcome.outputs.texts() {
            if let Some(port) = key.strip_prefix("ingress-port.").and_then(|_| value.parse().ok()) {
                requests.extend(self.request_at_port(port));
            } else if key.starts_with("ingress.") && inside.is_none() {
                requests.insert(0, self.request(value));
            } else if let Some((kind, service)) = key.split_once('.').filter(|(kind, _)| is_address(kind)) {
                unserved |= kind == "ingress";
                let purpose = format!("the address of {service}{}", inside.as_deref().unwrap_or_default());
                lines.push((value.to_string(), purpose));
            }
        }
        match requests.into_iter().next() {
            Some(request) => lines.push((request, REQUEST.to_string())),
            None if unserved => {
                let purpose = "say so in `cluster.kind` before it is made, to reach hosts at 127.0.0.1:8080";
                lines.push(("ports: [{host: 8080, node: 80}]".to_string(), purpose.to_string()));
            }
            None => {}
        }
        lines
    }

    /// A host of the environment.
    fn host(&self) -> &str {
        let mut hosts = self.environment.tenants.iter().flat_map(|tenant| &tenant.hosts);
        hosts.find(|host| !host.contains('*')).map_or("example.com", String::as_str)
    }

    /// A request for a host of the environment at the port of this machine that leads to `port` of the nodes.
    fn request_at_port(&self, port: u16) -> Option<String> {
        let mapped = plan::mapped_port(&self.environment, port)?;
        let address = match mapped.ip() {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let (host, port) = (self.host(), mapped.port());
        Some(format!("curl --resolve {host}:{port}:{address} http://{host}:{port}/"))
    }

    /// A request for a host of the environment at `address`, whether DNS knows the host or not.
    fn request(&self, address: &str) -> String {
        let host = self.host();
        match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => format!("curl --resolve {host}:80:{ip} http://{host}/"),
            Ok(IpAddr::V6(ip)) => format!("curl --resolve {host}:80:[{ip}] http://{host}/"),
            Err(_) => format!("curl -H 'Host: {host}' http://{address}/"),
        }
    }

    /// `kubectl`, with its folder when it is not on PATH.
    fn kubectl(&self) -> String {
        let on_path = crate::os::find_on_path("kubectl", &self.local.tools.search_path).is_some();
        match self.local.tools.find("kubectl") {
            Some(path) if !on_path => quoted(&path),
            _ => "kubectl".to_string(),
        }
    }

    /// The kubeconfig that reaches the cluster, and the flag that names its context where that is needed.
    fn kubeconfig(&self) -> Option<(PathBuf, String)> {
        let private = self.local.dirs.kubeconfig(&self.environment.owner);
        match &self.environment.cluster {
            _ if private.is_file() => Some((private, String::new())),
            ClusterSpec::Existing(cluster) if !self.environment.rehearsal => {
                Some((cluster.kubeconfig.clone(), format!(" --context {}", cluster.context)))
            }
            _ => None,
        }
    }
}

/// Whether an output of this kind is the address of a Service.
fn is_address(kind: &str) -> bool {
    matches!(kind, "address" | "ingress")
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
