use serde::Deserialize;

use crate::base::{Fault, FaultKind};

/// Where the images of the table are.
const REPOSITORY: &str = "docker.io/kindest/node";

/// The node images of one release of kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    kind: String,
    images: Vec<String>,
}

/// The table that ships with berth, newest release first.
fn table() -> Vec<Release> {
    serde_saphyr::from_str(include_str!("images.yaml")).expect("a test reads it")
}

/// The node image for `kubernetes` that was built for `kind`, the release `(0, 33, 0)` at hand: an image of
/// an older release works too, one of a newer release may not.
pub(super) fn image_for(kubernetes: (u32, u32), kind: (u32, u32, u32)) -> Result<String, Fault> {
    let releases = table();
    let fitting = || releases.iter().filter(|release| version(&release.kind).is_some_and(|it| it <= kind));
    let is_wanted = |image: &&String| minor(image) == Some(kubernetes);
    if let Some(image) = fitting().flat_map(|release| &release.images).find(is_wanted) {
        return Ok(format!("{REPOSITORY}:{image}"));
    }
    let attempted = format!("choose a node image for Kubernetes {}.{}", kubernetes.0, kubernetes.1);
    let newer = releases.iter().find(|release| release.images.iter().any(|image| is_wanted(&image)));
    if let Some(newer) = newer {
        let reason = format!("its image needs kind {}, and kind {} is here", newer.kind, shown(kind));
        return Err(Fault::new(FaultKind::Invalid, attempted, reason)
            .hint(format!("install kind {}: https://kind.sigs.k8s.io", newer.kind)));
    }
    let mut minors: Vec<(u32, u32)> =
        fitting().flat_map(|release| &release.images).filter_map(|image| minor(image)).collect();
    minors.sort_unstable();
    minors.dedup();
    let minors: Vec<String> = minors.iter().map(|(major, minor)| format!("{major}.{minor}")).collect();
    let there = if minors.is_empty() { "none".to_string() } else { minors.join(", ") };
    let reason = format!("for kind {} berth knows the images of {there}", shown(kind));
    Err(Fault::new(FaultKind::Invalid, attempted, reason).hint(
        "declare one of these as `cluster.kind.version`, or name an image of your own: `cluster.kind.image`, \
         or BERTH_KIND_IMAGE for all clusters of this machine",
    ))
}

/// The release in the words of `kind version`: `(0, 33, 0)` of `v0.33.0`.
pub(super) fn version(text: &str) -> Option<(u32, u32, u32)> {
    let text = text.trim().trim_start_matches('v');
    // Builds between two releases say `0.34.0-alpha+1f0c9a3e`.
    let mut numbers = text.split(['-', '+']).next()?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// `0.33.0`
pub(super) fn shown(kind: (u32, u32, u32)) -> String {
    format!("{}.{}.{}", kind.0, kind.1, kind.2)
}

/// The minor of an image of the table: `(1, 36)` of `v1.36.4@sha256:…`.
fn minor(image: &str) -> Option<(u32, u32)> {
    let (major, minor, _) = version(image.split('@').next()?)?;
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_of_the_table_has_a_version_and_a_whole_digest() {
        let table = table();
        assert!(table.is_sorted_by_key(|release| std::cmp::Reverse(version(&release.kind))));
        for image in table.iter().flat_map(|release| &release.images) {
            assert!(minor(image).is_some(), "{image}");
            let digest = image.split_once("@sha256:").map(|(_, digest)| digest).unwrap_or_default();
            assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{image}");
        }
    }

    #[test]
    fn the_image_is_that_of_the_newest_release_that_is_not_newer_than_kind() {
        let image = |kubernetes, kind| image_for(kubernetes, kind).expect("in the table");
        assert!(image((1, 36), (0, 33, 0)).starts_with("docker.io/kindest/node:v1.36.4@sha256:"));
        assert!(image((1, 36), (0, 34, 1)).starts_with("docker.io/kindest/node:v1.36.4@sha256:"));
        assert!(image((1, 36), (0, 32, 0)).starts_with("docker.io/kindest/node:v1.36.1@sha256:"));
    }

    #[test]
    fn what_is_missing_is_said_with_what_there_is() {
        let unknown = image_for((1, 33), (0, 33, 0)).expect_err("too old");
        assert_eq!(unknown.reason, "for kind 0.33.0 berth knows the images of 1.34, 1.35, 1.36, 1.37");
        let newer = image_for((1, 37), (0, 32, 0)).expect_err("too new for that kind");
        assert_eq!(newer.reason, "its image needs kind 0.33.0, and kind 0.32.0 is here");
        let ancient = image_for((1, 36), (0, 20, 0)).expect_err("no kind of the table");
        assert!(ancient.reason.contains("needs kind 0.33.0"), "{ancient:?}");
    }

    #[test]
    fn kind_says_its_version_in_several_ways() {
        assert_eq!(version("0.33.0\n"), Some((0, 33, 0)));
        assert_eq!(version("v0.34.0-alpha+1f0c9a3e"), Some((0, 34, 0)));
        assert_eq!(version("kind"), None);
    }
}
