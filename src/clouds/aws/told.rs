use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction, RetryReason};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::retry::ErrorKind;

use super::session::ATTEMPTS;
use crate::base::{Fault, FaultKind};
use crate::flow::{Flow, Notice};

/// The longest pause between two attempts of an SDK (aws-smithy-types, `RetryConfig::standard`).
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// Tells a flow what an SDK repeats, which it would do in silence.
pub(super) struct Told {
    flow: Flow,
}

impl Told {
    pub(super) fn new(flow: &Flow) -> Self {
        Self { flow: flow.clone() }
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

#[dyn_dispatch_hint]
impl Intercept for Told {
    fn name(&self) -> &'static str {
        "Told"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let attempt = bag.load::<RequestAttempts>().map_or(1, RequestAttempts::attempts);
        if attempt >= ATTEMPTS {
            return Ok(());
        }
        let classified = components.retry_classifiers().map(|one| one.classify_retry(context.inner()));
        let repeated = classified.filter_map(|action| match action {
            RetryAction::RetryIndicated(RetryReason::RetryableError { kind, retry_after }) => {
                Some((kind, retry_after))
            }
            _ => None,
        });
        let Some((kind, retry_after)) = repeated.last() else { return Ok(()) };
        let (kind, reason) = match kind {
            ErrorKind::ThrottlingError => (FaultKind::Throttled, "AWS asks for fewer calls"),
            _ if context.response().is_some() => {
                (FaultKind::Transient, "AWS answers with an error of its own")
            }
            _ => (FaultKind::Transient, "AWS did not answer"),
        };
        let asked = bag
            .load::<Metadata>()
            .map_or_else(String::new, |call| format!("{} {}", call.service(), call.name()));
        // The SDK takes a random part of this.
        let pause = Duration::from_secs(1 << (attempt - 1).min(8)).min(LONGEST_PAUSE);
        let fault = Fault::new(kind, format!("call {asked}"), format!("{reason} ({asked})"));
        self.flow.report(Notice::Retrying { fault, attempt, pause: retry_after.unwrap_or(pause) });
        Ok(())
    }
}
