use std::time::Duration;

use serde_json::{Value, json};

use super::super::attempt::Canary;
use super::super::canary::{PART, PORT, deployment, pod, server};
use super::super::check::Found;
use super::super::pod::is_about_image;
use crate::base::Fault;

const PART_NAME: &str = "storage";
/// How long a disk may take to be made, attached and mounted.
const DISK: Duration = Duration::from_mins(3);
/// What a class is marked with that claims get which name none.
const IS_DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

/// Whether a claim of the default class is bound and its volume can be used by a pod.
pub(in crate::verify) async fn storage(canary: &Canary<'_>) -> Result<Found, Fault> {
    let classes = canary.trial.all("storage.k8s.io/v1", "StorageClass", canary.flow).await?;
    let Some(class) = default_class(&classes) else {
        return Ok(Found::nothing(match classes.len() {
            0 => "there is no StorageClass".to_string(),
            count => format!("none of {count} StorageClasses is the default"),
        }));
    };
    canary.trial.put(claim(&class), canary.flow).await?;
    let mut server = server("canary", canary.image, PORT);
    server["volumeMounts"] = json!([{"name": "disk", "mountPath": "/disk"}]);
    let mut pod = pod(&[], &[server]);
    pod["volumes"] = json!([{"name": "disk", "persistentVolumeClaim": {"claimName": PART_NAME}}]);
    canary.trial.put(deployment(PART_NAME, &pod), canary.flow).await?;
    let ready = canary.ready(PART_NAME, DISK).await?;
    let claim = canary.trial.get("v1", "PersistentVolumeClaim", PART_NAME, canary.flow).await?;
    let claim = claim.unwrap_or_default();
    Ok(match ready {
        Ok(place) if phase(&claim) == "bound" => {
            Found::works(format!("a pod on {} uses a volume of class {class}, the default", place.node))
        }
        Ok(_) => Found::fails("the claim is not bound", "look at `kubectl get pvc,pv -A`"),
        Err(why) if is_about_image(&why) => {
            Found::fails(format!("no pod with a claim of class {class} runs: {why}"), canary.remedy)
        }
        Err(why) => Found::fails(
            format!("a pod with a {} claim of class {class} does not run: {why}", phase(&claim)),
            format!(
                "look at the provisioner of StorageClass {class}; `--keep` leaves the claim and its events"
            ),
        ),
    })
}

/// `bound`, `pending`, `lost`.
fn phase(claim: &Value) -> String {
    claim["status"]["phase"].as_str().unwrap_or("pending").to_lowercase()
}

/// The class that claims get which name none: the newest, where several say so.
fn default_class(classes: &[Value]) -> Option<String> {
    let is_default = |class: &&Value| class["metadata"]["annotations"][IS_DEFAULT] == "true";
    let made =
        |class: &Value| class["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_string();
    let newest = classes.iter().filter(is_default).max_by_key(|class| made(class))?;
    newest["metadata"]["name"].as_str().map(str::to_string)
}

fn claim(class: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": PART_NAME, "labels": {PART: PART_NAME}},
        "spec": {
            "storageClassName": class, "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_several_default_classes_counts() {
        let class = |name: &str, default: &str, made: &str| json!({"metadata": {"name": name, "creationTimestamp": made, "annotations": {IS_DEFAULT: default}}});
        let classes = [
            class("old", "true", "2026-01-01T00:00:00Z"),
            class("new", "true", "2026-02-01T00:00:00Z"),
            class("other", "false", "2026-03-01T00:00:00Z"),
        ];
        assert_eq!(default_class(&classes).as_deref(), Some("new"));
        assert_eq!(default_class(&classes[2..]), None);
    }
}
