use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_eks::Client;
use aws_sdk_eks::types::{Update, UpdateStatus};

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

    /// Fails when the change that this run began of `cluster`, or of a node group of it, has failed.
    pub async fn check(&self, eks: &Client, cluster: &str, group: Option<&str>) -> Result<(), Fault> {
        let id = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(id) = id else { return Ok(()) };
        let what = group.map_or(format!("the EKS cluster {cluster}"), |group| format!("node group {group}"));
        let request = eks.describe_update().name(cluster).update_id(&id);
        let answer = request.set_nodegroup_name(group.map(str::to_string)).send().await;
        let answer = answer.map_err(|error| fault(format!("look at the change of {what}"), &error))?;
        let Some(update) = answer.update() else { return Ok(()) };
        if !matches!(update.status(), Some(UpdateStatus::Failed | UpdateStatus::Cancelled)) {
            return Ok(());
        }
        let why: Vec<String> = update
            .errors()
            .iter()
            .map(|error| {
                let code = error.error_code().map_or("", |code| code.as_str());
                format!("{code}: {}", error.error_message().unwrap_or_default())
            })
            .collect();
        let why =
            if why.is_empty() { "EKS gave it up and does not say why".to_string() } else { why.join("; ") };
        let failed = Fault::new(FaultKind::Invalid, format!("change {what}"), why.clone());
        Err(if why.contains("PodEvictionFailure") {
            failed.hint("a PodDisruptionBudget lets pods not go: loosen it or add replicas, then run the same command again")
        } else {
            failed.hint("remove the cause, then run the same command again")
        })
    }
}
