use crate::clouds::aws::{Aws, Element, Params, Service};
use crate::flow::Flow;

/// So many are named.
const NAMED: usize = 5;

/// What is still in the network `vpc` that the stack did not make, in words; `None` when nothing is seen.
pub async fn in_the_way(aws: &Aws, flow: &Flow, vpc: &str) -> Option<String> {
    let params = Params::new().filter("vpc-id", [vpc]);
    let ec2 = aws.query(Service::Ec2);
    let (interfaces, groups) = futures::join!(
        ec2.all(flow, "DescribeNetworkInterfaces", &params, "networkInterfaceSet"),
        ec2.all(flow, "DescribeSecurityGroups", &params, "securityGroupInfo"),
    );
    // What cannot be listed is no reason to say less of the rest.
    let (interfaces, groups) = (interfaces.unwrap_or_default(), groups.unwrap_or_default());
    let interfaces = interfaces.iter().filter_map(interface);
    let groups = groups.iter().filter(|group| group.text("groupName") != Some("default")).filter_map(group);
    told(vpc, &interfaces.chain(groups).collect::<Vec<_>>())
}

fn interface(found: &Element) -> Option<String> {
    // That of a NAT gateway goes with it.
    if found.text("interfaceType") == Some("nat_gateway") {
        return None;
    }
    let id = found.text("networkInterfaceId")?;
    Some(match found.text("description") {
        Some(description) => format!("network interface {id} ({description})"),
        None => format!("network interface {id}"),
    })
}

fn group(found: &Element) -> Option<String> {
    Some(format!(
        "security group {} ({})",
        found.text("groupId")?,
        found.text("groupName").unwrap_or_default()
    ))
}

fn told(vpc: &str, things: &[String]) -> Option<String> {
    if things.is_empty() {
        return None;
    }
    let more = things.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = things.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    Some(format!(
        "in {vpc} there are still {named}{more}: remove what made them, then run `berth down` again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_named_and_much_of_it_is_counted() {
        assert_eq!(told("vpc-1", &[]), None);
        let things: Vec<String> = (0..7).map(|number| format!("network interface eni-{number}")).collect();
        let text = told("vpc-1", &things).expect("a hint");
        assert!(text.contains("eni-4 and 2 more") && !text.contains("eni-5"), "{text}");
    }
}
