//! Traefik itself, started as the pod that berth applied, with the rights of its account: it serves
//! what it is made for, and nothing that it asks for is forbidden.

use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair};

use super::support::{Pod, Proof, addon_binaries, eventually};

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
        - name: page
          image: example.com/page
          args: [serve, ':8080', the-page]
          ports: [{name: http, containerPort: 8080}]
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

/// The same page as ingress-nginx was told of it.
const NGINX_INGRESS: &str = "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: old-page
  namespace: default
  annotations:
    nginx.ingress.kubernetes.io/rewrite-target: /new/$1
    nginx.ingress.kubernetes.io/ssl-redirect: 'false'
spec:
  ingressClassName: nginx
  rules:
    - host: old.example.com
      http:
        paths:
          - path: /old/(.*)
            pathType: ImplementationSpecific
            backend: {service: {name: page, port: {number: 80}}}
";

/// Where the cloud that the test plays puts the load balancer.
const ADDRESS: &str = "192.0.2.10";
const HTTP: &str = "192.0.2.10:80";
const HTTPS: &str = "192.0.2.10:443";

/// `up`, while the pod and the load balancer are played. The pod before is stopped: on one machine
/// the Service leads to one pod.
fn up<'proof>(proof: &'proof Proof, options: &str, before: Option<Pod<'_>>) -> Pod<'proof> {
    proof.declare(&format!("{{traefik: {options}}}"));
    let up = proof.start_up();
    if before.is_none() {
        proof.give_address("traefik", "traefik", ADDRESS);
    }
    up.finish().expect(0);
    if let Some(pod) = before {
        pod.stop();
    }
    let mut traefik = proof.play("traefik", "deployment/traefik", &addon_binaries().join("traefik"));
    proof.play_load_balancer("traefik", "traefik", &traefik);
    traefik.await_ready();
    traefik
}

/// Passes when nothing that it asked for was refused, by its own word and by the API server's.
fn nothing_was_refused(proof: &Proof, traefik: &Pod<'_>) {
    let log = traefik.log();
    let complaint = log.lines().find(|line| line.contains("forbidden") || line.contains("Failed to watch"));
    assert_eq!(complaint, None, "{log}");
    assert_eq!(proof.refused("traefik:traefik"), [""; 0]);
}

fn await_status(proof: &Proof, ingress: &str) {
    eventually("the Ingress shows the address", Duration::from_secs(30), || {
        let ingress = proof.object("default", ingress)?;
        (ingress["status"]["loadBalancer"]["ingress"][0]["ip"] == ADDRESS).then_some(())
    });
}

/// A Secret with a certificate of this name, signed by itself.
fn certificate(common_name: &str) -> String {
    let key = KeyPair::generate().expect("there is randomness");
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    let certificate = parameters.self_signed(&key).expect("it is complete");
    let data = serde_json::json!({"tls.crt": certificate.pem(), "tls.key": key.serialize_pem()});
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: wildcard, namespace: traefik}}\n\
         type: kubernetes.io/tls\nstringData: {data}\n"
    )
}

#[test]
fn traefik_serves_what_it_is_asked_for_with_the_rights_it_has() {
    let Some(proof) = Proof::start("proof-traefik") else { return };
    let machine = &proof.machine;
    proof.apply(PAGE);
    let page = proof.play("default", "deployment/page", &addon_binaries().join("stagehand"));

    let traefik = up(&proof, "{service: {type: LoadBalancer}}", None);
    let answer = machine.get_until(HTTP, "http://page.example.com/hello", 200);
    assert_eq!(answer.body, "the-page page.example.com /hello\n");
    machine.get_until(HTTP, "http://other.example.com/", 404);
    machine.get_until(HTTPS, "https://page.example.com/", 200);
    machine.get_until(&traefik.at("metrics"), "http://traefik/metrics", 200);
    await_status(&proof, "ingress/page");
    nothing_was_refused(&proof, &traefik);

    proof.apply(&certificate("first"));
    proof.apply(NGINX_INGRESS);
    let options =
        "{service: {type: LoadBalancer}, nginx: {ingressClass: true}, defaultCertificate: wildcard}";
    let traefik = up(&proof, options, Some(traefik));
    let rewritten = machine.get_until(HTTP, "http://old.example.com/old/page", 200);
    assert_eq!(rewritten.body, "the-page old.example.com /new/page\n");
    machine.get_until(HTTP, "http://page.example.com/", 200);
    await_status(&proof, "ingress/old-page");
    shows_certificate(&proof, "first");
    proof.apply(&certificate("second"));
    shows_certificate(&proof, "second");
    nothing_was_refused(&proof, &traefik);
    drop(page);
}

fn shows_certificate(proof: &Proof, common_name: &str) {
    eventually(&format!("the certificate is the {common_name} one"), Duration::from_secs(30), || {
        let answer = proof.machine.get(HTTPS, "https://page.example.com/")?;
        (answer.certificate.as_deref() == Some(common_name)).then_some(())
    });
}
