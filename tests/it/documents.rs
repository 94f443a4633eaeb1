//! What the README and the pages of docs/how-to tell people to type works as it is written:
//! every `sh` block of a page is run, in turn, in one home and one folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::{Berth, FakeAws, Finished, addon_binaries, run};

#[test]
fn the_commands_of_the_readme_work() {
    works("README.md");
}

#[test]
fn the_commands_of_first_rehearsal_work() {
    works("docs/how-to/first-rehearsal.md");
}

#[test]
fn the_commands_of_write_a_profile_work() {
    works("docs/how-to/write-a-profile.md");
}

#[test]
fn the_commands_of_existing_cluster_work() {
    works("docs/how-to/existing-cluster.md");
}

#[test]
fn the_commands_of_verify_work() {
    works("docs/how-to/verify.md");
}

#[test]
fn the_commands_of_gitops_render_work() {
    works("docs/how-to/gitops-render.md");
}

#[test]
fn the_commands_of_in_ci_work() {
    works("docs/how-to/in-ci.md");
}

#[test]
fn the_commands_of_air_gap_work() {
    works("docs/how-to/air-gap.md");
}

#[test]
fn the_commands_of_metallb_work() {
    works("docs/how-to/metallb.md");
}

#[test]
fn the_commands_of_write_your_own_addon_work() {
    works("docs/how-to/write-your-own-addon.md");
}

#[test]
fn the_commands_of_autoscaling_rehearsed_work() {
    works("docs/how-to/autoscaling-rehearsed.md");
}

#[test]
fn the_commands_of_traefik_work() {
    works("docs/how-to/traefik.md");
}

#[test]
fn the_commands_of_metrics_server_work() {
    works("docs/how-to/metrics-server.md");
}

#[test]
fn the_commands_of_gpu_work() {
    works("docs/how-to/gpu.md");
}

#[test]
fn the_commands_of_charts_work() {
    works("docs/how-to/charts.md");
}

#[test]
fn the_commands_of_eks_work() {
    let aws = FakeAws::start(60);
    let in_aws = |berth: Berth, (key, value): (String, String)| berth.with_variable(&key, &value);
    let berth = aws.environment().into_iter().fold(Berth::new(), in_aws);
    works_at(&Home(berth), "docs/how-to/eks.md");
}

#[test]
fn every_page_is_tested_here_and_its_links_lead_somewhere() {
    let tests = fs::read_to_string(repository().join(file!())).unwrap();
    let real = fs::read_to_string(repository().join("tests/e2e/how_to.rs")).unwrap();
    let mut pages: Vec<PathBuf> = fs::read_dir(repository().join("docs/how-to"))
        .unwrap()
        .map(|entry| Path::new("docs/how-to").join(entry.unwrap().file_name()))
        .collect();
    for page in &pages {
        let call = format!("works(\"{}\")", page.display());
        // What needs a real cluster is typed there.
        let is_real = real.contains(&format!("\"{}\"", page.display()));
        let elsewhere = format!(", \"{}\")", page.display());
        let is_here = tests.contains(&call) || tests.contains(&elsewhere);
        assert!(is_real || is_here, "no test here does {call}");
    }
    pages.extend(["README.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md"].map(PathBuf::from));
    for page in pages {
        let text = fs::read_to_string(repository().join(&page)).unwrap();
        let folder = page.parent().unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let there = target.is_empty() || target.contains("://") || {
                repository().join(folder).join(target).exists()
            };
            assert!(there, "{} links to `{target}`, which is not there", page.display());
        }
    }
}

#[test]
fn no_page_types_kubectl_without_saying_at_which_cluster() {
    let mut pages: Vec<PathBuf> = fs::read_dir(repository().join("docs/how-to"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .chain([repository().join("README.md")])
        .collect();
    pages.sort();
    let said = ["export KUBECONFIG=", "--context", "--kubeconfig"];
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        // Every second piece is a fenced block, with its language first.
        let blocks = text.split("\n```").skip(1).step_by(2);
        let typed = blocks.filter(|block| block.starts_with("sh\n") || block.starts_with("console\n"));
        let mut lines = typed.flat_map(str::lines).map(|line| line.strip_prefix("$ ").unwrap_or(line));
        let decided = lines.find(|line| {
            line.trim_start().starts_with("kubectl ") || said.iter().any(|said| line.contains(said))
        });
        let is_said = decided.is_none_or(|line| said.iter().any(|said| line.contains(said)));
        assert!(is_said, "{}: {}", page.display(), decided.unwrap_or_default());
    }
}

/// Runs the `sh` blocks of a page beside the profiles of the repository.
#[track_caller]
fn works(page: &str) {
    let text = fs::read_to_string(repository().join(page)).unwrap();
    let blocks = shell_blocks(&text);
    assert!(!blocks.is_empty(), "{page} has no `sh` block");
    let helm = tempfile::tempdir().unwrap();
    let mut home = Home(Berth::new());
    if blocks.iter().any(|block| block.contains("helm ")) {
        symlink(addon_binaries().join("helm4"), helm.path().join("helm")).unwrap();
        home = Home(Berth::new().with_path_first(helm.path()));
    }
    works_at(&home, page);
}

/// Runs the `sh` blocks of a page in `home`.
#[track_caller]
fn works_at(home: &Home, page: &str) {
    let text = fs::read_to_string(repository().join(page)).unwrap();
    let blocks = shell_blocks(&text);
    for entry in fs::read_dir(repository().join("profiles")).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, home.0.work().join("profiles").join(from.file_name().unwrap())).unwrap();
    }
    let finished = home.bash(&blocks.concat());
    assert_eq!(finished.code, Some(0), "{page}: {}", finished.said());
    let left = home.0.run(&["list", "--output", "json"]);
    let mut listed: serde_json::Value = serde_json::from_str(&left.stdout).unwrap();
    // Labs of others on this machine are known by their marks alone.
    listed["environments"].as_array_mut().unwrap().retain(|one| one["profile"].is_string());
    assert_eq!(listed["environments"], serde_json::json!([]), "{page} leaves one behind: {}", left.said());
}

/// The text of the fenced blocks that are marked `sh`.
fn shell_blocks(page: &str) -> Vec<String> {
    page.split("\n```sh\n")
        .skip(1)
        .map(|rest| rest.split_once("\n```").expect("a block ends").0.to_string() + "\n")
        .collect()
}

/// A home in which environments may stand; they are taken away with it, also when a test fails.
struct Home(Berth);

impl Home {
    fn bash(&self, script: &str) -> Finished {
        let berth = self.0.command(&[]);
        // `timeout` ends what the script started too.
        let mut bash = Command::new("timeout");
        bash.env_clear().current_dir(self.0.work());
        bash.args(["--kill-after=10", "240", "bash", "-euxo", "pipefail", "-c", script]);
        for (name, value) in berth.get_envs() {
            bash.env(name, value.unwrap_or_default());
        }
        let bin = Path::new(env!("CARGO_BIN_EXE_berth")).parent().unwrap();
        let path = berth.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value).unwrap();
        bash.env("PATH", format!("{}:{}", bin.display(), path.display()));
        run(bash)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let list = self.0.run(&["list", "--output", "json"]);
        let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap_or_default();
        for environment in list["environments"].as_array().into_iter().flatten() {
            let profile = environment["profile"].as_str().unwrap_or_default();
            let rehearsed = environment["about"]["rehearsal"] == true;
            let more: &[&str] = if rehearsed { &["--rehearse"] } else { &[] };
            self.0.run(&[&["down", profile, "--yes"], more].concat());
        }
    }
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
