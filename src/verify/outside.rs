//! Requests from this machine, past its proxies: a canary in a cluster is no matter of theirs.

use std::time::Duration;

use reqwest::Client;
use reqwest::header::HOST;
use reqwest::redirect::Policy;

use crate::base::{Fault, FaultKind};

const CONNECT: Duration = Duration::from_secs(3);
const WHOLE: Duration = Duration::from_secs(5);
/// The canary's answer is a word; nobody else's has to be read to its end.
const LONGEST: usize = 4096;

/// Who asks from outside.
pub(super) struct Outside {
    client: Client,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    /// Where it sends the caller instead.
    pub(super) elsewhere: Option<String>,
}

impl Outside {
    pub(super) fn new() -> Result<Self, Fault> {
        crate::k8s::choose_cryptography();
        let client = Client::builder()
            .user_agent(concat!("berth/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .redirect(Policy::none())
            // Each request is a new connection: what answered once may have been a pod that is gone.
            .pool_max_idle_per_host(0)
            .build();
        let client = client
            .map_err(|error| Fault::new(FaultKind::Bug, "prepare requests from outside", causes(&error)))?;
        Ok(Self { client })
    }

    /// Asks `url`, for `host` where that is another name: the answer, or in words why there is none.
    pub(super) async fn get(&self, url: &str, host: Option<&str>) -> Result<Answer, String> {
        let request = self.client.get(url);
        let request = match host {
            Some(host) => request.header(HOST, host),
            None => request,
        };
        let mut answer = request.send().await.map_err(|error| causes(&error))?;
        let elsewhere = answer.headers().get("location").and_then(|to| to.to_str().ok()).map(str::to_string);
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| causes(&error))? {
            body.extend_from_slice(&part);
            if body.len() > LONGEST {
                break;
            }
        }
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), elsewhere })
    }
}

/// The innermost cause alone says what happened; the outer ones repeat the address.
fn causes(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().to_lowercase()
}
