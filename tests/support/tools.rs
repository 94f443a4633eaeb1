use std::path::{Path, PathBuf};

/// The programs that `scripts/tools` builds.
const PROGRAMS: [&str; 8] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kwok",
    "kwokctl",
    "metrics-server",
];

/// The programs that `scripts/addon-binaries/build` builds.
const ADDON_BINARIES: [&str; 6] = ["controller", "speaker", "traefik", "helm3", "helm4", "stagehand"];

/// The folder with the programs of a rehearsal.
///
/// # Panics
/// When one is missing: a test on a real control plane never passes by not running.
pub fn tools() -> PathBuf {
    folder_with("BERTH_TOOLS", "tools", &PROGRAMS, "scripts/tools")
}

/// The folder with the addons' own programs, and helm in two versions (`helm3`, `helm4`).
///
/// # Panics
/// When one is missing.
pub fn addon_binaries() -> PathBuf {
    let programs: &[&str] = if cfg!(target_os = "linux") { &ADDON_BINARIES } else { &["helm3", "helm4"] };
    folder_with("BERTH_ADDON_BINARIES", "addon-binaries", programs, "scripts/addon-binaries/build")
}

/// The folder that `variable` names, or the current one of berth's cache `name`.
fn folder_with(variable: &str, name: &str, programs: &[&str], script: &str) -> PathBuf {
    let var = std::env::var_os;
    let folder = match (var(variable), var("XDG_CACHE_HOME"), var("HOME")) {
        (Some(folder), _, _) => PathBuf::from(folder),
        (None, Some(cache), _) if !cache.is_empty() => {
            Path::new(&cache).join("berth").join(name).join("current")
        }
        (None, _, Some(home)) => Path::new(&home).join(".cache/berth").join(name).join("current"),
        _ => panic!("neither {variable} nor HOME says where the programs are; run {script}"),
    };
    for program in programs {
        let path = folder.join(program);
        assert!(path.is_file(), "`{}` is missing: run {script}, which builds it", path.display());
    }
    folder.canonicalize().expect("it was just looked into")
}
