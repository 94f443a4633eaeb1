use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::compare::{differing_fields, is_left_out, removed_fields};
use super::held::Gate;
use super::hub::HubSettings;
use super::live::{Key, Live};
use super::object::{Object, Wave};
use super::reasons::Reason;
use super::removal::{Count, due};
use super::set::Leaving;
use super::told::keeps_secrets;
use crate::base::{Change, ChangeKind, Conflict, FieldChange, Guard, Note, label};

/// How wanted objects and live ones differ, and what would make them agree.
#[derive(Debug, Default)]
pub(super) struct Assessment {
    /// What `plan` shows, in a stable order.
    pub changes: Vec<Change>,
    /// What the user should know besides.
    pub notes: Vec<Note>,
    /// Objects to apply.
    pub apply: Vec<Arc<Object>>,
    /// Custom resources to apply once all else stands.
    pub held: Vec<Arc<Object>>,
    /// Whether those may be applied now.
    pub gate: Option<Gate>,
    /// Objects of kinds that nobody serves.
    pub unserved: Vec<Arc<Object>>,
    /// Objects to remove.
    pub remove: Vec<Arc<Live>>,
    /// Whether any object of the set that berth made is there.
    pub stands: bool,
    /// Wanted objects that stand as they should.
    pub standing: Vec<Arc<Live>>,
    /// Why one of these is not ready, as far as that was asked.
    pub reason: Reason,
    /// Objects that are on their way out and have to be gone first.
    pub going: Vec<Arc<Live>>,
}

impl Assessment {
    /// Whether something of somebody else is in the way.
    pub(super) fn conflicts(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.kind == ChangeKind::Conflict)
    }
}

/// Compares one wanted object with the live one of our label, if there is one.
/// `taken` says that an object of that name stands there without our label. Pure.
pub(super) fn compare_one(
    wanted: &Arc<Object>,
    live: Option<&Arc<Live>>,
    taken: bool,
    settings: &HubSettings,
    found: &mut Assessment,
) {
    let change = |kind| Change::new(kind, wanted.title());
    let Some(live) = live else {
        if !taken {
            found.changes.push(change(ChangeKind::Create));
            found.apply.push(Arc::clone(wanted));
        } else if settings.adopt {
            found
                .changes
                .push(change(ChangeKind::Adopt).because("somebody else made it, `--adopt` takes it over"));
            found.apply.push(Arc::clone(wanted));
        } else {
            let conflict = Conflict::new("somebody else made it", "take it over with `--adopt`");
            found.changes.push(conflict.guarded(Guard::Adopt).of(wanted.title()));
        }
        return;
    };
    if live.going {
        found.going.push(Arc::clone(live));
        return;
    }
    if live.applied.is_none() && !settings.adopt {
        let why = "it carries berth's labels, but berth did not make it";
        let conflict = Conflict::new(why, "take it over with `--adopt`").guarded(Guard::Adopt);
        found.changes.push(conflict.of(wanted.title()));
        return;
    }
    let mut fields = differing_fields(&wanted.body, &live.body);
    if let Some(applied) = &live.applied {
        fields.retain(|field| !is_left_out(field, applied, &live.body));
    }
    let unchanged_since = wanted.body["metadata"]["annotations"][label::APPLIED].as_str();
    if let Some(applied) =
        live.applied.as_ref().filter(|_| live.annotation(label::APPLIED) != unchanged_since)
    {
        fields.extend(removed_fields(&wanted.body, applied, &live.body));
    }
    if wanted.is_withheld() {
        fields.retain(|field| !keeps_secrets(&field.path));
    }
    if fields.is_empty() {
        found.standing.push(Arc::clone(live));
        return;
    }
    if let Some(conflict) = held_by_another(live, &fields).filter(|_| !settings.force_conflicts) {
        found.changes.push(conflict.of(wanted.title()).fields(fields));
    } else {
        let kind = if live.applied.is_none() { ChangeKind::Adopt } else { ChangeKind::Update };
        found.changes.push(change(kind).fields(fields));
        found.apply.push(Arc::clone(wanted));
    }
}

/// The manager, and the path, that applies one of `fields` besides berth.
fn held_by_another(live: &Live, fields: &[FieldChange]) -> Option<Conflict> {
    let mut wanted = fields.iter().filter(|field| field.to.is_some());
    wanted.find_map(|field| live.held_by_another(&field.path))
}

/// Live objects of a set that are wanted no more, and what decides about them.
pub(super) struct Parting<'a> {
    /// The objects.
    pub leaving: &'a [Arc<Live>],
    /// The namespaces that the set still wants.
    pub wanted_namespaces: &'a BTreeSet<String>,
    /// What the set does with what leaves.
    pub rule: Leaving,
    /// Why an object leaves, in words.
    pub why: fn(&Live) -> String,
    /// How many custom resources there are, by the name of their definition.
    pub counts: &'a BTreeMap<String, Count>,
}

/// Decides what happens to the live objects of a set that are wanted no more. Pure.
///
/// Namespaces, definitions and volume claims stay unless a flag says otherwise. Where the set guards namespaces
/// ([`Leaving::AccessOnly`]), one that left the profile loses its role bindings and nothing else:
/// without its quota and policies it would stand open.
pub(super) fn part_with(parting: &Parting<'_>, settings: &HubSettings, found: &mut Assessment) {
    let Parting { leaving, wanted_namespaces, rule, why, counts } = *parting;
    if settings.partial {
        return;
    }
    let mut goes_now: Vec<Arc<Live>> = Vec::new();
    let mut cordoned: BTreeMap<String, String> = BTreeMap::new();
    let departed: BTreeSet<&str> =
        leaving.iter().filter(|live| live.kind.kind == "Namespace").map(|live| live.name.as_str()).collect();
    for live in leaving {
        if live.going {
            goes_now.push(Arc::clone(live));
            continue;
        }
        let kind = live.kind.kind.as_str();
        let home = live.namespace.as_deref().or((kind == "Namespace").then_some(live.name.as_str()));
        let guarded =
            rule == Leaving::AccessOnly && home.is_some_and(|home| !wanted_namespaces.contains(home));
        let with_its_namespace = live.namespace.as_deref().is_some_and(|home| departed.contains(home));
        let goes = match kind {
            "Namespace" => settings.prune_namespaces,
            "PersistentVolumeClaim" => false,
            "CustomResourceDefinition" => settings.prune_crds,
            "RoleBinding" => true,
            // Nobody is left who would renew a login there, and pods that run need none.
            _ if guarded => kind == "Secret",
            // Removed together with the namespace by the cluster itself.
            _ if with_its_namespace && settings.prune_namespaces => live.kind.wave() == Wave::CustomResources,
            _ => true,
        };
        let why_with_count = || match counts.get(&live.name).filter(|_| kind == "CustomResourceDefinition") {
            Some(count) => format!("{}; {}", why(live), count.told()),
            None => why(live),
        };
        if goes {
            found.changes.push(Change::new(ChangeKind::Delete, live.title()).because(why_with_count()));
            goes_now.push(Arc::clone(live));
        } else if kind == "Namespace" {
            cordoned.insert(live.name.clone(), why(live));
        } else if kind == "CustomResourceDefinition" {
            found.notes.push(Note::new(
                "kept",
                format!("{}: {}; `--prune-crds` removes it with all of them", live.title(), why_with_count()),
            ));
        }
    }
    let due = due(goes_now, rule);
    found.remove.extend(due.now);
    found.going.extend(due.going);
    for (namespace, why) in cordoned {
        let (topic, text) = match rule {
            Leaving::AccessOnly => (
                "kept, cordoned",
                format!(
                    "Namespace {namespace}: {why}; nobody is bound to it any more, its quota, limits and \
                     policies stay; remove it and all in it with `--prune-namespaces`"
                ),
            ),
            Leaving::Everything => (
                "kept",
                format!("Namespace {namespace}: {why}; remove it and all in it with `--prune-namespaces`"),
            ),
        };
        found.notes.push(Note::new(topic, text));
    }
}

/// Live objects by namespace and name.
pub(super) fn by_key(lives: impl IntoIterator<Item = Arc<Live>>) -> BTreeMap<Key, Arc<Live>> {
    lives.into_iter().map(|live| (live.key(), live)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::base::{Owner, RunId};
    use crate::k8s::{finish, known_kind};

    fn settings() -> HubSettings {
        HubSettings {
            owner: Owner { id: "7f3k2q9d".to_string(), environment: "lab".to_string() },
            run: RunId::new(jiff::Timestamp::UNIX_EPOCH, 1),
            place: "ada@laptop:/state".to_string(),
            kinds: BTreeSet::new(),
            adopt: false,
            force_conflicts: false,
            prune_namespaces: false,
            prune_crds: false,
            partial: false,
        }
    }

    fn config(data: &Value) -> Object {
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "c", "namespace": "n"}, "data": data});
        finish(Object::new(body).expect("an object"), &settings().owner, "s")
    }

    /// The object as it would stand after berth applied it, with further managers.
    fn live(object: &Object, managers: &[(&str, &str, Value)]) -> Arc<Live> {
        let mut body = object.body.clone();
        body["metadata"]["uid"] = json!("u");
        body["metadata"]["managedFields"] = managers
            .iter()
            .map(|(manager, operation, fields)| {
                json!({"manager": manager, "operation": operation, "fieldsV1": fields})
            })
            .collect();
        Arc::new(Live::new(&object.kind, body))
    }

    fn ours() -> (&'static str, &'static str, Value) {
        ("berth", "Apply", json!({"f:data": {"f:a": {}, "f:b": {}}}))
    }

    fn assess(wanted: &Object, live: Option<&Arc<Live>>, taken: bool, settings: &HubSettings) -> Assessment {
        let mut found = Assessment::default();
        compare_one(&Arc::new(wanted.clone()), live, taken, settings, &mut found);
        found
    }

    #[test]
    fn what_stands_as_it_should_is_left_alone() {
        let wanted = config(&json!({"a": "1"}));
        let found = assess(&wanted, Some(&live(&wanted, &[ours()])), false, &settings());
        assert!(found.changes.is_empty() && found.apply.is_empty());
        assert_eq!(found.standing.len(), 1);
    }

    #[test]
    fn a_foreign_object_of_our_name_is_a_conflict_until_it_is_adopted() {
        let wanted = config(&json!({"a": "1"}));
        let found = assess(&wanted, None, true, &settings());
        assert_eq!(found.changes[0].kind, ChangeKind::Conflict);
        assert!(found.apply.is_empty());
        let found = assess(&wanted, None, true, &HubSettings { adopt: true, ..settings() });
        assert_eq!(found.changes[0].kind, ChangeKind::Adopt);
        assert_eq!(found.apply.len(), 1);
    }

    #[test]
    fn a_copy_with_our_labels_is_not_ours() {
        let wanted = config(&json!({"a": "1"}));
        let copied = live(&wanted, &[("kubectl", "Update", json!({}))]);
        let found = assess(&wanted, Some(&copied), false, &settings());
        assert_eq!(found.changes[0].kind, ChangeKind::Conflict);
        assert!(found.apply.is_empty());
    }

    #[test]
    fn a_removed_field_is_a_change() {
        let before = config(&json!({"a": "1", "b": "2"}));
        let wanted = config(&json!({"a": "1"}));
        let found = assess(&wanted, Some(&live(&before, &[ours()])), false, &settings());
        assert_eq!(found.changes[0].fields[0].path, "data.b");
        assert_eq!(found.apply.len(), 1);
    }

    #[test]
    fn a_field_of_another_applier_is_a_conflict_and_an_edit_is_drift() {
        let wanted = config(&json!({"a": "1"}));
        let mut other = wanted.clone();
        other.body["data"]["a"] = json!("2");
        let held = json!({"f:data": {"f:a": {}}});
        let applied = live(&other, &[ours(), ("argocd", "Apply", held.clone())]);
        let found = assess(&wanted, Some(&applied), false, &settings());
        assert_eq!(found.changes[0].kind, ChangeKind::Conflict);
        assert!(
            found.changes[0].reason.as_deref().is_some_and(|why| why.contains("`argocd` applies `data.a`"))
        );
        let edited = live(&other, &[ours(), ("kubectl-edit", "Update", held)]);
        let found = assess(&wanted, Some(&edited), false, &settings());
        assert_eq!(found.changes[0].kind, ChangeKind::Update);
    }

    fn guard(kind: &str, api_version: &str, namespace: Option<&str>, name: &str) -> Arc<Live> {
        let mut body = json!({"metadata": {"name": name, "uid": "u"}});
        if let Some(namespace) = namespace {
            body["metadata"]["namespace"] = json!(namespace);
        }
        Arc::new(Live::new(&known_kind(api_version, kind).expect("built in"), body))
    }

    fn departed_tenant() -> Vec<Arc<Live>> {
        vec![
            guard("Namespace", "v1", None, "old"),
            guard("NetworkPolicy", "networking.k8s.io/v1", Some("old"), "default-deny"),
            guard("ResourceQuota", "v1", Some("old"), "quota"),
            guard("RoleBinding", "rbac.authorization.k8s.io/v1", Some("old"), "editors"),
        ]
    }

    fn removed(settings: &HubSettings, rule: Leaving) -> (Vec<String>, Vec<Note>) {
        let mut found = Assessment::default();
        let why = |_: &Live| "tenant old is no longer in the profile".to_string();
        let (leaving, none) = (departed_tenant(), BTreeSet::new());
        let counts = BTreeMap::new();
        let parting = Parting { leaving: &leaving, wanted_namespaces: &none, rule, why, counts: &counts };
        part_with(&parting, settings, &mut found);
        (found.remove.iter().map(|live| live.title()).collect(), found.notes)
    }

    #[test]
    fn a_tenant_that_left_loses_its_role_bindings_and_nothing_else() {
        let (removed, notes) = removed(&settings(), Leaving::AccessOnly);
        assert_eq!(removed, ["RoleBinding old/editors"]);
        assert_eq!(notes[0].topic, "kept, cordoned");
    }

    #[test]
    fn a_run_on_a_part_removes_nothing() {
        let partial = HubSettings { partial: true, prune_namespaces: true, ..settings() };
        assert_eq!(removed(&partial, Leaving::AccessOnly), (Vec::new(), Vec::new()));
        assert_eq!(removed(&partial, Leaving::Everything), (Vec::new(), Vec::new()));
    }

    #[test]
    fn with_the_flag_the_namespace_goes_and_takes_its_guards_along() {
        let (removed, notes) =
            removed(&HubSettings { prune_namespaces: true, ..settings() }, Leaving::AccessOnly);
        assert_eq!(removed, ["RoleBinding old/editors", "Namespace old"]);
        assert!(notes.is_empty());
    }

    #[test]
    fn a_definition_stays_without_the_flag_and_its_custom_resources_are_counted() {
        let name = "widgets.example.org";
        let definition = guard("CustomResourceDefinition", "apiextensions.k8s.io/v1", None, name);
        let counts = BTreeMap::from([(name.to_string(), Count { ours: 1, others: 2 })]);
        let part = |settings: &HubSettings| {
            let mut found = Assessment::default();
            let why = |_: &Live| "no longer in the profile".to_string();
            let parting = Parting {
                leaving: std::slice::from_ref(&definition),
                wanted_namespaces: &BTreeSet::new(),
                rule: Leaving::Everything,
                why,
                counts: &counts,
            };
            part_with(&parting, settings, &mut found);
            found
        };
        let kept = part(&settings());
        assert!(kept.changes.is_empty() && kept.remove.is_empty());
        assert!(kept.notes[0].text.contains("3 custom resources of its kind are in the cluster, 2 of them"));
        let removed = part(&HubSettings { prune_crds: true, ..settings() });
        assert_eq!(removed.remove.len(), 1);
        assert!(removed.changes[0].reason.as_deref().is_some_and(|why| why.contains("3 custom resources")));
    }
}
