//! metrics-server itself, started as the pod that berth applied, with the rights of its account: it
//! reads the kubelets, and serves who may ask.

use super::support::{Berth, Proof, Rights, Wishes, eventually, tools};

/// What a kubelet serves of its node and of containers, in the names that kubelets use.
const KUBELET: &str = "apiVersion: kwok.x-k8s.io/v1alpha1
kind: Metric
metadata: {name: metrics-resource}
spec:
  path: /metrics/nodes/{nodeName}/metrics/resource
  metrics:
    - {name: node_cpu_usage_seconds_total, dimension: node, kind: counter, value: 'node.CumulativeUsage(\"cpu\")'}
    - {name: node_memory_working_set_bytes, dimension: node, kind: gauge, value: 'node.Usage(\"memory\")'}
    - name: container_cpu_usage_seconds_total
      dimension: container
      kind: counter
      labels: &labels
        - {name: container, value: container.name}
        - {name: namespace, value: pod.metadata.namespace}
        - {name: pod, value: pod.metadata.name}
      value: 'pod.CumulativeUsage(\"cpu\", container.name)'
    - name: container_memory_working_set_bytes
      dimension: container
      kind: gauge
      labels: *labels
      value: 'pod.Usage(\"memory\", container.name)'
    - name: container_start_time_seconds
      dimension: container
      kind: gauge
      labels: *labels
      value: pod.SinceSecond()
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterResourceUsage
metadata: {name: all}
spec:
  usages:
    - usage: {cpu: {value: 250m}, memory: {value: 128Mi}}
";

/// Somebody who may look at everything, and a pod to look at.
const VIEWER: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: vera}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: vera}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: example.com/web}]
";

#[test]
fn metrics_server_reads_kubelets_with_the_rights_it_has() {
    // Where the API server does not stream lists, as before Kubernetes 1.34, a watch begins with a list: so both
    // verbs are seen to be needed.
    let arguments = [
        "--enable-crds=Metric,ClusterResourceUsage",
        "--extra-args",
        "kube-apiserver=feature-gates=WatchList=false",
    ];
    let wishes = Wishes {
        arguments: arguments.map(str::to_string).to_vec(),
        manifests: vec![KUBELET.to_string(), VIEWER.to_string()],
    };
    let Some(proof) = Proof::start_with("proof-metrics", &wishes) else { return };
    let annotation = "metrics.k8s.io/resource-metrics-path=/metrics/nodes/node-1/metrics/resource";
    proof.kubectl(&["annotate", "node", "node-1", annotation]).expect(0);
    proof.declare("{metrics-server: {}}");
    let up = proof.start_up();
    let mut program = proof.play("kube-system", "deployment/metrics-server", &tools().join("metrics-server"));
    proof.play_service("kube-system", "metrics-server", &program);
    up.finish().expect(0);

    // Ready means: the metrics of all nodes and pods are there.
    program.await_ready();
    eventually("`kubectl top pods` shows 250m and 128Mi", || {
        let said = proof.kubectl(&["top", "pods", "--no-headers", "--as", "vera"]).stdout;
        let words: Vec<&str> =
            said.lines().find(|line| line.starts_with("web-"))?.split_whitespace().collect();
        let cpu: u32 = words[1].strip_suffix('m')?.parse().ok()?;
        ((245..=255).contains(&cpu) && words[2] == "128Mi").then_some(())
    });
    assert!(proof.kubectl(&["top", "nodes", "--no-headers"]).expect(0).stdout.starts_with("node-1 "));

    // Whoever may look at a thing may look at its usage, and nobody else.
    let pod = proof.kubectl(&["get", "pods", "-l", "app=web", "-o", "name"]).expect(0).stdout;
    let pod = format!("namespaces/default/pods/{}", pod.trim().trim_start_matches("pod/"));
    for what in ["nodes", "nodes/node-1", "pods", &pod] {
        let ask = |who: &str| {
            proof.kubectl(&["get", "--raw", &format!("/apis/metrics.k8s.io/v1beta1/{what}"), "--as", who])
        };
        ask("vera").expect(0);
        let refused = ask("nobody").expect(1).stderr;
        assert!(refused.contains("forbidden"), "{what}: {refused}");
    }

    assert!(!program.log().contains("forbidden"), "{}", program.log());
    Rights::of(&proof, "metrics-server", "default").check();

    proof.run("plan", &["--detailed-exitcode"]).expect(0);
    proof.run("down", &["--yes"]).expect(0);
    assert!(proof.object("", "apiservice/v1beta1.metrics.k8s.io").is_none());
}

/// The proof above runs as provider `existing`, where kubelets show certificates of the cluster's
/// authority, and metrics-server checks them. On kind it does not; nothing else differs.
#[test]
fn metrics_server_on_kind_differs_in_one_argument() {
    let berth = Berth::new();
    let arguments = |name: &str, cluster: &str| -> Vec<String> {
        berth.profile(
            name,
            &format!(
                "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: {name}\nid: abcd2345\n\
                 cluster: {cluster}\naddons: {{metrics-server: {{}}}}\n"
            ),
        );
        berth.run(&["render", name, "--out", name]).expect(0);
        let file = berth.work().join(name).join("03-workloads/deployment.kube-system.metrics-server.yaml");
        let rendered = std::fs::read_to_string(file).expect("it was rendered");
        let arguments = rendered.lines().map(|line| line.trim().trim_start_matches("- "));
        arguments.filter(|line| line.starts_with("--") && *line != "---").map(str::to_string).collect()
    };
    let existing = arguments("premises", "{existing: {kubeconfig: ~/.kube/config, context: premises}}");
    let mut kind = arguments("laptop", "{kind: {version: \"1.36\"}}");
    assert_eq!(existing.len(), 5, "{existing:?}");
    kind.retain(|argument| argument != "--kubelet-insecure-tls");
    assert_eq!(kind, existing);
}
