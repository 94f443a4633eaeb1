use std::fmt;

/// Docker Hub, where references without a host are looked for.
const DOCKER_HUB: &str = "docker.io";

/// The reference of an image, in full: what a container runtime makes of `traefik:v3`.
///
/// The grammar is that of <https://github.com/distribution/reference>.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// `docker.io/library/traefik`: host, with port where there is one, and path.
    pub name: String,
    /// `v3`; `latest` where neither tag nor digest is written.
    pub tag: Option<String>,
    /// `sha256:…`.
    pub digest: Option<String>,
}

impl Reference {
    /// The reference that is written as `text`.
    pub fn parse(text: &str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let behind_path = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[behind_path..].find(':') {
            Some(colon) => (&rest[..behind_path + colon], Some(&rest[behind_path + colon + 1..])),
            None => (rest, None),
        };
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (host, path),
            _ => (DOCKER_HUB, name),
        };
        let host = if host == "index.docker.io" { DOCKER_HUB } else { host };
        let well_formed =
            path.split('/').all(is_component) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
        let library = if host == DOCKER_HUB && !path.contains('/') { "library/" } else { "" };
        let implied = (tag.is_none() && digest.is_none()).then_some("latest");
        well_formed.then(|| Self {
            name: format!("{host}/{library}{path}"),
            tag: tag.or(implied).map(str::to_string),
            digest: digest.map(str::to_string),
        })
    }

    /// The host, with port where there is one.
    pub fn host(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// What comes behind `prefix`, from its `/` on, when the reference begins with it.
    pub fn behind(&self, prefix: &str) -> Option<&str> {
        let rest = self.name.strip_prefix(prefix)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The first part of a name is a host when it looks like one; else the image is one of Docker Hub.
fn is_host(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost" || part.contains(|c: char| c.is_ascii_uppercase())
}

fn is_component(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(plain)
        && part.ends_with(plain)
        && part.chars().all(|c| plain(c) || matches!(c, '-' | '_' | '.'))
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128 && tag.starts_with(word) && tag.chars().all(|c| word(c) || matches!(c, '-' | '.'))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hash)| {
        !algorithm.is_empty() && hash.len() >= 32 && hash.chars().all(|c| c.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:d9862115e7c7881280d3d75ca26bda8ffc0fc213315979575bf23ce9826205c0";

    fn whole(text: &str) -> Option<String> {
        Reference::parse(text).map(|reference| reference.to_string())
    }

    #[test]
    fn a_reference_is_written_in_full() {
        for (text, full) in [
            ("traefik:v3", "docker.io/library/traefik:v3"),
            ("traefik", "docker.io/library/traefik:latest"),
            ("docker.io/traefik:v3", "docker.io/library/traefik:v3"),
            ("index.docker.io/traefik:v3", "docker.io/library/traefik:v3"),
            ("grafana/grafana:13.0.1", "docker.io/grafana/grafana:13.0.1"),
            ("quay.io/metallb/speaker:v0.16.1", "quay.io/metallb/speaker:v0.16.1"),
            ("registry:5000/a/b", "registry:5000/a/b:latest"),
            ("localhost/a", "localhost/a:latest"),
        ] {
            assert_eq!(whole(text).as_deref(), Some(full), "{text}");
        }
        assert_eq!(whole(&format!("a/b@{DIGEST}")), Some(format!("docker.io/a/b@{DIGEST}")));
        let both = format!("registry:5000/a:v1@{DIGEST}");
        assert_eq!(whole(&both), Some(both));
    }

    #[test]
    fn what_no_runtime_would_pull_is_no_reference() {
        for text in [
            "",
            " ",
            "a b",
            "quay.io/",
            "quay.io/MetalLB/x",
            "a:",
            "a:b:c",
            "a@sha256:1",
            "https://a.b/c",
            "/a",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn a_prefix_ends_where_a_part_of_the_name_ends() {
        let reference = Reference::parse("quay.io/metallb/speaker:v1").expect("a reference");
        assert_eq!(reference.behind("quay.io"), Some("/metallb/speaker"));
        assert_eq!(reference.behind("quay.io/metallb/speaker"), Some(""));
        assert_eq!(reference.behind("quay.io/metal"), None);
        assert_eq!(reference.host(), "quay.io");
    }
}
