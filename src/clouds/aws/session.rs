use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::client::Aws;
use super::held::{Ends, Held};
use super::http::{self, ATTEMPT_LIMIT, CONNECT_LIMIT};
use super::identity::Identity;
use super::refusal::{RENEW, Refusal};
use super::region::{Partition, has_to_be_enabled};
use super::service::unusable_endpoint;
use super::token::ClusterTokens;
use super::told::Told;
use crate::base::{Clock, Fault, FaultKind, Note, TokenSource};
use crate::flow::Flow;

/// How often a call is made before its error counts. Adaptive retry is not used: it begins with half a request
/// in a second, and ten times as slow.
pub(super) const ATTEMPTS: u32 = 8;
/// How long AWS may take to say who we are, with all repetitions.
const LOGIN_LIMIT: Duration = Duration::from_mins(2);
/// How long an answer that has begun may stand still.
const STALL_LIMIT: Duration = Duration::from_secs(10);

/// In whose name AWS is asked, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whose {
    /// The region: `eu-central-1`.
    pub region: String,
    /// The only account that may be worked in; any when `None`.
    pub account: Option<String>,
    /// The profile of the AWS configuration; what AWS's own chain says when `None` (`AWS_PROFILE`).
    pub profile: Option<String>,
    /// A role to take besides.
    pub role: Option<String>,
    /// When credentials that stand in the environment end, where that is known: nothing renews those. All others
    /// say it themselves once they are given, and are asked for anew before.
    pub ends: Option<Timestamp>,
}

/// The way to one account and region, opened when it is first needed and shared by all of a run.
#[derive(Debug)]
pub struct Session {
    whose: Whose,
    opened: OnceCell<Arc<Aws>>,
    /// Why AWS does not know us, or does not answer: it will not a moment later either.
    failed: Mutex<Option<Fault>>,
    /// When the credentials end that the chain gave.
    ends: Ends,
}

impl Session {
    /// A session that asks nothing before [`open`](Self::open).
    pub fn new(whose: Whose) -> Arc<Self> {
        Arc::new(Self { whose, opened: OnceCell::new(), failed: Mutex::default(), ends: Ends::default() })
    }

    /// The region that it works in.
    pub fn region(&self) -> &str {
        &self.whose.region
    }

    /// The clients, once AWS has said who we are; it is asked once. Fails without credentials, with some that
    /// AWS does not know, and in another account than the pinned one.
    pub async fn open(&self, flow: &Flow) -> Result<Arc<Aws>, Fault> {
        let opened = self.opened.get_or_try_init(|| async {
            if let Some(fault) = self.failed().clone() {
                return Err(fault);
            }
            let opened = self.opened_anew(flow).await;
            if let Err(fault) = &opened
                && matches!(fault.kind, FaultKind::Denied | FaultKind::Transient | FaultKind::Throttled)
            {
                *self.failed() = Some(fault.clone());
            }
            opened
        });
        opened.await.cloned()
    }

    async fn opened_anew(&self, flow: &Flow) -> Result<Arc<Aws>, Fault> {
        let (config, credentials) = self.configured(self.loader()).await?;
        let identity = self.identified(flow, &config).await?;
        self.pinned(&identity)?;
        Ok(Arc::new(Aws::new(identity, &self.whose, config, credentials)))
    }

    fn failed(&self) -> MutexGuard<'_, Option<Fault>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tokens for the API server of `cluster`, without asking AWS who we are. Nothing is called but what the
    /// credential chain itself needs.
    pub async fn tokens(&self, cluster: &str, clock: &Arc<dyn Clock>) -> Result<Arc<dyn TokenSource>, Fault> {
        let (_, credentials) = self.configured(self.loader()).await?;
        Ok(Arc::new(ClusterTokens::new(cluster, &self.whose, credentials, Arc::clone(clock))))
    }

    /// What has to be known of the end of the credentials before a run of up to `limit` begins: fails when they
    /// have ended, and says so when they will before the run does. Of those that do not stand in the environment
    /// nothing is known before the session was [opened](Self::open).
    pub fn expires_before(&self, limit: Duration, now: Timestamp) -> Result<Option<Note>, Fault> {
        let given = || self.ends.known().and_then(|ends| Timestamp::try_from(ends).ok());
        let (whose, renewed) = match self.whose.ends {
            Some(_) => ("the AWS credentials in the environment", ""),
            None => ("the AWS credentials", "unless they are renewed by themselves, "),
        };
        let Some(ends) = self.whose.ends.or_else(given) else { return Ok(None) };
        let shown = ends.strftime("%H:%M UTC");
        if ends <= now {
            let reason = format!("{whose} ended at {shown}");
            return Err(Fault::new(FaultKind::Denied, self.opening(), reason).hint(RENEW));
        }
        let long_enough = now.checked_add(limit).is_ok_and(|end| end <= ends);
        let left = ends.duration_since(now).as_mins();
        Ok((!long_enough).then(|| {
            let text = format!(
                "{whose} end at {shown}, in {left} min: {renewed}what is not done by then goes on with new ones and \
                 the same command"
            );
            Note::new("credentials", text)
        }))
    }

    /// The configuration of all clients, with the credentials that the chain gives.
    async fn configured(
        &self,
        loader: ConfigLoader,
    ) -> Result<(SdkConfig, SharedCredentialsProvider), Fault> {
        let mut config = loader.load().await;
        if let Some(endpoint) = unusable_endpoint(&config) {
            let is = match endpoint.trim() {
                "" => "empty".to_string(),
                named => format!("`{named}`, which does not begin with `https://`"),
            };
            let reason =
                format!("the endpoint of AWS that the environment or the AWS configuration names is {is}");
            return Err(Fault::new(FaultKind::Invalid, self.opening(), reason)
                .hint("unset AWS_ENDPOINT_URL and those of single services (AWS_ENDPOINT_URL_EKS, ...)"));
        }
        if let Some(role) = &self.whose.role {
            let taken =
                AssumeRoleProvider::builder(role).configure(&config).session_name("berth").build().await;
            config =
                config.into_builder().credentials_provider(SharedCredentialsProvider::new(taken)).build();
        }
        let chain = config.credentials_provider().ok_or_else(|| {
            Fault::new(FaultKind::Bug, self.opening(), "the AWS configuration has no credential chain")
        })?;
        let credentials =
            SharedCredentialsProvider::new(Held::new(chain, self.whose.profile.clone(), self.ends.clone()));
        let config = config.into_builder().credentials_provider(credentials.clone()).build();
        Ok((config, credentials))
    }

    /// What AWS's own chain is asked with.
    fn loader(&self) -> ConfigLoader {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_LIMIT)
            .operation_attempt_timeout(ATTEMPT_LIMIT)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http::client())
            .region(Region::new(self.whose.region.clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts)
            .stalled_stream_protection(
                StalledStreamProtectionConfig::enabled().grace_period(STALL_LIMIT).build(),
            );
        if let Ok(name) = AppName::new(concat!("berth-", env!("CARGO_PKG_VERSION"))) {
            loader = loader.app_name(name);
        }
        if let Some(profile) = &self.whose.profile {
            loader = loader.profile_name(profile);
        }
        loader
    }

    async fn identified(&self, flow: &Flow, config: &SdkConfig) -> Result<Identity, Fault> {
        let conf = aws_sdk_sts::config::Builder::from(config).interceptor(Told::new(flow)).build();
        let asked = async {
            let answer = aws_sdk_sts::Client::from_conf(conf).get_caller_identity().send().await;
            answer.map_err(|error| self.refused(&Refusal::of(&error)))
        };
        let answer = flow.within(LOGIN_LIMIT, &self.opening(), asked).await.map_err(|fault| match fault.kind {
            FaultKind::Transient if fault.hint.is_none() => fault.hint(
                "see that this machine reaches AWS: `HTTPS_PROXY` names a proxy, `AWS_ENDPOINT_URL` another address",
            ),
            _ => fault,
        })?;
        Ok(Identity {
            account: answer.account.unwrap_or_default(),
            arn: answer.arn.unwrap_or_default(),
            partition: Partition::of(&self.whose.region),
        })
    }

    /// The fault of a session that AWS refused. A region that is not enabled refuses every caller as unknown.
    fn refused(&self, refusal: &Refusal) -> Fault {
        let region = &self.whose.region;
        let fault = refusal.fault(self.opening());
        let may_be_closed =
            has_to_be_enabled(region) && !refusal.is_expired() && !refusal.is_about_the_clock();
        if refusal.is_unknown_caller() && may_be_closed {
            let enable = format!(
                "an account has to enable {region} before it can be used: `aws account enable-region --region-name \
                 {region}`; if it is enabled, log in again (`aws sso login`)"
            );
            return fault.hint(enable);
        }
        fault
    }

    fn pinned(&self, identity: &Identity) -> Result<(), Fault> {
        match &self.whose.account {
            Some(pinned) if *pinned != identity.account => Err(Fault::new(
                FaultKind::Denied,
                self.opening(),
                format!(
                    "these credentials belong to account {}, and the profile says {pinned}: {}",
                    identity.account, identity.arn
                ),
            )
            .hint("name the AWS profile of that account in AWS_PROFILE, or correct `cluster.eks.account`")
            .in_profile("cluster.eks.account")),
            _ => Ok(()),
        }
    }

    fn opening(&self) -> String {
        format!("log in to AWS in {}", self.whose.region)
    }
}

#[cfg(test)]
mod tests;
