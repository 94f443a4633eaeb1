//! Whether there is a node image for the Kubernetes that a profile declares.

use std::time::Duration;

use super::{Finding, KindSight, Level, Wanted, WantedImage};
use crate::base::Fault;
use crate::containers::Engine;
use crate::flow::Flow;
use crate::profile::{NEWEST, OLDEST};
use crate::providers::kind::images;

/// Where a node image says which Kubernetes it has: kind reads it there, too.
const VERSION_FILE: &str = "/kind/version";
/// A container that does not start within this time tells nothing.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is known of the node image before anything is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSight {
    /// Nothing: it is not on this machine, or does not say what it has.
    Unknown,
    /// It has this Kubernetes.
    Has {
        /// `v1.36.3`
        version: String,
        /// `(1, 36)`
        minor: (u32, u32),
    },
    /// The Kubernetes of the profile has no image for the kind at hand; why.
    None(Fault),
}

/// Looks at the image that `wanted` asks for. One that is not on this machine is not pulled for that.
pub(super) async fn look(
    engine: Option<&Engine>,
    wanted: &Wanted,
    kind: &KindSight,
    flow: &Flow,
) -> ImageSight {
    match &wanted.image {
        WantedImage::Any => ImageSight::Unknown,
        WantedImage::OfTable => {
            let KindSight::Found { version, .. } = kind else { return ImageSight::Unknown };
            let found = images::version(version).map(|kind| images::image_for(wanted.kubernetes, kind));
            found.and_then(Result::err).map_or(ImageSight::Unknown, ImageSight::None)
        }
        WantedImage::Named(image) => match engine {
            Some(engine) => ask(engine, image, flow).await.unwrap_or(ImageSight::Unknown),
            None => ImageSight::Unknown,
        },
    }
}

/// Asks the image itself: its name may say anything.
async fn ask(engine: &Engine, image: &str, flow: &Flow) -> Option<ImageSight> {
    let engine = engine.patient(PATIENCE);
    let asked = engine.file_of_image(image, VERSION_FILE);
    let text = flow.within(PATIENCE, "ask the node image for its version", asked).await.ok()??;
    let version = text.trim().to_string();
    let (major, minor, _) = images::version(&version)?;
    Some(ImageSight::Has { version, minor: (major, minor) })
}

/// What `sight` means for a cluster as `wanted`.
pub(super) fn finding(sight: &ImageSight, wanted: &Wanted) -> Option<Finding> {
    let fail = |what: String, found: String, remedy: String| {
        Some(Finding { level: Level::Fail, what, found, remedy: remedy.into() })
    };
    let (major, minor) = wanted.kubernetes;
    match (sight, &wanted.image) {
        (ImageSight::None(fault), _) => {
            let remedy = fault.hint.clone().unwrap_or_default();
            fail(format!("node image for Kubernetes {major}.{minor}"), fault.reason.clone(), remedy)
        }
        (ImageSight::Has { version, minor: has }, WantedImage::Named(image)) if *has != wanted.kubernetes => {
            let own = format!("name an image of Kubernetes {major}.{minor}");
            let remedy = if (OLDEST..=NEWEST).contains(has) {
                format!("write `version: \"{}.{}\"` under `cluster.kind`, or {own}", has.0, has.1)
            } else {
                own
            };
            let found = format!("it has Kubernetes {version}, and the profile says {major}.{minor}");
            fail(format!("node image {image}"), found, remedy)
        }
        _ => None,
    }
}
