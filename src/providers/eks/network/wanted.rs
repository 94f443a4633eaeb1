use std::collections::BTreeMap;

use crate::base::{Fault, FaultKind};
use crate::clouds::aws::{Aws, Params, Service};
use crate::flow::Flow;
use crate::profile::Environment;
use crate::profile::schema::EksCluster;
use crate::providers::eks::names::Site;
use crate::providers::eks::template::{
    Addresses, Blueprint, LARGEST, NetworkPlan, Offered, Renewed, Template, Zone, choose,
};

/// The stack that a profile asks for.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What it is made of.
    pub blueprint: Blueprint,
    /// Its template.
    pub template: Template,
    /// The template as JSON.
    pub text: String,
}

/// What of a stack that stands decides how it goes on.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The zones of its network.
    pub zones: Vec<Zone>,
    /// Whether it has the log group of the control plane.
    pub logs: bool,
    /// What of it was made anew under another id.
    pub renewed: Renewed,
}

/// The zones that node groups ask for, by group.
pub fn asked_for(environment: &Environment) -> BTreeMap<&str, Vec<&str>> {
    let groups = environment.node_groups.iter();
    groups.map(|group| (group.name.as_str(), group.zones.iter().map(String::as_str).collect())).collect()
}

/// The zones that the account has in the region.
pub async fn offered(aws: &Aws, flow: &Flow) -> Result<Vec<Offered>, Fault> {
    let params = Params::new().filter("zone-type", ["availability-zone"]).filter("state", ["available"]);
    let call = aws.query(Service::Ec2);
    let answer = call.call(flow, "DescribeAvailabilityZones", &params).await;
    let answer = answer.map_err(|refusal| refusal.fault(format!("list the zones of {}", aws.region())))?;
    let zones = answer.list("availabilityZoneInfo").filter_map(|zone| {
        Some(Offered { name: zone.text("zoneName")?.to_string(), id: zone.text("zoneId")?.to_string() })
    });
    Ok(zones.collect())
}

/// The addresses of the network that berth makes for `spec`.
pub fn addresses(spec: &EksCluster) -> Result<Addresses, Fault> {
    let text = spec.network.cidr.as_deref().unwrap_or(Addresses::DEFAULT);
    Addresses::parse(text).map_err(|error| {
        Fault::new(FaultKind::Invalid, "lay out the network", error.to_string())
            .hint(format!("write a CIDR from /16 to /20, for example `{}`", Addresses::DEFAULT))
            .in_profile("cluster.eks.network.cidr")
    })
}

/// The stack of `environment` at `site`, where this is `standing`; `offered` is asked when other zones are needed.
pub async fn planned(
    environment: &Environment,
    spec: &EksCluster,
    site: Site,
    standing: &Standing,
    aws: &Aws,
    flow: &Flow,
) -> Result<Planned, Fault> {
    let network = if spec.network.subnets.is_empty() {
        let wanted = asked_for(environment);
        let zones = &standing.zones;
        let stands = |name: &str| zones.iter().any(|zone| zone.name == name);
        let is_enough = !zones.is_empty() && wanted.values().flatten().all(|name| stands(name));
        let offered = if is_enough { Vec::new() } else { offered(aws, flow).await? };
        let zones = choose(&offered, zones, &wanted).map_err(|error| {
            let fault = Fault::new(FaultKind::Invalid, "choose the zones of the network", error.to_string());
            fault.hint(error.hint(&offered))
        })?;
        Some(NetworkPlan { addresses: addresses(spec)?, zones, nat: spec.network.nat })
    } else {
        None
    };
    let blueprint = Blueprint::new(environment, spec, site, network);
    let blueprint = if standing.logs { blueprint.keeping_logs() } else { blueprint };
    let blueprint = blueprint.renewing(standing.renewed.clone());
    let template = blueprint.template();
    Planned::new(blueprint, template, environment)
}

impl Planned {
    /// A stack of this `blueprint` by this `template`. Fails when it is too large for `CloudFormation`.
    pub fn new(blueprint: Blueprint, template: Template, environment: &Environment) -> Result<Self, Fault> {
        let text = template.to_value(&blueprint.description()).to_string();
        if text.len() > LARGEST {
            let reason = format!(
                "its template would have {} bytes, and CloudFormation takes {LARGEST}: there are {} node groups",
                text.len(),
                environment.node_groups.len()
            );
            return Err(Fault::new(FaultKind::Invalid, "lay out the stack", reason)
                .hint("merge some of `nodeGroups`, or make a second environment")
                .in_profile("nodeGroups"));
        }
        Ok(Self { blueprint, template, text })
    }
}
