//! Traefik itself, started as the pod that berth applied, with the rights of its account: it serves
//! what it is made for, and nothing that it asks for is forbidden.

use std::fs;

use rcgen::{CertificateParams, DnType, KeyPair};
use sha2::{Digest, Sha256};

use super::support::{Pod, Proof, Rights, Wishes, addon_binaries};

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

/// The same page by Gateway API: every kind of route that Traefik serves, and a policy.
const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: door, namespace: default}
spec:
  gatewayClassName: traefik
  listeners:
    - {name: web, protocol: HTTP, port: 8000}
    - {name: tls, protocol: TLS, port: 8443, tls: {mode: Passthrough}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: page, namespace: default}
spec:
  parentRefs: [{name: door, sectionName: web}]
  hostnames: [routed.example.com]
  rules: [{backendRefs: [{name: page, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: page, namespace: default}
spec:
  parentRefs: [{name: door, sectionName: web}]
  hostnames: [grpc.example.com]
  rules: [{backendRefs: [{name: page, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: page, namespace: default}
spec:
  parentRefs: [{name: door, sectionName: tls}]
  hostnames: [tls.example.com]
  rules: [{backendRefs: [{name: page, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: secret-page, namespace: default}
spec:
  selector: {app: page}
  ports: [{port: 443, targetPort: http}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: page, namespace: default}
spec:
  targetRefs: [{group: '', kind: Service, name: secret-page}]
  validation: {hostname: page.example.com, wellKnownCACertificates: System}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: secret-page, namespace: default}
spec:
  parentRefs: [{name: door, sectionName: web}]
  hostnames: [secret.example.com]
  rules: [{backendRefs: [{name: secret-page, port: 443}]}]
";

/// Where each of them says that it is served.
const GATEWAY_STATUSES: [(&str, &str); 4] = [
    ("gateway/door", "listeners"),
    ("httproute/page", "parents"),
    ("grpcroute/page", "parents"),
    ("tlsroute/page", "parents"),
];

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

/// Passes when nothing that it asked for was refused, by its own word and by the API server's, and
/// nothing that it may is left over.
fn has_the_rights_it_needs(proof: &Proof, traefik: &Pod<'_>, options: &str) {
    let log = traefik.log();
    let complaint = log.lines().find(|line| line.contains("forbidden") || line.contains("Failed to watch"));
    assert_eq!(complaint, None, "{log}");
    Rights::of(proof, "traefik", options).check();
}

fn await_status(traefik: &mut Pod<'_>, proof: &Proof, ingress: &str) {
    traefik.until(&format!("{ingress} shows the address"), |_| {
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
    // Where the API server does not stream lists, as before Kubernetes 1.34, a watch begins with a list: so both verbs
    // are seen to be needed.
    let wishes = Wishes {
        arguments: ["--extra-args", "kube-apiserver=feature-gates=WatchList=false"]
            .map(str::to_string)
            .to_vec(),
        manifests: vec![PAGE.to_string()],
    };
    let Some(proof) = Proof::start_with("proof-traefik", &wishes) else { return };
    let page = proof.play("default", "deployment/page", &addon_binaries().join("stagehand"));

    let mut traefik = up(&proof, "{service: {type: LoadBalancer}}", None);
    let answer = traefik.await_answer(HTTP, "http://page.example.com/hello", 200);
    assert_eq!(answer.body, "the-page page.example.com /hello\n");
    traefik.await_answer(HTTP, "http://other.example.com/", 404);
    traefik.await_answer(HTTPS, "https://page.example.com/", 200);
    let metrics = traefik.at("metrics");
    traefik.await_answer(&metrics, "http://traefik/metrics", 200);
    await_status(&mut traefik, &proof, "ingress/page");
    has_the_rights_it_needs(&proof, &traefik, "default");

    proof.apply(&certificate("first"));
    proof.apply(NGINX_INGRESS);
    let options =
        "{service: {type: LoadBalancer}, nginx: {ingressClass: true}, defaultCertificate: wildcard}";
    let mut traefik = up(&proof, options, Some(traefik));
    let rewritten = traefik.await_answer(HTTP, "http://old.example.com/old/page", 200);
    assert_eq!(rewritten.body, "the-page old.example.com /new/page\n");
    traefik.await_answer(HTTP, "http://page.example.com/", 200);
    await_status(&mut traefik, &proof, "ingress/old-page");
    shows_certificate(&mut traefik, &proof, "first");
    proof.apply(&certificate("second"));
    shows_certificate(&mut traefik, &proof, "second");
    has_the_rights_it_needs(&proof, &traefik, "nginx");

    keep_downloads(&proof);
    let mut traefik = up(&proof, "{service: {type: LoadBalancer}, gateway: true}", Some(traefik));
    proof.apply(GATEWAY);
    let routed = traefik.await_answer(HTTP, "http://routed.example.com/hello", 200);
    assert_eq!(routed.body, "the-page routed.example.com /hello\n");
    for (object, list) in GATEWAY_STATUSES {
        traefik.until(&format!("{object} has a status"), |_| {
            let status = proof.object("default", object)?["status"].take();
            (status[list][0]["conditions"][0]["status"] == "True").then_some(())
        });
    }
    let gateway = proof.object("default", "gateway/door").expect("it has a status");
    assert_eq!(gateway["status"]["addresses"][0]["value"], ADDRESS);
    has_the_rights_it_needs(&proof, &traefik, "gateway");
    drop(page);
}

/// Puts the definitions of Gateway API where berth keeps what it has downloaded.
fn keep_downloads(proof: &Proof) {
    let kept = proof.berth.home().join(".cache/berth/downloads");
    fs::create_dir_all(&kept).expect("ours");
    for file in fs::read_dir(addon_binaries().join("gateway-api")).expect("the script makes it") {
        let content = fs::read(file.expect("it can be listed").path()).expect("the script makes it");
        let hash = Sha256::digest(&content);
        fs::write(kept.join(format!("{hash:x}")), content).expect("ours");
    }
}

fn shows_certificate(traefik: &mut Pod<'_>, proof: &Proof, common_name: &str) {
    traefik.until(&format!("the certificate is the {common_name} one"), |_| {
        let answer = proof.machine.get(HTTPS, "https://page.example.com/")?;
        (answer.certificate.as_deref() == Some(common_name)).then_some(())
    });
}
