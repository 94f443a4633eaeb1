use crate::base::{Change, ChangeKind, ResourceId};
use crate::engine::{Look, Observed, State, Survey};
use crate::providers::TimeHint;

/// Until a control plane can be begun: subnets and roles; the rest of the network is made beside it.
const GROUND: u64 = 1;
/// AWS: "9 minutes on average" (<https://github.com/aws/containers-roadmap/issues/1227>).
const CONTROL_PLANE: u64 = 9;
/// A version of the control plane: 25 minutes and more (the same thread).
const UPGRADE: u64 = 25;
/// A node group: 2 to 4 minutes.
const NODES: u64 = 3;
/// A group that replaces another one: made, then the old one drained and removed (3 to 8 minutes).
const REPLACED_NODES: u64 = 8;
/// Addons, all at once: 10 to 60 seconds each.
const ADDONS: u64 = 1;

/// With what the ids begin of what takes longest.
const CLUSTER: &str = "cluster/";
const NODE_GROUP: &str = "node-group/";

/// How long it takes to make what `survey` found missing or different; `None` when nothing of it takes long.
pub fn time(survey: &Survey) -> Option<TimeHint> {
    let is_begun = |seen: &Observed| {
        let is_on_its_way = matches!(seen.look, Look::Seen(State::Progressing(_)));
        is_on_its_way && seen.changes.is_empty() && seen.id.as_str().starts_with(CLUSTER)
    };
    published(survey.changes(), survey.resources.iter().any(is_begun))
}

/// `is_begun`: whether there is a control plane that is on its way; how far, nobody says.
fn published<'a>(
    changes: impl Iterator<Item = (&'a ResourceId, &'a Change)>,
    is_begun: bool,
) -> Option<TimeHint> {
    let (mut ground, mut cluster, mut nodes, mut addons) = (0, 0, 0, 0);
    if is_begun {
        cluster = CONTROL_PLANE;
    }
    for (id, change) in changes {
        let is_made = matches!(change.kind, ChangeKind::Create | ChangeKind::Replace);
        let changes = |path: &str| change.fields.iter().any(|field| field.path == path);
        let is_upgraded = changes("version");
        let id = id.to_string();
        if id.starts_with("network/") {
            ground = GROUND;
        } else if id.starts_with(CLUSTER) && is_made {
            cluster = cluster.max(CONTROL_PLANE);
        } else if id.starts_with(CLUSTER) && is_upgraded {
            cluster = cluster.max(UPGRADE);
        } else if id.starts_with(NODE_GROUP) {
            // Nodes are made from another launch template or image one after the other.
            let is_rolled = is_upgraded || changes("launch template") || changes("release");
            let replaces = change.kind == ChangeKind::Replace || is_rolled;
            // Labels and taints of nodes that stand are changed in seconds.
            let waits = change.kind != ChangeKind::Update || changes("nodes");
            nodes = nodes.max(match (replaces, waits) {
                (true, _) => REPLACED_NODES,
                (false, true) => NODES,
                (false, false) => 0,
            });
        } else if id.starts_with("eks-addon/") {
            addons = ADDONS;
        }
    }
    let minutes = ground + cluster + nodes + addons;
    // Of past runs it is known what they made, and not what they changed.
    let longest = match (cluster, nodes) {
        (CONTROL_PLANE, _) => Some(CLUSTER),
        (0, NODES) => Some(NODE_GROUP),
        _ => None,
    };
    (minutes > 0).then(|| TimeHint { minutes, from: "published figures".to_string(), longest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::FieldChange;

    fn minutes(changes: &[(&str, Change)]) -> Option<(u64, Option<&'static str>)> {
        let changes: Vec<(ResourceId, Change)> =
            changes.iter().map(|(id, change)| (ResourceId::new(*id), change.clone())).collect();
        let hint = published(changes.iter().map(|(id, change)| (id, change)), false);
        hint.map(|hint| (hint.minutes, hint.longest))
    }

    fn made() -> Change {
        Change::new(ChangeKind::Create, "it")
    }

    #[test]
    fn what_is_made_at_once_is_counted_once() {
        let all = [
            ("network/eks/dev", made()),
            ("cluster/eks/dev", made()),
            ("node-group/one", made()),
            ("node-group/two", made()),
            ("eks-addon/coredns", made()),
            ("tenants", made()),
        ];
        assert_eq!(minutes(&all), Some((14, Some(CLUSTER))));
        assert_eq!(minutes(&[("node-group/one", made())]), Some((3, Some(NODE_GROUP))));
        assert_eq!(minutes(&[("tenants", made())]), None);
    }

    #[test]
    fn an_upgrade_takes_longer_than_a_cluster() {
        let field = |path: &str| FieldChange { path: path.to_string(), from: None, to: None };
        let change = |path| Change::new(ChangeKind::Update, "it").fields(vec![field(path)]);
        assert_eq!(minutes(&[("cluster/eks/dev", change("version"))]), Some((25, None)));
        assert_eq!(minutes(&[("cluster/eks/dev", change("logging"))]), None);
        // Nodes that are replaced take longer than nodes that are changed.
        assert_eq!(minutes(&[("node-group/one", change("launch template"))]), Some((8, None)));
        assert_eq!(minutes(&[("node-group/one", change("labels.team"))]), None);
        assert_eq!(minutes(&[("node-group/one", change("nodes"))]), Some((3, Some(NODE_GROUP))));
    }
}
