use serde_json::{Value, json};

use super::super::attempt::{Canary, START};
use super::super::canary::{GPU, PORT, deployment, pod, server};
use super::super::check::Found;
use super::super::pod::{is_about_image, is_about_nodes};
use super::super::subject::Group;
use crate::base::Fault;

/// Whether a pod comes up on a node of `group`.
pub(in crate::verify) async fn scheduling(
    canary: &Canary<'_>,
    group: &Group,
    nodes: &[Value],
    simulated: bool,
) -> Result<Found, Fault> {
    let standing = of_group(group, nodes).count();
    if standing == 0 && group.min == 0 {
        return Ok(Found::nothing(
            "no node of it stands: it begins with none, and a canary shall not buy one",
        ));
    }
    let part = format!("node-{}", group.name);
    let mut pod = pod(&[], &[server("canary", canary.image, PORT)]);
    pod["nodeSelector"] = json!(group.selector);
    pod["tolerations"] = tolerations(group);
    canary.trial.put(deployment(&part, &pod), canary.flow).await?;
    let (place, played) = if simulated {
        (canary.scheduled(&part, START).await?, " (played: nothing runs there)")
    } else {
        (canary.ready(&part, START).await?, "")
    };
    Ok(match place {
        Ok(place) if simulated => Found::works(format!("a pod is scheduled to {}{played}", place.node)),
        Ok(place) => Found::works(format!("a pod is ready on {}", place.node)),
        Err(why) => no_pod(&why, canary.remedy, standing, group),
    })
}

/// That no pod comes up on one of the `standing` nodes of `group`. What to look at is what the pod tells of itself;
/// `remedy` is what helps where its image cannot be had.
fn no_pod(why: &str, remedy: &str, standing: usize, group: &Group) -> Found {
    let next = if is_about_image(why) {
        remedy.to_string()
    } else if is_about_nodes(why) {
        let nodes = match standing {
            0 => "for nodes of it, there is none".to_string(),
            1 => "at its node".to_string(),
            more => format!("at its {more} nodes"),
        };
        format!("look {nodes}: `kubectl get nodes{}`", labels(group))
    } else {
        "run it with `--keep` and look at the events in its namespace".to_string()
    };
    Found::fails(format!("no pod comes up on a node of it: {why}"), next)
}

/// Whether the nodes of `group` offer their GPUs.
pub(in crate::verify) fn gpus(group: &Group, nodes: &[Value]) -> Found {
    let of_group: Vec<&Value> = of_group(group, nodes).collect();
    if of_group.is_empty() && group.min == 0 {
        return Found::nothing("no node of it stands: it begins with none, and a canary shall not buy one");
    }
    let offered = |node: &Value| {
        let text = node["status"]["allocatable"][GPU].as_str();
        text.and_then(|text| text.parse::<u32>().ok()).unwrap_or_default()
    };
    let short: Vec<&str> = of_group
        .iter()
        .filter(|node| offered(node) < group.gpus)
        .filter_map(|node| node["metadata"]["name"].as_str())
        .collect();
    match (of_group.len(), short.first()) {
        (0, _) => Found::fails(
            "it has no node",
            format!("look for its nodes: `kubectl get nodes{}`", labels(group)),
        ),
        (count, None) => Found::works(format!("{count} of {count} nodes offer {} {GPU}", group.gpus)),
        (count, Some(first)) => Found::fails(
            format!("{} of {count} nodes ({first}, ...) do not offer {} {GPU}", short.len(), group.gpus),
            "nodes offer GPUs once they have the driver and a device plugin runs there (addon \
             nvidia-device-plugin): look at the plugin's pods",
        ),
    }
}

fn of_group<'a>(group: &'a Group, nodes: &'a [Value]) -> impl Iterator<Item = &'a Value> {
    nodes.iter().filter(|node| {
        let labels = &node["metadata"]["labels"];
        group.selector.iter().all(|(key, value)| labels[key] == value.as_str())
    })
}

fn labels(group: &Group) -> String {
    let pairs: Vec<String> = group.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { String::new() } else { format!(" -l {}", pairs.join(",")) }
}

/// The taints of the group, and those that its machines may get from their platform.
fn tolerations(group: &Group) -> Value {
    let own = group.taints.iter().map(
        |taint| json!({"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect}),
    );
    let given = [GPU, "kubernetes.io/arch"].map(|key| json!({"key": key, "operator": "Exists"}));
    own.chain(given).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::profile::Taint;

    fn group(min: u32) -> Group {
        Group {
            name: "gpu".to_string(),
            selector: BTreeMap::from([("team".to_string(), "ml".to_string())]),
            taints: Vec::new(),
            min,
            gpus: 1,
        }
    }

    fn node(name: &str, gpus: &str) -> Value {
        json!({"metadata": {"name": name, "labels": {"team": "ml"}}, "status": {"allocatable": {GPU: gpus}}})
    }

    #[test]
    fn every_node_of_a_group_has_to_offer_its_gpus() {
        assert_eq!(gpus(&group(1), &[node("a", "1")]), Found::works("1 of 1 nodes offer 1 nvidia.com/gpu"));
        let short = gpus(&group(1), &[node("a", "1"), node("b", "0")]);
        assert!(matches!(short, Found::Fails(why, _) if why.starts_with("1 of 2 nodes (b, ...)")));
    }

    #[test]
    fn where_no_pod_comes_up_the_next_step_is_about_its_own_reason() {
        let next = |why: &str, standing: usize| {
            let check = no_pod(why, "load the image", standing, &group(1)).check("one", Duration::ZERO);
            check.next.expect("it fails")
        };
        let image = "the image `a/b:1` cannot be had: ImagePullBackOff: no such host";
        assert_eq!(next(image, 2), "load the image");
        assert_eq!(next("ErrImagePull: no such host", 2), "load the image");
        let unscheduled = "not scheduled: 0/2 nodes are available";
        assert_eq!(next(unscheduled, 2), "look at its 2 nodes: `kubectl get nodes -l team=ml`");
        assert_eq!(next(unscheduled, 1), "look at its node: `kubectl get nodes -l team=ml`");
        assert!(next(unscheduled, 0).starts_with("look for nodes of it, there is none: "));
        assert!(next("CrashLoopBackOff: back-off 10s", 2).contains("`--keep`"));
    }

    #[test]
    fn a_canary_goes_where_the_taints_of_its_group_and_of_gpus_let_nobody_else() {
        let taint =
            Taint { key: "team".to_string(), value: "ml".to_string(), effect: "NoSchedule".to_string() };
        let tolerated = tolerations(&Group { taints: vec![taint], ..group(1) });
        let own = json!({"key": "team", "operator": "Equal", "value": "ml", "effect": "NoSchedule"});
        assert_eq!(tolerated[0], own);
        assert_eq!(tolerated[1], json!({"key": GPU, "operator": "Exists"}));
    }

    #[test]
    fn a_group_that_begins_with_no_nodes_is_not_woken() {
        assert!(matches!(gpus(&group(0), &[]), Found::Nothing(_)));
        assert!(matches!(gpus(&group(1), &[]), Found::Fails(..)));
    }
}
