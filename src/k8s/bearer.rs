use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderValue;

use crate::base::{Clock, Fault, FaultKind, Token, Tokens};

/// The bearer token of a connection: the one that is held while it is fresh, and then another one.
pub(super) struct Bearer {
    tokens: Tokens,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<Token>>,
}

/// What a request is sent with.
pub(super) struct Pass {
    /// `Bearer TOKEN`, which no trace shows.
    pub(super) header: HeaderValue,
    /// Whether it was used before: then a server that refuses it may take the next one.
    pub(super) used: bool,
}

impl Bearer {
    pub(super) fn new(tokens: Tokens, clock: Arc<dyn Clock>) -> Self {
        Self { tokens, clock, held: Mutex::new(None) }
    }

    /// A pass that is good now. Where several ask at once for a new one each gets one: making it costs no call.
    pub(super) async fn pass(&self) -> Result<Pass, Fault> {
        let now = self.clock.now();
        let held = self.held().clone().filter(|token| now < token.stale_at);
        let used = held.is_some();
        let token = if let Some(token) = held {
            token
        } else {
            let token = self.tokens.token().await?;
            *self.held() = Some(token.clone());
            token
        };
        let mut header =
            HeaderValue::from_str(&format!("Bearer {}", token.secret.reveal())).map_err(|_| {
                Fault::new(FaultKind::Bug, "send a token", "it has characters that no header may have")
            })?;
        header.set_sensitive(true);
        Ok(Pass { header, used })
    }

    /// The server refused what is held: the next request gets another one.
    pub(super) fn refused(&self) {
        *self.held() = None;
    }

    fn held(&self) -> MutexGuard<'_, Option<Token>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::base::{Secret, TokenSource};

    /// A clock that is set by hand.
    #[derive(Default)]
    struct Played(Mutex<Timestamp>);

    impl Played {
        fn forward(&self, by: Duration) {
            *self.0.lock().expect("nobody panicked") += by;
        }
    }

    impl Clock for Played {
        fn now(&self) -> Timestamp {
            *self.0.lock().expect("nobody panicked")
        }
    }

    /// Gives `token-1`, `token-2`, …, each fresh for ten minutes and good for fourteen.
    struct Numbered {
        clock: Arc<Played>,
        given: AtomicU32,
    }

    impl TokenSource for Numbered {
        fn title(&self) -> &'static str {
            "numbered tokens"
        }

        fn arguments(&self) -> Vec<String> {
            Vec::new()
        }

        fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token, Fault>> + Send + '_>> {
            let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
            let now = self.clock.now();
            Box::pin(async move {
                Ok(Token {
                    secret: Secret::new(format!("token-{number}")),
                    stale_at: now + Duration::from_mins(10),
                    ends_at: now + Duration::from_mins(14),
                })
            })
        }
    }

    fn bearer() -> (Bearer, Arc<Played>) {
        let clock = Arc::new(Played::default());
        let source = Numbered { clock: Arc::clone(&clock), given: AtomicU32::new(0) };
        (Bearer::new(Tokens::new(Arc::new(source)), Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    async fn sent(bearer: &Bearer) -> (String, bool) {
        let pass = bearer.pass().await.expect("a pass");
        (pass.header.to_str().expect("text").to_string(), pass.used)
    }

    #[tokio::test]
    async fn a_token_is_held_while_it_is_fresh_and_renewed_before_it_ends() {
        let (bearer, clock) = bearer();
        assert_eq!(sent(&bearer).await, ("Bearer token-1".to_string(), false));
        clock.forward(Duration::from_secs(9 * 60 + 59));
        assert_eq!(sent(&bearer).await, ("Bearer token-1".to_string(), true));
        clock.forward(Duration::from_secs(1));
        assert_eq!(sent(&bearer).await, ("Bearer token-2".to_string(), false));
        assert_eq!(sent(&bearer).await, ("Bearer token-2".to_string(), true));
    }

    #[tokio::test]
    async fn a_token_that_was_refused_is_not_sent_again_and_never_shown() {
        let (bearer, _clock) = bearer();
        assert_eq!(sent(&bearer).await.0, "Bearer token-1");
        bearer.refused();
        let pass = bearer.pass().await.expect("a pass");
        assert_eq!((pass.header.to_str().ok(), pass.used), (Some("Bearer token-2"), false));
        assert_eq!(format!("{:?}", pass.header), "Sensitive");
    }
}
