//! A server on this machine for the tests of clients: it answers in turn with what it was given.

use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::base::FaultKind;
use crate::flow::{Cancel, Flow, Notice};

/// A server that gives these answers, one to each request.
pub(super) struct Played {
    listener: TcpListener,
    /// `http://127.0.0.1:PORT`.
    pub(super) address: String,
    asked: Mutex<Vec<String>>,
}

impl Played {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = format!("http://{}", listener.local_addr().expect("it is bound"));
        Self { listener, address, asked: Mutex::new(Vec::new()) }
    }

    /// Answers with `answers` in turn (status, further header lines, body), while `client` runs.
    pub(super) async fn while_running<T>(
        &self,
        answers: &[(u16, &str, &str)],
        client: impl Future<Output = T>,
    ) -> T {
        let serving = async {
            for answer in answers {
                let (stream, _) = self.listener.accept().await.expect("a client");
                self.serve(stream, *answer).await;
            }
            std::future::pending::<T>().await
        };
        tokio::select! {
            result = client => result,
            never = serving => never,
        }
    }

    /// What was asked: head and body of each request.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panicked").clone()
    }

    async fn serve(&self, mut stream: TcpStream, (status, headers, body): (u16, &str, &str)) {
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while !whole(&request) {
            match stream.read(&mut piece).await.expect("a request") {
                0 => break,
                read => request.extend_from_slice(&piece[..read]),
            }
        }
        self.asked.lock().expect("nobody panicked").push(String::from_utf8_lossy(&request).into_owned());
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} Played\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        // A client that has seen enough is its own affair.
        stream.write_all(answer.as_bytes()).await.ok();
        stream.shutdown().await.ok();
    }
}

fn whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        line.to_lowercase().strip_prefix("content-length:").and_then(|value| value.trim().parse().ok())
    });
    body.len() >= length.unwrap_or(0)
}

/// Keys as AWS prints them in its documentation.
pub(super) fn credentials() -> SharedCredentialsProvider {
    let given = Credentials::builder()
        .access_key_id("AKIAIOSFODNN7EXAMPLE")
        .secret_access_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
        .session_token("session")
        .provider_name("test");
    SharedCredentialsProvider::new(given.build())
}

/// What a flow was told of repetitions: why, and which attempt had failed.
pub(super) type Repeated = Arc<Mutex<Vec<(FaultKind, u32)>>>;

/// A flow, and what it was told.
pub(super) fn flow() -> (Flow, Repeated) {
    let told = Repeated::default();
    let heard = Arc::clone(&told);
    let flow = Flow::new(Cancel::default()).reporting(move |notice| {
        if let Notice::Retrying { fault, attempt, .. } = notice {
            heard.lock().expect("nobody panicked").push((fault.kind, attempt));
        }
    });
    (flow, told)
}
