use super::definition::MinorRange;
use super::images::hosts;
use crate::base::{Fault, FaultKind, ProviderKind};

/// What is wrong with an option that the addon does not have.
pub(super) const NO_SUCH_OPTION: &str = "no such option";

/// Why an addon cannot be read or rendered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AddonError {
    /// No addon has that name.
    #[error("`addons.{name}`: no such addon")]
    Unknown {
        /// As the profile says.
        name: String,
        /// The known name that is most like it.
        nearest: Option<String>,
        /// All known names.
        known: Vec<String>,
    },
    /// The declared provider cannot have it.
    #[error("`addons.{name}`: not on {provider}: {because}")]
    Refused {
        /// The addon.
        name: String,
        /// The declared provider.
        provider: ProviderKind,
        /// Why.
        because: String,
    },
    /// No version of it is made for the cluster's Kubernetes.
    #[error("`addons.{name}`: no version of it for Kubernetes {minor}")]
    Kubernetes {
        /// The addon.
        name: String,
        /// The cluster's minor.
        minor: String,
        /// What its newest version is made for.
        newest: Option<MinorRange>,
    },
    /// The version that is asked for is unknown, or not for the cluster's Kubernetes.
    #[error("`addons.{name}.version`: {}", no_version(asked, *made_for, minor))]
    Version {
        /// The addon.
        name: String,
        /// As the profile says.
        asked: String,
        /// What it is made for, when it is known.
        made_for: Option<MinorRange>,
        /// The cluster's minor.
        minor: String,
        /// The versions that fit, newest first.
        fitting: Vec<String>,
    },
    /// An option is not as the addon wants it.
    #[error("`{path}`: {problem}")]
    Option {
        /// Where it stands in the profile: `addons.traefik.replicas`.
        path: String,
        /// What is wrong.
        problem: String,
        /// What would be right.
        hint: Option<String>,
    },
    /// What was fetched for it cannot be applied.
    #[error("`addons.{name}`: {problem}")]
    Source {
        /// The addon.
        name: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// There are mirrors, and these images have none.
    #[error("no mirror of `registry.mirrors` is for {}", listed(.missed))]
    Unmirrored {
        /// Each image, with the object and the addon that name it.
        missed: Vec<(String, String)>,
    },
    /// It is known, but there is nothing to apply for it.
    #[error("`addons.{name}`: this build of berth has no manifests of it for {provider}")]
    NoManifests {
        /// The addon.
        name: String,
        /// The declared provider.
        provider: ProviderKind,
    },
    /// An `addon.yaml` or a manifest is not what it has to be.
    #[error("`{place}`: {problem}")]
    File {
        /// The file, with line and column where they are known.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// Two folders hold an addon of one name.
    #[error("two addons are called `{name}`: in `{first}` and in `{second}`")]
    Twice {
        /// The name.
        name: String,
        /// One folder.
        first: String,
        /// The other.
        second: String,
    },
    /// A folder or file cannot be read.
    #[error(transparent)]
    Unreadable(Box<Fault>),
}

impl AddonError {
    /// A refusal of the option at `path`.
    pub(super) fn option(path: &str, problem: impl Into<String>, hint: Option<String>) -> Self {
        Self::Option { path: path.to_string(), problem: problem.into(), hint }
    }

    /// A refusal of what was fetched for the addon `name`.
    pub(super) fn source(name: &str, problem: impl Into<String>, hint: &str) -> Self {
        Self::Source { name: name.to_string(), problem: problem.into(), hint: hint.to_string() }
    }

    /// A refusal of a file of an addon.
    pub(super) fn file(place: &str, problem: impl Into<String>) -> Self {
        Self::File { place: place.to_string(), problem: problem.into() }
    }

    /// Where in the profile the cause stands: `addons.traefik.replicas`.
    pub fn path(&self) -> Option<String> {
        match self {
            Self::Unknown { name, .. }
            | Self::Refused { name, .. }
            | Self::Kubernetes { name, .. }
            | Self::Source { name, .. }
            | Self::NoManifests { name, .. } => Some(format!("addons.{name}")),
            Self::Version { name, .. } => Some(format!("addons.{name}.version")),
            Self::Option { path, .. } => Some(path.clone()),
            Self::Unmirrored { .. } => Some("registry.mirrors".to_string()),
            Self::Twice { .. } | Self::Unreadable(_) => Some("addonsFrom".to_string()),
            Self::File { .. } => None,
        }
    }

    /// What is wrong there, without saying again where.
    pub fn problem(&self) -> String {
        let message = self.to_string();
        let place = self.path().map(|path| format!("`{path}`: "));
        match place.and_then(|place| message.strip_prefix(&place).map(str::to_string)) {
            Some(problem) => problem,
            None => message,
        }
    }

    /// Whether the name at its path is what is wrong, not the value.
    pub fn is_about_a_key(&self) -> bool {
        match self {
            Self::Option { problem, .. } => problem == NO_SUCH_OPTION,
            _ => true,
        }
    }

    /// What to type or change next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::Unknown { known, .. } => Some(format!("the addons are: {}", known.join(", "))),
            Self::Refused { name, .. } => Some(format!("take `{name}` out of `addons`")),
            Self::NoManifests { name, .. } => {
                Some(format!("take `{name}` out of `addons`, or bring your own in a folder of `addonsFrom`"))
            }
            Self::Kubernetes { newest, .. } => {
                newest.map(|range| format!("its newest version is made for Kubernetes {range}"))
            }
            Self::Version { minor, fitting, .. } => {
                Some(format!("for Kubernetes {minor} there are: {}", fitting.join(", ")))
            }
            Self::Option { hint, .. } => hint.clone(),
            Self::Source { hint, .. } => Some(hint.clone()),
            Self::Unmirrored { missed } => Some(for_mirrors(missed)),
            Self::Twice { .. } => Some("give one of them another name".to_string()),
            Self::File { .. } => None,
            Self::Unreadable(fault) => fault.hint.clone(),
        }
    }
}

impl From<Fault> for AddonError {
    fn from(fault: Fault) -> Self {
        Self::Unreadable(Box::new(fault))
    }
}

impl From<AddonError> for Fault {
    fn from(error: AddonError) -> Self {
        let (hint, reason, path) = (error.hint(), error.to_string(), error.path());
        let fault = match error {
            AddonError::Unreadable(fault) => return *fault,
            _ => Fault::new(FaultKind::Invalid, "render the addons", reason),
        };
        let fault = Fault { in_profile: path, ..fault };
        match hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

fn no_version(asked: &str, made_for: Option<MinorRange>, minor: &str) -> String {
    match made_for {
        Some(range) => format!("{asked} is made for Kubernetes {range}, and this cluster has {minor}"),
        None => format!("no version {asked} of it is known"),
    }
}

/// One image per line, with what names it.
fn listed(missed: &[(String, String)]) -> String {
    let mut images: Vec<&str> = missed.iter().map(|(image, _)| image.as_str()).collect();
    images.sort_unstable();
    images.dedup();
    let mut text = if images.len() == 1 { "this image:".to_string() } else { "these images:".to_string() };
    for image in images {
        let named_by = missed.iter().filter(|(other, _)| other == image).map(|(_, by)| by.as_str());
        text.push_str(&format!("\n  `{image}` ({})", named_by.collect::<Vec<_>>().join(", ")));
    }
    text
}

/// What to add to the profile for images that no mirror is for.
fn for_mirrors(missed: &[(String, String)]) -> String {
    let hosts = hosts(missed.iter().map(|(image, _)| image.as_str()));
    let Some(first) = hosts.first() else {
        return "correct them: these are no references of images".to_string();
    };
    let lines: Vec<String> = hosts.iter().map(|host| format!("`{host}: REGISTRY/PATH`")).collect();
    format!(
        "copy them to your registry and add {} to `registry.mirrors`; `{first}: {first}` says that they \
         are pulled from there",
        lines.join(" and ")
    )
}

/// The one of `known` that `name` was probably meant to be.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|known| (strsim::jaro_winkler(name, known), known));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    // Below that the two have little in common but their letters.
    (best.0 > 0.8).then_some(best.1)
}
