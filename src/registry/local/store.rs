use jiff::Timestamp;

use crate::base::Owner;
use crate::containers::Container;
use crate::profile::schema::LocalRegistry;

/// The image of a registry whose profile names none.
pub const DEFAULT_IMAGE: &str = "docker.io/library/registry:3";

/// The label of every registry that berth keeps on this machine; its value is what the registry is for:
/// `localhost:5001`, or the registry that it caches. All labs share it, so it has no other owner.
pub const LABEL: &str = "berth.dev/registry";

/// The label that says which lab made a registry, as `ID/ENVIRONMENT`: whoever does not use it any more may take
/// it along, if nobody else uses it.
const MADE_BY: &str = "berth.dev/made-by";

/// The label that says when: the nodes of a lab that has just made one do not lead to it yet.
const MADE_AT: &str = "berth.dev/made-at";

/// The port in the container.
pub(super) const INNER_PORT: u16 = 5000;

/// The port of a lab that says nothing else, whose container has the short name.
const USUAL_PORT: u16 = 5001;

/// Where images are pushed to, and what their references begin with: `localhost:5001`.
pub fn host(port: u16) -> String {
    format!("localhost:{port}")
}

/// Who makes a registry, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// The lab.
    pub(super) by: Owner,
    /// The time.
    pub(super) at: Timestamp,
}

impl Origin {
    /// The label of what `owner` made: `berth.dev/made-by=ID/ENVIRONMENT`.
    pub(super) fn label_of(owner: &Owner) -> String {
        format!("{MADE_BY}={}/{}", owner.id, owner.environment)
    }

    /// One for tests.
    #[cfg(test)]
    pub(super) fn played() -> Self {
        let by = Owner { id: "7f3k2q9d".to_string(), environment: "lab".to_string() };
        Self { by, at: Timestamp::UNIX_EPOCH }
    }

    /// Of a container of ours; `None` when a berth made it that did not tell.
    pub(super) fn of(container: &Container) -> Option<Self> {
        let (id, environment) = container.labels.get(MADE_BY)?.split_once('/')?;
        let by = Owner { id: id.to_string(), environment: environment.to_string() };
        Some(Self { by, at: container.labels.get(MADE_AT)?.parse().ok()? })
    }

    /// The labels of a registry for `mark`.
    pub(super) fn labels(&self, mark: &str) -> [String; 3] {
        [format!("{LABEL}={mark}"), Self::label_of(&self.by), format!("{MADE_AT}={}", self.at)]
    }
}

/// One registry in a container of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Store {
    /// What it is for.
    pub(super) role: Role,
    /// The image that the profile names.
    pub(super) image: Option<String>,
}

/// What a registry is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// Images are pushed to it, on this port of the machine.
    Own(u16),
    /// It keeps what it is asked for and has from another registry.
    Cache(Upstream),
}

/// A registry that is cached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upstream {
    /// What references begin with: `docker.io`.
    pub(super) name: String,
    /// Where it answers: `https://registry-1.docker.io`.
    pub(super) url: String,
}

impl Upstream {
    /// From the profile: `quay.io`, or `http://registry.internal:5000` for one without TLS.
    pub(super) fn parse(text: &str) -> Self {
        let (scheme, name) = text.split_once("://").unwrap_or(("https", text));
        // Docker Hub answers elsewhere than where its images say.
        let host = if name == "docker.io" { "registry-1.docker.io" } else { name };
        Self { name: name.to_string(), url: format!("{scheme}://{host}") }
    }
}

/// The registries that `declared` asks for: its own one first.
pub(super) fn stores(declared: &LocalRegistry) -> Vec<Store> {
    let own = Role::Own(declared.port);
    let caches = declared.pull_through.iter().map(|text| Role::Cache(Upstream::parse(text)));
    std::iter::once(own).chain(caches).map(|role| Store { role, image: declared.image.clone() }).collect()
}

impl Store {
    /// The name of its container, and of the volume that keeps its images.
    pub(super) fn name(&self) -> String {
        match &self.role {
            Role::Own(USUAL_PORT) => "berth-registry".to_string(),
            Role::Own(port) => format!("berth-registry-{port}"),
            // A name with dots would be looked up in DNS first by some engines.
            Role::Cache(upstream) => format!("berth-cache-{}", upstream.name.replace(['.', ':'], "-")),
        }
    }

    /// The value of its label.
    pub(super) fn mark(&self) -> String {
        match &self.role {
            Role::Own(port) => host(*port),
            Role::Cache(upstream) => upstream.name.clone(),
        }
    }

    /// For messages: ``registry `localhost:5001` ``, ``cache of `docker.io` ``.
    pub(super) fn title(&self) -> String {
        title(&self.name(), &self.mark())
    }

    /// Where nodes on its network reach it: `HOST:PORT`.
    pub(super) fn address(&self) -> String {
        format!("{}:{INNER_PORT}", self.name())
    }

    /// The same as a URL.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The image that it is made from.
    pub(super) fn image(&self) -> &str {
        self.image.as_deref().unwrap_or(DEFAULT_IMAGE)
    }

    /// The arguments of `docker` that make it and start it, on `network` if not on the engine's own.
    pub(super) fn run(&self, network: Option<&str>, origin: &Origin) -> Vec<String> {
        let name = self.name();
        let mut arguments: Vec<String> =
            ["run", "--detach", "--restart", "unless-stopped", "--name"].map(str::to_string).into();
        arguments.push(name.clone());
        let mut flag = |flag: &str, value: String| arguments.extend([flag.to_string(), value]);
        if let Some(network) = network {
            flag("--network", network.to_string());
        }
        for label in origin.labels(&self.mark()) {
            flag("--label", label);
        }
        flag("--volume", format!("{name}:/var/lib/registry"));
        // It would look for a collector of traces, and log that there is none.
        flag("--env", "OTEL_TRACES_EXPORTER=none".to_string());
        match &self.role {
            Role::Own(port) => {
                flag("--publish", format!("127.0.0.1:{port}:{INNER_PORT}"));
                flag("--env", "REGISTRY_STORAGE_DELETE_ENABLED=true".to_string());
            }
            Role::Cache(upstream) => flag("--env", format!("REGISTRY_PROXY_REMOTEURL={}", upstream.url)),
        }
        arguments.push(self.image().to_string());
        arguments
    }
}

/// A registry of this machine for messages, by the name of its container and its mark.
pub(super) fn title(name: &str, mark: &str) -> String {
    if name.starts_with("berth-cache-") { format!("cache of `{mark}`") } else { format!("registry `{mark}`") }
}

/// What a container of ours is, for messages.
pub(super) fn title_of(container: &Container) -> String {
    let mark = container.labels.get(LABEL).map_or("", String::as_str);
    title(&container.name, mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(port: u16, pull_through: &[&str]) -> Vec<Store> {
        let pull_through = pull_through.iter().map(ToString::to_string).collect();
        stores(&LocalRegistry { port, image: None, pull_through })
    }

    #[test]
    fn the_registry_listens_on_this_machine_alone_and_keeps_its_images() {
        let run = declared(5001, &[])[0].run(None, &Origin::played()).join(" ");
        assert!(run.contains("--publish 127.0.0.1:5001:5000"), "{run}");
        assert!(run.contains("--volume berth-registry:/var/lib/registry"), "{run}");
        assert!(run.contains("--label berth.dev/registry=localhost:5001"), "{run}");
        assert!(run.contains("--label berth.dev/made-by=7f3k2q9d/lab"), "{run}");
        assert!(run.ends_with("docker.io/library/registry:3"), "{run}");
    }

    #[test]
    fn a_cache_is_published_to_nobody_and_asks_its_registry() {
        let stores = declared(5002, &["docker.io", "http://plain.internal:5000"]);
        assert_eq!(stores[0].name(), "berth-registry-5002");
        assert_eq!(stores[1].name(), "berth-cache-docker-io");
        let run = stores[1].run(None, &Origin::played()).join(" ");
        assert!(run.contains("REGISTRY_PROXY_REMOTEURL=https://registry-1.docker.io"), "{run}");
        assert!(!run.contains("--publish"), "{run}");
        let plain = stores[2].run(None, &Origin::played()).join(" ");
        assert!(plain.contains("REGISTRY_PROXY_REMOTEURL=http://plain.internal:5000"), "{plain}");
        assert_eq!(stores[2].mark(), "plain.internal:5000");
    }
}
