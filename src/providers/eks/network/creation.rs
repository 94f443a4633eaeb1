use crate::base::{Change, ChangeKind};
use crate::profile::schema::Nat;
use crate::providers::eks::template::Blueprint;

/// What is made when there is nothing yet, in the words of a plan.
pub fn creation(blueprint: &Blueprint) -> Vec<Change> {
    let create = |subject: String| Change::new(ChangeKind::Create, subject);
    let mut changes = vec![create(format!("stack `{}`", blueprint.names.stack()))];
    if let Some(plan) = &blueprint.network {
        changes.push(create(format!("VPC {}", plan.addresses)));
        let zones: Vec<&str> = plan.zones.iter().map(|zone| zone.name.as_str()).collect();
        changes.push(create(format!("a private and a public subnet each in {}", zones.join(", "))));
        match plan.nat {
            Nat::None => {}
            Nat::Single => changes.push(create("1 NAT gateway".to_string())),
            Nat::PerZone => changes.push(create(format!("{} NAT gateways", zones.len()))),
        }
    }
    let pods = blueprint.pod_roles.iter().map(|role| role.as_str());
    let roles: Vec<&str> = ["cluster", "node"].into_iter().chain(pods).collect();
    changes.push(create(format!("{} roles: {}", roles.len(), roles.join(", "))));
    let groups: Vec<&str> = blueprint.machines.iter().map(|machines| machines.group.as_str()).collect();
    match groups.as_slice() {
        [] => {}
        [one] => changes.push(create(format!("launch template for {one}"))),
        many => changes.push(create(format!("{} launch templates: {}", many.len(), many.join(", ")))),
    }
    if let Some(days) = blueprint.log_days {
        let name = blueprint.names.log_group();
        changes.push(create(format!("log group {name}, kept for {days} days")));
    }
    changes
}
