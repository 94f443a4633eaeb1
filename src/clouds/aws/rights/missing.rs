/// The rights that AWS names where it refuses something in `words`: `iam:PassRole`. None where it names none.
///
/// The forms are those that issues and manuals show: `is not authorized to perform: iam:CreateRole on resource: …` of most
/// services, `API: ec2:CreateVpc You are not authorized to perform this operation` of `CloudFormation`, and EKS's words
/// about launch templates, which hide what was missing.
pub fn missing(words: &str) -> Vec<String> {
    const TEMPLATES: &str = "not authorized to launch instances with this launch template";
    if words.contains(TEMPLATES) {
        return ["ec2:CreateTags", "ec2:RunInstances", "iam:PassRole"].map(str::to_string).to_vec();
    }
    let after = |before: &str| words.split(before).nth(1).and_then(action_at);
    after("authorized to perform: ")
        .or_else(|| words.contains("not authorized").then(|| after("API: ")).flatten())
        .into_iter()
        .collect()
}

/// Whether AWS refuses something in `words` for want of a right.
pub fn is_refused(words: &str) -> bool {
    ["not authorized to perform", "not authorized to launch instances"]
        .iter()
        .any(|said| words.contains(said))
}

/// The action that `words` begin with, as policies write it.
fn action_at(words: &str) -> Option<String> {
    let first = words.split_whitespace().next()?;
    let (service, operation) = first.trim_matches(|c: char| !c.is_ascii_alphanumeric()).split_once(':')?;
    let mut letters = operation.chars();
    let upper = letters.next()?.to_ascii_uppercase();
    Some(format!("{service}:{upper}{}", letters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_right_is_found_in_the_words_of_each_service() {
        let found = |words: &str| missing(words).join(" ");
        let user = "User: arn:aws:sts::1:assumed-role/ci/x is not authorized to perform:";
        assert_eq!(found(&format!("{user} iam:PassRole on resource: arn:aws:iam::1:role/y")), "iam:PassRole");
        assert_eq!(
            found(&format!("API: iam:CreateRole {user} iam:CreateRole on resource: x")),
            "iam:CreateRole"
        );
        assert_eq!(
            found("API: ec2:CreateVpc You are not authorized to perform this operation."),
            "ec2:CreateVpc"
        );
        assert_eq!(
            found("API: ec2:describeAddresses You are not authorized to perform this operation."),
            "ec2:DescribeAddresses"
        );
        assert_eq!(
            found("You are not authorized to launch instances with this launch template. Encoded"),
            "ec2:CreateTags ec2:RunInstances iam:PassRole"
        );
        assert_eq!(found("You are not authorized to perform this operation. Encoded authorization"), "");
        assert_eq!(found("API: ec2:CreateVpc The maximum number of VPCs has been reached"), "");
    }
}
