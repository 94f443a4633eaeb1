//! What a pod's status says, judged without asking anybody.

use serde_json::Value;

/// How far a pod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It runs and is ready.
    Ready(Place),
    /// It has a node, which only plays it or has not started it yet; the text says what it waits for.
    OnItsWay(String),
    /// It will not come up by itself; the text says why.
    Stuck(String),
}

/// Where a pod is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Its node.
    pub(super) node: String,
    /// Its address.
    pub(super) address: String,
}

/// Reasons for which a container waits that do not go by themselves.
const STUCK: [&str; 6] = [
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "CrashLoopBackOff",
];

const UNSCHEDULED: &str = "not scheduled: ";
const NO_NODE: &str = "it waits for a node";

/// How far `pod` is.
pub(super) fn standing(pod: &Value) -> Standing {
    let status = &pod["status"];
    if let Some(condition) = condition(pod, "Ready")
        && condition["status"] == "True"
    {
        return Standing::Ready(place(pod));
    }
    if let Some(scheduled) = condition(pod, "PodScheduled")
        && scheduled["status"] == "False"
    {
        let why = scheduled["message"].as_str().unwrap_or("no node takes it");
        return Standing::OnItsWay(format!("{UNSCHEDULED}{why}"));
    }
    for container in containers(status) {
        let waiting = &container["state"]["waiting"];
        let Some(reason) = waiting["reason"].as_str() else { continue };
        let message = waiting["message"].as_str().unwrap_or_default();
        let told = if message.is_empty() { reason.to_string() } else { format!("{reason}: {message}") };
        if STUCK.contains(&reason) {
            let ended = container["lastState"]["terminated"]["message"].as_str().unwrap_or_default().trim();
            let told = if ended.is_empty() { told } else { format!("{told}; it said: {ended}") };
            return Standing::Stuck(told);
        }
        if reason != "PodInitializing" {
            return Standing::OnItsWay(told);
        }
    }
    let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    if status["phase"] == "Running" {
        return Standing::OnItsWay(format!("it runs on {node} and is not ready"));
    }
    Standing::OnItsWay(if node.is_empty() { NO_NODE.to_string() } else { format!("it starts on {node}") })
}

/// Whether that no node takes it is what `why` is about.
pub(super) fn is_about_nodes(why: &str) -> bool {
    [UNSCHEDULED, NO_NODE].iter().any(|word| why.starts_with(word))
}

/// Whether an image that cannot be had is what `why` is about.
pub(super) fn is_about_image(why: &str) -> bool {
    ["ImagePull", "ErrImage", "InvalidImageName"].iter().any(|word| why.contains(word))
}

/// Whether `pod` is being removed.
pub(super) fn is_going(pod: &Value) -> bool {
    pod["metadata"].get("deletionTimestamp").is_some()
}

/// Where `pod` is.
pub(super) fn place(pod: &Value) -> Place {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    Place { node: text(&pod["spec"]["nodeName"]), address: text(&pod["status"]["podIP"]) }
}

/// The exit code of the container `name` and what it said, once it has ended.
pub(super) fn ended(pod: &Value, name: &str) -> Option<(i64, String)> {
    let container = containers(&pod["status"]).find(|container| container["name"] == name)?;
    let terminated = &container["state"]["terminated"];
    let said = terminated["message"].as_str().or(terminated["reason"].as_str()).unwrap_or_default();
    Some((terminated["exitCode"].as_i64()?, said.trim().to_string()))
}

/// The condition of `object` called `kind`.
pub(super) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)
}

fn containers(status: &Value) -> impl Iterator<Item = &Value> {
    let of = |key: &str| status[key].as_array().into_iter().flatten();
    of("initContainerStatuses").chain(of("containerStatuses"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_without_a_node_says_why() {
        let pod = json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/1 nodes are available"}]}});
        assert_eq!(standing(&pod), Standing::OnItsWay("not scheduled: 0/1 nodes are available".to_string()));
    }

    #[test]
    fn the_first_failed_pull_may_be_a_hiccup_and_the_pause_after_it_is_not() {
        let pod = |reason: &str| {
            json!({"spec": {"nodeName": "a"}, "status": {"containerStatuses": [
                {"name": "canary", "state": {"waiting": {"reason": reason, "message": "no such host"}}}]}})
        };
        assert_eq!(
            standing(&pod("ErrImagePull")),
            Standing::OnItsWay("ErrImagePull: no such host".to_string())
        );
        let stuck = Standing::Stuck("ImagePullBackOff: no such host".to_string());
        assert_eq!(standing(&pod("ImagePullBackOff")), stuck);
        assert!(is_about_image("ImagePullBackOff: no such host"));
    }

    #[test]
    fn a_container_that_is_behind_others_does_not_hide_what_they_wait_for() {
        let container = |reason: &str| {
            let state = json!({"waiting": {"reason": reason}});
            json!({"name": "one", "state": state})
        };
        let pod = |statuses: [Value; 2]| json!({"spec": {"nodeName": "a"}, "status": {"phase": "Pending", "containerStatuses": statuses}});
        let behind = container("PodInitializing");
        assert_eq!(
            standing(&pod([behind.clone(), container("ContainerCreating")])),
            Standing::OnItsWay("ContainerCreating".to_string())
        );
        assert_eq!(
            standing(&pod([behind.clone(), behind])),
            Standing::OnItsWay("it starts on a".to_string())
        );
    }

    #[test]
    fn what_an_ended_container_said_is_read() {
        let pod = json!({"status": {"initContainerStatuses": [
            {"name": "open", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}],
            "containerStatuses": [
            {"name": "closed", "state": {"terminated": {"exitCode": 1, "message": "TIMEOUT\n"}}},
            {"name": "other", "state": {"running": {}}}]}});
        assert_eq!(ended(&pod, "open"), Some((0, "Completed".to_string())));
        assert_eq!(ended(&pod, "closed"), Some((1, "TIMEOUT".to_string())));
        assert_eq!(ended(&pod, "other"), None);
    }
}
