//! Repositories and pull-through caches of Amazon ECR, with the real binaries against the stand-in for AWS: made, left
//! alone, mended, taken over, logged in to, kept, and taken away when asked.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::support::{Berth, FakeAws, Finished, run};

const HELPER: &str = env!("CARGO_BIN_EXE_docker-credential-berth");
const REGION: &str = "eu-central-1";
const HOST: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const OWNER: &str = "berth.dev/owner";

const PROFILE: &str = "apiVersion: berth.dev/v1alpha1
kind: Environment
name: dev
id: 7f3k2q9d
cluster: {eks: {account: \"123456789012\", region: eu-central-1, version: \"1.36\"}}
access:
  groups:
    leads: {eks: [\"arn:aws:iam::123456789012:role/leads\"]}
    guests: {eks: [\"arn:aws:iam::123456789012:role/guests\"]}
registry:
  ecr:
    repositories:
      - {name: checkout/api, immutable: true, immutableExcept: [latest, \"dev-*\"], keep: 30, tenants: [checkout]}
      - {name: checkout/web, scanOnPush: false, pull: [\"210987654321\"]}
      - {name: secret, kmsKey: \"arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000001\"}
    pullThrough: [{from: quay.io}]
tenants:
  - {name: checkout, namespaces: [checkout-ns], groups: {admin: [leads], viewer: [guests]}}
";

struct Scene {
    aws: FakeAws,
    berth: Berth,
}

impl Scene {
    fn new() -> Self {
        let aws = FakeAws::start(60);
        let mut berth = Berth::new();
        for (key, value) in aws.environment() {
            berth = berth.with_variable(&key, &value);
        }
        berth.profile("dev", PROFILE);
        Self { aws, berth }
    }

    /// Runs `up` for the registry alone.
    fn up(&self, more: &[&str]) -> Finished {
        self.berth.run(&[&["up", "dev", "--only", "registry"], more].concat())
    }

    /// Whether `up` would change something, and what is said of it.
    fn plan(&self) -> Finished {
        self.berth.run(&["plan", "dev", "--only", "registry", "--detailed-exitcode"])
    }

    fn ecr(&self, arguments: &[&str]) -> Value {
        self.aws.cli(REGION, &[&["ecr"], arguments].concat())
    }

    fn repository(&self, name: &str) -> Value {
        self.ecr(&["describe-repositories", "--repository-names", name])["repositories"][0].clone()
    }

    /// The text of a policy, which is JSON in JSON.
    fn policy(&self, call: &str, member: &str, name: &str) -> Value {
        let answer = self.ecr(&[call, "--repository-name", name]);
        serde_json::from_str(answer[member].as_str().expect("a text")).expect("JSON")
    }

    /// The ids of what exists in ECR, with the mark.
    fn inventory(&self) -> BTreeMap<String, String> {
        let of_ecr = |one: &Value| {
            let kind = one["kind"].as_str().filter(|kind| kind.starts_with("ecr:"))?;
            let owner = one["tags"][OWNER].as_str().unwrap_or_default();
            let kind = kind.trim_start_matches("ecr:");
            Some((format!("{kind} {}", one["id"].as_str().expect("an id")), owner.to_string()))
        };
        self.aws.inventory().iter().filter_map(of_ecr).collect()
    }

    fn push(&self, repository: &str, tag: Option<&str>) {
        self.aws.post("ecr/push", &json!({"repository": repository, "tag": tag}));
    }

    /// The actions since the entry `since` of the log, and those of them that change something.
    fn actions(&self, since: u64) -> (Vec<String>, Vec<String>) {
        let (calls, _) = self.aws.calls(since);
        let name = |call: &Value| call["action"].as_str().expect("an action").to_string();
        let mutating = calls.iter().filter(|call| call["mutating"] == true).map(name).collect();
        (calls.iter().map(name).collect(), mutating)
    }

    fn now(&self) -> u64 {
        self.aws.calls(0).1
    }

    fn end(&self) {
        assert_eq!(self.aws.violations(), json!([]));
    }

    /// What the credential helper says, asked as docker asks, and whether it succeeds.
    fn ask(variables: &[(String, String)], server: &str) -> (String, bool) {
        let mut command = Command::new(HELPER);
        command.arg("get").env_clear().envs(variables.iter().cloned());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it was built");
        child.stdin.take().expect("piped").write_all(server.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        (String::from_utf8_lossy(&output.stdout).trim().to_string(), output.status.success())
    }
}

#[test]
fn repositories_are_made_as_the_profile_says_and_then_left_alone() {
    let scene = Scene::new();
    let planned = scene.plan().expect(2);
    for title in ["repository checkout/api", "repository secret", "pull-through cache quay"] {
        assert!(planned.stdout.contains(title), "{}", planned.said());
    }
    assert_eq!(scene.actions(0).1, Vec::<String>::new(), "a plan changes nothing");
    let made = scene.up(&[]).expect(0);
    assert!(made.said().contains("berth registry login dev"), "{}", made.said());

    let api = scene.repository("checkout/api");
    assert_eq!(api["imageTagMutability"], "IMMUTABLE_WITH_EXCLUSION");
    let filters = api["imageTagMutabilityExclusionFilters"].as_array().expect("filters");
    let patterns: Vec<&str> = filters.iter().filter_map(|filter| filter["filter"].as_str()).collect();
    assert_eq!(patterns, ["dev-*", "latest"]);
    assert_eq!(api["imageScanningConfiguration"]["scanOnPush"], true);
    assert_eq!(scene.repository("checkout/web")["imageScanningConfiguration"]["scanOnPush"], false);
    assert_eq!(scene.repository("secret")["encryptionConfiguration"]["encryptionType"], "KMS");
    let lifecycle = scene.policy("get-lifecycle-policy", "lifecyclePolicyText", "checkout/api");
    assert_eq!(lifecycle["rules"][1]["selection"]["countNumber"], 30);
    let rights = scene.policy("get-repository-policy", "policyText", "checkout/api");
    let who = |index: usize| rights["Statement"][index]["Principal"]["AWS"][0].clone();
    assert_eq!(who(0), "arn:aws:iam::123456789012:role/guests");
    assert_eq!(who(1), "arn:aws:iam::123456789012:role/leads");
    let foreign = scene.policy("get-repository-policy", "policyText", "checkout/web");
    assert_eq!(foreign["Statement"][0]["Principal"]["AWS"][0], "arn:aws:iam::210987654321:root");
    let expected = [
        ("pull-through-cache-rule quay", ""),
        ("repository checkout/api", "7f3k2q9d"),
        ("repository checkout/web", "7f3k2q9d"),
        ("repository secret", "7f3k2q9d"),
        ("repository-creation-template quay", ""),
    ];
    let expected = expected.map(|(id, owner)| (id.to_string(), owner.to_string()));
    assert_eq!(scene.inventory(), BTreeMap::from(expected));

    let since = scene.now();
    let again = scene.up(&[]).expect(0);
    let (all, changing) = scene.actions(since);
    assert_eq!(changing, Vec::<String>::new(), "{}", again.said());
    // One for all descriptions, one for all marks, one for the caches, two for each repository; and who we are.
    assert_eq!(all.len(), 3 + 2 * 3 + 1, "{all:?}");
    scene.end();
}

#[test]
fn what_drifted_is_told_and_mended_and_nothing_else_is_touched() {
    let scene = Scene::new();
    scene.up(&[]).expect(0);
    let named = ["--repository-name", "checkout/api"];
    scene.ecr(&[&["put-image-tag-mutability", "--image-tag-mutability", "MUTABLE"], &named[..]].concat());
    let scan = ["put-image-scanning-configuration", "--image-scanning-configuration", "scanOnPush=false"];
    scene.ecr(&[&scan[..], &named[..]].concat());
    scene.ecr(&[&["delete-lifecycle-policy"], &named[..]].concat());
    scene.ecr(&[&["delete-repository-policy"], &named[..]].concat());
    let planned = scene.plan().expect(2);
    for field in ["tags", "scanOnPush", "lifecycle", "policy"] {
        assert!(planned.stdout.contains(field), "{}", planned.said());
    }
    assert!(!planned.stdout.contains("checkout/web"), "{}", planned.said());
    let since = scene.now();
    scene.up(&[]).expect(0);
    let mut changing = scene.actions(since).1;
    changing.sort();
    assert_eq!(
        changing,
        [
            "PutImageScanningConfiguration",
            "PutImageTagMutability",
            "PutLifecyclePolicy",
            "SetRepositoryPolicy"
        ]
    );
    scene.plan().expect(0);
    // Nobody may pull any more.
    scene.berth.profile("dev", &PROFILE.replace(", pull: [\"210987654321\"]", ""));
    let since = scene.now();
    scene.up(&[]).expect(0);
    assert_eq!(scene.actions(since).1, ["DeleteRepositoryPolicy"]);
    scene.end();
}

#[test]
fn a_repository_that_somebody_opened_by_hand_is_told_and_closed_and_services_keep_their_rights() {
    let scene = Scene::new();
    scene.up(&[]).expect(0);
    let pull = json!(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]);
    let opened = json!({"Sid": "open", "Effect": "Allow", "Principal": "*", "Action": pull});
    let lambda = json!({"Sid": "LambdaECRImageRetrievalPolicy", "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"}, "Action": pull});
    let set = |name: &str, statements: &[&Value]| {
        let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        scene.ecr(&["set-repository-policy", "--repository-name", name, "--policy-text", &text]);
    };
    // The profile names nobody for this one.
    set("secret", &[&opened, &lambda]);
    let planned = scene.plan().expect(2).stdout;
    for words in ["repository secret", "policy", "a statement of somebody else for anybody"] {
        assert!(planned.contains(words), "`{words}` is not in: {planned}");
    }
    let since = scene.now();
    scene.up(&[]).expect(0);
    assert_eq!(scene.actions(since).1, ["SetRepositoryPolicy"]);
    assert_eq!(scene.policy("get-repository-policy", "policyText", "secret")["Statement"], json!([lambda]));
    // What a service wrote is no difference, also beside those whom the profile names.
    scene.plan().expect(0);
    let mut named = scene.policy("get-repository-policy", "policyText", "checkout/web")["Statement"].clone();
    set("checkout/web", &[&named[0].take(), &lambda]);
    scene.plan().expect(0);
    set("secret", &[&opened]);
    let since = scene.now();
    scene.up(&[]).expect(0);
    assert_eq!(scene.actions(since).1, ["DeleteRepositoryPolicy"]);
    scene.end();
}

#[test]
fn an_encryption_that_cannot_be_changed_is_refused_with_what_to_write() {
    let scene = Scene::new();
    scene.up(&[]).expect(0);
    scene.berth.profile("dev", &PROFILE.replace("000000000001", "000000000002"));
    let since = scene.now();
    let refused = scene.up(&[]).expect(8);
    let said = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("next write `kmsKey: arn:aws:kms:"), "{}", refused.said());
    assert_eq!(scene.actions(since).1, Vec::<String>::new());
    scene.end();
}

#[test]
fn a_repository_of_somebody_else_is_taken_over_only_when_asked() {
    let scene = Scene::new();
    scene.ecr(&["create-repository", "--repository-name", "checkout/web"]);
    let since = scene.now();
    let refused = scene.up(&[]).expect(8);
    assert!(refused.stderr.contains("--adopt"), "{}", refused.said());
    assert_eq!(scene.actions(since).1, Vec::<String>::new());
    assert_eq!(scene.inventory()["repository checkout/web"], "");
    let adopted = scene.up(&["--adopt"]).expect(0);
    assert_eq!(scene.inventory()["repository checkout/web"], "7f3k2q9d", "{}", adopted.said());
    scene.policy("get-lifecycle-policy", "lifecyclePolicyText", "checkout/web");
    scene.plan().expect(0);
    scene.end();
}

#[test]
fn what_ecr_shows_late_is_waited_for_and_made_once() {
    let scene = Scene::new();
    scene.aws.scenario(&json!({"lag": {"ecr:DescribeRepositories": 60}}));
    let made = scene.up(&[]).expect(0);
    let creates = scene.actions(0).1.iter().filter(|action| *action == "CreateRepository").count();
    assert_eq!(creates, 3, "{}", made.said());
    scene.end();
}

#[test]
fn a_run_that_was_killed_at_a_call_is_taken_up_by_the_next() {
    for when in ["before", "after"] {
        for action in ["CreateRepository", "PutLifecyclePolicy", "CreatePullThroughCacheRule"] {
            let scene = Scene::new();
            let hold = scene.aws.post("holds", &json!({"action": action, "nth": 1, "when": when}));
            let running = scene.berth.start(&["up", "dev", "--only", "registry"]);
            let held = scene.aws.get(&format!("holds/{}?wait=240", hold["id"]));
            assert_eq!(held["state"], "held", "{held:#}");
            drop(running);
            scene.up(&[]).expect(0);
            scene.plan().expect(0);
            assert_eq!(scene.inventory().len(), 5, "{when} {action}");
            scene.end();
        }
    }
}

#[test]
fn what_left_the_profile_is_told_and_stays() {
    let scene = Scene::new();
    scene.up(&[]).expect(0);
    let line = "      - {name: checkout/web, scanOnPush: false, pull: [\"210987654321\"]}\n";
    scene.berth.profile("dev", &PROFILE.replace(line, "").replace("quay.io", "registry.k8s.io"));
    let planned = scene.plan().expect(2);
    assert!(
        planned.stdout.contains("repository checkout/web: no longer in the profile"),
        "{}",
        planned.said()
    );
    assert!(
        planned.stdout.contains("pull-through cache quay: no longer in the profile"),
        "{}",
        planned.said()
    );
    scene.up(&[]).expect(0);
    let there = scene.inventory();
    assert!(there.contains_key("repository checkout/web"), "{there:?}");
    assert!(there.contains_key("pull-through-cache-rule kubernetes"), "{there:?}");
    scene.end();
}

#[test]
fn a_cache_of_somebody_else_is_used_as_it_is_or_left_alone() {
    let scene = Scene::new();
    let rule =
        ["create-pull-through-cache-rule", "--ecr-repository-prefix", "quay", "--upstream-registry-url"];
    scene.ecr(&[&rule[..], &["quay.io"]].concat());
    scene.up(&[]).expect(0);
    assert!(!scene.inventory().contains_key("repository-creation-template quay"));
    scene.berth.profile("dev", &PROFILE.replace("from: quay.io", "from: registry.k8s.io, prefix: quay"));
    let refused = scene.up(&[]).expect(8);
    assert!(refused.stderr.contains("choose another `prefix`"), "{}", refused.said());
    scene.end();
}

#[test]
fn docker_gets_the_password_from_the_helper_and_nowhere_is_it_kept() {
    let scene = Scene::new();
    let bin = scene.berth.home().join("bin");
    fs::create_dir(&bin).expect("the home is ours");
    symlink(HELPER, bin.join("docker-credential-berth")).expect("the folder is ours");
    let Scene { aws, berth } = scene;
    let scene = Scene { aws, berth: berth.with_path_first(&bin) };
    let login = scene.berth.run(&["registry", "login", "dev"]).expect(0);
    assert!(login.stdout.contains(&format!("docker push {HOST}/NAME:TAG")), "{}", login.said());
    let config = fs::read_to_string(scene.berth.home().join(".docker/config.json")).expect("written");
    assert_eq!(
        serde_json::from_str::<Value>(&config).expect("JSON"),
        json!({"credHelpers": {HOST: "berth"}})
    );

    let (said, succeeded) = Scene::ask(&scene.aws.environment(), &format!("{HOST}\n"));
    assert!(succeeded, "{said}");
    let answer: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&answer["ServerURL"], &answer["Username"]), (&json!(HOST), &json!("AWS")));
    let password = answer["Secret"].as_str().expect("a password");
    assert!(password.len() > 16 && !login.said().contains(password), "{}", login.said());
    let printed = scene.berth.run(&["registry", "login", "dev", "--print-password"]).expect(0);
    assert!(printed.stdout.trim().len() > 16 && !printed.stderr.contains(printed.stdout.trim()));
    assert!(printed.stderr.contains(HOST), "{}", printed.stderr);

    let nobody = [("AWS_EC2_METADATA_DISABLED".to_string(), "true".to_string())];
    let (said, succeeded) = Scene::ask(&nobody, HOST);
    assert!(!succeeded && said.contains("no AWS credentials were found"), "{said}");
    assert!(!said.contains('\n'), "docker shows one line: {said}");
    scene.end();
}

/// An engine that keeps what it was called with, and what it was given; where it finds `refused`, it says so and fails.
const ENGINE: &str = "#!/bin/sh
here=${0%/*}
printf '%s' \"$*\" >\"$here/called\"
cat >\"$here/given\"
[ ! -f \"$here/refused\" ] || { cat \"$here/refused\" >&2; exit 1; }
";

#[test]
fn an_engine_is_given_the_password_as_its_standard_input_and_not_as_an_argument() {
    const LOGIN: [&str; 4] = ["registry", "login", "dev", "--password-stdin"];
    let Scene { aws, berth } = Scene::new();
    let bin = berth.home().join("bin");
    fs::create_dir(&bin).expect("the home is ours");
    let mut nowhere = berth.command(&LOGIN);
    nowhere.env("PATH", &bin);
    let missing = run(nowhere).expect(1);
    assert!(missing.stderr.contains("`--print-password`"), "{}", missing.said());

    let scene = Scene { aws, berth: berth.with_path_first(&bin) };
    let program = bin.join("docker");
    fs::write(&program, ENGINE).expect("the folder is ours");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    let kept = |name: &str| fs::read_to_string(bin.join(name)).expect("the engine was called");
    let login = scene.berth.run(&LOGIN).expect(0);
    assert_eq!(kept("called"), format!("login --username AWS --password-stdin {HOST}"));
    let password = kept("given");
    assert!(password.len() > 16 && !login.said().contains(&password), "{}", login.said());
    assert!(login.stdout.contains(&format!("docker push {HOST}/NAME:TAG")), "{}", login.said());
    assert!(!scene.berth.home().join(".docker/config.json").exists(), "the engine keeps it, not berth");

    let json = scene.berth.run(&[&LOGIN[..], &["--output", "json"]].concat()).expect(0);
    let told: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(told, json!({"registry": HOST, "username": "AWS", "engine": "docker"}));

    fs::write(bin.join("refused"), "Error saving credentials: the key ring is locked\n").expect("ours");
    let refused = scene.berth.run(&LOGIN).expect(1);
    assert!(refused.stderr.contains("the key ring is locked"), "{}", refused.said());
    scene.end();
}

#[test]
fn the_list_shows_what_is_in_the_repositories() {
    let scene = Scene::new();
    scene.up(&[]).expect(0);
    scene.push("checkout/api", Some("v1"));
    scene.push("checkout/api", None);
    let list = scene.berth.run(&["registry", "list", "dev"]).expect(0);
    let line = list.stdout.lines().find(|line| line.starts_with(&format!("{HOST}/checkout/api")));
    let words: Vec<&str> = line.expect("a line").split_whitespace().skip(1).collect();
    assert_eq!(words, ["v1", "1", "2", "MB"], "{}", list.said());
    let list = scene.berth.run(&["registry", "list", "dev", "--output", "json"]).expect(0);
    let value: Value = serde_json::from_str(&list.stdout).expect("JSON");
    assert_eq!(value["repositories"][0]["tags"], json!(["v1"]), "{value:#}");
    scene.end();
}

#[test]
fn down_keeps_the_repositories_and_takes_them_when_asked() {
    let scene = Scene::new();
    scene.up(&[]).expect(0);
    scene.push("checkout/api", Some("v1"));
    scene.ecr(&["create-repository", "--repository-name", "other"]);
    let kept = scene.berth.run(&["down", "dev", "--yes"]).expect(0);
    for title in ["repository checkout/api", "repository checkout/web", "pull-through cache quay"] {
        assert!(kept.stdout.contains(title), "{}", kept.said());
    }
    assert!(kept.stdout.contains("`berth down --registries` removes it"), "{}", kept.said());
    assert_eq!(scene.inventory().len(), 6);
    let gone = scene.berth.run(&["down", "dev", "--yes", "--registries"]).expect(0);
    let left: Vec<String> = scene.inventory().into_keys().collect();
    assert_eq!(left, ["repository other"], "{}", gone.said());
    scene.berth.run(&["down", "dev", "--yes", "--registries"]).expect(0);
    scene.end();
}
