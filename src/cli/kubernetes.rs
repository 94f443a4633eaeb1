use super::exit::Failure;
use super::runtime::{self, reading};
use crate::flow::Flow;
use crate::profile::Environment;
use crate::providers;

/// Asks a cluster of somebody else which Kubernetes it runs, where the profile does not say it. One that does
/// not answer stays what it is taken for: why it does not is told by what looks at it next.
pub(super) fn settle(environment: &mut Environment) -> Result<(), Failure> {
    if !providers::asks_kubernetes(environment) {
        return Ok(());
    }
    let asked = &*environment;
    let answer = runtime::run(|signals| async move {
        let flow = Flow::new(signals.cancel().clone());
        reading(&signals, Box::pin(providers::ask_kubernetes(asked, &flow))).await
    })?;
    if let Ok(Some(kubernetes)) = answer {
        environment.kubernetes = kubernetes;
        environment.kubernetes_assumed = false;
    }
    Ok(())
}
