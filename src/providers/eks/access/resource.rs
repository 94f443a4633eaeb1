use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_eks::Client;
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};

use super::calls::{self, Acting, admin_policy};
use super::difference::{Act, Cluster, Difference, Entry, diff};
use super::principals;
use super::reach::reach;
use super::wanted::{Caller, Rights, wanted, with_caller};
use crate::base::{
    ChangeKind, ClusterAccess, Credential, Fault, FaultKind, Owner, ResourceId, Tokens, label,
};
use crate::clouds::aws::{Params, Service, Session};
use crate::engine::{Cx, Need, Output, Outputs, Resource, Seen, State, Step};
use crate::flow::Flow;
use crate::k8s::Hub;
use crate::profile::Environment;
use crate::profile::schema::EksCluster;
use crate::providers::Leave;
use crate::providers::eks::cluster::{AUTHORITY, ENDPOINT};
use crate::providers::eks::lately::Lately;
use crate::providers::eks::{client, outputs};

/// How long an API server may not have heard of a new entry, or may not be found by its name.
const PROPAGATION: Duration = Duration::from_mins(2);
/// How long nobody may answer at the address of a cluster that stands.
const SILENCE: Duration = Duration::from_secs(20);

/// Who may log in to the cluster. It is also the way in: what lives in the cluster is inside of it.
pub struct AccessResource {
    id: ResourceId,
    cluster: ResourceId,
    name: String,
    wanted: BTreeMap<String, Rights>,
    owner: Owner,
    /// Whether the endpoint is closed to the internet.
    is_private: bool,
    /// Whether who is named is looked for before anything is made.
    checks: bool,
    session: Arc<Session>,
    hub: Arc<Hub>,
    /// Since when the API server does not let us in.
    locked_out: Mutex<Option<Instant>>,
    /// The entries and rights that this run gave.
    lately: Lately,
}

impl AccessResource {
    /// Who may do what in the cluster of `environment`, which the resource `cluster` makes.
    pub fn new(
        environment: &Environment,
        spec: &EksCluster,
        cluster: ResourceId,
        session: Arc<Session>,
        leave: Leave,
        hub: Arc<Hub>,
    ) -> Self {
        Self {
            id: ResourceId::new(format!("access/eks/{}", environment.name)),
            cluster,
            name: environment.name.clone(),
            wanted: wanted(environment),
            owner: environment.owner.clone(),
            is_private: spec.endpoint.public.is_empty(),
            checks: leave.makes,
            session,
            hub,
            locked_out: Mutex::default(),
            lately: Lately::default(),
        }
    }

    async fn look(&self, cx: &Cx) -> Result<Seen, Fault> {
        let Some(endpoint) = cx.outputs.text(ENDPOINT) else {
            // There is no cluster that anybody could log in to.
            let aws = self.session.open(&cx.flow).await?;
            if self.checks {
                principals::check(self.wanted.keys(), &aws, &cx.flow).await?;
            }
            let caller = Caller::of(&aws.identity().arn);
            let known = self.wanted.keys().find(|arn| caller.is(arn)).cloned();
            let wanted = with_caller(self.wanted.clone(), &known.unwrap_or_else(|| caller.shown()));
            let found = diff(&wanted, &BTreeMap::new(), self.cluster(), false);
            return Ok(self.with_changes(Seen::new(State::Absent), found, None));
        };
        let aws = self.session.open(&cx.flow).await?;
        let identity = aws.identity();
        let eks = aws.eks(&cx.flow);
        let Some(mut principals) = calls::principals(&eks, &self.name).await? else {
            return Ok(Seen::new(State::Progressing("the cluster takes no access entries yet".to_string())));
        };
        // EKS makes that of the nodes, and it is nobody's here.
        principals.retain(|arn| cx.outputs.text(outputs::ROLE_NODE) != Some(arn));
        let caller = self.caller(&identity.arn, &principals, cx).await?;
        let partition = identity.partition.name();
        let wanted = with_caller(self.wanted.clone(), &caller);
        let live = self.entries(&eks, &principals, &wanted, &admin_policy(partition)).await?;
        if let Some(arn) = wanted.keys().find(|arn| !live.contains_key(*arn) && self.lately.may_hide(arn)) {
            let state = State::Progressing(format!("EKS does not show the access of {arn} yet"));
            return Ok(Seen::new(state));
        }
        let is_unseen = |(arn, rights): &(&String, &Rights)| {
            let is_shown = live.get(*arn).is_none_or(|entry| entry.admin);
            rights.admin && !is_shown && self.lately.may_hide(&right_of(arn))
        };
        if let Some((arn, _)) = wanted.iter().find(is_unseen) {
            let state = State::Progressing(format!("EKS does not show the rights of {arn} yet"));
            return Ok(Seen::new(state));
        }
        let found = diff(&wanted, &live, self.cluster(), self.hub.settings().adopt);
        let is_ours = |entry: &Entry| entry.is_of(&self.owner);
        let is_begun = live.values().any(is_ours);
        let has_door = live.get(&caller).is_some_and(|entry| entry.admin);
        let mut seen = Seen::new(if is_begun || has_door { State::Ready } else { State::Absent });
        if has_door {
            seen = self.knock(seen, endpoint, cx).await?;
        }
        let acting = Some((admin_policy(partition), found.acts.clone()));
        Ok(self.with_changes(seen, found, acting))
    }

    fn cluster(&self) -> Cluster<'_> {
        Cluster { owner: &self.owner, name: &self.name, region: self.session.region() }
    }

    fn with_changes(&self, mut seen: Seen, found: Difference, acting: Option<(String, Vec<Act>)>) -> Seen {
        let is_blocked = found.changes.iter().any(|change| change.kind == ChangeKind::Conflict);
        seen.changes = found.changes;
        seen.notes.extend(found.notes);
        if let Some((admin_policy, acts)) = acting.filter(|(_, acts)| !acts.is_empty() && !is_blocked) {
            seen.step = Some(Box::new(Let {
                session: Arc::clone(&self.session),
                cluster: self.name.clone(),
                owner: self.owner.clone(),
                admin_policy,
                acts,
                lately: self.lately.clone(),
            }));
        }
        seen
    }

    /// The ARN of whoever runs berth. Only IAM knows the path of a role; an entry that is there tells it as well.
    async fn caller(&self, arn: &str, principals: &[String], cx: &Cx) -> Result<String, Fault> {
        let caller = Caller::of(arn);
        let known = principals.iter().chain(self.wanted.keys()).find(|principal| caller.is(principal));
        if let Some(known) = known {
            return Ok(known.clone());
        }
        match caller {
            Caller::Whole(arn) => Ok(arn),
            Caller::Role { name, .. } => role_arn(&self.session, &name, &cx.flow).await,
        }
    }

    /// The entries of `principals`, by ARN: those of managed nodes and of AWS itself too, which are nobody's here.
    async fn entries(
        &self,
        eks: &Client,
        principals: &[String],
        wanted: &BTreeMap<String, Rights>,
        admin_policy: &str,
    ) -> Result<BTreeMap<String, Entry>, Fault> {
        let adopt = self.hub.settings().adopt;
        let asked = principals.iter().map(|arn| async move {
            if !adopt && wanted.get(arn).is_some_and(Rights::are_for_running_berth_alone) {
                // Whose entry it is, is of no account as long as it lets them do all.
                let found = calls::policies(eks, &self.name, arn, admin_policy).await?;
                if found.is_some_and(|(admin, _)| admin) {
                    return Ok(Some((arn.clone(), Entry { admin: true, ..Entry::default() })));
                }
            }
            let asks = |entry: &Entry| wanted.contains_key(arn) && !entry.is_nodes();
            let entry = calls::describe(eks, &self.name, arn, admin_policy, asks).await?;
            Ok::<_, Fault>(entry.map(|entry| (arn.clone(), entry)))
        });
        Ok(try_join_all(asked).await?.into_iter().flatten().collect())
    }

    /// Whether the API server lets us in; then the way is told to everybody.
    async fn knock(&self, seen: Seen, endpoint: &str, cx: &Cx) -> Result<Seen, Fault> {
        let attempted = format!("reach the API server of {} at {endpoint}", self.name);
        if let Some(why) = reach(endpoint, &cx.flow).await {
            if self.locked_out() < SILENCE {
                return Ok(Seen {
                    state: State::Progressing(format!("nobody answers at {endpoint}: {why}")),
                    ..seen
                });
            }
            return Err(Fault::new(FaultKind::Invalid, attempted, why).hint(if self.is_private {
                "its endpoint is private: run berth inside of its network, or write the address of this machine under \
                 `cluster.eks.endpoint.public`"
            } else {
                "see that `cluster.eks.endpoint.public` has the address from which this machine reaches the internet"
            }));
        }
        let aws = self.session.open(&cx.flow).await?;
        let access = ClusterAccess {
            server: endpoint.to_string(),
            ca: cx.outputs.text(AUTHORITY).map(str::to_string),
            credential: Credential::Tokens(Tokens::new(aws.tokens(&self.name, &cx.clock))),
        };
        match self.hub.is_ready(&access, &cx.flow).await {
            Ok(true) => {
                *self.locked_out.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Ok(seen.output(Outputs::CLUSTER_ACCESS, Output::Access(Box::new(access))))
            }
            Err(fault) if fault.kind != FaultKind::Denied || self.locked_out() >= PROPAGATION => Err(fault),
            Ok(false) => {
                Ok(Seen { state: State::Progressing("the API server is not ready yet".to_string()), ..seen })
            }
            Err(_) => {
                let state = State::Progressing("the API server has not heard of us yet".to_string());
                Ok(Seen { state, ..seen })
            }
        }
    }

    /// How long the way in has been closed.
    fn locked_out(&self) -> Duration {
        let mut since = self.locked_out.lock().unwrap_or_else(PoisonError::into_inner);
        since.get_or_insert_with(Instant::now).elapsed()
    }
}

/// What the right of `arn` to administer the cluster is called among what this run made.
fn right_of(arn: &str) -> String {
    format!("{arn} administers")
}

/// The ARN of the role `name`, with its path.
async fn role_arn(session: &Session, name: &str, flow: &Flow) -> Result<String, Fault> {
    let attempted = format!("ask IAM for the role {name}");
    let iam = session.open(flow).await?.query(Service::Iam);
    let answer = iam.call(flow, "GetRole", &Params::new().with("RoleName", name)).await;
    let answer = answer.map_err(|refusal| refusal.fault(attempted.clone()))?;
    let arn = answer.text("Role/Arn").map(str::to_string);
    arn.ok_or_else(|| Fault::new(FaultKind::Bug, attempted, "the answer has no ARN"))
}

impl Resource for AccessResource {
    fn id(&self) -> &ResourceId {
        &self.id
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Inside(self.cluster.clone())]
    }

    fn outline(&self) -> String {
        format!("access of {}", self.wanted.len() + 1)
    }

    fn looks_alone(&self) -> bool {
        true
    }

    fn beside(&self) -> Option<&ResourceId> {
        Some(&self.cluster)
    }

    fn pauses(&self) -> (Duration, Duration) {
        crate::providers::eks::PAUSES
    }

    fn observe<'a>(&'a self, cx: &'a Cx) -> BoxFuture<'a, Result<Seen, Fault>> {
        self.look(cx).boxed()
    }

    /// They go with their cluster.
    fn delete<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>> {
        async { Ok(()) }.boxed()
    }
}

/// Brings the entries to what is wanted.
///
/// If this dies half way, some entries are as they were and some as they should be; the next run does the rest.
struct Let {
    session: Arc<Session>,
    cluster: String,
    owner: Owner,
    admin_policy: String,
    acts: Vec<Act>,
    lately: Lately,
}

impl Step for Let {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let tags = BTreeMap::from([
                (label::OWNER.to_string(), self.owner.id.clone()),
                (label::ENVIRONMENT.to_string(), self.owner.environment.clone()),
            ]);
            let eks = client(&self.session, &cx.flow).await?;
            let acting = Acting {
                eks: &eks,
                flow: &cx.flow,
                cluster: &self.cluster,
                tags: &tags,
                admin_policy: self.admin_policy.clone(),
            };
            // One after another: each is quick, and of one entry the order counts.
            for act in &self.acts {
                cx.flow.check("give access to the cluster")?;
                acting.act(act).await?;
                match act {
                    Act::Create { arn, rights } => {
                        self.lately.made(arn);
                        if rights.admin {
                            self.lately.made(&right_of(arn));
                        }
                    }
                    Act::Allow { arn } => self.lately.made(&right_of(arn)),
                    Act::Forbid { arn, .. } => self.lately.removed(&right_of(arn)),
                    Act::Remove { arn } => self.lately.removed(arn),
                    Act::SetGroups { .. } | Act::Mark { .. } => {}
                }
            }
            Ok(())
        }
        .boxed()
    }
}
