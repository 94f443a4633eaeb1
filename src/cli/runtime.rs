use std::future::Future;

use super::exit::{Exit, Failure};
use super::signals::Signals;
use crate::base::{Fault, FaultKind};
use crate::ui::Complaint;

/// Two threads carry the connections; the run itself stays on the main thread.
const WORKERS: usize = 2;

/// Runs `work` on a runtime of its own, with signals watched, until it is done or a second signal
/// says stop now. Whatever is still open then is dropped: children are killed, the terminal is restored.
pub(super) fn run<T, F>(work: impl FnOnce(Signals) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().map_err(
            |error| Fault::new(FaultKind::Quota, "start threads", error.to_string().to_lowercase()),
        )?;
    let result = runtime.block_on(async {
        let signals = Signals::watch()?;
        tokio::select! {
            result = work(signals.clone()) => result,
            () = signals.cancel().forced() => Err(Failure::new(
                signals.stopped_by().unwrap_or(Exit::Interrupted),
                Complaint::new("stopped at once, as asked")
                    .because("changes that were under way may go on in the cluster or the cloud")
                    .next("run the same command again: it looks at what stands and goes on from there"),
            )),
        }
    });
    // A thread that waits for the keyboard must not hold up the end.
    runtime.shutdown_background();
    result
}

/// Waits for `reading`, which changes nothing, and gives it up at the first signal.
pub(super) async fn reading<T>(signals: &Signals, reading: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::select! {
        result = reading => Ok(result),
        () = signals.cancel().requested() => {
            let exit = signals.stopped_by().unwrap_or(Exit::Interrupted);
            Err(Failure::new(exit, Complaint::new("stopped by a signal").because("nothing was changed")))
        }
    }
}
