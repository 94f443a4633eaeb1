use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::base::{Fault, FaultKind};
use crate::containers::Engine;
use crate::os::Program;

/// Asks a node what it has, in one go: as Kubernetes sees it, as containerd does, and how containerd unpacks.
const QUESTION: &str = "crictl images -o json && echo '>' && ctr --namespace=k8s.io images ls && echo '>' && \
                        containerd config dump";
/// The tables of containerd's configuration that say how Kubernetes' images are unpacked, newest version first.
const UNPACKING: [&str; 2] = ["io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri\".containerd"];

/// A node of a kind cluster, and the images that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name of its container, which is also the node's in Kubernetes.
    pub name: String,
    /// The digests of each name: of configuration and manifest.
    images: BTreeMap<String, BTreeSet<String>>,
    /// The names that Kubernetes sees.
    visible: BTreeSet<String>,
    /// How images are unpacked; empty for containerd's own choice.
    snapshotter: String,
}

impl Node {
    /// Asks the running container `name`.
    pub async fn look(engine: &Engine, name: &str) -> Result<Self, Fault> {
        let attempted = format!("ask node `{name}` for its images");
        let finished = engine.exec(name, ["sh", "-c", QUESTION], None).await?;
        if !finished.succeeded() {
            return Err(engine
                .failed(&attempted, &finished)
                .hint(format!("`{} logs {name}` says how it is", engine.kind())));
        }
        Self::parse(name, &finished.stdout).map_err(|problem| Fault::new(FaultKind::Bug, attempted, problem))
    }

    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut parts = text.split("\n>\n");
        let (Some(seen), Some(listed)) = (parts.next(), parts.next()) else {
            return Err("its answer has not the parts that it should have".to_string());
        };
        let seen: Value = serde_json::from_str(seen).map_err(|error| error.to_string())?;
        let mut images: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut visible = BTreeSet::new();
        for image in items(&seen["images"]) {
            let id = image["id"].as_str().unwrap_or_default();
            for name in
                items(&image["repoTags"]).chain(items(&image["repoDigests"])).filter_map(Value::as_str)
            {
                images.entry(name.to_string()).or_default().insert(id.to_string());
                visible.insert(name.to_string());
            }
        }
        // REF TYPE DIGEST …
        for line in listed.lines().skip(1) {
            let mut words = line.split_whitespace();
            if let (Some(name), Some(digest)) = (words.next(), words.nth(1)) {
                images.entry(name.to_string()).or_default().insert(digest.to_string());
            }
        }
        let snapshotter = parts.next().map(snapshotter_in).unwrap_or_default();
        Ok(Self { name: name.to_string(), images, visible, snapshotter })
    }

    /// Whether it has an image of one of `ids` under each of `names`.
    pub(super) fn has(&self, names: &[String], ids: &[String]) -> bool {
        let same = |name: &String| {
            self.images.get(name).is_some_and(|digests| ids.iter().any(|id| digests.contains(id)))
        };
        !names.is_empty() && names.iter().all(|name| same(name) && self.visible.contains(name))
    }

    /// Whether Kubernetes finds an image under each of `names`.
    pub(super) fn shows(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.visible.contains(name))
    }

    /// The program that takes an archive from its standard input into the node. `nameless` images get a name.
    ///
    /// Not by containerd's transfer service, which takes half as long again; not for all platforms: an archive
    /// of one platform may name others that it does not hold.
    pub(super) fn import(&self, engine: &Engine, nameless: bool) -> Program {
        let program = engine.program().args(["exec", "--interactive", &self.name]);
        let mut program = program.args(["ctr", "--namespace=k8s.io", "images", "import", "--local"]);
        if nameless {
            program = program.args(["--digests", "--skip-digest-for-named"]);
        }
        if !self.snapshotter.is_empty() {
            program = program.arg(format!("--snapshotter={}", self.snapshotter));
        }
        program.arg("-")
    }

    /// Gives the image `from` of the node the name `to`, in place of its own.
    pub(super) async fn rename(&self, engine: &Engine, from: &str, to: &str) -> Result<(), Fault> {
        let script = "ctr --namespace=k8s.io images tag --force \"$1\" \"$2\" && ctr --namespace=k8s.io images rm \"$1\"";
        let finished = engine.exec(&self.name, ["sh", "-c", script, "sh", from, to], None).await?;
        if finished.succeeded() {
            return Ok(());
        }
        Err(engine.failed(&format!("name image `{to}` on node `{}`", self.name), &finished))
    }
}

/// The snapshotter of Kubernetes' images in containerd's configuration.
fn snapshotter_in(configuration: &str) -> String {
    let mut inside = false;
    for line in configuration.lines().map(str::trim) {
        if line.starts_with('[') {
            let table = line.replace('\'', "\"");
            inside = UNPACKING.iter().any(|known| {
                table == format!("[plugins.\"{known}\"]") || table == format!("[plugins.\"{known}]")
            });
        } else if let Some((key, value)) = line.split_once('=')
            && inside
            && key.trim() == "snapshotter"
        {
            return value.trim().trim_matches(['\'', '"']).to_string();
        }
    }
    String::new()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::EngineKind;

    const ANSWER: &str = r#"{"images": [{"id": "sha256:8c76", "repoTags": ["localhost/hello:v1"], "repoDigests": []}]}
>
REF                TYPE                                                 DIGEST      SIZE    PLATFORMS   LABELS
localhost/hello:v1 application/vnd.docker.distribution.manifest.v2+json sha256:ce99 6.2 MiB linux/amd64 io.cri-containerd.image=managed
localhost/new:v1   application/vnd.docker.distribution.manifest.v2+json sha256:abcd 6.2 MiB linux/amd64 -
>
version = 3
[plugins]
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    snapshotter = ''
  [plugins.'io.containerd.cri.v1.images']
    snapshotter = 'fuse-overlayfs'
"#;

    fn node() -> Node {
        Node::parse("lab-worker", ANSWER).expect("whole")
    }

    #[test]
    fn an_image_is_known_by_its_configuration_and_by_its_manifest() {
        let has = |name: &str, id: &str| node().has(&[name.to_string()], &[id.to_string()]);
        assert!(has("localhost/hello:v1", "sha256:8c76"));
        assert!(has("localhost/hello:v1", "sha256:ce99"));
        assert!(!has("localhost/hello:v1", "sha256:0000"));
        assert!(!has("localhost/hello:v2", "sha256:8c76"));
    }

    #[test]
    fn an_image_that_kubernetes_does_not_see_yet_is_not_there() {
        assert!(!node().has(&["localhost/new:v1".to_string()], &["sha256:abcd".to_string()]));
    }

    #[test]
    fn images_are_unpacked_as_the_node_is_configured() {
        assert_eq!(node().snapshotter, "fuse-overlayfs");
        let older = "[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n  snapshotter = \"native\"\n";
        assert_eq!(snapshotter_in(older), "native");
        assert_eq!(snapshotter_in("version = 3"), "");
    }

    #[test]
    fn an_import_unpacks_as_the_node_does_and_names_what_has_no_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let engine = Engine::played(EngineKind::Docker, folder.path(), "");
        let import = |node: &Node, nameless| format!("{:?}", node.import(&engine, nameless));
        let (named, nameless) = (import(&node(), false), import(&node(), true));
        assert!(named.contains("--snapshotter=fuse-overlayfs") && !named.contains("--digests"), "{named}");
        assert!(nameless.contains("--digests"), "{nameless}");
        let plain = Node { snapshotter: String::new(), ..node() };
        assert!(!import(&plain, false).contains("--snapshotter"));
    }

    #[test]
    fn a_real_node_is_read() {
        let answer = include_str!("../../../tests/fixtures/engines/docker-20.10/node-images.txt");
        let node = Node::parse("lab-worker", answer).expect("whole");
        let hello = "sha256:8c763776351868fbf235aa6aa2c5da20d87fc31175c3abf0f30ac5738655fe0e";
        assert!(node.has(&["docker.io/library/hello:ld".to_string()], &[hello.to_string()]));
        assert_eq!(node.snapshotter, "overlayfs");
    }

    #[test]
    fn half_an_answer_is_no_node_without_images() {
        assert!(Node::parse("lab-worker", "{\"images\": []}").is_err());
    }
}
