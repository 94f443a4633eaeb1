use std::fs;
use std::time::{Duration, Instant};

/// What the control plane of a cluster takes of them: systemd, kubelet, containerd, the control plane and
/// some pods.
const FOR_A_NODE: usize = 26;

/// Waits until Linux has inotify instances for so many nodes more. It grants 128 to root by default, for
/// all containers and all labs of the machine together; without one, the systemd of a node does not
/// start, and kind says that it could not find a log line. Goes on after ten minutes all the same.
pub fn wait_for_inotify(test: &str, nodes: usize) {
    let end = Instant::now() + Duration::from_mins(10);
    let wanted = nodes * FOR_A_NODE;
    let mut told = false;
    while let Some(limit) = limit() {
        let used = used();
        if used + wanted <= limit || wanted > limit || Instant::now() > end {
            return;
        }
        if !told {
            eprintln!(
                "WAITING: {test}: {used} of {limit} inotify instances are in use, and {nodes} nodes take {wanted}; \
                 `sysctl fs.inotify.max_user_instances=512` grants more"
            );
            told = true;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// How many a user may have; none where there is no such limit.
fn limit() -> Option<usize> {
    fs::read_to_string("/proc/sys/fs/inotify/max_user_instances").ok()?.trim().parse().ok()
}

/// How many there are, of the processes that this user may look into: all of them, for root.
fn used() -> usize {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let files =
        processes.filter_map(|process| fs::read_dir(process.path().join("fd")).ok()).flatten().flatten();
    files
        .filter(|file| {
            fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == "anon_inode:inotify")
        })
        .count()
}
