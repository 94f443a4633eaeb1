use std::collections::BTreeSet;

use super::live::title;
use crate::base::FaultKind;
use crate::clouds::aws::rights;

/// Something that happened in a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackEvent {
    /// What the template calls the resource; of the stack itself its name.
    pub logical: String,
    /// `AWS::EC2::VPC`.
    pub kind: String,
    /// `CREATE_FAILED`.
    pub status: String,
    /// Why, where AWS says so.
    pub reason: Option<String>,
    /// Whether it is about the stack itself.
    pub of_stack: bool,
}

impl StackEvent {
    /// Whether an operation of the stack began with it: what happened before belongs to an earlier one.
    pub fn begins(&self) -> bool {
        let begun = matches!(
            self.status.as_str(),
            "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS" | "REVIEW_IN_PROGRESS"
        );
        self.of_stack && begun
    }
}

/// Why an operation of a stack failed: the first resource that did, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// ``NAT gateway `NatGatewayA` ``.
    pub what: String,
    /// What AWS said.
    pub reason: String,
    /// The rights that this resource and all others of the operation lacked.
    pub missing: BTreeSet<String>,
}

/// Why the last operation failed, by its `events`, the newest first. What was only cancelled because of the first
/// failure is none itself.
pub fn failure(events: &[StackEvent]) -> Option<Failure> {
    let end = events.iter().position(StackEvent::begins).unwrap_or(events.len());
    let of_operation = events[..end].iter().rev();
    let failed = of_operation.filter(|event| event.status.ends_with("_FAILED"));
    let mut missing = BTreeSet::new();
    let mut failures = failed.filter_map(|event| {
        let reason = event.reason.clone().filter(|reason| !reason.contains("cancelled"))?;
        missing.extend(rights::missing(&reason));
        let what = title(&event.kind, &event.logical);
        Some((event.of_stack, Failure { what, reason: tidy(&reason), missing: BTreeSet::new() }))
    });
    // The stack itself only lists who failed.
    let (mut own, mut last) = (None, None);
    for (of_stack, failure) in failures.by_ref() {
        if of_stack {
            last.get_or_insert(failure);
        } else {
            own.get_or_insert(failure);
        }
    }
    drop(failures);
    own.or(last).map(|failure| Failure { missing, ..failure })
}

/// What AWS said, without what tells nobody anything: the handler's token, and a repeated status.
fn tidy(reason: &str) -> String {
    let reason = reason.trim();
    let end = reason.find(" (RequestToken:").or_else(|| reason.find("\" (RequestToken:"));
    let reason = end.map_or(reason, |end| &reason[..end]);
    let reason = reason.strip_prefix("Resource handler returned message: \"").unwrap_or(reason);
    reason.trim_end_matches(['"', '.', ' ']).to_string()
}

impl Failure {
    /// What kind of refusal it is, by its words.
    pub fn kind(&self) -> FaultKind {
        let said = self.reason.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if says(&["limitexceeded", "limit exceeded", "maximum number", "quota", "service limit"]) {
            FaultKind::Quota
        } else if says(&["not authorized", "accessdenied", "access denied", "unauthorizedoperation"]) {
            FaultKind::Denied
        } else if says(&["already exists", "alreadyexists"]) {
            FaultKind::Conflict
        } else if says(&[
            "rate exceeded",
            "throttl",
            "internal failure",
            "internalfailure",
            "service unavailable",
        ]) {
            FaultKind::Transient
        } else {
            FaultKind::Invalid
        }
    }

    /// Whether IAM does not delete a role to which somebody gave something of their own.
    /// Source: <https://github.com/eksctl-io/eksctl/issues/4318>.
    pub fn is_about_a_held_role(&self) -> bool {
        self.reason.to_lowercase().contains("cannot delete entity, must")
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let text = match self.kind() {
            FaultKind::Quota => {
                "have the quota raised (AWS console, Service Quotas) or remove what is not needed, then run \
                 `berth up` again: it goes on from there"
            }
            FaultKind::Denied => return Some(self.needed_rights()),
            FaultKind::Conflict => "remove or rename what has this name, then run `berth up` again",
            _ => return None,
        };
        Some(text.to_string())
    }

    /// What to give the caller, where AWS names the rights that are missing.
    fn needed_rights(&self) -> String {
        let then = "the same command then goes on from there";
        if self.missing.is_empty() {
            return format!(
                "let your identity do this: all rights that berth needs are in docs/reference/iam-policy.json; {then}"
            );
        }
        format!("{}; {then}", rights::hint(self.missing.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(logical: &str, status: &str, reason: Option<&str>) -> StackEvent {
        let of_stack = logical == "berth-dev";
        StackEvent {
            logical: logical.to_string(),
            kind: if of_stack { "AWS::CloudFormation::Stack" } else { "AWS::EC2::NatGateway" }.to_string(),
            status: status.to_string(),
            reason: reason.map(str::to_string),
            of_stack,
        }
    }

    #[test]
    fn the_first_failure_of_the_last_operation_is_the_reason() {
        let events = [
            event("berth-dev", "UPDATE_FAILED", Some("The following resource(s) failed to update: [B, A].")),
            event("B", "UPDATE_FAILED", Some("Resource update cancelled")),
            event(
                "A",
                "UPDATE_FAILED",
                Some("Resource handler returned message: \"no capacity.\" (RequestToken: 1)"),
            ),
            event("berth-dev", "UPDATE_IN_PROGRESS", Some("User Initiated")),
            event("A", "CREATE_FAILED", Some("an older reason")),
            event("berth-dev", "CREATE_IN_PROGRESS", Some("User Initiated")),
        ];
        let failure = failure(&events).expect("a failure");
        assert_eq!((failure.what.as_str(), failure.reason.as_str()), ("NAT gateway `A`", "no capacity"));
    }

    #[test]
    fn a_stack_that_failed_before_any_resource_tells_its_own_reason() {
        let events = [
            event("berth-dev", "CREATE_FAILED", Some("Role is invalid or cannot be assumed")),
            event("berth-dev", "CREATE_IN_PROGRESS", None),
        ];
        let failure = failure(&events).expect("a failure");
        assert_eq!(failure.what, "stack `berth-dev`");
        assert_eq!(failure.reason, "Role is invalid or cannot be assumed");
    }

    #[test]
    fn nothing_is_made_up_where_nothing_failed() {
        assert_eq!(failure(&[]), None);
        assert_eq!(failure(&[event("A", "CREATE_COMPLETE", None)]), None);
    }

    #[test]
    fn all_rights_that_an_operation_lacked_are_named_at_once() {
        let role = "API: iam:CreateRole User: arn:aws:iam::1:user/x is not authorized to perform: iam:CreateRole on \
                    resource: arn:aws:iam::1:role/y because no identity-based policy allows it";
        let events = [
            event("berth-dev", "CREATE_FAILED", Some("The following resource(s) failed to create: [A, B].")),
            event(
                "B",
                "CREATE_FAILED",
                Some("API: ec2:CreateVpc You are not authorized to perform this operation."),
            ),
            event("A", "CREATE_FAILED", Some(role)),
            event("berth-dev", "CREATE_IN_PROGRESS", None),
        ];
        let failure = failure(&events).expect("a failure");
        assert_eq!((failure.what.as_str(), failure.kind()), ("NAT gateway `A`", FaultKind::Denied));
        let hint = failure.hint().expect("a hint");
        assert!(
            hint.starts_with("it needs the rights ec2:CreateVpc, iam:CreateRole: {\"Version\""),
            "{hint}"
        );
        assert!(
            hint.contains("\"Action\": \"iam:CreateRole\", \"Resource\": \"arn:aws:iam::*:role/berth-*\""),
            "{hint}"
        );
    }

    #[test]
    fn a_refusal_that_names_no_right_leads_to_all_of_them() {
        let reason =
            "You are not authorized to perform this operation. Encoded authorization failure message: x";
        let hint = of(reason).hint().expect("a hint");
        assert!(hint.starts_with("let your identity do this: all rights"), "{hint}");
    }

    fn of(reason: &str) -> Failure {
        Failure { what: String::new(), reason: reason.to_string(), missing: BTreeSet::new() }
    }

    #[test]
    fn what_kind_of_refusal_it_was_is_told_by_its_words() {
        for (reason, kind) in [
            (
                "The maximum number of addresses has been reached. (Service: Ec2, Status Code: 400)",
                FaultKind::Quota,
            ),
            ("User: arn:aws:iam::1:user/x is not authorized to perform: iam:CreateRole", FaultKind::Denied),
            ("berth-dev-node already exists in stack arn:aws:cloudformation", FaultKind::Conflict),
            ("Rate exceeded", FaultKind::Transient),
            ("Invalid request provided", FaultKind::Invalid),
        ] {
            assert_eq!(of(reason).kind(), kind, "{reason}");
        }
    }
}
