//! Load balancer, ingress and metrics of a lab, asked from this machine as its user would.

use std::process::Command;

use crate::lab::Lab;
use crate::support::{eventually, run};

const HOST: &str = "checkout.lab.test";

/// A pod that greets, behind a Service and an Ingress, in the tenant's namespace.
const WEB: &str = r#"{"apiVersion":"v1","kind":"List","items":[
{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"checkout-ns"},
 "spec":{"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},
  "spec":{"containers":[{"name":"web","image":"localhost/hello:v1","imagePullPolicy":"IfNotPresent",
   "securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"runAsNonRoot":true,
    "runAsUser":1000,"seccompProfile":{"type":"RuntimeDefault"}}}]}}}},
{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"checkout-ns"},
 "spec":{"selector":{"app":"web"},"ports":[{"port":80,"targetPort":8080}]}},
{"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"web","namespace":"checkout-ns"},
 "spec":{"rules":[{"host":"checkout.lab.test","http":{"paths":[{"path":"/","pathType":"Prefix",
  "backend":{"service":{"name":"web","port":{"number":80}}}}]}}]}}]}"#;

/// The profile: `ports` and `addons` as they are written there.
fn write_profile(lab: &Lab, ports: &str, addons: &str) {
    lab.profile(&format!(
        "cluster:\n  kind:\n    version: \"1.36\"\n    ports: {ports}\naddons: {addons}\n\
         tenantDefaults: {{podSecurity: restricted}}\ntenants:\n  - name: checkout\n    \
         namespaces: [checkout-ns]\n    groups: {{editor: [checkout-developers]}}\n    hosts: [{HOST}]\n"
    ));
}

/// The request that `up` ends with, word by word as a shell takes it.
fn request(printed: &str) -> Vec<String> {
    let line = printed.lines().find(|line| line.trim_start().starts_with("curl "));
    let line = line.unwrap_or_else(|| panic!("no request in\n{printed}"));
    let command = line.split(" # ").next().unwrap_or_default();
    command.split_whitespace().skip(1).map(str::to_string).collect()
}

/// Makes the request until it is answered with 200: the Ingress is a moment old.
fn is_answered(request: &[String]) {
    eventually("an answer of the host", || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--max-time", "5", "--noproxy", "*", "--output", "/dev/null"]);
        curl.args(["--write-out", "%{http_code}"]).args(request);
        (run(curl).stdout == "200").then_some(())
    });
}

fn serve(lab: &Lab) {
    let file = lab.work().join("web.json");
    std::fs::write(&file, WEB).expect("the folder is ours");
    lab.kubectl(&["apply", "-f", &file.display().to_string()]).expect(0);
    lab.kubectl(&["-n", "checkout-ns", "rollout", "status", "deployment/web", "--timeout=90s"]).expect(0);
}

#[test]
fn a_lab_has_an_address_a_host_and_metrics_and_keeps_its_pool() {
    let Some(lab) = Lab::start("addresses") else { return };
    write_profile(&lab, "[]", "{metrics-server: {}, traefik: {}, metallb: {addresses: auto}}");
    let first = lab.berth("up", &["--yes"]).expect(0);
    serve(&lab);
    let request = request(&first.stdout);
    assert_eq!(request[0], "--resolve", "{request:?}");
    is_answered(&request);
    lab.kubectl(&["top", "nodes"]).expect(0);
    let pool = || lab.kubectl_says(&["get", "ipaddresspools", "-A", "-o", "jsonpath={.items[*].spec}"]);
    let before = pool();
    let second = lab.berth("up", &["--yes"]).expect(0);
    assert!(second.stdout.contains("nothing had to change"), "{}", second.stdout);
    assert_eq!(pool(), before);
    is_answered(&request);

    // A pool that lies elsewhere is refused where it is written, with where it would have to lie, before anything changes.
    write_profile(&lab, "[]", "{metrics-server: {}, traefik: {}, metallb: {addresses: 192.0.2.0/28}}");
    for command in ["plan", "up"] {
        let refused = lab.berth(command, &[]).expect(3);
        let told = ".yaml:8:64: error: 192.0.2.0/28 lies outside of docker network `kind`";
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
        assert!(refused.stderr.contains("metallb: {addresses: 192.0.2.0/28}"), "{}", refused.stderr);
    }
    assert_eq!(pool(), before);

    // What others read of the pools while the cluster is stopped is as the pools are, also after a part was made alone.
    let node = lab.nodes().remove(0);
    let place = "/etc/berth/address-pools";
    let noted = || lab.docker_says(&["exec", &node, "cat", place]).matches("range ").count();
    assert_eq!(noted(), 1);
    lab.docker(&["exec", &node, "rm", place]).expect(0);
    write_profile(&lab, "[]", "{metrics-server: {}, traefik: {}, metallb: {addresses: auto}}");
    lab.berth("up", &["--yes", "--only", "addon/traefik"]).expect(0);
    lab.docker(&["exec", &node, "test", "!", "-e", place]).expect(0);
    lab.berth("up", &["--yes", "--only", "addon/metallb"]).expect(0);
    assert_eq!(noted(), 1);
    write_profile(&lab, "[]", "{metrics-server: {}, traefik: {}}");
    lab.berth("up", &["--yes"]).expect(0);
    assert_eq!(noted(), 0);
    lab.berth("plan", &["--detailed-exitcode"]).expect(0);
    lab.berth("down", &["--yes"]).expect(0);
}

#[test]
fn a_host_is_reached_through_a_port_of_this_machine_where_there_is_no_address() {
    let Some(lab) = Lab::start("ports") else { return };
    write_profile(&lab, &format!("[{{host: {}, node: 80}}]", lab.port(0)), "{traefik: {}}");
    let up = lab.berth("up", &["--yes"]).expect(0);
    serve(&lab);
    let request = request(&up.stdout);
    assert_eq!(request[1], format!("{HOST}:{}:127.0.0.1", lab.port(0)));
    is_answered(&request);
    let verified = lab.berth("verify", &[]).expect(0);
    let at = format!("is served at http://127.0.0.1:{}/", lab.port(0));
    assert!(verified.stdout.contains(&at), "{}", verified.said());
    lab.berth("down", &["--yes"]).expect(0);
}
