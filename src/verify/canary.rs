//! What the canary is made of: every pod of it is fit for a namespace that enforces `restricted`.

use serde_json::{Value, json};

/// The label that tells the parts of the canary apart.
pub(super) const PART: &str = "berth.dev/canary";
/// What nodes with GPUs offer, and are kept for by a taint.
pub(super) const GPU: &str = "nvidia.com/gpu";
/// What nodes with GPUs are labelled with.
const GPU_LABEL: &str = "nvidia.com/gpu.present";
/// What nodes of the control plane are labelled and tainted with.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
/// The port on which a part serves HTTP.
pub(super) const PORT: u16 = 8080;

/// A container of the canary's image with `arguments`.
pub(super) fn container(name: &str, image: &str, arguments: &[&str]) -> Value {
    json!({
        "name": name, "image": image, "imagePullPolicy": "IfNotPresent", "args": arguments,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"cpu": "250m", "memory": "64Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
    })
}

/// A container that serves HTTP on `port`.
pub(super) fn server(name: &str, image: &str, port: u16) -> Value {
    // It calls itself ready once it serves UDP, too: on a port of its own, since a pod may have two servers.
    let ports = [format!("--http-port={port}"), format!("--udp-port={port}")];
    let mut server = container(name, image, &["netexec", &ports[0], &ports[1]]);
    server["ports"] = json!([{"containerPort": port, "protocol": "TCP"}]);
    server["readinessProbe"] =
        json!({"httpGet": {"path": "/healthz", "port": port}, "periodSeconds": 1, "timeoutSeconds": 5});
    server
}

/// A pod of these containers, which begin once those of `first` have ended well, one after another. Where all
/// nodes are kept for GPUs or for the control plane, it goes to one of those.
pub(super) fn pod(first: &[Value], containers: &[Value]) -> Value {
    let tolerations = [GPU, CONTROL_PLANE].map(|key| json!({"key": key, "operator": "Exists"}));
    let elsewhere = [GPU_LABEL, CONTROL_PLANE].map(|key| json!({"key": key, "operator": "DoesNotExist"}));
    json!({
        "tolerations": tolerations,
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 100, "preference": {"matchExpressions": elsewhere}}]}},
        "automountServiceAccountToken": false, "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65534, "runAsGroup": 65534, "fsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": first, "containers": containers,
    })
}

/// A Deployment of one such pod, known by its part.
pub(super) fn deployment(part: &str, pod: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": part, "labels": {PART: part}},
        "spec": {
            "replicas": 1, "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {PART: part}},
            "template": {"metadata": {"labels": {PART: part}}, "spec": pod},
        },
    })
}

/// A Job of one such pod, which is made once and not again; its pod is known by `part`.
pub(super) fn job(name: &str, part: &str, mut pod: Value) -> Value {
    pod["restartPolicy"] = Value::from("Never");
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "labels": {PART: part}},
        "spec": {
            "backoffLimit": 0, "completions": 1, "parallelism": 1,
            "template": {"metadata": {"labels": {PART: part}}, "spec": pod},
        },
    })
}

/// A Service of type `kind` before the part `part`, on port 80.
pub(super) fn service(name: &str, part: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "labels": {PART: part}},
        "spec": {
            "type": kind, "selector": {PART: part},
            "ports": [{"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"}],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::Object;

    #[test]
    fn every_part_is_of_a_kind_that_every_cluster_serves() {
        let spec = pod(&[], &[server("canary", "image", PORT)]);
        for mut body in [deployment("a", &spec), job("b", "a", spec.clone()), service("c", "a", "ClusterIP")]
        {
            body["metadata"]["namespace"] = Value::from("n");
            assert!(Object::new(body).is_ok());
        }
    }
}
