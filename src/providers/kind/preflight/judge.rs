use super::sight::{EngineSight, Holder, KindSight, Obstacle, Sight};
use super::{Finding, Level, Wanted, gpu_finding, image};
use crate::base::{Fault, Remedy};
use crate::containers::EngineKind;

const GIBIBYTE: u64 = 1 << 30;
const MEBIBYTE: u64 = 1 << 20;
/// What a control plane of kind and a worker take, measured, with room for a few programs.
const CONTROL_PLANE_MEMORY: u64 = GIBIBYTE;
const WORKER_MEMORY: u64 = 256 * MEBIBYTE;
/// The node image unpacked, and what each node keeps of it in a volume of its own.
const IMAGE_DISK: u64 = 2 * GIBIBYTE;
const NODE_DISK: u64 = GIBIBYTE;
/// What kind's own page on known issues asks for.
const INOTIFY_INSTANCES: u64 = 512;
const INOTIFY_WATCHES: u64 = 524_288;
/// The oldest kind that works with containerd 2, which all supported node images have.
const OLDEST_KIND: (u32, u32) = (0, 27);
/// The oldest kind that writes the configuration which Kubernetes 1.37 reads.
const KIND_OF_NEW_KUBEADM: (u32, u32) = (0, 32);
const NEW_KUBEADM: (u32, u32) = (1, 37);
/// From here on a kubelet refuses cgroup v1 unless its configuration allows it.
const CGROUPS_V2: (u32, u32) = (1, 35);
/// Where `kind` comes from.
pub const GET_KIND: &str = "install kind 0.33 or newer so that it is on PATH: \
    https://kind.sigs.k8s.io/docs/user/quick-start/#installation";

/// What `sight` means for a cluster as `wanted`: the worst first.
pub fn judge(sight: &Sight, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &sight.engine {
        Ok(engine) => {
            engine_findings(engine, sight, wanted, &mut findings);
            size_findings(engine, sight, wanted, &mut findings);
            network_findings(engine, sight, wanted, &mut findings);
        }
        Err(fault) => findings.push(without_engine(fault)),
    }
    let before = findings.len();
    kind_findings(&sight.kind, wanted, &mut findings);
    // Another kind has other images.
    if findings[before..].iter().all(|finding| finding.level == Level::Warn) {
        findings.extend(image::finding(&sight.image, wanted));
    }
    inotify_findings(sight, &mut findings);
    findings.extend(sight.obstacles.iter().filter_map(|obstacle| port_finding(obstacle, sight)));
    findings.extend(sight.missing_mounts.iter().map(|folder| {
        fail(
            format!("mount {}", folder.display()),
            "there is no such folder, and the engine would make one that belongs to root",
            format!("`mkdir -p {}`", folder.display()),
        )
    }));
    if let Some((sight, wanted)) = sight.gpus.as_ref().zip(wanted.gpus.as_ref()) {
        findings.extend(gpu_finding(sight, wanted));
    }
    proxy_findings(sight, &mut findings);
    findings.sort_by_key(|finding| finding.level);
    findings
}

/// What of `sight` hinders the cluster of one profile alone.
pub(super) fn profile_findings(sight: &Sight, wanted: &Wanted) -> Vec<Finding> {
    let ports = sight.obstacles.iter().filter_map(|obstacle| port_finding(obstacle, sight));
    ports.chain(image::finding(&sight.image, wanted)).collect()
}

fn fail(what: impl Into<String>, found: impl Into<String>, remedy: impl Into<Remedy>) -> Finding {
    Finding { level: Level::Fail, what: what.into(), found: found.into(), remedy: remedy.into() }
}

fn warn(what: impl Into<String>, found: impl Into<String>, remedy: impl Into<Remedy>) -> Finding {
    Finding { level: Level::Warn, ..fail(what, found, remedy) }
}

/// An engine that is not there, does not let this user in, does not run or does not answer.
fn without_engine(fault: &Fault) -> Finding {
    // What matters stands last; docker puts warnings before it.
    let reason = fault.reason.lines().last().unwrap_or_default();
    let remedy = fault.hint.as_deref().unwrap_or("`docker info` has to work");
    fail("container engine", reason, remedy)
}

fn engine_findings(engine: &EngineSight, sight: &Sight, wanted: &Wanted, findings: &mut Vec<Finding>) {
    let info = &engine.info;
    if info.cgroups == Some(1) {
        if info.rootless {
            let found = "version 1: an engine without root cannot run kind on them";
            findings.push(fail("cgroups", found, "boot with `systemd.unified_cgroup_hierarchy=1`"));
        } else if wanted.kubernetes >= CGROUPS_V2 {
            let (major, minor) = wanted.kubernetes;
            findings.push(warn(
                "cgroups",
                format!(
                    "version 1: the kubelet of Kubernetes {major}.{minor} starts only if the node image \
                     sets `failCgroupV1: false`"
                ),
                "boot with `systemd.unified_cgroup_hierarchy=1`, or declare `version: \"1.34\"`",
            ));
        }
    }
    if info.rootless && info.cgroups == Some(2) && !info.limits {
        findings.push(fail(
            "engine without root",
            "it cannot limit memory, processes and CPU, which kubelets need",
            "hand these controllers to your user, `Delegate=yes`: https://kind.sigs.k8s.io/docs/user/rootless/",
        ));
    }
    if is_in_a_machine_of_its_own(engine, sight) {
        findings.push(warn(
            "addresses",
            format!(
                "containers run in a virtual machine of {}: load balancers cannot be reached from here",
                system(engine)
            ),
            "map ports instead: `ports: [{host: 8080, node: 80}]` in `cluster.kind`",
        ));
    }
    if engine.path.starts_with("/snap") || info.root.starts_with("/var/snap") {
        findings.push(warn(
            "Docker from snap",
            "it sees neither hidden folders nor $TMPDIR",
            "keep what `mounts` names elsewhere, or install Docker from its own packages",
        ));
    }
}

fn system(engine: &EngineSight) -> &str {
    if engine.info.system.is_empty() { "the engine" } else { &engine.info.system }
}

/// Whether containers run in a virtual machine beside this one.
fn is_in_a_machine_of_its_own(engine: &EngineSight, sight: &Sight) -> bool {
    engine.info.system.contains("Docker Desktop") || !sight.machine.is_linux
}

fn size_findings(engine: &EngineSight, sight: &Sight, wanted: &Wanted, findings: &mut Vec<Finding>) {
    let nodes = wanted.control_planes + wanted.workers;
    let memory = wanted.control_planes * CONTROL_PLANE_MEMORY + wanted.workers * WORKER_MEMORY;
    let count = if nodes == 1 { "one node needs".to_string() } else { format!("{nodes} nodes need") };
    let free = sight.machine.free_memory.filter(|_| !is_in_a_machine_of_its_own(engine, sight));
    if engine.info.memory > 0 && engine.info.memory < memory {
        findings.push(warn(
            "memory",
            format!("{} in all, and {count} {}", size(engine.info.memory), size(memory)),
            "give the engine's machine more, or declare fewer nodes",
        ));
    } else if let Some(free) = free.filter(|free| *free < memory) {
        findings.push(warn(
            "memory",
            format!("{} free, and {count} {}", size(free), size(memory)),
            "end other programs or clusters, or declare fewer nodes",
        ));
    }
    let disk = IMAGE_DISK + nodes * NODE_DISK;
    if let Some(free) = engine.free_disk.filter(|free| *free < disk) {
        findings.push(warn(
            "disk",
            format!("{} free in {}, and {count} {}", size(free), engine.info.root, size(disk)),
            engine.kind.how_to_make_room(),
        ));
    }
}

/// Bytes as people read them: `1.5 GiB`.
pub fn size(bytes: u64) -> String {
    if bytes < GIBIBYTE {
        return format!("{} MiB", bytes / MEBIBYTE);
    }
    let tenths = bytes * 10 / GIBIBYTE;
    if tenths.is_multiple_of(10) {
        format!("{} GiB", tenths / 10)
    } else {
        format!("{}.{} GiB", tenths / 10, tenths % 10)
    }
}

/// Addresses of pods and services that somebody else has.
fn network_findings(engine: &EngineSight, sight: &Sight, wanted: &Wanted, findings: &mut Vec<Finding>) {
    for (field, range) in &wanted.subnets {
        let what = format!("{field} {range}");
        let remedy = format!("choose another range: `{field}: {}` in `cluster.kind`", elsewhere(field));
        for (network, taken) in engine.networks.iter().filter(|(_, taken)| taken.overlaps(range)) {
            let found = format!("{} network `{network}` has {taken}", engine.kind);
            // Nodes are on that one, and would not reach each other; the others they never see.
            if *network == wanted.network {
                findings.push(fail(&what, found, remedy.as_str()));
            } else {
                findings.push(warn(&what, format!("{found}, which pods cannot reach"), remedy.as_str()));
            }
        }
        for route in sight.machine.routes.iter().filter(|route| route.range.overlaps(range)) {
            let found = format!(
                "{} goes through `{}`, and pods cannot reach what lies there",
                route.range, route.device
            );
            findings.push(warn(&what, found, remedy.as_str()));
        }
    }
    for (network, range) in engine.networks.iter().filter(|(network, _)| *network == wanted.network) {
        for route in sight.machine.routes.iter().filter(|route| route.range.overlaps(range)) {
            findings.push(warn(
                format!("network `{network}` {range}"),
                format!("{} goes through `{}`: one hides the other", route.range, route.device),
                format!(
                    "without clusters, `{} network rm {network}`; set `default-address-pools` of the engine",
                    engine.kind
                ),
            ));
        }
    }
}

/// A range that is rarely in use.
fn elsewhere(field: &str) -> &'static str {
    if field == "podSubnet" { "100.64.0.0/16" } else { "100.65.0.0/16" }
}

fn kind_findings(kind: &KindSight, wanted: &Wanted, findings: &mut Vec<Finding>) {
    let (version, minor) = match kind {
        KindSight::Missing => {
            findings.push(fail("kind", "not found on PATH", GET_KIND));
            return;
        }
        KindSight::Broken(why) => {
            findings.push(fail("kind", why, GET_KIND));
            return;
        }
        KindSight::Found { version, minor, .. } => (version, *minor),
    };
    let kubernetes = format!("Kubernetes {}.{}", wanted.kubernetes.0, wanted.kubernetes.1);
    if minor < OLDEST_KIND {
        findings.push(fail("kind", format!("{version} is too old for the node images of today"), GET_KIND));
    } else if minor < KIND_OF_NEW_KUBEADM && wanted.kubernetes >= NEW_KUBEADM {
        findings.push(fail("kind", format!("{version} cannot start {kubernetes}"), GET_KIND));
    } else if newest_of(minor) < wanted.kubernetes {
        findings.push(warn(
            "kind",
            format!("{version} is older than {kubernetes}, and may not start it"),
            GET_KIND,
        ));
    }
}

/// The Kubernetes that this kind was released with: 0.33 with 1.37, and each one before with one minor less.
fn newest_of(kind: (u32, u32)) -> (u32, u32) {
    if kind.0 > 0 { (1, u32::MAX) } else { (1, kind.1.saturating_add(4)) }
}

fn inotify_findings(sight: &Sight, findings: &mut Vec<Finding>) {
    let Some(inotify) = sight.machine.inotify else { return };
    // In a virtual machine, other limits count.
    if sight.engine.as_ref().is_ok_and(|engine| is_in_a_machine_of_its_own(engine, sight)) {
        return;
    }
    let mut short = Vec::new();
    let mut settings = Vec::new();
    for (key, found, least) in [
        ("max_user_instances", inotify.instances, INOTIFY_INSTANCES),
        ("max_user_watches", inotify.watches, INOTIFY_WATCHES),
    ] {
        if found < least {
            short.push(format!("{key} is {found}, kind wants {least}"));
            settings.push(format!("fs.inotify.{key}={least}"));
        }
    }
    if !short.is_empty() {
        let found = format!("{}: nodes may end with `too many open files`", short.join(", "));
        findings.push(warn("inotify", found, format!("`sudo sysctl {}`", settings.join(" "))));
    }
}

fn port_finding(obstacle: &Obstacle, sight: &Sight) -> Option<Finding> {
    let port = &obstacle.port;
    let number = port.address.port();
    let what = format!("port {number} of {}", port.address.ip());
    let another = "choose another `host` port in `cluster.kind.ports`";
    Some(match &obstacle.holder {
        Holder::Container { name, cluster } if cluster.is_empty() => {
            fail(what, format!("container `{name}` has it"), format!("stop that one, or {another}"))
        }
        Holder::Container { cluster, .. } => {
            fail(what, format!("the kind cluster `{cluster}` has it"), another)
        }
        Holder::Program(listener) => fail(
            what,
            format!("`{}` listens there, process {}", listener.name, listener.process),
            format!("end it, or {another}"),
        ),
        Holder::Somebody => fail(
            what,
            "in use by a program that cannot be seen from here",
            format!("`sudo lsof -i :{number}` names it: end it, or {another}"),
        ),
        Holder::NoAddress => fail(
            what,
            "this machine has no such address",
            "write `listen: 127.0.0.1`, or an address that it has",
        ),
        // An engine with root listens wherever it wants.
        Holder::Privileged if !sight.engine.as_ref().is_ok_and(|engine| engine.info.rootless) => return None,
        Holder::Privileged => {
            let first = sight.machine.first_unprivileged_port.unwrap_or(1024);
            fail(
                what,
                format!("an engine without root listens from {first} on"),
                format!(
                    "use a higher `host` port, or `sudo sysctl net.ipv4.ip_unprivileged_port_start={number}`"
                ),
            )
        }
    })
}

fn proxy_findings(sight: &Sight, findings: &mut Vec<Finding>) {
    for proxy in sight.proxies.iter().filter(|proxy| !proxy.is_exception()) {
        if proxy.is_loopback() {
            findings.push(fail(
                &proxy.name,
                format!(
                    "{} is this machine, and kind hands it to nodes, where it leads nowhere",
                    proxy.shown()
                ),
                format!(
                    "name an address that containers reach, or `unset {0} {1}`",
                    proxy.name,
                    proxy.name.to_lowercase()
                ),
            ));
        }
    }
    if let Ok(engine) = &sight.engine
        && engine.kind == EngineKind::Docker
        && !is_in_a_machine_of_its_own(engine, sight)
        && engine.info.proxies.is_empty()
        && let Some(proxy) = sight.proxies.iter().find(|proxy| !proxy.is_exception() && !proxy.is_loopback())
    {
        findings.push(warn(
            "proxies",
            format!("{} is set here, and the engine has none: it pulls node images without", proxy.name),
            "give the engine its proxies as well, unless it needs none: https://docs.docker.com/engine/daemon/proxy/",
        ));
    }
}
