use std::collections::BTreeSet;

use serde_json::Value;

use super::retained::Retained;
use crate::base::Fault;
use crate::flow::{Flow, Notice};
use crate::k8s::{Hub, Kind, Live, Served, known_kind};

/// What in a cluster made something outside of it, and what would hold its nodes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Inside {
    /// Services of type `LoadBalancer`, Ingresses, Gateways, and claims of volumes.
    makers: Vec<Live>,
    /// Volumes that go with their claims.
    volumes: Vec<Live>,
    /// What makes new claims, or uses those that go: sets with claims of their own, pods.
    users: Vec<Live>,
    /// Disruption budgets: EKS asks them when it empties nodes, and waits.
    budgets: Vec<Live>,
    /// Volumes that stay.
    pub retained: Vec<Retained>,
    /// The disks behind volumes that may go, by id.
    pub released: Vec<String>,
}

/// All objects of the kinds that count.
struct Listed {
    services: Vec<Live>,
    routes: Vec<Live>,
    claims: Vec<Live>,
    volumes: Vec<Live>,
    sets: Vec<Live>,
    pods: Vec<Live>,
    budgets: Vec<Live>,
}

/// Looks at all of it.
pub(super) async fn look(hub: &Hub, flow: &Flow) -> Result<Inside, Fault> {
    let list = async |api_version: &str, kind: &str| {
        let kind = known_kind(api_version, kind).expect("built in");
        hub.list_all(&kind, flow).await
    };
    let gateways = Kind::named("gateway.networking.k8s.io/v1", "Gateway")
        .served_as(Served { plural: "gateways".to_string(), namespaced: true });
    let (services, ingresses, gateways, claims, volumes, sets, pods, budgets) = futures::try_join!(
        list("v1", "Service"),
        list("networking.k8s.io/v1", "Ingress"),
        // Where it is not served, there are none.
        hub.list_all(&gateways, flow),
        list("v1", "PersistentVolumeClaim"),
        list("v1", "PersistentVolume"),
        list("apps/v1", "StatefulSet"),
        list("v1", "Pod"),
        list("policy/v1", "PodDisruptionBudget"),
    )?;
    let routes = ingresses.into_iter().chain(gateways).collect();
    Ok(judge(Listed { services, routes, claims, volumes, sets, pods, budgets }))
}

fn judge(listed: Listed) -> Inside {
    let Listed { mut services, routes, claims, mut volumes, mut sets, mut pods, budgets } = listed;
    services.retain(|service| service.body["spec"]["type"] == "LoadBalancer");
    volumes.retain(|volume| handle(&volume.body).is_some());
    let (stay, go): (Vec<Live>, Vec<Live>) = volumes
        .into_iter()
        .partition(|volume| volume.body["spec"]["persistentVolumeReclaimPolicy"] == "Retain");
    sets.retain(|set| {
        let templates = set.body["spec"]["volumeClaimTemplates"].as_array();
        !set.going && templates.is_some_and(|templates| !templates.is_empty())
    });
    let claimed: BTreeSet<(Option<&str>, &str)> =
        claims.iter().map(|claim| (claim.namespace.as_deref(), claim.name.as_str())).collect();
    pods.retain(|pod| {
        let volumes = pod.body["spec"]["volumes"].as_array();
        let mut names = volumes
            .into_iter()
            .flatten()
            .filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
        !pod.going && names.any(|name| claimed.contains(&(pod.namespace.as_deref(), name)))
    });
    Inside {
        retained: stay.iter().filter_map(Retained::of).collect(),
        released: go.iter().filter_map(|volume| handle(&volume.body)).map(str::to_string).collect(),
        makers: services.into_iter().chain(routes).chain(claims).collect(),
        volumes: go.into_iter().filter(|volume| !volume.body["spec"]["claimRef"].is_null()).collect(),
        users: sets.into_iter().chain(pods).collect(),
        budgets,
    }
}

/// The volume of EC2 behind a volume of the cluster.
pub(super) fn handle(volume: &Value) -> Option<&str> {
    let spec = &volume["spec"];
    let csi = &spec["csi"];
    let is_disk = matches!(csi["driver"].as_str(), Some("ebs.csi.aws.com" | "ebs.csi.eks.amazonaws.com"));
    if is_disk {
        return csi["volumeHandle"].as_str();
    }
    // Of before the driver: `aws://eu-central-1a/vol-0a1b2c`.
    spec["awsElasticBlockStore"]["volumeID"].as_str().and_then(|id| id.rsplit('/').next())
}

impl Inside {
    /// Whether there is nothing to do in the cluster.
    pub fn is_clear(&self) -> bool {
        self.makers.is_empty() && self.volumes.is_empty() && self.budgets.is_empty()
    }

    /// What has to be gone before its nodes may go, by name.
    pub fn awaited(&self) -> Vec<String> {
        self.makers.iter().chain(&self.volumes).map(Live::title).collect()
    }

    /// Begins to remove what can be. Budgets go first, and are not waited for: an add-on may make its own again.
    ///
    /// If this dies half way, what is gone is gone, and the next run does the rest.
    pub async fn remove(&self, hub: &Hub, flow: &Flow) -> Result<(), Fault> {
        let budgets: Vec<&Live> = self.budgets.iter().filter(|budget| !budget.going).collect();
        if let Some(first) = budgets.first() {
            let more =
                if budgets.len() > 1 { format!(" and {} more", budgets.len() - 1) } else { String::new() };
            let text = format!("{}{more} would hold the nodes: it is taken away", first.title());
            flow.report(Notice::Waiting(text));
        }
        let going =
            budgets.into_iter().chain(self.makers.iter().chain(&self.users).filter(|live| !live.going));
        for live in going {
            flow.check(&format!("remove {}", live.title()))?;
            hub.take_out(live, flow).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::k8s::Object;

    fn live(body: Value) -> Live {
        Live::of(&Object::new(body).expect("an object"))
    }

    fn object(api_version: &str, kind: &str, name: &str, spec: &Value) -> Live {
        let (metadata, namespaced) = (json!({"name": name}), kind != "PersistentVolume");
        let mut body = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec});
        if namespaced {
            body["metadata"]["namespace"] = json!("shop");
        }
        live(body)
    }

    fn volume(name: &str, policy: &str) -> Live {
        let csi = json!({"driver": "ebs.csi.aws.com", "volumeHandle": format!("vol-{name}")});
        let claim = json!({"namespace": "shop", "name": "data"});
        let spec = json!({"csi": csi, "persistentVolumeReclaimPolicy": policy, "claimRef": claim,
                          "capacity": {"storage": "20Gi"}});
        object("v1", "PersistentVolume", name, &spec)
    }

    fn listed() -> Listed {
        let uses = |claim: &str| json!({"volumes": [{"persistentVolumeClaim": {"claimName": claim}}], "containers": []});
        Listed {
            services: vec![
                object("v1", "Service", "web", &json!({"type": "LoadBalancer"})),
                object("v1", "Service", "inner", &json!({"type": "ClusterIP"})),
            ],
            routes: Vec::new(),
            claims: vec![object("v1", "PersistentVolumeClaim", "data", &json!({}))],
            volumes: vec![volume("a", "Delete"), volume("b", "Retain")],
            sets: vec![
                object("apps/v1", "StatefulSet", "db", &json!({"volumeClaimTemplates": [{}]})),
                object("apps/v1", "StatefulSet", "cache", &json!({})),
            ],
            pods: vec![
                object("v1", "Pod", "db-0", &uses("data")),
                object("v1", "Pod", "web-0", &uses("other")),
            ],
            budgets: Vec::new(),
        }
    }

    fn names(lives: &[Live]) -> Vec<&str> {
        lives.iter().map(|live| live.name.as_str()).collect()
    }

    #[test]
    fn only_what_made_something_outside_goes_and_what_would_make_it_again() {
        let inside = judge(listed());
        assert_eq!(names(&inside.makers), ["web", "data"]);
        assert_eq!(names(&inside.users), ["db", "db-0"]);
        assert_eq!(names(&inside.volumes), ["a"]);
        assert!(!inside.is_clear());
    }

    #[test]
    fn a_volume_that_its_owner_retains_stays() {
        let inside = judge(listed());
        let [kept] = inside.retained.as_slice() else { unreachable!("one: {:?}", inside.retained) };
        assert_eq!((kept.volume.as_str(), kept.claim.as_str()), ("vol-b", "shop/data"));
        assert_eq!(inside.released, ["vol-a"]);
    }

    #[test]
    fn the_disk_behind_a_volume_is_known_by_either_driver() {
        let old = json!({"spec": {"awsElasticBlockStore": {"volumeID": "aws://eu-central-1a/vol-1"}}});
        assert_eq!(handle(&old), Some("vol-1"));
        let other = json!({"spec": {"csi": {"driver": "efs.csi.aws.com", "volumeHandle": "fs-1"}}});
        assert_eq!(handle(&other), None);
    }
}
