use super::config::Config;
use super::difference::differing;
use super::mark::{Digest, Mark};
use crate::containers::{Container, ContainerState};

/// What a look at the containers of a cluster and berth's files of it gave.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight {
    /// The containers that kind made for the cluster of this name, by name.
    pub(super) containers: Vec<Container>,
    /// Whether berth took over the access of the finished cluster.
    pub(super) has_kubeconfig: bool,
    /// Whether kind came to its end.
    pub(super) kind_ended: bool,
    /// Whether its making was begun here and is not known to be finished.
    pub(super) is_making: bool,
    /// What it is taken to be made with, when it was adopted.
    pub(super) adopted: Option<Digest>,
}

/// What that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is nothing.
    Absent,
    /// Somebody else made it; in words, and whether it may be adopted: not when it carries another mark.
    Foreign {
        /// `somebody else made it`
        whose: String,
        /// Whether `--adopt` takes it.
        adoptable: bool,
        /// The id of the environment of this name whose mark it carries: a profile with this id has it.
        id: Option<String>,
    },
    /// Making it was begun and not finished, so nothing of value is in it: it is made anew.
    Unfinished(String),
    /// These nodes are gone: it cannot become whole again.
    Incomplete(Vec<String>),
    /// It is not as the profile says, each in words: `nodes: 1 control plane, 2 workers, the profile says …`.
    Differs(Vec<String>),
    /// These containers do not run.
    Stopped(Vec<String>),
    /// All of it runs: its API server is to be asked.
    Running,
}

/// Judges what was seen of a cluster that should be as `wanted`.
pub(super) fn judge(sight: &Sight, wanted: &Config) -> Verdict {
    if sight.containers.is_empty() {
        return Verdict::Absent;
    }
    let nodes: Vec<&Container> = sight.containers.iter().filter(|one| one.is_kind_node()).collect();
    let ours = wanted.mark();
    let adopted = sight.adopted.as_ref().map(|digest| Mark { digest: digest.clone(), ..ours.clone() });
    let marks: Vec<Option<Mark>> = nodes.iter().map(|node| Mark::of(node).or(adopted.clone())).collect();
    if let Some(mark) = marks.iter().find(|mark| mark.as_ref().is_none_or(|mark| mark.owner != ours.owner)) {
        return Verdict::Foreign {
            whose: whose(mark.as_ref()),
            adoptable: marks.iter().all(Option::is_none),
            id: mark.as_ref().map(|mark| mark.owner.id.clone()),
        };
    }
    if sight.is_making && !sight.kind_ended && !sight.has_kubeconfig {
        return Verdict::Unfinished("making it was begun and not finished".to_string());
    }
    let made = marks.first().and_then(Option::as_ref).map(|mark| &mark.digest);
    let is_adopted = nodes.iter().all(|node| Mark::of(node).is_none());
    let changed = made.map(|made| differing(made, &nodes, wanted, is_adopted)).unwrap_or_default();
    if !changed.is_empty() {
        return Verdict::Differs(changed);
    }
    let is_gone = |name: &String| nodes.iter().all(|node| node.name != *name);
    let gone: Vec<String> = wanted.nodes().into_iter().map(|node| node.name).filter(is_gone).collect();
    if !gone.is_empty() {
        return Verdict::Incomplete(gone);
    }
    let stopped = sight.containers.iter().filter(|container| !container.runs());
    let stopped: Vec<String> = stopped.map(|container| container.name.clone()).collect();
    if stopped.is_empty() { Verdict::Running } else { Verdict::Stopped(stopped) }
}

/// Whether the profile asks for another image than before by its Kubernetes alone: whether that is another one than
/// runs is for the API server to say.
pub(super) fn asks_for_a_version(sight: &Sight, wanted: &Config) -> bool {
    let made = sight.containers.iter().find_map(Mark::of).map(|mark| mark.digest).or(sight.adopted.clone());
    wanted.image().is_none() && made.is_some_and(|made| made.differing(&wanted.digest()).contains(&"image"))
}

/// Who made a cluster that is not ours.
pub(super) fn whose(mark: Option<&Mark>) -> String {
    match mark {
        Some(mark) => {
            format!("it is environment {} of a profile with the id {}", mark.owner.environment, mark.owner.id)
        }
        None => "somebody else made it".to_string(),
    }
}

/// How a container that does not run came to its end: `lab-worker (exited, code 137)`.
pub(super) fn ended(container: &Container) -> String {
    match &container.state {
        ContainerState::Running => container.name.clone(),
        ContainerState::Stopped { word, code } => format!("{} ({word}, code {code})", container.name),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::config::tests::config;
    use super::*;
    use crate::containers::Mount;
    use crate::profile::schema::KindCluster;
    use crate::providers::nodes::sample_group;

    fn wanted() -> Config {
        config(&[sample_group("general", 1, 1, 0)], KindCluster::default())
    }

    fn container(name: &str, role: &str, mark: Option<&Mark>) -> Container {
        let mount = |mark: &Mark| Mount {
            source: "/dev/null".to_string(),
            destination: mark.destination(),
            writable: false,
        };
        Container {
            name: name.to_string(),
            labels: Container::kind_labels("lab", role),
            mounts: mark.map(mount).into_iter().collect(),
            id: name.to_string(),
            state: ContainerState::Running,
            restarted: false,
            started: None,
            image: String::new(),
            image_id: String::new(),
            networks: BTreeMap::new(),
            ports: Vec::new(),
        }
    }

    fn whole() -> Sight {
        let mark = wanted().mark();
        Sight {
            containers: vec![
                container("lab-control-plane", "control-plane", Some(&mark)),
                container("lab-external-load-balancer", "external-load-balancer", None),
                container("lab-worker", "worker", Some(&mark)),
            ],
            has_kubeconfig: true,
            ..Sight::default()
        }
    }

    #[test]
    fn nothing_at_all_is_absent_whatever_files_there_are() {
        assert_eq!(judge(&Sight { is_making: true, ..Sight::default() }, &wanted()), Verdict::Absent);
    }

    #[test]
    fn a_whole_cluster_runs_also_when_berths_files_are_lost() {
        assert_eq!(judge(&whole(), &wanted()), Verdict::Running);
        assert_eq!(judge(&Sight { has_kubeconfig: false, ..whole() }, &wanted()), Verdict::Running);
    }

    #[test]
    fn one_whose_making_was_cut_short_holds_nothing_of_value() {
        let cut = Sight { has_kubeconfig: false, is_making: true, ..whole() };
        assert!(matches!(judge(&cut, &wanted()), Verdict::Unfinished(_)));
        // kind came to its end without berth: the cluster is as good as any.
        assert_eq!(judge(&Sight { kind_ended: true, ..cut }, &wanted()), Verdict::Running);
    }

    #[test]
    fn a_cluster_without_our_mark_is_never_ours_not_even_half_made() {
        let mut sight = Sight { is_making: true, has_kubeconfig: false, ..whole() };
        sight.containers[0].mounts.clear();
        assert!(matches!(judge(&sight, &wanted()), Verdict::Foreign { adoptable: false, .. }));
        let unmarked = Sight {
            containers: vec![container("lab-control-plane", "control-plane", None)],
            ..Sight::default()
        };
        assert!(matches!(judge(&unmarked, &wanted()), Verdict::Foreign { adoptable: true, .. }));
        let adopted = Sight { adopted: Some(wanted().digest()), ..unmarked };
        assert_eq!(judge(&adopted, &wanted()), Verdict::Incomplete(vec!["lab-worker".to_string()]));
        let mut other = wanted().mark();
        other.owner.id = "other123".to_string();
        sight.containers[0] = container("lab-control-plane", "control-plane", Some(&other));
        let Verdict::Foreign { whose, .. } = judge(&sight, &wanted()) else { unreachable!("another owner") };
        assert!(whose.contains("of a profile with the id other123"), "{whose}");
    }

    #[test]
    fn another_environment_of_the_same_owner_is_somebody_else() {
        // Clusters are called like their environments, also those of two profiles that were given the same id.
        let mut other = wanted().mark();
        other.owner.environment = "other".to_string();
        let nodes = [("lab-control-plane", "control-plane"), ("lab-worker", "worker")];
        let containers = nodes.map(|(name, role)| container(name, role, Some(&other))).to_vec();
        let verdict = judge(&Sight { containers, has_kubeconfig: true, ..Sight::default() }, &wanted());
        let Verdict::Foreign { whose, adoptable, .. } = verdict else { unreachable!("another environment") };
        assert!(whose.starts_with("it is environment other ") && !adoptable, "{whose}");
    }

    #[test]
    fn the_changed_sections_are_named() {
        let spec = KindCluster { pod_subnet: Some("10.1.0.0/16".to_string()), ..KindCluster::default() };
        let other = config(&[sample_group("general", 1, 1, 0)], spec);
        let why = "the profile's networking changed since it was made";
        assert_eq!(judge(&whole(), &other), Verdict::Differs(vec![why.to_string()]));
    }

    #[test]
    fn another_kubernetes_in_the_profile_is_for_the_api_server_to_judge() {
        let mut newer = wanted();
        newer.kubernetes = (1, 37);
        assert_eq!(judge(&whole(), &newer), Verdict::Running);
        assert!(asks_for_a_version(&whole(), &newer));
        assert!(!asks_for_a_version(&whole(), &wanted()));
        let adopted = Sight { adopted: Some(wanted().digest()), containers: Vec::new(), ..whole() };
        assert!(asks_for_a_version(&adopted, &newer));
    }

    #[test]
    fn a_node_that_is_gone_is_named() {
        let mut sight = whole();
        sight.containers.pop();
        assert_eq!(judge(&sight, &wanted()), Verdict::Incomplete(vec!["lab-worker".to_string()]));
    }

    #[test]
    fn containers_that_do_not_run_are_named_the_load_balancer_too() {
        let mut sight = whole();
        for index in [1, 2] {
            sight.containers[index].state = ContainerState::Stopped { word: "exited".to_string(), code: 137 };
        }
        let names = vec!["lab-external-load-balancer".to_string(), "lab-worker".to_string()];
        assert_eq!(judge(&sight, &wanted()), Verdict::Stopped(names));
        assert_eq!(ended(&sight.containers[2]), "lab-worker (exited, code 137)");
    }
}
