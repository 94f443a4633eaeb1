use serde_json::Value;

use crate::k8s::Live;
use crate::profile::{NodeGroup, Taint};

/// The taints that the nodes of `group` should have.
pub(in crate::providers) fn taints(group: &NodeGroup) -> Vec<Taint> {
    let mut taints = group.taints.clone();
    if group.resources.gpus > 0 {
        taints.push(Taint {
            key: "nvidia.com/gpu".to_string(),
            value: "present".to_string(),
            effect: "NoSchedule".to_string(),
        });
    }
    taints.sort();
    taints.dedup();
    taints
}

/// The taints that `live`, a node, has.
pub(in crate::providers) fn taints_of(live: &Live) -> Vec<Taint> {
    let text = |taint: &Value, key: &str| taint[key].as_str().unwrap_or_default().to_string();
    let taints = live.body["spec"]["taints"].as_array();
    taints
        .into_iter()
        .flatten()
        .map(|taint| Taint {
            key: text(taint, "key"),
            value: text(taint, "value"),
            effect: text(taint, "effect"),
        })
        .collect()
}

/// As kubectl writes it.
pub(in crate::providers) fn taint_text(taint: &Taint) -> String {
    match taint.value.as_str() {
        "" => format!("{}:{}", taint.key, taint.effect),
        value => format!("{}={value}:{}", taint.key, taint.effect),
    }
}
