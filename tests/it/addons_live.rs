//! What addons do on a cluster that somebody else made: they leave to others what others do, say where Ingress
//! objects are reached, and are ready when nodes offer what they bring.

use std::fs;

use super::support::{Environment, eventually};

/// An addon of the user's own beside the profile of `environment`, and `more` in the profile.
fn declare(environment: &Environment, name: &str, definition: &str, manifest: &str, more: &str) {
    environment.declare(&[]);
    let folder = environment.berth.work().join("profiles/own").join(name);
    fs::create_dir_all(folder.join("manifests")).expect("the test's folder is writable");
    let definition = format!(
        "apiVersion: berth.dev/v1alpha1\nkind: Addon\nname: {name}\nsummary: a test\n\
         versions: [{{version: 1.0.0, kubernetes: {{from: \"1.33\", to: \"1.37\"}}, images: {{}}}}]\n\
         options: {{type: object, additionalProperties: false}}\n\
         providers: {{eks: objects, gke: objects, kind: objects, kwok: objects, existing: objects}}\n\
         rehearsal: applied\n{definition}\n"
    );
    fs::write(folder.join("addon.yaml"), definition).expect("writable");
    fs::write(folder.join("manifests/all.yaml"), manifest).expect("writable");
    append(environment, &format!("addonsFrom: [own]\naddons: {{{name}: {{}}}}\n{more}"));
}

/// Adds `text` to the profile.
fn append(environment: &Environment, text: &str) {
    let path = environment.berth.work().join("profiles").join(format!("{}.yaml", environment.name));
    let before = fs::read_to_string(&path).expect("it was declared");
    fs::write(&path, before.replace("tenants: []\n", "") + text).expect("writable");
}

#[test]
fn what_somebody_else_brings_already_is_left_to_them() {
    let environment = Environment::new("addon-yields");
    let (theirs, ours) = ("addon-yields-api", "addon-yields-more");
    let role = |name: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {name}}}\nrules: []\n"
        )
    };
    let manifest = format!("{}---\n{}", role(theirs), role(ours));
    declare(&environment, "yielding", &format!("yieldsTo: ClusterRole {theirs}"), &manifest, "");
    let uid = |name: &str| environment.field("default", &format!("clusterrole/{name}"), ".metadata.uid");

    environment.plane.kubectl(&["create", "clusterrole", theirs, "--verb=get", "--resource=pods"]).expect(0);
    let before = uid(theirs);
    let plan = environment.run("plan", &["--detailed-exitcode"]).expect(0);
    assert!(plan.said().contains(&format!("somebody else brings ClusterRole {theirs}")), "{}", plan.said());
    let up = environment.up().expect(0);
    assert_eq!((uid(theirs), uid(ours)), (before.clone(), String::new()));
    let listed = environment.berth.run(&["addon", "list", &environment.name]).expect(0);
    assert!(listed.said().contains("provided"), "{}", listed.said());
    for said in [&up, &environment.up().expect(0), &environment.run("status", &[]).expect(0), &listed] {
        assert!(
            said.said().contains(&format!("somebody else brings ClusterRole {theirs}")),
            "{}",
            said.said()
        );
    }
    let down = environment.down().expect(0);
    assert!(!down.said().contains("addon yielding (ready)"), "{}", down.said());
    assert_eq!(uid(theirs), before);

    // Once they are gone, it is berth's to bring; and what berth brought is not left half way.
    environment.plane.kubectl(&["delete", "clusterrole", theirs]).expect(0);
    environment.up().expect(0);
    assert!(!uid(theirs).is_empty() && !uid(ours).is_empty());
    let second = environment.run("plan", &["--detailed-exitcode"]).expect(0);
    assert!(!second.said().contains("somebody else"), "{}", second.said());
    environment.down().expect(0);
    assert_eq!((uid(theirs), uid(ours)), (String::new(), String::new()));
}

#[test]
fn the_address_of_an_ingress_is_waited_for_and_told_with_a_request_that_works() {
    let environment = Environment::new("addon-ingress");
    let manifest = "apiVersion: v1\nkind: Namespace\nmetadata: {name: addon-ingress}\n---\n\
                    apiVersion: v1\nkind: Service\nmetadata: {name: door, namespace: addon-ingress}\n\
                    spec: {type: LoadBalancer, loadBalancerClass: example.com/none, ports: [{name: web, port: 80}]}\n";
    let tenants = "tenants: [{name: shop, namespaces: [addon-ingress-shop], groups: {viewer: [all]}, \
                   hosts: [\"*.example.net\", shop.example.net]}]\n";
    declare(&environment, "door", "provides: [ingress]", manifest, tenants);
    let up = environment.berth.start(&["up", &environment.name, "--yes"]);
    eventually("the Service stands", || {
        let kind = environment.field("addon-ingress", "service/door", ".spec.type");
        (kind == "LoadBalancer").then_some(())
    });
    let status = environment.run("status", &[]);
    assert!(status.said().contains("Service addon-ingress/door: no address yet"), "{}", status.said());
    let give = |address: &str| {
        let patch = format!("{{\"status\":{{\"loadBalancer\":{{\"ingress\":[{address}]}}}}}}");
        let target =
            ["-n", "addon-ingress", "patch", "service/door", "--subresource=status", "--type=merge", "-p"];
        environment.plane.kubectl(&[target.as_slice(), &[&patch]].concat()).expect(0);
    };
    give("{\"ip\":\"192.0.2.7\"}");
    let up = up.finish().expect(0);
    let request = "curl --resolve shop.example.net:80:192.0.2.7 http://shop.example.net/";
    assert!(up.said().contains(request), "{}", up.said());
    give("{\"hostname\":\"lb-1.example.org\"}");
    let again = environment.up().expect(0);
    let request = "curl -H 'Host: shop.example.net' http://lb-1.example.org/";
    assert!(again.said().contains(request), "{}", again.said());
    environment.down().expect(0);
}

/// Simulated nodes that are there as long as this.
struct Nodes<'a> {
    environment: &'a Environment,
    names: [&'static str; 3],
}

impl<'a> Nodes<'a> {
    /// Two with GPUs, of which nothing is offered yet, and one without; pods of others stay away from all three.
    fn new(environment: &'a Environment) -> Self {
        let names = ["addon-gpu-0", "addon-gpu-1", "addon-gpu-plain"];
        for name in names {
            let labels = if name.ends_with("plain") {
                "kubernetes.io/os: linux".to_string()
            } else {
                "kubernetes.io/os: linux, stage: addon-gpu, nvidia.com/gpu.present: \"true\"".to_string()
            };
            environment.plane.apply_as(
                "stage",
                &format!(
                    "apiVersion: v1\nkind: Node\nmetadata:\n  name: {name}\n  labels: {{{labels}}}\n  \
                     annotations: {{kwok.x-k8s.io/node: fake}}\n\
                     spec: {{taints: [{{key: stage, value: addon-gpu, effect: NoSchedule}}]}}\n"
                ),
            );
        }
        Self { environment, names }
    }

    fn offer(&self, node: &str, gpus: u32) {
        let patch = format!("{{\"status\":{{\"allocatable\":{{\"nvidia.com/gpu\":\"{gpus}\"}}}}}}");
        let target = ["patch", "node", node, "--subresource=status", "--type=merge", "-p"];
        self.environment.plane.kubectl(&[target.as_slice(), &[&patch]].concat()).expect(0);
    }
}

impl Drop for Nodes<'_> {
    fn drop(&mut self) {
        self.environment
            .plane
            .kubectl(&[["delete", "node", "--wait=false"].as_slice(), &self.names].concat());
    }
}

#[test]
fn the_gpu_plugin_runs_where_gpus_are_and_is_ready_when_all_of_them_are_offered() {
    let environment = Environment::new("addon-gpu");
    environment.declare(&[]);
    append(
        &environment,
        "nodeGroups: [{name: gpu, nodes: 2, labels: {stage: addon-gpu}, resources: {cpu: 8, memory: 32Gi, nvidia.com/gpu: 2}}]\n\
         addons: {nvidia-device-plugin: {timeSlicing: {replicas: 2}}}\n",
    );
    let nodes = Nodes::new(&environment);
    let up = environment.berth.start(&["up", &environment.name, "--yes"]);
    let lacking = |text: &str| {
        eventually(text, || environment.run("status", &[]).said().contains(text).then_some(()));
    };
    // Its pods run by then: that alone makes nothing ready.
    lacking("node addon-gpu-0 offers 0 of 4 nvidia.com/gpu, and 1 other too few");
    nodes.offer("addon-gpu-0", 4);
    nodes.offer("addon-gpu-1", 2);
    lacking("node addon-gpu-1 offers 2 of 4 nvidia.com/gpu");
    nodes.offer("addon-gpu-1", 4);
    up.finish().expect(0);

    let selector = ["-n", "kube-system", "get", "pods", "-l", "app.kubernetes.io/name=nvidia-device-plugin"];
    let homes = environment
        .plane
        .kubectl(&[selector.as_slice(), &["-o", "jsonpath={.items[*].spec.nodeName}"]].concat())
        .expect(0);
    let mut homes: Vec<&str> = homes.stdout.split_whitespace().collect();
    homes.sort_unstable();
    assert_eq!(homes, ["addon-gpu-0", "addon-gpu-1"]);
    environment.down().expect(0);
}
