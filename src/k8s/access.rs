use std::time::Duration;

use http::header::{HeaderValue, USER_AGENT};
use kube::Config;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};

use crate::base::{ClusterAccess, Credential, Fault, FaultKind};

/// Chooses the one library of cryptography, for every connection of this process.
pub fn choose_cryptography() {
    // Installing twice is refused and harmless: the first one stays.
    rustls::crypto::ring::default_provider().install_default().ok();
}

/// A connected client for `access`, with kube's own silent retries off.
pub(super) async fn connect(access: &ClusterAccess) -> Result<kube::Client, Fault> {
    let attempted = format!("connect to {}", access.server);
    choose_cryptography();
    let mut config = config(access, &attempted).await?;
    config.default_retry = false;
    let agent = HeaderValue::from_static(concat!("berth/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(Duration::from_mins(1));
    kube::Client::try_from(config).map_err(|error| {
        Fault::new(FaultKind::Denied, attempted, error.to_string())
            .hint("the kubeconfig's user names a file or a program for its credentials: look at those")
    })
}

async fn config(access: &ClusterAccess, attempted: &str) -> Result<Config, Fault> {
    let invalid = |reason: String| Fault::new(FaultKind::Invalid, attempted, reason);
    let (certificate, key, token) = match &access.credential {
        Credential::Kubeconfig { path, context } => return from_kubeconfig(path, context, attempted).await,
        Credential::ClientCertificate { certificate, key } => {
            (Some(encoded(certificate)), Some(encoded(key.reveal()).into()), None)
        }
        Credential::Token(token) => (None, None, Some(token.reveal().clone().into())),
        // Each request gets one when it is sent.
        Credential::Tokens(_) => (None, None, None),
    };
    let mut config = Config::new(address(&access.server).map_err(invalid)?);
    config.root_cert = match &access.ca {
        Some(pem) => Some(
            certificates(pem).ok_or_else(|| invalid("its authority is no PEM certificate".to_string()))?,
        ),
        None => None,
    };
    config.auth_info =
        AuthInfo { client_certificate_data: certificate, client_key_data: key, token, ..AuthInfo::default() };
    Ok(config)
}

/// The address of a server; kube itself panics at one that does not say how it is spoken to.
fn address(server: &str) -> Result<http::Uri, String> {
    let parsed = server.parse().ok().filter(|uri: &http::Uri| {
        uri.authority().is_some()
            && uri.scheme_str().is_some_and(|scheme| ["https", "http"].contains(&scheme))
    });
    parsed.ok_or_else(|| format!("`{server}` is no address: it has to begin with `https://`"))
}

async fn from_kubeconfig(path: &std::path::Path, context: &str, attempted: &str) -> Result<Config, Fault> {
    let shown = path.display();
    // kube's own words name the file that is missing, which may be one that the kubeconfig names.
    let fault = |kind, error: &dyn std::error::Error, hint: String| {
        Fault::new(kind, attempted, error.to_string()).hint(hint)
    };
    let file = Kubeconfig::read_from(path).map_err(|error| {
        let hint = format!("look at `{shown}`: `cluster.existing.kubeconfig` of the profile names it");
        fault(FaultKind::Invalid, &error, hint)
    })?;
    let options = KubeConfigOptions { context: Some(context.to_string()), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(file, &options).await.map_err(|error| {
        let hint = format!("see the contexts with `kubectl config get-contexts --kubeconfig {shown}`");
        fault(FaultKind::Invalid, &error, hint)
    })
}

/// Base64 of a PEM text, as kubeconfigs carry it.
fn encoded(pem: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(pem)
}

/// The certificates of a PEM text, DER.
fn certificates(pem: &str) -> Option<Vec<Vec<u8>>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let found: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .filter_map(Result::ok)
        .map(|der| der.to_vec())
        .collect();
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_says_how_its_server_is_spoken_to() {
        assert!(address("https://10.255.255.1").is_ok() && address("http://127.0.0.1:8001").is_ok());
        for wrong in ["10.255.255.1", "ftp://10.255.255.1", "https://", "", "10.255.255.1:443"] {
            assert!(address(wrong).is_err_and(|why| why.contains("`https://`")), "{wrong}");
        }
    }
}
