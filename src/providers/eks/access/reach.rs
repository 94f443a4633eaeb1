use std::time::Duration;

use tokio::net::TcpStream;

use crate::base::{Fault, FaultKind};
use crate::flow::Flow;

/// How long a server may take to take a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether anybody answers at `https://HOST[:PORT]`; in words, why not.
pub(super) async fn reach(endpoint: &str, flow: &Flow) -> Option<String> {
    let address = host_and_port(endpoint);
    let attempted = format!("connect to {address}");
    let connected = async {
        let connected = TcpStream::connect(&address).await;
        connected.map(drop).map_err(|error| {
            Fault::new(FaultKind::Transient, attempted.clone(), error.to_string().to_lowercase())
        })
    };
    flow.within(PATIENCE, &attempted, connected).await.err().map(|fault| fault.reason)
}

fn host_and_port(endpoint: &str) -> String {
    let rest = endpoint.strip_prefix("https://").unwrap_or(endpoint);
    let rest = rest.split('/').next().unwrap_or_default();
    let has_port = rest.rsplit_once(':').is_some_and(|(host, port)| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':')
    });
    if has_port { rest.to_string() } else { format!("{rest}:443") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Cancel;

    #[test]
    fn an_address_without_a_port_is_that_of_https() {
        assert_eq!(
            host_and_port("https://0A1B.gr7.eu-central-1.eks.amazonaws.com"),
            "0A1B.gr7.eu-central-1.eks.amazonaws.com:443"
        );
        assert_eq!(host_and_port("https://127.0.0.1:6443/"), "127.0.0.1:6443");
    }

    #[tokio::test]
    async fn who_does_not_listen_is_told_from_who_does() {
        let flow = Flow::new(Cancel::default());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = format!("https://{}", listener.local_addr().expect("it is bound"));
        assert_eq!(reach(&address, &flow).await, None);
        drop(listener);
        assert!(reach(&address, &flow).await.is_some_and(|why| why.contains("refused")));
    }
}
