use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

use super::refusal::innermost;
use crate::base::{Clock, SystemClock};

/// So long before their end credentials are asked for anew. The SDKs do it ten seconds before.
const MARGIN: Duration = Duration::from_mins(1);

/// When the credentials end that were given last; `None` as long as there are none, or they last.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends(Arc<Mutex<Option<SystemTime>>>);

impl Ends {
    pub(super) fn known(&self) -> Option<SystemTime> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, credentials: &Credentials) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = credentials.expiry();
    }
}

/// Credentials that are asked for once and held until shortly before they end: the chain behind may start a
/// program or ask AWS each time.
#[derive(Debug)]
pub(super) struct Held {
    behind: SharedCredentialsProvider,
    /// The profile of the AWS configuration that was chosen here.
    profile: Option<String>,
    last: Mutex<Option<Credentials>>,
    ends: Ends,
}

impl Held {
    pub(super) fn new(behind: SharedCredentialsProvider, profile: Option<String>, ends: Ends) -> Self {
        Self { behind, profile, last: Mutex::new(None), ends }
    }

    /// Why there are none. Where the whole chain has nothing its last word is about a machine in EC2, or there
    /// is none: what is wrong with the profile (it is not there, it has no credentials) is what helps.
    async fn why(&self, error: CredentialsError) -> CredentialsError {
        let nothing = matches!(error, CredentialsError::CredentialsNotLoaded(_));
        if !nothing && !innermost(&error).to_lowercase().contains("imds") {
            return error;
        }
        let config = ProviderConfig::without_region().with_http_client(super::http::client());
        let mut profile = ProfileFileCredentialsProvider::builder().configure(&config);
        if let Some(name) = &self.profile {
            profile = profile.profile_name(name);
        }
        profile.build().provide_credentials().await.err().unwrap_or(error)
    }

    fn held(&self) -> MutexGuard<'_, Option<Credentials>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `credentials` are good for longer than the margin at `now`.
fn lasts(credentials: &Credentials, now: SystemTime) -> bool {
    credentials.expiry().is_none_or(|end| now + MARGIN < end)
}

impl ProvideCredentials for Held {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let held = self.held().clone();
            if let Some(held) = held.filter(|held| lasts(held, SystemTime::from(SystemClock.now()))) {
                return Ok(held);
            }
            match self.behind.provide_credentials().await {
                Ok(given) => {
                    self.ends.note(&given);
                    *self.held() = Some(given.clone());
                    Ok(given)
                }
                Err(error) => Err(self.why(error).await),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Counts how often it is asked; what it gives is good for so long.
    #[derive(Debug)]
    struct Counting {
        asked: Arc<AtomicU32>,
        good_for: Option<Duration>,
    }

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let mut given =
                Credentials::builder().access_key_id("AKID").secret_access_key("s").provider_name("test");
            given.set_expiry(self.good_for.map(|good_for| SystemTime::from(SystemClock.now()) + good_for));
            future::ProvideCredentials::ready(Ok(given.build()))
        }
    }

    async fn asked_for_two_calls(good_for: Option<Duration>) -> u32 {
        let asked = Arc::new(AtomicU32::new(0));
        let counting = Counting { asked: Arc::clone(&asked), good_for };
        let held = Held::new(SharedCredentialsProvider::new(counting), None, Ends::default());
        for _ in 0..2 {
            held.provide_credentials().await.expect("given");
        }
        asked.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn the_end_of_what_was_given_is_known_wherever_it_came_from() {
        let ends = Ends::default();
        for (good_for, known) in [(Some(Duration::from_mins(12)), true), (None, false)] {
            let counting = Counting { asked: Arc::default(), good_for };
            let held = Held::new(SharedCredentialsProvider::new(counting), None, ends.clone());
            held.provide_credentials().await.expect("given");
            assert_eq!(ends.known().is_some(), known);
        }
    }

    #[tokio::test]
    async fn credentials_are_asked_for_once_while_they_last() {
        assert_eq!(asked_for_two_calls(None).await, 1);
        assert_eq!(asked_for_two_calls(Some(Duration::from_hours(1))).await, 1);
        assert_eq!(asked_for_two_calls(Some(Duration::from_secs(30))).await, 2);
    }
}
