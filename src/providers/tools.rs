use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::base::{Fault, FaultKind};
use crate::os::{Program, find_on_path};

/// The programs of a rehearsal: their names in folders and on `PATH`, and the flag by which
/// `kwokctl create cluster` takes them (`kubectl` has none).
const PROGRAMS: &[(&str, Option<&str>)] = &[
    ("etcd", Some("--etcd-binary")),
    ("kube-apiserver", Some("--kube-apiserver-binary")),
    ("kube-controller-manager", Some("--kube-controller-manager-binary")),
    ("kube-scheduler", Some("--kube-scheduler-binary")),
    ("kwok", Some("--kwok-controller-binary")),
    ("metrics-server", Some("--metrics-server-binary")),
    ("kubectl", None),
];

/// Where the programs of a rehearsal are looked for, in this order.
#[derive(Debug, Clone, Default)]
pub struct ToolSearch {
    /// Programs by name, as the user gave them.
    pub given: BTreeMap<String, PathBuf>,
    /// A folder with programs, as the user gave it.
    pub folder: Option<PathBuf>,
    /// The value of `PATH`.
    pub search_path: OsString,
    /// berth's own folder of tools, filled by `scripts/tools`.
    pub cache: PathBuf,
}

/// The programs of a rehearsal, as far as they were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    kwokctl: PathBuf,
    others: BTreeMap<&'static str, PathBuf>,
    search_path: OsString,
}

impl ToolSearch {
    /// Where the program `name` is.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let in_folder = |folder: &Path| Some(folder.join(name)).filter(|path| path.is_file());
        self.given
            .get(name)
            .cloned()
            .or_else(|| self.folder.as_deref().and_then(in_folder))
            .or_else(|| find_on_path(name, &self.search_path))
            .or_else(|| in_folder(&self.cache))
    }

    /// All programs. `kwokctl` has to be there; it fetches by itself what else is missing.
    pub fn tools(&self) -> Result<Tools, Fault> {
        let kwokctl = self.find("kwokctl").ok_or_else(|| self.missing())?;
        let others = PROGRAMS.iter().filter_map(|(name, _)| Some((*name, self.find(name)?))).collect();
        Ok(Tools { kwokctl, others, search_path: self.search_path.clone() })
    }

    fn missing(&self) -> Fault {
        Fault::new(
            FaultKind::Invalid,
            "find `kwokctl`, which plays the cluster",
            format!("it is neither on PATH nor in `{}`", self.cache.display()),
        )
        .hint(
            "in a checkout of berth run `scripts/tools`, which builds it with Go; \
             or install kwokctl so that it is on PATH",
        )
    }
}

impl Tools {
    /// `kwokctl`, ready to be given its arguments: it keeps everything in `folder`, what can be had
    /// again in `cache`, and takes the `kubectl` that was found.
    pub fn kwokctl(&self, folder: &Path, cache: &Path) -> Program {
        let program =
            Program::new(&self.kwokctl).env("KWOK_WORKDIR", folder).env("KUBECACHEDIR", cache.join("kube"));
        let Some(kubectl) = self.others.get("kubectl") else { return program };
        let program = program.env("KWOK_KUBECTL_BINARY", kubectl);
        // kwokctl asks PATH before that variable.
        let folders = kubectl.parent().map(Path::to_path_buf).into_iter();
        match std::env::join_paths(folders.chain(std::env::split_paths(&self.search_path))) {
            Ok(joined) => program.env("PATH", joined),
            // A folder with a colon in its name cannot stand on PATH; the variable has to do.
            Err(_) => program,
        }
    }

    /// The flags of `kwokctl create cluster` that name the programs which are at hand. Those that
    /// are not, it fetches by itself.
    pub fn binary_flags(&self) -> Vec<OsString> {
        let mut flags = Vec::new();
        for (name, flag) in PROGRAMS {
            if let (Some(flag), Some(path)) = (flag, self.others.get(name)) {
                flags.push(OsString::from(flag));
                flags.push(path.clone().into_os_string());
            }
        }
        flags
    }

    /// The version of the API server at hand, `1.36.3`; `None` when kwokctl will fetch one.
    pub async fn kubernetes(&self) -> Result<Option<String>, Fault> {
        let Some(server) = self.others.get("kube-apiserver") else { return Ok(None) };
        let finished = Program::new(server).arg("--version").run().await?;
        Ok(parse_version(&finished.stdout))
    }
}

/// `Kubernetes v1.36.3` as `1.36.3`.
fn parse_version(text: &str) -> Option<String> {
    let version = text.trim().rsplit(' ').next()?.strip_prefix('v')?;
    minor(version).map(|_| version.to_string())
}

/// The minor of a full version: `(1, 36)` of `1.36.3`.
pub(super) fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(folder: &Path, name: &str) -> PathBuf {
        std::fs::create_dir_all(folder).expect("made");
        let path = folder.join(name);
        std::fs::write(&path, "#!/bin/sh\n").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
        path
    }

    #[test]
    fn what_the_user_gave_comes_first_then_path_then_the_cache() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (given, path, cache) =
            (folder.path().join("given"), folder.path().join("path"), folder.path().join("cache"));
        let mut search = ToolSearch {
            search_path: path.clone().into_os_string(),
            cache: cache.clone(),
            ..ToolSearch::default()
        };
        assert_eq!(search.tools().map_err(|fault| fault.kind), Err(FaultKind::Invalid));
        let cached = program(&cache, "etcd");
        assert_eq!(search.find("etcd"), Some(cached));
        let on_path = program(&path, "etcd");
        assert_eq!(search.find("etcd"), Some(on_path));
        let in_folder = program(&given, "etcd");
        search.folder = Some(given);
        assert_eq!(search.find("etcd"), Some(in_folder));
        search.given.insert("etcd".to_string(), PathBuf::from("/opt/etcd"));
        assert_eq!(search.find("etcd"), Some(PathBuf::from("/opt/etcd")));
    }

    #[test]
    fn only_programs_at_hand_are_named_to_kwokctl() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        program(folder.path(), "kwokctl");
        let etcd = program(folder.path(), "etcd");
        let search = ToolSearch { folder: Some(folder.path().to_path_buf()), ..ToolSearch::default() };
        let tools = search.tools().expect("kwokctl is there");
        assert_eq!(tools.binary_flags(), [OsString::from("--etcd-binary"), etcd.into_os_string()]);
    }

    #[test]
    fn the_version_is_read_from_what_the_api_server_prints() {
        assert_eq!(parse_version("Kubernetes v1.36.3\n"), Some("1.36.3".to_string()));
        assert_eq!(parse_version("no such thing"), None);
        assert_eq!(minor("1.36.3"), Some((1, 36)));
    }
}
