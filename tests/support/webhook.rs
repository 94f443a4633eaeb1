use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::tls::server_on_loopback;

/// What a webhook says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// It hangs up without a word.
    Silent,
    /// It allows everything.
    Allows,
    /// It refuses everything with this message.
    Refuses(&'static str),
}

/// An admission webhook on loopback, with a certificate of its own authority. It lives as long as
/// the test process.
pub struct Webhook {
    port: u16,
    authority: String,
    mood: Arc<Mutex<Mood>>,
}

impl Webhook {
    /// One that listens, in this mood.
    pub fn new(mood: Mood) -> Self {
        let (config, authority) = server_on_loopback(|_| ());
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let port = listener.local_addr().expect("it is bound").port();
        let webhook = Self { port, authority, mood: Arc::new(Mutex::new(mood)) };
        let mood = Arc::clone(&webhook.mood);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (mood, config) = (Arc::clone(&mood), Arc::clone(&config));
                std::thread::spawn(move || serve(stream, config, &mood));
            }
        });
        webhook
    }

    /// From now on it is in this mood.
    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/validate", self.port)
    }

    /// The certificate of its authority, as a webhook configuration has it.
    pub fn authority(&self) -> String {
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &self.authority)
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>, mood: &Mutex<Mood>) {
    let Ok(connection) = ServerConnection::new(config) else { return };
    let mut stream = StreamOwned::new(connection, stream);
    // A client that goes away ends it.
    while let Some(review) = read_review(&mut stream) {
        let response = match &*mood.lock().unwrap_or_else(PoisonError::into_inner) {
            Mood::Silent => return,
            Mood::Allows => json!({"allowed": true}),
            Mood::Refuses(why) => json!({"allowed": false, "status": {"message": why}}),
        };
        let mut answer = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"});
        answer["response"] = response;
        answer["response"]["uid"] = review["request"]["uid"].clone();
        let body = answer.to_string();
        let length = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn read_review(stream: &mut impl Read) -> Option<Value> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
