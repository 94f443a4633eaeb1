//! Which beginnings of image references are mirrored, and where.

use std::collections::BTreeMap;

use super::Check;
use crate::profile::schema::EnvironmentFile;
use crate::profile::tree::{Step, shorten};

/// Other names of Docker Hub, under which no image is ever known.
const DOCKER_HUB: [&str; 4] =
    ["index.docker.io", "registry-1.docker.io", "hub.docker.com", "registry.hub.docker.com"];

pub(super) fn mirrors(check: &mut Check<'_>, file: &EnvironmentFile) -> BTreeMap<String, String> {
    let section = [Step::Key("registry"), Step::Key("mirrors")];
    let mirrors = file.registry.iter().flat_map(|registry| &registry.mirrors);
    for (from, to) in mirrors.clone() {
        if let Err((problem, help)) = check_source(from) {
            let place = check.key_place(&section, from);
            check.error_at(place, format!("`{}` {problem}", shorten(from)), help);
        }
        if let Err((problem, help)) = check_prefix(to, "registry.example.com:5000/hub") {
            let path = [section[0], section[1], Step::Key(from)];
            check.error(&path, format!("`{}` {problem}", shorten(to)), help);
        }
    }
    mirrors.map(|(from, to)| (from.clone(), to.clone())).collect()
}

/// What is wrong with the host of a registry, and what to write.
pub(super) fn host_problem(host: &str) -> Option<Refusal> {
    if !host.contains("://") && host.trim_end_matches('/').contains('/') {
        let help = format!("write the host alone: `{}`", host.split('/').next().unwrap_or_default());
        return Some(("is more than the host of a registry", help));
    }
    check_source(host).err().map(|(problem, help)| (problem, help.replace("quay.io/metallb", "quay.io")))
}

/// What is wrong, and what to write.
type Refusal = (&'static str, String);

fn check_source(from: &str) -> Result<(), Refusal> {
    check_prefix(from, "quay.io/metallb")?;
    let host = from.split('/').next().unwrap_or_default();
    if DOCKER_HUB.contains(&host) {
        let help = format!("write `{}`", from.replacen(host, "docker.io", 1));
        return Err(("is Docker Hub, whose images are called `docker.io/…`", help));
    }
    Ok(())
}

/// The beginning of an image reference: `HOST`, `HOST:PORT`, `HOST/PATH`. The rules are those of
/// <https://github.com/distribution/reference>.
fn check_prefix(prefix: &str, example: &str) -> Result<(), Refusal> {
    if let Some((scheme, rest)) = prefix.split_once("://") {
        let help = if rest.is_empty() { example } else { rest.trim_end_matches('/') };
        let problem = "is a URL; references of images have no scheme";
        return Err((problem, format!("take `{scheme}://` out: `{help}`")));
    }
    if let Some(rest) = prefix.strip_suffix('/').filter(|rest| !rest.is_empty()) {
        return Err(("has a `/` at its end", format!("write `{}`", rest.trim_end_matches('/'))));
    }
    let (host, path) = prefix.split_once('/').map_or((prefix, None), |(host, path)| (host, Some(path)));
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let is_host = name == "localhost" || name.contains('.') || port.is_some();
    if !is_host || !is_host_name(name) {
        let help = format!("begin with the host of a registry, such as `{example}`");
        return Err(("names no registry", help));
    }
    let no_port = |port: &str| is_digits(port) && !port.parse::<u16>().is_ok_and(|port| port > 0);
    if port.is_some_and(no_port) {
        return Err(("has a port that is none", format!("use one from 1 to 65535: `{example}`")));
    }
    if port.is_some_and(|port| !is_digits(port)) || path.is_some_and(|path| path.contains([':', '@'])) {
        let help = format!("write the beginning alone, such as `{example}`");
        return Err(("has a tag or digest; those stay as they are", help));
    }
    if path.is_some_and(|path| !path.split('/').all(is_component)) {
        let help = format!("use lower-case letters, digits and `- _ . /` behind the host: `{example}`");
        return Err(("cannot be the beginning of an image reference", help));
    }
    Ok(())
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

fn is_host_name(name: &str) -> bool {
    name.split('.').all(|label| {
        let inner = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        !label.is_empty() && inner && !label.starts_with('-') && !label.ends_with('-')
    })
}

fn is_component(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(plain)
        && part.ends_with(plain)
        && part.chars().all(|c| plain(c) || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_of_references_are_told_from_what_only_looks_like_them() {
        for fine in ["docker.io", "quay.io/metallb", "localhost", "registry:5000/hub/x_y", "10.0.0.1:5000"] {
            assert_eq!(check_source(fine), Ok(()), "{fine}");
        }
        for (wrong, problem) in [
            ("", "names no registry"),
            ("/", "names no registry"),
            ("metallb", "names no registry"),
            ("hub/library", "names no registry"),
            ("a..b/x", "names no registry"),
            ("https://docker.io/", "is a URL; references of images have no scheme"),
            ("quay.io/metallb/", "has a `/` at its end"),
            ("docker.io/library/traefik:v3", "has a tag or digest; those stay as they are"),
            ("quay.io:latest", "has a tag or digest; those stay as they are"),
            ("quay.io:99999/x", "has a port that is none"),
            ("quay.io:0", "has a port that is none"),
            ("quay.io/MetalLB", "cannot be the beginning of an image reference"),
            ("quay.io//metallb", "cannot be the beginning of an image reference"),
            ("index.docker.io/library", "is Docker Hub, whose images are called `docker.io/…`"),
        ] {
            assert_eq!(check_source(wrong).map_err(|(problem, _)| problem), Err(problem), "{wrong}");
        }
    }
}
