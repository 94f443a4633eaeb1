//! Sets of equal machines.

use super::Check;
use super::names::{check_duplicates, check_label, is_label_key, is_label_value};
use super::quota::quantity_problem;
use crate::base::ProviderKind;
use crate::profile::machines::{Machine, machine, nearest_machines};
use crate::profile::schema::{
    Amount, Architecture, Cluster, EnvironmentFile, MaxUnavailable, NodeGroupFile, ResourcesFile,
};
use crate::profile::tree::{Step, shorten};
use crate::profile::{MachineResources, NodeGroup, Taint};

/// The most nodes that Kubernetes is built for.
const MOST_NODES: u32 = 5_000;
const LONGEST_NAME: usize = 30;
/// The smallest root disk in GiB.
const LEAST_DISK: i128 = 10;
/// The same on EKS: EC2 makes no volume that is smaller than the snapshot of the machine image.
/// Source: <https://github.com/awslabs/amazon-eks-ami/blob/main/templates/al2023/variables-default.json>.
const LEAST_DISK_ON_EKS: i128 = 20;
/// The machine of a group on a provider whose machines have no types.
const STANDARD: &str = "standard";
const GPU: &str = "nvidia.com/gpu";
/// Labels that kubelets, clouds and berth itself set.
const RESERVED_LABELS: [&str; 5] = [
    "berth.dev/",
    "eks.amazonaws.com/",
    "cloud.google.com/",
    "kubernetes.io/hostname",
    "node.kubernetes.io/instance-type",
];

/// The node groups; machine, zones and resources are written into `file` as well.
pub(super) fn node_groups(check: &mut Check<'_>, file: &mut EnvironmentFile) -> Vec<NodeGroup> {
    check_duplicates(check, "nodeGroups", "node groups");
    let EnvironmentFile { cluster, node_groups, .. } = file;
    let groups: Vec<NodeGroup> = node_groups
        .iter_mut()
        .enumerate()
        .map(|(index, group)| node_group(check, cluster, index, group))
        .collect();
    let total: u64 = groups.iter().map(|group| u64::from(group.max)).sum();
    if total > u64::from(MOST_NODES) && groups.iter().all(|group| group.max <= MOST_NODES) {
        check.error(
            &[Step::Key("nodeGroups")],
            format!("these groups may have {total} nodes in all"),
            format!(
                "Kubernetes is built for {MOST_NODES} at most: lower `nodes` or make a second environment"
            ),
        );
    }
    groups
}

fn node_group(
    check: &mut Check<'_>,
    cluster: &Cluster,
    index: usize,
    group: &mut NodeGroupFile,
) -> NodeGroup {
    let at = [Step::Key("nodeGroups"), Step::Item(index)];
    let name_place = check.tree.place_of(&[at[0], at[1], Step::Key("name")]);
    check_label(check, name_place, "the node group", &group.name, LONGEST_NAME);
    check_nodes(check, index, group);
    let resources = resources(check, index, group);
    check_gpus(check, index, group, &resources);
    check_other_machines(check, index, group, &resources);
    check_labels_and_taints(check, index, group);
    check_disk(check, index, group);
    check_max_unavailable(check, index, group);
    let zones = zones(check, cluster, index, &group.zones);
    let (min, max) = group.nodes.range();
    let node_group = NodeGroup {
        name: group.name.clone(),
        machine: group.machine.clone().unwrap_or_else(|| STANDARD.to_string()),
        other_machines: group.other_machines.clone(),
        resources,
        min,
        max,
        zones,
        spot: group.spot,
        disk: group.disk.as_ref().map(|disk| disk.0.clone()),
        max_unavailable: group.max_unavailable.unwrap_or_default(),
        labels: group.labels.clone(),
        taints: group
            .taints
            .iter()
            .map(|taint| Taint {
                key: taint.key.clone(),
                value: taint.value.clone(),
                effect: taint.effect.as_str().to_string(),
            })
            .collect(),
    };
    group.machine = Some(node_group.machine.clone());
    group.zones.clone_from(&node_group.zones);
    group.resources = Some(ResourcesFile {
        cpu: Some(Amount(node_group.resources.cpu.clone())),
        memory: Some(Amount(node_group.resources.memory.clone())),
        gpus: Some(node_group.resources.gpus),
        architecture: Some(match node_group.resources.architecture.as_str() {
            "arm64" => Architecture::Arm64,
            _ => Architecture::Amd64,
        }),
    });
    node_group
}

fn check_nodes(check: &mut Check<'_>, index: usize, group: &NodeGroupFile) {
    let path = [Step::Key("nodeGroups"), Step::Item(index), Step::Key("nodes")];
    let (min, max) = group.nodes.range();
    if min > max {
        check.error(
            &path,
            format!("the least number of nodes, {min}, is greater than the greatest, {max}"),
            format!("swap them: `nodes: {{min: {max}, max: {min}}}`"),
        );
    }
    if max > MOST_NODES {
        check.error(
            &path,
            format!("{max} nodes are too many"),
            format!("Kubernetes is built for {MOST_NODES} at most"),
        );
    }
    if check.provider == ProviderKind::Kind && min != max {
        let place = check.tree.place_of(&path);
        check.warn_at(
            place,
            format!("nothing scales nodes on kind: this group always has {}", min.max(1)),
            format!("write `nodes: {}`", min.max(1)),
        );
    }
}

/// What one machine offers: as the profile says, else as the machine's type says.
fn resources(check: &mut Check<'_>, index: usize, group: &NodeGroupFile) -> MachineResources {
    let at = [Step::Key("nodeGroups"), Step::Item(index)];
    let given = group.resources.clone().unwrap_or_default();
    for (key, amount) in [("cpu", &given.cpu), ("memory", &given.memory)] {
        if let Some((message, help)) = amount.as_ref().and_then(|amount| quantity_problem(key, &amount.0)) {
            check.error(&[at[0], at[1], Step::Key("resources"), Step::Key(key)], message, help);
        }
        if amount.as_ref().is_some_and(|amount| amount.0.thousandths() == 0) {
            let path = [at[0], at[1], Step::Key("resources"), Step::Key(key)];
            check.error(
                &path,
                format!("a machine without {key} runs nothing"),
                "write what one machine offers",
            );
        }
    }
    let known = known_machine(check, index, group, &given);
    let known = known.unwrap_or_else(Machine::standard);
    let gpus = given.gpus.unwrap_or(known.gpus);
    if group.machine.is_some() && gpus > known.gpus && known.name != STANDARD {
        check.error(
            &[at[0], at[1], Step::Key("resources"), Step::Key(GPU)],
            match known.gpus {
                0 => format!("`{}` has no GPU", known.name),
                has => {
                    format!("`{}` has {has} GPU{}, not {gpus}", known.name, if has == 1 { "" } else { "s" })
                }
            },
            gpu_help(check.provider),
        );
    }
    MachineResources {
        cpu: given.cpu.map_or(known.cpu, |amount| amount.0),
        memory: given.memory.map_or(known.memory, |amount| amount.0),
        gpus,
        architecture: given.architecture.map_or(known.architecture, |a| a.as_str().to_string()),
    }
}

/// The machine of the group as the table knows it, or what stands for it.
fn known_machine(
    check: &mut Check<'_>,
    index: usize,
    group: &NodeGroupFile,
    given: &ResourcesFile,
) -> Option<Machine> {
    let at = [Step::Key("nodeGroups"), Step::Item(index)];
    let Some(name) = &group.machine else {
        if check.is_cloud() {
            let place = check.tree.place_of(&at);
            let example = example_machine(check.provider);
            check.error_at(
                place,
                format!("the node group `{}` has no machine type", shorten(&group.name)),
                format!("add the type of its machines: `machine: {example}`"),
            );
        }
        return None;
    };
    if let Some(known) = machine(name) {
        if let Some(home) = known.provider.filter(|home| check.is_cloud() && *home != check.provider) {
            let path = [at[0], at[1], Step::Key("machine")];
            let message = format!("`{name}` is a machine of {home}, this cluster is on {}", check.provider);
            let example = example_machine(check.provider);
            check.error(&path, message, format!("use one of {}: `machine: {example}`", check.provider));
        }
        return Some(known);
    }
    if given.cpu.is_none() || given.memory.is_none() {
        let path = [at[0], at[1], Step::Key("machine")];
        let message = format!("berth does not know the machine type `{}`", shorten(name));
        check.error(&path, message, near_help(name, check.provider));
    }
    None
}

/// Further types, as far as the table knows them: the provider itself is asked about the others.
fn check_other_machines(
    check: &mut Check<'_>,
    index: usize,
    group: &NodeGroupFile,
    resources: &MachineResources,
) {
    let at = [Step::Key("nodeGroups"), Step::Item(index), Step::Key("otherMachines")];
    if !group.other_machines.is_empty() && check.provider != ProviderKind::Eks {
        let message = format!("a node group of {} has machines of one type", check.provider);
        check.error(&at, message, "take `otherMachines` out, or make a second node group");
        return;
    }
    for (other_index, other) in group.other_machines.iter().enumerate() {
        let path = [at[0], at[1], at[2], Step::Item(other_index)];
        if group.machine.as_ref() == Some(other) || group.other_machines[..other_index].contains(other) {
            check.error(&path, format!("the machine type `{}` stands twice", shorten(other)), "take one out");
        }
        let Some(known) = machine(other) else { continue };
        if known.architecture != resources.architecture {
            let message =
                format!("`{other}` is {}, the group is {}", known.architecture, resources.architecture);
            check.error(
                &path,
                message,
                "one image has to fit all machines of a group: make a second node group",
            );
        } else if known.gpus != resources.gpus {
            let message =
                format!("`{other}` has {} GPUs, the group's machines have {}", known.gpus, resources.gpus);
            check.error(
                &path,
                message,
                "pods have to fit every machine of a group: make a second node group",
            );
        }
    }
}

fn example_machine(provider: ProviderKind) -> &'static str {
    if provider == ProviderKind::Eks { "m7i.large" } else { "e2-standard-4" }
}

fn near_help(name: &str, provider: ProviderKind) -> String {
    let say = "say what it offers: `resources: {cpu: 4, memory: 16Gi}`";
    match nearest_machines(name, provider).as_slice() {
        [] => say.to_string(),
        near => format!("did you mean `{}`? Otherwise {say}", near.join("` or `")),
    }
}

fn gpu_help(provider: ProviderKind) -> &'static str {
    match provider {
        ProviderKind::Eks => "use a machine that has one: `machine: g6.xlarge`",
        ProviderKind::Gke => "use a machine that has one: `machine: g2-standard-4`",
        _ => "say that it has: `resources: {nvidia.com/gpu: 1}`",
    }
}

/// Labels and taints that only fit a machine with a GPU.
fn check_gpus(check: &mut Check<'_>, index: usize, group: &NodeGroupFile, resources: &MachineResources) {
    let at = [Step::Key("nodeGroups"), Step::Item(index)];
    if resources.gpus > 16 {
        let path = [at[0], at[1], Step::Key("resources"), Step::Key(GPU)];
        check.error(&path, format!("no machine has {} GPUs", resources.gpus), "use 0 to 16");
    }
    if resources.gpus > 0 {
        return;
    }
    let machine = group.machine.as_deref().unwrap_or(STANDARD);
    let message = format!("this asks for a GPU, but `{}` has none", shorten(machine));
    for (key, value) in &group.labels {
        if key.starts_with("nvidia.com/gpu") && !matches!(value.as_str(), "false" | "0") {
            let place = check.key_place(&[at[0], at[1], Step::Key("labels")], key);
            check.error_at(place, message.clone(), gpu_help(check.provider));
        }
    }
    for (taint_index, taint) in group.taints.iter().enumerate() {
        if taint.key.starts_with(GPU) {
            let path = [at[0], at[1], Step::Key("taints"), Step::Item(taint_index), Step::Key("key")];
            check.error(&path, message.clone(), gpu_help(check.provider));
        }
    }
}

/// The domain of Kubernetes that the label `key` is in. EKS takes none of them for a managed node group, and kubelets
/// do not start with most of them.
/// Source: <https://github.com/kubernetes/cloud-provider-aws/issues/242>,
/// <https://github.com/terraform-aws-modules/terraform-aws-eks/issues/3346>.
fn domain_of_kubernetes(key: &str) -> Option<&'static str> {
    let (domain, _) = key.split_once('/')?;
    let is_in = |parent: &&&str| {
        domain.strip_suffix(**parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    ["kubernetes.io", "k8s.io"].iter().find(is_in).copied()
}

fn check_labels_and_taints(check: &mut Check<'_>, index: usize, group: &NodeGroupFile) {
    let at = [Step::Key("nodeGroups"), Step::Item(index)];
    for (key, value) in &group.labels {
        let place = check.key_place(&[at[0], at[1], Step::Key("labels")], key);
        if !is_label_key(key) {
            check.error_at(
                place,
                format!("`{}` cannot be the key of a label", shorten(key)),
                "use letters, digits and `- _ .`, at most 63, perhaps behind a domain: `example.com/team`",
            );
        } else if let Some(domain) = domain_of_kubernetes(key).filter(|_| check.provider == ProviderKind::Eks)
        {
            check.error_at(
                place,
                format!("EKS refuses the label `{}`: labels of {domain} are Kubernetes' own", shorten(key)),
                "choose a domain of your own: `example.com/team`",
            );
        } else if RESERVED_LABELS.iter().any(|reserved| key.starts_with(reserved)) {
            check.error_at(
                place,
                format!("the label `{}` is not yours to set", shorten(key)),
                "it follows from the machine, the cloud or berth: choose a key of your own",
            );
        }
        if !is_label_value(value) {
            check.error(
                &[at[0], at[1], Step::Key("labels"), Step::Key(key)],
                format!("`{}` cannot be the value of a label", shorten(value)),
                "use letters, digits and `- _ .`, at most 63, a letter or digit first and last",
            );
        }
    }
    let mut seen = std::collections::HashSet::new();
    for (taint_index, taint) in group.taints.iter().enumerate() {
        let path = [at[0], at[1], Step::Key("taints"), Step::Item(taint_index), Step::Key("key")];
        if !is_label_key(&taint.key) {
            check.error(
                &path,
                format!("`{}` cannot be the key of a taint", shorten(&taint.key)),
                "use letters, digits and `- _ .`, at most 63, perhaps behind a domain: `example.com/team`",
            );
        } else if !is_label_value(&taint.value) {
            check.error(
                &path,
                format!("`{}` cannot be the value of a taint", shorten(&taint.value)),
                "use letters, digits and `- _ .`, at most 63, a letter or digit first and last",
            );
        } else if !seen.insert((taint.key.as_str(), taint.effect.as_str())) {
            let message = format!("the taint `{}:{}` stands twice", taint.key, taint.effect.as_str());
            check.error(&path, message, "take one out");
        }
    }
}

fn check_disk(check: &mut Check<'_>, index: usize, group: &NodeGroupFile) {
    let Some(disk) = &group.disk else { return };
    let gibibytes = disk.0.thousandths() / 1000 / (1 << 30);
    let path = [Step::Key("nodeGroups"), Step::Item(index), Step::Key("disk")];
    let least = if check.provider == ProviderKind::Eks { LEAST_DISK_ON_EKS } else { LEAST_DISK };
    if gibibytes < least {
        check.error(
            &path,
            format!("a root disk of `{}` is too small", disk.0),
            format!("nodes need {least}Gi at least, 50Gi for a few images: `disk: 50Gi`"),
        );
    } else if gibibytes > 64 * 1024 {
        check.error(&path, format!("no root disk is as large as `{}`", disk.0), "use 64Ti at most");
    }
}

fn check_max_unavailable(check: &mut Check<'_>, index: usize, group: &NodeGroupFile) {
    let path = [Step::Key("nodeGroups"), Step::Item(index), Step::Key("maxUnavailable")];
    let Some(at_once) = group.max_unavailable else { return };
    if check.provider != ProviderKind::Eks {
        let message = format!(
            "how many nodes are made anew at once can be chosen on eks alone, not on {}",
            check.provider
        );
        check.error(&path, message, "take `maxUnavailable` out");
        return;
    }
    let (_, max) = group.nodes.range();
    // The greatest size of a group of EKS is 1 at least.
    let max = max.max(1);
    if matches!(at_once, MaxUnavailable::Count(count) if u32::from(count) > max) {
        check.error(
            &path,
            format!("{at_once} nodes at once are more than the group can have, {max}"),
            format!("write {max} at most, or a share of them: `maxUnavailable: 33%`"),
        );
    }
}

/// The zones by their full names.
fn zones(check: &mut Check<'_>, cluster: &Cluster, index: usize, zones: &[String]) -> Vec<String> {
    let mut full: Vec<String> = Vec::with_capacity(zones.len());
    for (zone_index, zone) in zones.iter().enumerate() {
        let path = [Step::Key("nodeGroups"), Step::Item(index), Step::Key("zones"), Step::Item(zone_index)];
        let letter = zone.len() == 1 && zone.bytes().all(|byte| byte.is_ascii_lowercase());
        let (name, region) = match cluster {
            Cluster::Eks(fields) if letter => {
                (format!("{}{zone}", fields.region), Some(fields.region.as_str()))
            }
            Cluster::Eks(fields) => (zone.clone(), Some(fields.region.as_str())),
            Cluster::Gke(fields) => {
                let region = super::cluster::gke_region(&fields.location);
                (if letter { format!("{region}-{zone}") } else { zone.clone() }, Some(region))
            }
            _ => (zone.clone(), None),
        };
        let region = region.filter(|region| super::cluster::is_region(check.provider, region));
        if let Some(region) = region.filter(|region| !name.starts_with(region) || name == **region) {
            check.error(
                &path,
                format!("the zone `{}` is not in `{region}`", shorten(zone)),
                "write the letter of a zone of the region: `a`",
            );
        } else if !is_label_value(&name) || name.is_empty() {
            check.error(&path, format!("`{}` cannot be a zone", shorten(zone)), "write a name such as `a`");
        } else if full.contains(&name) {
            check.error(&path, format!("the zone `{name}` stands twice"), "take one out");
        }
        full.push(name);
    }
    full
}
