use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};

use super::store::{LARGEST, Store, check, too_large};
use crate::base::{Checksum, Fault, FaultKind};
use crate::flow::{Flow, Patience};

/// A server that does not answer at all.
const CONNECT: Duration = Duration::from_secs(10);
/// A server that stops in the middle.
const SILENCE: Duration = Duration::from_secs(30);
/// One file, from the first byte to the last.
const WHOLE: Duration = Duration::from_mins(5);
/// More redirects go round in circles.
const REDIRECTS: usize = 5;

/// The file at `url` with this hash: from the store, or fetched and kept there.
///
/// If this dies half way, nothing is kept, and the next run fetches it again.
pub(super) async fn download(
    url: &str,
    sha256: &Checksum,
    store: &Store,
    flow: &Flow,
) -> Result<Vec<u8>, Fault> {
    if let Some(content) = store.read(sha256)? {
        return Ok(content);
    }
    let attempted = format!("fetch `{url}`");
    let client = client(&attempted)?;
    let content = flow
        .retry(Patience::BRIEF, &attempted, || flow.within(WHOLE, &attempted, get(&client, url, &attempted)))
        .await
        .map_err(|fault| store.by_hand(fault, sha256))?;
    check(&content, sha256, &attempted)?;
    store.keep(&content)?;
    Ok(content)
}

fn client(attempted: &str) -> Result<Client, Fault> {
    crate::k8s::choose_cryptography();
    Client::builder()
        .user_agent(concat!("berth/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .redirect(Policy::limited(REDIRECTS))
        .build()
        .map_err(|error| Fault::new(FaultKind::Invalid, attempted, causes(&error)))
}

async fn get(client: &Client, url: &str, attempted: &str) -> Result<Vec<u8>, Fault> {
    let answer = client.get(url).send().await.map_err(|error| broken(attempted, &error))?;
    let mut answer = accepted(answer, attempted)?;
    let mut content = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| broken(attempted, &error))? {
        content.extend_from_slice(&part);
        if content.len() as u64 > LARGEST {
            return Err(too_large(attempted.to_string()));
        }
    }
    Ok(content)
}

fn accepted(answer: Response, attempted: &str) -> Result<Response, Fault> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let reason = format!("the server answers {status}");
    let (kind, hint) = match status {
        StatusCode::TOO_MANY_REQUESTS => (FaultKind::Throttled, "wait, then run the same command again"),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => (
            FaultKind::Denied,
            "only what everybody may read can be fetched: take a copy into your repository",
        ),
        _ if status.is_server_error() => (FaultKind::Transient, "run the same command again"),
        _ => (FaultKind::Invalid, "correct the address: it may have moved, or never have been there"),
    };
    Err(Fault::new(kind, attempted, reason).hint(hint))
}

/// A connection that failed or broke off: the next may not.
fn broken(attempted: &str, error: &reqwest::Error) -> Fault {
    let kind =
        if error.is_builder() || error.is_redirect() { FaultKind::Invalid } else { FaultKind::Transient };
    Fault::new(kind, attempted, causes(error))
}

/// The innermost cause alone says what happened; the outer ones repeat the address.
fn causes(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().to_lowercase()
}
