use std::collections::{BTreeMap, BTreeSet};

use super::wanted::Rights;
use crate::base::{Change, ChangeKind, Conflict, FieldChange, Guard, Note, Owner, label};

/// Tag of the entry of somebody who ran berth and whom the profile does not name.
pub(super) const CALLER: &str = "berth.dev/caller";

/// An access entry as EKS describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub groups: BTreeSet<String>,
    /// Whether it has the policy of administrators over the whole cluster.
    pub admin: bool,
    /// ARNs of further policies.
    pub policies: BTreeSet<String>,
    pub tags: BTreeMap<String, String>,
}

/// One call that brings the entries nearer to what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Create { arn: String, rights: Rights },
    SetGroups { arn: String, groups: BTreeSet<String> },
    Mark { arn: String },
    Allow { arn: String },
    Forbid { arn: String, policy: Option<String> },
    Remove { arn: String },
}

/// How the entries differ from what is wanted.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    pub changes: Vec<Change>,
    pub acts: Vec<Act>,
    pub notes: Vec<Note>,
}

/// The cluster that the entries are of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cluster<'a> {
    pub owner: &'a Owner,
    pub name: &'a str,
    pub region: &'a str,
}

impl Cluster<'_> {
    /// What to type to take the entry of `arn` away.
    fn removal(&self, arn: &str) -> String {
        let Self { name, region, .. } = self;
        format!("`aws eks delete-access-entry --region {region} --cluster-name {name} --principal-arn {arn}`")
    }
}

/// How the `live` entries differ from those that are `wanted`. Those of others are left as they are.
pub(super) fn diff(
    wanted: &BTreeMap<String, Rights>,
    live: &BTreeMap<String, Entry>,
    cluster: Cluster<'_>,
    adopt: bool,
) -> Difference {
    let mut found = Difference::default();
    let owner = cluster.owner;
    for (arn, rights) in wanted {
        match live.get(arn) {
            None => {
                let change = Change::new(ChangeKind::Create, subject(arn)).because(words(rights));
                found.changes.push(change);
                found.acts.push(Act::Create { arn: arn.clone(), rights: rights.clone() });
            }
            Some(entry) if entry.is_of(owner) || adopt => change(arn, rights, entry, owner, &mut found),
            // Who may do already what they should is no conflict, whoever let them.
            Some(entry) if entry.admin >= rights.admin && entry.groups.is_superset(&rights.groups) => {}
            Some(entry) => {
                let groups =
                    if entry.groups.is_empty() { "no group".to_string() } else { listed(&entry.groups) };
                let why = format!("somebody else made its access entry, in {groups}");
                let remedy =
                    format!("take it over with `--adopt`, or remove it with {}", cluster.removal(arn));
                let conflict = Conflict::new(why, remedy).guarded(Guard::Adopt);
                found.changes.push(conflict.of(subject(arn)));
            }
        }
    }
    let leaving = live.iter().filter(|(arn, entry)| !wanted.contains_key(*arn) && entry.is_of(owner));
    for (arn, entry) in leaving {
        if entry.tags.contains_key(CALLER) {
            let text = format!(
                "{arn} ran berth and administers the cluster, though the profile does not name it; remove it with {}",
                cluster.removal(arn)
            );
            found.notes.push(Note::new("kept", text));
            continue;
        }
        let change = Change::new(ChangeKind::Delete, subject(arn)).because("no longer in the profile");
        found.changes.push(change);
        found.acts.push(Act::Remove { arn: arn.clone() });
    }
    found
}

fn change(arn: &str, rights: &Rights, entry: &Entry, owner: &Owner, found: &mut Difference) {
    let mut fields = Vec::new();
    let mut field = |path: &str, from: Option<String>, to: Option<String>| {
        fields.push(FieldChange { path: path.to_string(), from, to });
    };
    let arn_owned = || arn.to_string();
    if !entry.is_of(owner) {
        found.acts.push(Act::Mark { arn: arn_owned() });
    }
    if entry.groups != rights.groups {
        field("groups", some(&entry.groups), some(&rights.groups));
        found.acts.push(Act::SetGroups { arn: arn_owned(), groups: rights.groups.clone() });
    }
    let word = |admin: bool| admin.then(|| "the whole cluster".to_string());
    if entry.admin != rights.admin {
        field("administers", word(entry.admin), word(rights.admin));
        found.acts.push(if rights.admin {
            Act::Allow { arn: arn_owned() }
        } else {
            Act::Forbid { arn: arn_owned(), policy: None }
        });
    }
    for policy in &entry.policies {
        field("policies", Some(policy.clone()), None);
        found.acts.push(Act::Forbid { arn: arn_owned(), policy: Some(policy.clone()) });
    }
    if !entry.is_of(owner) {
        found.changes.push(Change::new(ChangeKind::Adopt, subject(arn)).fields(fields));
    } else if !fields.is_empty() {
        found.changes.push(Change::new(ChangeKind::Update, subject(arn)).fields(fields));
    }
}

impl Entry {
    /// Whether EKS made it for nodes, to which no policy can be given.
    pub fn is_nodes(&self) -> bool {
        self.groups.iter().any(|group| group == "system:nodes")
    }

    pub fn is_of(&self, owner: &Owner) -> bool {
        self.tags.get(label::OWNER) == Some(&owner.id)
    }
}

/// `access of role/platform`: the account is that of the profile or stands in the plan anyway.
fn subject(arn: &str) -> String {
    format!("access of {}", arn.splitn(6, ':').nth(5).unwrap_or(arn))
}

fn words(rights: &Rights) -> String {
    let groups = (!rights.groups.is_empty()).then(|| format!("in {}", listed(&rights.groups)));
    let admin = rights.admin.then(|| "administers the whole cluster".to_string());
    let caller = rights.caller.then(|| "runs berth".to_string());
    [caller, admin, groups].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn listed(texts: &BTreeSet<String>) -> String {
    texts.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn some(texts: &BTreeSet<String>) -> Option<String> {
    (!texts.is_empty()).then(|| listed(texts))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:iam::123456789012:role/platform";

    fn differs(wanted: &BTreeMap<String, Rights>, live: &BTreeMap<String, Entry>, adopt: bool) -> Difference {
        let owner = Owner { id: "7f3k2q9d".to_string(), environment: "dev".to_string() };
        diff(wanted, live, Cluster { owner: &owner, name: "dev", region: "eu-central-1" }, adopt)
    }

    fn rights(group: &str, admin: bool) -> BTreeMap<String, Rights> {
        let groups = BTreeSet::from([group.to_string()]);
        BTreeMap::from([(ARN.to_string(), Rights { groups, admin, caller: false })])
    }

    fn entry(group: &str, admin: bool, tags: &[(&str, &str)]) -> BTreeMap<String, Entry> {
        let tags = tags.iter().map(|(key, value)| ((*key).to_string(), (*value).to_string())).collect();
        let groups = BTreeSet::from([group.to_string()]);
        BTreeMap::from([(ARN.to_string(), Entry { groups, admin, policies: BTreeSet::new(), tags })])
    }

    const OURS: &[(&str, &str)] = &[(label::OWNER, "7f3k2q9d")];

    #[test]
    fn entries_as_wanted_do_not_differ() {
        let found = differs(&rights("platform", true), &entry("platform", true, OURS), false);
        assert_eq!(found, Difference::default());
    }

    #[test]
    fn an_entry_of_ours_follows_the_profile() {
        let found = differs(&rights("developers", false), &entry("platform", true, OURS), false);
        assert_eq!(found.acts.len(), 2);
        assert_eq!(found.changes[0].kind, ChangeKind::Update);
        assert_eq!(found.changes[0].subject, "access of role/platform");
        let gone = differs(&BTreeMap::new(), &entry("platform", true, OURS), false);
        assert_eq!(gone.acts, [Act::Remove { arn: ARN.to_string() }]);
    }

    #[test]
    fn entries_of_others_are_left_as_they_are() {
        let foreign = entry("platform", true, &[]);
        assert_eq!(differs(&BTreeMap::new(), &foreign, false), Difference::default());
        assert_eq!(differs(&rights("platform", true), &foreign, false), Difference::default());
        let found = differs(&rights("developers", false), &foreign, false);
        assert_eq!((found.acts.len(), found.changes[0].kind), (0, ChangeKind::Conflict));
        let adopted = differs(&rights("developers", false), &foreign, true);
        assert_eq!(adopted.changes[0].kind, ChangeKind::Adopt);
        assert_eq!(adopted.acts[0], Act::Mark { arn: ARN.to_string() });
    }

    #[test]
    fn whoever_ran_berth_before_is_told_and_stays() {
        let tags = [OURS, &[(CALLER, "true")]].concat();
        let found = differs(&BTreeMap::new(), &entry("", true, &tags), false);
        assert!(found.acts.is_empty() && found.changes.is_empty());
        let removal = format!(
            "`aws eks delete-access-entry --region eu-central-1 --cluster-name dev --principal-arn {ARN}`"
        );
        assert!(found.notes[0].text.ends_with(&removal), "{}", found.notes[0].text);
    }
}
