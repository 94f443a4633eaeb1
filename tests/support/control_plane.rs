use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::berth::{Finished, run};
use super::{Proxy, tools};

/// One line for each answered request, without bodies.
pub(super) const AUDIT: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
";

/// Ends a run's hold on the control plane and, when it was the last one, the control plane.
///
/// It waits for the end of its standard input, which is a pipe that the test process holds: so it
/// comes to its work however that process ends. `rmdir` succeeds only for the last user.
const GUARD: &str = r#"trap '' INT TERM HUP
cat >/dev/null
rm -f "$1/users/$2"
rmdir "$1/users" 2>/dev/null || exit 0
KWOK_WORKDIR="$1/kwok" "$3" delete cluster --name "$4"
rm -rf "$1"
"#;

/// How often a control plane is begun: somebody else may be quicker to take one of its ports.
const ATTEMPTS: usize = 3;

/// A real etcd, API server, controller manager and scheduler, one for all tests.
pub struct ControlPlane {
    folder: PathBuf,
    name: String,
}

impl ControlPlane {
    /// The control plane of this test run: started by whoever comes first, shared by every test
    /// process, removed when the last one has ended, however it ended.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(Self::join_or_start)
    }

    /// A second control plane of this test process, for what would disturb every other test: one caller
    /// at a time. It goes when the process ends.
    pub fn alone() -> (MutexGuard<'static, ()>, &'static Self) {
        static ALONE: OnceLock<ControlPlane> = OnceLock::new();
        static TURN: Mutex<()> = Mutex::new(());
        // A test that failed leaves nothing behind in the lock.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let plane = ALONE.get_or_init(|| {
            let name = format!("stage-alone-{}-{}", std::process::id(), nonce());
            let plane = Self { folder: root().join(&name), name };
            plane.start();
            plane
        });
        (turn, plane)
    }

    fn join_or_start() -> Self {
        let root = root();
        let lock = File::create(root.join("lock")).expect("the folder is ours");
        lock.lock().expect("a lock can be waited for");
        let current = root.join("current");
        if let Ok(name) = fs::read_to_string(&current) {
            let plane = Self { folder: root.join(&name), name };
            // Entering fails when its last user has left; then it is on its way out.
            if plane.enter().is_ok() && plane.answers() {
                return plane;
            }
        }
        let plane = Self::new(&root);
        fs::write(current, &plane.name).expect("the folder is ours");
        plane
    }

    /// A control plane for the tests of one subject in this process, for what would be in the way of
    /// the others. It goes when the process ends.
    pub fn own() -> &'static Self {
        static OWN: OnceLock<ControlPlane> = OnceLock::new();
        OWN.get_or_init(|| Self::new(&root()))
    }

    fn new(root: &Path) -> Self {
        let name = format!("stage-{}-{}", std::process::id(), nonce());
        let plane = Self { folder: root.join(&name), name };
        plane.start();
        plane
    }

    fn start(&self) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(self.folder.join("users")).expect("ours");
        fs::write(self.folder.join("audit.yaml"), AUDIT).expect("ours");
        // The guard comes first, and waits for kwokctl too: also a half-made cluster goes.
        let held = self.enter().expect("it was made just now");
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let made = self.create(&held);
            // kwokctl says 0 also when its wait has failed.
            if made.status.success() && self.answers() {
                return;
            }
            said = String::from_utf8_lossy(&made.stderr).into_owned();
            let mut delete = self.kwokctl("delete");
            delete.stdin(held.try_clone().expect("it is open")).output().expect("the tools are there");
        }
        panic!("no control plane: {said}");
    }

    /// `kwokctl VERB cluster --name …`.
    fn kwokctl(&self, verb: &str) -> Command {
        let mut command = Command::new(tools().join("kwokctl"));
        command
            .env("KWOK_WORKDIR", self.folder.join("kwok"))
            .env("HOME", &self.folder)
            .env("PATH", path_with_tools())
            .args([verb, "cluster", "--name", &self.name]);
        command
    }

    /// Tries to make it, on ports that are free now.
    fn create(&self, held: &OwnedFd) -> Output {
        fs::write(self.folder.join("kwokctl.yaml"), loopback_configuration()).expect("ours");
        let authority = self.cluster_folder().join("pki/ca.crt");
        let mut create = self.kwokctl("create");
        create.args(["--runtime", "binary", "--wait", "120s"]);
        create.arg("--config").arg(self.folder.join("kwokctl.yaml"));
        create.arg("--kubeconfig").arg(self.kubeconfig());
        create.arg("--kube-audit-policy").arg(self.folder.join("audit.yaml"));
        create.args(binary_flags());
        let authority_key = self.cluster_folder().join("pki/ca.key").display().to_string();
        let authority = authority.display().to_string();
        // The first of each component comes before the second of any: kwokctl 0.8 panics otherwise.
        for (component, key, value) in [
            // The proxy speaks for its callers with the administrator's certificate.
            ("kube-apiserver", "requestheader-client-ca-file", authority.as_str()),
            ("kube-controller-manager", "cluster-signing-cert-file", &authority),
            ("kube-controller-manager", "cluster-signing-key-file", &authority_key),
            ("kube-apiserver", "requestheader-allowed-names", "kwok-admin"),
            ("kube-apiserver", "requestheader-username-headers", "X-Remote-User"),
            ("kube-apiserver", "requestheader-group-headers", "X-Remote-Group"),
        ] {
            create.arg("--extra-args").arg(format!("{component}={key}={value}"));
        }
        create.stdin(held.try_clone().expect("it is open")).output().expect("the tools are there")
    }

    /// Counts this process as a user, and leaves a guard behind that ends this. The guard waits as
    /// long as this process lives or anybody else holds what is returned.
    fn enter(&self) -> std::io::Result<OwnedFd> {
        let user = format!("{}-{}", std::process::id(), nonce());
        OpenOptions::new().write(true).create_new(true).open(self.folder.join("users").join(&user))?;
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "guard"])
            .arg(&self.folder)
            .arg(&user)
            .arg(tools().join("kwokctl"))
            .arg(&self.name)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = OwnedFd::from(guard.stdin.take().expect("it was asked for"));
        let held = pipe.try_clone()?;
        // Open until this process ends, in whatever way.
        std::mem::forget(pipe);
        Ok(held)
    }

    fn answers(&self) -> bool {
        self.kubectl(&["get", "--raw", "/readyz"]).stdout == "ok"
    }

    /// Where kwokctl keeps this cluster.
    pub fn cluster_folder(&self) -> PathBuf {
        self.folder.join("kwok/clusters").join(&self.name)
    }

    /// The administrator's kubeconfig, straight to the API server.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// The only context of the kubeconfig.
    pub fn context(&self) -> String {
        format!("kwok-{}", self.name)
    }

    /// A new proxy before this control plane.
    pub fn proxy(&self) -> Proxy {
        Proxy::of_cluster(&self.cluster_folder())
    }

    /// Writes the administrator's kubeconfig with `proxy` as its server into `folder`.
    pub fn kubeconfig_through(&self, proxy: &Proxy, folder: &Path) -> PathBuf {
        let direct = fs::read_to_string(self.kubeconfig()).expect("kwokctl wrote it");
        let server = server_of(&self.kubeconfig()).expect("kwokctl wrote it");
        let path = folder.join("kubeconfig-through-proxy");
        fs::write(&path, direct.replace(&server, &proxy.url())).expect("the test's folder is writable");
        path
    }

    /// kubectl as administrator, straight to the API server.
    pub fn kubectl(&self, arguments: &[&str]) -> Finished {
        run(kubectl(&self.kubeconfig(), arguments))
    }

    /// Applies `manifest` as the field manager `manager`, straight to the API server.
    ///
    /// # Panics
    /// When it is refused.
    pub fn apply_as(&self, manager: &str, manifest: &str) {
        let file = self.folder.join(format!("apply-{}", nonce()));
        File::create(&file).and_then(|mut file| file.write_all(manifest.as_bytes())).expect("ours");
        let file_name = file.display().to_string();
        let done = self.kubectl(&["apply", "--server-side", "--field-manager", manager, "-f", &file_name]);
        fs::remove_file(&file).expect("it was written just now");
        assert_eq!(done.code, Some(0), "apply as {manager}: {}", done.stderr);
    }

    /// The API server's own log of requests: one JSON line for each.
    pub fn audit_log(&self) -> Vec<serde_json::Value> {
        let text =
            fs::read_to_string(self.cluster_folder().join("logs/audit.log")).expect("the policy turns it on");
        // The last line may be half written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// A configuration for kwokctl that binds everything to loopback (its own default is every address)
/// and to ports of its own: two kwokctl that look for ports at the same time find the same ones. It plays the nodes
/// that are marked for it, and no others: what a test writes of theirs stays.
pub fn loopback_configuration() -> String {
    const KEYS: [&str; 6] = [
        "etcdPort",
        "etcdPeerPort",
        "kubeApiserverPort",
        "kubeControllerManagerPort",
        "kubeSchedulerPort",
        "kwokControllerPort",
    ];
    // Below the ports that the system gives to outgoing connections, at a place that differs from
    // process to process.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let mut port =
        20_000 + u16::try_from((since.subsec_nanos() / 7 + std::process::id() * 61) % 10_000).expect("small");
    let mut ports = Vec::new();
    while ports.len() < KEYS.len() {
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            ports.push(port);
        }
        port += 1;
    }
    let ports: Vec<String> = KEYS.iter().zip(ports).map(|(key, port)| format!("{key}: {port}")).collect();
    format!(
        "{{apiVersion: config.kwok.x-k8s.io/v1alpha1, kind: KwokctlConfiguration, \
         options: {{bindAddress: 127.0.0.1, {}}}, \
         componentsPatches: [{{name: kwok-controller, extraArgs: [\
         {{key: manage-all-nodes, value: \"false\", override: true}}, \
         {{key: manage-nodes-with-annotation-selector, value: kwok.x-k8s.io/node=fake}}]}}]}}\n",
        ports.join(", ")
    )
}

/// The flags of `kwokctl create cluster` that name the programs, so that it fetches nothing.
pub fn binary_flags() -> Vec<String> {
    [
        ("etcd", "etcd"),
        ("kube-apiserver", "kube-apiserver"),
        ("kube-controller-manager", "kube-controller-manager"),
        ("kube-scheduler", "kube-scheduler"),
        ("kwok-controller", "kwok"),
    ]
    .iter()
    .map(|(component, program)| format!("--{component}-binary={}", tools().join(program).display()))
    .collect()
}

/// kubectl with `kubeconfig`, in an environment of its own.
pub fn kubectl(kubeconfig: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(tools().join("kubectl"));
    let home = kubeconfig.parent().expect("a file lies in a folder");
    command.env_clear().env("HOME", home).arg("--kubeconfig").arg(kubeconfig).args(arguments);
    command
}

/// The `server` of a kubeconfig that has one cluster.
pub fn server_of(kubeconfig: &Path) -> Result<String, String> {
    let text =
        fs::read_to_string(kubeconfig).map_err(|error| format!("{}: {error}", kubeconfig.display()))?;
    text.lines()
        .find_map(|line| line.trim().strip_prefix("server: "))
        .map(|server| server.trim_matches('"').to_string())
        .ok_or_else(|| format!("{} names no server", kubeconfig.display()))
}

/// The tools, then the programs of this machine.
pub fn path_with_tools() -> String {
    format!("{}:/usr/local/bin:/usr/bin:/bin", tools().display())
}

/// The folder of all control planes of this checkout's tests, closed to others: kwokctl writes keys
/// that everybody may read into it. Another checkout has tests of the same names, so it has
/// another folder.
fn root() -> PathBuf {
    let checkout = fs::metadata(env!("CARGO_MANIFEST_DIR")).expect("cargo runs here");
    let user = fs::metadata(env!("CARGO_TARGET_TMPDIR")).expect("cargo made it").uid();
    let root = std::env::temp_dir().join(format!("berth-stage-{user}-{}", checkout.ino()));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&root).expect("a temp folder is writable");
    let metadata = fs::metadata(&root).expect("it is there");
    let is_closed = metadata.mode().is_multiple_of(0o100);
    assert!(is_closed && metadata.uid() == user, "`{}` is not ours alone", root.display());
    root
}

fn nonce() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}
