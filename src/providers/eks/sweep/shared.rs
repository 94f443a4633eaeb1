use std::sync::Arc;

use super::calls::Calls;
use super::ground::Ground;
use super::leftover::Scope;
use crate::base::{Fault, Note};
use crate::clouds::aws::{Aws, Session};
use crate::flow::Flow;
use crate::providers::eks::names::Names;
use tokio::sync::OnceCell;

/// What all sweeps of an environment share.
pub(super) struct Shared {
    pub session: Arc<Session>,
    pub names: Names,
    pub owner: crate::base::Owner,
    /// The subnets of somebody else that the profile names.
    subnets: Vec<String>,
    ground: OnceCell<(Ground, Scope)>,
}

impl Shared {
    pub fn new(session: Arc<Session>, names: Names, owner: crate::base::Owner, subnets: Vec<String>) -> Self {
        Self { session, names, owner, subnets, ground: OnceCell::new() }
    }

    /// What stood when this run looked first, and what is swept by it.
    pub async fn ground(&self, aws: &Aws, flow: &Flow) -> Result<&(Ground, Scope), Fault> {
        self.ground
            .get_or_try_init(|| async {
                let ground = Ground::ask(aws, &self.names, &self.owner, &self.subnets, flow).await?;
                let scope = Scope {
                    cluster: self.names.cluster().to_string(),
                    owner: self.owner.clone(),
                    owns_network: ground.owns_network,
                };
                Ok((ground, scope))
            })
            .await
    }

    /// That a cluster of our name is somebody else's.
    pub fn in_the_way(&self, ground: &Ground) -> Option<Note> {
        let whose = ground.stranger.as_ref()?;
        Some(Note::new("kept", format!("EKS cluster {}: {whose}; it is left as it is", self.names.cluster())))
    }
}

/// The calls about what is to be swept.
pub(super) fn calls<'a>(aws: &'a Aws, flow: &'a Flow, known: &'a (Ground, Scope)) -> Calls<'a> {
    Calls { aws, flow, ground: &known.0, scope: &known.1 }
}
