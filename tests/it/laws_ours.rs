//! What is not ours is not touched; what is ours is kept as the profile says.

use super::laws::{platform_writes, settles};
use super::support::{Environment, Tenant};

/// A stranger's object, before and after: who made it, and that nothing changed.
struct Stranger<'a> {
    environment: &'a Environment,
    namespace: String,
    object: String,
    uid_and_version: String,
}

impl<'a> Stranger<'a> {
    /// Remembers an object that stands.
    fn standing(environment: &'a Environment, namespace: &str, object: &str) -> Self {
        let uid_and_version = Self::look(environment, namespace, object);
        assert!(!uid_and_version.is_empty(), "{object} does not stand");
        Self { environment, namespace: namespace.to_string(), object: object.to_string(), uid_and_version }
    }

    fn look(environment: &Environment, namespace: &str, object: &str) -> String {
        environment.field(
            namespace,
            object,
            ".metadata.uid}{.metadata.resourceVersion}{.metadata.deletionTimestamp",
        )
    }

    fn assert_untouched(&self, after: &str) {
        let now = Self::look(self.environment, &self.namespace, &self.object);
        assert_eq!(now, self.uid_and_version, "{} was touched by {after}", self.object);
    }
}

/// Labels as berth writes them, for somebody who copies them.
fn copied_labels(environment: &Environment) -> String {
    format!(
        "{{berth.dev/owner: {}, berth.dev/environment: {}, berth.dev/set: tenants, berth.dev/tenant: one}}",
        environment.id, environment.name
    )
}

#[test]
fn a_namespace_of_our_name_that_is_not_ours_is_never_taken() {
    let environment = Environment::new("law-foreign-ns");
    let namespace = environment.namespace("one");
    environment.plane.kubectl(&["create", "namespace", &namespace]).expect(0);
    let object = format!("namespace/{namespace}");
    let stranger = Stranger::standing(&environment, &namespace, &object);
    let refused = environment.up().expect(8);
    assert!(refused.stderr.contains(&namespace) && refused.stderr.contains("--adopt"), "{}", refused.said());
    stranger.assert_untouched("up");
    assert_eq!(
        environment.field(
            &namespace,
            "resourcequotas,networkpolicies,limitranges",
            ".items[*].metadata.name"
        ),
        ""
    );
    environment.down().expect(0);
    stranger.assert_untouched("down");
    environment.plane.kubectl(&["delete", "namespace", &namespace, "--wait=false"]).expect(0);
}

#[test]
fn a_namespace_with_copied_labels_is_never_taken() {
    let environment = Environment::new("law-copied-ns");
    let namespace = environment.namespace("one");
    let labels = copied_labels(&environment);
    environment.plane.apply_as(
        "kubectl",
        &format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}, labels: {labels}}}}}"),
    );
    let object = format!("namespace/{namespace}");
    let stranger = Stranger::standing(&environment, &namespace, &object);
    environment.up().expect(8);
    stranger.assert_untouched("up");
    environment.down();
    stranger.assert_untouched("down");
}

#[test]
fn a_cluster_role_of_our_name_that_is_not_ours_is_never_taken() {
    let environment = Environment::new("law-foreign-role");
    let name = format!("berth-tenant-editor-{}", environment.id);
    environment.plane.kubectl(&["create", "clusterrole", &name, "--verb=get", "--resource=pods"]).expect(0);
    let object = format!("clusterrole/{name}");
    let stranger = Stranger::standing(&environment, "default", &object);
    let refused = environment.up().expect(8);
    assert!(refused.stderr.contains(&name), "{}", refused.said());
    stranger.assert_untouched("up");
    environment.down().expect(0);
    stranger.assert_untouched("down");
    environment.plane.kubectl(&["delete", "clusterrole", &name]).expect(0);
}

#[test]
fn an_object_that_carries_copied_labels_is_never_pruned_or_removed() {
    let environment = Environment::new("law-copied");
    environment.up().expect(0);
    let elsewhere = "law-copied-elsewhere";
    environment.plane.kubectl(&["create", "namespace", elsewhere]).expect(0);
    let labels = copied_labels(&environment);
    let manifest = format!(
        "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: copy, namespace: {elsewhere}, \
         labels: {labels}}}, spec: {{podSelector: {{}}, policyTypes: [Ingress]}}}}"
    );
    environment.plane.apply_as("kubectl", &manifest);
    let stranger = Stranger::standing(&environment, elsewhere, "networkpolicy/copy");
    environment.proxy.forget();
    environment.up().expect(0);
    assert_eq!(platform_writes(&environment), [""; 0]);
    stranger.assert_untouched("up");
    environment.down();
    stranger.assert_untouched("down");
    assert_eq!(environment.platform().titles().len(), 1, "{:?}", environment.platform().titles());
    environment.plane.kubectl(&["delete", "namespace", elsewhere, "--wait=false"]).expect(0);
}

#[test]
fn an_edited_field_of_ours_is_set_right_and_a_field_of_others_is_left() {
    let environment = Environment::new("law-drift");
    environment.up().expect(0);
    let namespace = environment.namespace("one");
    let edit = |object: &str, patch: &str| {
        let arguments =
            ["-n", &namespace, "patch", object, "--type=merge", "--field-manager=kubectl-edit", "-p", patch];
        environment.plane.kubectl(&arguments).expect(0);
    };
    let theirs = r#"{"metadata":{"annotations":{"team":"blue"},"labels":{"cost":"7"}}}"#;
    edit(&format!("namespace/{namespace}"), theirs);
    environment.proxy.forget();
    environment.up().expect(0);
    assert_eq!(platform_writes(&environment), [""; 0], "what others added is no drift");
    let metadata =
        environment.field("default", &format!("namespace/{namespace}"), ".metadata.annotations.team");
    assert_eq!(metadata, "blue");

    let quota = environment.field(&namespace, "resourcequota", ".items[0].metadata.name");
    edit(
        &format!("resourcequota/{quota}"),
        r#"{"spec":{"hard":{"requests.cpu":"99","count/jobs.batch":"3"}}}"#,
    );
    let plan = environment.run("plan", &["--detailed-exitcode"]).expect(2);
    assert!(plan.stdout.contains("requests.cpu"), "{}", plan.said());
    environment.proxy.forget();
    environment.up().expect(0);
    assert_eq!(platform_writes(&environment).len(), 1, "{:?}", platform_writes(&environment));
    let hard = environment.field(&namespace, &format!("resourcequota/{quota}"), ".spec.hard");
    assert!(hard.contains(r#""requests.cpu":"10""#) && hard.contains(r#""count/jobs.batch":"3""#), "{hard}");
    settles(&environment);
}

#[test]
fn a_removed_object_of_ours_comes_back() {
    let environment = Environment::new("law-removed");
    environment.up().expect(0);
    let wanted = environment.platform();
    let namespace = environment.namespace("two");
    environment
        .plane
        .kubectl(&["-n", &namespace, "delete", "networkpolicies,limitranges", "--all"])
        .expect(0);
    environment.run("plan", &["--detailed-exitcode"]).expect(2);
    environment.up().expect(0);
    assert_eq!(environment.platform(), wanted);
}

#[test]
fn another_apply_manager_is_a_conflict_that_names_manager_and_path() {
    let environment = Environment::new("law-conflict");
    environment.up().expect(0);
    let namespace = environment.namespace("one");
    let quota = environment.field(&namespace, "resourcequota", ".items[0].metadata.name");
    let manifest = format!(
        "{{apiVersion: v1, kind: ResourceQuota, metadata: {{name: {quota}, namespace: {namespace}}}, \
         spec: {{hard: {{requests.cpu: \"11\"}}}}}}"
    );
    let file = environment.berth.work().join("quota.yaml");
    std::fs::write(&file, manifest).expect("the folder is ours");
    let file = file.display().to_string();
    let apply = ["apply", "--server-side", "--force-conflicts", "--field-manager=argocd", "-f", &file];
    environment.plane.kubectl(&apply).expect(0);

    let refused = environment.up().expect(8);
    for words in ["argocd", "requests.cpu", "--force-conflicts"] {
        assert!(refused.stderr.contains(words), "it does not say `{words}`: {}", refused.said());
    }
    let object = format!("resourcequota/{quota}");
    assert!(environment.field(&namespace, &object, ".spec.hard").contains(r#""requests.cpu":"11""#));
    environment.run("up", &["--yes", "--force-conflicts"]).expect(0);
    assert!(environment.field(&namespace, &object, ".spec.hard").contains(r#""requests.cpu":"10""#));
}

#[test]
fn a_tenant_that_leaves_stays_guarded() {
    let environment = Environment::new("law-leaves");
    environment.up().expect(0);
    let namespace = environment.namespace("two");
    let of_two = |environment: &Environment| {
        let mut titles = environment.inventory();
        titles.0.retain(|title, _| title.contains(&namespace));
        titles
            .0
            .into_iter()
            .map(|(title, object)| (title, object["metadata"]["uid"].to_string()))
            .collect::<Vec<_>>()
    };
    let (bindings, guards): (Vec<_>, Vec<_>) =
        of_two(&environment).into_iter().partition(|(title, _)| title.starts_with("RoleBinding "));
    assert!(bindings.len() >= 2 && guards.len() >= 5, "{bindings:?} {guards:?}");

    environment.declare(&[Tenant::new("one")]);
    environment.proxy.forget();
    environment.up().expect(0);
    assert_eq!(of_two(&environment), guards, "only the bindings go, and nothing is made anew");
    let written = platform_writes(&environment);
    assert!(written.iter().all(|title| title.contains("rolebindings")), "{written:?}");
    assert_eq!(written.len(), bindings.len());

    let plan = environment.run("plan", &["--detailed-exitcode"]).expect(0);
    assert!(plan.stdout.contains("cordoned"), "{}", plan.said());

    environment.declare(&[]);
    environment.up().expect(0);
    assert_eq!(of_two(&environment), guards, "nor does the last tenant that leaves open its namespace");

    environment.declare(&[Tenant::new("one"), Tenant::new("two")]);
    environment.up().expect(0);
    assert_eq!(of_two(&environment).len(), bindings.len() + guards.len());
    settles(&environment);
}
