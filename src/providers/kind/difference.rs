//! What of a cluster differs from the profile, by what its containers are: the words of a profile may change as
//! long as they mean what is there.

use super::config::Config;
use super::mark::Digest;
use crate::base::Reference;
use crate::containers::{Container, PublishedPort};

/// The port of the API server in a control plane: kind leads one of the machine to it by itself.
const API_SERVER: u16 = 6443;

/// How many nodes of each role a cluster has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Roles {
    /// Control planes.
    pub(super) control_planes: usize,
    /// Workers.
    pub(super) workers: usize,
}

impl Roles {
    /// Those of `nodes`.
    pub(super) fn of(nodes: &[&Container]) -> Self {
        let control_planes = nodes.iter().filter(|node| node.is_kind_control_plane()).count();
        Self { control_planes, workers: nodes.len() - control_planes }
    }

    /// Those that are wanted.
    pub(super) fn wanted(config: &Config) -> Self {
        let nodes = config.nodes();
        let workers = nodes.iter().filter(|node| node.group.is_some()).count();
        Self { control_planes: nodes.len() - workers, workers }
    }

    /// `1 control plane, 2 workers`
    pub(super) fn words(self) -> String {
        let count = |number: usize, what: &str| match number {
            1 => format!("1 {what}"),
            0 => format!("no {what}s"),
            several => format!("{several} {what}s"),
        };
        format!("{}, {}", count(self.control_planes, "control plane"), count(self.workers, "worker"))
    }
}

/// What differs of the nodes of a cluster that was made with `made` from what is `wanted`, each in words; what was
/// `adopted` was never made with it, and is compared by what can be seen alone. Pure.
pub(super) fn differing(made: &Digest, nodes: &[&Container], wanted: &Config, adopted: bool) -> Vec<String> {
    let changed = made.differing(&wanted.digest());
    changed.into_iter().filter_map(|section| of_section(section, nodes, wanted, adopted)).collect()
}

fn of_section(section: &str, nodes: &[&Container], wanted: &Config, adopted: bool) -> Option<String> {
    let unseen = || (!adopted).then(|| format!("the profile's {section} changed since it was made"));
    match section {
        "image" => of_image(nodes, wanted),
        "nodes" => {
            let (there, declared) = (Roles::of(nodes), Roles::wanted(wanted));
            if there == declared {
                return unseen();
            }
            Some(format!("nodes: {}, the profile says {}", there.words(), declared.words()))
        }
        "ports" => {
            let there = nodes.iter().find(|node| node.is_kind_control_plane()).map(|node| ports(&node.ports));
            let (there, declared) = (there.unwrap_or_default(), ports(&wanted.published_ports()));
            let words =
                |ports: &[String]| if ports.is_empty() { "none".to_string() } else { ports.join(", ") };
            (there != declared)
                .then(|| format!("ports: {}, the profile says {}", words(&there), words(&declared)))
        }
        _ => unseen(),
    }
}

/// Without a name in the profile the image is right when its Kubernetes is: the API server tells that.
fn of_image(nodes: &[&Container], wanted: &Config) -> Option<String> {
    let declared = wanted.image()?;
    let there = nodes.iter().map(|node| node.image.as_str()).find(|there| !is_same_image(there, declared))?;
    Some(format!("image: `{there}`, the profile says `{declared}`"))
}

fn is_same_image(one: &str, other: &str) -> bool {
    let (Some(one), Some(other)) = (Reference::parse(one), Reference::parse(other)) else {
        return one == other;
    };
    // A tag beside a digest says nothing.
    let is_same = if one.digest.is_some() { one.digest == other.digest } else { one.tag == other.tag };
    one.name == other.name && is_same
}

/// What leads into a node: `127.0.0.1:8080 to 80`. What is udp or sctp says so.
fn ports(published: &[PublishedPort]) -> Vec<String> {
    let words = |port: &PublishedPort| {
        let protocol = if port.protocol == "tcp" { String::new() } else { format!("/{}", port.protocol) };
        format!("{}:{} to {}{protocol}", port.address, port.host, port.container)
    };
    let mut words: Vec<String> =
        published.iter().filter(|port| port.container != API_SERVER).map(words).collect();
    words.sort();
    words
}

#[cfg(test)]
mod tests {
    use super::super::config::tests::config;
    use super::super::gpus::tests::container;
    use super::*;
    use crate::profile::schema::{KindCluster, KindPort, PortProtocol};
    use crate::providers::nodes::sample_group;

    fn wanted(workers: u32, change: impl FnOnce(&mut KindCluster)) -> Config {
        let mut spec = KindCluster::default();
        change(&mut spec);
        config(&[sample_group("general", workers, workers, 0)], spec)
    }

    fn nodes() -> Vec<Container> {
        let port = |container: u16, host: u16| PublishedPort {
            container,
            protocol: "tcp".to_string(),
            address: "127.0.0.1".to_string(),
            host,
        };
        let mut control_plane = container("lab-control-plane", "lab", &[]);
        control_plane.labels = Container::kind_labels("lab", "control-plane");
        control_plane.ports = vec![port(6443, 40123), port(80, 8080)];
        let mut nodes = vec![control_plane, container("lab-worker", "lab", &[])];
        for node in &mut nodes {
            node.image = "kindest/node:v1.36.4".to_string();
        }
        nodes
    }

    fn told(made: &Config, wanted: &Config, adopted: bool) -> Vec<String> {
        let nodes = nodes();
        let nodes: Vec<&Container> = nodes.iter().collect();
        differing(&made.digest(), &nodes, wanted, adopted)
    }

    fn port(host: u16) -> impl FnOnce(&mut KindCluster) {
        move |spec| {
            spec.ports = vec![KindPort {
                host,
                node: 80,
                listen: "127.0.0.1".to_string(),
                protocol: PortProtocol::Tcp,
            }];
        }
    }

    #[test]
    fn a_difference_is_told_with_what_is_there_and_what_the_profile_says() {
        let made = wanted(1, port(8080));
        assert_eq!(told(&made, &wanted(1, port(8080)), false), [""; 0]);
        assert_eq!(
            told(&made, &wanted(3, port(8080)), false),
            ["nodes: 1 control plane, 1 worker, the profile says 1 control plane, 3 workers"]
        );
        assert_eq!(
            told(&made, &wanted(1, port(9090)), false),
            ["ports: 127.0.0.1:8080 to 80, the profile says 127.0.0.1:9090 to 80"]
        );
        assert_eq!(
            told(&made, &wanted(1, |_| ()), false),
            ["ports: 127.0.0.1:8080 to 80, the profile says none"]
        );
        let other = wanted(1, |spec| {
            port(8080)(spec);
            spec.image = Some("own:v1".to_string());
        });
        assert_eq!(told(&made, &other, false), ["image: `kindest/node:v1.36.4`, the profile says `own:v1`"]);
        let other = wanted(1, |spec| {
            port(8080)(spec);
            spec.pod_subnet = Some("10.1.0.0/16".to_string());
        });
        assert_eq!(told(&made, &other, false), ["the profile's networking changed since it was made"]);
    }

    #[test]
    fn other_words_for_what_is_there_are_no_difference() {
        let made = wanted(1, port(8080));
        let named = |image: &str| {
            let image = Some(image.to_string());
            wanted(1, |spec| {
                port(8080)(spec);
                spec.image = image;
            })
        };
        assert_eq!(told(&made, &named("docker.io/kindest/node:v1.36.4"), false), [""; 0]);
        // Which Kubernetes runs is for the API server to say.
        let mut newer = wanted(1, port(8080));
        newer.kubernetes = (1, 37);
        assert_eq!(told(&named("own:v1"), &newer, false), [""; 0]);
    }

    #[test]
    fn a_group_of_another_name_is_a_difference_in_a_cluster_that_was_made_with_groups() {
        let made = wanted(1, port(8080));
        let mut renamed = sample_group("other", 1, 1, 0);
        renamed.name = "other".to_string();
        let mut spec = KindCluster::default();
        port(8080)(&mut spec);
        let renamed = config(&[renamed], spec);
        assert_eq!(told(&made, &renamed, false), ["the profile's nodes changed since it was made"]);
        assert_eq!(told(&made, &renamed, true), [""; 0]);
    }

    #[test]
    fn an_adopted_cluster_is_held_to_nothing_that_it_never_had() {
        let wrong = wanted(3, |spec| spec.pod_subnet = Some("10.1.0.0/16".to_string()));
        assert_eq!(told(&wrong, &wanted(1, port(8080)), true), [""; 0]);
        assert_eq!(told(&wanted(1, port(8080)), &wrong, true).len(), 2);
    }

    #[test]
    fn images_are_the_same_by_digest_where_there_is_one() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let other = format!("sha256:{}", "b".repeat(64));
        assert!(is_same_image(&format!("kindest/node:v1@{digest}"), &format!("kindest/node@{digest}")));
        assert!(!is_same_image(&format!("kindest/node:v1@{digest}"), &format!("kindest/node:v1@{other}")));
        assert!(!is_same_image("kindest/node:v1", "kindest/node:v2"));
        assert!(!is_same_image(&format!("kindest/node:v1@{digest}"), "kindest/node:v1"));
    }
}
