use std::collections::BTreeMap;
use std::fmt;

use crate::base::Owner;
use crate::containers::{Container, MARK_FOLDER};

/// The owner mark of a kind cluster: kind cannot label its containers, so each node has a read-only mount
/// of `/dev/null` whose destination says whose it is and what the cluster was made with. An engine tells it
/// also of containers that do not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Whose it is.
    pub owner: Owner,
    /// What the cluster was made with.
    pub digest: Digest,
}

impl Mark {
    /// The path in the node that carries the mark.
    pub fn destination(&self) -> String {
        format!("{MARK_FOLDER}/{}/{}/{}", self.owner.id, self.owner.environment, self.digest)
    }

    /// The mark of `container`; `None` when it carries none.
    pub fn of(container: &Container) -> Option<Self> {
        container.mounts.iter().find_map(|mount| Self::parse(&mount.destination))
    }

    fn parse(destination: &str) -> Option<Self> {
        let parts: Vec<&str> = destination.strip_prefix(MARK_FOLDER)?.strip_prefix('/')?.split('/').collect();
        let [id, environment, digest] = parts.as_slice() else { return None };
        Some(Self {
            owner: Owner { id: (*id).to_string(), environment: (*environment).to_string() },
            digest: Digest::parse(digest)?,
        })
    }
}

/// What a cluster was made with, as one short hash for each section of its configuration:
/// `features-1f0c9a3e.image-…`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digest(BTreeMap<String, String>);

impl Digest {
    /// From the hashes of the sections, by name.
    pub fn new(sections: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self(sections.into_iter().map(|(name, hash)| (name.to_string(), hash)).collect())
    }

    /// The sections in which `other` differs. One that either of them does not know differs not: another
    /// version of berth made it.
    pub fn differing(&self, other: &Self) -> Vec<&str> {
        let differs = |(name, hash): &(&String, &String)| other.0.get(*name).is_some_and(|it| it != *hash);
        self.0.iter().filter(differs).map(|(name, _)| name.as_str()).collect()
    }

    /// As it is written in a mark.
    pub fn parse(text: &str) -> Option<Self> {
        let section = |part: &str| {
            let (name, hash) = part.split_once('-')?;
            Some((name.to_string(), hash.to_string()))
        };
        text.split('.').map(section).collect::<Option<_>>().map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|(name, hash)| format!("{name}-{hash}")).collect();
        f.write_str(&parts.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(ports: &str) -> Digest {
        Digest::new([("image", "0a1b2c3d".to_string()), ("ports", ports.to_string())])
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let owner = Owner { id: "7f3k2q9d".to_string(), environment: "lab".to_string() };
        let mark = Mark { owner, digest: digest("11111111") };
        assert_eq!(mark.destination(), "/etc/berth/7f3k2q9d/lab/image-0a1b2c3d.ports-11111111");
        assert_eq!(Mark::parse(&mark.destination()), Some(mark));
        for other in ["/etc/berth", "/etc/berth/a/b", "/etc/berth/a/b/c", "/etc/berthold/a/b/c-d", "/var"] {
            assert_eq!(Mark::parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_section_that_changed_is_named_and_one_that_is_new_is_not() {
        assert_eq!(digest("1").differing(&digest("1")), Vec::<&str>::new());
        assert_eq!(digest("1").differing(&digest("2")), ["ports"]);
        assert_eq!(Digest::new([("gpu", "1".to_string())]).differing(&digest("2")), Vec::<&str>::new());
    }
}
