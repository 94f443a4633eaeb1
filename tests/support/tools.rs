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

/// The folder with the programs of a rehearsal.
///
/// # Panics
/// When one is missing: a test on a real control plane never passes by not running.
pub fn tools() -> PathBuf {
    let folder =
        match (std::env::var_os("BERTH_TOOLS"), std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"))
        {
            (Some(tools), _, _) => PathBuf::from(tools),
            (None, Some(cache), _) if !cache.is_empty() => Path::new(&cache).join("berth/tools/current"),
            (None, _, Some(home)) => Path::new(&home).join(".cache/berth/tools/current"),
            _ => panic!("neither BERTH_TOOLS nor HOME says where the tools are; run scripts/tools"),
        };
    for program in PROGRAMS {
        let path = folder.join(program);
        assert!(path.is_file(), "`{}` is missing: run scripts/tools, which builds it", path.display());
    }
    folder.canonicalize().expect("it was just looked into")
}
