use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, Evicted, encoded};
use super::hub::Hub;
use super::live::Live;
use crate::base::{Fault, FaultKind, label};
use crate::flow::{Flow, Notice, Patience};

/// How long to wait before budgets are asked again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Hub {
    /// Cordons `nodes` and drives their pods out, as disruption budgets allow, for `limit` at the most. Pods of
    /// daemon sets stay: they belong to their nodes.
    ///
    /// If this dies half way, the nodes are cordoned and carry the mark of those that leave; doing it again does the
    /// rest, and [`Hub::uncordon`] takes it back.
    pub async fn drain(&self, nodes: &[Live], limit: Duration, flow: &Flow) -> Result<(), Fault> {
        let attempted = format!("move the pods away from {} nodes", nodes.len());
        let cordon =
            json!({"metadata": {"annotations": {(label::LEAVING): "true"}}, "spec": {"unschedulable": true}});
        for node in nodes.iter().filter(|node| node.body["spec"]["unschedulable"] != true) {
            self.merge_patch(node, &cordon, flow).await?;
        }
        let client = self.connected()?;
        let mut waited = Duration::ZERO;
        loop {
            let mut left = 0;
            let mut held = None;
            for node in nodes {
                for pod in movable(client, &node.name, flow).await? {
                    left += 1;
                    if !pod["metadata"]["deletionTimestamp"].is_null() {
                        continue;
                    }
                    if let Evicted::NotNow(why) = client.evict(flow, &pod).await? {
                        held.get_or_insert(format!("{}: {why}", title(&pod)));
                    }
                }
            }
            if left == 0 {
                return Ok(());
            }
            let told = match &held {
                Some(held) => format!("{left} pods left to move, {held}"),
                None => format!("{left} pods left to move"),
            };
            if waited >= limit {
                let minutes = limit.as_secs() / 60;
                let reason = format!("after {minutes} minutes {told}");
                return Err(Fault::new(FaultKind::Deadline, attempted, reason).hint(
                    "loosen the PodDisruptionBudget or add replicas, then run the same command again: it goes on \
                     where this one stopped",
                ));
            }
            flow.report(Notice::Waiting(told));
            flow.pause(LOOK_AGAIN, &attempted).await?;
            waited += LOOK_AGAIN;
        }
    }

    /// Lets pods come again to `nodes`, which were to leave and are wanted again.
    ///
    /// If this dies half way, some of them take pods; doing it again does the rest.
    pub async fn uncordon(&self, nodes: &[Live], flow: &Flow) -> Result<(), Fault> {
        let patch =
            json!({"metadata": {"annotations": {(label::LEAVING): null}}, "spec": {"unschedulable": null}});
        for node in nodes {
            self.merge_patch(node, &patch, flow).await?;
        }
        Ok(())
    }
}

/// The pods of a node that have to go elsewhere.
async fn movable(client: &Client, node: &str, flow: &Flow) -> Result<Vec<Value>, Fault> {
    let path = format!("/api/v1/pods?fieldSelector={}", encoded(&format!("spec.nodeName={node}")));
    let body = client.get(flow, Patience::STEADY, &path).await?.unwrap_or_default();
    let list: Value = serde_json::from_slice(&body).map_err(|error| {
        Fault::new(FaultKind::Transient, format!("list the pods of node {node}"), error.to_string())
    })?;
    let pods = list["items"].as_array().cloned().unwrap_or_default();
    Ok(pods.into_iter().filter(has_to_move).collect())
}

/// Whether a pod runs and belongs to no node.
fn has_to_move(pod: &Value) -> bool {
    let owners = pod["metadata"]["ownerReferences"].as_array();
    let of_node = owners.into_iter().flatten().any(|owner| {
        let is_controller = owner["controller"] == true;
        is_controller && matches!(owner["kind"].as_str(), Some("DaemonSet" | "Node"))
    });
    let is_mirror = !pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null();
    let is_over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    !of_node && !is_mirror && !is_over
}

fn title(pod: &Value) -> String {
    let text = |key: &str| pod["metadata"][key].as_str().unwrap_or_default();
    format!("pod {}/{}", text("namespace"), text("name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_a_node_stays_on_it() {
        let pod = |kind: &str, phase: &str| {
            json!({"metadata": {"name": "p", "ownerReferences": [{"kind": kind, "controller": true}]},
                "status": {"phase": phase}})
        };
        assert!(has_to_move(&pod("ReplicaSet", "Running")));
        assert!(!has_to_move(&pod("DaemonSet", "Running")));
        assert!(!has_to_move(&pod("Job", "Succeeded")));
        let mirror = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "1"}}});
        assert!(!has_to_move(&mirror));
        assert!(has_to_move(&json!({"metadata": {"name": "bare"}, "status": {"phase": "Pending"}})));
    }
}
