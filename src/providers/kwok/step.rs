use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::TryFutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::cluster::Inner;
use super::config::Config;
use super::folder::{Folder, Mark};
use super::ports::Ports;
use super::processes;
use crate::base::{ClusterAccess, Fault, FaultKind};
use crate::engine::{Cx, Step};
use crate::flow::{Flow, Patience};
use crate::os::{FileLock, Finished, Program, files};
use crate::providers::kubeconfig::{self, Kubeconfig};
use crate::providers::leftover;
use crate::providers::tools::Tools;

/// What every system says when a disk is full.
const NO_SPACE: &str = "no space left on device";

/// Makes the cluster from nothing, or anew.
///
/// If this dies half way, the mark says "not finished", and the next run makes it anew; a kwokctl
/// that lives on holds the lock and is waited for first.
pub(super) struct Make {
    pub(super) inner: Arc<Inner>,
}

impl Step for Make {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        Box::pin(async move { self.inner.make(cx).await })
    }
}

/// Starts the components that do not run.
///
/// If this dies half way, the next run starts the rest.
pub(super) struct Start {
    pub(super) inner: Arc<Inner>,
}

impl Step for Start {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        Box::pin(async move { self.inner.start(cx).await })
    }
}

/// Writes the private kubeconfig again. If this dies half way, the old state stands.
pub(super) struct RestoreKubeconfig {
    pub(super) inner: Arc<Inner>,
    pub(super) access: ClusterAccess,
}

impl Step for RestoreKubeconfig {
    fn take<'a>(self: Box<Self>, _cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        Box::pin(async move { self.inner.keep_access(&self.access) })
    }
}

impl Inner {
    async fn make(&self, cx: &Cx) -> Result<(), Fault> {
        let tools = self.search.tools().map_err(Fault::untouched)?;
        let kubernetes = tools.kubernetes().await.map_err(Fault::untouched)?;
        self.folder.make().map_err(Fault::untouched)?;
        let lock = self.lock("create cluster", cx)?;
        let mut mark = Mark {
            owner: self.owner.clone(),
            provider: "kwok".to_string(),
            created: cx.clock.now(),
            finished: None,
            kubernetes,
            metrics: self.config.metrics,
            config: self.config.hash(),
        };
        mark.write(&self.folder.mark())?;
        let attempts = AtomicU32::new(0);
        cx.flow
            .retry(Patience::BRIEF, "create the kwok cluster", || {
                self.create(&tools, &lock, attempts.fetch_add(1, Ordering::Relaxed), &cx.flow)
            })
            .await?;
        let access = match Kubeconfig::read(&self.folder.kwokctl_kubeconfig())? {
            Some(kubeconfig) => kubeconfig.access()?,
            None => self.access_from_kwokctl().await?,
        };
        self.keep_access(&access)?;
        mark.finished = Some(cx.clock.now());
        mark.write(&self.folder.mark())
    }

    /// One attempt at creating the cluster, on clean ground.
    async fn create(&self, tools: &Tools, lock: &FileLock, attempt: u32, flow: &Flow) -> Result<(), Fault> {
        self.clear(Some(tools), flow).await?;
        self.config.write(&self.folder, Ports::free(&self.folder, attempt)?)?;
        let kwokctl = tools
            .kwokctl(&self.folder.kwok, &self.folder.cache)
            .args(Config::arguments(&self.folder))
            .args(tools.binary_flags())
            .holding(lock.share(&self.folder.lock())?);
        self.run_watched(kwokctl, "create cluster", flow).await
    }

    async fn start(&self, cx: &Cx) -> Result<(), Fault> {
        let tools = self.search.tools().map_err(Fault::untouched)?;
        let lock = self.lock("start cluster", cx)?;
        let attempt = || async {
            // After an orderly shutdown an API server may live on and never serve again; kwokctl would
            // take it for one that runs.
            if self.answering_access(&cx.flow).await?.is_none() {
                let programs = self.folder.programs();
                processes::end(&processes::running(&programs).await?, &programs, &cx.flow).await?;
            }
            processes::settle(&self.folder.cluster_folder(), &cx.flow).await?;
            let kwokctl = tools
                .kwokctl(&self.folder.kwok, &self.folder.cache)
                .args(["start", "cluster", "--name", &self.folder.cluster])
                .holding(lock.share(&self.folder.lock())?);
            self.run_watched(kwokctl, "start cluster", &cx.flow).await
        };
        cx.flow.retry(Patience::BRIEF, "start the kwok cluster", attempt).await
    }

    /// Runs kwokctl to its end, or until something that it started has ended: it would wait two
    /// minutes for that in vain, and then exit with 0.
    async fn run_watched(&self, kwokctl: Program, command: &str, flow: &Flow) -> Result<(), Fault> {
        let ended = async {
            loop {
                let paused = flow.pause(Duration::from_millis(200), command);
                match paused.and_then(|()| self.check_that_started_run(command, flow)).await {
                    Ok(()) => {}
                    // A first Ctrl-C lets what runs come to its end.
                    Err(fault) if fault.kind == FaultKind::Cancelled => return std::future::pending().await,
                    Err(fault) if fault.kind == FaultKind::Deadline => {
                        return Err(Fault {
                            attempted: format!("run `kwokctl {command}`"),
                            reason: format!("{}, and kwokctl had not ended", fault.reason),
                            ..fault
                        });
                    }
                    Err(fault) => return Err(fault),
                }
            }
        };
        tokio::select! {
            finished = kwokctl.run() => {
                let finished = finished?;
                if !finished.succeeded() {
                    return Err(failed(command, &finished, &self.folder));
                }
                if let Some(part) = self.folder.missing_part() {
                    return Err(made_nothing(command, part));
                }
                self.check_that_started_run(command, flow).await
            }
            fault = ended => fault,
        }
    }

    /// Removes the cluster and every process of it; that there is none is fine.
    async fn clear(&self, tools: Option<&Tools>, flow: &Flow) -> Result<(), Fault> {
        let folder = self.folder.cluster_folder();
        let programs = self.folder.programs();
        processes::settle(&folder, flow).await?;
        if let Some(tools) = tools.filter(|_| folder.join("kwok.yaml").exists()) {
            // What it leaves, also when it fails, is removed right below.
            tools
                .kwokctl(&self.folder.kwok, &self.folder.cache)
                .args(["delete", "cluster", "--name", &self.folder.cluster, "--kubeconfig"])
                .arg(self.folder.kwokctl_kubeconfig())
                .run()
                .await?;
        }
        processes::end(&processes::running(&programs).await?, &programs, flow).await?;
        files::remove_folder_if_there(&folder)?;
        files::remove_if_there(&self.folder.kwokctl_kubeconfig())
    }

    fn keep_access(&self, access: &ClusterAccess) -> Result<(), Fault> {
        let context = format!("berth-{}", self.environment);
        let text = kubeconfig::render(access, &context).ok_or_else(|| {
            Fault::new(FaultKind::Bug, "write the kubeconfig", "kwokctl gave no client certificate")
        })?;
        files::write_private(&self.folder.kubeconfig(), text.as_bytes())
    }

    fn lock(&self, command: &str, cx: &Cx) -> Result<FileLock, Fault> {
        leftover::lock(&self.folder.lock(), &format!("kwokctl {command}"), &self.environment, cx)
    }

    /// Fails with the last words of a component that was started and has ended.
    async fn check_that_started_run(&self, command: &str, flow: &Flow) -> Result<(), Fault> {
        let Some(first) = self.ended().await? else { return Ok(()) };
        // A program that has just been started has no command line for a moment, so look twice.
        flow.pause(Duration::from_millis(100), command).await?;
        let Some(component) = self.ended().await?.filter(|again| *again == first) else { return Ok(()) };
        let log = self.folder.cluster_folder().join("logs").join(format!("{component}.log"));
        let text = files::read_if_there(&log)?.unwrap_or_default();
        let said = || text.lines().filter(|line| !line.trim().is_empty());
        if text.contains(NO_SPACE) {
            return Err(Fault::new(
                FaultKind::Quota,
                format!("run `kwokctl {command}`"),
                format!("{component} has ended: {NO_SPACE}"),
            )
            .hint(format!(
                "make room on the disk of `{}` and run the same command again",
                self.folder.kwok.display()
            )));
        }
        let panic = said().find(|line| line.starts_with("panic: "));
        let last = panic.or(said().next_back()).unwrap_or("it wrote nothing");
        // Somebody else was quicker to take its port, or the machine is too busy: worth another try.
        let reason = format!("{component} has ended: {}", last.trim());
        Err(Fault::new(FaultKind::Transient, format!("run `kwokctl {command}`"), reason)
            .hint(format!("its log is `{}`", log.display())))
    }

    /// A component that kwokctl has started and that does not run.
    async fn ended(&self) -> Result<Option<String>, Fault> {
        // Read before the processes are listed: kwokctl notes a process once it runs.
        let started = files::names_in(&self.folder.cluster_folder().join("pids"))?;
        let running = processes::running(&self.folder.programs()).await?;
        Ok(started
            .iter()
            .filter_map(|name| name.strip_suffix(".pid"))
            .find(|component| running.iter().all(|process| process.component != *component))
            .map(str::to_string))
    }
}

/// Removes the cluster, also half-made and without kwokctl, and berth's own files of it.
///
/// If this dies half way, the mark is still there, and the next run removes the rest.
pub(super) async fn delete(inner: &Inner, cx: &Cx) -> Result<(), Fault> {
    leftover::wait(&inner.folder.lock(), &cx.flow).await?;
    inner.clear(inner.search.tools().ok().as_ref(), &cx.flow).await?;
    inner.folder.remove_own()?;
    // Empty when this was the last cluster; removing what is not empty is refused.
    std::fs::remove_dir(inner.folder.kwok.join("clusters")).ok();
    std::fs::remove_dir(&inner.folder.kwok).ok();
    Ok(())
}

/// The fault of a kwokctl that failed, in its own last words.
pub(super) fn failed(command: &str, finished: &Finished, folder: &Folder) -> Fault {
    let words = last_words(&finished.stderr).unwrap_or_else(|| match finished.code {
        Some(code) => format!("it ended with code {code} and said nothing"),
        None => "a signal ended it".to_string(),
    });
    let kind =
        if words.contains("address already in use") { FaultKind::Transient } else { FaultKind::Invalid };
    Fault::new(kind, format!("run `kwokctl {command}`"), words)
        .hint(format!("logs are in `{}`", folder.cluster_folder().join("logs").display()))
}

/// The fault of a kwokctl that claims success and made no cluster.
fn made_nothing(command: &str, part: &str) -> Fault {
    let reason = format!("it ended well, and the cluster has no {part}");
    Fault::new(FaultKind::Invalid, format!("run `kwokctl {command}`"), reason)
        .hint("see which program that is with `berth doctor`; `--tools` names a folder with another one")
}

/// What kwokctl said last on standard error, its last error first; its lines are JSON there.
fn last_words(stderr: &str) -> Option<String> {
    let said: Vec<(bool, String)> =
        stderr.lines().filter(|line| !line.trim().is_empty()).filter_map(words).collect();
    said.iter().rfind(|(is_error, _)| *is_error).or(said.last()).map(|(_, words)| words.clone())
}

/// The words of one line, and whether they tell of an error.
fn words(line: &str) -> Option<(bool, String)> {
    let Ok(Value::Object(entry)) = serde_json::from_str::<Value>(line) else {
        return Some((line.starts_with("Error"), line.trim().to_string()));
    };
    let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("msg"), text("err")) {
        (Some(message), Some(error)) => Some((true, format!("{message}: {error}"))),
        (message, error) => Some((error.is_some(), message.or(error)?.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_kwokctl_are_read_from_its_log() {
        let log = "{\"level\":\"INFO\",\"msg\":\"Cluster is creating\"}\n\
                   {\"level\":\"ERROR\",\"msg\":\"Failed to setup config\",\"err\":\"no space left\"}\n";
        assert_eq!(last_words(log), Some("Failed to setup config: no space left".to_string()));
        let cleaned = format!("{log}{{\"msg\":\"Cluster is cleaned up\"}}\n");
        assert_eq!(last_words(&cleaned), last_words(log));
        assert_eq!(last_words("Error: unknown flag\n\n"), Some("Error: unknown flag".to_string()));
        assert_eq!(last_words(""), None);
    }
}
