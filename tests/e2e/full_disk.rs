//! A state folder on a disk that is full.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;

use crate::lab::{Lab, skipped};
use crate::support::{Finished, eventually, run};

/// A small file system of its own. Dropped, it is unmounted.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    fn mount(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("the folder is ours");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "berth-e2e"]).arg(folder);
        run(mount).expect(0);
        Self { folder: folder.to_path_buf() }
    }

    /// Takes all that is free.
    fn fill(&self) {
        let mut file = File::create(self.folder.join("filler")).expect("the disk is ours");
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn clear(&self) {
        fs::remove_file(self.folder.join("filler")).expect("it was filled");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut unmount = Command::new("umount");
        unmount.arg("--lazy").arg(&self.folder);
        run(unmount);
    }
}

/// Whether it says what it could not write, and why.
fn names_the_disk(finished: &Finished) -> bool {
    finished.stderr.contains("no space left on device") && finished.stderr.contains("/.local/state/berth")
}

#[test]
fn a_full_disk_is_named_and_once_there_is_room_the_lab_stands() {
    if !geteuid().is_root() {
        skipped("full-disk", "a file system can be mounted by root only");
        return;
    }
    let Some(lab) = Lab::start("full-disk") else { return };
    lab.profile("cluster:\n  kind: {version: \"1.36\"}\n");
    let disk = Disk::mount(&lab.home().join(".local/state"));

    disk.fill();
    let failed = lab.berth("up", &["--yes"]);
    assert!(failed.code != Some(0) && names_the_disk(&failed), "{}", failed.said());
    assert_eq!(lab.nodes(), Vec::<String>::new(), "nothing is made that could not be remembered");

    disk.clear();
    let up = lab.start_berth("up", &["--yes"]);
    eventually("kind has made a node", || (!lab.nodes().is_empty()).then_some(()));
    disk.fill();
    let filled = up.finish();
    assert!(filled.code == Some(0) || names_the_disk(&filled), "{}", filled.said());

    disk.clear();
    lab.berth("up", &["--yes"]).expect(0);
    assert_eq!(lab.nodes(), [format!("{}-control-plane", lab.name())]);

    disk.fill();
    let looked = lab.berth("status", &[]);
    assert!(looked.code == Some(0) || names_the_disk(&looked), "{}", looked.said());
    let gone = lab.berth("down", &["--yes"]);
    assert!(gone.code == Some(0) || names_the_disk(&gone), "{}", gone.said());
    disk.clear();
    lab.berth("down", &["--yes"]).expect(0);
    assert_eq!(lab.nodes(), Vec::<String>::new());
}
