//! The laws on a whole rehearsal: the control plane itself is made and taken away by berth, and a
//! shim of `kwokctl` puts the proxy before it.

use super::support::{Berth, Finished, Inventory, Rule, Shim};

/// The shipped profile `lab`, rehearsed behind the shim.
struct Lab {
    shim: Shim,
    berth: Berth,
}

impl Lab {
    fn new() -> Self {
        let shim = Shim::new();
        let berth = Berth::new().with_path_first(&shim.folder());
        Self { shim, berth }
    }

    fn run(&self, command: &str, more: &[&str]) -> Finished {
        self.berth.run(&[&[command, "lab", "--rehearse"], more].concat())
    }

    /// Runs `command`, killed by the rules of the stair, until it comes to its end.
    fn staircase(&self, command: &str, kill_at: fn(usize) -> Rule) -> usize {
        for k in 1..100 {
            self.shim.proxy().obey(vec![kill_at(k)]);
            let running = self.berth.start(&[command, "lab", "--rehearse", "--yes"]);
            self.shim.proxy().aim_at(running.pid());
            let ended = running.finish();
            if ended.code.is_some() {
                ended.expect(0);
                self.shim.proxy().obey(Vec::new());
                return k - 1;
            }
        }
        panic!("`{command}` did not come to its end");
    }

    /// What stands with berth's mark.
    fn inventory(&self) -> Inventory {
        let kubeconfig = self.berth.home().join("kubeconfig-of-the-test");
        let content = self.run("kubeconfig", &["--content"]).expect(0).stdout;
        std::fs::write(&kubeconfig, content).expect("the folder is ours");
        Inventory::of(&kubeconfig, "berth.dev/owner")
    }

    /// Programs that still run from this home, by their command lines.
    fn programs(&self) -> Vec<String> {
        let mut command = std::process::Command::new("ps");
        command.args(["-A", "-o", "args"]);
        let home = self.berth.home().display().to_string();
        let listed = super::support::run(command).expect(0).stdout;
        listed.lines().filter(|line| line.contains(&home)).map(str::to_string).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.shim.proxy().obey(Vec::new());
        self.run("down", &["--yes"]);
    }
}

#[test]
fn a_rehearsal_of_lab_survives_a_staircase_of_kills() {
    let lab = Lab::new();
    let kills = lab.staircase("up", Rule::kill_before);
    assert!(kills >= 5, "only {kills} kills");
    let titles = lab.inventory().titles();
    for kind in ["Node ", "Namespace ", "Deployment ", "ResourceQuota ", "RoleBinding ", "NetworkPolicy "] {
        assert!(titles.iter().any(|title| title.starts_with(kind)), "no {kind}in {titles:?}");
    }
    lab.shim.proxy().forget();
    lab.run("up", &["--yes"]).expect(0);
    assert_eq!(lab.shim.proxy().log().write_titles(), [""; 0]);
    lab.run("plan", &["--detailed-exitcode"]).expect(0);
    lab.staircase("down", Rule::kill_after);
    assert_eq!(lab.programs(), [""; 0]);
}

#[test]
fn what_runs_on_nodes_that_nobody_declared_is_rehearsed_on_some() {
    let berth = Berth::new();
    let profile = "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: theirs\nid: 7f3k2q9d\n\
                   cluster: {existing: {kubeconfig: kubeconfig, context: theirs}}\naddons: {traefik: {}}\n";
    berth.profile("theirs", profile);
    let plan = berth.run(&["plan", "theirs", "--rehearse"]);
    assert!(plan.stdout.contains("the profile declares no node groups"), "{}", plan.said());
    berth.run(&["up", "theirs", "--rehearse", "--yes"]).expect(0);
    let status = berth.run(&["status", "theirs", "--rehearse"]).expect(0);
    assert!(status.stdout.contains("everything is ready"), "{}", status.said());
    berth.run(&["down", "theirs", "--rehearse", "--yes"]).expect(0);
}

#[test]
fn a_context_in_the_users_own_files_goes_also_when_kubeconfig_names_the_one_of_berth() {
    let berth = Berth::new();
    let profile = "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: merged\ncluster: {kwok: {}}\n";
    berth.profile("merged", profile);
    berth.run(&["up", "merged", "--yes"]).expect(0);
    let own = berth.run(&["kubeconfig", "merged"]).expect(0).stdout.trim().to_string();
    let private = std::fs::read_to_string(&own).expect("it was written");
    let second = berth.home().join("second");
    let exported = |kubeconfigs: &str, arguments: &[&str]| {
        let mut command = berth.command(arguments);
        command.env("KUBECONFIG", kubeconfigs);
        super::support::run(command).expect(0)
    };
    exported(&own, &["kubeconfig", "merged", "--merge"]);
    assert_eq!(std::fs::read_to_string(&own).expect("it stays"), private);
    let several = format!("{own}:{}", second.display());
    exported(&several, &["kubeconfig", "merged", "--merge"]);
    let users = [berth.home().join(".kube/config"), second];
    let has_context = || {
        users
            .each_ref()
            .map(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains("berth-merged")))
    };
    assert_eq!(has_context(), [true, true]);

    let down = exported(&several, &["down", "merged", "--yes"]);
    assert_eq!(has_context(), [false, false], "{}", down.said());
    assert!(down.stdout.contains("nothing is left"), "{}", down.said());
}
