use crate::base::Note;
use crate::profile::Environment;
use crate::providers::eks::template::Blueprint;

/// Roughly how many addresses a node takes with its pods: each pod has one of the network.
/// <https://docs.aws.amazon.com/eks/latest/userguide/choosing-instance-type.html>
const OF_A_NODE: u64 = 30;

/// That the private subnets are too small for all nodes that there may be, with their pods.
pub fn note(blueprint: &Blueprint, environment: &Environment) -> Option<Note> {
    let plan = blueprint.network.as_ref()?;
    let nodes: u64 = environment.node_groups.iter().map(|group| u64::from(group.max)).sum();
    let there_are = u64::from(plan.addresses.of_one_zone()) * plan.zones.len() as u64;
    let needed = nodes * OF_A_NODE;
    let text = format!(
        "up to {nodes} nodes with about {OF_A_NODE} addresses each for their pods need {needed}, and the private \
         subnets of {} have {there_are}: pods beyond that stay without one",
        plan.addresses
    );
    (needed > there_are).then(|| Note::new("warning", text))
}
