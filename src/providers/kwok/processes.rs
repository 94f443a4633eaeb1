use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::{Fault, FaultKind};
use crate::flow::Flow;
use crate::os::{Program, files};

/// A process of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The component that it runs: `etcd`.
    pub component: String,
}

/// The processes whose program lies in the folder `programs`, sorted by number.
pub(super) async fn running(programs: &Path) -> Result<Vec<Process>, Fault> {
    let table = Path::new("/proc");
    let all = if table.join("self/cmdline").exists() { from_proc(table)? } else { from_ps().await? };
    let mut found: Vec<Process> = all
        .into_iter()
        .filter_map(|(pid, path)| {
            let component = path.strip_prefix(programs).ok()?.to_str()?.to_string();
            Some(Process { pid, component })
        })
        .collect();
    found.sort_by_key(|process| process.pid);
    Ok(found)
}

/// Every process with the path of its program. What ends while we look is left out; a process that
/// ended and was not yet reaped has no command line.
fn from_proc(table: &Path) -> Result<Vec<(u32, PathBuf)>, Fault> {
    let mut all = Vec::new();
    for name in files::names_in(table)? {
        let Ok(pid) = name.parse() else { continue };
        let Ok(line) = std::fs::read(table.join(&name).join("cmdline")) else { continue };
        let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
        all.push((pid, PathBuf::from(String::from_utf8_lossy(program).into_owned())));
    }
    Ok(all)
}

/// The same on systems without `/proc`. A program whose path has a space is cut there; that is
/// enough for a prefix only if berth's own folders have none, so the whole line is kept.
async fn from_ps() -> Result<Vec<(u32, PathBuf)>, Fault> {
    let finished = Program::new("/bin/ps").args(["-ww", "-axo", "pid=,command="]).run().await?;
    Ok(finished.stdout.lines().filter_map(parse_ps_line).collect())
}

fn parse_ps_line(line: &str) -> Option<(u32, PathBuf)> {
    let (pid, command) = line.trim().split_once(' ')?;
    let program = command.trim_start();
    // The programs of a cluster have no space in their own names, and their first argument is a flag.
    let end = program.find(" -").unwrap_or(program.len());
    Some((pid.parse().ok()?, PathBuf::from(&program[..end])))
}

/// The number in the pid file of `component`.
fn pid_file(folder: &Path, component: &str) -> PathBuf {
    folder.join("pids").join(format!("{component}.pid"))
}

/// Makes kwokctl's pid files tell the truth: those of processes that are not the cluster's are
/// removed (after a restart of the machine the number may be anybody's, and kwokctl would take that
/// for its own and even kill it), and processes without a pid file are ended (kwokctl was killed
/// between starting one and noting it, and would start a second).
pub(super) async fn settle(folder: &Path, flow: &Flow) -> Result<(), Fault> {
    let running = running(&folder.join("bin")).await?;
    let noted = |component: &str| -> Result<Option<u32>, Fault> {
        Ok(files::read_if_there(&pid_file(folder, component))?.and_then(|text| text.trim().parse().ok()))
    };
    let mut strays = Vec::new();
    for process in &running {
        if noted(&process.component)? != Some(process.pid) {
            strays.push(process.clone());
        }
    }
    for name in files::names_in(&folder.join("pids"))? {
        let Some(component) = name.strip_suffix(".pid") else { continue };
        let pid = noted(component)?;
        if !running.iter().any(|process| process.component == component && Some(process.pid) == pid) {
            files::remove_if_there(&pid_file(folder, component))?;
        }
    }
    end(&strays, &folder.join("bin"), flow).await
}

/// Ends `processes`: asks, waits up to 3 s, then kills. Returns when none of them runs.
pub(super) async fn end(processes: &[Process], programs: &Path, flow: &Flow) -> Result<(), Fault> {
    let mut left: Vec<Process> = processes.to_vec();
    for signal in ["TERM", "KILL"] {
        if left.is_empty() {
            return Ok(());
        }
        send(signal, &left).await?;
        for _ in 0..60 {
            flow.pause(Duration::from_millis(50), "end the cluster's processes").await?;
            let alive = running(programs).await?;
            left.retain(|process| alive.contains(process));
            if left.is_empty() {
                return Ok(());
            }
        }
    }
    let names: Vec<String> = left.iter().map(|one| format!("{} ({})", one.component, one.pid)).collect();
    Err(Fault::new(
        FaultKind::Denied,
        "end the cluster's processes",
        format!("{} still run", names.join(", ")),
    )
    .hint("they may belong to another user; end them by hand and run the same command again"))
}

async fn send(signal: &str, processes: &[Process]) -> Result<(), Fault> {
    let pids = processes.iter().map(|process| process.pid.to_string());
    // `kill` is built into every shell, while a program of that name may be missing. One that has
    // ended meanwhile makes it fail, which is fine: what counts is what runs afterwards.
    Program::new("/bin/sh")
        .args(["-c", &format!("kill -s {signal} \"$@\""), "sh"])
        .args(pids)
        .run()
        .await
        .map(|_| ())
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_spaces_in_its_path_is_read_whole() {
        assert_eq!(
            parse_ps_line("  4711 /Users/a b/kwok/clusters/lab/bin/etcd --name=node0 --data-dir=/x"),
            Some((4711, PathBuf::from("/Users/a b/kwok/clusters/lab/bin/etcd")))
        );
    }

    #[tokio::test]
    async fn only_programs_in_the_folder_are_found() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(running(folder.path()).await, Ok(Vec::new()));
        // A program that has just been started may have no command line for a moment.
        let flow = Flow::new(crate::flow::Cancel::default()).within_limit(Duration::from_secs(10));
        let look = async {
            loop {
                let found = running(Path::new("")).await?;
                if found.iter().any(|process| process.component == "sleep") {
                    return Ok(());
                }
                flow.pause(Duration::from_millis(5), "find the sleeping program").await?;
            }
        };
        let found: Result<(), Fault> = tokio::select! {
            ended = Program::new("sleep").arg("60").run() => panic!("it should sleep on: {ended:?}"),
            found = look => found,
        };
        assert_eq!(found, Ok(()));
    }
}
