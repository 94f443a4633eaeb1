use serde_json::Value;

use super::fault::Meaning;
use super::{Engine, EngineKind};
use crate::base::{Fault, FaultKind, Reference};
use crate::os::Program;

/// An image that an engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineImage {
    /// Its digest: of its configuration, or of its manifest where the engine keeps images in containerd's store.
    pub id: String,
    /// Its names with tags, in full.
    pub tags: Vec<String>,
    /// Its names with digests, in full.
    pub digests: Vec<String>,
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub architecture: String,
    /// In bytes.
    pub size: u64,
    /// The platform to be asked for when it is saved, where the engine keeps several in one image.
    pub platform: Option<String>,
}

impl EngineImage {
    fn of(value: &Value, platform: Option<&str>) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_string();
        let names = |key: &str| -> Vec<String> {
            let names = value[key].as_array().into_iter().flatten().filter_map(Value::as_str);
            // An image that lost its name to another one is listed as `<none>`.
            names.filter_map(Reference::parse).map(|name| name.to_string()).collect()
        };
        let id = text("Id");
        Self {
            // Podman leaves out which hash it is.
            id: if id.contains(':') { id } else { format!("sha256:{id}") },
            // A store that knows digests alone lists those among the tags too.
            tags: names("RepoTags").into_iter().filter(|name| !name.contains('@')).collect(),
            digests: names("RepoDigests"),
            os: text("Os"),
            architecture: text("Architecture"),
            size: value["Size"].as_u64().unwrap_or_default(),
            platform: platform.map(str::to_string),
        }
    }
}

impl Engine {
    /// The image that the engine knows as `name`, which may be a name, a digest or an id; `None` when there is
    /// none. Of an image for several platforms it is the part for `platform` (`linux/amd64`), if one is named.
    pub async fn image(&self, name: &str, platform: Option<&str>) -> Result<Option<EngineImage>, Fault> {
        let attempted = format!("look at image `{name}`");
        let mut other = false;
        if let Some(platform) = platform {
            let finished =
                self.try_to_ask(&attempted, ["image", "inspect", "--platform", platform, name]).await?;
            if finished.succeeded() {
                return self.first_image(&finished.stdout, Some(platform));
            }
            match Meaning::of(&finished.stderr) {
                Meaning::Missing => return Ok(None),
                Meaning::OtherPlatform => other = true,
                // It then saves what it has of the image.
                Meaning::TooOld => {}
                _ => return Err(self.failed(&attempted, &finished)),
            }
        }
        let finished = self.question(&attempted, ["image", "inspect", name]).await?;
        let image = self.first_image(&finished.stdout, None)?;
        Ok(image.map(|mut image| {
            image.platform = other.then(|| format!("{}/{}", image.os, image.architecture));
            image
        }))
    }

    /// The names of all images, in full.
    pub async fn image_names(&self) -> Result<Vec<String>, Fault> {
        let format = "{{.Repository}}:{{.Tag}}";
        let listed = self.ask("list images", ["image", "ls", "--format", format]).await?;
        Ok(listed.stdout.lines().filter_map(Reference::parse).map(|name| name.to_string()).collect())
    }

    /// The program that writes `images` to its standard output as one archive.
    pub fn save(&self, images: &[String], platform: Option<&str>) -> Program {
        let mut program = self.program().arg("save");
        if self.kind() == EngineKind::Podman && images.len() > 1 {
            program = program.arg("--multi-image-archive");
        }
        if let Some(platform) = platform {
            program = program.args(["--platform", platform]);
        }
        program.args(images.iter().cloned())
    }

    fn first_image(&self, text: &str, platform: Option<&str>) -> Result<Option<EngineImage>, Fault> {
        let values = self.values("image inspect", text)?;
        Ok(values.first().map(|value| EngineImage::of(value, platform)))
    }
}

/// The fault for an image that `engine` does not have.
pub fn missing_image(engine: EngineKind, name: &str, nearest: Option<&str>) -> Fault {
    let fault =
        Fault::new(FaultKind::Invalid, format!("load image `{name}`"), format!("{engine} has no such image"));
    fault.hint(match nearest {
        Some(nearest) => {
            format!("did you mean `{nearest}`? `{engine} pull {name}` gets it from its registry")
        }
        None => {
            format!("`{engine} pull {name}` gets it from its registry, `{engine} build -t {name} .` makes it")
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_in_full_whatever_the_engine_calls_them() {
        let value = json!({"Id": "8c763776351868fbf235aa6aa2c5da20d87fc31175c3abf0f30ac5738655fe0e",
            "RepoTags": ["hello:v1", "<none>:<none>", "localhost/hello:v1",
                "hello@sha256:54fbdac2f4c2819b93e82d29268e31aaad64155e6627901c7d1b9ce727e15ade"],
            "RepoDigests": ["registry:5000/hello@sha256:54fbdac2f4c2819b93e82d29268e31aaad64155e6627901c7d1b9ce727e15ade"],
            "Os": "linux", "Architecture": "amd64", "Size": 6_545_180});
        let image = EngineImage::of(&value, None);
        assert_eq!(image.id, "sha256:8c763776351868fbf235aa6aa2c5da20d87fc31175c3abf0f30ac5738655fe0e");
        assert_eq!(image.tags, ["docker.io/library/hello:v1", "localhost/hello:v1"]);
        assert_eq!(image.digests.len(), 1);
    }
}
