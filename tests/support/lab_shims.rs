use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Berth, ControlPlane};

/// The engine: it has the containers of one cluster or none.
const ENGINE: &str = r#"#!/bin/sh
world='@WORLD@'
printf '@NAME@ %s\n' "$*" >>"$world/calls"
[ ! -e "$world/engine-is-gone" ] || { cat '@GONE@' >&2; exit 1; }
[ ! -e "$world/engine-hangs" ] || exec tail -f /dev/null
own=$(sed -n 's/.*"\/var\/run\/nvidia-container-devices\/\([^"]*\)".*/\1/p' "$world/nodes.json" 2>/dev/null)
case "$*" in
'info '*) cat "$world/info.json" ;;
'ps --all '*label=berth.dev/registry*) ;;
'ps --all '*) [ ! -e "$world/nodes.json" ] || echo node ;;
'network inspect kind')
	[ ! -e "$world/no-network" ] || { echo 'Error: No such network: kind' >&2; exit 1; }
	cat '@NETWORK@'
	;;
'container inspect '*) cat "$world/nodes.json" ;;
'start '*) sed 's/"exited"/"running"/g' "$world/nodes.json" >"$world/nodes.new" && mv "$world/nodes.new" "$world/nodes.json" ;;
'rm --force '*) rm -f "$world/nodes.json" ;;
'start '*) sed -i 's/"exited"/"running"/g' "$world/nodes.json" ;;
'unpause '*) sed -i 's/"paused"/"running"/g' "$world/nodes.json" ;;
'image inspect '*) cat '@IMAGE@' ;;
'run --rm '*' /kind/version') cat "$world/kubernetes" ;;
# What a container lists that asks for all GPUs of the machine as nodes do.
'run --rm '*':/var/run/nvidia-container-devices/all '*' -L')
	[ ! -e "$world/no-gpus" ] || { cat '@NO_GPUS@' >&2; exit 127; }
	cat '@GPUS@'
	;;
# A look into a node with GPUs, and its set-up: played alone, since the node is.
'exec '*'nvidia-smi -L '*) cat "$world/gpu-node" ;;
'exec '*'/run/berth-gpus.lock'*)
	: >"$world/set-up-begun"
	while [ -e "$world/set-up-waits" ]; do sleep 0.05; done
	[ ! -e "$world/no-network" ] || { cat '@NO_NETWORK@' >&2; exit 6; }
	sed -n "s/.*(UUID: $own).*/smi &/p" '@GPUS@' >"$world/gpu-node.own"
	{ printf 'toolkit\nruntime nvidia\nmodifies 0\n'; cat "$world/gpu-node.own"; } >"$world/gpu-node.done"
	mv "$world/gpu-node.done" "$world/gpu-node"
	;;
# Nothing was told to a node about registries.
'cp '*)
	echo "Error response from daemon: Could not find the file /etc/containerd/certs.d in container $2" >&2
	exit 1
	;;
'network ls'* | 'ps '* | 'volume ls '* | 'exec '*) ;;
*) echo "not recorded: $*" >&2; exit 70 ;;
esac
"#;

/// kind: its cluster is the control plane of the tests, and its nodes are in the engine above.
const KIND: &str = r#"#!/bin/sh
world='@WORLD@'
printf 'kind %s (%s)\n' "$*" "$KIND_EXPERIMENTAL_PROVIDER" >>"$world/calls"
verb="$1 $2" config= kubeconfig= previous=
for argument in "$@"; do
	case $previous in
	--config) config=$argument ;;
	--kubeconfig) kubeconfig=$argument ;;
	esac
	previous=$argument
done
fail_without_engine() {
	[ -e "$world/engine-is-gone" ] || return 0
	printf 'ERROR: failed to %s: command "docker ps" failed with error: exit status 1\n\nCommand Output: ' "$1" >&2
	cat '@GONE@' >&2
	exit 1
}
case $verb in
version*) echo "kind v@VERSION@ go1.26.8 linux/amd64" | if [ "$2" = --quiet ]; then cut -d' ' -f2 | cut -c2-; else cat; fi ;;
'create cluster')
	mark=$(grep -o '/etc/berth/[^"]*' "$config" | head -1)
	gpu=$(grep -o '/var/run/nvidia-container-devices/[^"]*' "$config" | head -1)
	sed "s#@MARK@#$mark#g; s#@GPU@#$gpu#g" "$world/nodes.template" >"$world/nodes.json"
	cp "$config" "$world/kind.yaml"
	[ ! -e "$world/meanwhile" ] || . "$world/meanwhile"
	fail_without_engine 'create cluster'
	cp '@KUBECONFIG@' "$kubeconfig"
	;;
'get kubeconfig')
	fail_without_engine 'get kubeconfig'
	if [ -e "$world/kubeconfig" ]; then cat "$world/kubeconfig"; else cat '@KUBECONFIG@'; fi
	;;
'delete cluster')
	fail_without_engine 'delete cluster'
	[ ! -e "$world/kind-removes-nothing" ] || exit 0
	[ ! -e "$world/kind-cannot-remove" ] || { cat '@NOT_REMOVED@' >&2; exit 1; }
	rm -f "$world/nodes.json"
	;;
*) echo "not recorded: $*" >&2; exit 70 ;;
esac
"#;

/// A lab whose kind and container engine are played: they say what the real ones were recorded to say, and
/// its API server is the real one of [`ControlPlane`], with nodes that are registered by the test.
pub struct LabShims {
    folder: TempDir,
    engine: &'static str,
    /// The API server behind the lab.
    pub plane: &'static ControlPlane,
    /// The name of the lab; it has a control plane and one worker.
    pub name: &'static str,
    /// The binary in its home.
    pub berth: Berth,
}

impl LabShims {
    /// A lab in `engine`, `docker` or `podman`, with this version of kind. Nothing is made yet.
    pub fn new(name: &'static str, engine: &'static str, kind: &str) -> Self {
        let folder =
            tempfile::Builder::new().prefix("berth-lab-").tempdir().expect("a temp folder is writable");
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).expect("the folder is ours");
        let berth = Berth::new().with_path_first(&bin).with_variable("BERTH_ENGINE", engine);
        let recorded = recorded(engine);
        let lab = Self { folder, engine, plane: ControlPlane::own(), name, berth };
        let program = |name: &str, text: &str| {
            let text = text
                .replace("@WORLD@", &lab.folder.path().display().to_string())
                .replace("@NAME@", name)
                .replace("@GONE@", &fixture("docker-not-running.txt").display().to_string())
                .replace("@NETWORK@", &fixture(recorded).join("network-inspect.json").display().to_string())
                .replace("@KUBECONFIG@", &lab.plane.kubeconfig().display().to_string())
                .replace("@IMAGE@", &fixture("docker-20.10/image-inspect.json").display().to_string())
                .replace("@GPUS@", &fixture("nvidia-smi-list.txt").display().to_string())
                .replace("@NO_GPUS@", &fixture("docker-no-nvidia-smi.txt").display().to_string())
                .replace("@NOT_REMOVED@", &fixture("kind-delete-fails.txt").display().to_string())
                .replace("@NO_NETWORK@", &fixture("curl-without-network.txt").display().to_string())
                .replace("@VERSION@", kind);
            fs::write(bin.join(name), text).expect("the folder is ours");
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).expect("it is ours");
        };
        program(engine, ENGINE);
        program("kind", KIND);
        fs::copy(fixture(recorded).join("info.json"), lab.path("info.json")).expect("both are there");
        fs::write(lab.path("kubernetes"), "v1.36.3\n").expect("the folder is ours");
        let nodes = [("control-plane", "control-plane"), ("worker", "worker")]
            .map(|(suffix, role)| lab.container(&format!("{name}-{suffix}"), role));
        fs::write(lab.path("nodes.template"), json!(nodes).to_string()).expect("the folder is ours");
        lab.berth.profile(
            name,
            &format!(
                "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: {name}\nid: abcd1234\ncluster:\n  \
                 kind: {{version: \"1.36\", image: localhost/node:v1}}\nnodeGroups:\n  - {{name: general, nodes: 1}}\n"
            ),
        );
        lab
    }

    /// A node as the engine was recorded to show one, under another name.
    fn container(&self, name: &str, role: &str) -> Value {
        let file = fixture(recorded(self.engine)).join("node-inspect.json");
        let text = fs::read_to_string(file).expect("it belongs to the repository");
        let mut node = serde_json::from_str::<Value>(&text).expect("it was recorded whole")[0].take();
        let old = node["Name"].as_str().expect("a name");
        let slash = if old.starts_with('/') { "/" } else { "" };
        node["Name"] = json!(format!("{slash}{name}"));
        node["Config"]["Labels"] = json!({"io.x-k8s.kind.cluster": self.name, "io.x-k8s.kind.role": role});
        node["State"]["Status"] = json!("running");
        let mounts = node["Mounts"].as_array_mut().expect("a list");
        let marked = mounts
            .iter_mut()
            .find(|mount| mount["Source"] == "/dev/null")
            .expect("it was recorded with a mark");
        marked["Destination"] = json!("@MARK@");
        node
    }

    /// Has the profile's worker have a GPU, and Docker what nodes get GPUs by: its default runtime is NVIDIA's, and the
    /// machine has the four GPUs of the recording. The worker is as kind makes it: it sees all of them.
    pub fn has_gpus(&self) {
        let profile = fs::read_to_string(self.profile()).expect("it was written");
        let group = "{name: general, nodes: 1, resources: {nvidia.com/gpu: 1}}";
        fs::write(self.profile(), profile.replace("{name: general, nodes: 1}", group))
            .expect("the folder is ours");
        let recorded = fs::read_to_string(self.path("info.json")).expect("it was copied");
        let able = recorded.replace("\"DefaultRuntime\": \"runc\"", "\"DefaultRuntime\": \"nvidia\"");
        assert!(able != recorded);
        fs::write(self.path("info.json"), able).expect("the folder is ours");
        let nodes = fs::read_to_string(self.path("nodes.template")).expect("it was written");
        let mut nodes: Value = serde_json::from_str(&nodes).expect("it was written as JSON");
        let mount = json!({"Type": "bind", "Source": "/dev/null", "Destination": "@GPU@", "RW": true});
        nodes[1]["Mounts"].as_array_mut().expect("a list").push(mount);
        fs::write(self.path("nodes.template"), nodes.to_string()).expect("the folder is ours");
        self.is_started_anew();
    }

    /// Leaves of the worker's set-up for GPUs what a start of its container leaves, or before any set-up nothing.
    pub fn is_started_anew(&self) {
        let kept =
            if self.path("set-up-begun").exists() { "toolkit\nruntime nvidia\n" } else { "runtime runc\n" };
        let listed =
            fs::read_to_string(fixture("nvidia-smi-list.txt")).expect("it belongs to the repository");
        let listed = format!("smi {}\n", listed.trim_end().replace('\n', "\nsmi "));
        fs::write(self.path("gpu-node"), format!("{kept}modifies 1\n{listed}")).expect("the folder is ours");
    }

    /// The file of its profile.
    pub fn profile(&self) -> PathBuf {
        self.berth.work().join("profiles").join(format!("{}.yaml", self.name))
    }

    /// A file of the played world.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes `fact` true: `engine-is-gone`, `engine-hangs`, `kind-cannot-remove`, `kind-removes-nothing`.
    pub fn now(&self, fact: &str) {
        fs::write(self.path(fact), "").expect("the folder is ours");
    }

    /// Makes `fact` false again.
    pub fn no_longer(&self, fact: &str) {
        fs::remove_file(self.path(fact)).expect("it was true");
    }

    /// Has kind run the shell script `script` once its nodes are there and before it ends.
    pub fn meanwhile(&self, script: &str) {
        fs::write(self.path("meanwhile"), script).expect("the folder is ours");
    }

    /// Lets somebody else make the cluster: its nodes carry no mark.
    pub fn is_made_by_somebody_else(&self) {
        let nodes = fs::read_to_string(self.path("nodes.template")).expect("it was written at the beginning");
        fs::write(self.path("nodes.json"), nodes.replace("@MARK@", "/dev/theirs"))
            .expect("the folder is ours");
    }

    /// Lets the node called like the lab and `suffix` be `exited` or `paused`.
    pub fn is_now(&self, suffix: &str, state: &str) {
        let path = self.path("nodes.json");
        let text = fs::read_to_string(&path).expect("the cluster was made");
        let mut nodes: Value = serde_json::from_str(&text).expect("it was written whole");
        let name = format!("{}-{suffix}", self.name);
        let of_it =
            |node: &&mut Value| node["Name"].as_str().is_some_and(|it| it.trim_start_matches('/') == name);
        let node = nodes.as_array_mut().expect("a list").iter_mut().find(of_it).expect("it has that node");
        node["State"]["Status"] = json!(state);
        fs::write(&path, nodes.to_string()).expect("the folder is ours");
    }

    /// Lets the containers of the cluster run since `time`.
    pub fn runs_since(&self, time: &str) {
        let text = fs::read_to_string(self.path("nodes.json")).expect("the cluster is made");
        let mut nodes: Vec<Value> = serde_json::from_str(&text).expect("a list of containers");
        for node in &mut nodes {
            node["State"]["StartedAt"] = json!(time);
        }
        fs::write(self.path("nodes.json"), json!(nodes).to_string()).expect("the folder is ours");
    }

    /// Lets the API server be one that does not answer.
    pub fn is_silent(&self) {
        let path = self.berth.run(&["kubeconfig", self.name]).expect(0).stdout;
        let text = fs::read_to_string(path.trim()).expect("berth keeps one");
        let server = text.split_whitespace().find(|word| word.contains("https://")).expect("a server");
        let silent = text.replace(server, "https://127.0.0.1:1");
        fs::write(path.trim(), &silent).expect("the folder is ours");
        // kind knows no better.
        fs::write(self.path("kubeconfig"), silent).expect("the folder is ours");
    }

    /// Changes the containers of the cluster as the engine tells them.
    pub fn containers(&self, change: impl FnOnce(&mut Vec<Value>)) {
        let text = fs::read_to_string(self.path("nodes.json")).expect("the cluster was made");
        let mut nodes: Vec<Value> = serde_json::from_str(&text).expect("it was written as JSON");
        change(&mut nodes);
        fs::write(self.path("nodes.json"), json!(nodes).to_string()).expect("the folder is ours");
    }

    /// Writes `new` for `old` in the profile.
    pub fn rewrite(&self, old: &str, new: &str) {
        let text = fs::read_to_string(self.profile()).expect("it was written");
        assert!(text.contains(old), "{text}");
        fs::write(self.profile(), text.replace(old, new)).expect("the folder is ours");
    }

    /// Whether the engine has the containers of the cluster.
    pub fn stands(&self) -> bool {
        self.path("nodes.json").exists()
    }

    /// Registers the node called like the lab and `suffix`, as its kubelet would.
    pub fn register(&self, suffix: &str) {
        let mut labels = json!({"berth.dev/owner": "abcd1234"});
        if suffix == "worker" {
            labels["berth.dev/node-group"] = json!("general");
        }
        let node = json!({"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": format!("{}-{suffix}", self.name),
                "labels": labels,
                "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                "message": "played", "lastHeartbeatTime": "2026-01-01T00:00:00Z",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        self.plane.apply_as("kubelet", &node.to_string());
    }

    /// Every call of the engine and of kind so far, one line for each.
    pub fn calls(&self) -> Vec<String> {
        // Nothing was called as long as there is no such file.
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(str::to_string).collect()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        fs::write(self.path("calls"), "").expect("the folder is ours");
    }
}

impl Drop for LabShims {
    /// The control plane is that of other tests too.
    fn drop(&mut self) {
        let names = ["control-plane", "worker"].map(|suffix| format!("node/{}-{suffix}", self.name));
        self.plane.kubectl(&["delete", "--ignore-not-found", &names[0], &names[1]]);
    }
}

/// The folder of what was recorded of `engine`.
fn recorded(engine: &str) -> &'static str {
    if engine == "podman" { "podman-4.3.1" } else { "docker-20.10" }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/engines").join(name)
}
