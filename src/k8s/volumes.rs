//! The volumes of a trial's claims: what was made for them goes with them, also where its class keeps volumes.

use serde_json::{Value, json};

use super::client::{Client, collection_path, object_path};
use super::kinds::known_kind;
use super::object::Kind;
use crate::base::Fault;
use crate::flow::{Flow, Patience};

/// What a volume is annotated with that was made because a claim asked for one.
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

/// Has the volumes go that were made for the claims in `namespace`, which is going to be removed. What may stay behind
/// all the same is told, each in words.
///
/// If this dies half way, the namespace is still there, and who removes it does the rest.
pub(super) async fn let_go(client: &Client, namespace: &str, flow: &Flow) -> Result<Vec<String>, Fault> {
    let path = collection_path(&built_in("v1", "PersistentVolumeClaim"), Some(namespace));
    let mut claims = client.read(flow, Patience::BRIEF, &path).await?.unwrap_or_default();
    let claims = claims["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let mut stay = Vec::new();
    for claim in &claims {
        stay.extend(match claim["spec"]["volumeName"].as_str() {
            Some(volume) => let_go_of(client, volume, claim, flow).await?,
            None => may_come(client, claim, flow).await?,
        });
    }
    Ok(stay)
}

async fn let_go_of(client: &Client, name: &str, claim: &Value, flow: &Flow) -> Result<Option<String>, Fault> {
    let path = object_path(&built_in("v1", "PersistentVolume"), None, name);
    let Some(volume) = client.read(flow, Patience::BRIEF, &path).await? else { return Ok(None) };
    if volume["spec"]["persistentVolumeReclaimPolicy"] != "Retain" {
        return Ok(None);
    }
    if !is_made_for(&volume, claim) {
        return Ok(Some(format!(
            "PersistentVolume {name} was there before the canary used it, and stays; its claim is gone: `kubectl patch \
             pv {name} --type=merge -p '{{\"spec\":{{\"claimRef\":null}}}}'` lets another one have it"
        )));
    }
    let patch = json!({"spec": {"persistentVolumeReclaimPolicy": "Delete"}});
    let attempted = format!("have PersistentVolume {name} go with its claim");
    client.merge(flow, &attempted, &path, &patch).await.map(|_| None)
}

/// That a volume may come for `claim` after all, and then stay.
async fn may_come(client: &Client, claim: &Value, flow: &Flow) -> Result<Option<String>, Fault> {
    let Some(class) = claim["spec"]["storageClassName"].as_str() else { return Ok(None) };
    let path = object_path(&built_in("storage.k8s.io/v1", "StorageClass"), None, class);
    let found = client.read(flow, Patience::BRIEF, &path).await?;
    Ok(found.filter(|found| found["reclaimPolicy"] == "Retain").map(|_| {
        format!(
            "the canary's claim had no volume yet: one that comes all the same stays, since StorageClass {class} keeps \
             volumes; `kubectl get pv` shows it as Released"
        )
    }))
}

/// Whether `volume` was made for `claim`, and is not one that somebody had before.
fn is_made_for(volume: &Value, claim: &Value) -> bool {
    let uid = &claim["metadata"]["uid"];
    let made = |object: &Value| object["metadata"]["creationTimestamp"].as_str().map(str::to_string);
    uid.is_string()
        && volume["spec"]["claimRef"]["uid"] == *uid
        && volume["metadata"]["annotations"][PROVISIONED_BY].is_string()
        && made(volume) >= made(claim)
}

fn built_in(api_version: &str, kind: &str) -> Kind {
    known_kind(api_version, kind).expect("what stores is built in")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_volume_that_came_for_the_claim_is_the_claims() {
        let claim = json!({"metadata": {"uid": "c1", "creationTimestamp": "2026-11-21T12:00:00Z"}});
        let volume = |uid: &str, made: &str| {
            json!({"metadata": {"creationTimestamp": made, "annotations": {PROVISIONED_BY: "rancher.io/local-path"}},
                "spec": {"claimRef": {"uid": uid}}})
        };
        assert!(is_made_for(&volume("c1", "2026-11-21T12:00:00Z"), &claim));
        assert!(!is_made_for(&volume("c2", "2026-11-21T12:00:01Z"), &claim), "another claim's");
        assert!(!is_made_for(&volume("c1", "2026-11-21T11:59:59Z"), &claim), "used before, and free again");
        let mut by_hand = volume("c1", "2026-11-21T12:00:01Z");
        by_hand["metadata"]["annotations"] = json!({});
        assert!(!is_made_for(&by_hand, &claim), "made by somebody");
    }
}
