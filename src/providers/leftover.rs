//! Programs that make clusters live on when berth is killed. Each holds a lock for as long as it runs, so that
//! the next run knows of it and waits.

use std::path::Path;
use std::time::Duration;

use crate::base::{Fault, FaultKind};
use crate::engine::Cx;
use crate::flow::{Flow, Notice};
use crate::os::{FileLock, Held};

/// How often it is looked whether a lock is free.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Takes the lock on the file `path`, which `program`, `kind create cluster`, is to hold while it works on
/// `environment`.
pub(super) fn lock(path: &Path, program: &str, environment: &str, cx: &Cx) -> Result<FileLock, Fault> {
    let holder = format!(
        "`{program}` of environment {environment}, begun {:.0} by berth (process {})",
        cx.clock.now(),
        std::process::id()
    );
    FileLock::try_take(path, &holder)?
        .map_err(|Held { by }| Fault::new(FaultKind::Locked, format!("run `{program}`"), by))
}

/// The same, once nobody else has it any more.
pub(super) async fn take(path: &Path, program: &str, environment: &str, cx: &Cx) -> Result<FileLock, Fault> {
    loop {
        match lock(path, program, environment, cx) {
            Err(fault) if fault.kind == FaultKind::Locked => {
                cx.flow.report(Notice::Waiting(fault.reason));
                cx.flow.pause(LOOK_AGAIN, &fault.attempted).await?;
            }
            taken => return taken,
        }
    }
}

/// Waits until nobody holds the lock on the file `path` any more: who does would go on making what is to be
/// removed.
pub(super) async fn wait(path: &Path, flow: &Flow) -> Result<(), Fault> {
    while let Some(held) = FileLock::holder(path)? {
        flow.report(Notice::Waiting(format!("what an earlier run left still runs: {}", held.by)));
        let paused = flow.pause(LOOK_AGAIN, "remove the cluster").await;
        paused.map_err(|fault| match fault.kind {
            FaultKind::Deadline => Fault {
                hint: Some(format!(
                    "end what holds `{}` open, and run the same command again",
                    path.display()
                )),
                ..fault
            },
            _ => fault,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Cancel;

    #[tokio::test]
    async fn what_an_earlier_run_left_is_waited_for_and_told_with_what_ends_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("kind.lock");
        let soon = Flow::new(Cancel::default()).within_limit(Duration::from_millis(50));
        wait(&path, &soon).await.expect("nobody holds it");
        let held = FileLock::try_take(&path, "`kind create cluster`").expect("ours").expect("free");
        let late = wait(&path, &soon).await.expect_err("it is held");
        assert_eq!(late.kind, FaultKind::Deadline);
        assert!(late.hint.is_some_and(|hint| hint.contains("kind.lock")));
        drop(held);
        wait(&path, &Flow::new(Cancel::default())).await.expect("nobody holds it any more");
    }
}
