use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::base::{Fault, FaultKind};
use crate::flow::Flow;

/// How long a registry of this machine may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer that is longer than this is not one of a registry.
const LONGEST: u64 = 8 * 1024 * 1024;

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status: 200.
    pub(super) status: u16,
    /// The headers, one to a line.
    pub(super) headers: String,
    /// The body.
    pub(super) body: String,
}

impl Answer {
    /// Whether a registry speaks here: <https://distribution.github.io/distribution/spec/api/#api-version-check>.
    pub(super) fn is_of_a_registry(&self) -> bool {
        let speaks = self.headers.to_lowercase().contains("docker-distribution-api-version:");
        match self.status {
            // Programs other than Distribution may leave the header out and answer with an empty object.
            200 => speaks || matches!(self.body.trim(), "" | "{}"),
            401 => speaks,
            _ => false,
        }
    }
}

/// Asks for `path` at `address`, without TLS: it is for registries of this machine alone.
///
/// HTTP 1.0, so that the answer comes in one piece and ends with the connection.
pub(super) async fn get(address: SocketAddr, path: &str, flow: &Flow) -> Result<Answer, Fault> {
    let attempted = format!("ask the registry at {address} for `{path}`");
    let fault = |error: std::io::Error| {
        Fault::new(FaultKind::Transient, attempted.clone(), error.to_string().to_lowercase())
    };
    let asked = async {
        let mut stream = TcpStream::connect(address).await.map_err(fault)?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(fault)?;
        let mut bytes = Vec::new();
        stream.take(LONGEST).read_to_end(&mut bytes).await.map_err(fault)?;
        let text = String::from_utf8_lossy(&bytes);
        parse(&text)
            .ok_or_else(|| Fault::new(FaultKind::Invalid, attempted.clone(), "it does not speak HTTP"))
    };
    flow.within(PATIENCE, &attempted, asked).await
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (first, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = first.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, headers: headers.replace("\r\n", "\n"), body: body.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_told_from_another_server() {
        let answer = |text: &str| parse(text).map(|answer| answer.is_of_a_registry());
        let registry = "HTTP/1.0 200 OK\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\r\n{}";
        assert_eq!(answer(registry), Some(true));
        let login = "HTTP/1.1 401 Unauthorized\r\nDocker-Distribution-Api-Version: registry/2.0\r\n\r\n";
        assert_eq!(answer(login), Some(true));
        assert_eq!(answer("HTTP/1.0 200 OK\r\nServer: web\r\n\r\n<html>"), Some(false));
        assert_eq!(answer("HTTP/1.0 404 Not Found\r\n\r\n{}"), Some(false));
        assert_eq!(answer("SSH-2.0-OpenSSH\r\n"), None);
    }
}
