//! The life of an addon with custom resources: what waits for what, what goes before what, and what
//! is nobody's business but its owner's.

use super::laws::{platform_writes, settles};
use super::laws_kills::{golden, staircase};
use super::support::{Action, AddonEnvironment, Matching, Mood, Rule, Turn, Webhook, eventually};

/// A trusted authority in the manifest itself, so that nobody has to inject it.
fn trusted(webhook: &Webhook) -> String {
    format!(", caBundle: {}", webhook.authority())
}

#[test]
fn custom_resources_wait_until_their_webhook_answers() {
    let addon = AddonEnvironment::new("addon-waits");
    let webhook = Webhook::new(Mood::Allows);
    addon.manifests(&[
        addon.gadget("one", 1),
        addon.gadget("two", 2),
        addon.webhook(&webhook, ""),
        addon.deployment(0),
        addon.definition(),
        addon.home(),
    ]);
    let plan = addon.run("plan", &["--detailed-exitcode"]).expect(2);
    assert!(plan.stdout.contains("Gadget"), "what is held back is planned: {}", plan.said());
    assert_eq!(addon.dry_runs(), 0, "a plan tries nothing out");
    let running = addon.start("up");
    eventually("it tries the webhook", || (addon.dry_runs() >= 2).then_some(()));
    assert!(addon.gadgets().is_empty());
    addon.inject(&webhook);
    let up = running.finish().expect(0);
    let told = format!("webhook gadgets.{} does not answer yet: ", addon.group);
    assert!(up.stderr.contains(&told) && up.stderr.contains("x509"), "{}", up.said());
    assert_eq!(addon.gadgets().len(), 2);

    addon.proxy.forget();
    addon.run("plan", &["--detailed-exitcode"]).expect(0);
    addon.up().expect(0);
    assert_eq!((addon.dry_runs(), platform_writes(&addon)), (0, vec![]));
    settles(&addon);
}

#[test]
fn with_a_webhook_custom_resources_wait_for_the_program_that_answers_it() {
    let addon = AddonEnvironment::new("addon-program");
    let webhook = Webhook::new(Mood::Allows);
    let objects = |replicas| {
        let hook = addon.webhook(&webhook, &trusted(&webhook));
        [addon.home(), addon.definition(), addon.deployment(replicas), hook, addon.gadget("one", 1)]
    };
    addon.manifests(&objects(1));
    addon.start("up").stopped_once_told("0 of 1 pods available");
    assert!(addon.gadgets().is_empty());
    assert_eq!(addon.dry_runs(), 0);
    addon.manifests(&objects(0));
    addon.up().expect(0);
    assert_eq!(addon.gadgets().len(), 1);
    settles(&addon);
}

#[test]
fn what_a_webhook_refuses_is_told_in_its_words_and_nothing_is_forced() {
    let addon = AddonEnvironment::new("addon-refuses");
    let webhook = Webhook::new(Mood::Refuses("gadgets of size 1 fit nowhere"));
    let hook = addon.webhook(&webhook, &trusted(&webhook));
    addon.manifests(&[addon.home(), addon.definition(), hook, addon.gadget("one", 1)]);
    let refused = addon.up().expect(6);
    for words in ["denied the request", "gadgets of size 1 fit nowhere", "Gadget addon-refuses-gadgets/one"] {
        assert!(refused.stderr.contains(words), "it does not say `{words}`: {}", refused.said());
    }
    assert!(addon.gadgets().is_empty());
    webhook.set(Mood::Silent);
    addon.start("up").stopped_once_told("does not answer yet");
    webhook.set(Mood::Allows);
    addon.up().expect(0);
    assert_eq!(addon.gadgets().len(), 1);
    settles(&addon);
}

#[test]
fn custom_resources_are_gone_before_what_serves_them_goes() {
    let addon = AddonEnvironment::new("addon-order");
    let webhook = Webhook::new(Mood::Allows);
    let hook = addon.webhook(&webhook, &trusted(&webhook));
    addon.manifests(&[addon.home(), addon.definition(), addon.deployment(0), hook, addon.gadget("one", 1)]);
    addon.up().expect(0);
    let gadget = format!("gadgets.{}/one", addon.group);
    let hold = |finalizers: &str| {
        addon.patch(&gadget, &format!("{{\"metadata\":{{\"finalizers\":{finalizers}}}}}"));
    };
    hold("[\"example.org/held\"]");
    // By the profile first: the whole set left it.
    addon.declare(false);
    let told = "waiting for Gadget addon-order-gadgets/one to be gone (held by finalizer example.org/held)";
    addon.start("up").stopped_once_told(told);
    let still_there = addon.field(&addon.namespace, "deployment/gadgets", ".metadata.deletionTimestamp");
    assert_eq!(still_there, "", "its program lives on");
    assert_eq!(addon.field(&addon.namespace, "deployment/gadgets", ".metadata.name"), "gadgets");
    // And by `down`: the same order.
    addon.declare(true);
    addon.start("down").stopped_once_told(told);
    assert_eq!(addon.field(&addon.namespace, "deployment/gadgets", ".metadata.name"), "gadgets");
    hold("null");
    addon.proxy.forget();
    addon.down().expect(0);
    let left = addon.inventory().titles();
    assert!(left.is_empty(), "{left:?}");
    let deletes: Vec<String> =
        addon.proxy.log().of("delete").iter().map(|one| one.resource.clone()).collect();
    let place = |resource: &str| deletes.iter().position(|one| one == resource);
    assert!(place("customresourcedefinitions") < place("namespaces"), "{deletes:?}");
    assert!(place("customresourcedefinitions").is_some(), "{deletes:?}");
}

#[test]
fn a_definition_that_others_use_stays_and_is_told() {
    let addon = AddonEnvironment::new("addon-kept");
    addon.manifests(&[addon.home(), addon.definition(), addon.gadget("one", 1)]);
    addon.up().expect(0);
    let elsewhere = "addon-kept-elsewhere";
    addon.plane.kubectl(&["create", "namespace", elsewhere]).expect(0);
    addon.plane.apply_as("kubectl", &addon.gadget_in(elsewhere, "theirs", 7));

    addon.declare(false);
    let plan = addon.run("plan", &[]).expect(0);
    let count = "2 custom resources of its kind are in the cluster, 1 of them not made here";
    assert!(plan.stdout.contains(count) && plan.stdout.contains("kept"), "{}", plan.said());
    let plan = addon.run("plan", &["--prune-crds"]).expect(0);
    assert!(plan.stdout.contains(count) && plan.stdout.contains("delete"), "{}", plan.said());
    addon.up().expect(0);
    assert_eq!(addon.gadgets().len(), 1, "only ours went");

    addon.declare(true);
    addon.up().expect(0);
    let down = addon.down().expect(0);
    let definition = format!("CustomResourceDefinition gadgets.{}", addon.group);
    assert!(down.stdout.contains(&definition) && down.stdout.contains("--prune-crds"), "{}", down.said());
    assert_eq!(addon.inventory().titles().into_iter().collect::<Vec<_>>(), std::slice::from_ref(&definition));
    assert_eq!(addon.gadgets().len(), 1);

    // The addon has left the profile and the records are gone: it is found all the same, kept again, and goes.
    addon.declare(false);
    let down = addon.down().expect(0);
    assert!(down.stdout.contains(&definition), "{}", down.said());
    addon.run("down", &["--yes", "--prune-crds"]).expect(0);
    assert!(addon.inventory().titles().is_empty() && addon.gadgets().is_empty());
    addon.plane.kubectl(&["delete", "namespace", elsewhere, "--wait=false"]).expect(0);
}

#[test]
fn a_kind_of_somebody_elses_definition_is_found_by_asking_the_cluster() {
    let addon = AddonEnvironment::new("addon-asks");
    addon.manifests(&[addon.home(), addon.gadget("one", 1), addon.gadget("two", 1)]);
    let plan = addon.run("plan", &["--detailed-exitcode"]).expect(2);
    assert!(plan.stdout.contains("nothing in the cluster serves `Gadget`"), "{}", plan.said());
    let broken = addon.up().expect(6);
    let kind = format!("`Gadget` of `{}/v1`", addon.group);
    assert!(
        broken.stderr.contains(&kind) && broken.stderr.contains("custom resource definition"),
        "{}",
        broken.said()
    );

    addon.define_as_somebody_else();
    addon.proxy.forget();
    addon.up().expect(0);
    assert_eq!(addon.gadgets().len(), 2);
    let path = format!("/apis/{}/v1", addon.group);
    let asked = addon.proxy.log().0.iter().filter(|request| request.uri == path).count();
    assert_eq!(asked, 1, "the group is asked for once");
    addon.proxy.forget();
    addon.up().expect(0);
    assert_eq!((addon.dry_runs(), platform_writes(&addon)), (0, vec![]));

    let nowhere = addon.gadget("three", 1).replace(&format!(", namespace: {}", addon.namespace), "");
    addon.manifests(&[addon.home(), nowhere]);
    let refused = addon.run("plan", &[]).expect(1);
    assert!(refused.stderr.contains("Gadget three: `metadata.namespace` is missing"), "{}", refused.said());
    // What the cluster told once is known by its record: also when the addon left the profile.
    addon.declare(false);
    addon.up().expect(0);
    assert!(addon.gadgets().is_empty());
    addon.down().expect(0);
    addon.plane.kubectl(&["get", &format!("crd/gadgets.{}", addon.group)]).expect(0);
}

#[test]
fn what_cannot_be_asked_for_a_moment_is_not_taken_for_gone() {
    let addon = AddonEnvironment::new("addon-hiccup");
    addon.define_as_somebody_else();
    addon.manifests(&[addon.home(), addon.gadget("one", 1)]);
    addon.up().expect(0);
    let path: &'static str = format!("/apis/{}/v1", addon.group).leak();
    let asks = Matching { resource: Some(path), ..Matching::default() };
    addon.proxy.obey(vec![Rule::new(asks, Turn::Always, Action::Refuse(503, None))]);
    addon.run("plan", &["--detailed-exitcode"]).expect(0);
    assert!(addon.proxy.fired()[0] > 0, "it was not asked for");
    addon.up().expect(0);
    assert_eq!(addon.gadgets().len(), 1);
    settles(&addon);
}

#[test]
fn an_object_that_is_declared_in_another_version_of_its_kind_is_the_same_object() {
    let addon = AddonEnvironment::new("addon-versions");
    let older = addon.gadget("one", 1).replace("example.org/v1,", "example.org/v1beta1,");
    addon.manifests(&[addon.home(), addon.definition_of_both(), older]);
    addon.up().expect(0);
    let gadget = format!("gadgets.{}/one", addon.group);
    let uid = || addon.field(&addon.namespace, &gadget, ".metadata.uid}{.metadata.deletionTimestamp");
    let before = uid();
    addon.manifests(&[addon.home(), addon.definition_of_both(), addon.gadget("one", 1)]);
    addon.run("plan", &["--detailed-exitcode"]).expect(0);
    addon.manifests(&[addon.home(), addon.definition_of_both(), addon.gadget("one", 2)]);
    addon.up().expect(0);
    assert_eq!(addon.field(&addon.namespace, &gadget, ".spec.size"), "2");
    assert_eq!(uid(), before);
    settles(&addon);
}

#[test]
fn a_definition_of_somebody_else_is_never_taken() {
    let addon = AddonEnvironment::new("addon-theirs");
    addon.plane.apply_as("kubectl", &addon.definition());
    let definition = format!("crd/gadgets.{}", addon.group);
    let look = || addon.field("default", &definition, ".metadata.uid}{.metadata.deletionTimestamp");
    let before = look();
    addon.manifests(&[addon.home(), addon.definition(), addon.gadget("one", 1)]);
    let refused = addon.up().expect(8);
    let title = format!("CustomResourceDefinition gadgets.{}", addon.group);
    assert!(refused.stderr.contains(&title) && refused.stderr.contains("--adopt"), "{}", refused.said());
    addon.down().expect(0);
    assert_eq!(look(), before);
}

#[test]
fn what_controllers_fill_in_and_servers_leave_out_is_no_drift() {
    let addon = AddonEnvironment::new("addon-filled");
    let webhook = Webhook::new(Mood::Allows);
    let converting = addon.definition().replace(
        "preserveUnknownFields",
        "conversion: {strategy: Webhook, webhook: {conversionReviewVersions: [v1], clientConfig: {service: \
         {name: gadgets, namespace: default, path: /convert}}}}, preserveUnknownFields",
    );
    let secret = format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: certificate, namespace: {}}}}}",
        addon.namespace
    );
    let agent = addon
        .deployment(0)
        .replace("kind: Deployment", "kind: DaemonSet")
        .replace("replicas: 0, ", "")
        .replace("name: gadgets, namespace", "name: agent, namespace");
    addon.manifests(&[
        addon.home(),
        converting,
        secret,
        addon.deployment(0),
        agent,
        addon.webhook(&webhook, ", caBundle: \"\""),
    ]);
    addon.up().expect(0);
    addon.inject(&webhook);
    addon.patch("secret/certificate", "{\"stringData\": {\"tls.crt\": \"made at run time\"}}");
    let bundle = webhook.authority();
    let patch = format!(
        "{{\"spec\":{{\"conversion\":{{\"webhook\":{{\"clientConfig\":{{\"caBundle\":\"{bundle}\"}}}}}}}}}}"
    );
    addon.patch(&format!("crd/gadgets.{}", addon.group), &patch);
    addon.patch("deployment/gadgets", "{\"metadata\":{\"annotations\":{\"rollout\":\"7\"}}}");
    let plan = addon.run("plan", &["--detailed-exitcode"]).expect(0);
    assert!(!plan.stdout.contains("caBundle"), "{}", plan.said());
    settles(&addon);
}

#[test]
fn edits_by_hand_are_set_right_and_what_was_deleted_comes_back() {
    let addon = AddonEnvironment::new("addon-edited");
    addon.manifests(&[addon.home(), addon.definition(), addon.deployment(0), addon.gadget("one", 1)]);
    addon.up().expect(0);
    let wanted = addon.platform();
    addon.patch(&format!("gadgets.{}/one", addon.group), "{\"spec\":{\"size\":9}}");
    addon.patch("deployment/gadgets", "{\"spec\":{\"replicas\":3}}");
    let plan = addon.run("plan", &["--detailed-exitcode"]).expect(2);
    for path in ["spec.size", "spec.replicas"] {
        assert!(plan.stdout.contains(path), "it does not show `{path}`: {}", plan.said());
    }
    addon.up().expect(0);
    assert_eq!(addon.platform(), wanted);
    let definition = format!("crd/gadgets.{}", addon.group);
    addon.plane.kubectl(&["delete", &definition]).expect(0);
    addon.plane.kubectl(&["-n", &addon.namespace, "delete", "deployment/gadgets"]).expect(0);
    addon.up().expect(0);
    assert_eq!(addon.platform(), wanted);
    settles(&addon);
}

/// An addon with all that has to wait for something.
fn whole(name: &str) -> (AddonEnvironment, Webhook) {
    let addon = AddonEnvironment::new(name);
    let webhook = Webhook::new(Mood::Allows);
    let hook = addon.webhook(&webhook, &trusted(&webhook));
    addon.manifests(&[
        addon.home(),
        addon.definition(),
        addon.deployment(0),
        hook,
        addon.gadget("one", 1),
        addon.gadget("two", 2),
    ]);
    (addon, webhook)
}

#[test]
fn an_addon_that_was_half_made_is_finished() {
    for (name, kill_at) in
        [("addon-kill-up-b", Rule::kill_before as fn(usize) -> Rule), ("addon-kill-up-a", Rule::kill_after)]
    {
        let (addon, _webhook) = whole(name);
        let wanted = golden(&addon);
        let kills = staircase(&addon, "up", kill_at);
        assert!(kills >= 3, "only {kills} kills");
        assert_eq!(addon.platform(), wanted);
        settles(&addon);
    }
}

#[test]
fn an_addon_that_was_half_removed_is_removed() {
    for (name, kill_at) in [
        ("addon-kill-down-b", Rule::kill_before as fn(usize) -> Rule),
        ("addon-kill-down-a", Rule::kill_after),
    ] {
        let (addon, _webhook) = whole(name);
        addon.up().expect(0);
        let kills = staircase(&addon, "down", kill_at);
        assert!(kills >= 3, "only {kills} kills");
        let left = addon.inventory().titles();
        assert!(left.is_empty(), "`down` left {left:?}");
        addon.up().expect(0);
        settles(&addon);
    }
}
