use super::store::{INNER_PORT, LABEL, Role, Store};
use crate::base::Reference;
use crate::containers::{Container, ContainerState};

/// What a look at the container of a registry means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is none.
    Absent,
    /// It runs as it should.
    Running,
    /// It does not run.
    Stopped(String),
    /// It is another one than the profile wants: it has to be made anew. Its images are in a volume.
    Other(Vec<Differs>),
    /// Somebody else made it.
    Foreign,
}

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Differs {
    /// What: `image`, `port`.
    pub(super) field: &'static str,
    /// As it is.
    pub(super) from: String,
    /// As it should be.
    pub(super) to: String,
}

/// Judges `found`, which should be `store`.
pub(super) fn judge(store: &Store, found: Option<&Container>) -> Verdict {
    let Some(container) = found else { return Verdict::Absent };
    let Some(mark) = container.labels.get(LABEL) else { return Verdict::Foreign };
    let mut differs = Vec::new();
    let mut compare = |field, from: String, to: String| {
        if from != to {
            differs.push(Differs { field, from, to });
        }
    };
    compare("registry", mark.clone(), store.mark());
    // Whoever asks for no image in particular is content with the one that another lab asked for.
    if let Some(image) = &store.image {
        compare("image", in_full(&container.image), in_full(image));
    }
    // nerdctl does not tell the ports of one that does not run.
    let tells_ports = container.runs() || !container.ports.is_empty();
    if let Role::Own(port) = store.role
        && tells_ports
    {
        compare("port", published(container), format!("127.0.0.1:{port}"));
    }
    if !differs.is_empty() {
        return Verdict::Other(differs);
    }
    match &container.state {
        ContainerState::Running => Verdict::Running,
        ContainerState::Stopped { word, code: 0 } => Verdict::Stopped(word.clone()),
        ContainerState::Stopped { word, code } => Verdict::Stopped(format!("{word} with code {code}")),
    }
}

/// A reference in full, so that two ways to write one are the same.
fn in_full(reference: &str) -> String {
    Reference::parse(reference).map_or_else(|| reference.to_string(), |reference| reference.to_string())
}

fn published(container: &Container) -> String {
    let port = container.ports.iter().find(|port| port.container == INNER_PORT);
    port.map_or_else(|| "none".to_string(), |port| format!("{}:{}", port.address, port.host))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::containers::PublishedPort;

    fn store(image: Option<&str>) -> Store {
        Store { role: Role::Own(5001), image: image.map(str::to_string) }
    }

    fn container() -> Container {
        Container {
            id: "1f".to_string(),
            name: "berth-registry".to_string(),
            state: ContainerState::Running,
            restarted: false,
            started: None,
            image: "registry:3".to_string(),
            image_id: String::new(),
            labels: BTreeMap::from([(LABEL.to_string(), "localhost:5001".to_string())]),
            mounts: Vec::new(),
            networks: BTreeMap::new(),
            ports: vec![PublishedPort {
                container: 5000,
                protocol: "tcp".to_string(),
                address: "127.0.0.1".to_string(),
                host: 5001,
            }],
        }
    }

    #[test]
    fn one_that_runs_as_it_should_is_left_alone_whatever_image_another_lab_chose() {
        assert_eq!(judge(&store(None), Some(&container())), Verdict::Running);
        assert_eq!(judge(&store(Some("docker.io/library/registry:3")), Some(&container())), Verdict::Running);
        assert_eq!(judge(&store(None), None), Verdict::Absent);
    }

    #[test]
    fn a_stopped_one_tells_how_it_ended() {
        let stopped = ContainerState::Stopped { word: "exited".to_string(), code: 2 };
        let container = Container { state: stopped, ..container() };
        let verdict = judge(&store(None), Some(&container));
        assert_eq!(verdict, Verdict::Stopped("exited with code 2".to_string()));
    }

    #[test]
    fn another_image_or_port_is_named() {
        let mut container = container();
        container.ports[0].address = "0.0.0.0".to_string();
        let Verdict::Other(differs) = judge(&store(Some("registry:2")), Some(&container)) else {
            unreachable!("both differ")
        };
        let fields: Vec<&str> = differs.iter().map(|differs| differs.field).collect();
        assert_eq!(fields, ["image", "port"]);
    }

    #[test]
    fn one_of_ours_for_something_else_is_made_anew() {
        let labels = BTreeMap::from([(LABEL.to_string(), "quay.io".to_string())]);
        let verdict = judge(&store(None), Some(&Container { labels, ..container() }));
        assert!(matches!(verdict, Verdict::Other(differs) if differs[0].field == "registry"));
    }

    #[test]
    fn somebody_elses_is_known_by_its_missing_label() {
        let container = Container { labels: BTreeMap::new(), ..container() };
        assert_eq!(judge(&store(None), Some(&container)), Verdict::Foreign);
    }
}
