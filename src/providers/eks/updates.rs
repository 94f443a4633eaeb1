use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_eks::Client;
use aws_sdk_eks::types::{ErrorDetail, Update, UpdateStatus};

use crate::base::{Fault, FaultKind};
use crate::clouds::aws::fault;

/// The change of something of EKS that this run began last. EKS goes back to ACTIVE when one fails, and only the
/// change itself says that it did, and why.
#[derive(Debug, Clone, Default)]
pub(super) struct LastUpdate(Arc<Mutex<Option<String>>>);

impl LastUpdate {
    /// Remembers what was begun.
    pub fn began(&self, update: Option<&Update>) {
        let id = update.and_then(|update| update.id()).map(str::to_string);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }

    /// Whether this run began one.
    pub fn is_begun(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// How the change that this run began `of` something ended; `None` when it began none.
    pub async fn outcome(&self, eks: &Client, cluster: &str, of: Of<'_>) -> Result<Option<Outcome>, Fault> {
        let id = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(id) = id else { return Ok(None) };
        let (group, addon) = match of {
            Of::Cluster => (None, None),
            Of::Group(name) => (Some(name.to_string()), None),
            Of::Addon(name) => (None, Some(name.to_string())),
        };
        let request = eks.describe_update().name(cluster).update_id(&id);
        let answer = request.set_nodegroup_name(group).set_addon_name(addon).send().await;
        let attempted = || format!("look at the change of {}", of.told(cluster));
        let answer = answer.map_err(|error| fault(attempted(), &error))?;
        let Some(update) = answer.update() else { return Ok(Some(Outcome::OnItsWay)) };
        Ok(Some(match update.status() {
            Some(UpdateStatus::Failed | UpdateStatus::Cancelled) => Outcome::Failed(reasons(update)),
            Some(UpdateStatus::Successful) => Outcome::Done,
            _ => Outcome::OnItsWay,
        }))
    }

    /// Fails when the change that this run began `of` something has failed; otherwise, whether it goes on.
    pub async fn check(&self, eks: &Client, cluster: &str, of: Of<'_>) -> Result<bool, Fault> {
        let outcome = self.outcome(eks, cluster, of).await?;
        let Some(Outcome::Failed(why)) = outcome else { return Ok(outcome == Some(Outcome::OnItsWay)) };
        let why =
            if why.is_empty() { "EKS gave it up and does not say why".to_string() } else { why.join("; ") };
        let failed = Fault::new(FaultKind::Invalid, format!("change {}", of.told(cluster)), why.clone());
        Err(if why.contains("PodEvictionFailure") {
            failed.hint("a PodDisruptionBudget lets pods not go: loosen it or add replicas, then run the same command again")
        } else {
            failed.hint("remove the cause, then run the same command again")
        })
    }
}

/// What of a cluster is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of<'a> {
    /// The control plane itself.
    Cluster,
    /// A node group.
    Group(&'a str),
    /// An addon of EKS.
    Addon(&'a str),
}

impl Of<'_> {
    fn told(self, cluster: &str) -> String {
        match self {
            Self::Cluster => format!("the EKS cluster {cluster}"),
            Self::Group(name) => format!("node group {name}"),
            Self::Addon(name) => format!("the EKS addon {name}"),
        }
    }
}

/// How a change ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It has not ended.
    OnItsWay,
    /// It was made.
    Done,
    /// It was given up, for these reasons: `ConfigurationConflict: …`.
    Failed(Vec<String>),
}

fn reasons(update: &Update) -> Vec<String> {
    let told = |error: &ErrorDetail| {
        let code = error.error_code().map_or("", |code| code.as_str());
        format!("{code}: {}", error.error_message().unwrap_or_default())
    };
    update.errors().iter().map(told).collect()
}
