use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::run;

/// The node image that `scripts/kind-node/build` makes, with the images of the addons.
const BUILT: &str = "localhost/realkind-node:v1.36.3-addons";

/// What real clusters stand on: an engine that answers, kind, a node image.
pub struct Ground {
    /// The container engine: `docker`, or another program that takes the same arguments.
    pub docker: PathBuf,
    /// The program `kind`.
    pub kind: PathBuf,
    /// The node image; none when kind takes its own.
    pub image: Option<String>,
}

impl Ground {
    /// The ground of this machine, looked for once, or nothing for the test `name`, which is said.
    ///
    /// # Panics
    /// When there is none and `BERTH_E2E=required`.
    pub fn find(name: &str) -> Option<&'static Self> {
        static GROUND: OnceLock<Result<Ground, String>> = OnceLock::new();
        match GROUND.get_or_init(Self::look) {
            Ok(ground) => Some(ground),
            Err(reason) => {
                skipped(name, reason);
                None
            }
        }
    }

    /// The same with Podman in Docker's place: the one that `BERTH_PODMAN` names, else the one of this machine.
    /// Nothing where there is none, which is said: nobody is required to have two engines.
    pub fn of_podman(name: &str) -> Option<&'static Self> {
        static GROUND: OnceLock<Result<Ground, String>> = OnceLock::new();
        match GROUND.get_or_init(Self::look_for_podman) {
            Ok(ground) => Some(ground),
            Err(reason) => {
                eprintln!("SKIPPED: {name}: {reason}");
                None
            }
        }
    }

    /// The name of the engine's program.
    pub fn engine(&self) -> &str {
        self.docker.file_name().and_then(|name| name.to_str()).unwrap_or("docker")
    }

    /// The other node image, whose cluster has no network policies that act: when there is one.
    pub fn image_without_policies(&self) -> Option<String> {
        let image = format!("{}-nopolicy", self.image.as_ref()?);
        self.has_image(&image).then_some(image)
    }

    /// Whether the engine has this image.
    pub fn has_image(&self, image: &str) -> bool {
        succeeds(Command::new(&self.docker).args(["image", "inspect", image]))
    }

    /// The names of the containers of a kind cluster, also of those that do not run, in order.
    pub fn nodes_of(&self, cluster: &str) -> Vec<String> {
        let label = format!("label=io.x-k8s.kind.cluster={cluster}");
        let mut list = Command::new(&self.docker);
        list.args(["ps", "--all", "--filter", &label, "--format", "{{.Names}}"]);
        let listed = run(list).expect(0).stdout;
        let mut names: Vec<String> = listed.lines().map(ToString::to_string).collect();
        names.sort();
        names
    }

    fn look_for_podman() -> Result<Self, String> {
        if env::var("BERTH_E2E").as_deref() == Ok("off") {
            return Err("BERTH_E2E=off".to_string());
        }
        let podman = match env::var_os("BERTH_PODMAN") {
            Some(program) => PathBuf::from(program),
            None => on_path("podman").ok_or("`podman` is not on PATH: install Podman")?,
        };
        if !succeeds(Command::new(&podman).arg("info")) {
            return Err(format!("`{} info` fails", podman.display()));
        }
        let kind = kind()?;
        let image = env::var("BERTH_KIND_IMAGE").unwrap_or_else(|_| BUILT.to_string());
        let ground = Self { docker: podman, kind, image: Some(image) };
        let image = ground.image.as_deref().unwrap_or_default();
        if !ground.has_image(image) {
            return Err(format!(
                "Podman has no image `{image}`: `scripts/kind-node/podman` takes it from Docker"
            ));
        }
        Ok(ground)
    }

    fn look() -> Result<Self, String> {
        if env::var("BERTH_E2E").as_deref() == Ok("off") {
            return Err("BERTH_E2E=off".to_string());
        }
        let docker = on_path("docker").ok_or("`docker` is not on PATH: install Docker")?;
        if !succeeds(Command::new(&docker).arg("info")) {
            return Err(
                "no Docker daemon answers `docker info`: start one, or as root `scripts/kind-node/dockerd start`"
                    .to_string(),
            );
        }
        let kind = kind()?;
        let mut ground = Self { docker, kind, image: None };
        ground.image = match env::var("BERTH_KIND_IMAGE") {
            Ok(image) => Some(image),
            Err(_) if ground.has_image(BUILT) => Some(BUILT.to_string()),
            // kind then pulls an image of 1 GB, so somebody has to want that.
            Err(_) if env::var_os("BERTH_E2E").is_some() => None,
            Err(_) => {
                return Err(format!(
                    "no node image: set BERTH_KIND_IMAGE, run `scripts/test e2e`, which builds `{BUILT}`, or set BERTH_E2E=on, and kind pulls its own"
                ));
            }
        };
        if let Some(image) = &ground.image
            && image.starts_with("localhost/")
            && !ground.has_image(image)
        {
            return Err(format!("BERTH_KIND_IMAGE is `{image}`, and Docker has no such image"));
        }
        Ok(ground)
    }
}

/// Says that a test is skipped and why.
///
/// # Panics
/// When `BERTH_E2E=required`: there a skip is a failure.
pub fn skipped(name: &str, reason: &str) {
    assert!(
        env::var("BERTH_E2E").as_deref() != Ok("required"),
        "{name} cannot run and BERTH_E2E=required: {reason}"
    );
    eprintln!("SKIPPED: {name}: {reason}");
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

fn kind() -> Result<PathBuf, String> {
    let found = on_path("kind").or_else(built_kind);
    found.ok_or("`kind` is not on PATH: install it, or run `scripts/kind-node/build`".to_string())
}

/// In the cache of `scripts/kind-node/build`.
fn built_kind() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("berth/kind-node/current/kind")).filter(|program| program.is_file())
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
