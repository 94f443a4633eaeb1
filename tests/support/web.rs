use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// A web server on this machine that answers with the files it was given, and keeps what it was asked.
pub struct Web {
    address: String,
    pages: Arc<Mutex<Pages>>,
    over: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Pages {
    files: BTreeMap<String, (String, Vec<u8>)>,
    asked: Vec<String>,
    /// So many answers are a 503.
    refusals: usize,
}

impl Web {
    /// An empty one.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (pages, over) = (Arc::new(Mutex::new(Pages::default())), Arc::new(AtomicBool::new(false)));
        let serving = std::thread::spawn({
            let (pages, over) = (Arc::clone(&pages), Arc::clone(&over));
            move || {
                for stream in listener.incoming() {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    // A client that breaks off is its own affair.
                    stream.and_then(|stream| answer(&stream, &pages)).ok();
                }
            }
        });
        Self { address, pages, over, serving: Some(serving) }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `http://127.0.0.1:PORT/PATH`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Answers with `content` at `/PATH` from now on.
    pub fn put(&self, path: &str, content_type: &str, content: &[u8]) {
        let page = (content_type.to_string(), content.to_vec());
        self.pages().files.insert(format!("/{path}"), page);
    }

    /// Answers the next `count` requests with a 503.
    pub fn refuse(&self, count: usize) {
        self.pages().refusals = count;
    }

    /// What was asked since the last call: `GET /index.yaml`.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.pages().asked)
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // The listener waits for somebody: that is this.
        TcpStream::connect(&self.address).ok();
        if let Some(thread) = self.serving.take() {
            thread.join().expect("it only answers");
        }
    }
}

fn answer(stream: &TcpStream, pages: &Mutex<Pages>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let (status, content_type, content) = {
        let mut pages = pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.asked.push(format!("{method} {target}"));
        if pages.refusals > 0 {
            pages.refusals -= 1;
            ("503 Service Unavailable", String::new(), Vec::new())
        } else {
            match pages.files.get(path) {
                Some((content_type, content)) => ("200 OK", content_type.clone(), content.clone()),
                None => ("404 Not Found", String::new(), Vec::new()),
            }
        }
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    )?;
    if method != "HEAD" {
        stream.write_all(&content)?;
    }
    stream.shutdown(Shutdown::Write)
}
