//! What whoever runs berth has to be allowed on AWS: one table, from which docs/reference/iam-policy*.json are made and
//! the policy that is printed where a right is missing.

mod condition;
mod missing;
mod policy;
mod statement;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};

pub use condition::Condition;
pub use missing::{is_refused, missing};
pub use policy::STATEMENTS;
pub use statement::{Part, Statement, document};

/// The policy that gives `actions` and nothing else, each as narrow as in the whole one. An action that the whole one
/// does not have is given for everything.
pub fn giving<'a>(actions: impl IntoIterator<Item = &'a str>) -> Value {
    let actions: Vec<&str> = actions.into_iter().collect();
    let mut statements: Vec<Value> = STATEMENTS
        .iter()
        .filter_map(|statement| {
            let given: Vec<&str> =
                actions.iter().copied().filter(|action| statement.actions.contains(action)).collect();
            (!given.is_empty()).then(|| statement.giving(&given))
        })
        .collect();
    let is_known = |action: &&str| STATEMENTS.iter().any(|statement| statement.actions.contains(action));
    statements.extend(
        actions
            .iter()
            .filter(|action| !is_known(action))
            .map(|action| serde_json::json!({"Effect": "Allow", "Action": action, "Resource": "*"})),
    );
    document(statements)
}

/// What to do about missing rights: which they are, and the policy that gives them.
pub fn hint<'a>(actions: impl IntoIterator<Item = &'a str>) -> String {
    let actions: Vec<&str> = actions.into_iter().collect();
    let noun = if actions.len() == 1 { "right" } else { "rights" };
    format!(
        "it needs the {noun} {}: {}; all rights that berth needs are in docs/reference/iam-policy.json",
        actions.join(", "),
        spaced(&giving(actions.iter().copied()))
    )
}

/// JSON on one line, with spaces at which a terminal can break it.
fn spaced(value: &Value) -> String {
    let mut written = Vec::new();
    let is_written = value.serialize(&mut Serializer::with_formatter(&mut written, Spaced)).is_ok();
    // A `Value` is always JSON, and JSON is always text.
    if is_written { String::from_utf8_lossy(&written).into_owned() } else { value.to_string() }
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_right_is_given_as_narrow_as_in_the_whole_policy() {
        let hint = hint(["iam:CreateRole"]);
        let policy = "{\"Version\": \"2012-10-17\", \"Statement\": [{\"Sid\": \"RolesByTheStack\", \"Effect\": \"Allow\", \
                      \"Action\": \"iam:CreateRole\", \"Resource\": \"arn:aws:iam::*:role/berth-*\", \"Condition\": \
                      {\"ForAnyValue:StringEquals\": {\"aws:CalledVia\": \"cloudformation.amazonaws.com\"}}}]}";
        assert_eq!(
            hint,
            format!(
                "it needs the right iam:CreateRole: {policy}; all rights that berth needs are in \
                 docs/reference/iam-policy.json"
            )
        );
    }

    #[test]
    fn several_rights_are_given_by_one_policy() {
        let policy = giving(["eks:CreateAddon", "ec2:CreateVpc", "ec2:CreateSubnet", "new:Right"]);
        let statements = policy["Statement"].as_array().expect("statements");
        let actions: Vec<&Value> = statements.iter().map(|statement| &statement["Action"]).collect();
        // The addon twice: on its cluster, and on the associations that it brings.
        assert_eq!(
            serde_json::json!(actions),
            serde_json::json!([
                ["ec2:CreateVpc", "ec2:CreateSubnet"],
                "eks:CreateAddon",
                "eks:CreateAddon",
                "new:Right"
            ])
        );
        assert_eq!(statements[3]["Resource"], "*");
    }

    #[test]
    fn statements_have_names_and_nothing_twice() {
        let mut sids = BTreeSet::new();
        let mut given = BTreeSet::new();
        for statement in &STATEMENTS {
            assert!(sids.insert(statement.sid), "{}", statement.sid);
            // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html
            assert!(statement.sid.chars().all(|letter| letter.is_ascii_alphanumeric()), "{}", statement.sid);
            assert!(statement.actions.is_sorted(), "{}", statement.sid);
            for action in statement.actions {
                for resource in statement.resources {
                    let right = (*action, *resource, format!("{:?}", statement.conditions));
                    assert!(given.insert(right), "{action} on {resource} is given twice");
                }
            }
        }
    }
}
