use std::path::{Path, PathBuf};

use crate::base::{Fault, FaultKind, Reference};
use crate::containers::{Archive, Engine, EngineImage, Info, missing_image};
use crate::profile::nearest;

/// How the names of archives end.
const ARCHIVES: [&str; 6] = [".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2"];

/// An image that shall be on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The names under which pods ask for it, in full; none while only the nodes can tell what an archive holds.
    pub names: Vec<String>,
    /// Digests by which it is known.
    pub ids: Vec<String>,
    /// In bytes, about as many as are sent; 0 when nobody knows.
    pub size: u64,
    /// What is odd about it.
    pub note: Option<String>,
    /// Where it comes from.
    pub source: Source,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// From the engine of this machine.
    Engine {
        /// What it is saved as: names, or one name with a digest.
        saved_as: Vec<String>,
        /// The platform to be saved, where the engine has several in one image.
        platform: Option<String>,
    },
    /// From a file.
    Archive {
        /// Its path.
        path: PathBuf,
        /// The program that undoes its compression.
        unpacker: Option<&'static str>,
    },
}

/// Whether `typed` means a file: as a path is written, or by how the name ends.
pub fn is_file(typed: &str) -> bool {
    typed.starts_with(['/', '.']) || ARCHIVES.iter().any(|ending| typed.ends_with(ending))
}

impl Wanted {
    /// What is in the archive `typed`, a path from `folder` on.
    pub fn from_archive(typed: &str, folder: &Path) -> Result<Vec<Self>, Fault> {
        let archive = Archive::open(&folder.join(typed))?;
        let source = Source::Archive { path: archive.path.clone(), unpacker: archive.unpacker };
        let Some(images) = &archive.images else {
            return Ok(vec![Self { names: Vec::new(), ids: Vec::new(), size: 0, note: None, source }]);
        };
        let count = images.len() as u64;
        let wanted = images.iter().map(|image| {
            if image.names.is_empty() {
                let attempted = format!("load image archive `{typed}`");
                let reason =
                    format!("`{}` in it has no name, so no pod could ask for it", short(&image.ids[0]));
                return Err(Fault::new(FaultKind::Invalid, attempted, reason)
                    .hint("save it by its name: `docker save -o FILE NAME:TAG`"));
            }
            Ok(Self {
                names: image.names.clone(),
                ids: image.ids.clone(),
                size: archive.size / count,
                note: None,
                source: source.clone(),
            })
        });
        wanted.collect()
    }

    /// The image that `engine` knows as `typed`: a name, a name with a digest, or an id.
    pub async fn from_engine(engine: &Engine, info: &Info, typed: &str) -> Result<Self, Fault> {
        let own = format!("linux/{}", info.architecture);
        let asked = info.containerd_store.then_some(own.as_str());
        let Some(image) = engine.image(typed, asked).await? else {
            let known = engine.image_names().await?;
            return Err(missing_image(engine.kind(), typed, nearest_image(typed, &known)));
        };
        let names = names_of(typed, &image);
        if names.is_empty() {
            let reason = "it has no name, so no pod could ask for it";
            return Err(Fault::new(FaultKind::Invalid, format!("load image `{typed}`"), reason).hint(
                format!("`{} tag {typed} NAME:TAG` gives it one, by which it can be loaded", engine.kind()),
            ));
        }
        let built_for = format!("{}/{}", image.os, image.architecture);
        let foreign = !info.architecture.is_empty() && !image.architecture.is_empty() && built_for != own;
        Ok(Self {
            ids: vec![image.id],
            size: image.size,
            note: foreign.then(|| {
                format!("{typed} is built for {built_for} and the nodes are {own}: it runs only where that is emulated")
            }),
            source: Source::Engine { saved_as: names.clone(), platform: image.platform },
            names,
        })
    }

    /// How it is told.
    pub fn title(&self) -> String {
        match &self.source {
            Source::Archive { path, .. } if self.names.is_empty() => path.display().to_string(),
            _ => self.names.join(", "),
        }
    }

    /// Whether it is asked for by digest: its archive then holds no name.
    pub(super) fn by_digest(&self) -> bool {
        matches!(self.source, Source::Engine { .. }) && self.names.iter().any(|name| name.contains('@'))
    }
}

/// The names under which `typed` shall be on the nodes.
fn names_of(typed: &str, image: &EngineImage) -> Vec<String> {
    if let Some(reference) = Reference::parse(typed) {
        if let Some(digest) = &reference.digest {
            return vec![format!("{}@{digest}", reference.name)];
        }
        let full = reference.to_string();
        let tagged = if reference.tag.as_deref() == Some("latest") && !typed.ends_with(":latest") {
            format!("{typed}:latest")
        } else {
            typed.to_string()
        };
        // Podman calls `hello:v1` `localhost/hello:v1`.
        let same = |tag: &&String| {
            **tag == full || tag.strip_suffix(&tagged).is_some_and(|host| host.ends_with('/'))
        };
        if let Some(tag) =
            image.tags.iter().find(|tag| **tag == full).or_else(|| image.tags.iter().find(same))
        {
            return vec![tag.clone()];
        }
    }
    image.tags.clone()
}

/// The known image that was most likely meant, as short as it can be typed.
fn nearest_image<'a>(typed: &str, known: &'a [String]) -> Option<&'a str> {
    // A long prefix that nobody types would hide how near the rest is.
    let short = |name: &'a String| {
        let hub = name.strip_prefix("docker.io/");
        hub.map_or(name.as_str(), |path| path.strip_prefix("library/").unwrap_or(path))
    };
    let short: Vec<&str> = known.iter().map(short).collect();
    let typed = typed.strip_prefix("docker.io/").unwrap_or(typed);
    nearest(typed, short.iter().copied()).or_else(|| {
        // Another registry, or another tag of the same name.
        let bare = |name: &str| {
            let last = name.rsplit('/').next().unwrap_or(name);
            last.split([':', '@']).next().unwrap_or(last).to_string()
        };
        let wanted = bare(typed);
        let bares: Vec<String> = short.iter().map(|name| bare(name)).collect();
        let found = nearest(&wanted, bares.iter().map(String::as_str))?;
        let index = bares.iter().position(|bare| bare == found)?;
        short.get(index).copied()
    })
}

/// The beginning of a digest, as engines show it.
fn short(id: &str) -> &str {
    let hash = id.strip_prefix("sha256:").unwrap_or(id);
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::EngineKind;

    const DIGEST: &str = "sha256:54fbdac2f4c2819b93e82d29268e31aaad64155e6627901c7d1b9ce727e15ade";

    fn image(tags: &[&str]) -> EngineImage {
        EngineImage {
            id: "sha256:8c763776351868fbf235aa6aa2c5da20d87fc31175c3abf0f30ac5738655fe0e".to_string(),
            tags: tags.iter().map(ToString::to_string).collect(),
            digests: Vec::new(),
            os: "linux".to_string(),
            architecture: "amd64".to_string(),
            size: 1,
            platform: None,
        }
    }

    #[test]
    fn an_image_is_on_the_nodes_as_pods_ask_for_it() {
        let docker = image(&["docker.io/library/hello:v1", "docker.io/library/other:latest"]);
        assert_eq!(names_of("hello:v1", &docker), ["docker.io/library/hello:v1"]);
        assert_eq!(names_of("other", &docker), ["docker.io/library/other:latest"]);
        assert_eq!(names_of("8c7637763518", &docker), docker.tags);
        let by_digest = format!("hello@{DIGEST}");
        assert_eq!(names_of(&by_digest, &docker), [format!("docker.io/library/hello@{DIGEST}")]);
        let podman = image(&["localhost/hello:v1", "localhost/hello:latest"]);
        assert_eq!(names_of("hello:v1", &podman), ["localhost/hello:v1"]);
        assert_eq!(names_of("hello", &podman), ["localhost/hello:latest"]);
        assert!(names_of("8c7637763518", &image(&[])).is_empty());
    }

    #[tokio::test]
    async fn an_image_for_other_machines_and_one_without_a_name_are_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = r#"case "$*" in
            'image inspect foreign') echo '[{"Id": "sha256:8c76", "RepoTags": ["foreign:latest"], "Os": "linux", "Architecture": "arm64"}]' ;;
            'image inspect --platform linux/amd64 foreign')
                echo 'image with reference foreign was found but does not provide the specified platform (linux/amd64)' >&2
                exit 1 ;;
            'image inspect 8c76') echo '[{"Id": "sha256:8c76", "RepoTags": [], "Os": "linux", "Architecture": "amd64"}]' ;;
            *) exit 70 ;;
            esac"#;
        let engine = Engine::played(EngineKind::Docker, folder.path(), script);
        let info = Info { architecture: "amd64".to_string(), ..Info::default() };
        let foreign = Wanted::from_engine(&engine, &info, "foreign").await.expect("it is there");
        assert!(foreign.note.is_some_and(|note| note.contains("built for linux/arm64")));
        // A store of several platforms is asked for the one that it has.
        let several = Info { containerd_store: true, ..info.clone() };
        let foreign = Wanted::from_engine(&engine, &several, "foreign").await.expect("it is there");
        assert!(matches!(foreign.source, Source::Engine { platform: Some(it), .. } if it == "linux/arm64"));
        let nameless = Wanted::from_engine(&engine, &info, "8c76").await.expect_err("no name");
        assert!(nameless.hint.is_some_and(|hint| hint.contains("docker tag 8c76 NAME:TAG")));
    }

    #[test]
    fn a_slip_in_a_name_is_understood() {
        let known = ["docker.io/library/hello:v1".to_string(), "quay.io/metallb/speaker:v0.16.1".to_string()];
        assert_eq!(nearest_image("helo:v1", &known), Some("hello:v1"));
        assert_eq!(nearest_image("speaker:v0.16.1", &known), Some("quay.io/metallb/speaker:v0.16.1"));
        assert_eq!(nearest_image("hello:v2.0.0", &known), Some("hello:v1"));
        assert_eq!(nearest_image("something-else:v7", &known), None);
        let own = ["docker.io/library/ubuntu:24.04".to_string(), "docker.io/eyes/app:v1".to_string()];
        for typed in ["eyes/ap:v1", "eyes/pap:v1", "eye/app:v1", "docker.io/eyes/ap:v1"] {
            assert_eq!(nearest_image(typed, &own), Some("eyes/app:v1"), "{typed}");
        }
    }

    #[test]
    fn a_path_is_told_from_a_name() {
        for path in ["./images", "/tmp/images", "images.tar", "images.tar.gz", "../x.tgz"] {
            assert!(is_file(path), "{path}");
        }
        for name in ["hello", "hello:v1", "localhost:5001/hello", "registry.example.com/a/b@sha256:00"] {
            assert!(!is_file(name), "{name}");
        }
    }
}
