use std::time::Duration;

use serde_json::Value;

use super::super::attempt::Canary;
use super::super::canary::PART;
use super::super::check::Found;
use super::super::subject::Expected;
use crate::base::Fault;

const API: &str = "/apis/metrics.k8s.io/v1beta1";
/// How long a new pod may take until it has figures: metrics-server asks every 15 s, and needs two answers
/// to tell what was used in between.
const FIGURES: Duration = Duration::from_secs(90);

/// Whether the metrics API has figures of the nodes and of the pod of `part`.
pub(in crate::verify) async fn metrics(
    canary: &Canary<'_>,
    expected: &Expected,
    part: &str,
) -> Result<Found, Fault> {
    if let Expected::Nobody(why) = expected
        && canary.trial.read(API, canary.flow).await.ok().flatten().is_none()
    {
        return Ok(Found::nothing(why));
    }
    if *expected == Expected::Unknown && canary.trial.read(API, canary.flow).await?.is_none() {
        return Ok(Found::nothing("no metrics API is served here: addon metrics-server brings it"));
    }
    let pods = format!("{API}/namespaces/{}/pods", canary.trial.namespace());
    let found = canary
        .until(FIGURES, async || {
            for (path, what) in [(format!("{API}/nodes"), "nodes"), (pods.clone(), "the canary's pod")] {
                // A metrics API that is down or not there yet may come.
                let list = match canary.trial.read(&path, canary.flow).await {
                    Err(fault) if fault.is_retryable() => return Ok(Err(fault.to_string())),
                    list => list?,
                };
                let Some(list) = list else { return Ok(Err("it is not served".to_string())) };
                if !has_figures(&list, (what != "nodes").then_some(part)) {
                    return Ok(Err(format!("it has no figures of {what}")));
                }
            }
            Ok(Ok(()))
        })
        .await?;
    Ok(match found {
        Ok(()) => Found::works("it has figures of the nodes and of the canary's pod"),
        Err(why) => Found::fails(
            format!("the metrics API does not answer as it should: {why}"),
            "look at `kubectl get apiservice v1beta1.metrics.k8s.io` and at the pods of metrics-server",
        ),
    })
}

/// Whether there is something in `list`, or something of `part`.
fn has_figures(list: &Value, part: Option<&str>) -> bool {
    let mut items = list["items"].as_array().into_iter().flatten();
    match part {
        None => items.next().is_some(),
        Some(part) => items.any(|item| {
            let name = item["metadata"]["name"].as_str().unwrap_or_default();
            item["metadata"]["labels"][PART] == part || name.starts_with(&format!("{part}-"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_of_others_are_none_of_the_canary() {
        let of =
            |name: &str, labels: Value| json!({"items": [{"metadata": {"name": name, "labels": labels}}]});
        assert!(has_figures(&of("node-a", json!({})), None));
        assert!(!has_figures(&json!({"items": []}), None));
        assert!(has_figures(&of("target-7f-x", json!({})), Some("target")));
        assert!(has_figures(&of("x", json!({PART: "target"})), Some("target")));
        assert!(!has_figures(&of("targeted", json!({PART: "other"})), Some("target")));
        assert!(!has_figures(&json!({}), Some("target")));
    }
}
