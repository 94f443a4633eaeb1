use crate::engine::Outputs;
use crate::profile::schema::{EksCluster, EksSupport, Nat};
use crate::profile::{Environment, NodeGroup};
use crate::providers::eks::outputs;
use crate::providers::{CostPart, Estimate};

/// List prices in USD an hour of us-east-1, Linux, on demand, as of 2026-06.
/// Source: <https://aws.amazon.com/ec2/pricing/on-demand/>, <https://aws.amazon.com/eks/pricing/>,
/// <https://aws.amazon.com/vpc/pricing/>, <https://aws.amazon.com/elasticloadbalancing/pricing/>. Other regions cost up to
/// a third more.
const AS_OF: &str = "us-east-1, 2026-06";
const CONTROL_PLANE: f64 = 0.10;
const CONTROL_PLANE_EXTENDED: f64 = 0.60;
const NAT_GATEWAY: f64 = 0.045;
const LOAD_BALANCER: f64 = 0.0225;
/// Each public address, also one in use.
const PUBLIC_ADDRESS: f64 = 0.005;
/// Within a family the price follows the number of cores: of two cores each.
const FAMILIES: &[(&str, f64)] = &[
    ("m5", 0.096),
    ("m6g", 0.077),
    ("m6i", 0.096),
    ("m7i", 0.1008),
    ("m7g", 0.0816),
    ("c6i", 0.085),
    ("c7i", 0.08925),
    ("c7g", 0.0725),
    ("r6i", 0.126),
    ("r7i", 0.1323),
    ("r7g", 0.1071),
];
/// Machines whose price follows no number of cores, each for itself.
const MACHINES: &[(&str, f64)] = &[
    ("t3.medium", 0.0416),
    ("t3.large", 0.0832),
    ("t4g.medium", 0.0336),
    ("t4g.large", 0.0672),
    ("g4dn.xlarge", 0.526),
    ("g5.xlarge", 1.006),
    ("g5.2xlarge", 1.212),
    ("g6.xlarge", 0.8048),
    ("g6.2xlarge", 0.9776),
];
/// As AWS counts.
const HOURS: f64 = 730.0;

/// What `environment` costs in a month, as far as the table knows it; `outputs` tell how much of it there will be.
pub fn estimate(environment: &Environment, spec: &EksCluster, outputs: &Outputs) -> Estimate {
    let mut bill = Bill::default();
    let phase = outputs.text(outputs::EXTENDED_SUPPORT).map(|is_extended| is_extended == "true");
    bill.add_control_plane(spec.support, phase);
    for group in &environment.node_groups {
        bill.add_group(group, price(group));
    }
    if spec.auto_mode {
        bill.without.push("the machines of Auto Mode".to_string());
    }
    if spec.network.subnets.is_empty() {
        let planned = outputs.text(outputs::NAT_GATEWAYS).and_then(|count| count.parse().ok());
        let gateways = planned.unwrap_or_else(|| match spec.network.nat {
            Nat::None => 0,
            Nat::Single => 1,
            Nat::PerZone => zones(environment),
        });
        if gateways > 0 {
            let price = (NAT_GATEWAY + PUBLIC_ADDRESS) * f64::from(gateways);
            bill.add(&counted(gateways, "NAT gateway"), price);
        } else {
            let nodes = environment.node_groups.iter().map(|group| group.min).sum();
            let price = PUBLIC_ADDRESS * f64::from(nodes);
            bill.add(&format!("public addresses of {}", counted(nodes, "node")), price);
        }
    }
    if environment.addons.iter().any(|addon| addon.name == "traefik") {
        bill.add("1 load balancer", LOAD_BALANCER);
    }
    bill.estimate()
}

/// What is added up, in USD an hour.
#[derive(Default)]
struct Bill {
    parts: Vec<(String, f64)>,
    without: Vec<String>,
}

impl Bill {
    fn add(&mut self, what: &str, price: f64) {
        self.parts.push((what.to_string(), price));
    }

    /// The control plane. Extended support is paid for once the version is in it, and not before; `is_extended` says
    /// whether it is, where that is known.
    fn add_control_plane(&mut self, support: EksSupport, is_extended: Option<bool>) {
        let later = in_a_month(CONTROL_PLANE_EXTENDED);
        match (support, is_extended) {
            (EksSupport::Extended, Some(true)) => {
                self.add("control plane in extended support", CONTROL_PLANE_EXTENDED);
            }
            (EksSupport::Extended, _) => {
                self.add("control plane", CONTROL_PLANE);
                self.without.push(format!(
                    "extended support ({later} for the control plane, once its version is in it)"
                ));
            }
            (EksSupport::Standard, _) => self.add("control plane", CONTROL_PLANE),
        }
    }

    /// The machines of `group`, each at `price`: as many as always run.
    fn add_group(&mut self, group: &NodeGroup, price: Option<f64>) {
        let (nodes, most, machine) = (group.min, group.max, &group.machine);
        let more = if most > nodes { format!(" of up to {most}") } else { String::new() };
        match price {
            _ if most == 0 => {}
            Some(price) if nodes == 0 => {
                self.without.push(format!("up to {most} {machine} ({} each)", in_a_month(price)));
            }
            Some(price) if group.spot => {
                let on_demand = in_a_month(price * f64::from(nodes));
                self.without.push(format!("{nodes}{more} {machine} on spot (on demand {on_demand})"));
            }
            Some(price) => self.add(&format!("{nodes}{more} {machine}"), price * f64::from(nodes)),
            None => {
                let spot = if group.spot { " on spot" } else { "" };
                self.without.push(format!("{nodes}{more} {machine}{spot} (price not known here)"));
            }
        }
    }

    fn estimate(self) -> Estimate {
        let total: f64 = self.parts.iter().map(|(_, price)| price).sum();
        let part = |(what, price): (String, f64)| CostPart { what, usd_per_month: in_a_month(price) };
        Estimate {
            usd_per_month: in_a_month(total),
            parts: self.parts.into_iter().map(part).collect(),
            without: self.without,
            prices: AS_OF.to_string(),
            time: None,
        }
    }
}

/// USD a month, of USD an hour.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "prices are small and positive")]
fn in_a_month(price: f64) -> u64 {
    (price * HOURS).round() as u64
}

/// The price of one machine of `group`, in USD an hour.
fn price(group: &NodeGroup) -> Option<f64> {
    if let Some((_, price)) = MACHINES.iter().find(|(name, _)| *name == group.machine) {
        return Some(*price);
    }
    let (family, size) = group.machine.split_once('.')?;
    if !is_size(size) {
        return None;
    }
    let (_, pair) = FAMILIES.iter().find(|(name, _)| *name == family)?;
    let cores = u32::try_from(group.resources.cpu.thousandths() / 1000).ok()?;
    Some(pair * f64::from(cores) / 2.0)
}

/// Whether machines come in `size`: what is no type has no price.
fn is_size(size: &str) -> bool {
    let times = |count: &str| count.is_empty() || count.parse::<u32>().is_ok_and(|count| count > 1);
    matches!(size, "medium" | "large")
        || size.starts_with("metal")
        || size.strip_suffix("xlarge").is_some_and(times)
}

/// The zones of a network of which nothing is known yet: those of the groups, or three.
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
        assert_eq!((of("m7i.lrge", "2"), of("m7i.0xlarge", "2")), (None, None));
    }

    #[test]
    fn extended_support_costs_more_once_the_version_is_in_it() {
        let told = |support, phase| {
            let mut bill = Bill::default();
            bill.add_control_plane(support, phase);
            let estimate = bill.estimate();
            (estimate.usd_per_month, estimate.without.len())
        };
        assert_eq!(told(EksSupport::Extended, Some(true)), (438, 0));
        assert_eq!(told(EksSupport::Extended, Some(false)), (73, 1));
        assert_eq!(told(EksSupport::Extended, None), (73, 1));
        assert_eq!(told(EksSupport::Standard, Some(true)), (73, 0));
    }

    #[test]
    fn only_what_always_runs_at_a_known_price_is_counted() {
        let told = |group: &NodeGroup| {
            let mut bill = Bill::default();
            bill.add("control plane", CONTROL_PLANE);
            bill.add_group(group, price(group));
            let estimate = bill.estimate();
            let parts = estimate.parts.iter().map(|part| part.what.clone()).collect::<Vec<_>>().join(", ");
            (estimate.usd_per_month, parts, estimate.without.join(", "))
        };
        let text = |total: u64, parts: &str, without: &str| (total, parts.to_string(), without.to_string());
        let steady = group("m7i.large", "2");
        assert_eq!(told(&steady), text(220, "control plane, 2 m7i.large", ""));
        let range = NodeGroup { max: 6, ..steady.clone() };
        assert_eq!(told(&range), text(220, "control plane, 2 of up to 6 m7i.large", ""));
        let spot = NodeGroup { spot: true, ..steady.clone() };
        assert_eq!(told(&spot), text(73, "control plane", "2 m7i.large on spot (on demand 147)"));
        let idle = NodeGroup { min: 0, ..steady };
        assert_eq!(told(&idle), text(73, "control plane", "up to 2 m7i.large (74 each)"));
        let unknown = group("x9z.large", "2");
        assert_eq!(told(&unknown), text(73, "control plane", "2 x9z.large (price not known here)"));
    }

    /// The types of machines of AWS that `text` declares.
    fn machines(text: &str) -> Vec<String> {
        let named = text.split("machine: ").skip(1).map(|rest| {
            rest.chars()
                .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '.')
                .collect::<String>()
        });
        named.filter(|name| name.contains('.') && !name.ends_with('.')).collect()
    }

    #[test]
    fn the_price_of_every_machine_of_the_profiles_and_the_documentation_is_known() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = 0;
        for folder in ["profiles", "docs/how-to", "docs"] {
            for entry in std::fs::read_dir(root.join(folder)).expect("a folder") {
                let path = entry.expect("an entry").path();
                let Ok(text) = std::fs::read_to_string(&path) else { continue };
                for machine in machines(&text) {
                    found += 1;
                    assert!(price(&group(&machine, "2")).is_some(), "{}: {machine}", path.display());
                }
            }
        }
        assert!(found > 3, "{found}");
    }
}
