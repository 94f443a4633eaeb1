//! An environment whose nodes EKS Auto Mode makes: what AWS brings for it, what it has to be told, what is left to tell
//! when it goes.

use serde_json::Value;

use super::support::eks::{eventually_so, one_line};
use super::support::{EksProfile, EksStage};

const ADDONS: &str = "addons: {traefik: {}}
tenants: [{name: checkout, namespaces: [checkout], groups: {editor: [developers]}}]";

/// A pod with a volume of the default class.
const WORKLOAD: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: default}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: writer, namespace: default}
spec:
  containers: [{name: writer, image: registry.k8s.io/pause:3.10}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
";

#[test]
fn what_auto_mode_makes_works_as_it_comes_and_goes_with_the_cluster() {
    let stage = EksStage::at_speed(240, &EksProfile::new("").with_cluster("autoMode: true").with(ADDONS));
    let said = one_line(&stage.up().expect(0).said());
    // The first node comes for the first pod.
    assert!(said.contains("network policies: they are enforced"), "{said}");
    assert_eq!(stage.addons(), Vec::<String>::new());
    let listed = stage.cli(&["elbv2", "describe-load-balancers"])["LoadBalancers"].take();
    let schemes: Vec<&Value> = listed.as_array().into_iter().flatten().map(|one| &one["Scheme"]).collect();
    assert_eq!(schemes, ["internet-facing"], "{listed}");
    let asked = [
        "get",
        "networkpolicy",
        "-n",
        "checkout",
        "allow-dns",
        "-o",
        "jsonpath={.spec.egress[0].to[*].ipBlock.cidr}",
    ];
    assert_eq!(stage.kubectl(&asked).expect(0).stdout, "10.100.0.10/32 172.20.0.10/32");

    let file = stage.berth.work().join("writer.yaml");
    std::fs::write(&file, WORKLOAD).expect("the folder is ours");
    stage.kubectl(&["apply", "-f", file.to_str().expect("UTF-8")]).expect(0);
    eventually_so("a volume for the claim", || {
        stage.kubectl(&["get", "pvc", "data", "-o", "jsonpath={.status.phase}"]).stdout == "Bound"
    });
    let before = stage.last();
    stage.up().expect(0);
    assert_eq!(stage.changes(before), Vec::<String>::new());
    // Six and one for each access entry and kind of thing that is listed at once.
    let calls = stage.calls(before);
    assert!(calls.len() <= 12, "{calls:?}");
    let status = one_line(&stage.run("status", &[]).expect(0).said());
    assert!(!status.contains("vpc-cni"), "{status}");

    stage.down().expect(0);
    stage.expect_left(&[]);
}
