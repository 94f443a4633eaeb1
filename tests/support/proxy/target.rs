use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};

/// A connection pool to the API server.
pub type Pool = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The API server behind a proxy, and what it takes to stand in for it.
pub struct Target {
    /// `https://127.0.0.1:6443`.
    pub server: String,
    /// Terminates the clients' TLS with a certificate of the cluster's CA.
    pub acceptor: TlsAcceptor,
    /// Goes on as the cluster's administrator, who may speak for others by request headers.
    pub as_admin: Pool,
    /// Goes on without a certificate: the caller brings a bearer token, or nothing.
    pub as_nobody: Pool,
}

/// Who holds a connection to the proxy, by a certificate of the cluster's CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The certificate's common name.
    pub user: String,
    /// The certificate's organisations.
    pub groups: Vec<String>,
}

impl Caller {
    /// Who showed `certificate`.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        let subject = parsed.subject();
        let user = subject.iter_common_name().find_map(|name| name.as_str().ok()).unwrap_or_default();
        let groups = subject.iter_organization().filter_map(|name| name.as_str().ok()).map(str::to_string);
        Ok(Self { user: user.to_string(), groups: groups.collect() })
    }
}

impl Target {
    /// The API server of the kwokctl cluster in `folder`.
    pub fn of_cluster(folder: &Path) -> Result<Self, String> {
        let pki = folder.join("pki");
        let say = |what: &str, error: &dyn std::fmt::Display| format!("{what} of {}: {error}", pki.display());
        let certificate =
            |name: &str| CertificateDer::from_pem_file(pki.join(name)).map_err(|error| say(name, &error));
        let key =
            || PrivateKeyDer::from_pem_file(pki.join("admin.key")).map_err(|error| say("admin.key", &error));
        let server = super::super::control_plane::server_of(&folder.join("kubeconfig.yaml"))?;
        let admin = certificate("admin.crt")?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate("ca.crt")?).map_err(|error| say("ca.crt", &error))?;
        let roots = Arc::new(roots);
        let provider = Arc::new(default_provider());

        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(|error| say("client verifier", &error))?;
        // The API server itself serves with the administrator's certificate, which carries 127.0.0.1.
        let mut serving = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| say("TLS versions", &error))?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![admin.clone()], key()?)
            .map_err(|error| say("admin.crt", &error))?;
        serving.alpn_protocols = vec![b"http/1.1".to_vec()];

        let upstream = || {
            ClientConfig::builder_with_provider(provider.clone())
                .with_safe_default_protocol_versions()
                .map(|builder| builder.with_root_certificates(roots.clone()))
                .map_err(|error| say("TLS versions", &error))
        };
        let admin_config = upstream()?
            .with_client_auth_cert(vec![admin], key()?)
            .map_err(|error| say("admin.crt", &error))?;
        Ok(Self {
            server,
            acceptor: TlsAcceptor::from(Arc::new(serving)),
            as_admin: pool(admin_config),
            as_nobody: pool(upstream()?.with_no_client_auth()),
        })
    }
}

fn pool(config: ClientConfig) -> Pool {
    let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().build();
    Client::builder(TokioExecutor::new()).build(connector)
}
