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

use super::encoding::encoded;
use super::refusal::Refusal;
use super::region::Partition;
use super::session::Whose;
use crate::base::{Clock, Fault, FaultKind, Secret, Token, TokenSource};

/// The cluster takes a token for 15 minutes after the date in it (`presignedURLExpiration` there); what is told
/// to others is a minute less: clocks differ.
const GOOD_FOR: Duration = Duration::from_mins(14);
/// So long before the end of the credentials a token is made anew.
const MARGIN: Duration = Duration::from_mins(1);
/// After so long a token is made anew, though it would still do.
const FRESH_FOR: Duration = Duration::from_mins(10);
/// What the presigned request itself says; the cluster does not look at it.
const EXPIRES: Duration = Duration::from_mins(1);

/// Makes the token for `cluster` in `region`, dated `now`. No network call. The host is always that of STS:
/// clusters take no other one, whatever endpoint this machine is told to use.
pub fn mint(cluster: &str, region: &str, credentials: &Credentials, now: Timestamp) -> Result<Token, Fault> {
    // The date in the token has no fraction, and what is said about it has none either.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let url = presigned(cluster, region, credentials, now).map_err(|reason| {
        Fault::new(FaultKind::Bug, format!("make a token for cluster `{cluster}`"), reason)
    })?;
    let secret = Secret::new(format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url)));
    // The cluster's question to STS fails once the credentials that signed it have ended.
    let end = credentials.expiry().and_then(|end| Timestamp::try_from(end).ok()).unwrap_or(Timestamp::MAX);
    let early = end.checked_sub(MARGIN).unwrap_or(end);
    Ok(Token { secret, stale_at: early.min(now + FRESH_FOR), ends_at: end.min(now + GOOD_FOR) })
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
    whose: Whose,
    credentials: SharedCredentialsProvider,
    clock: Arc<dyn Clock>,
}

impl ClusterTokens {
    /// Tokens for `cluster` in the region of `whose`; `clock` dates them.
    pub(super) fn new(
        cluster: &str,
        whose: &Whose,
        credentials: SharedCredentialsProvider,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let title = format!("tokens for EKS cluster `{cluster}` in {}", whose.region);
        Self { title, cluster: cluster.to_string(), whose: whose.clone(), credentials, clock }
    }
}

impl TokenSource for ClusterTokens {
    fn title(&self) -> &str {
        &self.title
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["token", "--cluster", &self.cluster, "--region", &self.whose.region];
        let chosen = [("--profile", &self.whose.profile), ("--role-arn", &self.whose.role)];
        for (flag, value) in chosen {
            arguments.extend(value.iter().flat_map(|value| [flag, value]));
        }
        arguments.into_iter().map(str::to_string).collect()
    }

    fn token(&self) -> Pin<Box<dyn Future<Output = Result<Token, Fault>> + Send + '_>> {
        Box::pin(async move {
            let credentials = self.credentials.provide_credentials().await.map_err(|error| {
                Refusal::credentials(&error).fault(format!("make a token for cluster `{}`", self.cluster))
            })?;
            mint(&self.cluster, &self.whose.region, &credentials, self.clock.now())
        })
    }
}

impl fmt::Debug for ClusterTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    /// The query of the token for cluster `demo`, made at 2026-01-02T03:04:05Z, and what stands before it.
    fn minted(region: &str, session: Option<&str>) -> (String, BTreeMap<String, String>) {
        let mut credentials =
            Credentials::builder().access_key_id("AKIAIOSFODNN7EXAMPLE").secret_access_key(SECRET);
        credentials.set_session_token(session.map(str::to_string));
        let credentials = credentials.provider_name("test").build();
        let now = "2026-01-02T03:04:05Z".parse().expect("a time");
        let token = mint("demo", region, &credentials, now).expect("minted");
        assert_eq!(token.ends_at.to_string(), "2026-01-02T03:18:05Z");
        assert_eq!(token.stale_at.to_string(), "2026-01-02T03:14:05Z");
        let url = token.secret.reveal().strip_prefix("k8s-aws-v1.").expect("the prefix").to_string();
        let url = String::from_utf8(URL_SAFE_NO_PAD.decode(url).expect("base64url")).expect("text");
        let (address, query) = url.split_once('?').expect("a query");
        let pairs = query.split('&').map(|pair| pair.split_once('=').expect("a pair"));
        let owned = pairs.map(|(key, value)| (key.to_string(), value.to_string()));
        (address.to_string(), owned.collect())
    }

    #[test]
    fn signatures_are_those_of_botocore() {
        let (address, query) = minted("eu-west-1", None);
        assert_eq!(address, "https://sts.eu-west-1.amazonaws.com/");
        assert_eq!(
            query["X-Amz-Signature"],
            "ae60efcb3e9cb18a0a61e11f853cfc0f51de88a550c4fec08932ca9a2e2a5843"
        );
        let (_, query) = minted("eu-west-1", Some("FwoGZXIvYXdzEXAMPLE+/=="));
        assert_eq!(
            query["X-Amz-Signature"],
            "979f12f3aa55eeb3fbb7cf16ec1b3e4a668edd20b586c503abcaef00b4a0d848"
        );
        assert_eq!(query["X-Amz-Security-Token"], "FwoGZXIvYXdzEXAMPLE%2B%2F%3D%3D");
    }

    #[test]
    fn a_token_ends_with_the_credentials_that_signed_it() {
        let now: Timestamp = "2026-01-02T03:04:05.678Z".parse().expect("a time");
        let mut credentials = Credentials::builder().access_key_id("AKID").secret_access_key(SECRET);
        credentials.set_expiry(Some(SystemTime::from(now + Duration::from_mins(5))));
        let credentials = credentials.provider_name("test").build();
        let token = mint("demo", "eu-west-1", &credentials, now).expect("minted");
        assert_eq!(token.stale_at.to_string(), "2026-01-02T03:08:05.678Z");
        assert_eq!(token.ends_at.to_string(), "2026-01-02T03:09:05.678Z");
    }

    #[test]
    fn the_query_holds_only_what_clusters_take() {
        let (_, query) = minted("eu-west-1", Some("token"));
        let keys: Vec<&str> = query.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "Action",
                "Version",
                "X-Amz-Algorithm",
                "X-Amz-Credential",
                "X-Amz-Date",
                "X-Amz-Expires",
                "X-Amz-Security-Token",
                "X-Amz-Signature",
                "X-Amz-SignedHeaders",
            ]
        );
        assert_eq!(query["X-Amz-SignedHeaders"], "host%3Bx-k8s-aws-id");
        assert_eq!(query["X-Amz-Date"], "20260102T030405Z");
    }

    #[test]
    fn each_partition_has_its_own_host() {
        assert_eq!(minted("cn-north-1", None).0, "https://sts.cn-north-1.amazonaws.com.cn/");
        assert_eq!(minted("us-gov-west-1", None).0, "https://sts.us-gov-west-1.amazonaws.com/");
    }
}
