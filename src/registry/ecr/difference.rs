use serde_json::Value;

use super::policy;
use super::wanted::{Tags, Wanted};
use crate::base::{Conflict, FieldChange};

/// A repository as it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Live {
    pub tags: Tags,
    pub scan: bool,
    /// How it is encrypted.
    pub encryption: Encryption,
    pub lifecycle: Option<Value>,
    pub policy: Option<Value>,
}

/// How a repository is encrypted, which never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Encryption {
    /// By ECR itself.
    Own,
    /// With a KMS key, whose ARN this is.
    Key(String),
}

/// What to change in a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// What differs, for people.
    pub fields: Vec<FieldChange>,
    /// What is to be written for that.
    pub writes: Vec<Write>,
    /// What differs and can never be changed, with what to do.
    pub refused: Option<Conflict>,
}

/// One part of a repository that is written by a call of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Write {
    Tags,
    Scan,
    Lifecycle,
    /// Who may do what; `None` takes what there is away.
    Policy(Option<Value>),
}

/// What differs between a repository and what the profile wants of it.
pub(super) fn diff(wanted: &Wanted, live: &Live) -> Difference {
    let mut found = Difference { refused: refused(wanted, &live.encryption), ..Difference::default() };
    let mut note = |write, path: &str, from: Option<String>, to: Option<String>| {
        found.fields.push(FieldChange { path: path.to_string(), from, to });
        found.writes.push(write);
    };
    if wanted.tags != live.tags {
        note(Write::Tags, "tags", Some(live.tags.in_words()), Some(wanted.tags.in_words()));
    }
    if wanted.scan != live.scan {
        note(Write::Scan, "scanOnPush", Some(live.scan.to_string()), Some(wanted.scan.to_string()));
    }
    if live.lifecycle.as_ref() != Some(&wanted.lifecycle) {
        let words = |policy: &Value| policy::lifecycle_in_words(policy);
        let (from, to) = (live.lifecycle.as_ref().map(words), words(&wanted.lifecycle));
        // Words may be the same where the rules are not.
        let from = if from.as_ref() == Some(&to) { Some("other rules".to_string()) } else { from };
        note(Write::Lifecycle, "lifecycle", from, Some(to));
    }
    let policy = policy::with_services(wanted.policy.as_ref(), live.policy.as_ref());
    let normal = |policy: &Option<Value>| policy.as_ref().map(policy::normal);
    if normal(&policy) != normal(&live.policy) {
        let from = live.policy.as_ref().map(policy::rights_in_words);
        let to = policy.as_ref().map(policy::rights_in_words);
        let named = || {
            let of = |policy: &Option<Value>| policy.as_ref().map(policy::rights_by_name);
            (of(&live.policy), of(&policy))
        };
        let both_ours = live.policy.as_ref().is_some_and(policy::is_ours);
        let (from, to) = if from == to && both_ours { named() } else { (from, to) };
        // Names may be the same where the rights are not.
        let from = if from == to { from.map(|_| "other rights".to_string()) } else { from };
        note(Write::Policy(policy), "policy", from, to);
    }
    found
}

/// Why a repository that is encrypted like this can never be as `wanted`, with what to do.
pub(super) fn refused(wanted: &Wanted, live: &Encryption) -> Option<Conflict> {
    let (is, wants, write) = match (live, &wanted.key) {
        (Encryption::Own, None) => return None,
        (Encryption::Key(live), Some(wanted)) if live == wanted => return None,
        (Encryption::Own, Some(wanted)) => {
            ("by ECR itself".to_string(), format!("`{wanted}`"), "take `kmsKey` out".to_string())
        }
        (Encryption::Key(live), None) => {
            (format!("with `{live}`"), "ECR's own way".to_string(), format!("write `kmsKey: {live}`"))
        }
        (Encryption::Key(live), Some(wanted)) => {
            (format!("with `{live}`"), format!("`{wanted}`"), format!("write `kmsKey: {live}`"))
        }
    };
    Some(Conflict::new(
        format!("it is encrypted {is}, the profile wants {wants}, and ECR never changes that"),
        format!("{write}, or choose another name"),
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            name: "checkout/api".to_string(),
            tags: Tags { mutability: "IMMUTABLE".to_string(), except: BTreeSet::new() },
            scan: true,
            key: None,
            lifecycle: policy::lifecycle(Some(30)),
            policy: None,
        }
    }

    fn live() -> Live {
        let Wanted { tags, scan, lifecycle, policy, .. } = wanted();
        Live { tags, scan, encryption: Encryption::Own, lifecycle: Some(lifecycle), policy }
    }

    fn rights(who: &str) -> Option<Value> {
        policy::rights(&BTreeSet::from([who.to_string()]), &BTreeSet::new())
    }

    #[test]
    fn what_is_as_wanted_needs_nothing() {
        assert_eq!(diff(&wanted(), &live()), Difference::default());
    }

    #[test]
    fn each_part_that_differs_is_told_and_written() {
        let mut live = live();
        live.tags = Tags { mutability: "MUTABLE".to_string(), except: BTreeSet::new() };
        live.scan = false;
        live.lifecycle = None;
        let mut wanted = wanted();
        wanted.policy = rights("123456789012");
        let found = diff(&wanted, &live);
        assert_eq!(found.writes, [Write::Tags, Write::Scan, Write::Lifecycle, Write::Policy(wanted.policy)]);
        let told: Vec<String> = found
            .fields
            .iter()
            .map(|field| {
                let shown = |text: &Option<String>| text.clone().unwrap_or_default();
                format!("{}: {} -> {}", field.path, shown(&field.from), shown(&field.to))
            })
            .collect();
        assert_eq!(
            told,
            [
                "tags: MUTABLE -> IMMUTABLE",
                "scanOnPush: false -> true",
                "lifecycle:  -> untagged after 7 days, any beyond 30",
                "policy:  -> 1 may pull"
            ]
        );
        assert_eq!(found.refused, None);
    }

    #[test]
    fn a_policy_that_the_profile_says_nothing_of_goes_whoever_wrote_it() {
        let mut live = live();
        let opened = json!({"Sid": "open", "Effect": "Allow", "Principal": "*", "Action": "ecr:*"});
        live.policy = Some(json!({"Statement": [opened]}));
        let found = diff(&wanted(), &live);
        assert_eq!(found.writes, [Write::Policy(None)]);
        assert_eq!(found.fields[0].from.as_deref(), Some("a statement of somebody else for anybody"));
        live.policy = rights("123456789012");
        assert_eq!(diff(&wanted(), &live).writes, [Write::Policy(None)]);
    }

    #[test]
    fn what_a_service_of_aws_wrote_is_no_difference_and_stays() {
        let lambda =
            json!({"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "a"});
        let mut live = live();
        live.policy = Some(json!({"Version": "2008-10-17", "Statement": [lambda]}));
        assert_eq!(diff(&wanted(), &live), Difference::default());
        let mut wanted = wanted();
        wanted.policy = rights("123456789012");
        let written = diff(&wanted, &live).writes;
        assert!(
            matches!(&written[..], [Write::Policy(Some(policy))] if policy["Statement"][1] == lambda),
            "{written:?}"
        );
    }

    #[test]
    fn a_policy_for_as_many_others_tells_who_they_are() {
        let mut live = live();
        live.policy = rights("arn:aws:iam::123456789012:role/old");
        let mut wanted = wanted();
        wanted.policy = rights("210987654321");
        let found = diff(&wanted, &live);
        assert_eq!(found.fields[0].from.as_deref(), Some("role/old may pull"));
        assert_eq!(found.fields[0].to.as_deref(), Some("210987654321 may pull"));
    }

    #[test]
    fn another_encryption_is_refused_with_what_to_do() {
        let mut live = live();
        live.encryption = Encryption::Key("arn:aws:kms:eu-central-1:123456789012:key/1".to_string());
        let refused = diff(&wanted(), &live).refused.expect("refused").to_string();
        assert!(refused.contains("write `kmsKey: arn:aws:kms:eu-central-1:123456789012:key/1`"), "{refused}");
        let mut wanted = wanted();
        wanted.key = Some("arn:aws:kms:eu-central-1:123456789012:key/1".to_string());
        assert_eq!(diff(&wanted, &live).refused, None);
        live.encryption = Encryption::Own;
        assert!(diff(&wanted, &live).refused.is_some());
    }
}
