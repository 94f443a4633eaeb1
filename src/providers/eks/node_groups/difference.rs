use std::collections::{BTreeMap, BTreeSet};

use super::super::names::short_hash;
use super::hints::Hints;
use super::live::{Live, Status};
use super::wanted::Wanted;
use crate::base::FieldChange;
use crate::profile::Taint;
use crate::profile::schema::MaxUnavailable;
use crate::providers::nodes::taint_text;

/// A change of a group that EKS makes in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Update {
    /// The owner mark.
    Tags,
    /// Size, labels, taints, how it is updated and repaired: one call.
    Config {
        /// Its sizes; `None` where they are as they should be, so that nobody's other wish is undone.
        sizes: Option<Sizes>,
        add_labels: BTreeMap<String, String>,
        remove_labels: Vec<String>,
        add_taints: Vec<Taint>,
        remove_taints: Vec<Taint>,
        /// How many nodes are made anew at once; `None` where that is as it should be.
        max_unavailable: Option<MaxUnavailable>,
    },
    /// What the autoscaler is told of nodes that are not there, with the mark that it was.
    Hints(String),
    /// Its Kubernetes and what machines are made from: its nodes are made anew, a few at a time.
    Machines,
    /// A newer release of its image: its nodes are made anew, a few at a time.
    Release(String),
}

/// The sizes of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub min: u32,
    pub max: u32,
    /// How many nodes it should have now; `None` for as many as it has.
    pub desired: Option<u32>,
}

/// How one group differs from what is wanted.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Difference {
    pub fields: Vec<FieldChange>,
    /// What changes them, in order, one at a time.
    pub updates: Vec<Update>,
}

impl Difference {
    /// The change by which its nodes are made anew, if one does that.
    pub fn rolling(&self) -> Option<&Update> {
        self.updates.iter().find(|update| matches!(update, Update::Machines | Update::Release(_)))
    }
}

/// What is to be done about a group, given all of that name.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// There is none: one of this name is made.
    Make(String),
    /// None fits, for the fields that cannot be changed: one of this name is made, then the others go.
    Replace(String, Vec<FieldChange>),
    /// This one fits, and may have to be changed; then the others go.
    Stands(usize),
}

/// What is to be done about the group that is `wanted`, of which these `lives` exist, newest last.
pub(super) fn judge(wanted: &Wanted, lives: &[Live]) -> Verdict {
    if lives.is_empty() {
        return Verdict::Make(wanted.name.clone());
    }
    let fitting =
        lives.iter().rposition(|live| moulded(wanted, live).is_empty() && live.status != Status::Deleting);
    if let Some(index) = fitting {
        return Verdict::Stands(index);
    }
    let staying: Vec<&Live> = lives.iter().filter(|live| live.status != Status::Deleting).collect();
    let free = |name: &String| lives.iter().all(|live| live.name != *name);
    let name = Some(wanted.name.clone()).filter(free).unwrap_or_else(|| replacement(wanted));
    match staying.last() {
        Some(last) => Verdict::Replace(name, moulded(wanted, last)),
        None => Verdict::Make(name),
    }
}

/// The name of a group that takes the place of another: it follows from what cannot be changed, so that a run after
/// a killed one finds it.
pub(super) fn replacement(wanted: &Wanted) -> String {
    let place = wanted.place.as_ref().map(|place| (&place.role, &place.template.id));
    let mould = format!("{:?}", (&wanted.machines, wanted.spot, &wanted.zones, place));
    format!("{}-{}", wanted.name, short_hash(&mould))
}

/// Whether a group of AWS with this name can be one of `group` in the profile.
pub(super) fn is_named_after(name: &str, group: &str) -> bool {
    let hash = name.strip_prefix(group).and_then(|rest| rest.strip_prefix('-'));
    name == group || hash.is_some_and(|hash| hash.len() == 6 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The fields of `live` that are not as wanted and cannot be changed.
/// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateNodegroupConfig.html> has none of them.
fn moulded(wanted: &Wanted, live: &Live) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    if wanted.machines != live.machines && !live.machines.is_empty() {
        fields.push(field("machine", &live.machines.join(", "), &wanted.machines.join(", ")));
    }
    if wanted.spot != live.spot {
        fields.push(field("spot", &live.spot.to_string(), &wanted.spot.to_string()));
    }
    let Some(place) = &wanted.place else { return fields };
    if place.role != live.role {
        fields.push(field("role", &live.role, &place.role));
    }
    match &live.template {
        Some(template) if template.id == place.template.id => {}
        other => {
            let from = other.as_ref().map_or("none", |template| &template.id);
            fields.push(field("launch template", from, &place.template.id));
        }
    }
    let zones: BTreeSet<&str> = place
        .subnets
        .iter()
        .filter(|subnet| live.subnets.contains(&subnet.id))
        .map(|subnet| subnet.zone.as_str())
        .collect();
    // That a type is not to be had in a zone may change any day: what counts is that no other zone is used.
    let strays = !wanted.zones.is_empty() && zones.iter().any(|zone| !wanted.zones.contains(*zone));
    let lacks = wanted.zones.iter().any(|zone| {
        place.subnets.iter().any(|subnet| subnet.zone == *zone) && !zones.contains(zone.as_str())
    });
    if zones.is_empty() {
        let ids: Vec<&str> = place.subnets.iter().map(|subnet| subnet.id.as_str()).collect();
        let from = live.subnets.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        fields.push(field("subnets", &from, &ids.join(", ")));
    } else if strays || (lacks && !wanted.zones.is_empty()) {
        let from = zones.into_iter().collect::<Vec<_>>().join(", ");
        let to = wanted.zones.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        fields.push(field("zones", &from, if to.is_empty() { "all" } else { &to }));
    }
    fields
}

/// How `live`, which fits, differs from what is wanted. A number of nodes within the range is nobody's business but
/// the autoscaler's.
pub(super) fn diff(wanted: &Wanted, live: &Live) -> Difference {
    let mut found = Difference::default();
    if wanted.tags.iter().any(|(key, value)| live.tags.get(key) != Some(value)) {
        found.fields.push(field("tags", "", "the owner mark"));
        found.updates.push(Update::Tags);
    }
    diff_config(wanted, live, &mut found);
    // A group whose scaling group somebody deleted has nobody to tell.
    if !wanted.hints.were_told(live.tags.get(Hints::MARK)) && !live.scaling_groups.is_empty() {
        let told = "labels, taints, disk";
        let (from, to) = if wanted.hints.is_none() { (told, "") } else { ("", told) };
        found.fields.push(field("told to the autoscaler", from, to));
        found.updates.push(Update::Hints(wanted.hints.mark()));
    }
    let before = found.fields.len();
    if let Some(version) = wanted.version.filter(|version| live.version.is_some_and(|has| has < *version)) {
        let text = |(major, minor): (u32, u32)| format!("{major}.{minor}");
        found.fields.push(field("version", &live.version.map(text).unwrap_or_default(), &text(version)));
    }
    if let (Some(place), Some(template)) = (&wanted.place, &live.template)
        && place.template.id == template.id
        && place.template.version != template.version
    {
        found.fields.push(field("launch template", &template.version, &place.template.version));
    }
    if found.fields.len() > before {
        found.updates.push(Update::Machines);
    }
    found
}

fn diff_config(wanted: &Wanted, live: &Live, found: &mut Difference) {
    let before = found.fields.len();
    let is_other_range = (wanted.min, wanted.max) != (live.min, live.max);
    if is_other_range {
        let range = |min: u32, max: u32| if min == max { min.to_string() } else { format!("{min} to {max}") };
        found.fields.push(field("nodes", &range(live.min, live.max), &range(wanted.min, wanted.max)));
    }
    let desired = live.desired.clamp(wanted.min.min(wanted.max), wanted.max);
    if desired != live.desired && !is_other_range {
        found.fields.push(field("nodes", &live.desired.to_string(), &desired.to_string()));
    }
    let desired = (desired != live.desired).then_some(desired);
    let sizes = Sizes { min: wanted.min, max: wanted.max, desired };
    let sizes = Some(sizes).filter(|_| is_other_range || desired.is_some());
    let add_labels: BTreeMap<String, String> = wanted
        .labels
        .iter()
        .filter(|(key, value)| live.labels.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let remove_labels: Vec<String> =
        live.labels.keys().filter(|key| !wanted.labels.contains_key(*key)).cloned().collect();
    for key in add_labels.keys().chain(&remove_labels) {
        found.fields.push(FieldChange {
            path: format!("labels.{key}"),
            from: live.labels.get(key).cloned(),
            to: wanted.labels.get(key).cloned(),
        });
    }
    let missing = |one: &BTreeSet<Taint>, other: &BTreeSet<Taint>| -> Vec<Taint> {
        one.difference(other).cloned().collect()
    };
    let add_taints = missing(&wanted.taints, &live.taints);
    let remove_taints = missing(&live.taints, &wanted.taints);
    let gone = remove_taints.iter().map(|taint| (Some(taint_text(taint)), None));
    let new = add_taints.iter().map(|taint| (None, Some(taint_text(taint))));
    let taints = gone.chain(new).map(|(from, to)| FieldChange { path: "taints".to_string(), from, to });
    found.fields.extend(taints);
    let max_unavailable = Some(wanted.max_unavailable).filter(|wanted| *wanted != live.max_unavailable);
    if let Some(wanted) = max_unavailable {
        found.fields.push(field("maxUnavailable", &live.max_unavailable.to_string(), &wanted.to_string()));
    }
    if !live.repairs {
        found.fields.push(field("node repair", "off", "on"));
    }
    if found.fields.len() > before {
        found.updates.push(Update::Config {
            sizes,
            add_labels,
            remove_labels,
            add_taints,
            remove_taints,
            max_unavailable,
        });
    }
}

pub(super) fn field(path: &str, from: &str, to: &str) -> FieldChange {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_string());
    FieldChange { path: path.to_string(), from: text(from), to: text(to) }
}

#[cfg(test)]
pub(super) use tests::live as sample;

#[cfg(test)]
mod tests {
    use super::super::super::outputs::{LaunchTemplate, PlacedSubnet};
    use super::super::wanted::Place;
    use super::*;

    fn wanted() -> Wanted {
        let subnet = |letter: &str| PlacedSubnet {
            zone: format!("eu-central-1{letter}"),
            id: format!("subnet-{letter}"),
        };
        Wanted {
            name: "general".to_string(),
            machines: vec!["m7i.large".to_string()],
            spot: false,
            min: 2,
            max: 6,
            labels: BTreeMap::from([("team".to_string(), "web".to_string())]),
            taints: BTreeSet::new(),
            max_unavailable: MaxUnavailable::default(),
            tags: BTreeMap::from([("berth.dev/owner".to_string(), "7f3k2q9d".to_string())]),
            version: Some((1, 36)),
            zones: BTreeSet::new(),
            hints: Hints::none(),
            place: Some(Place {
                subnets: vec![subnet("a"), subnet("b")],
                role: "arn:role".to_string(),
                template: LaunchTemplate { id: "lt-1".to_string(), version: "3".to_string() },
            }),
        }
    }

    pub fn live(name: &str) -> Live {
        let wanted = wanted();
        Live {
            name: name.to_string(),
            arn: String::new(),
            status: Status::Active,
            version: Some((1, 36)),
            release: "1.36.1-20261101".to_string(),
            ami_type: "AL2023_x86_64_STANDARD".to_string(),
            machines: wanted.machines,
            spot: false,
            subnets: BTreeSet::from(["subnet-a".to_string(), "subnet-b".to_string()]),
            role: "arn:role".to_string(),
            template: wanted.place.map(|place| place.template),
            min: 2,
            max: 6,
            desired: 4,
            labels: wanted.labels,
            taints: BTreeSet::new(),
            max_unavailable: MaxUnavailable::default(),
            repairs: true,
            tags: wanted.tags,
            issues: Vec::new(),
            scaling_groups: Vec::new(),
        }
    }

    #[test]
    fn a_group_as_wanted_does_not_differ_however_many_nodes_the_autoscaler_wants() {
        assert_eq!(judge(&wanted(), &[live("general")]), Verdict::Stands(0));
        assert_eq!(diff(&wanted(), &live("general")), Difference::default());
        let unknown = Wanted { place: None, ..wanted() };
        assert_eq!(diff(&unknown, &live("general")), Difference::default());
    }

    #[test]
    fn the_autoscaler_is_told_by_a_scaling_group_that_is_there() {
        let group = crate::providers::nodes::sample_group("general", 0, 4, 0);
        let wanted = Wanted { hints: Hints::of(&group, &BTreeMap::new()), ..wanted() };
        assert!(diff(&wanted, &live("general")).updates.is_empty());
        let has_one = Live { scaling_groups: vec!["eks-general-1".to_string()], ..live("general") };
        assert!(matches!(diff(&wanted, &has_one).updates[..], [Update::Hints(_)]));
    }

    #[test]
    fn a_size_outside_the_range_comes_back_into_it() {
        let found = diff(&wanted(), &Live { desired: 1, ..live("general") });
        let to = |min, max, desired| Some(Sizes { min, max, desired });
        let sizes = |found: &Difference| match found.updates[..] {
            [Update::Config { sizes, .. }] => sizes,
            _ => unreachable!("one update of sizes, not {found:?}"),
        };
        assert_eq!(sizes(&found), to(2, 6, Some(2)));
        let fixed = Wanted { min: 3, max: 3, ..wanted() };
        let found = diff(&fixed, &live("general"));
        assert_eq!(found.fields, [field("nodes", "2 to 6", "3")]);
        assert_eq!(sizes(&found), to(3, 3, Some(3)));
        // What the autoscaler wanted meanwhile stays.
        let wider = Wanted { max: 8, ..wanted() };
        assert_eq!(sizes(&diff(&wider, &live("general"))), to(2, 8, None));
        let labelled = Wanted { labels: BTreeMap::new(), ..wanted() };
        assert_eq!(sizes(&diff(&labelled, &live("general"))), None);
    }

    #[test]
    fn what_the_autoscaler_was_told_is_taken_back_once_there_is_none() {
        let mut told = Live { scaling_groups: vec!["eks-general-1".to_string()], ..live("general") };
        told.tags.insert(Hints::MARK.to_string(), "0a1b2c".to_string());
        let found = diff(&wanted(), &told);
        assert_eq!(found.fields, [field("told to the autoscaler", "labels, taints, disk", "")]);
        assert_eq!(found.updates, [Update::Hints(Hints::none().mark())]);
        told.tags.insert(Hints::MARK.to_string(), Hints::none().mark());
        assert_eq!(diff(&wanted(), &told), Difference::default());
    }

    #[test]
    fn labels_and_taints_are_changed_in_one_call_and_only_where_they_differ() {
        let taint = |key: &str| Taint {
            key: key.to_string(),
            value: String::new(),
            effect: "NoSchedule".to_string(),
        };
        let live = Live {
            labels: BTreeMap::from([("old".to_string(), "1".to_string())]),
            taints: BTreeSet::from([taint("gone"), taint("stays")]),
            ..live("general")
        };
        let wanted = Wanted { taints: BTreeSet::from([taint("new"), taint("stays")]), ..wanted() };
        let found = diff(&wanted, &live);
        let [Update::Config { add_labels, remove_labels, add_taints, remove_taints, .. }] =
            &found.updates[..]
        else {
            unreachable!("one call, not {found:?}")
        };
        assert_eq!((add_labels.len(), &remove_labels[..]), (1, &["old".to_string()][..]));
        assert_eq!((&add_taints[..], &remove_taints[..]), (&[taint("new")][..], &[taint("gone")][..]));
    }

    #[test]
    fn how_many_nodes_are_made_anew_at_once_is_brought_back_and_nothing_else_with_it() {
        let two = Live { max_unavailable: MaxUnavailable::Count(2), ..live("general") };
        let third = Wanted { max_unavailable: MaxUnavailable::Percent(33), ..wanted() };
        for (wanted, live, to) in [(wanted(), two, "2 1"), (third, live("general"), "1 33%")] {
            let found = diff(&wanted, &live);
            let (from, to) = to.split_once(' ').expect("two");
            assert_eq!(found.fields, [field("maxUnavailable", from, to)]);
            let [Update::Config { sizes: None, max_unavailable, .. }] = &found.updates[..] else {
                unreachable!("one call, not {found:?}")
            };
            assert_eq!(*max_unavailable, Some(wanted.max_unavailable));
        }
    }

    #[test]
    fn another_version_and_another_template_are_one_update_of_the_machines() {
        let old = Live {
            version: Some((1, 35)),
            template: Some(LaunchTemplate { id: "lt-1".to_string(), version: "2".to_string() }),
            ..live("general")
        };
        let found = diff(&wanted(), &old);
        assert_eq!((found.fields.len(), &found.updates[..]), (2, &[Update::Machines][..]));
    }

    #[test]
    fn what_cannot_be_changed_needs_a_new_group_of_a_name_that_is_found_again() {
        let wanted = Wanted { machines: vec!["m7i.xlarge".to_string()], ..wanted() };
        let Verdict::Replace(name, fields) = judge(&wanted, &[live("general")]) else {
            unreachable!("another machine")
        };
        assert!(is_named_after(&name, "general") && name != "general", "{name}");
        assert_eq!(fields, [field("machine", "m7i.large", "m7i.xlarge")]);
        let new = Live { machines: wanted.machines.clone(), ..live(&name) };
        assert_eq!(judge(&wanted, &[live("general"), new.clone()]), Verdict::Stands(1));
        // Back again before the old one is gone.
        assert_eq!(judge(&super::tests::wanted(), &[live("general"), new]), Verdict::Stands(0));
    }

    #[test]
    fn zones_that_the_profile_does_not_name_are_left_to_what_is_to_be_had() {
        let one_zone = Live { subnets: BTreeSet::from(["subnet-a".to_string()]), ..live("general") };
        assert_eq!(judge(&wanted(), std::slice::from_ref(&one_zone)), Verdict::Stands(0));
        let named = Wanted { zones: BTreeSet::from(["eu-central-1b".to_string()]), ..wanted() };
        assert!(matches!(judge(&named, &[one_zone]), Verdict::Replace(..)));
    }

    #[test]
    fn names_of_groups_are_told_from_names_of_others_that_begin_alike() {
        assert!(is_named_after("general", "general") && is_named_after("general-0a1b2c", "general"));
        assert!(!is_named_after("general-large", "general") && !is_named_after("generals", "general"));
    }
}
