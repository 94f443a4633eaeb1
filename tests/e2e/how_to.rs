//! The pages of docs/how-to that need a real cluster tell people to type what works: every `sh` block of a page
//! is run, in turn, in one home and one folder. Only the names of cluster and image and the ports are the test's
//! own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::lab::{Ground, Lab};
use crate::support::{Finished, run};

const PAGE: &str = "docs/how-to/local-lab.md";
const REGISTRY_PAGE: &str = "docs/how-to/local-registry.md";
const IMAGES_PAGE: &str = "docs/how-to/images.md";
/// An image that serves.
const IMAGE: &str = "localhost/hello:v1";

#[test]
fn the_commands_of_local_lab_work() {
    let Some(lab) = Lab::of_nodes("how-to", 4) else { return };
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let profile = fs::read_to_string(repository.join("profiles/lab.yaml")).unwrap();
    let profile = replaced(&profile, &[("name: lab\n", &format!("name: {}\n", lab.name()))]);
    fs::write(lab.work().join("profiles/lab.yaml"), at_ports(&lab, &profile)).unwrap();
    pulls_what_is_there(&lab);

    let finished = bash(&lab, &at_ports(&lab, &shell_blocks(PAGE)));
    lab.docker(&["rmi", &format!("localhost:{}/checkout/web:1", lab.port(0))]);
    assert_eq!(finished.code, Some(0), "{PAGE}: {}", finished.said());
    assert_eq!(lab.nodes(), [""; 0], "{PAGE} leaves nodes behind: {}", finished.said());
}

#[test]
fn the_commands_of_local_registry_work() {
    let Some(mut lab) = Lab::start("how-to-reg") else { return };
    let port = lab.port(0);
    lab.removes(&format!("berth-registry-{port}"));
    write_profile(&lab, &format!("cluster: {{kind: {{}}}}\nregistry: {{local: {{port: {port}}}}}\n"));
    // What the reader built.
    let image = format!("{}-app:dev", lab.name());
    lab.docker(&["tag", IMAGE, &image]).expect(0);

    let page = replaced(&at_ports(&lab, &shell_blocks(REGISTRY_PAGE)), &[("app:dev", &image)]);
    let runs = "kubectl wait pod/app --for=condition=Ready --timeout=90s\n";
    let script = format!("berth up lab --yes\n{page}{runs}berth down lab --yes --registries\n");
    let finished = bash(&lab, &script);
    lab.docker(&["rmi", &image, &format!("localhost:{port}/{image}")]);
    assert_eq!(finished.code, Some(0), "{REGISTRY_PAGE}: {}", finished.said());
    assert_eq!(lab.nodes(), [""; 0], "nodes are left behind: {}", finished.said());
}

#[test]
fn the_commands_of_images_work() {
    let Some(lab) = Lab::start("how-to-images") else { return };
    write_profile(&lab, "cluster: {kind: {}}\n");
    fs::write(lab.work().join("Dockerfile"), format!("FROM {IMAGE}\nLABEL reader={}\n", lab.name())).unwrap();
    let image = format!("{}/api:v1", lab.name());

    let page = replaced(&shell_blocks(IMAGES_PAGE), &[("shop/api:v1", &image)]);
    let runs = "kubectl rollout status deployment/api --timeout=90s\n";
    let finished = bash(&lab, &format!("berth up lab --yes\n{page}{runs}berth down lab --yes\n"));
    lab.docker(&["rmi", &image]);
    assert_eq!(finished.code, Some(0), "{IMAGES_PAGE}: {}", finished.said());
    assert_eq!(lab.nodes(), [""; 0], "nodes are left behind: {}", finished.said());
}

/// The profile `lab`, of this lab.
fn write_profile(lab: &Lab, body: &str) {
    let head = format!("apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: {}\n", lab.name());
    fs::write(lab.work().join("profiles/lab.yaml"), head + body).unwrap();
}

/// The fenced blocks of a page that are marked `sh`, as one script.
fn shell_blocks(page: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let blocks = text.split("\n```sh\n").skip(1);
    blocks.map(|rest| rest.split_once("\n```").expect("a block ends").0.to_string() + "\n").collect()
}

/// `text` at the ports of this lab: other tests and people have the usual ones.
fn at_ports(lab: &Lab, text: &str) -> String {
    let (registry, forward) = (lab.port(0).to_string(), lab.port(1).to_string());
    replaced(text, &[("5001", &registry), ("8081", &forward)])
}

fn replaced(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_string(), |text, (from, to)| text.replace(from, to))
}

/// A docker that finds its images up to date without asking where they come from, and that tags a copy: here is
/// no registry that could be asked, and once a kubelet has pulled an image under another name it asks for it
/// again. All else is the real one's.
fn pulls_what_is_there(lab: &Lab) {
    let real = &Ground::find("how-to").expect("the lab stands on it").docker;
    let real = real.display();
    let script = format!(
        "#!/bin/sh\ncase $1 in\n\
         pull) '{real}' image inspect \"$2\" >/dev/null 2>&1 && exit 0 ;;\n\
         tag) printf 'FROM %s\\nLABEL reader={name}\\n' \"$2\" | '{real}' build --quiet --tag \"$3\" -; exit ;;\n\
         esac\nexec '{real}' \"$@\"\n",
        name = lab.name()
    );
    let path = lab.programs().join("docker");
    fs::remove_file(&path).expect("a link to the real one");
    fs::write(&path, script).expect("the folder is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

fn bash(lab: &Lab, script: &str) -> Finished {
    let berth = lab.berth_command(&[]);
    // `timeout` ends what the script started too.
    let mut bash = Command::new("timeout");
    bash.env_clear().current_dir(lab.work());
    bash.args(["--kill-after=10", "600", "bash", "-euxo", "pipefail", "-c", script]);
    for (name, value) in berth.get_envs() {
        bash.env(name, value.unwrap_or_default());
    }
    let bin = Path::new(env!("CARGO_BIN_EXE_berth")).parent().unwrap();
    let path = berth.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value).unwrap();
    bash.env("PATH", format!("{}:{}", bin.display(), path.display()));
    run(bash)
}
