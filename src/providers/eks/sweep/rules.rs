use std::collections::BTreeSet;

use crate::clouds::aws::{Element, Params};

/// A rule of a security group that names another one, and so holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// The group that has it.
    pub of: String,
    /// Whether it lets out, and not in.
    pub egress: bool,
    protocol: String,
    ports: Option<(String, String)>,
    /// The group that it names.
    names: String,
}

impl Rule {
    /// What takes it away.
    pub fn operation(&self) -> &'static str {
        if self.egress { "RevokeSecurityGroupEgress" } else { "RevokeSecurityGroupIngress" }
    }

    /// With what.
    pub fn params(&self) -> Params {
        let params = Params::new()
            .with("GroupId", &self.of)
            .with("IpPermissions.1.IpProtocol", &self.protocol)
            .with("IpPermissions.1.Groups.1.GroupId", &self.names);
        match &self.ports {
            Some((from, to)) => {
                params.with("IpPermissions.1.FromPort", from).with("IpPermissions.1.ToPort", to)
            }
            None => params,
        }
    }
}

/// The rules by which one of the groups `leaving` holds another one of them, among all groups `found`. Those of
/// groups that stay are not ours to change.
pub(super) fn between(found: &[Element], leaving: &BTreeSet<&str>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for group in found {
        let Some(of) = group.text("groupId").filter(|id| leaving.contains(id)) else { continue };
        for (list, egress) in [("ipPermissions", false), ("ipPermissionsEgress", true)] {
            for permission in group.list(list) {
                let named = permission.list("groups").filter_map(|pair| pair.text("groupId"));
                let ports = permission.text("fromPort").zip(permission.text("toPort"));
                rules.extend(named.filter(|id| *id != of && leaving.contains(id)).map(|id| Rule {
                    of: of.to_string(),
                    egress,
                    protocol: permission.text("ipProtocol").unwrap_or("-1").to_string(),
                    ports: ports.map(|(from, to)| (from.to_string(), to.to_string())),
                    names: id.to_string(),
                }));
            }
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUPS: &str = "<r><s>
        <item><groupId>sg-nodes</groupId><ipPermissions>
            <item><ipProtocol>-1</ipProtocol><groups><item><groupId>sg-nodes</groupId></item></groups></item>
            <item><ipProtocol>tcp</ipProtocol><fromPort>80</fromPort><toPort>90</toPort><groups>
                <item><groupId>sg-balancer</groupId></item><item><groupId>sg-other</groupId></item></groups></item>
        </ipPermissions></item>
        <item><groupId>sg-other</groupId><ipPermissions>
            <item><ipProtocol>-1</ipProtocol><groups><item><groupId>sg-nodes</groupId></item></groups></item>
        </ipPermissions></item></s></r>";

    #[test]
    fn only_rules_between_groups_that_leave_are_taken_away() {
        let root = Element::parse(GROUPS).expect("XML");
        let groups: Vec<Element> = root.list("s").cloned().collect();
        let rules = between(&groups, &BTreeSet::from(["sg-nodes", "sg-balancer"]));
        let [rule] = rules.as_slice() else { unreachable!("one rule: {rules:?}") };
        assert_eq!((rule.of.as_str(), rule.names.as_str()), ("sg-nodes", "sg-balancer"));
        assert_eq!(rule.operation(), "RevokeSecurityGroupIngress");
        let wanted = Params::new()
            .with("GroupId", "sg-nodes")
            .with("IpPermissions.1.IpProtocol", "tcp")
            .with("IpPermissions.1.Groups.1.GroupId", "sg-balancer")
            .with("IpPermissions.1.FromPort", "80")
            .with("IpPermissions.1.ToPort", "90");
        assert_eq!(rule.params(), wanted);
    }
}
