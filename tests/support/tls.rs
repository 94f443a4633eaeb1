use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::ring::default_provider};

/// What a TLS server on loopback needs, with a certificate that `change` may still change, and the PEM of the
/// authority that signed it.
pub fn server_on_loopback(change: impl FnOnce(&mut CertificateParams)) -> (Arc<ServerConfig>, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(authority, key).expect("an authority");
    let mut server = CertificateParams::new(["127.0.0.1".to_string()]).expect("a name");
    change(&mut server);
    let key = KeyPair::generate().expect("a key");
    let certificate = server.signed_by(&key, &authority).expect("signed");
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring knows them")
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("they belong together");
    (Arc::new(config), authority.pem())
}
