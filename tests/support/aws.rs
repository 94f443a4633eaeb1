use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// The stand-in for AWS of `scripts/aws-fake`, on a port of its own, until it is dropped.
pub struct FakeAws {
    child: Child,
    address: String,
    home: tempfile::TempDir,
}

/// Who calls it, as `tests/fakes/aws/identity.py` knows them.
const ADMIN: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIAADMIN00000000001"),
    ("AWS_SECRET_ACCESS_KEY", "admin-secret-key-of-the-stand-in-000001"),
];

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/aws-fake")
}

impl FakeAws {
    /// One whose durations are those of AWS divided by `speed`.
    pub fn start(speed: u32) -> Self {
        let mut child = Command::new(script())
            .args(["--port", "0", "--speed", &speed.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/aws-fake starts");
        let mut first = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut first)
            .expect("it says where it is");
        let said: Value = serde_json::from_str(&first).expect("its first line is JSON");
        let address = said["url"].as_str().expect("a url").trim_start_matches("http://").to_string();
        Self { child, address, home: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Where it is: what `AWS_ENDPOINT_URL` names.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The environment of a client of it, an administrator: nothing of this machine's own settings is left.
    pub fn environment(&self) -> Vec<(String, String)> {
        let home = self.home.path().display().to_string();
        let mut pairs: Vec<(String, String)> =
            ADMIN.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect();
        pairs.extend([
            ("AWS_ENDPOINT_URL".to_string(), format!("http://{}", self.address)),
            ("AWS_EC2_METADATA_DISABLED".to_string(), "true".to_string()),
            ("AWS_CONFIG_FILE".to_string(), format!("{home}/config")),
            ("AWS_SHARED_CREDENTIALS_FILE".to_string(), format!("{home}/credentials")),
        ]);
        pairs
    }

    /// The answer of awscli, which has to succeed.
    pub fn cli(&self, region: &str, arguments: &[&str]) -> Value {
        let finished = Command::new(script())
            .args(["--run", "aws", "--region", region, "--output", "json"])
            .args(arguments)
            .envs(self.environment())
            .output()
            .expect("awscli starts");
        let said = String::from_utf8_lossy(&finished.stderr);
        assert!(finished.status.success(), "aws {arguments:?}: {said}");
        serde_json::from_slice(&finished.stdout).unwrap_or(Value::Null)
    }

    /// Asks one of its levers.
    pub fn get(&self, lever: &str) -> Value {
        serde_json::from_str(&self.ask("GET", lever, "")).expect("JSON")
    }

    /// Moves one of its levers.
    pub fn post(&self, lever: &str, body: &Value) -> Value {
        serde_json::from_str(&self.ask("POST", lever, &body.to_string())).expect("JSON")
    }

    /// The calls that it got since the entry `since` of its log, and the number of the last entry.
    pub fn calls(&self, since: u64) -> (Vec<Value>, u64) {
        let log = self.log(since);
        let last = log.iter().filter_map(|line| line["seq"].as_u64()).max().unwrap_or(since);
        (log.into_iter().filter(|line| line["kind"] == "call").collect(), last)
    }

    /// What changed its state since the entry `since` of its log, as in `nodegroup/dev/general ACTIVE`; without a
    /// state it was gone.
    pub fn states(&self, since: u64) -> Vec<String> {
        let log = self.log(since).into_iter().filter(|line| line["kind"] == "state");
        let told = |line: Value| {
            let to = line["to"].as_str().unwrap_or_default();
            format!("{} {to}", line["resource"].as_str().unwrap_or_default()).trim_end().to_string()
        };
        log.map(told).collect()
    }

    fn log(&self, since: u64) -> Vec<Value> {
        let text = self.ask("GET", &format!("log?since={since}"), "");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// What breaks the service models of AWS.
    pub fn violations(&self) -> Value {
        self.get("violations")
    }

    /// What exists there.
    pub fn inventory(&self) -> Vec<Value> {
        match self.get("inventory")["all"].take() {
            Value::Array(things) => things,
            other => panic!("no inventory: {other}"),
        }
    }

    /// Lets it be like this: keys of `tests/fakes/aws/scenario.py`.
    pub fn scenario(&self, values: &Value) {
        self.post("scenario", values);
    }

    /// Lets the resource `logical` of stacks fail `times` times in operations `on`, with `reason`.
    pub fn stuck(&self, logical: &str, on: &str, reason: &str, times: u32) {
        let stuck = json!([{"logicalId": logical, "on": on, "reason": reason, "times": times}]);
        self.scenario(&json!({"stuckResources": stuck}));
    }

    fn ask(&self, method: &str, lever: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_mins(5))).expect("a time");
        let request = format!(
            "{method} /_fake/{lever} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{method} {lever}: {answer}");
        body.to_string()
    }
}

impl Drop for FakeAws {
    fn drop(&mut self) {
        // The script has become the program: what stands behind it goes by its own signal.
        Command::new("kill").arg(self.child.id().to_string()).status().ok();
        self.child.wait().ok();
    }
}
