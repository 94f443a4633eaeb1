use std::collections::{BTreeMap, BTreeSet};

use crate::profile::Environment;

/// What somebody may do in the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rights {
    /// The groups of Kubernetes that they are in.
    pub groups: BTreeSet<String>,
    /// Whether they administer the whole cluster.
    pub admin: bool,
    /// Whether they are here for running berth, and not by the profile alone.
    pub caller: bool,
}

impl Rights {
    /// Whether the profile does not name them at all.
    pub fn are_for_running_berth_alone(&self) -> bool {
        self.caller && self.groups.is_empty()
    }
}

/// Who may do what, by the ARN of the IAM role or user.
pub(super) fn wanted(environment: &Environment) -> BTreeMap<String, Rights> {
    let mut all: BTreeMap<String, Rights> = BTreeMap::new();
    for (group, members) in &environment.members {
        let is_admin = environment.admins.iter().any(|admins| admins.name == *group);
        for arn in members {
            let rights = all.entry(arn.clone()).or_default();
            rights.groups.insert(group.clone());
            rights.admin |= is_admin;
        }
    }
    all
}

/// `all`, and the one who runs berth: without an entry of their own they could make the cluster and not look into it.
pub(super) fn with_caller(mut all: BTreeMap<String, Rights>, caller: &str) -> BTreeMap<String, Rights> {
    let rights = all.entry(caller.to_string()).or_default();
    rights.caller = !rights.admin;
    rights.admin = true;
    all
}

/// Who somebody is to IAM: the ARN of a user, or the name of the role that they took on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// The ARN says all.
    Whole(String),
    /// A role, whose ARN may have a path that the ARN of its session does not have.
    Role {
        /// `aws`
        partition: String,
        /// 12 digits.
        account: String,
        /// Without a path.
        name: String,
    },
}

impl Caller {
    /// Who `arn` is, as `sts:GetCallerIdentity` gives it.
    /// Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>.
    pub fn of(arn: &str) -> Self {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let role = match parts.as_slice() {
            ["arn", partition, "sts", _, account, rest] => rest
                .strip_prefix("assumed-role/")
                .and_then(|rest| rest.rsplit_once('/'))
                .map(|(name, _)| (*partition, *account, name)),
            _ => None,
        };
        match role {
            Some((partition, account, name)) => Self::Role {
                partition: partition.to_string(),
                account: account.to_string(),
                name: name.to_string(),
            },
            None => Self::Whole(arn.to_string()),
        }
    }

    /// Their ARN, as far as it is known without asking IAM.
    pub fn shown(&self) -> String {
        match self {
            Self::Whole(arn) => arn.clone(),
            Self::Role { partition, account, name } => format!("arn:{partition}:iam::{account}:role/{name}"),
        }
    }

    /// Whether the role or user with this ARN is them.
    pub fn is(&self, arn: &str) -> bool {
        match self {
            Self::Whole(own) => own == arn,
            Self::Role { partition, account, name } => arn
                .strip_prefix(&format!("arn:{partition}:iam::{account}:role/"))
                .is_some_and(|path| path.rsplit('/').next() == Some(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_by_its_role_whatever_path_that_has() {
        let session = "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0a1b/ada@example.com";
        let caller = Caller::of(session);
        let role = "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0a1b";
        assert!(caller.is(role));
        assert!(caller.is("arn:aws:iam::123456789012:role/AWSReservedSSO_Admin_0a1b"));
        assert!(!caller.is("arn:aws:iam::999999999999:role/AWSReservedSSO_Admin_0a1b"));
        assert!(!caller.is("arn:aws:iam::123456789012:role/Other_AWSReservedSSO_Admin_0a1b"));
        let user = Caller::of("arn:aws:iam::123456789012:user/team/ada");
        assert!(user.is("arn:aws:iam::123456789012:user/team/ada"));
        assert!(!user.is("arn:aws:iam::123456789012:user/ada"));
    }

    #[test]
    fn who_runs_berth_administers_and_keeps_their_groups() {
        let member = Rights { groups: BTreeSet::from(["developers".to_string()]), ..Rights::default() };
        let all = with_caller(BTreeMap::from([("arn:a".to_string(), member.clone())]), "arn:a");
        assert_eq!(all["arn:a"], Rights { admin: true, caller: true, ..member });
        let admin = Rights { admin: true, ..Rights::default() };
        let all = with_caller(BTreeMap::from([("arn:a".to_string(), admin.clone())]), "arn:a");
        assert_eq!(all["arn:a"], admin);
    }
}
