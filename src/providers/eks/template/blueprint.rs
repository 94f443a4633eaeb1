use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::addresses::Addresses;
use super::document::{Template, attribute, reference};
use super::renewed::Renewed;
use super::zones::Zone;
use super::{ids, machines, network, roles, zones};
use crate::base::label;
use crate::engine::{Output, Outputs};
use crate::profile::schema::{EksCluster, Nat};
use crate::profile::{Environment, NodeGroup, RegistrySpec};
use crate::providers::eks::names::{Names, PodRole, Site};
use crate::providers::eks::outputs::{LaunchTemplate, NAT_GATEWAYS, PlacedSubnet, Published};

/// How long the logs of the control plane are kept.
const LOG_DAYS: u32 = 30;
/// The root disk of a machine whose node group names none, in GiB.
const USUAL_DISK: u64 = 80;
/// The smallest root disk of a machine with GPUs: images with their libraries are large.
const LEAST_GPU_DISK: u64 = 100;
/// Thousandths of a byte in a GiB.
const GIB: i128 = 1_000 << 30;

/// What the stack of an environment is made of, in typed values.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// What everything is called.
    pub names: Names,
    /// Where it is.
    pub site: Site,
    /// The marks of the owner, on everything that can carry tags.
    pub tags: BTreeMap<String, String>,
    /// The network; `None` where it is somebody else's.
    pub network: Option<NetworkPlan>,
    /// Whether EKS Auto Mode makes the nodes.
    pub auto_mode: bool,
    /// The roles of pods.
    pub pod_roles: BTreeSet<PodRole>,
    /// The repositories that ECR fills with what nodes pull through it, as ARNs with `*`.
    pub pulled_through: Vec<String>,
    /// One launch template each.
    pub machines: Vec<Machines>,
    /// What of the network was made anew under another id.
    pub renewed: Renewed,
    /// How many days the logs of the control plane are kept; `None` where none are written.
    pub log_days: Option<u32>,
}

/// The network of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPlan {
    /// Its addresses.
    pub addresses: Addresses,
    /// Its zones, each with a private and a public subnet, by their places.
    pub zones: Vec<Zone>,
    /// How private subnets reach the internet.
    pub nat: Nat,
}

impl NetworkPlan {
    /// How many NAT gateways it has, each with an address.
    pub fn gateways(&self) -> usize {
        match self.nat {
            Nat::None => 0,
            Nat::Single => 1,
            Nat::PerZone => self.zones.len(),
        }
    }
}

/// The machines of a node group, as far as a launch template says how they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machines {
    /// The node group.
    pub group: String,
    /// The root disk in GiB.
    pub disk: u64,
}

impl Blueprint {
    /// How much of what costs by the hour it has, for an estimate.
    pub fn counted(&self) -> Outputs {
        let mut counted = Outputs::default();
        if let Some(plan) = &self.network {
            counted.insert(NAT_GATEWAYS, Output::Text(plan.gateways().to_string()));
        }
        counted
    }

    /// What `environment`, whose cluster is `spec`, has at `site`, with the `network` that berth makes for it.
    pub fn new(
        environment: &Environment,
        spec: &EksCluster,
        site: Site,
        network: Option<NetworkPlan>,
    ) -> Self {
        let owner = &environment.owner;
        let tags = [(label::OWNER, &owner.id), (label::ENVIRONMENT, &owner.environment)];
        let groups: &[NodeGroup] = if spec.auto_mode { &[] } else { &environment.node_groups };
        let mut pod_roles = BTreeSet::new();
        if !spec.auto_mode {
            pod_roles.extend([PodRole::EbsCsi, PodRole::VpcCni]);
        }
        if environment.is_scaled() && !spec.auto_mode {
            pod_roles.insert(PodRole::Autoscaler);
        }
        let pulled_through = pulled_through(environment, &site);
        Self {
            names: Names::new(&environment.name, &spec.region),
            site,
            tags: tags.into_iter().map(|(key, value)| (key.to_string(), value.clone())).collect(),
            network,
            auto_mode: spec.auto_mode,
            pod_roles,
            pulled_through,
            machines: groups.iter().map(Machines::of).collect(),
            renewed: Renewed::default(),
            log_days: (!spec.logging.is_empty()).then_some(LOG_DAYS),
        }
    }

    /// The same with the log group that stands, also where no logs are written any more: those in it are kept for
    /// their days, and one that went before EKS stopped writing would come again, without an end.
    #[must_use]
    pub fn keeping_logs(mut self) -> Self {
        self.log_days.get_or_insert(LOG_DAYS);
        self
    }

    /// The same with these parts of the network made anew.
    #[must_use]
    pub fn renewing(self, renewed: Renewed) -> Self {
        Self { renewed, ..self }
    }

    /// What the stack says of itself.
    pub fn description(&self) -> String {
        format!("Network and roles of the environment {}, made by berth", self.names.environment())
    }

    /// The template of the stack.
    pub fn template(&self) -> Template {
        let mut template = Template::default();
        if let Some(plan) = &self.network {
            network::add(&mut template, self, plan);
        }
        roles::add(&mut template, self);
        machines::add(&mut template, self);
        if let Some(days) = self.log_days {
            machines::add_log_group(&mut template, self, days);
        }
        self.add_outputs(&mut template);
        template.seal();
        template
    }

    /// What is made of it, when `made` tells the id of each thing that is: of what the template calls so, or of
    /// its output of that name. Subnets are told once those of all `zones` are.
    pub fn published(&self, zones: &[Zone], made: &BTreeMap<String, String>) -> Published {
        let id = |logical: &str| made.get(logical).cloned();
        let arn = |logical: &str| {
            let name = made.get(logical)?;
            Some(if name.starts_with("arn:") { name.clone() } else { self.site.role_arn(name) })
        };
        let placed = |logical: fn(&Names, &str) -> String| {
            let subnets: Option<Vec<PlacedSubnet>> = zones
                .iter()
                .map(|zone| {
                    let id = id(&logical(&self.names, &zone.name))?;
                    Some(PlacedSubnet { zone: zone.name.clone(), id })
                })
                .collect();
            subnets.unwrap_or_default()
        };
        let launch_template = |machines: &Machines| {
            let logical = ids::launch_template(&machines.group);
            let version = id(&ids::version_of(&logical))?;
            Some((machines.group.clone(), LaunchTemplate { id: id(&logical)?, version }))
        };
        let (private, public) = (placed(ids::private_subnet), placed(ids::public_subnet));
        let has_no_way_out = self.network.as_ref().is_some_and(|plan| plan.nat == Nat::None);
        Published {
            vpc: id(ids::VPC),
            nodes: if has_no_way_out { public.clone() } else { private.clone() },
            private,
            public,
            cluster_role: arn(ids::CLUSTER_ROLE),
            node_role: arn(self.node_role()),
            // Those that left the profile too, as long as they stand.
            pod_roles: PodRole::ALL
                .into_iter()
                .filter_map(|role| Some((role, arn(ids::pod_role(role))?)))
                .collect(),
            log_group: id(ids::LOG_GROUP),
            launch_templates: self.machines.iter().filter_map(launch_template).collect(),
        }
    }

    fn add_outputs(&self, template: &mut Template) {
        if let Some(plan) = &self.network {
            template.output(ids::ZONES, Value::String(zones::written(&plan.zones)));
        }
        if !self.renewed.is_empty() {
            template.output(ids::RENEWED, Value::String(self.renewed.written()));
        }
        let zones = self.network.iter().flat_map(|plan| &plan.zones);
        let subnets = zones.flat_map(|zone| {
            [ids::private_subnet(&self.names, &zone.name), ids::public_subnet(&self.names, &zone.name)]
        });
        let plain = self.network.iter().map(|_| ids::VPC.to_string()).chain(subnets);
        let plain = plain.chain(self.log_days.map(|_| ids::LOG_GROUP.to_string()));
        for id in plain.collect::<Vec<_>>() {
            template.output(&id, reference(&id));
        }
        let pod_roles = self.pod_roles.iter().map(|role| ids::pod_role(*role));
        for id in [ids::CLUSTER_ROLE, self.node_role()].into_iter().chain(pod_roles) {
            template.output(id, attribute(id, "Arn"));
        }
        for machines in &self.machines {
            let id = ids::launch_template(&machines.group);
            template.output(ids::version_of(&id), attribute(&id, "LatestVersionNumber"));
            template.output(&id, reference(&id));
        }
    }

    /// What the template calls the role of the nodes.
    fn node_role(&self) -> &'static str {
        if self.auto_mode { ids::AUTO_NODE_ROLE } else { ids::NODE_ROLE }
    }

    /// All tags of a thing called `name`.
    pub(super) fn tags_of(&self, name: impl Into<String>) -> BTreeMap<String, String> {
        let mut tags = self.tags.clone();
        tags.insert("Name".to_string(), name.into());
        tags
    }
}

/// The repositories of the pull-through caches of `environment`.
fn pulled_through(environment: &Environment, site: &Site) -> Vec<String> {
    let Some(RegistrySpec::Ecr(ecr)) = &environment.registry else { return Vec::new() };
    let region = ecr.region.as_ref().unwrap_or(&site.region);
    let begins = format!("arn:{}:ecr:{region}:{}:repository", site.partition, site.account);
    let mut arns: Vec<String> =
        ecr.pull_through.iter().map(|cache| format!("{begins}/{}/*", cache.prefix())).collect();
    arns.sort();
    arns
}

/// The root disk of a machine of `group` in GiB.
pub fn disk_of(group: &NodeGroup) -> u64 {
    Machines::of(group).disk
}

impl Machines {
    fn of(group: &NodeGroup) -> Self {
        let wanted = group.disk.as_ref().map(|disk| {
            let whole = (disk.thousandths() + GIB - 1) / GIB;
            u64::try_from(whole).unwrap_or(USUAL_DISK).max(1)
        });
        let least = if group.resources.gpus > 0 { LEAST_GPU_DISK } else { 1 };
        let disk = wanted.unwrap_or(USUAL_DISK).max(least);
        Self { group: group.name.clone(), disk }
    }
}
