//! The stage itself, on the real API server, with kubectl as the client.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::support::{
    Action, ControlPlane, Finished, Matching, Proxy, Rule, Running, Shim, Turn, binary_flags, eventually,
    kubectl, loopback_configuration, path_with_tools, run, tools,
};

/// kubectl through a proxy of its own, in a namespace of its own.
struct Client {
    plane: &'static ControlPlane,
    proxy: Proxy,
    folder: TempDir,
    kubeconfig: PathBuf,
    namespace: String,
}

impl Client {
    fn in_namespace(namespace: &str) -> Self {
        let plane = ControlPlane::shared();
        let proxy = plane.proxy();
        let folder = tempfile::tempdir().expect("a temp folder is writable");
        let kubeconfig = plane.kubeconfig_through(&proxy, folder.path());
        plane.kubectl(&["create", "namespace", namespace]).expect(0);
        let namespace = namespace.to_string();
        Self { plane, proxy, folder, kubeconfig, namespace }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = kubectl(&self.kubeconfig, &["-n", &self.namespace]);
        command.args(arguments);
        command
    }

    fn kubectl(&self, arguments: &[&str]) -> Finished {
        run(self.command(arguments))
    }

    /// Config maps `one`, `two` and `three`, to be applied one after another.
    fn three(&self) -> Command {
        let document =
            |name: &str| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}\n");
        let file = self.folder.path().join("three.yaml");
        std::fs::write(&file, ["one", "two", "three"].map(document).join("---\n"))
            .expect("the folder is ours");
        // Without openapi validation the client learns nothing before its first write.
        let mut command = self.command(&["apply", "--server-side", "--validate=false", "-f"]);
        command.arg(file);
        command
    }

    /// The names of the config maps that stand, seen without the proxy.
    fn standing(&self) -> Vec<String> {
        let seen = self.plane.kubectl(&["-n", &self.namespace, "get", "configmaps", "-o", "name"]).expect(0);
        let mut names: Vec<String> = seen
            .stdout
            .lines()
            .filter_map(|line| line.strip_prefix("configmap/"))
            .filter(|name| *name != "kube-root-ca.crt")
            .map(str::to_string)
            .collect();
        names.sort();
        names
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.plane.kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

#[test]
fn the_proxy_counts_what_the_audit_log_counts() {
    let client = Client::in_namespace("stage-count");
    client.kubectl(&["create", "configmap", "one"]).expect(0);
    client.kubectl(&["get", "configmaps", "-l", "a=b"]).expect(0);
    run(client.three()).expect(0);
    client.kubectl(&["delete", "configmap", "one"]).expect(0);
    client.kubectl(&["create", "configmap", "two"]).expect(1);

    let mut seen = BTreeMap::new();
    for request in client.proxy.log().0 {
        if request.namespace == client.namespace {
            *seen.entry((request.verb.to_string(), request.uri, u64::from(request.status))).or_insert(0) += 1;
        }
    }
    // The audit log also holds what this test asked for without the proxy: nothing in the namespace. An answer may be
    // there before its entry is.
    eventually("the audit log has what the proxy has", || {
        let audited = audited(&client);
        assert!(audited.values().sum::<usize>() <= seen.values().sum(), "{audited:?} {seen:?}");
        (audited == seen).then_some(())
    });
    assert!(seen.len() >= 5, "{seen:?}");
}

/// What kubectl asked for in the namespace of `client`, as the audit log has it.
fn audited(client: &Client) -> BTreeMap<(String, String, u64), usize> {
    let mut audited = BTreeMap::new();
    for event in client.plane.audit_log() {
        let text =
            |pointer: &str| event.pointer(pointer).and_then(|value| value.as_str()).unwrap_or_default();
        let ours = text("/objectRef/namespace") == client.namespace && text("/stage") == "ResponseComplete";
        if ours && text("/userAgent").starts_with("kubectl") {
            let code =
                event.pointer("/responseStatus/code").and_then(serde_json::Value::as_u64).unwrap_or_default();
            *audited
                .entry((text("/verb").to_string(), text("/requestURI").to_string(), code))
                .or_insert(0) += 1;
        }
    }
    audited
}

#[test]
fn a_kill_before_the_second_write_leaves_one_object() {
    let client = Client::in_namespace("stage-kill-before");
    client.proxy.obey(vec![Rule::kill_before(2)]);
    let running = Running::start(client.three());
    client.proxy.aim_at(running.pid());
    let killed = running.finish();
    assert_eq!(killed.code, None, "{}", killed.said());
    assert_eq!(client.standing(), ["one"]);
    assert_eq!(client.proxy.log().write_titles().len(), 2);
}

#[test]
fn a_kill_after_the_second_write_leaves_two_objects() {
    let client = Client::in_namespace("stage-kill-after");
    client.proxy.obey(vec![Rule::kill_after(2)]);
    let running = Running::start(client.three());
    client.proxy.aim_at(running.pid());
    let killed = running.finish();
    assert_eq!(killed.code, None, "{}", killed.said());
    assert_eq!(client.standing(), ["one", "two"]);
}

#[test]
fn after_a_kill_the_next_client_is_served_once_the_rules_are_new() {
    let client = Client::in_namespace("stage-revive");
    client.proxy.obey(vec![Rule::kill_before(1)]);
    let running = Running::start(client.three());
    client.proxy.aim_at(running.pid());
    assert_eq!(running.finish().code, None);
    client.kubectl(&["get", "configmaps"]).expect(1);
    client.proxy.obey(Vec::new());
    run(client.three()).expect(0);
    assert_eq!(client.standing(), ["one", "three", "two"]);
}

#[test]
fn a_refusal_with_retry_after_is_seen_and_waited_for() {
    let client = Client::in_namespace("stage-refuse");
    let creates = Matching { verb: Some("create"), resource: Some("configmaps"), ..Matching::default() };
    client.proxy.obey(vec![Rule::new(creates, Turn::During(1..=2), Action::Refuse(429, Some(1)))]);
    let done = client.kubectl(&["create", "configmap", "one"]).expect(0);
    assert!(done.took >= Duration::from_secs(2), "{:?}", done.took);
    let log = client.proxy.log();
    let answers: Vec<u16> = log.of("create").iter().map(|request| request.status).collect();
    assert_eq!(answers, [429, 429, 201]);
    assert_eq!(client.proxy.fired(), [2]);
}

#[test]
fn a_refusal_without_retry_after_fails_the_client() {
    let client = Client::in_namespace("stage-refuse-503");
    client.proxy.obey(vec![Rule::new(Matching::mutating(), Turn::Always, Action::Refuse(503, None))]);
    let done = client.kubectl(&["create", "configmap", "one"]).expect(1);
    assert!(done.stderr.contains("the proxy of the test refuses"), "{}", done.said());
    assert!(client.standing().is_empty());
}

#[test]
fn a_reset_after_the_commit_leaves_the_object_and_fails_the_client() {
    let client = Client::in_namespace("stage-reset");
    client.proxy.obey(vec![Rule::new(Matching::mutating(), Turn::At(1), Action::ResetAfter)]);
    client.kubectl(&["create", "configmap", "one"]).expect(1);
    assert_eq!(client.standing(), ["one"]);
    client.proxy.obey(vec![Rule::new(Matching::mutating(), Turn::At(1), Action::ResetBefore)]);
    client.kubectl(&["create", "configmap", "two"]).expect(1);
    assert_eq!(client.standing(), ["one"]);
}

#[test]
fn a_delay_delays_every_request() {
    let client = Client::in_namespace("stage-delay");
    client.proxy.round_trip(Duration::from_millis(400));
    let done = client.kubectl(&["get", "--raw", "/readyz"]).expect(0);
    assert!(done.took >= Duration::from_millis(400), "{:?}", done.took);
    assert_eq!(done.stdout, "ok");
}

#[test]
fn a_hanging_request_hangs_until_the_client_gives_up() {
    let client = Client::in_namespace("stage-hang");
    client.proxy.obey(vec![Rule::new(Matching::verb("create"), Turn::At(1), Action::Hang)]);
    let done = client.kubectl(&["--request-timeout=1s", "create", "configmap", "one"]).expect(1);
    assert!(done.took >= Duration::from_secs(1), "{:?}", done.took);
    assert!(client.standing().is_empty());
}

#[test]
fn a_watch_passes_through_as_it_comes() {
    let client = Client::in_namespace("stage-watch");
    let seen = client.folder.path().join("seen");
    let mut command = Command::new("sh");
    let file = std::fs::File::create(&seen).expect("the folder is ours");
    // exec: the shell becomes kubectl, so that killing it kills kubectl.
    command.args(["-c", "exec \"$0\" \"$@\" >&2"]).arg(tools().join("kubectl"));
    command.arg("--kubeconfig").arg(&client.kubeconfig);
    command.args(["-n", &client.namespace, "get", "configmaps", "--watch-only", "-o", "name"]);
    command.stdout(file.try_clone().expect("it is open")).stderr(file);
    let mut watcher = command.spawn().expect("sh is there");
    eventually("the watch has begun", || (!client.proxy.log().of("watch").is_empty()).then_some(()));
    client.plane.kubectl(&["-n", &client.namespace, "create", "configmap", "late"]).expect(0);
    eventually("the watch shows what was made", || {
        std::fs::read_to_string(&seen).ok().filter(|text| text.contains("configmap/late"))
    });
    watcher.kill().expect("it is our child");
    watcher.wait().expect("it is our child");
}

#[test]
fn the_caller_is_passed_on_by_request_headers() {
    let client = Client::in_namespace("stage-caller");
    let direct = client.plane.kubectl(&["auth", "whoami", "-o", "json"]).expect(0).stdout;
    let through = client.kubectl(&["auth", "whoami", "-o", "json"]).expect(0).stdout;
    let user = |text: &str| {
        let whole: serde_json::Value = serde_json::from_str(text).expect("kubectl writes JSON");
        let user = &whole["status"]["userInfo"];
        (user["username"].clone(), user["groups"].clone(), user["extra"].to_string().contains("X509SHA256"))
    };
    let (name, groups, by_certificate) = user(&direct);
    assert!(by_certificate, "{direct}");
    // The same person, but nobody's certificate: the API server believed the headers.
    assert_eq!(user(&through), (name, groups, false), "{through}");
}

#[test]
fn a_bearer_token_is_passed_on() {
    let client = Client::in_namespace("stage-token");
    eventually("the service account stands", || {
        client.kubectl(&["get", "serviceaccount", "default"]).stdout.contains("default").then_some(())
    });
    let token = client.kubectl(&["create", "token", "default"]).expect(0).stdout;
    let bare = client.folder.path().join("bare");
    let text = std::fs::read_to_string(&client.kubeconfig).expect("it was written");
    let (before_users, _) = text.split_once("users:").expect("it has users");
    std::fs::write(&bare, before_users.replace("    user: ", "    # ")).expect("the folder is ours");
    let who = run(kubectl(&bare, &["--token", token.trim(), "auth", "whoami"])).expect(0);
    assert!(who.stdout.contains("system:serviceaccount:stage-token:default"), "{}", who.said());
}

#[test]
fn the_shim_puts_the_proxy_before_a_cluster_that_it_makes() {
    let shim = Shim::new();
    let folder = tempfile::tempdir().expect("a temp folder is writable");
    let path = format!("{}:{}", shim.folder().display(), path_with_tools());
    let kubeconfig = folder.path().join("kubeconfig");
    let kwokctl = |arguments: &[&str]| {
        let mut command = Command::new("kwokctl");
        command.env("PATH", &path).env("HOME", folder.path()).env("KWOK_WORKDIR", folder.path().join("kwok"));
        // Found on our own PATH otherwise.
        command.args(arguments);
        let mut through_shell = Command::new("sh");
        through_shell.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        through_shell.args(["-c", "exec kwokctl \"$@\"", "sh"]).args(command.get_args());
        through_shell
    };
    let config = folder.path().join("kwokctl.yaml");
    std::fs::write(&config, loopback_configuration()).expect("the folder is ours");
    let mut create =
        kwokctl(&["create", "cluster", "--name", "shimmed", "--runtime", "binary", "--wait", "240s"]);
    create.arg("--config").arg(&config).arg("--kubeconfig").arg(&kubeconfig).args(binary_flags());
    run(create).expect(0);

    run(kubectl(&kubeconfig, &["get", "namespaces"])).expect(0);
    assert_eq!(shim.proxy().log().of("list").len(), 1);
    let printed = run(kwokctl(&["get", "kubeconfig", "--name", "shimmed"])).expect(0);
    assert!(printed.stdout.contains(&shim.proxy().url()), "{}", printed.said());
    run(kwokctl(&["delete", "cluster", "--name", "shimmed"])).expect(0);
    assert_eq!(shim.calls().lines().count(), 3);
}

#[test]
fn the_shared_control_plane_answers() {
    assert!(ControlPlane::shared().kubectl(&["get", "--raw", "/readyz"]).expect(0).stdout.contains("ok"));
}

#[test]
fn a_control_plane_goes_when_its_last_user_is_killed() {
    let folder = tempfile::tempdir().expect("a temp folder is writable");
    let mut another = Command::new(std::env::current_exe().expect("this runs"));
    another.args(["--exact", "stage::the_shared_control_plane_answers"]).env("TMPDIR", folder.path());
    let another = Running::start(another);
    let planes = || {
        std::fs::read_dir(folder.path()).ok()?.flatten().next().and_then(|root| {
            let names = std::fs::read_dir(root.path()).ok()?.flatten();
            Some(names.filter(|name| name.path().is_dir()).map(|name| name.path()).collect::<Vec<_>>())
        })
    };
    let programs = eventually("the other run makes a control plane", || {
        let pids = planes()?.first()?.join("kwok/clusters");
        let cluster = std::fs::read_dir(pids).ok()?.flatten().next()?.path().join("pids");
        let pids: Vec<String> = std::fs::read_dir(cluster)
            .ok()?
            .flatten()
            .filter_map(|file| std::fs::read_to_string(file.path()).ok())
            .map(|pid| pid.trim().to_string())
            .filter(|pid| !pid.is_empty())
            .collect();
        (!pids.is_empty()).then_some(pids)
    });
    // In the middle of its making.
    another.signal(rustix::process::Signal::KILL);
    assert_eq!(another.finish().code, None);
    eventually("its folder is gone", || planes()?.is_empty().then_some(()));
    for pid in programs {
        eventually("its programs are gone", || {
            let pid = rustix::process::Pid::from_raw(pid.parse().ok()?)?;
            rustix::process::test_kill_process(pid).is_err().then_some(())
        });
    }
}
