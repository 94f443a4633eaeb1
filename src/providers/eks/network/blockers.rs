use serde_json::Value;

use crate::clouds::aws::{Aws, Element, Params, Service};
use crate::flow::Flow;
use crate::providers::eks::stack::LiveResource;
use crate::providers::eks::template::Template;

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

/// What the roles among `resources` hold that the stack of `template` did not give them, in words, when they are
/// what could not be deleted. It is somebody else's, and stays.
pub async fn on_roles(
    aws: &Aws,
    flow: &Flow,
    resources: &[LiveResource],
    template: &Template,
) -> Option<String> {
    let is_stuck = |one: &&LiveResource| one.kind == "AWS::IAM::Role" && one.status == "DELETE_FAILED";
    let mut held = Vec::new();
    for role in resources.iter().filter(is_stuck) {
        let Some(name) = role.physical.clone() else { continue };
        let iam = aws.query(Service::Iam);
        let params = Params::new().with("RoleName", name.clone());
        let (attached, inline) = futures::join!(
            iam.call(flow, "ListAttachedRolePolicies", &params),
            iam.call(flow, "ListRolePolicies", &params),
        );
        let (attached, inline) = (attached.unwrap_or_default(), inline.unwrap_or_default());
        let attached = attached.list("AttachedPolicies").filter_map(|policy| policy.text("PolicyArn"));
        let inline = inline.list("PolicyNames").map(Element::value);
        let given = template.resources().get(&role.logical).map_or_else(String::new, Value::to_string);
        let is_foreign = |policy: &&str| !given.contains(&format!("\"{policy}\""));
        held.push(Held {
            attached: attached.filter(is_foreign).map(str::to_string).collect(),
            inline: inline.filter(is_foreign).map(str::to_string).collect(),
            name,
        });
    }
    told_of(&held)
}

/// A role, and what somebody else gave it.
struct Held {
    name: String,
    /// ARNs.
    attached: Vec<String>,
    /// Names.
    inline: Vec<String>,
}

fn told_of(held: &[Held]) -> Option<String> {
    let ways: Vec<String> = held.iter().flat_map(Held::ways).collect();
    if ways.is_empty() {
        return None;
    }
    let more = ways.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let ways = ways.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
    Some(format!(
        "somebody gave them more than berth did; take that back with {ways}{more}, then run `berth down` again"
    ))
}

impl Held {
    /// What to type.
    fn ways(&self) -> Vec<String> {
        let name = &self.name;
        let attached = self.attached.iter();
        let attached =
            attached.map(|arn| format!("`aws iam detach-role-policy --role-name {name} --policy-arn {arn}`"));
        let inline = self.inline.iter();
        let inline = inline
            .map(|policy| format!("`aws iam delete-role-policy --role-name {name} --policy-name {policy}`"));
        let ways: Vec<String> = attached.chain(inline).collect();
        if ways.is_empty() {
            return vec![format!(
                "`aws iam remove-role-from-instance-profile --role-name {name} --instance-profile-name PROFILE` for \
                 each PROFILE of `aws iam list-instance-profiles-for-role --role-name {name}`"
            )];
        }
        ways
    }
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

    #[test]
    fn what_a_role_holds_is_told_with_how_to_take_it_back() {
        let held = |attached: &[&str], inline: &[&str]| Held {
            name: "berth-dev-node".to_string(),
            attached: attached.iter().map(ToString::to_string).collect(),
            inline: inline.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(told_of(&[]), None);
        let text = told_of(&[held(&["arn:aws:iam::aws:policy/X"], &["extra"])]).expect("a hint");
        assert!(
            text.contains("`aws iam detach-role-policy --role-name berth-dev-node --policy-arn arn:aws:iam::aws:policy/X`"),
            "{text}"
        );
        assert!(
            text.contains("`aws iam delete-role-policy --role-name berth-dev-node --policy-name extra`"),
            "{text}"
        );
        let text = told_of(&[held(&[], &[])]).expect("a hint");
        assert!(
            text.contains("`aws iam list-instance-profiles-for-role --role-name berth-dev-node`"),
            "{text}"
        );
    }
}
