//! A proxy before an API server, which counts, delays, refuses, resets, hangs and kills.

mod log;
mod rules;
mod target;

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use log::{Log, Request};
pub use rules::{Action, Matching, Rule, Turn};
use target::{Caller, Target};

type Error = Box<dyn std::error::Error + Send + Sync>;
type Answer = http::Response<BoxBody<Bytes, Error>>;

/// The headers by which a front proxy says who asks; never taken from a client.
const REMOTE: [&str; 3] = ["x-remote-user", "x-remote-group", "x-remote-uid"];

/// A TLS-terminating proxy on a loopback port of this process.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    listening: JoinHandle<()>,
}

struct State {
    began: Instant,
    target: Mutex<Option<Arc<Target>>>,
    log: Mutex<Book>,
    rules: Mutex<Vec<Rule>>,
    round_trip: Mutex<Duration>,
    /// The process that signals go to.
    victim: watch::Sender<Option<u32>>,
    /// Whether the victim was killed, so that nothing of it is passed on any more.
    dead: watch::Sender<bool>,
}

/// The requests since the last time the log was emptied.
#[derive(Default)]
struct Book {
    /// How many were forgotten.
    forgotten: usize,
    requests: Vec<Request>,
}

impl Book {
    /// Enters a request and says its number.
    fn enter(&mut self, request: Request) -> usize {
        self.requests.push(request);
        self.forgotten + self.requests.len() - 1
    }

    /// The request of that number, unless it was forgotten since.
    fn find(&mut self, number: usize) -> Option<&mut Request> {
        self.requests.get_mut(number.checked_sub(self.forgotten)?)
    }
}

impl Proxy {
    /// A proxy that has nothing behind it yet and drops every connection until [`Self::attach`].
    pub fn unattached() -> Self {
        let state = Arc::new(State {
            began: Instant::now(),
            target: Mutex::default(),
            log: Mutex::default(),
            rules: Mutex::default(),
            round_trip: Mutex::default(),
            victim: watch::Sender::new(None),
            dead: watch::Sender::new(false),
        });
        let runtime = super::runtime();
        let listener =
            runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a loopback port can be had");
        let address = listener.local_addr().expect("it is bound");
        let listening = runtime.spawn(listen(listener, state.clone()));
        Self { address, state, listening }
    }

    /// A proxy before the kwokctl cluster in `folder`.
    pub fn of_cluster(folder: &Path) -> Self {
        let proxy = Self::unattached();
        proxy.attach(folder).expect("the cluster stands");
        proxy
    }

    /// Puts the kwokctl cluster in `folder` behind it.
    pub fn attach(&self, folder: &Path) -> Result<(), String> {
        let target = Target::of_cluster(folder)?;
        *locked(&self.state.target) = Some(Arc::new(target));
        Ok(())
    }

    /// What to put into a kubeconfig as `server`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Replaces the rules, their counts begin anew, and clients are served again after a kill.
    pub fn obey(&self, rules: Vec<Rule>) {
        *locked(&self.state.rules) = rules;
        self.state.victim.send_replace(None);
        self.state.dead.send_replace(false);
    }

    /// Names the process that signals go to. A rule that signals waits until it is named.
    pub fn aim_at(&self, pid: u32) {
        self.state.victim.send_replace(Some(pid));
    }

    /// How often each rule acted.
    pub fn fired(&self) -> Vec<usize> {
        locked(&self.state.rules).iter().map(Rule::fired).collect()
    }

    /// Makes every request take this much longer.
    pub fn round_trip(&self, delay: Duration) {
        *locked(&self.state.round_trip) = delay;
    }

    /// What was seen since the last [`Self::forget`].
    pub fn log(&self) -> Log {
        Log(locked(&self.state.log).requests.clone())
    }

    /// Empties the log.
    pub fn forget(&self) {
        let mut book = locked(&self.state.log);
        book.forgotten += book.requests.len();
        book.requests.clear();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(listener: TcpListener, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let Some(target) = locked(&state.target).clone() else { continue };
                connections.spawn(serve(stream, target, state.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection. An error of it is the client's to see, as with any server.
async fn serve(stream: TcpStream, target: Arc<Target>, state: Arc<State>) {
    let Ok(stream) = target.acceptor.accept(stream).await else { return };
    let certificates = stream.get_ref().1.peer_certificates();
    let Ok(caller) = certificates.and_then(<[_]>::first).map(Caller::of).transpose() else { return };
    let service = service_fn(|request| answer(request, &target, caller.as_ref(), &state));
    let mut connection = std::pin::pin!(
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        biased;
        () = killed(&state) => {}
        // Both an end and an error of the connection end it here.
        _ended = connection.as_mut() => {}
    }
}

async fn killed(state: &State) {
    let mut dead = state.dead.subscribe();
    // The sender lives in the state: this ends only when a rule has killed the client.
    while !*dead.borrow_and_update() {
        if dead.changed().await.is_err() {
            return;
        }
    }
}

async fn answer(
    request: http::Request<Incoming>,
    target: &Target,
    caller: Option<&Caller>,
    state: &Arc<State>,
) -> Result<Answer, Error> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut seen = Request::read(&head.method, &head.uri, &body);
    seen.at = state.began.elapsed();
    seen.user = caller.map(|caller| caller.user.clone()).unwrap_or_default();
    let action = locked(&state.rules).iter_mut().find_map(|rule| rule.judge(&seen));
    let number = locked(&state.log).enter(seen);
    let round_trip = *locked(&state.round_trip);
    if !round_trip.is_zero() {
        tokio::time::sleep(round_trip).await;
    }
    match &action {
        Some(Action::Refuse(status, retry_after)) => {
            note(state, number, |seen| seen.status = *status);
            return Ok(refusal(*status, *retry_after));
        }
        Some(Action::Say(json)) => {
            note(state, number, |seen| seen.status = 200);
            return Ok(json_answer(json.to_string()));
        }
        Some(Action::ResetBefore) => return Err("reset by a rule".into()),
        Some(Action::Hang) => std::future::pending().await,
        Some(Action::SignalBefore(signal)) => strike(state, *signal).await?,
        _ => {}
    }

    head.uri = format!("{}{}", target.server, head.uri.path_and_query().map_or("/", |path| path.as_str()))
        .parse()?;
    head.version = http::Version::HTTP_11;
    head.headers.remove(HOST);
    for name in REMOTE {
        head.headers.remove(name);
    }
    // A bearer token is passed on; beside a certificate the API server would not look at it.
    let pool = caller.map_or(&target.as_nobody, |_| &target.as_admin);
    if let Some(caller) = caller {
        head.headers.insert(HeaderName::from_static(REMOTE[0]), HeaderValue::from_str(&caller.user)?);
        for group in &caller.groups {
            head.headers.append(HeaderName::from_static(REMOTE[1]), HeaderValue::from_str(group)?);
        }
    }
    let response = pool.request(http::Request::from_parts(head, Full::new(body))).await?;
    let (head, body) = response.into_parts();
    match action {
        Some(Action::ResetAfter) => {
            body.collect().await?;
            return Err("reset by a rule".into());
        }
        Some(Action::SignalAfter(signal)) => {
            let body = body.collect().await?.to_bytes();
            strike(state, signal).await?;
            note(state, number, |seen| seen.status = head.status.as_u16());
            return Ok(http::Response::from_parts(head, whole(body)));
        }
        _ => {}
    }
    note(state, number, |seen| seen.status = head.status.as_u16());
    Ok(http::Response::from_parts(head, Counted { body, state: state.clone(), number }.boxed()))
}

/// Sends `signal` to the victim; after SIGKILL the client is served no more.
async fn strike(state: &State, signal: Signal) -> Result<(), Error> {
    let mut victim = state.victim.subscribe();
    let pid = tokio::time::timeout(super::PATIENCE, victim.wait_for(Option::is_some)).await??;
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw).ok_or("no such process")?;
    kill_process(pid, signal)?;
    if signal == Signal::KILL {
        state.dead.send_replace(true);
        return Err("the client was killed by a rule".into());
    }
    Ok(())
}

fn note(state: &State, number: usize, change: impl FnOnce(&mut Request)) {
    if let Some(seen) = locked(&state.log).find(number) {
        change(seen);
    }
}

fn whole(body: Bytes) -> BoxBody<Bytes, Error> {
    Full::new(body).map_err(|never| match never {}).boxed()
}

fn json_answer(text: String) -> Answer {
    let mut response = http::Response::new(whole(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A refusal as the API server words it.
fn refusal(status: u16, retry_after: Option<u64>) -> Answer {
    let reason = if status == 429 { "TooManyRequests" } else { "ServiceUnavailable" };
    let text = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the proxy of the test refuses this request", "reason": reason,
        "details": {"retryAfterSeconds": retry_after.unwrap_or(0)}, "code": status,
    });
    let mut response = json_answer(text.to_string());
    *response.status_mut() = StatusCode::from_u16(status).expect("a test names a real status");
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A body that is passed on as it comes, frame by frame, and counted.
struct Counted {
    body: Incoming,
    state: Arc<State>,
    number: usize,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            let length = u64::try_from(data.len()).expect("a frame fits");
            note(&self.state, self.number, |seen| seen.down += length);
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(Error::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
