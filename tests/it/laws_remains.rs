//! The end of `down` on a cluster of somebody else: it looks again, by the owner's mark, and claims
//! nothing that it did not see.

use super::support::Environment;

#[test]
fn an_object_that_a_finalizer_holds_is_named_and_no_success_is_claimed() {
    let environment = Environment::new("law-held");
    environment.up().expect(0);
    let role = format!("clusterrole/berth-tenant-editor-{}", environment.id);
    let hold = |finalizers: &str| {
        let patch = format!("{{\"metadata\":{{\"finalizers\":{finalizers}}}}}");
        let arguments = ["patch", &role, "--type=merge", "-p", &patch];
        environment.plane.kubectl(&arguments).expect(0);
    };
    hold("[\"example.org/held\"]");
    let down = environment.run("down", &["--yes", "--timeout", "20s"]).expect(7);
    hold("null");
    assert!(down.stdout.contains("ClusterRole berth-tenant-editor-"), "{}", down.said());
    assert!(down.stdout.contains("held by finalizer example.org/held"), "{}", down.said());
    assert!(!down.stdout.contains("is gone"), "{}", down.said());
    let down = environment.down().expect(0);
    assert!(down.stdout.contains("nothing is left but what is kept"), "{}", down.said());
}

#[test]
fn down_names_what_goes_out_of_a_cluster_that_stays_before_it_asks() {
    let environment = Environment::new("law-names");
    environment.up().expect(0);
    let refused = environment.run("down", &[]).expect(8);
    let namespaces: Vec<String> =
        environment.platform().titles().into_iter().filter(|title| title.starts_with("Namespace ")).collect();
    assert!(!namespaces.is_empty());
    for namespace in namespaces {
        assert!(refused.stdout.contains(&format!("{namespace}, with all in it")), "{}", refused.said());
    }
    environment.down().expect(0);
}

#[test]
fn an_object_of_ours_that_no_set_knows_is_found_by_its_mark() {
    let environment = Environment::new("law-stray");
    environment.up().expect(0);
    let elsewhere = "law-stray-elsewhere";
    environment.plane.kubectl(&["create", "namespace", elsewhere]).expect(0);
    let manifest = format!(
        "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: stray, namespace: {elsewhere}, \
         labels: {{berth.dev/owner: {}}}}}, spec: {{podSelector: {{}}, policyTypes: [Ingress]}}}}",
        environment.id
    );
    environment.plane.apply_as("berth", &manifest);
    let down = environment.down().expect(1);
    let title = format!("NetworkPolicy {elsewhere}/stray");
    assert!(down.stdout.contains(&title) && down.stdout.contains("it still stands"), "{}", down.said());
    assert_eq!(environment.platform().titles().into_iter().collect::<Vec<_>>(), [title]);
    environment.plane.kubectl(&["delete", "namespace", elsewhere]).expect(0);
    environment.down().expect(0);
}

#[test]
fn the_lock_of_an_environment_goes_also_when_its_record_went_before() {
    let environment = Environment::new("law-lock");
    environment.up().expect(0);
    let record = format!("configmap/berth-{}", environment.id);
    environment.plane.kubectl(&["--namespace", "berth-system", "delete", &record]).expect(0);
    environment.down().expect(0);
    let lock = format!("lease/berth-{}", environment.id);
    let left =
        environment.plane.kubectl(&["--namespace", "berth-system", "get", &lock, "--ignore-not-found"]);
    assert_eq!(left.expect(0).stdout, "");
}
