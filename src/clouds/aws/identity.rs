use super::region::Partition;

/// Who the credentials are, as STS says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account, twelve digits.
    pub account: String,
    /// The caller: `arn:aws:iam::123456789012:user/ann`, `arn:aws:sts::123456789012:assumed-role/NAME/SESSION`.
    pub arn: String,
    /// The partition of the region that is worked in.
    pub partition: Partition,
}

impl Identity {
    /// The name of the role whose session this is. Its path is not in the caller's ARN: IAM knows it.
    pub fn role_name(&self) -> Option<&str> {
        let rest = self.arn.split(':').nth(5)?.strip_prefix("assumed-role/")?;
        rest.split('/').next().filter(|name| !name.is_empty())
    }

    /// An ARN of IAM in this account: `role/berth-dev-node`.
    pub fn iam_arn(&self, resource: &str) -> String {
        format!("arn:{}:iam::{}:{resource}", self.partition.name(), self.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(arn: &str) -> Identity {
        Identity { account: "123456789012".into(), arn: arn.into(), partition: Partition::China }
    }

    #[test]
    fn the_role_behind_a_session_is_told_from_a_user() {
        let role = identity("arn:aws-cn:sts::123456789012:assumed-role/platform/ann@example.com");
        assert_eq!(role.role_name(), Some("platform"));
        assert_eq!(identity("arn:aws-cn:iam::123456789012:user/ann").role_name(), None);
        assert_eq!(role.iam_arn("role/node"), "arn:aws-cn:iam::123456789012:role/node");
    }
}
