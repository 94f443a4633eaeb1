//! What the judgement says of machines.

use super::judge::judge;
use super::*;
use crate::base::{Fault, FaultKind};
use crate::containers::{EngineKind, Info};
use crate::os::ports::Listener;

const GIBIBYTE: u64 = 1 << 30;
const MEBIBYTE: u64 = 1 << 20;

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

fn usual() -> Wanted {
    Wanted::usual("kind")
}

fn good() -> Sight {
    let inotify = Inotify { instances: 512, watches: 524_288 };
    Sight {
        engine: Ok(engine()),
        kind: KindSight::Found { version: "0.33.0".to_string(), minor: (0, 33), path: "/bin/kind".into() },
        image: ImageSight::Unknown,
        machine: Machine {
            is_linux: true,
            inotify: Some(inotify),
            free_memory: Some(8 * GIBIBYTE),
            ..Machine::default()
        },
        obstacles: Vec::new(),
        missing_mounts: Vec::new(),
        proxies: Proxies::default(),
        gpus: None,
    }
}

/// The level, what and found of each finding.
fn told(sight: &Sight, wanted: &Wanted) -> Vec<String> {
    let level = |finding: &Finding| if finding.level == Level::Fail { "fail" } else { "warn" };
    let findings = judge(sight, wanted);
    assert!(findings.iter().all(|finding| !finding.remedy.text.is_empty()));
    findings.iter().map(|finding| format!("{} {}: {}", level(finding), finding.what, finding.found)).collect()
}

fn with_engine(change: impl FnOnce(&mut EngineSight)) -> Vec<String> {
    let mut engine = engine();
    change(&mut engine);
    told(&Sight { engine: Ok(engine), ..good() }, &usual())
}

#[test]
fn a_machine_that_has_everything_is_found_without_fault() {
    assert_eq!(told(&good(), &usual()), [""; 0]);
}

#[test]
fn an_engine_that_cannot_be_worked_with_comes_with_its_own_remedy() {
    let said = "WARNING: Error loading config file\npermission denied while trying to connect";
    let fault = Fault::new(FaultKind::Denied, "docker: ask for its state", said).hint("log in anew");
    let findings = judge(&Sight { engine: Err(fault), ..good() }, &usual());
    assert_eq!((findings.len(), findings[0].level), (1, Level::Fail));
    assert_eq!(findings[0].found, "permission denied while trying to connect");
    assert_eq!(findings[0].remedy.text, "log in anew");
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
    assert!(old(&usual(), false)[0].starts_with("warn cgroups: version 1: the kubelet of Kubernetes 1.37"));
    assert_eq!(old(&Wanted { kubernetes: (1, 35), ..usual() }, false).len(), 1);
    assert_eq!(old(&Wanted { kubernetes: (1, 34), ..usual() }, false), [""; 0]);
    assert!(old(&usual(), true)[0].starts_with("fail cgroups: version 1"));
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
        told(&sight, &usual()),
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
    let three = Wanted { workers: 2, ..usual() };
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
        told(&sight, &usual()),
        [
            "warn podSubnet 10.244.0.0/16: 10.0.0.0/8 goes through `tun0`, and pods cannot reach what lies there",
            "warn serviceSubnet 10.96.0.0/16: 10.0.0.0/8 goes through `tun0`, and pods cannot reach what lies there",
        ]
    );
    let taken = Wanted { subnets: vec![("podSubnet", range("172.18.0.0/15"))], ..usual() };
    assert_eq!(
        told(&good(), &taken),
        ["fail podSubnet 172.18.0.0/15: docker network `kind` has 172.18.0.0/16"]
    );
    let mut behind = good();
    behind.machine.routes.push(Route { range: range("172.16.0.0/12"), device: "wg0".to_string() });
    assert!(told(&behind, &usual())[0].starts_with("warn network `kind` 172.18.0.0/16: 172.16.0.0/12 goes"));
}

#[test]
fn kind_has_to_be_there_and_young_enough_for_the_kubernetes() {
    let with = |minor: (u32, u32), kubernetes: (u32, u32)| {
        let version = format!("{}.{}.0", minor.0, minor.1);
        let kind = KindSight::Found { version, minor, path: "/bin/kind".into() };
        told(&Sight { kind, ..good() }, &Wanted { kubernetes, ..usual() })
    };
    assert_eq!(with((0, 31), (1, 37)), ["fail kind: 0.31.0 cannot start Kubernetes 1.37"]);
    assert_eq!(
        with((0, 31), (1, 36)),
        ["warn kind: 0.31.0 is older than Kubernetes 1.36, and may not start it"]
    );
    assert_eq!(with((0, 31), (1, 35)), [""; 0]);
    assert_eq!(with((0, 26), (1, 33)), ["fail kind: 0.26.0 is too old for the node images of today"]);
    assert_eq!(
        told(&Sight { kind: KindSight::Missing, ..good() }, &usual()),
        ["fail kind: not found on PATH"]
    );
}

#[test]
fn a_node_image_of_another_kubernetes_is_refused_with_what_to_write() {
    let wanted = |kubernetes: (u32, u32)| Wanted {
        kubernetes,
        image: WantedImage::Named("own:v1".to_string()),
        ..usual()
    };
    let of = |version: &str, minor: (u32, u32), kubernetes: (u32, u32)| {
        let image = ImageSight::Has { version: version.to_string(), minor };
        judge(&Sight { image, ..good() }, &wanted(kubernetes))
    };
    assert_eq!(of("v1.36.3", (1, 36), (1, 36)), []);
    let findings = of("v1.36.3", (1, 36), (1, 35));
    assert_eq!((findings[0].level, findings[0].what.as_str()), (Level::Fail, "node image own:v1"));
    assert_eq!(findings[0].found, "it has Kubernetes v1.36.3, and the profile says 1.35");
    assert!(findings[0].remedy.text.starts_with("write `version: \"1.36\"` under"), "{findings:?}");
    // No profile can say that.
    assert_eq!(of("v1.20.0", (1, 20), (1, 36))[0].remedy.text, "name an image of Kubernetes 1.36");
}

#[test]
fn a_kubernetes_without_an_image_for_this_kind_is_refused_before_anything_is_made() {
    let fault =
        Fault::new(FaultKind::Invalid, "choose a node image", "berth knows others").hint("declare one");
    let sight = Sight { image: ImageSight::None(fault), ..good() };
    let wanted = Wanted { kubernetes: (1, 33), ..usual() };
    let findings = judge(&sight, &wanted);
    assert_eq!(findings[0].level, Level::Fail);
    assert_eq!(findings[0].what, "node image for Kubernetes 1.33");
    assert_eq!(
        (findings[0].found.as_str(), findings[0].remedy.text.as_str()),
        ("berth knows others", "declare one")
    );
    // A kind that has to be replaced anyway brings other images.
    let old = Sight { kind: KindSight::Missing, ..sight };
    assert!(judge(&old, &wanted).iter().all(|finding| finding.what == "kind"));
}

#[test]
fn short_limits_of_inotify_come_with_the_line_that_raises_them() {
    let mut sight = good();
    sight.machine.inotify = Some(Inotify { instances: 128, watches: 600_000 });
    let findings = judge(&sight, &usual());
    assert_eq!(
        findings[0].found,
        "max_user_instances is 128, kind wants 512: nodes may end with `too many open files`"
    );
    assert_eq!(findings[0].remedy.text, "`sudo sysctl fs.inotify.max_user_instances=512`");
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
        told(&sight, &usual())
    };
    let container =
        |cluster: &str| Holder::Container { name: "web".to_string(), cluster: cluster.to_string() };
    assert_eq!(with(container(""), false), ["fail port 80 of 127.0.0.1: container `web` has it"]);
    assert_eq!(with(container("dev"), false), ["fail port 80 of 127.0.0.1: the kind cluster `dev` has it"]);
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
    let findings = judge(&Sight { proxies, ..good() }, &usual());
    assert_eq!(findings[0].level, Level::Fail);
    assert!(findings[0].found.starts_with("http://***@localhost:3128 is this machine"), "{findings:?}");
    assert!(!format!("{findings:?}").contains("pw"));
}

#[test]
fn an_engine_that_has_no_proxy_where_its_user_has_one_is_told() {
    let value = "http://proxy.example.com:3128".to_string();
    let proxies = Proxies::new([("HTTPS_PROXY".to_string(), value)]);
    let here = Sight { proxies, ..good() };
    assert_eq!(
        told(&here, &usual()),
        ["warn proxies: HTTPS_PROXY is set here, and the engine has none: it pulls node images without"]
    );
    let mut both = here;
    if let Ok(engine) = &mut both.engine {
        engine.info.proxies.insert("HttpsProxy".to_string(), "http://proxy:3128".to_string());
    }
    assert_eq!(told(&both, &usual()), [""; 0]);
}

#[test]
fn a_folder_to_mount_that_is_not_there_is_not_left_to_the_engine() {
    let findings = judge(&Sight { missing_mounts: vec!["/home/ann/data".into()], ..good() }, &usual());
    assert_eq!((findings[0].level, findings[0].what.as_str()), (Level::Fail, "mount /home/ann/data"));
    assert_eq!(findings[0].remedy.text, "`mkdir -p /home/ann/data`");
}

#[test]
fn what_fails_comes_first() {
    let mut sight = Sight { kind: KindSight::Missing, ..good() };
    sight.machine.free_memory = Some(0);
    let levels: Vec<Level> = judge(&sight, &usual()).iter().map(|finding| finding.level).collect();
    assert_eq!(levels, [Level::Fail, Level::Warn]);
}
