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
use crate::base::{Change, ChangeKind, Fault, FaultKind, ResourceId, label};
use crate::clouds::aws::{Refusal, Session, fault};
use crate::engine::{Cx, Need, Resource, Seen, State, Step};
use crate::flow::Flow;
use crate::profile::Environment;

/// The role that the pods of the autoscaler take, and who they are.
const ROLE: PodRole = PodRole::Autoscaler;

/// That the pods of the autoscaler take their role. Pods that begin before it is said never do.
///
/// EKS knows one role for each account of a cluster. One that stands is left as it is, whoever said it.
pub struct AssociationResource {
    id: ResourceId,
    around: Around,
    cluster: String,
    tags: BTreeMap<String, String>,
    session: Arc<Session>,
    lately: Lately,
}

impl AssociationResource {
    /// What it is called.
    pub fn id_of() -> ResourceId {
        ResourceId::new(format!("access/{}", ROLE.service_account()))
    }

    /// The role of the autoscaler of `environment`.
    pub fn new(environment: &Environment, around: &Around, session: &Arc<Session>) -> Self {
        let owner = &environment.owner;
        Self {
            id: Self::id_of(),
            around: around.clone(),
            cluster: environment.name.clone(),
            tags: BTreeMap::from([
                (label::OWNER.to_string(), owner.id.clone()),
                (label::ENVIRONMENT.to_string(), owner.environment.clone()),
            ]),
            session: Arc::clone(session),
            lately: Lately::default(),
        }
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let mut absent = Seen::new(State::Absent);
        absent.changes = vec![Change::new(ChangeKind::Create, self.outline())];
        if !cx.outputs.has(ENDPOINT) {
            // There is no cluster that could have it.
            return Ok(absent);
        }
        if self.stands(&cx.flow).await? {
            return Ok(Seen::new(State::Ready));
        }
        if self.lately.may_hide(ROLE.service_account()) {
            return Ok(Seen::new(State::Progressing("said, and EKS does not show it yet".to_string())));
        }
        let role = cx.outputs.text(outputs::ROLE_AUTOSCALER);
        absent.step = role.map(|role| {
            let step = Associate {
                session: Arc::clone(&self.session),
                cluster: self.cluster.clone(),
                role: role.to_string(),
                tags: self.tags.clone(),
                lately: self.lately.clone(),
            };
            Box::new(step) as Box<dyn Step>
        });
        Ok(absent)
    }

    async fn stands(&self, flow: &Flow) -> Result<bool, Fault> {
        let eks = client(&self.session, flow).await?;
        let listed = eks
            .list_pod_identity_associations()
            .cluster_name(&self.cluster)
            .namespace(ROLE.namespace())
            .service_account(ROLE.service_account());
        match listed.send().await {
            Ok(listed) => Ok(!listed.associations().is_empty()),
            Err(error) if Refusal::of(&error).is_absent() => Ok(false),
            Err(error) => {
                Err(fault(format!("look at the role of the autoscaler of {}", self.cluster), &error))
            }
        }
    }
}

impl Resource for AssociationResource {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        let role = Need::Output { from: self.around.network.clone(), key: outputs::ROLE_AUTOSCALER };
        vec![Need::Ready(self.around.cluster.clone()), role]
    }

    fn outline(&self) -> String {
        format!("role of {}/{}", ROLE.namespace(), ROLE.service_account())
    }

    fn looks_alone(&self) -> bool {
        true
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

/// Gives the account its role.
///
/// If this dies right after the call, it stands, and the next look sees it.
struct Associate {
    session: Arc<Session>,
    cluster: String,
    role: String,
    tags: BTreeMap<String, String>,
    lately: Lately,
}

impl Associate {
    async fn act(&self, eks: &Client, attempted: &str) -> Result<(), Fault> {
        let request = eks
            .create_pod_identity_association()
            .cluster_name(&self.cluster)
            .namespace(ROLE.namespace())
            .service_account(ROLE.service_account())
            .role_arn(&self.role)
            .set_tags(Some(self.tags.clone().into_iter().collect()));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if Refusal::of(&error).is("ResourceInUseException") => Ok(()),
            Err(error) => {
                let told = fault(attempted, &error);
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
            let attempted = format!("give the autoscaler of {} its role", self.cluster);
            let eks = client(&self.session, &cx.flow).await?;
            cx.flow.retry(UNTIL_HEARD, &attempted, || self.act(&eks, &attempted)).await?;
            self.lately.made(ROLE.service_account());
            Ok(())
        }
        .boxed()
    }
}
