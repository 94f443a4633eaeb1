use std::path::PathBuf;

use super::{Secret, Tokens};

/// How to reach a cluster's API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterAccess {
    /// `https://host:port`.
    pub server: String,
    /// The authority of the server's certificate, PEM. `None` means the system's authorities.
    pub ca: Option<String>,
    /// Who we are to the server.
    pub credential: Credential,
}

/// Who we are to an API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A client certificate and its key, both PEM.
    ClientCertificate {
        /// The certificate, PEM.
        certificate: String,
        /// The private key, PEM.
        key: Secret<String>,
    },
    /// A bearer token.
    Token(Secret<String>),
    /// Bearer tokens that end, one after another.
    Tokens(Tokens),
    /// Whatever this context of a kubeconfig says: certificates, tokens, exec plugins.
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// The context in it.
        context: String,
    },
}
