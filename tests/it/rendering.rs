//! What addons and tenants render is taken by a real API server as it is, and holds there.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, Weak};

use berth::addons::Catalog;
use berth::base::{Capability, Owner, Platform, ProviderKind, Quantity, label};
use berth::k8s::Object;
use berth::profile::{AddonSpec, Group, PodSecurity, Tenant, TenantGroups, TenantLimits};
use berth::tenants::Pulling;
use serde_json::{Value, json};

use super::support::loopback_configuration;

const APPLY: &[&str] = &["apply", "--server-side", "--field-manager=berth", "--validate=strict", "-f", "-"];

#[test]
fn what_is_rendered_is_what_stands() {
    let Some(cluster) = Cluster::shared() else { return };
    for object in rendered() {
        let served = object.kind.served.as_ref().expect("its kind is known");
        let kind = format!("{}.{}", served.plural, object.kind.group);
        let namespace = object.namespace.clone().unwrap_or_default();
        let live =
            cluster.run(&["get", kind.trim_end_matches('.'), &object.name, "-n", &namespace, "-o", "json"]);
        let live: Value = serde_json::from_slice(&live.stdout).expect("an object");
        // A field that the API server drops or rewrites would look like drift for ever.
        holds(&object.body, &live, &object.title());
    }
}

#[test]
fn metrics_server_for_a_cluster_with_real_nodes_is_accepted() {
    let Some(cluster) = Cluster::shared() else { return };
    for (provider, replicas, count) in [(ProviderKind::Kind, 1, 9), (ProviderKind::Existing, 2, 10)] {
        let platform = Platform { rehearsal: false, provider, ..platform() };
        let objects = addon("metrics-server", json!({"replicas": replicas}), &platform);
        assert_eq!(objects.len(), count);
        let items: Vec<&Value> = objects.iter().map(|object| &object.body).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        // Not for real: an APIService with nothing behind it breaks the discovery of every client.
        assert_accepted(&cluster.feed(&[APPLY, &["--dry-run=server"]].concat(), &list), "metrics-server");
    }
}

#[test]
fn the_addons_pods_are_let_into_their_restricted_namespace() {
    let Some(cluster) = Cluster::shared() else { return };
    let rollout =
        cluster.run(&["rollout", "status", "deployment/traefik", "-n", "traefik", "--timeout=240s"]);
    assert_accepted(&rollout, "the rollout of traefik");
}

#[test]
fn a_deployment_without_limits_runs_and_one_beyond_the_quota_is_denied() {
    let Some(cluster) = Cluster::shared() else { return };
    let as_editor = ["--as=ada", "--as-group=idp:checkout-devs", "-n", "checkout-ns"];
    let created = cluster.feed(&[&["create", "-f", "-"], as_editor.as_slice()].concat(), &deployment("web"));
    assert_accepted(&created, "an editor's deployment");
    let rollout =
        cluster.run(&["rollout", "status", "deployment/web", "-n", "checkout-ns", "--timeout=240s"]);
    assert_accepted(&rollout, "its rollout");

    let pods = cluster.run(&["get", "pods", "-l", "app=web", "-n", "checkout-ns", "-o", "json"]);
    let pods: Value = serde_json::from_slice(&pods.stdout).expect("a list");
    let pod = &pods["items"][0];
    let resources = &pod["spec"]["containers"][0]["resources"];
    assert_eq!(resources["requests"]["cpu"], "100m");
    assert_eq!(resources["limits"]["memory"], "256Mi");
    let volumes = pod["spec"]["volumes"].as_array();
    assert!(volumes.is_none_or(Vec::is_empty), "the pod has a token that it did not ask for: {volumes:?}");

    let mut greedy = pod_of("greedy");
    greedy["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "11"}});
    let denied = cluster.feed(&["create", "-f", "-", "-n", "checkout-ns"], &greedy);
    assert_denied(&denied, "exceeded quota: berth-quota", "a pod beyond the quota");

    let mut privileged = pod_of("privileged");
    privileged["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
    let denied = cluster.feed(&["create", "-f", "-", "-n", "checkout-ns"], &privileged);
    assert_denied(&denied, "violates PodSecurity \"restricted:v1.36\"", "a privileged pod");
}

#[test]
fn a_group_may_what_its_role_says_in_its_own_namespace_only() {
    let Some(cluster) = Cluster::shared() else { return };
    let (devs, viewers, leads) = ("idp:checkout-devs", "idp:auditors", "idp:checkout-leads");
    for (group, verb, resource, namespace, allowed) in [
        (devs, "create", "deployments.apps", "checkout-ns", true),
        (devs, "patch", "deployments.apps/scale", "checkout-ns", true),
        (devs, "get", "secrets", "checkout-ns", true),
        (devs, "create", "pods/exec", "checkout-ns", true),
        (devs, "create", "deployments.apps", "inventory-ns", false),
        (devs, "get", "pods", "inventory-ns", false),
        (devs, "get", "namespaces/checkout-ns", "checkout-ns", true),
        (devs, "get", "networkpolicies.networking.k8s.io", "checkout-ns", true),
        (devs, "delete", "networkpolicies.networking.k8s.io", "checkout-ns", false),
        (devs, "patch", "resourcequotas", "checkout-ns", false),
        (devs, "patch", "limitranges", "checkout-ns", false),
        (devs, "patch", "namespaces/checkout-ns", "checkout-ns", false),
        (devs, "create", "endpointslices.discovery.k8s.io", "checkout-ns", false),
        (devs, "create", "rolebindings.rbac.authorization.k8s.io", "checkout-ns", false),
        (devs, "impersonate", "serviceaccounts", "checkout-ns", false),
        (viewers, "list", "pods", "checkout-ns", true),
        (viewers, "get", "secrets", "checkout-ns", false),
        (viewers, "create", "pods/exec", "checkout-ns", false),
        (viewers, "create", "deployments.apps", "checkout-ns", false),
        (leads, "create", "rolebindings.rbac.authorization.k8s.io", "checkout-ns", true),
        (leads, "patch", "resourcequotas", "checkout-ns", false),
        (leads, "bind", "clusterroles.rbac.authorization.k8s.io/cluster-admin", "checkout-ns", false),
        ("idp:platform", "delete", "namespaces", "", true),
    ] {
        let group_flag = format!("--as-group={group}");
        let answer =
            cluster.run(&["auth", "can-i", verb, resource, "-n", namespace, "--as=ada", &group_flag]);
        let said = String::from_utf8_lossy(&answer.stdout).trim().to_string();
        let wanted = if allowed { "yes" } else { "no" };
        assert_eq!(said, wanted, "{group}: {verb} {resource} in `{namespace}`: {}", stderr(&answer));
    }
}

#[test]
fn a_tenants_admin_cannot_grant_more_than_it_has() {
    let Some(cluster) = Cluster::shared() else { return };
    let as_lead = ["--as=lea", "--as-group=idp:checkout-leads", "-n", "checkout-ns"];
    let grant = |name: &str, role: &str| {
        let (role, group) = (format!("--clusterrole={role}"), "--group=idp:checkout-interns");
        cluster.run(&[&["create", "rolebinding", name, &role, group], as_lead.as_slice()].concat())
    };
    assert_accepted(&grant("interns", "berth-tenant-viewer-7f3k2q9d"), "granting the viewer's role");
    assert_denied(
        &grant("edit", "edit"),
        "attempting to grant RBAC permissions not currently held",
        "granting `edit`",
    );
}

/// Everything that the two rooms render for a small environment, in the order of applying.
fn rendered() -> Vec<Object> {
    let owner = Owner { id: "7f3k2q9d".to_string(), environment: "rendering".to_string() };
    let mut objects = addon("traefik", json!({"replicas": 2}), &platform());
    objects.extend(berth::tenants::render(
        &[checkout(), inventory()],
        &owner,
        &platform(),
        &Pulling::Anonymously,
    ));
    objects.extend(berth::tenants::render_admins(&[group("platform")], &owner));
    for object in &mut objects {
        // What the object set adds; the policies of a tenant select by it.
        object.body["metadata"]["labels"][label::OWNER] = json!(owner.id);
    }
    objects.sort_by_key(|object| object.kind.wave());
    objects
}

fn platform() -> Platform {
    Platform {
        provider: ProviderKind::Kind,
        cluster: "dev".to_string(),
        region: None,
        kubernetes: (1, 36),
        kubernetes_assumed: false,
        rehearsal: true,
        load_balancer: Capability::Native,
        ports_mapped: false,
        dns_addresses: vec!["169.254.20.10/32".to_string()],
        native_addons: Vec::new(),
        network: None,
    }
}

fn addon(name: &str, options: Value, platform: &Platform) -> Vec<Object> {
    let spec = AddonSpec::of_catalog(name, options);
    let catalog = Catalog::load(&[]).expect("the shipped addons");
    catalog.render(&spec, std::slice::from_ref(&spec), platform).expect("rendered").objects
}

fn checkout() -> Tenant {
    Tenant {
        name: "checkout".to_string(),
        namespaces: vec!["checkout-ns".to_string()],
        groups: TenantGroups {
            admin: vec![group("checkout-leads")],
            editor: vec![group("checkout-devs")],
            viewer: vec![group("auditors")],
        },
        quota: quantities(&[("requests.cpu", "10"), ("limits.memory", "20Gi")]),
        limits: TenantLimits {
            default_request: quantities(&[("cpu", "100m"), ("memory", "128Mi")]),
            default: quantities(&[("memory", "256Mi")]),
            max: quantities(&[("memory", "8Gi")]),
        },
        pod_security: PodSecurity::Restricted,
        allow_from: vec!["frontend-ns".to_string()],
        hosts: vec!["checkout.example.com".to_string()],
    }
}

fn inventory() -> Tenant {
    Tenant {
        name: "inventory".to_string(),
        namespaces: vec!["inventory-ns".to_string(), "inventory-batch".to_string()],
        groups: TenantGroups { editor: vec![group("inventory-devs")], ..TenantGroups::default() },
        pod_security: PodSecurity::Baseline,
        allow_from: vec!["checkout-ns".to_string()],
        hosts: Vec::new(),
        ..checkout()
    }
}

fn group(name: &str) -> Group {
    Group { name: name.to_string(), subject: format!("idp:{name}") }
}

fn quantities(values: &[(&str, &str)]) -> BTreeMap<String, Quantity> {
    let parse = |text: &str| text.parse().expect("a quantity");
    values.iter().map(|(key, text)| ((*key).to_string(), parse(text))).collect()
}

fn pod_of(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod_spec()})
}

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec()},
        },
    })
}

/// What `restricted` wants, without requests and limits.
fn pod_spec() -> Value {
    json!({
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "main",
            "image": "example.com/web:1",
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        }],
    })
}

/// That every value of `wanted` stands in `live`, lists element by element.
pub fn holds(wanted: &Value, live: &Value, path: &str) {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            for (key, value) in wanted {
                let path = format!("{path}.{key}");
                holds(value, live.get(key).unwrap_or(&Value::Null), &path);
            }
        }
        (Value::Array(wanted), Value::Array(live)) => {
            assert_eq!(wanted.len(), live.len(), "{path}");
            wanted.iter().zip(live).for_each(|(wanted, live)| holds(wanted, live, path));
        }
        _ => assert_eq!(wanted, live, "{path}"),
    }
}

fn assert_accepted(output: &Output, what: &str) {
    assert!(output.status.success(), "{what} was refused: {}", stderr(output));
    assert!(!stderr(output).contains("Warning"), "{what} brought a warning: {}", stderr(output));
}

fn assert_denied(output: &Output, because: &str, what: &str) {
    assert!(!output.status.success(), "{what} was accepted");
    assert!(stderr(output).contains(because), "{what} was refused for another reason: {}", stderr(output));
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A real control plane with one simulated node and everything rendered applied to it. Shared by the
/// tests that run at the same time; the last one takes it away, also when it fails.
struct Cluster {
    folder: tempfile::TempDir,
    tools: PathBuf,
}

impl Cluster {
    /// `None`, with the reason on stderr, where the tools of a rehearsal have not been built.
    #[expect(clippy::print_stderr, reason = "a skipped test says why")]
    fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let tools = tools();
        if !tools.join("kwokctl").is_file() {
            eprintln!("skipped: no kwokctl in `{}`; run scripts/tools", tools.display());
            return None;
        }
        // A test that failed while it held the lock has left nothing half made in it.
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return Some(cluster);
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cluster = Arc::new(Self { folder, tools });
        cluster.start();
        *shared = Arc::downgrade(&cluster);
        Some(cluster)
    }

    fn start(&self) {
        // Somebody else may be quicker to take one of its ports, and kwokctl says 0 also when its wait has failed.
        let is_made = (0..3).any(|_| {
            let made = self.create();
            let answers = made.status.success() && self.run(&["get", "--raw", "/readyz"]).stdout == b"ok";
            if !answers {
                eprintln!("no control plane: {}", stderr(&made));
                self.delete();
            }
            answers
        });
        assert!(is_made, "no control plane");
        let mut scale = self.program("kwokctl");
        scale.args(["scale", "node", "--name", "rendering", "--replicas", "1"]);
        assert_success(&scale.output().expect("kwokctl runs"), "the node");

        let objects = rendered();
        for wave in objects.chunk_by(|a, b| a.kind.wave() == b.kind.wave()) {
            let items: Vec<&Value> = wave.iter().map(|object| &object.body).collect();
            let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
            assert_accepted(&self.feed(APPLY, &list), &format!("{:?}", wave[0].kind.wave()));
        }
    }

    fn create(&self) -> Output {
        let config_file = self.folder.path().join("config.yaml");
        std::fs::write(&config_file, loopback_configuration()).expect("written");
        let mut create = self.program("kwokctl");
        create.args(["create", "cluster", "--name", "rendering", "--runtime", "binary", "--wait", "120s"]);
        create.arg("--config").arg(config_file).arg("--kubeconfig").arg(self.kubeconfig());
        for (flag, program) in [
            ("--etcd-binary", "etcd"),
            ("--kube-apiserver-binary", "kube-apiserver"),
            ("--kube-controller-manager-binary", "kube-controller-manager"),
            ("--kube-scheduler-binary", "kube-scheduler"),
            ("--kwok-controller-binary", "kwok"),
        ] {
            create.arg(flag).arg(self.tools.join(program));
        }
        create.output().expect("kwokctl runs")
    }

    fn delete(&self) -> Output {
        let mut delete = self.program("kwokctl");
        delete.args(["delete", "cluster", "--name", "rendering", "--kubeconfig"]).arg(self.kubeconfig());
        delete.output().expect("kwokctl runs")
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// One of the tools, kept away from the user's own folders.
    fn program(&self, name: &str) -> Command {
        let mut path = self.tools.clone().into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = Command::new(self.tools.join(name));
        command.env("PATH", path).env("HOME", self.folder.path()).env("KWOK_WORKDIR", self.folder.path());
        command.env_remove("KUBECONFIG").stdin(Stdio::null());
        command
    }

    fn kubectl<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = self.program("kubectl");
        command.arg("--kubeconfig").arg(self.kubeconfig()).args(arguments);
        command
    }

    fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Output {
        self.kubectl(arguments).output().expect("kubectl runs")
    }

    /// kubectl with `object` on its stdin.
    fn feed<A: AsRef<OsStr>>(&self, arguments: &[A], object: &Value) -> Output {
        let mut command = self.kubectl(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl runs");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(object.to_string().as_bytes()).expect("kubectl reads");
        drop(stdin);
        child.wait_with_output().expect("kubectl ends")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let deleted = self.delete();
        // A panic in a drop would hide the failure that led here.
        if !std::thread::panicking() {
            assert_success(&deleted, "deleting the control plane");
        }
    }
}

fn assert_success(output: &Output, what: &str) {
    assert!(output.status.success(), "{what}: {}", stderr(output));
}

/// Where `scripts/tools` puts the programs of a rehearsal.
fn tools() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()).map(PathBuf::from);
    cache.unwrap_or_else(home).join("berth/tools/current")
}
