use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use super::routes::{self, Route};
use crate::flow::Flow;
use crate::os::{Program, files, find_on_path};

/// What the kernel of this machine tells; nothing of it where it tells nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Whether it runs Linux, and so may run containers itself.
    pub is_linux: bool,
    /// How many files programs may watch.
    pub inotify: Option<Inotify>,
    /// Memory that is not in use, in bytes.
    pub free_memory: Option<u64>,
    /// Its routes.
    pub routes: Vec<Route>,
    /// The first port that programs without root may listen at.
    pub first_unprivileged_port: Option<u16>,
}

/// The limits of inotify for each user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inotify {
    /// `fs.inotify.max_user_instances`
    pub instances: u64,
    /// `fs.inotify.max_user_watches`
    pub watches: u64,
}

impl Machine {
    /// As the kernel tells it.
    pub(super) fn look() -> Self {
        let instances = number("/proc/sys/fs/inotify/max_user_instances");
        let watches = number("/proc/sys/fs/inotify/max_user_watches");
        Self {
            is_linux: cfg!(target_os = "linux"),
            inotify: instances.zip(watches).map(|(instances, watches)| Inotify { instances, watches }),
            free_memory: read("/proc/meminfo").as_deref().and_then(available),
            routes: read("/proc/net/route").as_deref().map(routes::parse).unwrap_or_default(),
            first_unprivileged_port: number("/proc/sys/net/ipv4/ip_unprivileged_port_start")
                .and_then(|port| u16::try_from(port).ok()),
        }
    }
}

/// The bytes that are free where `folder` lies; `None` when it cannot be seen from here, as in a virtual
/// machine.
pub(super) async fn free_disk(
    folder: &Path,
    search_path: &OsStr,
    patience: Duration,
    flow: &Flow,
) -> Option<u64> {
    if folder.as_os_str().is_empty() || !folder.is_dir() {
        return None;
    }
    let df = find_on_path("df", search_path)?;
    let asked = Program::new(df).args(["-P", "-k"]).arg(folder).env("LC_ALL", "C").run();
    // It hangs where a file system of the network does, also one that is not asked about.
    let finished = flow.within(patience, "see how much of the disk is free", asked).await.ok()?;
    free_in(&finished.stdout)
}

/// The fourth column of the second line of `df -P -k`.
fn free_in(table: &str) -> Option<u64> {
    let blocks: u64 = table.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    blocks.checked_mul(1024)
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn number(path: &str) -> Option<u64> {
    read(path)?.trim().parse().ok()
}

/// A file of the kernel; one that cannot be read tells nothing.
fn read(path: &str) -> Option<String> {
    files::read_if_there(Path::new(path)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::flow::Cancel;

    #[tokio::test]
    async fn a_disk_that_does_not_answer_holds_up_nobody() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let df = folder.path().join("df");
        fs::write(&df, "#!/bin/sh\nexec tail -f /dev/null\n").expect("the folder is ours");
        fs::set_permissions(&df, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        let flow = Flow::new(Cancel::default());
        let patience = Duration::from_millis(50);
        let free = free_disk(folder.path(), folder.path().as_os_str(), patience, &flow).await;
        assert_eq!(free, None);
    }

    #[test]
    fn free_memory_and_disk_are_read_in_bytes() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
        let table = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 100 40 60 40% /\n";
        assert_eq!(free_in(table), Some(60 << 10));
        assert_eq!(free_in("df: /var/lib/docker: Permission denied\n"), None);
    }
}
