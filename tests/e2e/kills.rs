//! kind killed with SIGKILL on its way, again and again: the next run clears what it left and goes on.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::lab::{Ground, Lab};

/// The calls of docker before which `kind create` dies: before there is a node, while it is set up, and
/// when all but the last steps are done. kind makes some 50 calls for a cluster of one node.
const POINTS: [usize; 10] = [2, 11, 12, 13, 21, 25, 26, 35, 38, 46];

/// A docker that kills the `kind create` that calls it for the time that the file `point` says.
fn deadly_docker(lab: &Lab) {
    let real = &Ground::find("kills").expect("the lab stands on it").docker;
    let (real, folder) = (real.display(), lab.work().display().to_string());
    let script = format!(
        "#!/bin/sh\n\
         if [ -e '{folder}/point' ] && tr '\\0' ' ' <\"/proc/$PPID/cmdline\" | grep -q 'kind create '; then\n\
         \techo call >>'{folder}/calls'\n\
         \tif [ \"$(wc -l <'{folder}/calls')\" -ge \"$(cat '{folder}/point')\" ]; then\n\
         \t\trm '{folder}/point' '{folder}/calls'\n\
         \t\tkill -KILL \"$PPID\"\n\
         \t\texit 137\n\
         \tfi\n\
         fi\n\
         exec '{real}' \"$@\"\n"
    );
    let path = lab.programs().join("docker");
    fs::remove_file(&path).expect("a link to the real one");
    fs::write(&path, script).expect("the folder is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

#[test]
fn a_kind_that_was_killed_at_any_point_is_made_good_by_the_next_run() {
    let Some(lab) = Lab::start("kills") else { return };
    lab.profile("cluster: {kind: {}}\ntenants: [{name: shop, namespaces: [shop-ns]}]\n");
    deadly_docker(&lab);
    for point in POINTS {
        fs::write(lab.work().join("point"), point.to_string()).expect("the folder is ours");
        let killed = lab.berth("up", &["--yes"]);
        assert!(!lab.work().join("point").exists(), "kind lived past call {point}: {}", killed.said());
        assert_ne!(killed.code, Some(0), "killed before call {point}: {}", killed.said());
        assert!(killed.stderr.contains("to go on"), "killed before call {point}: {}", killed.said());
    }
    lab.berth("up", &["--yes"]).expect(0);
    assert_eq!(lab.nodes(), [format!("{}-control-plane", lab.name())]);
    lab.berth("plan", &["--detailed-exitcode"]).expect(0);
    lab.kubectl(&["get", "namespace", "shop-ns"]).expect(0);

    // What was never finished goes as well as what was.
    lab.berth("down", &["--yes"]).expect(0);
    fs::write(lab.work().join("point"), "26").expect("the folder is ours");
    assert_ne!(lab.berth("up", &["--yes"]).code, Some(0));
    assert_eq!(lab.nodes().len(), 1, "half a cluster");
    lab.berth("down", &["--yes"]).expect(0);
    assert_eq!(lab.nodes(), Vec::<String>::new());
}
