//! Bearer tokens for the API servers of EKS clusters: a request to STS that is signed and never sent by us.
//! The cluster sends it and learns from the answer who we are (aws-iam-authenticator, pkg/token/token.go).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::refusal::Refusal;
use super::region::Partition;
use crate::base::{Clock, Fault, FaultKind, Secret, Token, TokenSource};

/// The cluster takes a token for so long after the date in it (`presignedURLExpiration` there).
const GOOD_FOR: Duration = Duration::from_mins(15);
/// What is told to others is a minute less: clocks differ.
const MARGIN: Duration = Duration::from_mins(1);
/// After so long a token is made anew, though it would still do.
const FRESH_FOR: Duration = Duration::from_mins(10);
/// What the presigned request itself says; the cluster does not look at it.
const EXPIRES: Duration = Duration::from_mins(1);

/// All that is not unreserved in RFC 3986 is encoded, as signatures want it.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encoded for a query or a form.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, &RESERVED).to_string()
}

/// Makes the token for `cluster` in `region`, dated `now`. No network call. The host is always that of STS:
/// clusters take no other one, whatever endpoint this machine is told to use.
pub fn mint(cluster: &str, region: &str, credentials: &Credentials, now: Timestamp) -> Result<Token, Fault> {
    let url = presigned(cluster, region, credentials, now).map_err(|reason| {
        Fault::new(FaultKind::Bug, format!("make a token for cluster `{cluster}`"), reason)
    })?;
    let secret = Secret::new(format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url)));
    Ok(Token { secret, stale_at: now + FRESH_FOR, ends_at: now + (GOOD_FOR - MARGIN) })
}

/// The address that the cluster asks STS by. Its query may hold nothing but what is put into it here.
fn presigned(
    cluster: &str,
    region: &str,
    credentials: &Credentials,
    now: Timestamp,
) -> Result<String, String> {
    let identity = credentials.clone().into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES);
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(SystemTime::from(now))
        .settings(settings)
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let host = format!("sts.{region}.{}", Partition::of(region).domain());
    let mut url = format!("https://{host}/?Action=GetCallerIdentity&Version=2011-06-15");
    let headers = [("host", host.as_str()), ("x-k8s-aws-id", cluster)];
    let request = SignableRequest::new("GET", &url, headers.into_iter(), SignableBody::Bytes(&[]))
        .map_err(|error| error.to_string())?;
    let (instructions, _) = sign(request, &parameters).map_err(|error| error.to_string())?.into_parts();
    for (key, value) in instructions.params() {
        url.push_str(&format!("&{key}={}", encoded(value)));
    }
    Ok(url)
}

/// The tokens for one cluster, from the credentials of a session.
pub struct ClusterTokens {
    title: String,
    cluster: String,
    region: String,
    credentials: SharedCredentialsProvider,
    clock: Arc<dyn Clock>,
}

impl ClusterTokens {
    /// Tokens for `cluster` in `region`; `clock` dates them.
    pub(super) fn new(
        cluster: &str,
        region: &str,
        credentials: SharedCredentialsProvider,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let title = format!("tokens for EKS cluster `{cluster}` in {region}");
        Self { title, cluster: cluster.to_string(), region: region.to_string(), credentials, clock }
    }
}

impl TokenSource for ClusterTokens {
    fn title(&self) -> &str {
        &self.title
    }

    fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token, Fault>> + Send + '_>> {
        Box::pin(async move {
            let credentials = self.credentials.provide_credentials().await.map_err(|error| {
                Refusal::credentials(&error).fault(format!("make a token for cluster `{}`", self.cluster))
            })?;
            mint(&self.cluster, &self.region, &credentials, self.clock.now())
        })
    }
}

impl fmt::Debug for ClusterTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)
    }
}
