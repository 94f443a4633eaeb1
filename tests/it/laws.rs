//! The laws of the product on a real control plane: what is so after `up`, after a second `up`,
//! after `down`, and when the API server has a bad day.

use std::collections::BTreeMap;
use std::time::Duration;

use super::support::{Action, Environment, Matching, Rule, Tenant, Turn};

#[test]
fn up_twice_writes_nothing_the_second_time() {
    let environment = Environment::new("law-twice");
    environment.up().expect(0);
    environment.proxy.forget();
    environment.up().expect(0);
    let log = environment.proxy.log();
    assert_eq!(log.write_titles(), [""; 0]);
    let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in log.of("list") {
        lists.entry(format!("{}.{}", request.resource, request.group)).or_default().push(request.uri.clone());
    }
    assert!(lists.len() >= 6, "these kinds were listed: {lists:?}");
    assert!(lists.values().all(|uris| uris.len() == 1), "a kind was listed more than once: {lists:#?}");
    let looked_at: Vec<String> = log
        .of("get")
        .iter()
        .filter(|request| request.namespace.starts_with(&environment.name))
        .map(|request| request.title())
        .collect();
    assert_eq!(looked_at, [""; 0], "objects were asked for one by one");
}

#[test]
fn plan_says_what_up_would_do_and_writes_nothing() {
    let environment = Environment::new("law-plan");
    let plan = environment.run("plan", &["--detailed-exitcode"]).expect(2);
    assert!(plan.stdout.contains(&environment.namespace("one")), "{}", plan.said());
    assert_eq!(environment.proxy.log().write_titles(), [""; 0]);
    assert!(environment.inventory().titles().is_empty());
    environment.up().expect(0);
    environment.run("plan", &["--detailed-exitcode"]).expect(0);
}

#[test]
fn down_leaves_nothing_and_may_be_repeated() {
    let environment = Environment::new("law-down");
    environment.up().expect(0);
    assert!(environment.platform().titles().len() > 10, "{:?}", environment.platform().titles());
    environment.down().expect(0);
    assert!(environment.inventory().titles().is_empty(), "{:?}", environment.inventory().titles());
    environment.proxy.forget();
    environment.down().expect(0);
    // Their namespace may be another environment's by now, or nobody's, and then whoever ends last removes it.
    assert_eq!(platform_writes(&environment), [""; 0]);
}

#[test]
fn every_write_carries_the_field_manager_and_the_mark() {
    let environment = Environment::new("law-mark");
    environment.up().expect(0);
    for (title, object) in environment.inventory().0 {
        assert_eq!(
            object["metadata"]["labels"]["berth.dev/environment"],
            environment.name.as_str(),
            "{title}"
        );
    }
    for request in environment.proxy.log().writes() {
        if request.verb == "patch" && request.namespace != "berth-system" {
            assert!(request.uri.contains("fieldManager=berth"), "{}", request.uri);
            assert!(request.uri.contains("fieldValidation=Strict"), "{}", request.uri);
        }
    }
    let of_its_tenants = |event: &serde_json::Value| {
        let namespace = event["objectRef"]["namespace"].as_str().unwrap_or_default();
        event["verb"] == "patch" && namespace.starts_with(&environment.name)
    };
    let events = environment.plane.audit_log();
    let agents: Vec<&str> =
        events.iter().filter(|event| of_its_tenants(event)).filter_map(|e| e["userAgent"].as_str()).collect();
    assert!(agents.iter().any(|agent| agent.starts_with("berth/")), "the audit log names {agents:?}");
}

#[test]
fn an_api_server_that_asks_for_fewer_requests_gets_what_it_wants() {
    let environment = Environment::new("law-storm-429");
    let storm = |period, action| Rule::new(Matching::default(), Turn::Every(period), action);
    environment.proxy.obey(vec![storm(6, Action::Refuse(429, Some(1))), storm(5, Action::Refuse(503, None))]);
    environment.up().expect(0);
    assert!(environment.proxy.fired().iter().all(|times| *times > 1), "{:?}", environment.proxy.fired());
    settles(&environment);
}

#[test]
fn connections_that_break_after_the_commit_do_no_harm() {
    let environment = Environment::new("law-storm-reset");
    let writes = |period, action| Rule::new(Matching::mutating(), Turn::Every(period), action);
    environment.proxy.obey(vec![writes(3, Action::ResetAfter), writes(4, Action::ResetBefore)]);
    environment.up().expect(0);
    assert!(environment.proxy.fired().iter().all(|times| *times > 1), "{:?}", environment.proxy.fired());
    settles(&environment);
}

#[test]
fn a_server_that_hangs_is_given_up_at_the_deadline_and_up_resumes() {
    let environment = Environment::new("law-hang");
    environment.proxy.obey(vec![Rule::new(Matching::mutating(), Turn::Always, Action::Hang)]);
    let late = environment.run("up", &["--yes", "--timeout", "4s"]).expect(7);
    assert!(late.took >= Duration::from_secs(4) && late.took < Duration::from_mins(2), "{:?}", late.took);
    environment.proxy.obey(Vec::new());
    environment.up().expect(0);
    settles(&environment);
}

#[test]
fn a_field_that_leaves_the_profile_leaves_the_object() {
    const KEY: &str = "requests.ephemeral-storage";
    let environment = Environment::new("law-field");
    let mut more = Tenant::new("one");
    more.quota.push((KEY, "7Gi"));
    environment.declare(&[more, Tenant::new("two")]);
    environment.up().expect(0);
    let hard = || environment.field(&environment.namespace("one"), "resourcequota", ".items[0].spec.hard");
    assert!(hard().contains(KEY), "{}", hard());

    environment.declare(&[Tenant::new("one"), Tenant::new("two")]);
    let plan = environment.run("plan", &["--detailed-exitcode"]).expect(2);
    assert!(plan.stdout.contains(KEY), "{}", plan.said());
    environment.proxy.forget();
    environment.up().expect(0);
    assert!(!hard().contains(KEY), "{}", hard());
    let written = platform_writes(&environment);
    assert_eq!(written.len(), 1, "{written:?}");
    settles(&environment);
}

/// The writes that were not for the records of the run.
pub fn platform_writes(environment: &Environment) -> Vec<String> {
    let log = environment.proxy.log();
    let writes = log.writes();
    writes
        .into_iter()
        .filter(|request| request.namespace != "berth-system" && request.name != "berth-system")
        .map(super::support::Request::title)
        .collect()
}

/// Passes when a second `up` finds nothing to do and `down` leaves nothing.
pub fn settles(environment: &Environment) {
    environment.proxy.obey(Vec::new());
    environment.proxy.forget();
    environment.up().expect(0);
    assert_eq!(environment.proxy.log().write_titles(), [""; 0], "the second `up` wrote");
    environment.down().expect(0);
    let left = environment.inventory().titles();
    assert!(left.is_empty(), "`down` left {left:?}");
}
