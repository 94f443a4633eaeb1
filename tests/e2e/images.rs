//! `image load` into the three nodes of a real cluster: from Docker and from archives, what is there already
//! not again, and made good after it was stopped and after a node died.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::lab::{Ground, Lab};
use crate::support::{Finished, Running, eventually};

/// An image that serves.
const BASE: &str = "localhost/hello:v1";

/// Images of this test alone, and a docker that writes down what is done with them.
struct Images {
    lab: Lab,
    names: Vec<String>,
}

impl Images {
    fn new(lab: Lab) -> Self {
        let images = Self { lab, names: Vec::new() };
        let real = &Ground::find("images").expect("the lab stands on it").docker;
        let (real, folder) = (real.display(), images.lab.work().display().to_string());
        // While there is a gate, what is saved stops on its way.
        let script = format!(
            "#!/bin/sh\n\
             echo \"$*\" >>'{folder}/calls'\n\
             if [ \"$1\" = save ] && [ -e '{folder}/gate' ]; then\n\
             \t'{real}' \"$@\" | {{\n\
             \t\thead -c 1000000\n\
             \t\ttouch '{folder}/stopped'\n\
             \t\twhile [ -e '{folder}/gate' ]; do sleep 0.05; done\n\
             \t\tcat\n\
             \t}}\n\
             \texit\n\
             fi\n\
             exec '{real}' \"$@\"\n"
        );
        let path = images.lab.programs().join("docker");
        fs::remove_file(&path).expect("a link to the real one");
        fs::write(&path, script).expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        images
    }

    /// Builds the image `name`, which serves; its name in full.
    fn build(&mut self, name: &str) -> String {
        let full = format!("localhost/{}/{name}:v1", self.lab.name());
        let file = self.lab.work().join("Dockerfile");
        fs::write(&file, format!("FROM {BASE}\nLABEL name={name}\n")).expect("the folder is ours");
        self.lab.docker(&["build", "--quiet", "--tag", &full, "."]).expect(0);
        self.names.push(full.clone());
        full
    }

    fn forget_calls(&self) {
        fs::write(self.lab.work().join("calls"), "").expect("the folder is ours");
    }

    /// How many nodes something was streamed into since the calls were forgotten.
    fn streams(&self) -> usize {
        let calls = fs::read_to_string(self.lab.work().join("calls")).expect("docker was called");
        calls.lines().filter(|call| call.contains("images import")).count()
    }

    fn arguments<'a>(&'a self, images: &[&'a str]) -> Vec<&'a str> {
        [&["image", "load"], images, &["--environment", self.lab.name(), "--output", "json"]].concat()
    }

    /// Loads them to the end.
    fn load(&self, images: &[&str]) -> Finished {
        self.start(images).finish()
    }

    fn start(&self, images: &[&str]) -> Running {
        self.forget_calls();
        Running::start(self.lab.berth_command(&self.arguments(images)))
    }

    /// Starts to load `image` and stops it in the middle of its stream.
    fn start_and_hold(&self, image: &str) -> Running {
        let stopped = self.lab.work().join("stopped");
        fs::write(self.gate(), "").expect("the folder is ours");
        let running = self.start(&[image]);
        eventually("a part of the image is on its way", || stopped.exists().then_some(()));
        fs::remove_file(stopped).expect("the folder is ours");
        running
    }

    fn gate(&self) -> PathBuf {
        self.lab.work().join("gate")
    }

    fn release(&self) {
        fs::remove_file(self.gate()).expect("there was a gate");
    }

    /// Whether the node sees the image, as Kubernetes does.
    fn is_on(&self, node: &str, image: &str) -> bool {
        let listed = self.lab.docker_says(&["exec", node, "crictl", "images", "--output", "json"]);
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        let images = listed["images"].as_array().into_iter().flatten();
        images.filter_map(|image| image["repoTags"].as_array()).flatten().any(|tag| tag == image)
    }

    fn forget(&self, nodes: &[String], image: &str) {
        for node in nodes {
            self.lab.docker(&["exec", node, "crictl", "rmi", image]).expect(0);
        }
    }

    /// The file `name` with `image` in the layout of OCI, as containerd writes it.
    fn oci_archive(&self, node: &str, image: &str, name: &str) {
        // By a file of the node: what Docker hands out may be cut short on a busy machine, also of a file.
        let export = ["exec", node, "ctr", "--namespace=k8s.io", "images", "export", "--skip-manifest-json"];
        let file = format!("/{name}");
        eventually("the archive is whole", || {
            self.lab.docker(&[&export[..], &[&file, image]].concat()).expect(0);
            self.lab.docker(&["cp", &format!("{node}:{file}"), name]).expect(0);
            let mut list = Command::new("tar");
            list.arg("--list").arg("--file").arg(self.lab.work().join(name));
            let listed = list.output().expect("tar is there");
            listed.status.success().then_some(())
        });
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        for name in &self.names {
            self.lab.docker(&["rmi", name]);
        }
    }
}

/// What came of the images, node by node in the order of their names: `loaded loaded present`.
fn outcomes(finished: &Finished) -> Vec<String> {
    let told: Value =
        serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {}", finished.said()));
    let words = |image: &Value| -> Vec<String> {
        let nodes = image["nodes"].as_array().expect("nodes").iter();
        let mut nodes: Vec<(&str, &str)> = nodes
            .map(|node| (node["node"].as_str().expect("a name"), node["outcome"].as_str().expect("a word")))
            .collect();
        nodes.sort_unstable();
        nodes.iter().map(|(_, outcome)| (*outcome).to_string()).collect()
    };
    told["images"].as_array().expect("images").iter().map(|image| words(image).join(" ")).collect()
}

#[test]
fn images_of_docker_and_of_archives_run_on_every_node_without_a_registry() {
    let Some(lab) = Lab::of_nodes("images", 3) else { return };
    let mut images = Images::new(lab);
    images.lab.profile("cluster: {kind: {}}\nnodeGroups: [{name: general, nodes: 2}]\n");
    images.lab.berth("up", &["--yes"]).expect(0);
    let nodes = images.lab.nodes();
    assert_eq!(nodes.len(), 3);

    // From Docker.
    let built = images.build("built");
    assert_eq!(outcomes(&images.load(&[&built]).expect(0)), ["loaded loaded loaded"]);
    assert_eq!(images.streams(), 3);

    // From archives: Docker's own format, and the layout of OCI.
    let (saved, exported) = (images.build("saved"), images.build("exported"));
    images.lab.docker(&["save", "--output", "saved.tar", &saved]).expect(0);
    images.load(&[&exported]).expect(0);
    images.oci_archive(&nodes[0], &exported, "exported.tar");
    images.forget(&nodes, &exported);
    for name in [&saved, &exported] {
        images.lab.docker(&["rmi", name]).expect(0);
    }
    let archives = ["saved.tar", "exported.tar"];
    let from_archives = images.load(&archives).expect(0);
    assert_eq!(outcomes(&from_archives), ["loaded loaded loaded"; 2], "{}", from_archives.said());

    // What every node has is sent to none.
    let all = [built.as_str(), "saved.tar", "exported.tar"];
    let again = images.load(&all).expect(0);
    assert_eq!((outcomes(&again), images.streams()), (vec!["present present present".to_string(); 3], 0));

    // What one node lacks is sent to that one.
    images.forget(&nodes[1..2], &built);
    let one = images.load(&all).expect(0);
    assert_eq!(outcomes(&one)[0], "present loaded present", "{}", one.said());
    assert_eq!(images.streams(), 1);

    // Stopped on its way, it is on no node; the same command brings it there.
    images.forget(&nodes, &built);
    let stopped = images.start_and_hold(&built);
    stopped.signal(Signal::INT);
    let stopped = stopped.finish().expect(130);
    assert!(stopped.stderr.contains("run the same command again"), "{}", stopped.said());
    images.release();
    assert!(!nodes.iter().any(|node| images.is_on(node, &built)), "a part of an image is no image");
    assert_eq!(outcomes(&images.load(&[&built]).expect(0)), ["loaded loaded loaded"]);

    // A node that dies on the way is named, and holds up no other.
    images.forget(&nodes, &built);
    let held = images.start_and_hold(&built);
    images.lab.docker(&["kill", &nodes[2]]).expect(0);
    images.release();
    let partly = held.finish().expect(6);
    assert_eq!(outcomes(&partly), ["loaded loaded failed"], "{}", partly.said());
    assert!(partly.stderr.contains(&format!("into node `{}`", nodes[2])), "{}", partly.said());
    let refused = images.load(&[&built]).expect(1);
    assert!(refused.stderr.contains("berth up"), "{}", refused.said());
    images.lab.berth("up", &["--yes"]).expect(0);
    assert_eq!(outcomes(&images.load(&[&built]).expect(0)), ["present present loaded"]);

    // Pods run all three on each node, and nothing is pulled for them.
    for (number, node) in nodes.iter().enumerate() {
        run_pod(&images.lab, &format!("pod{number}"), node, &[&built, &saved, &exported]);
    }
    images.lab.kubectl(&["wait", "--for=condition=Ready", "pods", "--all", "--timeout=90s"]).expect(0);
    images.lab.berth("down", &["--yes"]).expect(0);
}

/// Makes a pod with a container of each image on `node`, which may not pull.
fn run_pod(lab: &Lab, name: &str, node: &str, images: &[&str]) {
    let container = |(number, image): (usize, &&str)| {
        // Containers of a pod share their ports.
        let listen = format!("-addr=:{}", 8080 + number);
        json!({"name": format!("c{number}"), "image": image, "imagePullPolicy": "Never", "args": [listen]})
    };
    let containers: Vec<Value> = images.iter().enumerate().map(container).collect();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"nodeName": node, "containers": containers}});
    let file = lab.work().join(format!("{name}.json"));
    fs::write(&file, pod.to_string()).expect("the folder is ours");
    lab.kubectl(&["apply", "--filename", &file.display().to_string()]).expect(0);
}
