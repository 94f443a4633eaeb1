//! The logins of private registries: from where docker keeps them into the namespaces of tenants, and
//! nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::laws::platform_writes;
use super::support::{Environment, Finished, Tenant, run};

const FIRST: &str = "hush-first-word";
const SECOND: &str = "hush-second-word";
const IN_FILE: &str = "hush-filed-word";

/// An environment whose tenants pull with the login for `ghcr.io` that a helper keeps, and that for
/// `registry.example.com:5000` that stands in the configuration of docker.
struct Pulled {
    environment: Environment,
    said: std::cell::RefCell<String>,
}

impl Pulled {
    fn new(name: &str) -> Self {
        let environment = Environment::new(name);
        let pulled = Self { environment, said: std::cell::RefCell::default() };
        let auth = BASE64.encode(format!("ann:{IN_FILE}"));
        let config = format!(
            "{{\"auths\": {{\"registry.example.com:5000\": {{\"auth\": \"{auth}\"}}}},\n \"credHelpers\": \
             {{\"ghcr.io\": \"keyring\"}}}}"
        );
        let docker = pulled.environment.berth.home().join(".docker");
        fs::create_dir_all(docker.join("bin")).expect("the home is ours");
        fs::write(docker.join("config.json"), config).expect("the home is ours");
        pulled.keep(Some(FIRST));
        pulled.declare("[ghcr.io, \"registry.example.com:5000\"]", &["one", "two"]);
        pulled
    }

    /// Lets the helper have this password.
    fn keep(&self, password: Option<&str>) {
        let answer = match password {
            Some(password) => format!(
                "read -r host; printf '{{\"ServerURL\":\"%s\",\"Username\":\"ann\",\"Secret\":\"{password}\"}}' \"$host\""
            ),
            None => "echo credentials not found in native keychain; exit 1".to_string(),
        };
        let path = self.environment.berth.home().join(".docker/bin/docker-credential-keyring");
        let text = format!("#!/bin/sh\n[ \"$*\" = get ] || exit 9\n{answer}\n");
        fs::write(&path, text).expect("the home is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }

    fn declare(&self, hosts: &str, tenants: &[&'static str]) {
        let tenants: Vec<Tenant> = tenants.iter().map(|name| Tenant::new(name)).collect();
        self.environment.declare(&tenants);
        let path = self.profile();
        let text = fs::read_to_string(&path).expect("just written");
        fs::write(&path, format!("{text}registry: {{pullSecrets: {hosts}}}\n")).expect("ours");
    }

    fn profile(&self) -> PathBuf {
        self.environment.berth.work().join(format!("profiles/{}.yaml", self.environment.name))
    }

    /// `berth COMMAND NAME …`, with the helper on PATH.
    fn run(&self, command: &str, more: &[&str]) -> Finished {
        let mut command =
            self.environment.berth.command(&[&[command, &self.environment.name], more].concat());
        let path = command.get_envs().find(|(key, _)| *key == "PATH").and_then(|(_, value)| value);
        let path = path.expect("it has a PATH").to_string_lossy().into_owned();
        let bin = self.environment.berth.home().join(".docker/bin");
        command.env("PATH", format!("{}:{path}", bin.display()));
        let finished = run(command);
        self.said.borrow_mut().push_str(&finished.said());
        finished
    }

    fn up(&self) -> Finished {
        self.environment.proxy.forget();
        self.run("up", &["--yes"])
    }

    /// What berth changed in the last run, other than its records.
    fn writes(&self) -> Vec<String> {
        let mut writes = platform_writes(&self.environment);
        writes.sort();
        writes
    }

    /// The configuration of docker that the pods of a tenant pull with.
    fn kept(&self, tenant: &str) -> String {
        let namespace = self.environment.namespace(tenant);
        let data = self.environment.field(&namespace, "secret/berth-pull", ".data.\\.dockerconfigjson");
        String::from_utf8(BASE64.decode(data).expect("base64")).expect("text")
    }

    fn pulls_with(&self, tenant: &str) -> String {
        let namespace = self.environment.namespace(tenant);
        self.environment.field(&namespace, "serviceaccount/default", ".imagePullSecrets[*].name")
    }

    /// Passes when no login stands in anything that berth said or wrote, plain or as it is sent.
    fn assert_told_nothing(&self) {
        let words = [FIRST, SECOND, IN_FILE];
        let logins = words.map(|word| BASE64.encode(format!("ann:{word}")));
        // A login within the base64 of the whole: without its ends, which depend on where it stands.
        let within = logins.clone().map(|login| {
            let inner = BASE64.encode(&login);
            inner[4..inner.len() - 4].to_string()
        });
        let needles: Vec<String> =
            words.iter().map(|word| (*word).to_string()).chain(logins).chain(within).collect();
        let home = self.environment.berth.home();
        let mut texts = vec![("what it said".to_string(), self.said.borrow().clone().into_bytes())];
        gather(&home, &home.join(".docker"), &mut texts);
        gather(&self.environment.berth.work(), &home, &mut texts);
        assert!(texts.len() > 2, "nothing was looked at");
        for (name, text) in &texts {
            let text = String::from_utf8_lossy(text);
            for needle in &needles {
                assert!(!text.contains(needle.as_str()), "`{needle}` stands in {name}");
            }
        }
    }
}

/// All files below `folder`, without `except`.
fn gather(folder: &Path, except: &Path, texts: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder of the test").map(|entry| entry.expect("listed")) {
        let path = entry.path();
        if path == except {
            continue;
        }
        if path.is_dir() {
            gather(&path, except, texts);
        } else {
            texts.push((path.display().to_string(), fs::read(&path).expect("a file of the test")));
        }
    }
}

#[test]
fn tenants_pull_with_the_logins_of_docker_and_nothing_else_ever_sees_them() {
    let pulled = Pulled::new("pull-logins");
    let environment = &pulled.environment;
    let saved = environment.berth.work().join("saved.plan");
    let planned = pulled.run("plan", &["-o", &saved.display().to_string()]).expect(0);
    assert!(planned.stdout.contains("berth-pull"), "{}", planned.said());
    pulled.up().expect(0);
    let login = |word: &str| BASE64.encode(format!("ann:{word}"));
    let expected = |word: &str| {
        format!(
            "{{\"auths\":{{\"ghcr.io\":{{\"auth\":\"{}\"}},\"registry.example.com:5000\":{{\"auth\":\"{}\"}}}}}}",
            login(word),
            login(IN_FILE)
        )
    };
    for tenant in ["one", "two"] {
        assert_eq!(pulled.kept(tenant), expected(FIRST));
        assert_eq!(pulled.pulls_with(tenant), "berth-pull");
    }
    let namespace = environment.namespace("one");
    assert_eq!(environment.field(&namespace, "secret/berth-pull", ".type"), "kubernetes.io/dockerconfigjson");
    pulled.up().expect(0);
    assert_eq!(pulled.writes(), [""; 0], "the second `up` wrote");

    // Another login is one update of each Secret, seen before and without its values.
    pulled.keep(Some(SECOND));
    let planned = pulled.run("plan", &[]).expect(0);
    assert!(planned.stdout.contains("(secret, changed)"), "{}", planned.said());
    environment.proxy.forget();
    pulled.run("up", &["--yes", "--output", "json", "-vvv"]).expect(0);
    let updates =
        ["one", "two"].map(|tenant| format!("patch secrets {} berth-pull", environment.namespace(tenant)));
    assert_eq!(pulled.writes(), updates);
    for tenant in ["one", "two"] {
        assert_eq!(pulled.kept(tenant), expected(SECOND));
    }
    pulled.assert_told_nothing();
    environment.down().expect(0);
    assert!(environment.inventory().titles().is_empty(), "{:?}", environment.inventory().titles());
}

#[test]
fn who_only_looks_needs_no_login_and_sees_a_secret_that_is_gone() {
    let pulled = Pulled::new("pull-status");
    pulled.up().expect(0);
    pulled.keep(None);
    let status = pulled.run("status", &["--output", "json"]).expect(0);
    assert!(!status.stdout.contains("to make"), "{}", status.said());
    let namespace = pulled.environment.namespace("one");
    pulled.environment.plane.kubectl(&["-n", &namespace, "delete", "secret", "berth-pull"]).expect(0);
    let status = pulled.run("status", &["--output", "json"]).expect(0);
    assert!(status.stdout.contains("1 change to make"), "{}", status.said());
    pulled.assert_told_nothing();
}

#[test]
fn a_registry_without_a_login_is_named_before_anything_changes() {
    let pulled = Pulled::new("pull-missing");
    pulled.keep(None);
    pulled.declare("[ghcr.io, \"registry.example.com:5000\", docker.io]", &["one"]);
    for command in ["plan", "up"] {
        pulled.environment.proxy.forget();
        let refused = pulled.run(command, &[]);
        assert_eq!(refused.code, Some(4), "{}", refused.said());
        for told in ["`docker login ghcr.io`", "`docker login docker.io`"] {
            assert!(refused.stderr.contains(told), "{}", refused.said());
        }
        assert!(!refused.stderr.contains("login registry.example.com"), "{}", refused.said());
        assert_eq!(pulled.environment.proxy.log().write_titles(), [""; 0]);
    }
    pulled.assert_told_nothing();
    // What needs no login is not held up.
    pulled.run("render", &["--out", "rendered"]).expect(0);
    pulled.run("plan", &["--only", "cluster"]).expect(0);
}

#[test]
fn a_rendering_leaves_the_logins_out_and_a_rehearsal_lists_them() {
    let pulled = Pulled::new("pull-render");
    let rendered = pulled.run("render", &["--out", "rendered"]).expect(0);
    assert!(rendered.stderr.contains("pull-render-one/berth-pull"), "{}", rendered.said());
    let mut files = Vec::new();
    let out = pulled.environment.berth.work().join("rendered");
    gather(&out, &out.join("RENDERED.json"), &mut files);
    let texts: Vec<String> =
        files.into_iter().map(|(_, text)| String::from_utf8_lossy(&text).into_owned()).collect();
    assert!(!texts.iter().any(|text| text.contains("kind: Secret")));
    assert!(texts.iter().any(|text| text.contains("imagePullSecrets")));
    pulled.keep(None);
    let planned = pulled.run("plan", &["--rehearse"]).expect(0);
    assert!(planned.stdout.contains("the logins for ghcr.io"), "{}", planned.said());
    assert!(!planned.stdout.contains("berth-pull"), "{}", planned.said());
    pulled.assert_told_nothing();
}

#[test]
fn logins_go_with_their_registries_and_with_their_tenant() {
    let pulled = Pulled::new("pull-leaving");
    pulled.up().expect(0);
    pulled.declare("[\"registry.example.com:5000\"]", &["one", "two"]);
    pulled.up().expect(0);
    assert!(!pulled.kept("one").contains("ghcr.io"), "{}", pulled.kept("one"));
    // A tenant that leaves keeps its namespace, and no login in it.
    pulled.declare("[\"registry.example.com:5000\"]", &["one"]);
    pulled.up().expect(0);
    let two = pulled.environment.namespace("two");
    assert_eq!(pulled.environment.field(&two, "secrets", ".items[*].metadata.name"), "");
    assert_eq!(pulled.environment.field(&two, "resourcequotas", ".items[*].metadata.name"), "berth-quota");
    pulled.declare("[]", &["one"]);
    let text = fs::read_to_string(pulled.profile()).expect("just written");
    fs::write(pulled.profile(), text.replace("registry: {pullSecrets: []}\n", "")).expect("ours");
    pulled.up().expect(0);
    let one = pulled.environment.namespace("one");
    assert_eq!(pulled.environment.field(&one, "secrets", ".items[*].metadata.name"), "");
    assert_eq!(pulled.pulls_with("one"), "");
    pulled.up().expect(0);
    assert_eq!(pulled.writes(), [""; 0]);
    pulled.assert_told_nothing();
}

#[test]
fn only_a_tenants_own_editors_can_read_its_logins() {
    let pulled = Pulled::new("pull-rights");
    pulled.up().expect(0);
    let may = |group: &str, tenant: &str| {
        let namespace = pulled.environment.namespace(tenant);
        let arguments =
            ["auth", "can-i", "get", "secret/berth-pull", "-n", &namespace, "--as", "x", "--as-group", group];
        pulled.environment.plane.kubectl(&arguments).stdout.trim() == "yes"
    };
    assert!(may("one-devs", "one") && may("one-leads", "one"));
    assert!(!may("one-devs", "two") && !may("one-leads", "two") && !may("two-devs", "one"));
    assert!(!may("somebody", "one"));
}
