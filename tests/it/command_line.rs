//! The real binary as people and programs meet it: every help, messages, exit codes, JSON. What is
//! expected lies in tests/snapshots; `UPDATE_EXPECTED=1 cargo test --test it command_line` writes it
//! anew. Times, hashes and folders are filtered here, outside the product.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::support::{Berth, Finished};

/// Everything that has a help of its own.
const COMMANDS: [&str; 22] = [
    "",
    "up",
    "plan",
    "status",
    "down",
    "verify",
    "validate",
    "render",
    "init",
    "list",
    "addon",
    "addon list",
    "addon images",
    "registry",
    "registry list",
    "registry login",
    "image",
    "image load",
    "kubeconfig",
    "doctor",
    "schema",
    "completions",
];

/// A profile on kwok that needs nothing but the binary to be planned.
const SMALL: &str = "apiVersion: berth.dev/v1alpha1
kind: Environment
name: small
id: abcd1234
cluster:
  kwok: {version: \"1.36\"}
nodeGroups:
  - {name: general, nodes: 2, resources: {cpu: 4, memory: 8Gi}}
tenants:
  - name: shop
    namespaces: [shop-ns]
    groups: {editor: [shop-developers]}
    quota: {requests.cpu: 2, limits.memory: 4Gi}
";

/// Compares `actual` with the file tests/snapshots/NAME, or writes that file when asked to.
#[track_caller]
fn expect_snapshot(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, actual).expect("the folder is in the repository");
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{name}: `UPDATE_EXPECTED=1 cargo test --test it command_line` rewrites it");
}

/// What a run said and how it ended, with what differs from run to run filtered.
fn told(berth: &Berth, finished: &Finished) -> String {
    let text = format!(
        "exit code {}\n--- stdout\n{}--- stderr\n{}",
        finished.code.unwrap_or(-1),
        finished.stdout,
        finished.complaints()
    );
    filter(berth, &text)
}

fn filter(berth: &Berth, text: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    text.replace(&berth.home().display().to_string(), "HOME")
        .replace(&berth.work().display().to_string(), "WORK")
        .replace(version, "VERSION")
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {}", finished.said()))
}

#[test]
fn every_help_is_as_it_was_written() {
    let berth = Berth::new();
    for command in COMMANDS {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let help = berth.run(&arguments).expect(0);
        let name = if command.is_empty() {
            "help.txt".to_string()
        } else {
            format!("help-{}.txt", command.replace(' ', "-"))
        };
        expect_snapshot(&name, &help.stdout);
    }
}

#[test]
fn what_is_typed_wrong_ends_with_3_and_says_what_to_type() {
    let berth = Berth::new();
    berth.profile("one", SMALL);
    berth.profile("two", SMALL);
    let mut all = String::new();
    for arguments in [
        &["nonsense"][..],
        &["up", "--bogus"],
        &["up", "--timeout", "soon"],
        &["plan", "--only", "everything"],
        &["plan"],
        &["plan", "on"],
        &["plan", "one", "--only", "addon/traefik"],
        &["plan", "one", "--only", "tenant/nobody"],
        &["plan", "missing.yaml"],
        &["addon"],
        &["addon", "lst"],
        &["addon", "list", "on"],
        &["addon", "images", "--rehearse"],
        &["init"],
        &["init", "../escape", "--provider", "kwok"],
        &["list", "--region", "no where"],
        &["token", "--cluster", "dev", "--region", ""],
    ] {
        let finished = berth.run(arguments).expect(3);
        assert_eq!(finished.stdout, "", "{arguments:?}: what is wrong goes to standard error");
        all.push_str(&format!("=== berth {}\n{}\n", arguments.join(" "), told(&berth, &finished)));
    }
    expect_snapshot("typed-wrong.txt", &all);
}

#[test]
fn a_plan_of_nothing_that_stands_reads_well_in_every_form() {
    let berth = Berth::new();
    berth.profile("small", SMALL);
    for (name, arguments) in [
        ("plan.txt", &["plan"][..]),
        ("plan-markdown.txt", &["plan", "small", "--markdown"]),
        ("plan-of-a-part.txt", &["plan", "small", "--only", "tenant/shop"]),
        ("status.txt", &["status", "small"]),
    ] {
        let finished = berth.run(arguments).expect(0);
        expect_snapshot(name, &told(&berth, &finished));
    }
    let mut plan = json(&berth.run(&["plan", "small", "--output", "json"]).expect(0));
    plan["about"]["fingerprint"] = Value::from("FINGERPRINT");
    expect_snapshot("plan.json", &filter(&berth, &format!("{plan:#}\n")));
    berth.run(&["plan", "small", "--detailed-exitcode"]).expect(2);
}

#[test]
fn what_does_not_stand_is_not_verified() {
    let berth = Berth::new();
    berth.profile("small", SMALL);
    expect_snapshot("verify-of-nothing.txt", &told(&berth, &berth.run(&["verify", "small"]).expect(8)));
}

#[test]
fn a_saved_plan_is_refused_once_the_profile_is_another_one() {
    let berth = Berth::new();
    berth.profile("small", SMALL);
    berth.run(&["plan", "small", "-o", "saved.json"]).expect(0);
    berth.profile("small", &SMALL.replace("nodes: 2", "nodes: 3"));
    let refused = berth.run(&["up", "saved.json"]).expect(8);
    expect_snapshot("saved-plan-refused.txt", &told(&berth, &refused));
    assert!(!berth.home().join(".local/state/berth/kwok").exists(), "a refused plan makes nothing");

    berth.run(&["up", "saved.json", "--adopt"]).expect(3);
    fs::write(berth.work().join("scrap.json"), "{\"fingerprint\": 1}").expect("written");
    berth.run(&["up", "scrap.json"]).expect(3);
}

#[test]
fn a_saved_plan_is_refused_once_a_file_that_an_addon_comes_from_is_another_one() {
    let berth = Berth::new();
    berth.profile("small", &format!("{SMALL}addons: {{extra: {{manifests: {{path: extra.yaml}}}}}}\n"));
    let secret = |value: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: key, namespace: extra}}\nstringData: {{key: {value}}}\n"
        );
        fs::write(berth.work().join("profiles/extra.yaml"), text).expect("written");
    };
    secret("one");
    berth.run(&["plan", "small", "-o", "saved.json"]).expect(0);
    secret("two");
    let refused = berth.run(&["up", "saved.json"]).expect(8);
    assert!(!refused.stderr.contains("two"), "{}", refused.stderr);
}

#[test]
fn what_down_finds_nothing_of_it_says_so() {
    let berth = Berth::new();
    berth.profile("small", SMALL);
    let gone = berth.run(&["down", "small", "--progress", "quiet"]).expect(0);
    expect_snapshot("down-of-nothing.txt", &told(&berth, &gone));
    assert!(!berth.home().join(".local/state/berth/environments/small-abcd1234").exists());
}

#[test]
fn a_protected_environment_is_refused_with_8() {
    let berth = Berth::new();
    berth.profile("small", &SMALL.replace("cluster:", "protected: true\ncluster:"));
    let refused = berth.run(&["down", "small", "--yes"]).expect(8);
    expect_snapshot("down-protected.txt", &told(&berth, &refused));
}

#[test]
fn events_are_one_json_object_per_line_from_the_schema_to_the_exit_code() {
    let berth = Berth::new();
    berth.profile("small", SMALL);
    let finished = berth.run(&["down", "small", "--yes", "--output", "json"]).expect(0);
    assert_eq!(finished.complaints(), "");
    let events: Vec<Value> = finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object per line"))
        .collect();
    let (first, last) = (events.first().expect("events"), events.last().expect("events"));
    assert_eq!((&first["type"], &first["schema"]), (&Value::from("run_started"), &Value::from(1)));
    assert_eq!((&last["type"], &last["exit_code"]), (&Value::from("run_finished"), &Value::from(0)));
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_failure_is_one_object_where_json_was_asked_for() {
    let berth = Berth::new();
    for command in ["plan", "status", "up", "down"] {
        let failed = json(&berth.run(&[command, "nope", "--output", "json"]).expect(3));
        assert_eq!(failed["schema"], 1);
        assert_eq!(failed["error"]["exitCode"], 3);
        assert!(failed["error"]["message"].as_str().is_some_and(|text| text.contains("no profile `nope`")));
    }
    let made = json(&berth.run(&["init", "lab", "--provider", "kwok", "--output", "json"]).expect(0));
    assert_eq!(made["profile"], "profiles/lab.yaml");
}

#[test]
fn a_new_profile_is_valid_and_never_overwrites_one() {
    let berth = Berth::new();
    for provider in ["kind", "kwok"] {
        let made = berth.run(&["init", provider, "--provider", provider]).expect(0);
        assert_eq!(made.stdout, format!("profiles/{provider}.yaml\n"));
        berth.run(&["validate", provider]).expect(0);
        let next = format!("next: `berth plan {provider}`, then `berth up {provider}`\n");
        assert!(made.stderr.contains(&next), "{}", made.said());
        berth.run(&["init", provider, "--provider", provider]).expect(8);
    }
    assert!(berth.work().join("profiles/berth.schema.json").is_file());
}

#[test]
fn a_new_lab_has_what_a_developer_needs_and_is_rehearsed_where_there_is_no_docker() {
    let berth = Berth::new();
    let made = berth.run(&["init", "mine", "--provider", "kind", "--profiles", "labs"]).expect(0);
    assert!(made.stderr.contains("then `berth up mine --profiles labs`\n"), "{}", made.said());
    assert!(
        made.stderr.contains("without Docker: `berth up mine --profiles labs --rehearse`\n"),
        "{}",
        made.said()
    );
    let printed = json(
        &berth.run(&["validate", "mine", "--profiles", "labs", "--output", "json", "--print"]).expect(0),
    );
    assert_eq!(printed["registry"]["local"]["port"], 5001, "{printed}");
    for addon in ["metrics-server", "traefik", "metallb"] {
        assert!(printed["addons"][addon].is_object(), "{addon}: {printed}");
    }
    assert_eq!(printed["tenants"][0]["name"], "checkout");
    let eks = berth.run(&["init", "far", "--provider", "eks", "--location", "eu-central-1"]).expect(0);
    assert!(eks.stderr.contains("then `berth up far --rehearse`\n"), "{}", eks.said());
    assert!(!eks.stderr.contains("without Docker"), "{}", eks.said());
}

#[test]
fn a_range_of_nodes_on_eks_brings_what_adds_nodes() {
    let berth = Berth::new();
    let profile = |cluster: &str, nodes: &str, addons: &str| {
        let text = format!(
            "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: prod\nid: 7f3k2q9d\n\
             cluster: {{{cluster}}}\nnodeGroups:\n  \
             - {{name: gpu, machine: g6.xlarge, nodes: {{min: 0, max: 2}}}}\n  \
             - {{name: general, machine: m7i.large, nodes: {nodes}}}\n{addons}"
        );
        berth.profile("prod", &text);
    };
    let eks = "eks: {region: eu-central-1, version: \"1.36\"}";
    let printed = |nodes: &str, addons: &str| {
        profile(eks, nodes, addons);
        berth.run(&["validate", "prod", "--print"]).expect(0).stdout
    };
    assert!(printed("1", "").contains("cluster-autoscaler: {}"));
    let named = printed("{min: 1, max: 2}", "addons: {cluster-autoscaler: {expander: random}}\n");
    assert!(named.contains("expander: random"), "{named}");
    berth.run(&["validate", "prod", "--rehearse"]).expect(0);

    // It runs on a node itself, and cannot add the first one.
    profile(eks, "{min: 0, max: 2}", "");
    for command in [&["validate", "prod"][..], &["plan", "prod"], &["up", "prod", "--yes"]] {
        let refused = berth.run(command).expect(3);
        assert!(refused.stderr.contains("prod.yaml:6:1"), "{}", refused.said());
        assert!(refused.stderr.contains("nothing would add the first node"), "{}", refused.said());
        assert!(refused.stderr.contains("`nodes: {min: 1, max: 3}`"), "{}", refused.said());
    }
    // Nor does anything of the cluster itself run where all nodes have taints; a rehearsal lets it pass.
    let text = format!(
        "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: prod\nid: 7f3k2q9d\ncluster: {{{eks}}}\n\
         nodeGroups: [{{name: gpu, machine: g6.xlarge, nodes: 1}}]\n"
    );
    berth.profile("prod", &text);
    let refused = berth.run(&["plan", "prod"]).expect(3);
    assert!(refused.stderr.contains("no node would take what runs in every cluster"), "{}", refused.said());
    assert!(
        refused.stderr.contains("`- {name: general, machine: m7i.large, nodes: 1}`"),
        "{}",
        refused.said()
    );
    berth.run(&["validate", "prod", "--rehearse"]).expect(0);
    berth.profile("prod", &text.replace("nodes: 1", "nodes: 0"));
    let refused = berth.run(&["plan", "prod"]).expect(3);
    assert!(
        refused.stderr.contains("there would be no node for what runs in every cluster"),
        "{}",
        refused.said()
    );
    for (cluster, why) in [
        ("gke: {project: acme, location: europe-west4}", "GKE scales the node pools"),
        ("existing: {kubeconfig: /nonexistent, context: acme}", "berth does not know who makes the nodes"),
        ("eks: {region: eu-central-1, autoMode: true}", "Auto Mode makes the nodes itself"),
    ] {
        let text = format!(
            "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: prod\nid: 7f3k2q9d\ncluster: {{{cluster}}}\n\
             addons: {{cluster-autoscaler: {{}}}}\n"
        );
        berth.profile("prod", &text);
        let refused = berth.run(&["validate", "prod"]).expect(3);
        assert!(refused.stderr.contains("`cluster-autoscaler` does not work "), "{}", refused.said());
        assert!(refused.stderr.contains(why), "{}", refused.said());
    }
}

#[test]
fn validate_prints_a_profile_that_is_valid_itself() {
    let berth = Berth::new();
    berth.profile("small", SMALL);
    let printed = berth.run(&["validate", "small", "--print"]).expect(0).stdout;
    expect_snapshot("validate-print.txt", &printed);
    berth.profile("printed", &printed);
    assert_eq!(berth.run(&["validate", "printed", "--print"]).expect(0).stdout, printed);
    expect_snapshot("validate.txt", &berth.run(&["validate", "small"]).expect(0).stdout);

    berth.profile("wrong", &SMALL.replace("nodes: 2", "nods: 2"));
    let wrong = berth.run(&["validate", "wrong", "--output", "json"]).expect(3);
    assert_eq!(json(&wrong)["valid"], false);
    assert_eq!(json(&wrong)["errors"][0]["line"], 8);
}

#[test]
fn a_rendering_is_written_in_folders_to_be_applied_in_turn() {
    let berth = Berth::new();
    berth.profile("small", SMALL);
    let rendered = berth.run(&["render", "small", "--out", "out"]).expect(0);
    let mut text = told(&berth, &rendered);
    let out = berth.work().join("out");
    let mut folders: Vec<_> =
        fs::read_dir(&out).expect("written").flatten().map(|entry| entry.path()).collect();
    folders.sort();
    for folder in folders.iter().filter(|path| path.is_dir()) {
        let mut files: Vec<_> =
            fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
        files.sort();
        for file in files {
            text.push_str(&format!("{}\n", file.strip_prefix(&out).expect("below").display()));
        }
    }
    let namespace =
        fs::read_to_string(out.join("00-namespaces/namespace.shop-ns.yaml")).expect("the namespace");
    expect_snapshot("render.txt", &format!("{text}--- namespace.shop-ns.yaml\n{namespace}"));

    fs::create_dir_all(berth.work().join("theirs")).expect("made");
    fs::write(berth.work().join("theirs/file"), "").expect("written");
    berth.run(&["render", "small", "--out", "theirs"]).expect(8);
}

#[test]
fn the_kubeconfig_of_what_does_not_stand_says_what_to_type() {
    let berth = Berth::new();
    berth.profile("small", SMALL);
    let missing = berth.run(&["kubeconfig", "small"]).expect(1);
    expect_snapshot("kubeconfig-missing.txt", &told(&berth, &missing));
}

#[test]
fn what_needs_no_environment_works_in_an_empty_folder() {
    let berth = Berth::new();
    // Without the engines of this machine, which may have labs of others.
    let list = |arguments: &[&str]| {
        let mut command = berth.command(arguments);
        command.env("PATH", berth.work());
        super::support::run(command).expect(0)
    };
    assert!(list(&["list"]).stderr.contains("berth up lab --rehearse"));
    let listed = json(&list(&["list", "--output", "json"]));
    assert_eq!(listed["schema"], 1);
    assert_eq!(listed["environments"], Value::Array(Vec::new()));
    assert_eq!(json(&berth.run(&["schema"]).expect(0))["title"], "berth profile");
    assert!(berth.run(&["completions", "bash"]).expect(0).stdout.contains("_berth()"));
    assert_eq!(berth.run(&["--version"]).expect(0).stdout, format!("berth {}\n", env!("CARGO_PKG_VERSION")));
    let checks = json(&berth.run(&["doctor", "--output", "json"]).expect(0));
    assert_eq!(checks["schema"], 1);
    let checked = checks["checks"].as_array().expect("a list").iter().filter_map(|c| c["what"].as_str());
    let checked: Vec<&str> = checked.collect();
    assert!(checked.contains(&"state folder") && checked.contains(&"kwokctl"), "{checked:?}");
}

#[test]
fn no_home_is_said_and_no_panic() {
    let berth = Berth::new();
    berth.profile("small", SMALL);
    let mut command = berth.command(&["plan", "small"]);
    for variable in ["HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"] {
        command.env_remove(variable);
    }
    let finished = super::support::run(command).expect(1);
    expect_snapshot("no-home.txt", &told(&berth, &finished));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let berth = Berth::new();
    let mut child = berth
        .command(&["schema"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("waited for");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn a_rendering_says_what_is_not_in_it() {
    let berth = Berth::new();
    let profile = "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: lab\ncluster: {kind: {}}\n\
                   addons: {metallb: {}}\n";
    berth.profile("lab", profile);
    let rendered = berth.run(&["render", "lab", "--out", "out"]).expect(0);
    let said = rendered.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("left open addon metallb: pool `default`"), "{}", rendered.stderr);
    let rendered = berth.run(&["render", "lab", "--out", "out", "--output", "json"]).expect(0);
    assert_eq!(json(&rendered)["notes"][0]["topic"], "left open");
}
