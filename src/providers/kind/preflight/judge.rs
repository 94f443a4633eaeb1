use super::sight::{EngineSight, Holder, KindSight, Obstacle, Sight};
use super::{Finding, Level, Wanted};
use crate::base::Fault;
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
    kind_findings(&sight.kind, wanted, &mut findings);
    inotify_findings(sight, &mut findings);
    for obstacle in &sight.obstacles {
        findings.extend(port_finding(obstacle, sight));
    }
    findings.extend(sight.missing_mounts.iter().map(|folder| {
        fail(
            format!("mount {}", folder.display()),
            "there is no such folder, and the engine would make one that belongs to root",
            format!("`mkdir -p {}`", folder.display()),
        )
    }));
    proxy_findings(sight, &mut findings);
    findings.sort_by_key(|finding| finding.level);
    findings
}

fn fail(what: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { level: Level::Fail, what: what.into(), found: found.into(), remedy: remedy.into() }
}

fn warn(what: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
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
            format!("make room: `{} system prune` removes what no container uses", engine.kind),
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
            if network == "kind" {
                findings.push(fail(&what, found, &remedy));
            } else {
                findings.push(warn(&what, format!("{found}, which pods cannot reach"), &remedy));
            }
        }
        for route in sight.machine.routes.iter().filter(|route| route.range.overlaps(range)) {
            let found = format!(
                "{} goes through `{}`, and pods cannot reach what lies there",
                route.range, route.device
            );
            findings.push(warn(&what, found, &remedy));
        }
    }
    for (network, range) in engine.networks.iter().filter(|(network, _)| network == "kind") {
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

#[cfg(test)]
mod tests {
    use super::super::{Inotify, Machine, Proxies, Route, WantedPort};
    use super::*;
    use crate::base::FaultKind;
    use crate::containers::Info;
    use crate::os::ports::Listener;

    fn engine() -> EngineSight {
        EngineSight {
            kind: EngineKind::Docker,
            path: "/usr/bin/docker".into(),
            info: Info {
                cgroups: Some(2),
                memory: 16 * GIBIBYTE,
                limits: true,
                root: "/var/lib/docker".to_string(),
                ..Info::default()
            },
            free_disk: Some(100 * GIBIBYTE),
            networks: vec![("kind".to_string(), "172.18.0.0/16".parse().expect("a range"))],
        }
    }

    fn good() -> Sight {
        let inotify = Inotify { instances: 512, watches: 524_288 };
        Sight {
            engine: Ok(engine()),
            kind: KindSight::Found {
                version: "0.33.0".to_string(),
                minor: (0, 33),
                path: "/bin/kind".into(),
            },
            machine: Machine {
                is_linux: true,
                inotify: Some(inotify),
                free_memory: Some(8 * GIBIBYTE),
                ..Machine::default()
            },
            obstacles: Vec::new(),
            missing_mounts: Vec::new(),
            proxies: Proxies::default(),
        }
    }

    /// The level, what and found of each finding.
    fn told(sight: &Sight, wanted: &Wanted) -> Vec<String> {
        let level = |finding: &Finding| if finding.level == Level::Fail { "fail" } else { "warn" };
        let findings = judge(sight, wanted);
        assert!(findings.iter().all(|finding| !finding.remedy.is_empty()));
        findings
            .iter()
            .map(|finding| format!("{} {}: {}", level(finding), finding.what, finding.found))
            .collect()
    }

    fn with_engine(change: impl FnOnce(&mut EngineSight)) -> Vec<String> {
        let mut engine = engine();
        change(&mut engine);
        told(&Sight { engine: Ok(engine), ..good() }, &Wanted::usual())
    }

    #[test]
    fn a_machine_that_has_everything_is_found_without_fault() {
        assert_eq!(told(&good(), &Wanted::usual()), [""; 0]);
    }

    #[test]
    fn an_engine_that_cannot_be_worked_with_comes_with_its_own_remedy() {
        let said = "WARNING: Error loading config file\npermission denied while trying to connect";
        let fault = Fault::new(FaultKind::Denied, "docker: ask for its state", said).hint("log in anew");
        let findings = judge(&Sight { engine: Err(fault), ..good() }, &Wanted::usual());
        let told = fail("container engine", "permission denied while trying to connect", "log in anew");
        assert_eq!(findings, [told]);
    }

    #[test]
    fn old_cgroups_are_a_warning_only_where_the_kubelet_minds_and_fatal_without_root() {
        let old = |wanted: &Wanted, rootless: bool| {
            let mut sight = good();
            if let Ok(engine) = &mut sight.engine {
                engine.info.cgroups = Some(1);
                engine.info.rootless = rootless;
            }
            told(&sight, wanted)
        };
        assert!(
            old(&Wanted::usual(), false)[0]
                .starts_with("warn cgroups: version 1: the kubelet of Kubernetes 1.37")
        );
        assert_eq!(old(&Wanted { kubernetes: (1, 34), ..Wanted::usual() }, false), [""; 0]);
        assert!(old(&Wanted::usual(), true)[0].starts_with("fail cgroups: version 1"));
    }

    #[test]
    fn an_engine_without_root_needs_its_controllers() {
        let told = with_engine(|engine| {
            engine.info.rootless = true;
            engine.info.limits = false;
        });
        assert_eq!(
            told,
            ["fail engine without root: it cannot limit memory, processes and CPU, which kubelets need"]
        );
        assert_eq!(with_engine(|engine| engine.info.rootless = true), [""; 0]);
    }

    #[test]
    fn in_docker_desktop_addresses_are_out_of_reach_and_this_machines_limits_do_not_count() {
        let mut sight = good();
        sight.machine.inotify = Some(Inotify { instances: 128, watches: 8192 });
        sight.machine.free_memory = Some(0);
        if let Ok(engine) = &mut sight.engine {
            engine.info.system = "Docker Desktop".to_string();
        }
        assert_eq!(
            told(&sight, &Wanted::usual()),
            [
                "warn addresses: containers run in a virtual machine of Docker Desktop: load balancers cannot be reached from here"
            ]
        );
    }

    #[test]
    fn docker_from_snap_is_told_by_its_program_or_its_folder() {
        let expected = ["warn Docker from snap: it sees neither hidden folders nor $TMPDIR"];
        assert_eq!(with_engine(|engine| engine.path = "/snap/bin/docker".into()), expected);
        let by_root =
            with_engine(|engine| engine.info.root = "/var/snap/docker/common/var-lib-docker".to_string());
        assert_eq!(by_root, expected);
    }

    #[test]
    fn memory_and_disk_are_counted_by_node() {
        let three = Wanted { workers: 2, ..Wanted::usual() };
        let mut sight = good();
        if let Ok(engine) = &mut sight.engine {
            engine.free_disk = Some(2 * GIBIBYTE);
        }
        sight.machine.free_memory = Some(GIBIBYTE);
        assert_eq!(
            told(&sight, &three),
            [
                "warn memory: 1 GiB free, and 3 nodes need 1.5 GiB",
                "warn disk: 2 GiB free in /var/lib/docker, and 3 nodes need 5 GiB"
            ]
        );
        let small = with_engine(|engine| engine.info.memory = 512 * MEBIBYTE);
        assert_eq!(small, ["warn memory: 512 MiB in all, and one node needs 1 GiB"]);
    }

    #[test]
    fn subnets_that_the_nodes_network_has_are_fatal_and_those_behind_a_vpn_are_told() {
        let range = |text: &str| text.parse().expect("a range");
        let mut sight = good();
        sight.machine.routes.push(Route { range: range("10.0.0.0/8"), device: "tun0".to_string() });
        assert_eq!(
            told(&sight, &Wanted::usual()),
            [
                "warn podSubnet 10.244.0.0/16: 10.0.0.0/8 goes through `tun0`, and pods cannot reach what lies there",
                "warn serviceSubnet 10.96.0.0/16: 10.0.0.0/8 goes through `tun0`, and pods cannot reach what lies there",
            ]
        );
        let taken = Wanted { subnets: vec![("podSubnet", range("172.18.0.0/15"))], ..Wanted::usual() };
        assert_eq!(
            told(&good(), &taken),
            ["fail podSubnet 172.18.0.0/15: docker network `kind` has 172.18.0.0/16"]
        );
        let mut behind = good();
        behind.machine.routes.push(Route { range: range("172.16.0.0/12"), device: "wg0".to_string() });
        assert!(
            told(&behind, &Wanted::usual())[0]
                .starts_with("warn network `kind` 172.18.0.0/16: 172.16.0.0/12 goes")
        );
    }

    #[test]
    fn kind_has_to_be_there_and_young_enough_for_the_kubernetes() {
        let with = |minor: (u32, u32), kubernetes: (u32, u32)| {
            let version = format!("{}.{}.0", minor.0, minor.1);
            let kind = KindSight::Found { version, minor, path: "/bin/kind".into() };
            told(&Sight { kind, ..good() }, &Wanted { kubernetes, ..Wanted::usual() })
        };
        assert_eq!(with((0, 31), (1, 37)), ["fail kind: 0.31.0 cannot start Kubernetes 1.37"]);
        assert_eq!(
            with((0, 31), (1, 36)),
            ["warn kind: 0.31.0 is older than Kubernetes 1.36, and may not start it"]
        );
        assert_eq!(with((0, 31), (1, 35)), [""; 0]);
        assert_eq!(with((0, 26), (1, 33)), ["fail kind: 0.26.0 is too old for the node images of today"]);
        assert_eq!(
            told(&Sight { kind: KindSight::Missing, ..good() }, &Wanted::usual()),
            ["fail kind: not found on PATH"]
        );
    }

    #[test]
    fn short_limits_of_inotify_come_with_the_line_that_raises_them() {
        let mut sight = good();
        sight.machine.inotify = Some(Inotify { instances: 128, watches: 600_000 });
        let findings = judge(&sight, &Wanted::usual());
        assert_eq!(
            findings[0].found,
            "max_user_instances is 128, kind wants 512: nodes may end with `too many open files`"
        );
        assert_eq!(findings[0].remedy, "`sudo sysctl fs.inotify.max_user_instances=512`");
    }

    #[test]
    fn a_port_in_use_names_who_has_it() {
        let port =
            WantedPort { address: "127.0.0.1:80".parse().expect("an address"), protocol: "tcp".to_string() };
        let with = |holder: Holder, rootless: bool| {
            let mut sight = good();
            if let Ok(engine) = &mut sight.engine {
                engine.info.rootless = rootless;
            }
            sight.obstacles.push(Obstacle { port: port.clone(), holder });
            told(&sight, &Wanted::usual())
        };
        let container =
            |cluster: &str| Holder::Container { name: "web".to_string(), cluster: cluster.to_string() };
        assert_eq!(with(container(""), false), ["fail port 80 of 127.0.0.1: container `web` has it"]);
        assert_eq!(
            with(container("dev"), false),
            ["fail port 80 of 127.0.0.1: the kind cluster `dev` has it"]
        );
        let nginx = Holder::Program(Listener { process: 7, name: "nginx".to_string() });
        assert_eq!(with(nginx, false), ["fail port 80 of 127.0.0.1: `nginx` listens there, process 7"]);
        assert_eq!(with(Holder::Privileged, false), [""; 0]);
        assert_eq!(
            with(Holder::Privileged, true),
            ["fail port 80 of 127.0.0.1: an engine without root listens from 1024 on"]
        );
    }

    #[test]
    fn a_proxy_on_this_machine_is_refused_without_its_password() {
        let value = "http://ann:pw@localhost:3128".to_string();
        let proxies = Proxies::new([("HTTP_PROXY".to_string(), value)]);
        let findings = judge(&Sight { proxies, ..good() }, &Wanted::usual());
        assert_eq!(findings[0].level, Level::Fail);
        assert!(findings[0].found.starts_with("http://***@localhost:3128 is this machine"), "{findings:?}");
        assert!(!format!("{findings:?}").contains("pw"));
    }

    #[test]
    fn a_folder_to_mount_that_is_not_there_is_not_left_to_the_engine() {
        let findings =
            judge(&Sight { missing_mounts: vec!["/home/ann/data".into()], ..good() }, &Wanted::usual());
        assert_eq!((findings[0].level, findings[0].what.as_str()), (Level::Fail, "mount /home/ann/data"));
        assert_eq!(findings[0].remedy, "`mkdir -p /home/ann/data`");
    }

    #[test]
    fn what_fails_comes_first() {
        let mut sight = Sight { kind: KindSight::Missing, ..good() };
        sight.machine.free_memory = Some(0);
        let levels: Vec<Level> =
            judge(&sight, &Wanted::usual()).iter().map(|finding| finding.level).collect();
        assert_eq!(levels, [Level::Fail, Level::Warn]);
    }
}
