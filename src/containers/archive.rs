use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::base::{Fault, FaultKind, Reference};

/// No description in an archive is longer; layers are not read.
const LONGEST: u64 = 4 * 1024 * 1024;
/// How compressed files begin, by the program that wrote them.
const COMPRESSED: [(&str, &[u8]); 4] =
    [("gzip", b"\x1f\x8b"), ("zstd", b"\x28\xb5\x2f\xfd"), ("xz", b"\xfd7zXZ"), ("bzip2", b"BZh")];
/// Where containerd and buildx keep the full name of an image.
const FULL_NAME: &str = "io.containerd.image.name";
/// Where others do; it may be a bare tag.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An archive of images, as `docker save` and `podman save` write it, or in the layout of OCI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its file.
    pub path: PathBuf,
    /// How long the file is.
    pub size: u64,
    /// What is in it; `None` when it is compressed and only the reader of it all knows.
    pub images: Option<Vec<ArchivedImage>>,
    /// The program that undoes its compression.
    pub unpacker: Option<&'static str>,
}

/// An image in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedImage {
    /// Its names with tags, in full; none when it was saved by its id.
    pub names: Vec<String>,
    /// Digests by which it is known: of its configuration or its manifest.
    pub ids: Vec<String>,
}

impl Archive {
    /// Looks what is in the file at `path`. Reads the descriptions and skips the layers.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let attempted = format!("read image archive `{}`", path.display());
        let fault =
            |kind, reason: String, hint: &str| Fault::new(kind, attempted.as_str(), reason).hint(hint);
        let broken =
            |reason: String| fault(FaultKind::Invalid, reason, "write it anew: `docker save -o FILE IMAGE`");
        let unreadable = |error: std::io::Error| {
            let hint = "give the path of a readable file, or the name of an image";
            fault(FaultKind::Invalid, error.to_string().to_lowercase(), hint)
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let found = file.metadata().map_err(unreadable)?;
        if !found.is_file() {
            let hint = "give an archive: `docker save -o FILE IMAGE` writes one";
            return Err(fault(FaultKind::Invalid, "it is no file".to_string(), hint));
        }
        let size = found.len();
        let mut head = Vec::new();
        Read::by_ref(&mut file).take(8).read_to_end(&mut head).map_err(unreadable)?;
        let compressed = COMPRESSED.iter().find(|(_, magic)| head.starts_with(magic));
        if let Some((unpacker, _)) = compressed {
            return Ok(Self { path: path.to_path_buf(), size, images: None, unpacker: Some(unpacker) });
        }
        file.rewind().map_err(unreadable)?;
        let parts = Parts::read(file, size).map_err(broken)?;
        let images = parts.images().map_err(|reason| broken(reason.clone()))?;
        Ok(Self { path: path.to_path_buf(), size, images: Some(images), unpacker: None })
    }
}

/// The files in an archive: how long each is, and what the short ones say.
#[derive(Default)]
struct Parts {
    texts: BTreeMap<String, Vec<u8>>,
    all: BTreeMap<String, u64>,
}

impl Parts {
    fn read(file: File, size: u64) -> Result<Self, String> {
        let mut archive = tar::Archive::new(file);
        let mut parts = Self::default();
        for entry in archive.entries_with_seek().map_err(|error| error.to_string())? {
            let mut entry = entry.map_err(|error| format!("it is no whole tar file: {error}"))?;
            let path = entry.path().map_err(|error| error.to_string())?;
            let name = path.to_string_lossy().trim_start_matches("./").to_string();
            let length = entry.size();
            if entry.raw_file_position().saturating_add(length) > size {
                return Err(format!("it is cut short: it ends in the middle of `{name}`"));
            }
            let described = Path::new(&name).extension().is_some_and(|kind| kind == "json");
            if length <= LONGEST && (described || name.starts_with("blobs/")) {
                let mut text = Vec::new();
                entry.read_to_end(&mut text).map_err(|error| error.to_string())?;
                // Only descriptions are kept: they begin like JSON.
                if text.first() == Some(&b'{') || text.first() == Some(&b'[') {
                    parts.texts.insert(name.clone(), text);
                }
            }
            parts.all.insert(name, length);
        }
        Ok(parts)
    }

    fn images(&self) -> Result<Vec<ArchivedImage>, String> {
        let docker = self.json("manifest.json")?;
        let oci = self.json("index.json")?;
        let mut images: Vec<ArchivedImage> = match (&docker, &oci) {
            (None, None) => {
                return Err(
                    "it is no archive of images: there is neither `manifest.json` nor `index.json` in it; \
                     `docker import` makes an image of a plain tar file"
                        .to_string(),
                );
            }
            (Some(manifest), _) => {
                items(manifest).map(|image| self.docker_image(image)).collect::<Result<_, _>>()?
            }
            (None, Some(_)) => Vec::new(),
        };
        // Newer engines write both, and what has a manifest's digest there keeps it on the node.
        for descriptor in oci.iter().flat_map(|index| items(&index["manifests"])) {
            let image = self.oci_image(descriptor)?;
            match images.iter_mut().find(|known| known.ids.iter().any(|id| image.ids.contains(id))) {
                Some(known) => {
                    known.ids.extend(
                        image.ids.into_iter().filter(|id| !known.ids.contains(id)).collect::<Vec<_>>(),
                    );
                }
                None if docker.is_none() => images.push(image),
                None => {}
            }
        }
        if images.is_empty() { Err("there is no image in it".to_string()) } else { Ok(images) }
    }

    fn docker_image(&self, image: &Value) -> Result<ArchivedImage, String> {
        let config = image["Config"].as_str().ok_or("`manifest.json` names no configuration")?;
        let layers = items(&image["Layers"]).filter_map(Value::as_str);
        for part in layers.chain([config]) {
            if !self.all.contains_key(part) {
                return Err(format!("`{part}` is missing in it"));
            }
        }
        let hash = config.rsplit('/').next().unwrap_or(config).trim_end_matches(".json");
        let tags = items(&image["RepoTags"]).filter_map(Value::as_str).filter_map(Reference::parse);
        Ok(ArchivedImage {
            names: tags.map(|tag| tag.to_string()).collect(),
            ids: vec![format!("sha256:{hash}")],
        })
    }

    fn oci_image(&self, descriptor: &Value) -> Result<ArchivedImage, String> {
        let digest = descriptor["digest"].as_str().ok_or("`index.json` names no digest")?;
        let blob = format!("blobs/{}", digest.replacen(':', "/", 1));
        if !self.all.contains_key(&blob) {
            return Err(format!("`{blob}` is missing in it"));
        }
        let manifest = self.json(&blob)?.unwrap_or_default();
        let config = manifest["config"]["digest"].as_str();
        let annotations = &descriptor["annotations"];
        let name = annotations[FULL_NAME].as_str().or_else(|| {
            // A bare tag is no name; nodes make one up.
            annotations[REF_NAME].as_str().filter(|name| name.contains(['/', ':', '@']))
        });
        Ok(ArchivedImage {
            names: name.and_then(Reference::parse).map(|name| name.to_string()).into_iter().collect(),
            ids: config.into_iter().chain([digest]).map(str::to_string).collect(),
        })
    }

    fn json(&self, name: &str) -> Result<Option<Value>, String> {
        let Some(text) = self.texts.get(name) else { return Ok(None) };
        serde_json::from_slice(text).map(Some).map_err(|error| format!("`{name}` in it is no JSON: {error}"))
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    const CONFIG: &str = "8c763776351868fbf235aa6aa2c5da20d87fc31175c3abf0f30ac5738655fe0e";
    const MANIFEST: &str = "547d789886439cde2c2083d7ecfb0ec3ac01628f37f49f60405865017400386b";

    fn write(folder: &Path, parts: &[(&str, Vec<u8>)]) -> PathBuf {
        let path = folder.join("images.tar");
        let mut archive = tar::Builder::new(File::create(&path).expect("the folder is ours"));
        for (name, text) in parts {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, text.as_slice()).expect("written");
        }
        archive.finish().expect("written");
        path
    }

    /// As docker 20.10 and podman write it.
    fn of_docker() -> Vec<(&'static str, Vec<u8>)> {
        let config = "8c763776351868fbf235aa6aa2c5da20d87fc31175c3abf0f30ac5738655fe0e.json";
        let manifest = json!([{"Config": config, "RepoTags": ["hello:v1"], "Layers": ["a/layer.tar"]}]);
        vec![
            (config, b"{}".to_vec()),
            ("a/layer.tar", vec![7; 5000]),
            ("manifest.json", manifest.to_string().into_bytes()),
        ]
    }

    fn refused(parts: &[(&str, Vec<u8>)]) -> String {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Archive::open(&write(folder.path(), parts)).expect_err("broken").reason
    }

    #[test]
    fn an_archive_of_docker_tells_names_and_id() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let archive = Archive::open(&write(folder.path(), &of_docker())).expect("whole");
        let image = ArchivedImage {
            names: vec!["docker.io/library/hello:v1".to_string()],
            ids: vec![format!("sha256:{CONFIG}")],
        };
        assert_eq!(archive.images, Some(vec![image]));
    }

    #[test]
    fn an_oci_layout_tells_the_digests_of_configuration_and_manifest() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let index = json!({"manifests": [{"digest": format!("sha256:{MANIFEST}"),
            "annotations": {REF_NAME: "localhost/hello:v1"}}]});
        let manifest = json!({"config": {"digest": format!("sha256:{CONFIG}")}});
        let blob = format!("blobs/sha256/{MANIFEST}");
        let parts = [
            (blob.as_str(), manifest.to_string().into_bytes()),
            ("index.json", index.to_string().into_bytes()),
        ];
        let archive = Archive::open(&write(folder.path(), &parts)).expect("whole");
        let image = ArchivedImage {
            names: vec!["localhost/hello:v1".to_string()],
            ids: vec![format!("sha256:{CONFIG}"), format!("sha256:{MANIFEST}")],
        };
        assert_eq!(archive.images, Some(vec![image]));
    }

    #[test]
    fn what_is_written_in_both_ways_is_one_image_and_a_bare_tag_no_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let blob = |hash: &str| format!("blobs/sha256/{hash}");
        let other = "0".repeat(64);
        let descriptor = |hash: &str, name: &str| json!({"digest": format!("sha256:{hash}"), "annotations": {REF_NAME: name}});
        let oci = json!({"config": {"digest": format!("sha256:{CONFIG}")}}).to_string().into_bytes();
        let docker = json!([{"Config": blob(CONFIG), "RepoTags": ["hello:v1"], "Layers": []}]);
        let both = |with_docker: bool| {
            let index = json!({"manifests": [descriptor(MANIFEST, "v1"), descriptor(&other, "v2")]});
            let (manifest, other) = (blob(MANIFEST), blob(&other));
            let mut parts = vec![
                (manifest, oci.clone()),
                (other, b"{}".to_vec()),
                (blob(CONFIG), b"{}".to_vec()),
                ("index.json".to_string(), index.to_string().into_bytes()),
            ];
            if with_docker {
                parts.push(("manifest.json".to_string(), docker.to_string().into_bytes()));
            }
            let parts: Vec<(&str, Vec<u8>)> =
                parts.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
            Archive::open(&write(folder.path(), &parts)).expect("whole").images.expect("not compressed")
        };
        let ids = vec![format!("sha256:{CONFIG}"), format!("sha256:{MANIFEST}")];
        let hello = ArchivedImage { names: vec!["docker.io/library/hello:v1".to_string()], ids };
        assert_eq!(both(true), [hello]);
        assert!(both(false).iter().all(|image| image.names.is_empty()));
    }

    #[test]
    fn what_is_broken_is_said_before_anything_is_sent() {
        assert!(refused(&[("etc/passwd", b"root".to_vec())]).contains("no archive of images"));
        let without_layer: Vec<_> =
            of_docker().into_iter().filter(|(name, _)| *name != "a/layer.tar").collect();
        assert_eq!(refused(&without_layer), "`a/layer.tar` is missing in it");
        let mut garbled = of_docker();
        garbled[2].1 = b"[{".to_vec();
        assert!(refused(&garbled).contains("`manifest.json` in it is no JSON"));
    }

    #[test]
    fn an_archive_that_is_cut_short_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = write(folder.path(), &of_docker());
        let whole = fs::read(&path).expect("there");
        fs::write(&path, &whole[..3000]).expect("written");
        let fault = Archive::open(&path).expect_err("cut");
        assert_eq!(fault.reason, "it is cut short: it ends in the middle of `a/layer.tar`");
    }

    #[test]
    fn what_is_compressed_is_left_to_its_reader() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("images.tar.gz");
        fs::write(&path, b"\x1f\x8b\x08rest").expect("written");
        let archive = Archive::open(&path).expect("a file");
        assert_eq!((archive.images, archive.unpacker), (None, Some("gzip")));
    }
}
