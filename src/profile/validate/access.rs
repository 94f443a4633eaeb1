//! Who a group name is on the declared provider.

use std::collections::BTreeMap;

use super::Check;
use crate::base::ProviderKind;
use crate::profile::Group;
use crate::profile::nearest::nearest;
use crate::profile::schema::{Access, GroupMapping};
use crate::profile::tree::{Step, shorten};

/// The mapped groups.
pub(super) struct Groups<'a> {
    mapped: &'a BTreeMap<String, GroupMapping>,
}

impl<'a> Groups<'a> {
    pub fn new(check: &mut Check<'_>, access: &'a Access) -> Self {
        for (name, mapping) in &access.groups {
            check_name(check, &[Step::Key("access"), Step::Key("groups"), Step::Key(name)], name);
            check_mapping(check, name, mapping);
        }
        Self { mapped: &access.groups }
    }

    /// The groups of a list at `path` as RBAC subjects; those that are not mapped are reported.
    pub fn resolve(&self, check: &mut Check<'_>, names: &[String], path: &[Step<'_>]) -> Vec<Group> {
        let mut groups = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let path: Vec<Step<'_>> = path.iter().copied().chain([Step::Item(index)]).collect();
            match self.subject(check.provider, name) {
                Some(subject) => {
                    if !self.mapped.contains_key(name) {
                        check_name(check, &path, name);
                    }
                    let group = Group { name: name.clone(), subject };
                    if groups.contains(&group) {
                        check.error(&path, format!("`{}` stands twice here", shorten(name)), "take one out");
                    } else {
                        groups.push(group);
                    }
                }
                None if check.is_complete("access") => self.report_unmapped(check, &path, name),
                None => {}
            }
        }
        groups
    }

    /// The ARNs of the members of each group, on EKS.
    pub fn members(&self, provider: ProviderKind) -> BTreeMap<String, Vec<String>> {
        let of_eks = self.mapped.iter().filter(|_| provider == ProviderKind::Eks);
        of_eks.map(|(name, mapping)| (name.clone(), mapping.eks.clone())).collect()
    }

    fn subject(&self, provider: ProviderKind, name: &str) -> Option<String> {
        let mapping = self.mapped.get(name);
        match provider {
            // The access entry of each ARN puts it into a group of this name.
            ProviderKind::Eks => mapping.filter(|m| !m.eks.is_empty()).map(|_| name.to_string()),
            ProviderKind::Gke => mapping.and_then(|m| m.gke.clone()),
            ProviderKind::Existing => {
                Some(mapping.and_then(|m| m.existing.clone()).unwrap_or_else(|| name.to_string()))
            }
            ProviderKind::Kind | ProviderKind::Kwok => Some(name.to_string()),
        }
    }

    fn report_unmapped(&self, check: &mut Check<'_>, path: &[Step<'_>], name: &str) {
        let example = match check.provider {
            ProviderKind::Eks => "{eks: [\"arn:aws:iam::ACCOUNT:role/NAME\"]}".to_string(),
            _ => format!("{{gke: {}@example.com}}", shorten(name)),
        };
        let name_shown = shorten(name);
        let mut help = format!("add `{name_shown}: {example}` under `access.groups`");
        if let Some(near) = nearest(name, self.mapped.keys().map(String::as_str)).filter(|near| *near != name)
        {
            help = format!("did you mean `{near}`? Otherwise {help}");
        }
        let message = format!("`access` does not say who the group `{name_shown}` is on {}", check.provider);
        check.error(path, message, help);
    }
}

fn check_name(check: &mut Check<'_>, path: &[Step<'_>], name: &str) {
    let reserved = ["system:", "eks:", "aws:", "amazon:", "iam:", "gke:", "kubeadm:"];
    if name.is_empty() || name.len() > 63 || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        check.error(
            path,
            format!("`{}` cannot be the name of a group", shorten(name)),
            "use 1 to 63 characters without spaces",
        );
    } else if let Some(prefix) = reserved.iter().find(|prefix| name.starts_with(**prefix)) {
        check.error(
            path,
            format!("`{}` is a group of Kubernetes or of the cloud itself", shorten(name)),
            format!("choose a name that does not start with `{prefix}`"),
        );
    }
}

fn check_mapping(check: &mut Check<'_>, name: &str, mapping: &GroupMapping) {
    let group = [Step::Key("access"), Step::Key("groups"), Step::Key(name)];
    for (index, arn) in mapping.eks.iter().enumerate() {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let good = matches!(parts.as_slice(), ["arn", partition, "iam", "", account, principal]
            if partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && (principal.starts_with("role/") || principal.starts_with("user/")));
        if !good {
            check.error(
                &[group[0], group[1], group[2], Step::Key("eks"), Step::Item(index)],
                format!("`{}` is no ARN of an IAM role or user", shorten(arn)),
                "write `arn:aws:iam::ACCOUNT:role/NAME`; a session's `assumed-role` is not one",
            );
        }
    }
    if let Some(address) = &mapping.gke
        && !address.split_once('@').is_some_and(|(user, domain)| !user.is_empty() && domain.contains('.'))
    {
        check.error(
            &[group[0], group[1], group[2], Step::Key("gke")],
            format!("`{}` is no address of a Google group", shorten(address)),
            "write `NAME@DOMAIN`",
        );
    }
}
