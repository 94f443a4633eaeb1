use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures::future::try_join;

use super::document::{Document, documents};
use super::download::download;
use super::helm::{Helm, Release};
use super::store::{Store, check, read, sum};
use super::{Fetched, Means, Sources};
use crate::addons::Catalog;
use crate::base::{Checksum, Fault, FaultKind, Platform};
use crate::flow::{Flow, Tally};
use crate::os::files;
use crate::profile::{AddonSource, AddonSpec, ChartPlace, ChartSpec, ManifestsPlace, ManifestsSpec};

/// Sources at a time: each may be a helm of its own.
const AT_ONCE: usize = 4;

impl Catalog {
    /// Whether anything has to be fetched before `specs` can be rendered for `platform`, beside the addons `all`
    /// of the same profile.
    pub fn fetches(&self, specs: &[AddonSpec], all: &[AddonSpec], platform: &Platform) -> bool {
        let fetches = |spec: &AddonSpec| match spec.source {
            // What is wrong is said by the one who fetches.
            AddonSource::Catalog => {
                self.draft(spec, all, platform).map_or(true, |draft| !draft.downloads.is_empty())
            }
            AddonSource::Chart(_) | AddonSource::Manifests(_) => true,
        };
        specs.iter().any(fetches)
    }

    /// Gets what `specs` need from elsewhere, as much at a time as does any good. What is in the cache with
    /// the right hash is not fetched again.
    ///
    /// If this dies half way, what was downloaded whole is in the cache, and nothing else was changed.
    pub async fn fetch(
        &self,
        specs: &[AddonSpec],
        all: &[AddonSpec],
        platform: &Platform,
        means: &Means,
        flow: &Flow,
    ) -> Result<Sources, Fault> {
        let needs_helm = specs.iter().any(|spec| matches!(spec.source, AddonSource::Chart(_)));
        let helm = if needs_helm { Some(means.helm.find(&means.cache, flow).await?) } else { None };
        let fetcher = Fetcher { catalog: self, all, store: Store::new(&means.cache), helm, platform, flow };
        let mut tally = Tally::new(specs.len(), "sources of addons");
        let work = |spec| fetcher.fetch(spec);
        let fetched = flow.each(specs.iter().collect(), AT_ONCE, &mut tally, work).await?;
        let by_addon: BTreeMap<String, Fetched> = fetched.into_iter().flatten().collect();
        Ok(Sources { by_addon })
    }
}

/// Everything that fetching takes.
struct Fetcher<'a> {
    catalog: &'a Catalog,
    all: &'a [AddonSpec],
    store: Store,
    /// Found when there is a chart.
    helm: Option<Helm>,
    platform: &'a Platform,
    flow: &'a Flow,
}

impl Fetcher<'_> {
    /// What the addon of `spec` needs from elsewhere, under its name.
    async fn fetch(&self, spec: &AddonSpec) -> Result<Option<(String, Fetched)>, Fault> {
        let fetched = match &spec.source {
            AddonSource::Catalog => return self.downloads(spec).await,
            AddonSource::Chart(chart) => self.chart(&spec.name, chart).await?,
            AddonSource::Manifests(manifests) => self.manifests(&spec.name, manifests).await?,
        };
        Ok(Some((spec.name.clone(), fetched)))
    }

    /// The file at `url`, for the addon `name`.
    async fn download(&self, name: &str, url: &str, sha256: &Checksum) -> Result<Vec<u8>, Fault> {
        let content = download(url, sha256, &self.store, self.flow).await;
        content.map_err(|mut fault| {
            fault.attempted.push_str(&format!(" for `addons.{name}`"));
            fault
        })
    }

    /// The documents that an addon of the catalog downloads; nothing when it downloads nothing.
    async fn downloads(&self, spec: &AddonSpec) -> Result<Option<(String, Fetched)>, Fault> {
        let mut found = Vec::new();
        for wanted in self.catalog.draft(spec, self.all, self.platform)?.downloads {
            let attempted = format!("read the {} of `addons.{}`", wanted.name, spec.name);
            let content = self.download(&spec.name, &wanted.url, &wanted.sha256).await?;
            let shown = format!("`{}`", wanted.url);
            found.extend(readable(documents(&text(content, &attempted)?, &shown), &attempted)?);
        }
        Ok((!found.is_empty())
            .then(|| (spec.name.clone(), Fetched { version: String::new(), documents: found })))
    }

    async fn chart(&self, name: &str, chart: &ChartSpec) -> Result<Fetched, Fault> {
        let helm = self.helm.as_ref().expect("it was found, since there is a chart");
        let path = self.packed(name, chart, helm).await?;
        let version = match &chart.place {
            ChartPlace::Repository { version, .. } | ChartPlace::Registry { version, .. } => version.clone(),
            ChartPlace::Path { path, .. } => helm.version_of(path, self.flow).await?,
        };
        let release = Release {
            name,
            chart: &path,
            namespace: &chart.reach.namespace,
            kubernetes: self.platform.kubernetes,
            values: &chart.values,
        };
        // Twice, since a chart may make something up, such as a password: it would differ on each run.
        let (once, again) =
            try_join(helm.template(&release, self.flow), helm.template(&release, self.flow)).await?;
        let attempted = format!("read what the chart of `addons.{name}` renders");
        let read = |text: &str| readable(documents(text, "its output"), &attempted);
        let documents = read(&once)?;
        if once != again
            && let Some(problem) = difference(&documents, &read(&again)?)
        {
            return Err(Fault::new(
                FaultKind::Invalid,
                format!("render the chart of `addons.{name}`"),
                problem,
            )
            .hint("set those values in its `values`, from a Secret of yours where the chart takes one"));
        }
        Ok(Fetched { version, documents })
    }

    /// The chart's folder, or the packed chart with the right hash.
    async fn packed(&self, name: &str, chart: &ChartSpec, helm: &Helm) -> Result<PathBuf, Fault> {
        let attempted = format!("take the chart of `addons.{name}`");
        let sha256 = match &chart.place {
            ChartPlace::Path { path, sha256 } => {
                if let Some(sha256) = sha256 {
                    check(&read(path)?, sha256, &attempted)?;
                }
                return Ok(path.clone());
            }
            ChartPlace::Repository { sha256, .. } | ChartPlace::Registry { sha256, .. } => sha256,
        };
        if self.store.read(sha256)?.is_none() {
            let scratch = self.store.scratch(name)?;
            let packed = helm.pull(&chart.place, &scratch.0, self.flow).await;
            let packed = packed.map_err(|fault| self.store.by_hand(fault, sha256))?;
            let content = read(&packed)?;
            check(&content, sha256, &attempted)?;
            self.store.keep(&content)?;
        }
        Ok(self.store.path(sha256))
    }

    async fn manifests(&self, name: &str, manifests: &ManifestsSpec) -> Result<Fetched, Fault> {
        let attempted = format!("read the manifests of `addons.{name}`");
        match &manifests.place {
            ManifestsPlace::Url { url, sha256 } => {
                let content = self.download(name, url, sha256).await?;
                let documents =
                    readable(documents(&text(content, &attempted)?, &format!("`{url}`")), &attempted)?;
                Ok(Fetched { version: short(sha256), documents })
            }
            ManifestsPlace::Path(path) => {
                let (mut whole, mut found) = (Vec::new(), Vec::new());
                for file in manifest_files(path)? {
                    let content = read(&file)?;
                    whole.extend_from_slice(&content);
                    let shown = format!("`{}`", file.display());
                    found.extend(readable(documents(&text(content, &attempted)?, &shown), &attempted)?);
                }
                Ok(Fetched { version: short(&sum(&whole)), documents: found })
            }
        }
    }
}

/// Manifests have no version but what is in them.
fn short(sha256: &Checksum) -> String {
    format!("sha256:{}", sha256.short())
}

fn text(content: Vec<u8>, attempted: &str) -> Result<String, Fault> {
    String::from_utf8(content).map_err(|_| {
        Fault::new(FaultKind::Invalid, attempted, "it is not UTF-8, so it is no YAML")
            .hint("name the YAML itself, not an archive or a page about it")
    })
}

fn readable(documents: Result<Vec<Document>, String>, attempted: &str) -> Result<Vec<Document>, Fault> {
    documents.map_err(|problem| {
        Fault::new(FaultKind::Invalid, attempted, problem)
            .hint("what berth applies is YAML of Kubernetes objects: look at that line")
    })
}

/// The file at `path`, or the `.yaml` and `.yml` files of the folder there, sorted by name.
fn manifest_files(path: &Path) -> Result<Vec<PathBuf>, Fault> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let is_yaml = |file: &PathBuf| {
        let extension = file.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("yaml" | "yml")) && file.is_file()
    };
    let files: Vec<PathBuf> =
        files::names_in(path)?.iter().map(|name| path.join(name)).filter(is_yaml).collect();
    if files.is_empty() {
        let attempted = format!("read the manifests in `{}`", path.display());
        return Err(Fault::new(FaultKind::Invalid, attempted, "no `.yaml` or `.yml` file is in that folder")
            .hint("name the folder that holds them: folders in it are not looked into"));
    }
    Ok(files)
}

/// What is not the same in two renderings of one chart.
fn difference(once: &[Document], again: &[Document]) -> Option<String> {
    let title = |document: &Document| {
        let text = |pointer: &str| document.body.pointer(pointer).and_then(|value| value.as_str());
        format!("{} {}", text("/kind").unwrap_or("?"), text("/metadata/name").unwrap_or("?"))
    };
    if once.len() != again.len() {
        return Some("it renders another number of objects each time".to_string());
    }
    let pairs = once.iter().zip(again).filter(|(one, other)| one.body != other.body);
    let titles: Vec<String> = pairs.map(|(one, _)| title(one)).collect();
    (!titles.is_empty())
        .then(|| format!("it makes something up, which differs each time, in {}", titles.join(", ")))
}
