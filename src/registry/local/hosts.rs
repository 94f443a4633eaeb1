use std::collections::BTreeMap;

use super::store::{INNER_PORT, Role, Store};

/// Where containerd looks for what is known of registries: one folder for each.
pub(super) const FOLDER: &str = "/etc/containerd/certs.d";

/// The first line of what berth writes there, by which it is known again.
const HEAD: &str = "# Written by berth; `berth up` writes it again.";

/// What stands before each file in what [`READ`] prints.
const BEFORE: &str = "==> ";

/// A shell command that prints every `hosts.toml` of a node. One that is not there is nothing.
pub(super) const READ: &str = "for f in /etc/containerd/certs.d/*/hosts.toml; do \
     [ -f \"$f\" ] || continue; printf '\\n==> %s\\n' \"$f\"; cat \"$f\"; done";

/// The text of `hosts.toml` by the name of the registry that it is about.
pub(super) type Hosts = BTreeMap<String, String>;

/// What a node has to know to pull from `stores`, the first of which may be at `elsewhere` in place of its
/// container.
pub(super) fn wanted(stores: &[Store], elsewhere: Option<&str>) -> Hosts {
    let mut hosts = Hosts::new();
    for store in stores {
        let endpoint = store.endpoint();
        match &store.role {
            Role::Own(_) => {
                let endpoint = elsewhere.unwrap_or(&endpoint);
                // Without `server`, what is not found here would be asked for at the node's own localhost.
                let text = file(endpoint, endpoint);
                hosts.insert(store.mark(), text.clone());
                hosts.insert(format!("{}:{INNER_PORT}", store.name()), text);
            }
            Role::Cache(upstream) => {
                hosts.insert(upstream.name.clone(), file(&upstream.url, &endpoint));
            }
        }
    }
    hosts
}

/// A `hosts.toml` by which images come from `endpoint`, and from `server` when that has failed.
/// <https://github.com/containerd/containerd/blob/main/docs/hosts.md>
fn file(server: &str, endpoint: &str) -> String {
    format!(
        "{HEAD}\nserver = \"{server}\"\n\n[host.\"{endpoint}\"]\n  capabilities = [\"pull\", \"resolve\"]\n"
    )
}

/// What [`READ`] printed.
pub(super) fn parse(printed: &str) -> Hosts {
    let mut hosts = Hosts::new();
    let mut current: Option<(String, String)> = None;
    let name_of =
        |path: &str| Some(path.strip_prefix(FOLDER)?.trim_matches('/').split('/').next()?.to_string());
    for line in printed.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix(BEFORE).and_then(|path| name_of(path.trim_end())) {
            hosts.extend(current.replace((name, String::new())));
        } else if let Some((_, text)) = &mut current {
            text.push_str(line);
        }
    }
    hosts.extend(current);
    // The line break before each name is not of the file before it.
    hosts.into_iter().map(|(name, text)| (name, text.trim_end_matches('\n').to_string() + "\n")).collect()
}

/// Whether berth wrote this file.
pub(super) fn is_ours(text: &str) -> bool {
    text.starts_with(HEAD)
}

/// The names of the containers that a file of ours leads to.
pub(super) fn leads_to(text: &str) -> impl Iterator<Item = &str> {
    let hosts = text.lines().filter_map(|line| line.trim().strip_prefix("[host.\"http://"));
    hosts.filter_map(|rest| rest.split([':', '"']).next())
}

/// What has to be done on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// To be written.
    pub(super) write: Hosts,
    /// Of ours, and wanted no more.
    pub(super) remove: Vec<String>,
}

impl Difference {
    /// Between what is there and what is wanted. A file that somebody else wrote about the same registry is
    /// replaced: a node has one only.
    pub(super) fn between(found: &Hosts, wanted: &Hosts) -> Self {
        let write = wanted.iter().filter(|(name, text)| found.get(*name) != Some(*text));
        let remove = found.iter().filter(|(name, text)| is_ours(text) && !wanted.contains_key(*name));
        Self {
            write: write.map(|(name, text)| (name.clone(), text.clone())).collect(),
            remove: remove.map(|(name, _)| name.clone()).collect(),
        }
    }

    /// Whether nothing has to be done.
    pub(super) fn is_empty(&self) -> bool {
        self.write.is_empty() && self.remove.is_empty()
    }

    /// The names of the registries that it is about, sorted.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.write.keys().map(String::as_str).chain(self.remove.iter().map(String::as_str)).collect();
        names.sort_unstable();
        names
    }

    /// A shell script that does it. Each file is moved to its place whole, since containerd reads it at any
    /// moment.
    pub(super) fn script(&self) -> String {
        let mut script = "set -e\n".to_string();
        for (name, text) in &self.write {
            let folder = quoted(&format!("{FOLDER}/{name}"));
            script.push_str(&format!(
                "mkdir -p {folder}\nprintf '%s' {} >{folder}/.hosts.toml\nmv {folder}/.hosts.toml {folder}/hosts.toml\n",
                quoted(text)
            ));
        }
        for name in &self.remove {
            let folder = quoted(&format!("{FOLDER}/{name}"));
            // Certificates that somebody put there stay.
            script.push_str(&format!("rm -f {folder}/hosts.toml\nrmdir {folder} 2>/dev/null || :\n"));
        }
        script
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::schema::LocalRegistry;
    use crate::registry::local::store::stores;

    fn declared() -> Vec<Store> {
        stores(&LocalRegistry { port: 5001, image: None, pull_through: vec!["docker.io".to_string()] })
    }

    fn printed(hosts: &Hosts) -> String {
        let file = |(name, text)| format!("\n{BEFORE}{FOLDER}/{name}/hosts.toml\n{text}");
        hosts.iter().map(file).collect::<Vec<String>>().concat()
    }

    #[test]
    fn what_was_written_is_read_again() {
        let wanted = wanted(&declared(), None);
        assert_eq!(wanted.keys().collect::<Vec<_>>(), ["berth-registry:5000", "docker.io", "localhost:5001"]);
        assert_eq!(parse(&printed(&wanted)), wanted);
        assert!(Difference::between(&parse(&printed(&wanted)), &wanted).is_empty());
        assert_eq!(parse(""), Hosts::new());
    }

    #[test]
    fn the_registry_is_asked_alone_and_a_cache_before_what_it_caches() {
        let wanted = wanted(&declared(), None);
        let local = &wanted["localhost:5001"];
        assert!(local.contains("server = \"http://berth-registry:5000\""), "{local}");
        let hub = &wanted["docker.io"];
        assert!(hub.contains("server = \"https://registry-1.docker.io\""), "{hub}");
        assert_eq!(leads_to(hub).collect::<Vec<_>>(), ["berth-cache-docker-io"]);
    }

    #[test]
    fn a_registry_that_somebody_else_runs_is_reached_where_it_is() {
        let wanted = wanted(&declared(), Some("http://172.18.0.1:5001"));
        assert!(wanted["localhost:5001"].contains("[host.\"http://172.18.0.1:5001\"]"));
        assert!(wanted["berth-registry:5000"].contains("172.18.0.1"));
    }

    #[test]
    fn only_what_differs_is_written_and_only_what_is_ours_goes() {
        let wanted = wanted(&declared()[..1], None);
        let mut found = super::wanted(&declared(), None);
        found.insert("quay.io".to_string(), "server = \"https://quay.io\"\n".to_string());
        found.insert("localhost:5001".to_string(), "server = \"http://old:5000\"\n".to_string());
        let difference = Difference::between(&found, &wanted);
        assert_eq!(difference.write.keys().collect::<Vec<_>>(), ["localhost:5001"]);
        assert_eq!(difference.remove, ["docker.io"]);
        assert_eq!(difference.names(), ["docker.io", "localhost:5001"]);
    }
}
