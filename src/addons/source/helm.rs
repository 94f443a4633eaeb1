//! The `helm` program: found, asked for its version, and run with values that only it can read.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::base::{Fault, FaultKind};
use crate::flow::{Flow, Patience};
use crate::os::{Finished, Program, files, find_on_path};
use crate::profile::ChartPlace;

/// The oldest that knows charts in registries.
const OLDEST: HelmVersion = HelmVersion(3, 8);
/// A helm that does not tell its version within this time is broken.
const ASKING: Duration = Duration::from_secs(30);
/// The largest charts take a few seconds.
const RENDERING: Duration = Duration::from_mins(2);
/// A chart is a few hundred KiB.
const PULLING: Duration = Duration::from_mins(5);
/// What to do without a helm to work with.
pub const GET_HELM: &str =
    "install helm 3.8 or newer, or helm 4, so that it is on PATH: https://helm.sh/docs/intro/install";

/// Where the `helm` program is looked for.
#[derive(Debug, Clone, Default)]
pub struct HelmSearch {
    /// The value of `PATH`.
    pub search_path: OsString,
    /// The file with the logins of the user's `helm registry login`.
    pub logins: Option<PathBuf>,
}

/// The version that a `helm` tells: major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HelmVersion(pub u32, pub u32);

impl fmt::Display for HelmVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl HelmVersion {
    /// Whether it can be worked with.
    pub fn is_known(self) -> bool {
        self >= OLDEST
    }

    /// `v3.18.6+gabcdef` as 3.18.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().strip_prefix('v')?.split(|c: char| !c.is_ascii_digit());
        Some(Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

impl HelmSearch {
    /// Where it is.
    pub fn locate(&self) -> Option<PathBuf> {
        find_on_path("helm", &self.search_path)
    }

    /// The version of the helm at `path`.
    pub async fn version_of(path: &Path) -> Result<HelmVersion, Fault> {
        let attempted = format!("ask `{}` for its version", path.display());
        let answer = Program::new(path).args(["version", "--template", "{{.Version}}"]).run().await?;
        HelmVersion::parse(&answer.stdout)
            .ok_or_else(|| Fault::new(FaultKind::Invalid, attempted, complaint(&answer)).hint(GET_HELM))
    }

    /// The helm to work with, with folders of its own in `cache`: the user's plugins, repositories and
    /// settings have no part in what a profile means.
    pub(super) async fn find(&self, cache: &Path, flow: &Flow) -> Result<Helm, Fault> {
        let attempted = "find `helm`, which renders charts";
        let invalid = |reason: String| Fault::new(FaultKind::Invalid, attempted, reason).hint(GET_HELM);
        let path = self.locate().ok_or_else(|| invalid("it is not on PATH".to_string()))?;
        let version = flow.within(ASKING, attempted, Self::version_of(&path)).await?;
        if !version.is_known() {
            return Err(invalid(format!("`{}` is helm {version}, too old to be used here", path.display())));
        }
        let home = cache.join("helm");
        files::make_private_folder(&home)?;
        Ok(Helm { path, home, logins: self.logins.clone() })
    }
}

/// The helm to work with.
pub(super) struct Helm {
    path: PathBuf,
    home: PathBuf,
    logins: Option<PathBuf>,
}

/// What to render.
pub(super) struct Release<'a> {
    /// The addon's name.
    pub name: &'a str,
    /// The chart: its folder, or the packed chart.
    pub chart: &'a Path,
    /// The namespace of the release.
    pub namespace: &'a str,
    /// The cluster's Kubernetes.
    pub kubernetes: (u32, u32),
    /// What is set in the chart.
    pub values: &'a Value,
}

impl Helm {
    /// Fetches the packed chart at `place` into the folder `into`, which is empty, and gives its path.
    /// A chart on this machine is where it is.
    pub async fn pull(&self, place: &ChartPlace, into: &Path, flow: &Flow) -> Result<PathBuf, Fault> {
        let (arguments, shown) = match place {
            ChartPlace::Path { path, .. } => return Ok(path.clone()),
            ChartPlace::Repository { repo, name, version, .. } => (
                vec![name.as_str(), "--repo", repo, "--version", version],
                format!("chart `{name}` {version} from {repo}"),
            ),
            ChartPlace::Registry { reference, version, .. } => {
                let mut arguments = vec![reference.as_str(), "--version", version];
                if is_on_this_machine(reference) {
                    arguments.push("--plain-http");
                }
                (arguments, format!("chart {reference} {version}"))
            }
        };
        let attempted = format!("fetch the {shown}");
        let pull = || {
            let program = self.program().arg("pull").args(arguments.clone()).arg("--destination").arg(into);
            flow.within(PULLING, &attempted, pulled(program, &attempted))
        };
        flow.retry(Patience::BRIEF, &attempted, pull).await?;
        let names = files::names_in(into)?;
        let packed =
            names.iter().find(|name| Path::new(name).extension().is_some_and(|extension| extension == "tgz"));
        packed.map(|name| into.join(name)).ok_or_else(|| {
            Fault::new(FaultKind::Invalid, attempted, "helm says that it did, and there is no packed chart")
        })
    }

    /// The manifests of a release, definitions of custom resources first. The values go through a file that
    /// has no name, so that nobody else reads them and nothing of them stays.
    pub async fn template(&self, release: &Release<'_>, flow: &Flow) -> Result<String, Fault> {
        let attempted = format!("render the chart of `addons.{}`", release.name);
        let values = files::nameless(&self.home, release.values.to_string().as_bytes())?;
        let (major, minor) = release.kubernetes;
        let program = self
            .program()
            .args(["template", release.name])
            .arg(release.chart)
            .args(["--namespace", release.namespace, "--include-crds", "--values", "-"])
            .arg("--kube-version")
            .arg(format!("v{major}.{minor}.0"))
            .holding(values);
        let finished = flow.within(RENDERING, &attempted, program.run()).await?;
        if finished.succeeded() {
            return Ok(finished.stdout);
        }
        let reason = complaint(&finished);
        let hint = if reason.contains("missing in charts/") {
            format!("fetch what it is made of: `helm dependency build {}`", release.chart.display())
        } else {
            "correct its `values`, or take another version of the chart: this is what its templates say"
                .to_string()
        };
        Err(Fault::new(FaultKind::Invalid, attempted, reason).hint(hint))
    }

    /// The version that the chart at `path` has.
    pub async fn version_of(&self, path: &Path, flow: &Flow) -> Result<String, Fault> {
        let attempted = format!("read the chart `{}`", path.display());
        let program = self.program().args(["show", "chart"]).arg(path);
        let finished = flow.within(ASKING, &attempted, program.run()).await?;
        let chart: Option<Value> = serde_saphyr::from_str(&finished.stdout).ok();
        let version = chart.as_ref().and_then(|chart| chart["version"].as_str());
        match version.filter(|_| finished.succeeded()) {
            Some(version) => Ok(version.to_string()),
            None => Err(Fault::new(FaultKind::Invalid, attempted, complaint(&finished))
                .hint("a chart is a folder with a `Chart.yaml`, or such a folder packed by `helm package`")),
        }
    }

    fn program(&self) -> Program {
        let mut program = Program::new(&self.path)
            .env("HELM_CACHE_HOME", self.home.join("cache"))
            .env("HELM_CONFIG_HOME", self.home.join("config"))
            .env("HELM_DATA_HOME", self.home.join("data"))
            .env("HELM_PLUGINS", self.home.join("data/plugins"))
            .env("HELM_DEBUG", "false");
        if let Some(logins) = &self.logins {
            program = program.env("HELM_REGISTRY_CONFIG", logins);
        }
        program
    }
}

async fn pulled(program: Program, attempted: &str) -> Result<(), Fault> {
    let finished = program.run().await?;
    if finished.succeeded() {
        return Ok(());
    }
    let reason = complaint(&finished);
    let (kind, hint) = judged(&reason);
    Err(Fault::new(kind, attempted, reason).hint(hint))
}

/// What kind of fault helm tells of, and what to do. It tells by words alone: the numbers of answers may as
/// well be those of a port.
fn judged(reason: &str) -> (FaultKind, &'static str) {
    let reason = reason.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if says(&["unauthorized", "denied", "forbidden"]) {
        (FaultKind::Denied, "log in with `helm registry login HOST`; chart repositories have to be open")
    } else if says(&[
        "timeout",
        "refused",
        "reset by peer",
        "no such host",
        " eof",
        "internal server error",
        "bad gateway",
        "service unavailable",
    ]) {
        (FaultKind::Transient, "run the same command again")
    } else {
        (FaultKind::Invalid, "correct the address, the name or the version of the chart")
    }
}

/// What helm says went wrong, without its warnings, which may quote values.
fn complaint(finished: &Finished) -> String {
    let said = finished.stderr.trim();
    let from = said.rfind("Error: ").map_or(0, |at| at + "Error: ".len());
    let lines = said[from..].lines().map(str::trim);
    let lines: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with("Use --debug")).take(6).collect();
    if lines.is_empty() { "it says nothing about why".to_string() } else { lines.join(" ") }
}

fn is_on_this_machine(reference: &str) -> bool {
    let rest = reference.strip_prefix("oci://").unwrap_or(reference);
    ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .any(|host| rest.strip_prefix(host).is_some_and(|rest| rest.starts_with([':', '/'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_port_is_no_answer() {
        let kind = |reason: &str| judged(reason).0;
        let gone = "chart \"web\" version \"9\" not found in http://127.0.0.1:40301/charts repository";
        assert_eq!(kind(gone), FaultKind::Invalid);
        assert_eq!(kind("failed to fetch https://example.com/index.yaml : 403 Forbidden"), FaultKind::Denied);
        assert_eq!(kind("https://example.com/index.yaml : 503 Service Unavailable"), FaultKind::Transient);
    }

    #[test]
    fn versions_are_read_from_what_helm_prints() {
        assert_eq!(HelmVersion::parse("v3.18.6+gb76a950"), Some(HelmVersion(3, 18)));
        assert_eq!(HelmVersion::parse("v4.2\n"), Some(HelmVersion(4, 2)));
        assert_eq!(HelmVersion::parse("Client: &version.Version"), None);
        assert!(HelmVersion(4, 0).is_known() && !HelmVersion(3, 7).is_known());
    }

    #[test]
    fn a_complaint_holds_no_warning() {
        let stderr = "coalesce.go:286: warning: cannot overwrite table with non table for web.auth (map[password:x])\n\
                      Error: execution error at (web/templates/a.yaml:1:4): set a host\n\n\
                      Use --debug flag to render out invalid YAML\n";
        let finished = Finished { code: Some(1), stdout: String::new(), stderr: stderr.to_string() };
        assert_eq!(complaint(&finished), "execution error at (web/templates/a.yaml:1:4): set a host");
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        assert!(is_on_this_machine("oci://127.0.0.1:5000/web") && is_on_this_machine("oci://localhost/web"));
        assert!(!is_on_this_machine("oci://127.0.0.1.example.com/web"));
    }
}
