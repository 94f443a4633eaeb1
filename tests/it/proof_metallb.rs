//! `MetalLB` itself, started as the pods that berth applied, with the rights of their accounts: it takes
//! the pool, gives an address of it to a Service, answers for it on the network, and refuses what is
//! no pool.

use super::support::{Proof, Rights, Running, addon_binaries, eventually};

/// The addresses of the one pool are those from .16 to .31.
const ADDON: &str = "{metallb: {addresses: 198.51.100.16/28}}";

/// Something that wants an address, with a pod behind it.
const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: example.com/web}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports: [{port: 80}]
";

const BAD_POOL: &str = "{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, \
     metadata: {name: bad, namespace: metallb-system}, spec: {addresses: [198.51.100.300/28]}}";

const OVERLAP: &str = "{apiVersion: metallb.io/v1beta1, kind: IPAddressPool, \
     metadata: {name: overlap, namespace: metallb-system}, spec: {addresses: [198.51.100.20-198.51.100.40]}}";

/// A router that nobody is, and that it is to hear of the addresses.
const ROUTER: &str = "apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: router, namespace: metallb-system}
spec: {myASN: 64512, peerASN: 64513, peerAddress: 198.51.100.2}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: router, namespace: metallb-system}
spec: {ipAddressPools: [default]}
";

/// A machine beside the node, on a wire to its interface `lan0`.
struct Neighbour<'a> {
    proof: &'a Proof,
}

impl<'a> Neighbour<'a> {
    fn new(proof: &'a Proof) -> Self {
        let neighbour = Self { proof };
        for step in [
            "netns add neighbour",
            "link add lan0 type veth peer name eth0 netns neighbour",
            "address add 198.51.100.1/24 dev lan0",
            "link set lan0 up",
            "-n neighbour address add 198.51.100.2/24 dev eth0",
            "-n neighbour link set eth0 up",
        ] {
            neighbour.ip(step);
        }
        neighbour
    }

    fn ip(&self, words: &str) -> String {
        self.proof.machine.must("ip", &words.split(' ').collect::<Vec<_>>())
    }

    /// The hardware address that answers for `address` on the wire, if any does.
    fn who_has(&self, address: &str) -> Option<String> {
        let stagehand = addon_binaries().join("stagehand").display().to_string();
        let (at, url) = (format!("{address}:80"), format!("http://{address}/"));
        let ask = ["netns", "exec", "neighbour", &stagehand, "get", &at, &url];
        // Nobody serves anything there: that it is asked for is enough.
        let asking = Running::start(self.proof.machine.command("ip", &ask));
        let told = eventually("the neighbour has asked for the address", || {
            let known = self.ip(&format!("-n neighbour neigh show {address}"));
            (known.contains("lladdr") || known.contains("FAILED")).then_some(known)
        });
        drop(asking);
        let words: Vec<&str> = told.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "lladdr")?;
        words.get(at + 1).map(|address| (*address).to_string())
    }

    fn own_hardware_address(&self) -> String {
        let link = self.ip("link show lan0");
        let words: Vec<&str> = link.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "link/ether").expect("it is a wire");
        words[at + 1].to_string()
    }
}

#[test]
fn metallb_gives_and_announces_addresses_with_the_rights_it_has() {
    let Some(proof) = Proof::start("proof-metallb") else { return };
    let neighbour = Neighbour::new(&proof);
    proof.declare(ADDON);
    // `up` goes on once the webhook, which makes its own certificate, answers for the pool.
    let up = proof.start_up();
    let namespace = "metallb-system";
    let mut controller = proof.play(namespace, "deployment/controller", &addon_binaries().join("controller"));
    proof.play_service(namespace, "metallb-webhook-service", &controller);
    up.finish().expect(0);
    controller.await_ready();

    // What the controller has written into our objects is its own.
    let webhooks = proof.object("", "validatingwebhookconfiguration/metallb-webhook-configuration").unwrap();
    assert!(webhooks["webhooks"][0]["clientConfig"]["caBundle"].is_string(), "{webhooks}");
    let certificate = proof.object(namespace, "secret/metallb-webhook-cert").unwrap();
    assert!(certificate["data"]["tls.crt"].is_string(), "the controller fills it");
    let peers = proof.object("", "customresourcedefinition/bgppeers.metallb.io").unwrap();
    assert!(peers["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"].is_string(), "{peers}");
    proof.run("plan", &["--detailed-exitcode"]).expect(0);

    proof.apply(WEB);
    let address = eventually("the Service has an address", || {
        let service = proof.object("default", "service/web")?;
        service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str().map(str::to_string)
    });
    assert_eq!(address, "198.51.100.16");
    for (pool, because) in [(BAD_POOL, "invalid CIDR"), (OVERLAP, "overlaps")] {
        let refused = proof.try_to_apply(pool).expect(1).stderr;
        assert!(refused.contains("denied the request") && refused.contains(because), "{refused}");
    }

    assert_eq!(neighbour.who_has(&address), None, "nobody announces it yet");
    let mut speaker = proof.play(namespace, "daemonset/speaker", &addon_binaries().join("speaker"));
    speaker.await_ready();
    eventually("the speaker answers for the address", || {
        let answers = neighbour.who_has(&address)?;
        (answers == neighbour.own_hardware_address()).then_some(())
    });
    for name in ["controller", "speaker-node-1"] {
        eventually(&format!("the configuration is valid for {name}"), || {
            let state = proof.object(namespace, &format!("configurationstate/{name}"))?;
            (state["status"]["result"] == "Valid").then_some(())
        });
    }
    // What others configure beside berth's pools stands, and the speaker tells what it does with it.
    proof.apply(ROUTER);
    let statuses = |kind: &str| proof.kubectl(&["-n", namespace, "get", kind, "-o", "yaml"]).expect(0).stdout;
    for kind in ["servicel2statuses", "servicebgpstatuses"] {
        eventually(&format!("{kind} say who announces it"), || {
            statuses(kind).contains("node: node-1").then_some(())
        });
    }
    proof.run("plan", &["--detailed-exitcode"]).expect(0);

    // A Service that goes gives its address back.
    proof.kubectl(&["delete", "service", "web"]).expect(0);
    for kind in ["servicel2statuses", "servicebgpstatuses"] {
        eventually(&format!("no {kind} are left"), || statuses(kind).contains("items: []").then_some(()));
    }

    for program in [&controller, &speaker] {
        assert!(!program.log().contains("forbidden"), "{}", program.log());
    }
    Rights::of(&proof, "metallb", "default").check();

    let down = proof.run("down", &["--yes", "--prune-crds"]).expect(0);
    let left = proof.kubectl(&[
        "get",
        "namespaces,customresourcedefinitions,clusterroles,validatingwebhookconfigurations",
    ]);
    assert!(!left.expect(0).stdout.contains("metallb"), "{}", down.said());
}
