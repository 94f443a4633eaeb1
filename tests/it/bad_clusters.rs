//! Clusters that cannot be used: each says at once what was attempted, on what, why, and what to
//! type next, with the exit code for it, and nothing is changed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::date_time_ymd;
use tokio_rustls::rustls::{ServerConnection, StreamOwned};

use super::support::{
    Action, Berth, ControlPlane, Environment, Finished, Matching, Rule, Turn, eventually, server_on_loopback,
};

/// The environment `shop` on a cluster that is told by a kubeconfig with the context `there`.
struct Shop {
    berth: Berth,
}

impl Shop {
    /// `cluster` and `user` are what a kubeconfig says of them.
    fn new(cluster: &str, user: &str) -> Self {
        let shop = Self { berth: Berth::new() };
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: there,\n\
             clusters: [{{name: there, cluster: {{{cluster}}}}}],\nusers: [{{name: me, user: {{{user}}}}}],\n\
             contexts: [{{name: there, context: {{cluster: there, user: me}}}}]}}\n"
        );
        std::fs::write(shop.kubeconfig(), text).expect("the folder is ours");
        shop.declare("there");
        shop
    }

    fn kubeconfig(&self) -> PathBuf {
        self.berth.work().join("kubeconfig")
    }

    fn declare(&self, context: &str) {
        let text = format!(
            "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: shop\nid: 7f3k2q9d\n\
             cluster:\n  existing: {{kubeconfig: {}, context: {context}}}\n\
             tenants:\n  - name: one\n    namespaces: [shop-one]\n",
            self.kubeconfig().display()
        );
        self.berth.profile("shop", &text);
    }

    /// What each command says that needs the cluster; all end with `code`, soon.
    fn refused(&self, code: i32, expected: &str) {
        for command in ["up", "plan", "status", "down"] {
            let yes: &[&str] = if matches!(command, "up" | "down") { &["--yes"] } else { &[] };
            let ended = self.berth.run(&[&[command, "shop"], yes].concat()).expect(code);
            assert_eq!(self.error_of(&ended), expected, "berth {command}: {}", ended.said());
            assert!(ended.took < Duration::from_mins(2), "berth {command} took {:?}", ended.took);
        }
    }

    /// The error without what differs from machine to machine: each part in one line.
    fn error_of(&self, ended: &Finished) -> String {
        let from = ended.stderr.find("error: ").unwrap_or_else(|| panic!("no error: {}", ended.said()));
        let kubeconfig = self.kubeconfig().display().to_string();
        let mut lines: Vec<String> = Vec::new();
        for line in ended.stderr[from..].lines().take_while(|line| !line.is_empty()) {
            match lines.last_mut() {
                Some(last) if line.starts_with("        ") => *last = format!("{last} {}", line.trim()),
                _ => lines.push(line.to_string()),
            }
        }
        lines.join("\n").replace(&kubeconfig, "KUBECONFIG")
    }
}

/// A server on a port of its own that does `answer` with every connection.
fn serve(answer: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream);
        }
    });
    port
}

/// Answers every request on `stream` with `body`.
fn answer(stream: &mut (impl Read + Write), body: &str) {
    let mut asked = Vec::new();
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1)) {
        asked.push(byte[0]);
        if asked.ends_with(b"\r\n\r\n") {
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n");
            // A client that has gone away is no concern of ours.
            stream.write_all(format!("{head}\r\n{body}").as_bytes()).ok();
            asked.clear();
        }
    }
}

/// A TLS server whose certificate is valid in these years only; what a kubeconfig says of it.
fn valid_between(from: i32, until: i32) -> String {
    let (config, authority) = server_on_loopback(|server| {
        server.not_before = date_time_ymd(from, 1, 1);
        server.not_after = date_time_ymd(until, 1, 1);
    });
    let port = serve(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).expect("a sound configuration");
        answer(&mut StreamOwned::new(connection, stream), "{}");
    });
    let authority = base64_of(authority.as_bytes());
    format!("server: \"https://127.0.0.1:{port}\", certificate-authority-data: {authority}")
}

fn base64_of(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number =
            chunk.iter().chain([&0; 2]).take(3).fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        for place in 0..4 {
            let letter = LETTERS[number >> (18 - 6 * place) & 63];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// What a kubeconfig says of the shared control plane.
fn real_cluster() -> String {
    let plane = ControlPlane::shared();
    let text = std::fs::read_to_string(plane.kubeconfig()).expect("kwokctl wrote it");
    let server =
        text.lines().find_map(|line| line.trim().strip_prefix("server: ")).expect("it names a server");
    let authority = plane.cluster_folder().join("pki/ca.crt");
    format!("server: \"{}\", certificate-authority: {}", server.trim_matches('"'), authority.display())
}

#[test]
fn a_server_that_is_not_there_is_given_up_soon() {
    // Nobody listens on the first port, and a port that was just let go of may be somebody else's by now.
    Shop::new("server: \"https://127.0.0.1:1\"", "token: abc").refused(
        1,
        "error: cannot ask the cluster of context `there` in `KUBECONFIG` for its version\n  \
         on    cluster existing/shop\n  \
         why   no answer: Connection refused (os error 111)\n  \
         next  check that the cluster runs and that this machine reaches it",
    );
}

#[test]
fn a_server_that_says_nothing_is_given_up_soon() {
    let held = std::sync::Mutex::new(Vec::new());
    let port = serve(move |stream| held.lock().expect("one thread").push(stream));
    Shop::new(&format!("server: \"https://127.0.0.1:{port}\""), "token: abc").refused(
        1,
        "error: cannot ask the cluster of context `there` in `KUBECONFIG` for its version\n  \
         on    cluster existing/shop\n  \
         why   no answer within 8 s\n  \
         next  check that the cluster runs and that this machine reaches it",
    );
}

#[test]
fn a_token_that_is_refused_is_a_matter_of_credentials() {
    Shop::new(&real_cluster(), "token: expired").refused(
        4,
        "error: cannot ask the cluster of context `there` in `KUBECONFIG` for its version\n  \
         on    cluster existing/shop\n  \
         why   Unauthorized\n  \
         next  the credentials are missing, expired or of another cluster: sign in again, and check this \
         machine's clock",
    );
}

#[test]
fn a_user_without_rights_learns_which_right_is_missing() {
    let plane = ControlPlane::shared();
    // A control plane that has just begun has no accounts yet.
    let token = eventually("a token", || {
        let made = plane.kubectl(&["-n", "default", "create", "token", "default"]);
        (made.code == Some(0)).then_some(made.stdout)
    });
    let shop = Shop::new(&real_cluster(), &format!("token: {}", token.trim()));
    let refused = shop.berth.run(&["up", "shop", "--yes"]).expect(4);
    let error = shop.error_of(&refused);
    for words in [
        "error: cannot read ",
        "\n  on    ",
        "User \"system:serviceaccount:default:default\" cannot ",
        "\n  next  use credentials that may do this; `kubectl auth can-i --list` shows what these may",
    ] {
        assert!(error.contains(words), "it does not say `{words}`: {}", refused.said());
    }
    shop.berth.run(&["down", "shop", "--yes"]).expect(4);
}

#[test]
fn a_cluster_too_old_is_refused_before_anything_is_made() {
    let version = r#"{"major":"1","minor":"30","gitVersion":"v1.30.2"}"#;
    let port = serve(move |mut stream| {
        // Each connection on its own: a client may keep one open beside another.
        std::thread::spawn(move || answer(&mut stream, version));
    });
    let shop = Shop::new(&format!("server: \"http://127.0.0.1:{port}\""), "token: abc");
    let refused = shop.berth.run(&["up", "shop", "--yes"]).expect(1);
    assert_eq!(
        shop.error_of(&refused),
        "error: cannot bring up cluster/existing/shop\n  on    cluster existing/shop\n  \
         why   it runs Kubernetes v1.30.2, and berth needs 1.33 or newer: upgrade it first"
    );
    assert!(refused.stderr.contains("stands       nothing\n"), "{}", refused.said());
}

/// The environment of the shared control plane, whose cluster says of itself that it runs 1.33 if `is_old`,
/// with `version` beside its context and `addons`.
fn somebody_elses(name: &str, is_old: bool, version: &str, addons: &str) -> Environment {
    let environment = Environment::new(name);
    if is_old {
        let asked = Matching { resource: Some("/version"), ..Matching::verb("get") };
        let said = r#"{"major":"1","minor":"33","gitVersion":"v1.33.4"}"#;
        environment.proxy.obey(vec![Rule::new(asked, Turn::Always, Action::Say(said))]);
    }
    declare(&environment, version, addons);
    environment
}

fn declare(environment: &Environment, version: &str, addons: &str) {
    let kubeconfig = environment.plane.kubeconfig_through(&environment.proxy, &environment.berth.work());
    let text = format!(
        "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: {}\nid: {}\n\
         cluster:\n  existing: {{kubeconfig: {}, context: {}{version}}}\naddons: {{{addons}}}\n",
        environment.name,
        environment.id,
        kubeconfig.display(),
        environment.plane.context()
    );
    environment.berth.profile(&environment.name, &text);
}

#[test]
fn the_version_that_the_cluster_says_chooses_those_of_the_addons() {
    let shop = somebody_elses("asked", true, "", "metrics-server: {}");
    let listed = shop.berth.run(&["addon", "list", "asked"]).expect(0);
    assert!(listed.stdout.contains("0.8.1") && !listed.stdout.contains("0.9.0"), "{}", listed.said());

    declare(&shop, "", "metrics-server: {version: 0.8.1}");
    shop.run("plan", &[]).expect(0);
    declare(&shop, "", "metrics-server: {version: 0.9.0}");
    let refused = shop.run("plan", &[]).expect(3);
    assert!(refused.stderr.contains("for Kubernetes 1.33 there are: 0.8.1"), "{}", refused.said());

    // The same profile where the cluster is the newer one.
    shop.proxy.obey(Vec::new());
    shop.run("plan", &[]).expect(0);
    let listed = shop.berth.run(&["addon", "list", "asked"]).expect(0);
    assert!(listed.stdout.contains("0.9.0"), "{}", listed.said());
    assert!(shop.proxy.log().writes().is_empty());
}

#[test]
fn what_does_not_reach_the_cluster_says_which_version_it_took() {
    let shop = somebody_elses("assumed", true, "", "metrics-server: {version: 0.8.1}");
    let said = "existing, taken for Kubernetes 1.36: say `version` to be exact";
    let out = shop.berth.work().join("rendered").display().to_string();
    let validated = shop.run("validate", &[]).expect(0);
    let rendered = shop.run("render", &["--out", &out]).expect(0);
    for ended in [&validated, &rendered] {
        assert!(ended.stderr.contains(said), "{}", ended.said());
    }
    declare(&shop, ", version: \"1.33\"", "metrics-server: {version: 0.8.1}");
    let validated = shop.run("validate", &[]).expect(0);
    assert!(!validated.stderr.contains("taken for"), "{}", validated.said());
    assert!(validated.stdout.contains("existing with Kubernetes 1.33"), "{}", validated.said());
    shop.down().expect(0);
    let asked = shop.proxy.log().0.iter().filter(|request| request.uri == "/version").count();
    assert_eq!(asked, 1, "`down` alone looks at the cluster");
}

#[test]
fn a_cluster_of_another_version_than_the_profile_says_is_refused() {
    let shop = somebody_elses("mistaken", true, ", version: \"1.36\"", "");
    let refused = shop.run("up", &["--yes"]).expect(1);
    for words in [
        "it runs Kubernetes v1.33.4, and the profile says 1.36: write",
        "`version: \"1.33\"`",
        "stands       nothing\n",
    ] {
        let said = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&words), "it does not say `{words}`: {}", refused.said());
    }
    assert!(shop.proxy.log().writes().is_empty());
    // What was made before the cluster changed can still be taken away.
    shop.down().expect(0);
    declare(&shop, "", "");
    shop.down().expect(0);
}

#[test]
fn a_certificate_that_is_not_valid_yet_points_at_the_clock() {
    certificate_is_refused(&valid_between(2090, 2091), "not valid yet");
}

#[test]
fn a_certificate_that_has_expired_points_at_the_clock() {
    certificate_is_refused(&valid_between(2001, 2002), "expired");
}

fn certificate_is_refused(cluster: &str, why: &str) {
    let shop = Shop::new(cluster, "token: abc");
    let refused = shop.berth.run(&["up", "shop", "--yes"]).expect(4);
    let error = shop.error_of(&refused);
    for words in [
        "error: cannot ask the cluster of context `there` in `KUBECONFIG` for its version\n  on    cluster existing/shop",
        why,
        "\n  next  check this machine's clock, then the certificate of the cluster",
    ] {
        assert!(error.contains(words), "it does not say `{words}`: {}", refused.said());
    }
}

#[test]
fn a_server_of_another_authority_is_not_trusted() {
    let other = valid_between(2001, 2090);
    let authority = other.split("certificate-authority-data: ").nth(1).expect("it names one").to_string();
    let real = real_cluster();
    let server = real.split(',').next().expect("the server comes first");
    Shop::new(&format!("{server}, certificate-authority-data: {authority}"), "token: abc").refused(
        1,
        "error: cannot ask the cluster of context `there` in `KUBECONFIG` for its version\n  \
         on    cluster existing/shop\n  \
         why   invalid peer certificate: UnknownIssuer\n  \
         next  the kubeconfig's authority did not sign this server's certificate: is it the right cluster?",
    );
}

#[test]
fn a_context_that_is_not_there_is_told_with_where_to_look() {
    let shop = Shop::new("server: \"https://127.0.0.1:1\"", "token: abc");
    shop.declare("elsewhere");
    shop.refused(
        1,
        "error: cannot connect to the cluster of context `elsewhere` in `KUBECONFIG`\n  \
         on    cluster existing/shop\n  \
         why   failed to load current context: elsewhere\n  \
         next  see the contexts with `kubectl config get-contexts --kubeconfig KUBECONFIG`",
    );
}

#[test]
fn a_kubeconfig_that_is_cut_off_is_named() {
    let shop = Shop::new("server: \"https://127.0.0.1:1\"", "token: abc");
    std::fs::write(shop.kubeconfig(), "apiVersion: v1\nclusters: [{name: c, cluster: {server").expect("ours");
    let refused = shop.berth.run(&["up", "shop", "--yes"]).expect(1);
    let error = shop.error_of(&refused);
    for words in ["failed to parse kubeconfig YAML", "next  look at `KUBECONFIG`"] {
        assert!(error.contains(words), "it does not say `{words}`: {}", refused.said());
    }
}
