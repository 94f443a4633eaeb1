//! What an environment on EKS costs in a month, roughly, from a table: a hint of its size, not a bill.

use crate::base::Note;
use crate::profile::schema::{EksCluster, EksSupport, Nat};
use crate::profile::{Environment, NodeGroup};

/// List prices in USD an hour of us-east-1, Linux, on demand, as of 2026-06.
/// Source: <https://aws.amazon.com/ec2/pricing/on-demand/>, <https://aws.amazon.com/eks/pricing/>,
/// <https://aws.amazon.com/vpc/pricing/>, <https://aws.amazon.com/elasticloadbalancing/pricing/>. Other regions cost up to
/// a third more.
const AS_OF: &str = "us-east-1, 2026-06";
const CONTROL_PLANE: f64 = 0.10;
const CONTROL_PLANE_EXTENDED: f64 = 0.60;
const NAT_GATEWAY: f64 = 0.045;
const LOAD_BALANCER: f64 = 0.0225;
/// Within a family the price follows the number of cores: of two cores each.
const FAMILIES: &[(&str, f64)] = &[
    ("m5", 0.096),
    ("m6i", 0.096),
    ("m7i", 0.1008),
    ("m7g", 0.0816),
    ("c7i", 0.08925),
    ("c7g", 0.0725),
    ("r7i", 0.1323),
    ("r7g", 0.1071),
];
/// Machines with GPUs, each for itself.
const MACHINES: &[(&str, f64)] = &[
    ("g4dn.xlarge", 0.526),
    ("g5.xlarge", 1.006),
    ("g5.2xlarge", 1.212),
    ("g6.xlarge", 0.8048),
    ("g6.2xlarge", 0.9776),
];
/// As AWS counts.
const HOURS: f64 = 730.0;

/// What `environment` costs in a month, as far as the table knows it.
pub fn estimate(environment: &Environment, spec: &EksCluster) -> Note {
    let mut parts: Vec<(String, f64)> = Vec::new();
    let mut unknown: Vec<String> = Vec::new();
    let extended = spec.support == EksSupport::Extended;
    parts.push((
        "control plane".to_string(),
        if extended { CONTROL_PLANE_EXTENDED } else { CONTROL_PLANE } * HOURS,
    ));
    for group in &environment.node_groups {
        let nodes = group.min.max(u32::from(group.max > 0 && group.min == 0 && group.resources.gpus == 0));
        match price(group) {
            Some(price) if !group.spot => {
                parts.push((format!("{nodes} {}", group.machine), price * f64::from(nodes) * HOURS));
            }
            _ if nodes == 0 => {}
            _ => {
                unknown.push(format!("{nodes} {}{}", group.machine, if group.spot { " (spot)" } else { "" }));
            }
        }
    }
    if spec.network.subnets.is_empty() {
        let zones = zones(environment);
        let gateways = match spec.network.nat {
            Nat::None => 0,
            Nat::Single => 1,
            Nat::PerZone => zones,
        };
        if gateways > 0 {
            parts.push((counted(gateways, "NAT gateway"), NAT_GATEWAY * f64::from(gateways) * HOURS));
        }
    }
    let balancers = u32::from(environment.addons.iter().any(|addon| addon.name == "traefik"));
    if balancers > 0 {
        parts.push((counted(balancers, "load balancer"), LOAD_BALANCER * HOURS));
    }
    Note::new("estimate", words(&parts, &unknown))
}

fn words(parts: &[(String, f64)], unknown: &[String]) -> String {
    let total: f64 = parts.iter().map(|(_, price)| price).sum();
    let shown: Vec<String> = parts
        .iter()
        .filter(|(_, price)| *price >= 0.5)
        .map(|(what, price)| format!("{what} {price:.0}"))
        .collect();
    let without =
        if unknown.is_empty() { String::new() } else { format!(", without {}", unknown.join(", ")) };
    format!(
        "about {total:.0} USD a month at list prices ({AS_OF}): {}{without}; traffic and volumes come on top",
        shown.join(", ")
    )
}

/// The price of one machine of `group`, in USD an hour.
fn price(group: &NodeGroup) -> Option<f64> {
    if let Some((_, price)) = MACHINES.iter().find(|(name, _)| *name == group.machine) {
        return Some(*price);
    }
    let (family, _) = group.machine.split_once('.')?;
    let (_, pair) = FAMILIES.iter().find(|(name, _)| *name == family)?;
    let cores = u32::try_from(group.resources.cpu.thousandths() / 1000).ok()?;
    Some(pair * f64::from(cores) / 2.0)
}

/// The zones of the network: those of the groups, or three.
fn zones(environment: &Environment) -> u32 {
    let named: std::collections::BTreeSet<&String> =
        environment.node_groups.iter().flat_map(|group| &group.zones).collect();
    u32::try_from(named.len()).ok().filter(|zones| *zones >= 2).unwrap_or(3)
}

fn counted(count: u32, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::nodes::sample_group;

    fn group(machine: &str, cpu: &str) -> NodeGroup {
        let mut group = sample_group("general", 2, 2, 0);
        group.machine = machine.to_string();
        group.resources.cpu = cpu.parse().expect("a quantity");
        group
    }

    #[test]
    fn the_price_of_a_family_follows_the_cores() {
        let of = |machine, cpu| price(&group(machine, cpu)).map(|price| (price * 10_000.0).round());
        assert_eq!(of("m7i.large", "2"), Some(1008.0));
        assert_eq!(of("m7i.4xlarge", "16"), Some(8064.0));
        assert_eq!(of("g6.xlarge", "4"), Some(8048.0));
        assert_eq!(of("x9z.large", "2"), None);
    }

    #[test]
    fn what_the_table_does_not_know_is_named_and_not_counted() {
        let parts = [("control plane".to_string(), 73.0), ("2 m7i.large".to_string(), 147.2)];
        let text = words(&parts, &["1 x9z.large".to_string()]);
        assert!(text.starts_with("about 220 USD a month"), "{text}");
        assert!(text.contains("2 m7i.large 147, without 1 x9z.large"), "{text}");
    }
}
