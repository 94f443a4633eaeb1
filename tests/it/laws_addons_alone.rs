//! Laws of addons whose objects concern the whole cluster: on a control plane of their own, one at a
//! time.

use rustix::process::Signal;

use super::laws::settles;
use super::support::{AddonEnvironment, ControlPlane, Tenant, eventually};

#[test]
fn an_aggregated_api_that_is_down_holds_up_neither_plan_nor_down() {
    let (_turn, plane) = ControlPlane::alone();
    let addon = AddonEnvironment::on(plane, "addon-down-api");
    addon.declare_beside(&[Tenant::new("one")], true);
    let service = format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: nobody, namespace: {}}}, spec: {{ports: [{{port: 443}}]}}}}",
        addon.namespace
    );
    let api = format!(
        "{{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {{name: v1.{0}}}, spec: {{group: {0}, \
         version: v1, groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true, caBundle: \"\", \
         service: {{name: nobody, namespace: {1}}}}}}}",
        addon.group, addon.namespace
    );
    addon.manifests(&[addon.home(), service, api.clone()]);
    let mut up = addon.start("up");
    up.until_told(&format!("APIService v1.{}: not available", addon.group));
    // All the rest is made beside it.
    eventually("nothing is left to be made", || {
        (addon.run("plan", &["--detailed-exitcode"]).code == Some(0)).then_some(())
    });
    let tenant = format!("namespace/{}", addon.environment.namespace("one"));
    assert_eq!(addon.field("default", &tenant, ".status.phase"), "Active");
    up.signal(Signal::INT);
    up.finish().expect(130);

    // What a controller fills in is its own.
    let name = format!("apiservice/v1.{}", addon.group);
    addon.patch(&name, "{\"spec\":{\"insecureSkipTLSVerify\":false,\"caBundle\":\"QUJD\"}}");
    let plan = addon.run("plan", &["--detailed-exitcode"]).expect(2);
    assert!(
        plan.stdout.contains("insecureSkipTLSVerify") && !plan.stdout.contains("caBundle"),
        "{}",
        plan.said()
    );

    // A kind of that API is one that nothing serves, and nobody waits for its answer.
    addon.manifests(&[addon.home(), api, addon.gadget("one", 1)]);
    let plan = addon.run("plan", &[]).expect(0);
    assert!(plan.stdout.contains("nothing in the cluster serves `Gadget`"), "{}", plan.said());

    addon.proxy.forget();
    addon.down().expect(0);
    let left = addon.inventory().titles();
    assert!(left.is_empty(), "{left:?}");
    let deletes: Vec<String> = addon.proxy.log().of("delete").iter().map(|one| one.title()).collect();
    let place = |words: &str| deletes.iter().position(|title| title.contains(words)).expect("it was deleted");
    assert!(place("apiservices") < place(&addon.namespace), "{deletes:?}");
}

#[test]
fn a_second_default_class_beside_somebody_elses_is_refused() {
    let (_turn, plane) = ControlPlane::alone();
    let addon = AddonEnvironment::on(plane, "addon-default");
    let class = |name: &str, default: bool| {
        format!(
            "{{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {{name: {name}, annotations: \
             {{ingressclass.kubernetes.io/is-default-class: \"{default}\"}}}}, spec: {{controller: example.org/{name}}}}}"
        )
    };
    plane.apply_as("kubectl", &class("theirs", true));
    addon.manifests(&[addon.home(), class("gadgets", true)]);
    let why = "IngressClass theirs is the default already, and somebody else made it";
    let plan = addon.run("plan", &[]).expect(0);
    assert!(plan.stdout.contains(why), "{}", plan.said());
    let refused = addon.up().expect(8);
    assert!(
        refused.stderr.contains("IngressClass theirs") && !refused.stderr.contains("--adopt"),
        "{}",
        refused.said()
    );
    addon.manifests(&[addon.home(), class("gadgets", false)]);
    addon.up().expect(0);
    addon.manifests(&[addon.home(), class("gadgets", true)]);
    addon.up().expect(8);
    plane.kubectl(&["delete", "ingressclass/theirs"]).expect(0);
    addon.up().expect(0);
    settles(&addon);
}
