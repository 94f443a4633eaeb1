use std::time::Duration;

use super::exit::Failure;
use super::runtime::reading;
use super::session::Session;
use super::signals::Signals;
use crate::base::FaultKind;
use crate::engine::Survey;
use crate::flow::Notice;
use crate::providers;

/// How long it may take to learn whether another run is at work: longer than a lock outlives its holder.
const LIMIT: Duration = Duration::from_mins(1);

/// Takes the courtesy lock of an environment of which much stands beside its cluster, where runs on other machines reach
/// it too: before the first change, and not with the first object. Fails as locked when another run holds it.
///
/// A cluster that did not answer in `survey`, or that lets nobody write, has no lock: then the run goes on without.
pub(super) async fn claim(session: &Session<'_>, survey: &Survey, signals: &Signals) -> Result<(), Failure> {
    // Clusters of this machine are guarded by the lock of its folder, and of somebody else's only objects are changed.
    if !providers::stands_in_cloud(&session.environment) {
        return Ok(());
    }
    let Some(access) = survey.outputs.cluster_access() else { return Ok(()) };
    let (hub, printer) = (&session.assembly.hub, session.settings.printer);
    let flow = session.flow(signals).reporting(move |notice| {
        if let Notice::Waiting(text) = notice {
            printer.talk(&text);
        }
    });
    let claimed = flow.within(LIMIT, "take the lock of the environment", async {
        hub.connect(access).await?;
        hub.claim(&flow).await
    });
    match reading(signals, Box::pin(claimed)).await? {
        Err(fault) if matches!(fault.kind, FaultKind::Locked | FaultKind::Deadline) => Err(fault.into()),
        Err(fault) => {
            tracing::debug!(%fault, "the run goes on without the lock");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
