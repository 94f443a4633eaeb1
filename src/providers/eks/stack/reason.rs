use super::live::title;
use crate::base::FaultKind;

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
}

/// Why the last operation failed, by its `events`, the newest first. What was only cancelled because of the first
/// failure is none itself.
pub fn failure(events: &[StackEvent]) -> Option<Failure> {
    let end = events.iter().position(StackEvent::begins).unwrap_or(events.len());
    let of_operation = events[..end].iter().rev();
    let failed = of_operation.filter(|event| event.status.ends_with("_FAILED"));
    let mut failures = failed.filter_map(|event| {
        let reason = event.reason.clone().filter(|reason| !reason.contains("cancelled"))?;
        Some((event.of_stack, Failure { what: title(&event.kind, &event.logical), reason: tidy(&reason) }))
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
    own.or(last)
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

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        let text = match self.kind() {
            FaultKind::Quota => {
                "have the quota raised (AWS console, Service Quotas) or remove what is not needed, then run \
                 `berth up` again: it goes on from there"
            }
            FaultKind::Denied => return Some(self.needed_right()),
            FaultKind::Conflict => "remove or rename what has this name, then run `berth up` again",
            _ => return None,
        };
        Some(text.to_string())
    }

    /// What to give the caller, where AWS names the right that is missing.
    fn needed_right(&self) -> String {
        let end = "all rights that berth needs are in docs/reference/iam-policy.json; `berth up` then goes on from there";
        let named = self.reason.split("perform: ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let action = named.map(|action| action.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
        match action.filter(|action| action.contains(':')) {
            Some(action) => format!(
                "it needs the right {action}: {{\"Effect\": \"Allow\", \"Action\": \"{action}\", \"Resource\": \"*\"}}; {end}"
            ),
            None => format!("let your identity do this: {end}"),
        }
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
    fn a_right_that_is_missing_is_named() {
        let reason = "API: iam:CreateRole User: arn:aws:iam::1:user/x is not authorized to perform: iam:CreateRole on \
                      resource: arn:aws:iam::1:role/y because no identity-based policy allows it";
        let failure = Failure { what: String::new(), reason: reason.to_string() };
        let hint = failure.hint().expect("a hint");
        assert!(hint.contains("\"Action\": \"iam:CreateRole\""), "{hint}");
    }

    #[test]
    fn what_kind_of_refusal_it_was_is_told_by_its_words() {
        let of = |reason: &str| Failure { what: String::new(), reason: reason.to_string() }.kind();
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
            assert_eq!(of(reason), kind, "{reason}");
        }
    }
}
