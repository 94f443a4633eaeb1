//! docs/reference/addon-rights.md has every rule of every addon, also where the proofs that make it
//! cannot run.

use std::collections::BTreeSet;

use super::addons::on;
use super::support::{Grant, Rights};

const EXISTING: &str = "existing: {kubeconfig: /nonexistent, context: acme}";

/// The sections of the page, and the addon as its proof has it there.
const SECTIONS: [(&str, &str); 5] = [
    ("metallb", "metallb: {addresses: 192.0.2.16/28}"),
    ("metrics-server", "metrics-server: {}"),
    ("traefik", "traefik: {}"),
    ("traefik: gateway", "traefik: {gateway: true}"),
    ("traefik: nginx", "traefik: {nginx: {ingressClass: true}}"),
];

const EKS: &str = "eks: {region: eu-central-1, version: \"1.36\"}";

/// Addons whose programs cannot be built from Go modules, so that nobody saw what they use: the module proxy refuses
/// `k8s.io/autoscaler/cluster-autoscaler`. Each of their rules has its reason.
const UNPROVEN: [&str; 1] = ["cluster-autoscaler"];

/// Addons without a proof, so they may not have rights.
const WITHOUT_RIGHTS: [&str; 1] = ["nvidia-device-plugin"];

fn grants(addon: &str) -> BTreeSet<Grant> {
    let objects = on(EXISTING, addon);
    let roles = [objects.all("ClusterRole"), objects.all("Role")].concat();
    roles.iter().flat_map(Grant::all_of).collect()
}

#[test]
fn the_page_has_the_rules_that_are_rendered() {
    for (title, addon) in SECTIONS {
        let rendered = grants(addon);
        assert!(!rendered.is_empty(), "{addon}");
        let told = Rights::told_in(title);
        let missing: Vec<&Grant> = rendered.difference(&told).collect();
        assert!(missing.is_empty(), "section `{title}` lacks what is granted: {missing:#?}");
        // Roles that Kubernetes brings itself are in the page too.
        let gone: Vec<&Grant> =
            told.difference(&rendered).filter(|grant| !grant.is_of_kubernetes()).collect();
        assert!(gone.is_empty(), "section `{title}` has what is not granted: {gone:#?}");
    }
}

#[test]
fn a_rule_that_no_proof_can_see_used_has_its_reason() {
    for addon in UNPROVEN {
        let objects = on(EKS, &format!("{addon}: {{}}"));
        Rights::unproven(addon, &[objects.all("ClusterRole"), objects.all("Role")].concat()).check();
    }
}

#[test]
fn an_addon_without_a_proof_has_no_rights() {
    for addon in berth::addons::shipped_names() {
        let is_told = SECTIONS.iter().any(|(title, _)| *title == addon) || UNPROVEN.contains(&addon.as_str());
        assert!(
            is_told || WITHOUT_RIGHTS.contains(&addon.as_str()),
            "the rights of {addon} are proven nowhere"
        );
    }
    for addon in WITHOUT_RIGHTS {
        assert_eq!(grants(&format!("{addon}: {{}}")), BTreeSet::new(), "{addon}");
    }
}
