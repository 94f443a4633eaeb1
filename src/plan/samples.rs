//! Plans and surveys for the tests of this room and of those above it.

use super::About;
use crate::base::{Change, ChangeKind, Fault, FaultKind, FieldChange, Note, ResourceId};
use crate::engine::{Look, Observed, Outputs, State, Survey};

pub(crate) fn about() -> About {
    About {
        environment: "lab-rehearsal".to_string(),
        owner: "7f3k2q9d".to_string(),
        provider: "kind".to_string(),
        rehearsal: true,
        profile: "lab".to_string(),
        fingerprint: "f00d".to_string(),
        version: "0.1.0".to_string(),
    }
}

pub(crate) fn observed(id: &str, look: Look, changes: Vec<Change>) -> Observed {
    Observed { id: ResourceId::new(id), look, changes, notes: Vec::new() }
}

pub(crate) fn survey(resources: Vec<Observed>) -> Survey {
    Survey { resources, notes: Vec::new(), outputs: Outputs::default() }
}

pub(crate) fn mixed() -> Survey {
    let cluster = ResourceId::new("cluster/kwok/lab-rehearsal");
    let mut tenants = observed(
        "tenants",
        Look::Seen(State::Ready),
        vec![
            Change::new(ChangeKind::Delete, "RoleBinding old-ns/admin").because("no longer in the profile"),
            Change::new(ChangeKind::Update, "ResourceQuota checkout-ns/quota").fields(vec![
                FieldChange {
                    path: "spec.hard.requests.cpu".to_string(),
                    from: Some("10".to_string()),
                    to: Some("8".to_string()),
                },
                FieldChange { path: "spec.hard.pods".to_string(), from: None, to: Some("50".to_string()) },
            ]),
            Change::new(ChangeKind::Conflict, "Namespace shop").because("made by somebody else"),
        ],
    );
    tenants.notes.push(Note::new("kept, cordoned", "namespace `old-ns` of tenant `old`"));
    survey(vec![
        observed("cluster/kwok/lab-rehearsal", Look::Seen(State::Ready), Vec::new()),
        tenants,
        observed(
            "addon/traefik",
            Look::After(cluster.clone()),
            vec![Change::new(ChangeKind::Create, "7 objects").because("after cluster/kwok/lab-rehearsal")],
        ),
        observed(
            "addon/metallb",
            Look::Failed(Fault::new(FaultKind::Denied, "list pods", "forbidden")),
            Vec::new(),
        ),
    ])
}
