//! Traefik itself, started as the pod that berth applied, with the rights of its account: it serves
//! what it is made for, and nothing that it asks for is forbidden.

use std::time::Duration;

use super::support::{Proof, addon_binaries, eventually};

/// A page in the cluster: a Deployment, its Service, and what leads there from outside.
const PAGE: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: page, namespace: default}
spec:
  selector: {matchLabels: {app: page}}
  template:
    metadata: {labels: {app: page}}
    spec:
      containers:
        - {name: page, image: example.com/page, args: [serve, ':8080', the-page], ports: [{name: http, containerPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: page, namespace: default}
spec:
  selector: {app: page}
  ports: [{port: 80, targetPort: http}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: page, namespace: default}
spec:
  ingressClassName: traefik
  rules:
    - host: page.example.com
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: page, port: {number: 80}}}}]}
";

#[test]
fn traefik_serves_an_ingress_with_the_rights_it_has() {
    const ADDRESS: &str = "192.0.2.10";
    let Some(proof) = Proof::start("proof-traefik") else { return };
    proof.declare("{traefik: {service: LoadBalancer}}");
    let up = proof.start_up();
    let mut traefik = proof.play("traefik", "deployment/traefik", &addon_binaries().join("traefik"));
    proof.play_load_balancer("traefik", "traefik", ADDRESS, &traefik);
    up.finish().expect(0);
    traefik.await_ready();

    proof.apply(PAGE);
    let _page = proof.play("default", "deployment/page", &addon_binaries().join("stagehand"));
    let entrance = format!("{ADDRESS}:80");
    let answer = proof.machine.get_until(&entrance, "http://page.example.com/hello", 200);
    assert_eq!(answer.body, "the-page page.example.com /hello\n");
    proof.machine.get_until(&entrance, "http://other.example.com/", 404);
    eventually("the Ingress shows the address", Duration::from_secs(30), || {
        let ingress = proof.object("default", "ingress/page")?;
        (ingress["status"]["loadBalancer"]["ingress"][0]["ip"] == ADDRESS).then_some(())
    });
    assert!(!traefik.log().contains("forbidden"), "{}", traefik.log());
}
