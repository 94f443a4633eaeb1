use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::hub::Hub;
use super::kinds::Kinds;
use super::live::Live;
use super::object::{Kind, Wave};
use super::set::Leaving;
use crate::base::Fault;
use crate::engine::{Seen, State};
use crate::flow::{Flow, Tally};

/// Where an object comes in the order of removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// A webhook without its program refuses everything.
    Webhooks,
    /// Nobody gets in any more, where the set guards namespaces.
    Access,
    /// An aggregated API without its program holds every namespace that goes.
    AggregatedApis,
    /// Custom resources, as long as their controllers live.
    CustomResources,
    /// Custom resource definitions, for the same reason: what others made of them goes with them.
    Definitions,
    Workloads,
    Bindings,
    Rest,
}

impl Turn {
    /// Whether all of this turn have to be gone before what comes after them is touched.
    fn is_waited_for(self) -> bool {
        matches!(self, Self::CustomResources | Self::Definitions)
    }
}

fn turn(live: &Live, rule: Leaving) -> Turn {
    match live.kind.wave() {
        Wave::Webhooks => Turn::Webhooks,
        Wave::Bindings if rule == Leaving::AccessOnly => Turn::Access,
        _ if live.kind.group == "apiregistration.k8s.io" => Turn::AggregatedApis,
        Wave::CustomResources => Turn::CustomResources,
        Wave::Definitions => Turn::Definitions,
        Wave::Workloads => Turn::Workloads,
        Wave::Bindings => Turn::Bindings,
        _ => Turn::Rest,
    }
}

fn order(live: &Live, rule: Leaving) -> (Turn, Reverse<Wave>) {
    (turn(live, rule), Reverse(live.kind.wave()))
}

/// What of a removal can be done now.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Due {
    /// What is to be removed now, in order.
    pub now: Vec<Arc<Live>>,
    /// What is on its way out and has to be gone before the rest.
    pub going: Vec<Arc<Live>>,
    /// Whether something comes only after that.
    pub more: bool,
}

/// What can be removed now of `lives`, which all have to go, some of them on their way already. Pure.
pub(super) fn due(mut lives: Vec<Arc<Live>>, rule: Leaving) -> Due {
    lives.sort_by_key(|live| order(live, rule));
    let turns = lives.iter().map(|live| turn(live, rule));
    let gate = turns.filter(|turn| turn.is_waited_for()).min();
    let (first, later): (Vec<_>, Vec<_>) =
        lives.into_iter().partition(|live| gate.is_none_or(|gate| turn(live, rule) <= gate));
    let (going, now): (Vec<_>, Vec<_>) = first.into_iter().partition(|live| live.going);
    let homes: BTreeSet<&str> = now
        .iter()
        .chain(&going)
        .filter(|live| live.kind.kind == "Namespace")
        .map(|live| live.name.as_str())
        .collect();
    let goes_along = |live: &Arc<Live>| {
        turn(live, rule) > Turn::Definitions
            && live.namespace.as_deref().is_some_and(|home| homes.contains(home))
    };
    let now = now.iter().filter(|live| !goes_along(live)).cloned().collect();
    Due { now, going, more: !later.is_empty() }
}

/// Removes objects, group after group in the order of removal.
pub(super) async fn remove_in_order(
    hub: &Hub,
    mut lives: Vec<Arc<Live>>,
    rule: Leaving,
    flow: &Flow,
) -> Result<(), Fault> {
    lives.sort_by_key(|live| order(live, rule));
    let mut tally = Tally::new(lives.len(), "objects removed");
    for group in lives.chunk_by(|one, other| order(one, rule) == order(other, rule)) {
        flow.each(
            group.to_vec(),
            hub.width(),
            &mut tally,
            |live| async move { hub.delete(&live, flow).await },
        )
        .await?;
    }
    Ok(())
}

/// How far the removal of `ours` is.
pub(super) async fn left(hub: &Hub, ours: Vec<Arc<Live>>, rule: Leaving, flow: &Flow) -> Result<Seen, Fault> {
    let (goes, _) = without_kept(hub, ours, flow).await?;
    let count = goes.len();
    let due = due(goes, rule);
    let state = match (due.going.first().or(due.now.first()), count) {
        (None, _) => State::Absent,
        (Some(first), 1) => State::Progressing(first.awaited()),
        (Some(first), more) => State::Progressing(format!("{} and {} more", first.awaited(), more - 1)),
    };
    // What has to be gone first may be gone in the next look: then the rest is begun.
    let more_to_remove = !due.now.is_empty();
    Ok(Seen { more_to_remove, ..Seen::new(state) })
}

/// Removes what can go now of `ours`.
pub(super) async fn remove_due(
    hub: &Hub,
    ours: Vec<Arc<Live>>,
    rule: Leaving,
    flow: &Flow,
) -> Result<(), Fault> {
    let kinds: BTreeSet<Kind> = ours.iter().map(|live| live.kind.clone()).collect();
    let (goes, _) = without_kept(hub, ours, flow).await?;
    remove_in_order(hub, due(goes, rule).now, rule, flow).await?;
    for kind in kinds {
        hub.forget(&kind);
    }
    Ok(())
}

/// The custom resources of one definition, whoever made them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Those that this environment made.
    pub ours: usize,
    /// All others.
    pub others: usize,
}

impl Count {
    /// `3 custom resources of its kind are in the cluster, 1 of them not made here`.
    pub(super) fn told(self) -> String {
        let (total, verb) = match self.ours + self.others {
            0 => return "no custom resource of its kind is in the cluster".to_string(),
            1 => ("1 custom resource".to_string(), "is"),
            total => (format!("{total} custom resources"), "are"),
        };
        let others = match (self.ours, self.others) {
            (_, 0) => String::new(),
            (0, _) => ", not made here".to_string(),
            (_, others) => format!(", {others} of them not made here"),
        };
        format!("{total} of its kind {verb} in the cluster{others}")
    }
}

/// The custom resources of each of the definitions among `lives`, by the definition's name.
pub(super) async fn count_custom_resources<'a>(
    hub: &Hub,
    lives: impl Iterator<Item = &'a Arc<Live>>,
    flow: &Flow,
) -> Result<BTreeMap<String, Count>, Fault> {
    let mut counts = BTreeMap::new();
    for definition in lives.filter(|live| live.kind.wave() == Wave::Definitions) {
        let Some(kind) = kind_of(definition) else { continue };
        let present = hub.present(&kind, flow).await?.len();
        let listed = if present == 0 { Vec::new() } else { hub.list_owned(&kind, flow).await? };
        let ours = listed.iter().filter(|live| live.is_of(&hub.settings().owner)).count();
        counts.insert(definition.name.clone(), Count { ours, others: present.saturating_sub(ours) });
    }
    Ok(counts)
}

/// The kind that a definition brings, in a version that is served.
fn kind_of(definition: &Live) -> Option<Kind> {
    let mut kinds = Kinds::default();
    kinds.learn_definition(&definition.body);
    kinds.defined().next().cloned()
}

/// Takes out of `lives` the definitions that `down` keeps: those with custom resources that this
/// environment did not make, unless a flag says otherwise. Looks afresh.
pub(super) async fn without_kept(
    hub: &Hub,
    lives: Vec<Arc<Live>>,
    flow: &Flow,
) -> Result<(Vec<Arc<Live>>, Vec<(Arc<Live>, Count)>), Fault> {
    if hub.settings().prune_crds {
        return Ok((lives, Vec::new()));
    }
    let standing = lives.iter().filter(|live| !live.going);
    let counts = count_custom_resources(hub, standing, flow).await?;
    let (mut goes, mut kept) = (Vec::new(), Vec::new());
    for live in lives {
        match counts.get(&live.name).filter(|_| live.kind.wave() == Wave::Definitions) {
            Some(count) if count.others > 0 => kept.push((live, *count)),
            _ => goes.push(live),
        }
    }
    Ok((goes, kept))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::k8s::{Served, known_kind};

    fn standing(api_version: &str, kind: &str, namespace: Option<&str>, going: bool) -> Arc<Live> {
        let named = || {
            let served = Served { plural: "widgets".to_string(), namespaced: true };
            Kind::named(api_version, kind).served_as(served)
        };
        let kind = known_kind(api_version, kind).unwrap_or_else(named);
        let name = kind.kind.to_lowercase();
        let mut body = json!({"metadata": {"name": name, "namespace": namespace, "uid": "u"}});
        if going {
            body["metadata"]["deletionTimestamp"] = json!("2026-11-21T00:00:00Z");
        }
        Arc::new(Live::new(&kind, body))
    }

    fn addon() -> Vec<Arc<Live>> {
        vec![
            standing("v1", "Namespace", None, false),
            standing("v1", "ConfigMap", Some("namespace"), false),
            standing("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", None, false),
            standing("apps/v1", "Deployment", Some("elsewhere"), false),
            standing("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, false),
            standing("example.org/v1", "Widget", Some("namespace"), false),
            standing("apiregistration.k8s.io/v1", "APIService", None, false),
            standing("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", None, false),
        ]
    }

    fn kinds(lives: &[Arc<Live>]) -> Vec<&str> {
        lives.iter().map(|live| live.kind.kind.as_str()).collect()
    }

    fn without(lives: Vec<Arc<Live>>, kinds: &[&str]) -> Vec<Arc<Live>> {
        lives.into_iter().filter(|live| !kinds.contains(&live.kind.kind.as_str())).collect()
    }

    #[test]
    fn webhooks_aggregated_apis_and_custom_resources_go_while_their_programs_live() {
        let first = due(addon(), Leaving::Everything);
        assert_eq!(kinds(&first.now), ["ValidatingWebhookConfiguration", "APIService", "Widget"]);
        assert!(first.more && first.going.is_empty());
    }

    #[test]
    fn nothing_else_goes_until_the_custom_resources_and_then_the_definitions_are_gone() {
        let mut left = without(addon(), &["ValidatingWebhookConfiguration", "APIService", "Widget"]);
        left.push(standing("example.org/v1", "Widget", Some("namespace"), true));
        let held = due(left, Leaving::Everything);
        assert_eq!((kinds(&held.now), kinds(&held.going), held.more), (vec![], vec!["Widget"], true));

        let left = without(addon(), &["ValidatingWebhookConfiguration", "APIService", "Widget"]);
        let next = due(left, Leaving::Everything);
        assert_eq!((kinds(&next.now), next.more), (vec!["CustomResourceDefinition"], true));
    }

    #[test]
    fn then_workloads_bindings_and_the_rest_go_and_namespaces_take_along_what_they_hold() {
        let early = ["ValidatingWebhookConfiguration", "APIService", "Widget", "CustomResourceDefinition"];
        let last = due(without(addon(), &early), Leaving::Everything);
        assert_eq!(kinds(&last.now), ["Deployment", "ClusterRoleBinding", "Namespace"]);
        assert!(!last.more);
    }

    #[test]
    fn where_namespaces_are_guarded_bindings_go_first() {
        let tenant = vec![
            standing("v1", "Namespace", None, false),
            standing("networking.k8s.io/v1", "NetworkPolicy", Some("kept"), false),
            standing("v1", "ResourceQuota", Some("kept"), false),
            standing("rbac.authorization.k8s.io/v1", "RoleBinding", Some("namespace"), false),
        ];
        let found = due(tenant, Leaving::AccessOnly);
        assert_eq!(kinds(&found.now), ["RoleBinding", "ResourceQuota", "NetworkPolicy", "Namespace"]);
    }

    #[test]
    fn a_count_says_whose_custom_resources_there_are() {
        let told = |ours, others| Count { ours, others }.told();
        assert_eq!(told(0, 0), "no custom resource of its kind is in the cluster");
        assert_eq!(told(1, 0), "1 custom resource of its kind is in the cluster");
        assert_eq!(told(2, 1), "3 custom resources of its kind are in the cluster, 1 of them not made here");
        assert_eq!(told(0, 2), "2 custom resources of its kind are in the cluster, not made here");
    }
}
