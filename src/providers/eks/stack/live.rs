use std::collections::BTreeMap;

use super::phase::{Phase, stands};

/// A stack as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveStack {
    /// Its ARN, which no later stack of the same name has.
    pub id: String,
    /// `CREATE_COMPLETE`.
    pub status: String,
    /// Why it has that status, where AWS says so.
    pub reason: Option<String>,
    /// When it was changed last, as text: it changes with the template.
    pub changed: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its outputs, once it is whole.
    pub outputs: BTreeMap<String, String>,
    /// Whether AWS refuses to delete it.
    pub protected: bool,
}

impl LiveStack {
    /// What can be done with it.
    pub fn phase(&self) -> Phase {
        Phase::of(&self.status)
    }
}

/// A resource of a stack as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveResource {
    /// What the template calls it.
    pub logical: String,
    /// Its id, once it has one: of a role or a log group its name.
    pub physical: Option<String>,
    /// `AWS::EC2::VPC`.
    pub kind: String,
    /// `CREATE_IN_PROGRESS`.
    pub status: String,
}

/// The ids of all `resources` that stand, by what the template calls them.
pub fn made(resources: &[LiveResource]) -> BTreeMap<String, String> {
    let standing = resources.iter().filter(|resource| stands(&resource.status));
    standing.filter_map(|resource| Some((resource.logical.clone(), resource.physical.clone()?))).collect()
}

/// The ids of all `resources` that are still there, in whatever state.
pub fn left(resources: &[LiveResource]) -> BTreeMap<String, String> {
    let there = resources.iter().filter(|resource| resource.status != "DELETE_COMPLETE");
    there.filter_map(|resource| Some((resource.logical.clone(), resource.physical.clone()?))).collect()
}

/// Where a stack is that is on its way: `12 of 34, NAT gateway NatGatewayA is CREATE_IN_PROGRESS`.
pub fn progress(stack: &LiveStack, resources: &[LiveResource]) -> String {
    let is_moving = |resource: &&LiveResource| resource.status.ends_with("_IN_PROGRESS");
    let done = resources.iter().filter(|resource| resource.status.ends_with("_COMPLETE")).count();
    let moving: Vec<String> =
        resources.iter().filter(is_moving).map(|resource| title(&resource.kind, &resource.logical)).collect();
    let mut text = format!("stack {}, {done} of {} resources", stack.status, resources.len());
    match moving.as_slice() {
        [] => {}
        [one] => text.push_str(&format!(", waiting for {one}")),
        [first, rest @ ..] => text.push_str(&format!(", waiting for {first} and {} more", rest.len())),
    }
    text
}

/// A resource in words: ``NAT gateway `NatGatewayA` ``.
pub fn title(kind: &str, logical: &str) -> String {
    let word = match kind {
        "AWS::EC2::VPC" => "VPC",
        "AWS::EC2::Subnet" => "subnet",
        "AWS::EC2::InternetGateway" => "internet gateway",
        "AWS::EC2::VPCGatewayAttachment" => "attachment",
        "AWS::EC2::RouteTable" => "route table",
        "AWS::EC2::Route" => "route",
        "AWS::EC2::SubnetRouteTableAssociation" => "association",
        "AWS::EC2::EIP" => "address",
        "AWS::EC2::NatGateway" => "NAT gateway",
        "AWS::EC2::VPCEndpoint" => "endpoint",
        "AWS::IAM::Role" => "role",
        "AWS::EC2::LaunchTemplate" => "launch template",
        "AWS::Logs::LogGroup" => "log group",
        "AWS::CloudFormation::Stack" => "stack",
        other => other,
    };
    format!("{word} `{logical}`")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn stack(status: &str) -> LiveStack {
        LiveStack {
            id: "arn:aws:cloudformation:eu-central-1:123456789012:stack/berth-dev/1".to_string(),
            status: status.to_string(),
            reason: None,
            changed: String::new(),
            tags: BTreeMap::new(),
            outputs: BTreeMap::new(),
            protected: false,
        }
    }

    fn resource(logical: &str, status: &str) -> LiveResource {
        LiveResource {
            logical: logical.to_string(),
            physical: (!status.is_empty()).then(|| format!("{logical}-id")),
            kind: "AWS::EC2::NatGateway".to_string(),
            status: status.to_string(),
        }
    }

    #[test]
    fn only_what_stands_counts_as_made() {
        let resources = [resource("A", "CREATE_COMPLETE"), resource("B", "CREATE_IN_PROGRESS")];
        assert_eq!(made(&resources), BTreeMap::from([("A".to_string(), "A-id".to_string())]));
    }

    #[test]
    fn a_stack_on_its_way_says_what_it_waits_for() {
        let on_its_way = stack("CREATE_IN_PROGRESS");
        let mut resources = vec![resource("A", "CREATE_COMPLETE"), resource("B", "CREATE_IN_PROGRESS")];
        assert_eq!(
            progress(&on_its_way, &resources),
            "stack CREATE_IN_PROGRESS, 1 of 2 resources, waiting for NAT gateway `B`"
        );
        resources.push(resource("C", "CREATE_IN_PROGRESS"));
        assert!(progress(&on_its_way, &resources).ends_with("NAT gateway `B` and 1 more"));
    }
}
