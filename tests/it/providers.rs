//! kwok clusters, made by the real kwokctl.
#![allow(clippy::panic, clippy::print_stderr)]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use berth::base::{Change, ChangeKind, Clock, FieldChange, Owner, RunId, SystemClock};
use berth::containers::EngineSearch;
use berth::engine::{Events, Graph, Look, Outcome, Run, State, Survey, converge, remove, survey};
use berth::flow::{Cancel, Flow};
use berth::k8s::{Hub, HubSettings, Live, known_kind};
use berth::os::FileLock;
use berth::profile::schema::{ExistingCluster, KwokCluster, MaxUnavailable};
use berth::profile::{AddonSpec, ClusterSpec, Environment, MachineResources, NodeGroup};
use berth::providers::{Dirs, Leave, Local, Proxies, ToolSearch, environments, kind, provide, remains};

/// One environment in a folder of its own; nothing of it outlives the test.
struct Stage {
    folder: tempfile::TempDir,
    environment: Environment,
    tools: PathBuf,
}

impl Stage {
    /// `None`, and a word on it, when the programs of a rehearsal are not at hand.
    fn new(name: &str) -> Option<Self> {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let tools = std::env::var_os("BERTH_TOOLS")
            .map_or_else(|| home.join(".cache/berth/tools/current"), PathBuf::from);
        if !tools.join("kwokctl").exists() {
            eprintln!("skipped: no kwokctl in {}; run scripts/tools", tools.display());
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        Some(Self { folder, environment: environment(name), tools })
    }

    fn dirs(&self) -> Dirs {
        Dirs { state: self.folder.path().join("state"), cache: self.folder.path().join("cache") }
    }

    fn local(&self) -> Local {
        Local {
            dirs: self.dirs(),
            tools: ToolSearch::default(),
            engine: EngineSearch::default(),
            kind: kind::Choices::default(),
            proxies: Proxies::default(),
        }
    }

    fn graph(&self) -> Graph {
        self.graph_with(ToolSearch { cache: self.tools.clone(), ..ToolSearch::default() })
    }

    fn graph_with(&self, tools: ToolSearch) -> Graph {
        let local = Local { tools, ..self.local() };
        let provided = provide(&self.environment, &local, Leave::default(), None, &self.hub());
        let provided = provided.expect("kwok is available");
        let mut graph = Graph::new();
        graph.add(provided.cluster, provided.cluster_removal);
        if !self.environment.node_groups.is_empty() {
            graph.add(provided.node_groups, provided.node_groups_removal);
        }
        graph
    }

    fn hub(&self) -> Arc<Hub> {
        Arc::new(Hub::new(HubSettings {
            owner: self.environment.owner.clone(),
            run: RunId::new(SystemClock.now(), std::process::id()),
            place: "ada@test:/state".to_string(),
            kinds: BTreeSet::from([known_kind("v1", "Node").expect("built in")]),
            adopt: false,
            force_conflicts: false,
            prune_namespaces: false,
            prune_crds: false,
            partial: false,
        }))
    }

    fn run() -> Run {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let flow = Flow::new(Cancel::default()).within_limit(Duration::from_mins(5));
        Run {
            flow,
            events: Events::new(Arc::clone(&clock), Vec::new()),
            clock,
            grace: std::time::Duration::ZERO,
        }
    }

    async fn up(&self) -> Outcome {
        converge(&self.graph(), &Self::run()).await
    }

    /// Begins `up` and kills it as soon as `landmark` exists in the cluster's folder.
    async fn up_until(&self, landmark: &str) {
        let landmark = self.cluster_folder().join(landmark);
        tokio::select! {
            outcome = async { converge(&self.graph(), &Self::run()).await } => {
                assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
            }
            () = appears(&landmark) => {}
        }
        let lock = self.dirs().environment(&self.environment.owner).join("kwokctl.lock");
        while FileLock::holder(&lock).expect("asked").is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn down(&self) -> Outcome {
        remove(&self.graph(), &self.plan().await, &Self::run()).await
    }

    async fn plan(&self) -> Survey {
        let run = Self::run();
        survey(&self.graph(), &run.flow, &run.clock).await
    }

    async fn left(&self) -> Vec<String> {
        remains(&self.environment, &self.local(), &Self::run().flow).await.expect("listed")
    }

    fn cluster_folder(&self) -> PathBuf {
        let owner = &self.environment.owner;
        self.dirs().state.join("kwok/clusters").join(format!("{}-{}", owner.environment, owner.id))
    }

    /// The processes of this stage, told by where their program lies.
    fn processes(&self) -> Vec<(u32, String)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("a process table").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let program = String::from_utf8_lossy(line.split(|byte| *byte == 0).next().unwrap_or_default());
            if Path::new(program.as_ref()).starts_with(self.folder.path()) {
                found.push((pid, program.rsplit('/').next().unwrap_or_default().to_string()));
            }
        }
        found
    }

    fn kill_all(&self) {
        let pids = self.processes().into_iter().map(|(pid, _)| pid.to_string());
        std::process::Command::new("/bin/sh")
            .args(["-c", "kill -s KILL \"$@\" 2>/dev/null", "sh"])
            .args(pids)
            .status()
            .expect("a shell");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill_all();
    }
}

async fn appears(path: &Path) {
    while !path.exists() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn environment(name: &str) -> Environment {
    Environment {
        name: name.to_string(),
        owner: Owner { id: "7f3k2q9d".to_string(), environment: name.to_string() },
        rehearsal: false,
        protected: false,
        cluster: ClusterSpec::Kwok(KwokCluster { version: None }),
        kubernetes: (1, 36),
        kubernetes_assumed: false,
        admins: Vec::new(),
        members: std::collections::BTreeMap::new(),
        node_groups: Vec::new(),
        registry: None,
        mirrors: std::collections::BTreeMap::new(),
        pull_secrets: Vec::new(),
        addons: Vec::new(),
        addons_from: Vec::new(),
        tenants: Vec::new(),
    }
}

fn only(survey: &Survey) -> (State, Vec<ChangeKind>) {
    let seen = &survey.resources[0];
    let Look::Seen(state) = &seen.look else { panic!("it was not seen: {:?}", seen.look) };
    (state.clone(), seen.changes.iter().map(|change| change.kind).collect())
}

const COMPONENTS: [&str; 5] =
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok-controller"];

#[tokio::test]
async fn a_cluster_is_made_stopped_started_and_removed() {
    let Some(stage) = Stage::new("lifecycle") else { return };
    assert_eq!(only(&stage.plan().await), (State::Absent, vec![ChangeKind::Create]));
    assert!(stage.left().await.is_empty(), "planning makes nothing");

    let made = stage.up().await;
    assert!(made.failed.is_empty(), "{:?}", made.failed);
    let access = made.outputs.cluster_access().expect("it can be reached").clone();
    assert!(access.server.starts_with("https://127.0.0.1:"));
    assert_eq!(only(&stage.plan().await), (State::Ready, Vec::new()));
    assert!(!stage.up().await.changed, "the second up changes nothing");
    let marks = environments(&stage.dirs()).expect("listed");
    assert_eq!(marks.len(), 1);
    assert_eq!(marks[0].owner, stage.environment.owner);

    stage.kill_all();
    let (found, changes) = only(&stage.plan().await);
    assert!(matches!(found, State::Broken(why) if why.starts_with("stopped")));
    assert_eq!(changes, [ChangeKind::Start]);
    let started = stage.up().await;
    assert!(started.failed.is_empty(), "{:?}", started.failed);
    assert_eq!(started.outputs.cluster_access(), Some(&access), "it is the same cluster");

    let removed = stage.down().await;
    assert!(removed.failed.is_empty(), "{:?}", removed.failed);
    assert!(stage.left().await.is_empty());
    assert_eq!(stage.processes(), []);
    assert!(!stage.cluster_folder().exists());
    assert_eq!(environments(&stage.dirs()), Ok(Vec::new()));
}

#[tokio::test]
async fn a_making_that_was_killed_anywhere_is_finished_by_the_next_up() {
    let Some(stage) = Stage::new("killed") else { return };
    for landmark in ["kwok.yaml", "pki/ca.crt", "kubeconfig.yaml", "pids/etcd.pid", "pids/kube-scheduler.pid"]
    {
        stage.up_until(landmark).await;
        let (found, changes) = only(&stage.plan().await);
        assert!(matches!(found, State::Broken(_)), "{landmark}: {found:?}");
        assert_eq!(changes, [ChangeKind::Create], "{landmark}: nothing of value is in it");
    }
    let made = stage.up().await;
    assert!(made.failed.is_empty(), "{:?}", made.failed);
    let mut running: Vec<String> = stage.processes().into_iter().map(|(_, component)| component).collect();
    running.sort();
    assert_eq!(running, COMPONENTS, "each component runs once");
    assert!(stage.down().await.failed.is_empty());
    assert_eq!(stage.processes(), []);
}

#[tokio::test]
async fn a_half_made_cluster_is_removed_also_without_kwokctl() {
    let Some(stage) = Stage::new("orphan") else { return };
    stage.up_until("pids/kube-scheduler.pid").await;
    assert!(!stage.processes().is_empty());
    let removed = remove(&stage.graph_with(ToolSearch::default()), &stage.plan().await, &Stage::run()).await;
    assert!(removed.failed.is_empty(), "{:?}", removed.failed);
    assert_eq!(stage.processes(), []);
    assert!(stage.left().await.is_empty());
}

#[tokio::test]
async fn a_kwokctl_left_by_a_killed_run_is_waited_for_by_name() {
    let Some(stage) = Stage::new("leftover") else { return };
    let folder = stage.dirs().environment(&stage.environment.owner);
    std::fs::create_dir_all(&folder).expect("made");
    let lock = FileLock::try_take(&folder.join("kwokctl.lock"), "`kwokctl create cluster` of leftover")
        .expect("opened")
        .expect("free");
    let (found, changes) = only(&stage.plan().await);
    assert_eq!(found, State::Progressing("waiting for `kwokctl create cluster` of leftover".to_string()));
    assert!(changes.is_empty());
    drop(lock);
    // A program that another test of this process is just starting may hold the lock a moment longer.
    for _ in 0..10_000 {
        if only(&stage.plan().await).0 == State::Absent {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it is still waited for");
}

#[tokio::test]
async fn what_stands_and_cannot_be_started_is_replaced_only_as_planned() {
    let Some(stage) = Stage::new("lost") else { return };
    let made = stage.up().await;
    assert!(made.failed.is_empty(), "{:?}", made.failed);
    let kubeconfig = stage.dirs().kubeconfig(&stage.environment.owner);
    let damages: [&dyn Fn() -> std::io::Result<()>; 3] =
        [&|| std::fs::remove_file(&kubeconfig), &|| std::fs::write(&kubeconfig, b"\x00\xff{{{"), &|| {
            std::fs::write(&kubeconfig, "apiVersion: v1\nkind: Con")
        }];
    for damage in damages {
        damage().expect("it is ours");
        assert_eq!(only(&stage.plan().await), (State::Ready, vec![ChangeKind::Update]));
        assert!(stage.up().await.failed.is_empty());
        assert_eq!(only(&stage.plan().await), (State::Ready, Vec::new()));
    }

    std::fs::remove_file(stage.cluster_folder().join("pki/admin.key")).expect("removed");
    let (found, changes) = only(&stage.plan().await);
    assert_eq!(found, State::Broken("`pki/admin.key` is missing".to_string()));
    assert_eq!(changes, [ChangeKind::Replace]);
    let replaced = stage.up().await;
    assert!(replaced.failed.is_empty(), "{:?}", replaced.failed);
    assert_eq!(only(&stage.plan().await), (State::Ready, Vec::new()));
    assert!(stage.down().await.failed.is_empty());
}

fn group(name: &str, min: u32, max: u32, gpus: u32) -> NodeGroup {
    NodeGroup {
        name: name.to_string(),
        machine: "g6.xlarge".to_string(),
        other_machines: Vec::new(),
        resources: MachineResources {
            cpu: "4".parse().expect("a quantity"),
            memory: "16Gi".parse().expect("a quantity"),
            gpus,
            architecture: "amd64".to_string(),
        },
        min,
        max,
        zones: vec!["a".to_string(), "b".to_string()],
        spot: false,
        disk: None,
        max_unavailable: MaxUnavailable::default(),
        labels: BTreeMap::from([("team".to_string(), "ml".to_string())]),
        taints: Vec::new(),
    }
}

/// The nodes of the stage's cluster by name.
async fn nodes(stage: &Stage) -> BTreeMap<String, Live> {
    let access = stage.up().await.outputs.cluster_access().expect("it stands").clone();
    let hub = stage.hub();
    hub.connect(&access).await.expect("connected");
    let kind = known_kind("v1", "Node").expect("built in");
    let nodes = hub.list_all(&kind, &Stage::run().flow).await.expect("listed");
    nodes.into_iter().map(|node| (node.name.clone(), node)).collect()
}

fn node_changes(survey: &Survey) -> Vec<String> {
    let fields = |change: &Change| {
        let fields = change.fields.iter();
        let one = |field: &FieldChange| format!("{} {:?} -> {:?}", field.path, field.from, field.to);
        fields.map(one).collect::<Vec<_>>().join(", ")
    };
    survey
        .changes()
        .map(|(_, change)| format!("{:?} {}: {}", change.kind, change.subject, fields(change)))
        .collect()
}

#[tokio::test]
async fn node_groups_follow_the_profile() {
    let Some(mut stage) = Stage::new("nodes") else { return };
    stage.environment.node_groups = vec![group("general", 2, 6, 0), group("gpu", 0, 4, 1)];
    let made = stage.up().await;
    assert!(made.failed.is_empty(), "{:?}", made.failed);
    let standing = nodes(&stage).await;
    assert_eq!(standing.keys().collect::<Vec<_>>(), ["general-0", "general-1", "gpu-0"]);
    let gpu = &standing["gpu-0"];
    for offered in ["capacity", "allocatable"] {
        assert_eq!(gpu.body["status"][offered]["nvidia.com/gpu"], "1");
        assert_eq!(gpu.body["status"][offered]["memory"], "16Gi");
        assert_eq!(gpu.body["status"][offered]["pods"], "110");
    }
    assert_eq!(gpu.label("nvidia.com/gpu.present"), Some("true"));
    assert_eq!(gpu.label("berth.dev/owner"), Some("7f3k2q9d"));
    assert_eq!(gpu.body["spec"]["taints"][0]["key"], "nvidia.com/gpu");
    assert!(node_changes(&stage.plan().await).is_empty());
    assert!(!stage.up().await.changed, "the second up changes nothing");

    stage.environment.node_groups[0].min = 3;
    stage.environment.node_groups[1].labels.clear();
    let planned = node_changes(&stage.plan().await);
    assert_eq!(
        planned,
        [
            "Update node group general: nodes Some(\"2\") -> Some(\"3\")",
            "Update node group gpu: labels.team Some(\"ml\") -> None",
        ]
    );
    assert_eq!(nodes(&stage).await.len(), 4);
    assert!(node_changes(&stage.plan().await).is_empty());

    stage.environment.node_groups = vec![group("general", 1, 6, 0)];
    assert_eq!(
        node_changes(&stage.plan().await),
        [
            "Update node group general: nodes Some(\"3\") -> Some(\"1\")",
            "Delete node group gpu: nodes Some(\"1\") -> None",
        ]
    );
    assert_eq!(nodes(&stage).await.keys().collect::<Vec<_>>(), ["general-0"]);
    assert!(stage.down().await.failed.is_empty());
    assert!(stage.left().await.is_empty());
}

#[tokio::test]
async fn the_metrics_api_is_served_when_the_profile_has_it() {
    let Some(mut stage) = Stage::new("metrics") else { return };
    stage.environment.addons.push(AddonSpec::of_catalog("metrics-server", serde_json::json!({})));
    let made = stage.up().await;
    assert!(made.failed.is_empty(), "{:?}", made.failed);
    let mut running: Vec<String> = stage.processes().into_iter().map(|(_, component)| component).collect();
    running.sort();
    assert_eq!(running.last().map(String::as_str), Some("metrics-server"));
    assert_eq!(running.len(), COMPONENTS.len() + 1);
    assert!(stage.down().await.failed.is_empty());
}

#[tokio::test]
async fn a_cluster_of_somebody_else_is_used_checked_and_stays() {
    let Some(theirs) = Stage::new("theirs") else { return };
    let made = theirs.up().await;
    assert!(made.failed.is_empty(), "{:?}", made.failed);
    let mut ours = Stage::new("ours").expect("the tools are at hand");
    ours.environment.cluster = ClusterSpec::Existing(ExistingCluster {
        kubeconfig: theirs.dirs().kubeconfig(&theirs.environment.owner),
        context: "berth-theirs".to_string(),
        version: None,
    });
    let used = ours.up().await;
    assert!(used.failed.is_empty() && !used.changed, "{:?}", used.failed);
    assert!(used.outputs.cluster_access().is_some());

    ours.environment.node_groups = vec![group("general", 1, 1, 0)];
    let checked = ours.up().await;
    assert!(checked.failed[0].1.reason.contains("kubectl label node NODE team=ml"), "{:?}", checked.failed);
    assert!(!checked.changed);

    assert!(ours.down().await.failed.is_empty());
    assert_eq!(only(&theirs.plan().await), (State::Ready, Vec::new()));
    assert!(theirs.down().await.failed.is_empty());
}

#[tokio::test]
async fn what_a_wrapper_of_kwokctl_writes_into_the_kubeconfig_is_kept() {
    let Some(stage) = Stage::new("wrapped") else { return };
    let wrapper = stage.folder.path().join("kwokctl");
    let script = format!(
        "#!/bin/sh\n'{}' \"$@\" || exit\n\
         for word; do [ \"$before\" = --kubeconfig ] && file=$word; before=$word; done\n\
         [ \"$1\" != create ] || sed -i.old s,https://127.0.0.1:,https://localhost:, \"$file\"\n",
        stage.tools.join("kwokctl").display()
    );
    std::fs::write(&wrapper, script).expect("written");
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let search = ToolSearch {
        given: BTreeMap::from([("kwokctl".to_string(), wrapper)]),
        search_path: std::env::var_os("PATH").unwrap_or_default(),
        cache: stage.tools.clone(),
        ..ToolSearch::default()
    };
    let made = converge(&stage.graph_with(search), &Stage::run()).await;
    assert!(made.failed.is_empty(), "{:?}", made.failed);
    let server = made.outputs.cluster_access().map(|access| access.server.clone()).unwrap_or_default();
    assert!(server.starts_with("https://localhost:"), "{server}");
    assert!(stage.down().await.failed.is_empty());
}
