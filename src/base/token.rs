use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Fault, Secret};

/// A bearer token that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The token itself.
    pub secret: Secret<String>,
    /// From when on a new one should be asked for, though this one would still do.
    pub stale_at: Timestamp,
    /// From when on it is not taken any more.
    pub ends_at: Timestamp,
}

/// Gives bearer tokens, each time one that is fresh.
pub trait TokenSource: Send + Sync {
    /// What the tokens are for. Sources of the same title give tokens of the same caller for the same server.
    fn title(&self) -> &str;

    /// What berth has to be called with to print such a token, for programs that read the cluster's kubeconfig.
    fn arguments(&self) -> Vec<String>;

    /// A fresh token.
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token, Fault>> + Send + '_>>;
}

/// A shared source of tokens, as a credential holds it: known by its title.
#[derive(Clone)]
pub struct Tokens(Arc<dyn TokenSource>);

impl Tokens {
    /// The tokens of `source`.
    pub fn new(source: Arc<dyn TokenSource>) -> Self {
        Self(source)
    }

    /// What berth has to be called with to print such a token.
    pub fn arguments(&self) -> Vec<String> {
        self.0.arguments()
    }

    /// A fresh token.
    pub async fn token(&self) -> Result<Token, Fault> {
        self.0.token().await
    }
}

impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        self.0.title() == other.0.title()
    }
}

impl Eq for Tokens {}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.title())
    }
}
