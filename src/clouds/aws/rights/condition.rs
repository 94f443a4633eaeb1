use serde_json::{Value, json};

use crate::base::label;

/// When a statement counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The call is made by `CloudFormation` for the caller, never by the caller alone.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>
    ByStacks,
    /// What it is about carries the mark of an owner.
    Marked,
    /// What is made gets the mark of an owner.
    Marking,
    /// The role is given to one of these services.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html>
    GivenTo(&'static [&'static str]),
    /// The role is the one that AWS makes for one of these services.
    OfServices(&'static [&'static str]),
    /// The policy is one of these.
    Policies(&'static [&'static str]),
    /// Machines come from a launch template.
    FromTemplates,
}

impl Condition {
    /// Its operator, its key, and what that is compared with.
    pub(super) fn written(self) -> (&'static str, String, Value) {
        let one = |key: &str, values: &[&str]| (key.to_string(), json!(values));
        let (operator, (key, value)) = match self {
            Self::ByStacks => (
                "ForAnyValue:StringEquals",
                ("aws:CalledVia".to_string(), json!("cloudformation.amazonaws.com")),
            ),
            Self::Marked => ("Null", (format!("aws:ResourceTag/{}", label::OWNER), json!("false"))),
            Self::Marking => ("Null", (format!("aws:RequestTag/{}", label::OWNER), json!("false"))),
            Self::GivenTo(services) => ("StringEquals", one("iam:PassedToService", services)),
            Self::OfServices(services) => ("StringEquals", one("iam:AWSServiceName", services)),
            Self::Policies(policies) => ("ArnLike", one("iam:PolicyARN", policies)),
            Self::FromTemplates => {
                ("ArnLike", ("ec2:LaunchTemplate".to_string(), json!("arn:aws:ec2:*:*:launch-template/*")))
            }
        };
        (operator, key, value)
    }
}
