use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use super::refusal::{Refusal, innermost};
use crate::base::{Fault, FaultKind};
use crate::flow::{Flow, Patience};

/// How long a connection may take to come about.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long one attempt of a call may take.
pub(super) const ATTEMPT_LIMIT: Duration = Duration::from_secs(30);

/// How calls without an SDK are repeated: as often as those with one.
const PATIENCE: Patience = Patience {
    retries: super::session::ATTEMPTS - 1,
    first_pause: Duration::from_millis(500),
    longest_pause: Duration::from_secs(20),
};

/// The connections of this process to AWS: ring, and the proxies that the environment names.
pub(super) fn client() -> SharedHttpClient {
    SharedHttpClient::new(Late(Builder::new().build_with_connector_fn(connector)))
}

/// A client that reads the certificates of the machine with its first request. Those of the SDK read them as soon
/// as anything is configured with them, which takes longer than a token does.
#[derive(Debug)]
struct Late(SharedHttpClient);

impl HttpClient for Late {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }
}

fn connector(settings: Option<&HttpConnectorSettings>, components: Option<&RuntimeComponents>) -> Connector {
    let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
    builder.set_connector_settings(settings.cloned());
    if let Some(components) = components {
        builder.set_sleep_impl(components.sleep_impl());
    }
    builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
}

/// Calls of services that have no crate of their own here: signed, repeated and told as those of the SDKs.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    connector: SharedHttpConnector,
    credentials: SharedCredentialsProvider,
}

/// A call that is signed when it is sent, each time anew.
pub(super) struct Call<'a> {
    /// Where: `https://ec2.eu-west-1.amazonaws.com`.
    pub(super) address: &'a str,
    /// The name and region that it is signed for.
    pub(super) signed_for: (&'a str, &'a str),
    /// The headers besides those of the signature.
    pub(super) headers: Vec<(&'a str, String)>,
    /// What is sent.
    pub(super) body: String,
    /// The right that it needs: `ec2:DescribeSubnets`.
    pub(super) action: String,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) request_id: Option<String>,
    pub(super) error_type: Option<String>,
    pub(super) body: String,
    /// When it was given, by AWS's own clock.
    pub(super) date: Option<String>,
}

impl Wire {
    pub(super) fn new(credentials: SharedCredentialsProvider) -> Self {
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_LIMIT).build();
        Self { connector: SharedHttpConnector::new(connector(Some(&settings), None)), credentials }
    }

    /// Makes `call`, repeated while its refusal, as `judge` reads it, may pass.
    pub(super) async fn send<T>(
        &self,
        flow: &Flow,
        call: &Call<'_>,
        judge: impl Fn(&Answer) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        // The flow repeats by faults; what it gives back in the end is the last refusal itself.
        let attempted = format!("call {}", call.action);
        let last = std::sync::Mutex::new(None);
        let sent = flow
            .retry(PATIENCE, &attempted, || async {
                let answered = match flow.within(ATTEMPT_LIMIT, &attempted, self.once(call)).await {
                    Ok(answered) => answered.and_then(|answer| {
                        judge(&answer).map_err(|refusal| refusal.dated(answer.date.as_deref()))
                    }),
                    Err(fault) => return Err(fault),
                };
                answered.map_err(|refusal| {
                    let fault = refusal.fault(&attempted);
                    *last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(refusal);
                    fault
                })
            })
            .await;
        sent.map_err(|fault| {
            let refusal = last.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
            // Otherwise the flow itself ended the call: a deadline, a signal, no answer.
            let refusal = refusal.filter(|refusal| refusal.kind == fault.kind);
            refusal.unwrap_or_else(|| unanswered(call, fault.kind, fault.reason))
        })
    }

    async fn once(&self, call: &Call<'_>) -> Result<Result<Answer, Refusal>, Fault> {
        let credentials = match self.credentials.provide_credentials().await {
            Ok(credentials) => credentials,
            Err(error) => return Ok(Err(Refusal::credentials(&error))),
        };
        let request = match signed(call, credentials, SystemTime::now()) {
            Ok(request) => request,
            Err(reason) => return Err(Fault::new(FaultKind::Bug, format!("sign {}", call.action), reason)),
        };
        let response = match self.connector.call(request).await {
            Ok(response) => response,
            Err(error) => {
                return Ok(Err(lost(call, format!("AWS cannot be reached: {}", innermost(&error)))));
            }
        };
        let header = |name: &str| response.headers().get(name).map(str::to_string);
        let answer = Answer {
            status: response.status().as_u16(),
            request_id: header("x-amzn-requestid").or_else(|| header("x-amz-request-id")),
            error_type: header("x-amzn-errortype"),
            date: header("date"),
            body: String::new(),
        };
        Ok(match ByteStream::new(response.into_body()).collect().await {
            Ok(body) => {
                Ok(Answer { body: String::from_utf8_lossy(&body.into_bytes()).into_owned(), ..answer })
            }
            Err(error) => Err(lost(call, format!("the answer broke off: {}", innermost(&error)))),
        })
    }
}

fn signed(
    call: &Call<'_>,
    credentials: aws_credential_types::Credentials,
    now: SystemTime,
) -> Result<HttpRequest, String> {
    let identity = credentials.into();
    let (name, region) = call.signed_for;
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(name)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error.to_string())?
        .into();
    let address = format!("{}/", call.address);
    let headers = call.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let body = SignableBody::Bytes(call.body.as_bytes());
    let unsigned =
        SignableRequest::new("POST", &address, headers, body).map_err(|error| error.to_string())?;
    let (instructions, _) = sign(unsigned, &parameters).map_err(|error| error.to_string())?.into_parts();
    let mut request = HttpRequest::new(SdkBody::from(call.body.as_str()));
    request.set_method("POST").map_err(|error| error.to_string())?;
    request.set_uri(address.as_str()).map_err(|error| format!("`{address}` is no address: {error}"))?;
    let agent = concat!("berth/", env!("CARGO_PKG_VERSION"));
    request.headers_mut().insert("user-agent", agent);
    for (name, value) in &call.headers {
        request.headers_mut().insert((*name).to_string(), value.clone());
    }
    for (name, value) in instructions.headers() {
        request.headers_mut().insert(name.to_string(), value.to_string());
    }
    Ok(request)
}

fn lost(call: &Call<'_>, message: String) -> Refusal {
    unanswered(call, FaultKind::Transient, message)
}

fn unanswered(call: &Call<'_>, kind: FaultKind, message: String) -> Refusal {
    Refusal { action: Some(call.action.clone()), ..Refusal::unanswered(kind, message) }
}
