use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_eks::Client;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::cluster::ENDPOINT;
use super::lately::Lately;
use super::names::PodRole;
use super::{Around, PAUSES, UNTIL_HEARD, client, outputs};
use crate::base::{Change, ChangeKind, Fault, FaultKind, FieldChange, Note, Owner, ResourceId, label};
use crate::clouds::aws::{Refusal, Session, fault};
use crate::engine::{Cx, Need, Resource, Seen, State, Step};
use crate::profile::Environment;

/// The role that the pods of the autoscaler take, and who they are.
const ROLE: PodRole = PodRole::Autoscaler;
/// What this run remembers once it took the role away.
const GONE: &str = "gone";

/// Which role the pods of a service account take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Association {
    /// `a-0a1b2c3d4e5f60718`
    id: String,
    account: String,
    /// The ARN of the role.
    pub role: String,
    tags: BTreeMap<String, String>,
}

impl Association {
    /// Whether the pods that take `role` are the ones.
    pub fn is_for(&self, role: PodRole) -> bool {
        self.account == role.service_account()
    }

    /// Whether it carries the mark of `owner`.
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.tags.get(label::OWNER) == Some(&owner.id)
    }
}

/// Which role the account of `role` takes in `cluster`; EKS knows one for each account.
pub(super) async fn find(eks: &Client, cluster: &str, role: PodRole) -> Result<Option<Association>, Fault> {
    let listed = eks
        .list_pod_identity_associations()
        .cluster_name(cluster)
        .namespace(role.namespace())
        .service_account(role.service_account());
    let listed = match listed.send().await {
        Ok(listed) => listed,
        Err(error) if Refusal::of(&error).is_absent() => return Ok(None),
        Err(error) => return Err(fault(format!("look at the role of {}", account(role)), &error)),
    };
    match listed.associations().first().and_then(|one| one.association_id()) {
        Some(id) => describe(eks, cluster, id).await,
        None => Ok(None),
    }
}

/// The association `id` of `cluster`, if there is one.
pub(super) async fn describe(eks: &Client, cluster: &str, id: &str) -> Result<Option<Association>, Fault> {
    let asked = eks.describe_pod_identity_association().cluster_name(cluster).association_id(id);
    match asked.send().await {
        Ok(answer) => Ok(answer.association().map(|one| Association {
            id: id.to_string(),
            account: one.service_account().unwrap_or_default().to_string(),
            role: one.role_arn().unwrap_or_default().to_string(),
            tags: one.tags().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect(),
        })),
        Err(error) if Refusal::of(&error).is_absent() => Ok(None),
        Err(error) => Err(fault(format!("look at the pod identity association {id} of {cluster}"), &error)),
    }
}

/// `cluster-autoscaler/cluster-autoscaler`
pub(super) fn account(role: PodRole) -> String {
    format!("{}/{}", role.namespace(), role.service_account())
}

/// That the pods of the autoscaler take their role. Pods that begin before it is said never do.
///
/// One that somebody else said is left as it is.
pub struct AssociationResource {
    id: ResourceId,
    around: Around,
    cluster: String,
    owner: Owner,
    /// Whether the environment has an autoscaler.
    in_profile: bool,
    session: Arc<Session>,
    lately: Lately,
}

impl AssociationResource {
    /// What it is called, where the environment has an autoscaler.
    pub fn id_of() -> ResourceId {
        ResourceId::new(format!("access/{}", ROLE.service_account()))
    }

    /// The role of the autoscaler of `environment`.
    pub fn new(environment: &Environment, around: &Around, session: &Arc<Session>) -> Self {
        let in_profile = environment.is_scaled();
        Self {
            // What leaves is no part that could be asked for alone.
            id: if in_profile { Self::id_of() } else { ResourceId::new("roles/leaving") },
            around: around.clone(),
            cluster: environment.name.clone(),
            owner: environment.owner.clone(),
            in_profile,
            session: Arc::clone(session),
            lately: Lately::default(),
        }
    }

    fn subject() -> String {
        format!("role of {}", account(ROLE))
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let role = cx.outputs.text(outputs::ROLE_AUTOSCALER);
        let mut absent = Seen::new(State::Absent);
        if self.in_profile {
            absent.changes = vec![Change::new(ChangeKind::Create, Self::subject())];
        }
        // Without a cluster nobody has it; and the role stands as long as somebody takes it.
        if !cx.outputs.has(ENDPOINT) || (!self.in_profile && role.is_none()) {
            return Ok(absent);
        }
        let eks = client(&self.session, &cx.flow).await?;
        match find(&eks, &self.cluster, ROLE).await? {
            Some(live) if self.in_profile => Ok(self.standing(live, role)),
            Some(live) if live.is_of(&self.owner) && self.lately.may_hide(GONE) => {
                let told = format!("{} was taken away, and EKS shows it still", live.role);
                Ok(Seen::new(State::Progressing(told)))
            }
            Some(live) if live.is_of(&self.owner) => {
                let change =
                    Change::new(ChangeKind::Delete, Self::subject()).because("no longer in the profile");
                Ok(Seen::new(State::Ready).to_change(vec![change], self.step(Act::Remove(live.id))))
            }
            None if self.in_profile && self.lately.may_hide(ROLE.service_account()) => {
                Ok(Seen::new(State::Progressing("said, and EKS does not show it yet".to_string())))
            }
            _ => {
                let role = role.filter(|_| self.in_profile);
                absent.step =
                    role.map(|role| Box::new(self.step(Act::Make(role.to_string()))) as Box<dyn Step>);
                Ok(absent)
            }
        }
    }

    fn standing(&self, live: Association, role: Option<&str>) -> Seen {
        let mut seen = Seen::new(State::Ready);
        let Some(role) = role.filter(|role| **role != live.role) else { return seen };
        if !live.is_of(&self.owner) {
            let text = format!("{}: somebody else said that it is {}", Self::subject(), live.role);
            seen.notes.push(Note::new("warning", text));
            return seen;
        }
        if self.lately.may_hide(role) {
            return Seen::new(State::Progressing("changed, and EKS does not show it yet".to_string()));
        }
        let field =
            FieldChange { path: "role".to_string(), from: Some(live.role), to: Some(role.to_string()) };
        let change = Change::new(ChangeKind::Update, Self::subject()).fields(vec![field]);
        seen.to_change(vec![change], self.step(Act::Change { id: live.id, role: role.to_string() }))
    }

    fn step(&self, act: Act) -> Associate {
        Associate {
            session: Arc::clone(&self.session),
            cluster: self.cluster.clone(),
            owner: self.owner.clone(),
            lately: self.lately.clone(),
            act,
        }
    }
}

impl Resource for AssociationResource {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        let role = Need::Output { from: self.around.network.clone(), key: outputs::ROLE_AUTOSCALER };
        let role = if self.in_profile { role } else { Need::Ready(self.around.network.clone()) };
        vec![Need::Ready(self.around.cluster.clone()), role]
    }

    fn outline(&self) -> String {
        if self.in_profile { Self::subject() } else { String::new() }
    }

    fn looks_alone(&self) -> bool {
        true
    }

    fn beside(&self) -> Option<&ResourceId> {
        Some(&self.around.cluster)
    }

    fn pauses(&self) -> (Duration, Duration) {
        PAUSES
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        self.look(cx).boxed()
    }

    /// It goes with its cluster.
    fn delete<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}

enum Act {
    /// The account gets the role with this ARN.
    Make(String),
    /// Its association gets another one.
    Change { id: String, role: String },
    /// It gets none any more.
    Remove(String),
}

/// Gives the account its role, another one or none.
///
/// If this dies right after the call, it stands, and the next look sees it.
struct Associate {
    session: Arc<Session>,
    cluster: String,
    owner: Owner,
    lately: Lately,
    act: Act,
}

impl Associate {
    async fn act(&self, eks: &Client, attempted: &str) -> Result<(), Fault> {
        let refusal = match &self.act {
            Act::Make(role) => {
                let request = eks
                    .create_pod_identity_association()
                    .cluster_name(&self.cluster)
                    .namespace(ROLE.namespace())
                    .service_account(ROLE.service_account())
                    .role_arn(role)
                    .tags(label::OWNER, &self.owner.id)
                    .tags(label::ENVIRONMENT, &self.owner.environment);
                let sent = request.send().await;
                sent.err().map(|error| (Refusal::of(&error), fault(attempted, &error)))
            }
            Act::Change { id, role } => {
                let request = eks.update_pod_identity_association().cluster_name(&self.cluster);
                let sent = request.association_id(id).role_arn(role).send().await;
                sent.err().map(|error| (Refusal::of(&error), fault(attempted, &error)))
            }
            Act::Remove(id) => {
                let request = eks.delete_pod_identity_association().cluster_name(&self.cluster);
                let sent = request.association_id(id).send().await;
                sent.err().map(|error| (Refusal::of(&error), fault(attempted, &error)))
            }
        };
        match refusal {
            None => Ok(()),
            // It is there already, or gone already.
            Some((refusal, _))
                if matches!(self.act, Act::Make(_)) && refusal.is("ResourceInUseException") =>
            {
                Ok(())
            }
            Some((refusal, _)) if matches!(self.act, Act::Remove(_)) && refusal.is_absent() => Ok(()),
            Some((_, told)) => {
                // IAM tells of a new role to one service after the other.
                let is_unheard =
                    told.reason.contains("does not exist") || told.reason.contains("Trust policy");
                Err(if is_unheard { Fault { kind: FaultKind::Transient, ..told } } else { told })
            }
        }
    }
}

impl Step for Associate {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let attempted = match self.act {
                Act::Make(_) | Act::Change { .. } => {
                    format!("give the autoscaler of {} its role", self.cluster)
                }
                Act::Remove(_) => format!("take the role of the autoscaler of {} away", self.cluster),
            };
            let eks = client(&self.session, &cx.flow).await?;
            cx.flow.retry(UNTIL_HEARD, &attempted, || self.act(&eks, &attempted)).await?;
            match &self.act {
                Act::Make(_) => self.lately.made(ROLE.service_account()),
                Act::Change { role, .. } => self.lately.made(role),
                Act::Remove(_) => self.lately.made(GONE),
            }
            Ok(())
        }
        .boxed()
    }
}
