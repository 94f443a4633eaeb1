use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::control_plane::{AUDIT, binary_flags, kubectl, path_with_tools};
use super::{Berth, Finished, Machine, Pod, Running, eventually, run, tools};

/// The first address of the Services' range: the API server itself.
const API_SERVER: &str = "10.96.0.1";
/// The address of the only node, and of every pod on the node's network.
const NODE: &str = "172.30.0.1";

/// One node, simulated by kwok: its pods get addresses of its range and are Running at once.
const NODES: &str = "apiVersion: v1
kind: Node
metadata:
  name: node-1
  annotations: {kwok.x-k8s.io/node: fake}
  labels: {kubernetes.io/os: linux, kubernetes.io/arch: amd64, kubernetes.io/hostname: node-1}
spec: {podCIDR: 10.244.1.0/24}
";

/// How a proof's control plane differs from the usual one.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Further arguments of `kwokctl create cluster`.
    pub arguments: Vec<String>,
    /// Manifests that are applied before anything else, beside the one node.
    pub manifests: Vec<String>,
}

/// A real control plane on a machine of its own, on which pods are played with the real programs.
///
/// The API server is reached at the first address of the Services' range, as pods expect it; pods
/// have the addresses that kwok gives them, each in a network namespace of its own; a Service that
/// is played has its cluster address. So nothing that berth applied has to be changed.
pub struct Proof {
    /// Where all of it runs.
    pub machine: Machine,
    /// The binary, in the machine's network.
    pub berth: Berth,
    name: String,
}

impl Proof {
    /// Starts the control plane; none, and a word on standard error, where that cannot be.
    pub fn start(name: &str) -> Option<Self> {
        Self::start_with(name, &Wishes::default())
    }

    /// The same with wishes.
    pub fn start_with(name: &str, wishes: &Wishes) -> Option<Self> {
        let machine = match Machine::start(&[API_SERVER, NODE]) {
            Ok(machine) => machine,
            Err(reason) => {
                eprintln!("SKIPPED: {name}: {reason}");
                return None;
            }
        };
        let berth = Berth::new().with_prefix(machine.network_prefix());
        let proof = Self { machine, berth, name: name.to_string() };
        proof.create(wishes);
        Some(proof)
    }

    fn create(&self, wishes: &Wishes) {
        let folder = self.machine.folder();
        fs::write(folder.join("audit.yaml"), AUDIT).expect("ours");
        // The machine's own network: every address is its own.
        let configuration = "{apiVersion: config.kwok.x-k8s.io/v1alpha1, kind: KwokctlConfiguration, \
             options: {bindAddress: 0.0.0.0, kubeApiserverPort: 6443}}\n";
        fs::write(folder.join("kwokctl.yaml"), configuration).expect("ours");
        let kwokctl = tools().join("kwokctl").display().to_string();
        let mut create = self.machine.command(&kwokctl, &["create", "cluster", "--name", &self.name]);
        create.env("KWOK_WORKDIR", folder.join("kwok")).env("HOME", folder).env("PATH", path_with_tools());
        create.args(["--runtime", "binary", "--wait", "240s"]).args(binary_flags());
        create.arg("--config").arg(folder.join("kwokctl.yaml"));
        create.arg("--kubeconfig").arg(self.kubeconfig());
        create.arg("--kube-audit-policy").arg(folder.join("audit.yaml"));
        let authority = folder.join(format!("kwok/clusters/{}/pki/ca.crt", self.name)).display().to_string();
        // The first of each component comes before the second of any: kwokctl 0.8 panics otherwise.
        for setting in [
            "kube-apiserver=service-cluster-ip-range=10.96.0.0/16",
            "kwok-controller=cidr=10.244.0.0/24",
            &format!("kube-apiserver=advertise-address={NODE}"),
            &format!("kwok-controller=node-ip={NODE}"),
            // An aggregated API learns from the API server who calls.
            &format!("kube-apiserver=requestheader-client-ca-file={authority}"),
            "kube-apiserver=requestheader-allowed-names=kwok-admin",
            "kube-apiserver=requestheader-username-headers=X-Remote-User",
            "kube-apiserver=requestheader-group-headers=X-Remote-Group",
        ] {
            create.args(["--extra-args", setting]);
        }
        create.args(&wishes.arguments);
        let made = run(create);
        let answers = self.kubectl(&["get", "--raw", "/readyz"]).stdout == "ok";
        assert!(made.code == Some(0) && answers, "no control plane: {}", made.said());
        self.machine.relay(&format!("{API_SERVER}:443"), "127.0.0.1:6443");
        self.apply(NODES);
        for manifest in &wishes.manifests {
            self.apply(manifest);
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes the profile: this control plane with these addons, in YAML's braces.
    pub fn declare(&self, addons: &str) {
        let text = format!(
            "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: {name}\nid: pr2f3x7k\n\
             cluster:\n  existing: {{kubeconfig: {kubeconfig}, context: kwok-{name}}}\naddons: {addons}\n",
            name = self.name,
            kubeconfig = self.kubeconfig().display(),
        );
        self.berth.profile(&self.name, &text);
    }

    /// `berth COMMAND NAME …`.
    pub fn run(&self, command: &str, more: &[&str]) -> Finished {
        self.berth.run(&[&[command, &self.name], more].concat())
    }

    /// Starts `berth up NAME --yes`, which may wait for what the test has to play.
    pub fn start_up(&self) -> Running {
        self.berth.start(&["up", &self.name, "--yes"])
    }

    /// The administrator's kubeconfig, of use in the machine's network.
    pub fn kubeconfig(&self) -> PathBuf {
        self.machine.folder().join("kubeconfig")
    }

    /// kubectl as administrator, ready to be started.
    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let plain = kubectl(&self.kubeconfig(), arguments);
        let prefix = self.machine.network_prefix();
        let mut command = Command::new(&prefix[0]);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.machine.folder());
        command.args(&prefix[1..]).arg(plain.get_program()).args(plain.get_args());
        command
    }

    /// kubectl as administrator.
    pub fn kubectl(&self, arguments: &[&str]) -> Finished {
        run(self.kubectl_command(arguments))
    }

    /// One live object, if it is there.
    pub fn object(&self, namespace: &str, object: &str) -> Option<Value> {
        let found =
            self.kubectl(&["-n", namespace, "get", object, "-o", "json", "--ignore-not-found"]).expect(0);
        (!found.stdout.is_empty()).then(|| serde_json::from_str(&found.stdout).expect("kubectl prints JSON"))
    }

    /// Applies a manifest as the field manager `test`.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn apply(&self, manifest: &str) {
        self.try_to_apply(manifest).expect(0);
    }

    /// The same, whatever comes of it.
    pub fn try_to_apply(&self, manifest: &str) -> Finished {
        let file = tempfile::NamedTempFile::new_in(self.machine.folder()).expect("ours");
        fs::write(file.path(), manifest).expect("ours");
        let file = file.path().display().to_string();
        self.kubectl(&["apply", "--server-side", "--field-manager", "test", "-f", &file])
    }

    /// Plays the pod of a workload (`deployment/traefik`) with the real `program`.
    ///
    /// # Panics
    /// When there is no such pod within a minute, or a kubelet would refuse to start it.
    pub fn play(&self, namespace: &str, workload: &str, program: &Path) -> Pod<'_> {
        Pod::play(self, namespace, workload, program)
    }

    /// Gives a Service its cluster address, and passes connections to it on to the pod.
    ///
    /// # Panics
    /// When there is no such Service within a minute.
    pub fn play_service(&self, namespace: &str, name: &str, pod: &Pod<'_>) {
        let service = self.await_object(namespace, &format!("service/{name}"));
        let address = service["spec"]["clusterIP"].as_str().expect("it was asked for one");
        self.serve_at(address, &service, pod);
    }

    /// Says the address of a Service of type `LoadBalancer`, as a cloud would.
    ///
    /// # Panics
    /// When there is no such Service within a minute.
    pub fn give_address(&self, namespace: &str, name: &str, address: &str) {
        self.await_object(namespace, &format!("service/{name}"));
        let status = format!(r#"{{"status":{{"loadBalancer":{{"ingress":[{{"ip":"{address}"}}]}}}}}}"#);
        let patch = ["patch", "service", name, "--subresource=status", "--type=merge", "-p", &status];
        self.kubectl(&[&["-n", namespace][..], &patch].concat()).expect(0);
    }

    /// Passes connections to the load balancer's address of a Service on to the pod.
    ///
    /// # Panics
    /// When nobody gives the Service an address within a minute.
    pub fn play_load_balancer(&self, namespace: &str, name: &str, pod: &Pod<'_>) {
        let what = format!("{name} in {namespace} has an address");
        let (service, address) = eventually(&what, || {
            let service = self.object(namespace, &format!("service/{name}"))?;
            let address = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str()?.to_string();
            Some((service, address))
        });
        self.serve_at(&address, &service, pod);
    }

    fn serve_at(&self, address: &str, service: &Value, pod: &Pod<'_>) {
        self.machine.add_address(address);
        for port in service["spec"]["ports"].as_array().expect("a Service has ports") {
            let target = pod.port(&port["targetPort"]);
            let from = format!("{address}:{}", port["port"]);
            self.machine.relay(&from, &format!("{}:{target}", pod.address()));
        }
    }

    /// A live object, once it is there.
    ///
    /// # Panics
    /// When it does not come within a minute.
    pub fn await_object(&self, namespace: &str, object: &str) -> Value {
        let what = format!("{object} is in {namespace}");
        eventually(&what, || self.object(namespace, object))
    }

    /// The API server's own log of requests: one JSON line for each.
    pub fn audit_log(&self) -> Vec<Value> {
        let file = self.machine.folder().join(format!("kwok/clusters/{}/logs/audit.log", self.name));
        let text = fs::read_to_string(file).expect("the policy turns it on");
        // The last line may be half written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}
