use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;

/// A task that runs beside the main work until it is stopped. Dropping it stops it too.
#[derive(Debug)]
pub struct Background {
    handle: Option<JoinHandle<()>>,
}

impl Background {
    /// Calls `work` every `period`, the first time after one period.
    pub fn every<F>(period: Duration, mut work: impl FnMut() -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        Self::run(async move {
            loop {
                tokio::time::sleep(period).await;
                work().await;
            }
        })
    }

    /// Runs `work` once.
    pub fn run(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { handle: Some(tokio::spawn(work)) }
    }

    /// Stops the task and waits until it is gone.
    pub async fn stop(mut self) {
        if let Some(handle) = self.handle.take() {
            handle.abort();
            // An aborted task ends with a cancellation error, which is what was asked for.
            handle.await.ok();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.abort();
        }
    }
}
