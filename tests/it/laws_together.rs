//! Two runs at once.

use super::laws::settles;
use super::support::{Action, Berth, Environment, Matching, Rule, Tenant, Turn};

#[test]
fn two_ups_of_one_home_make_one_platform() {
    let environment = Environment::new("law-two-one-home");
    let arguments = ["up", environment.name.as_str(), "--yes"];
    let (one, other) = (environment.berth.start(&arguments), environment.berth.start(&arguments));
    both_end_well(&[one.finish(), other.finish()], &environment);
}

#[test]
fn two_ups_of_two_homes_make_one_platform() {
    let environment = Environment::new("law-two-homes");
    let second_home = Berth::new().with_variable("USER", "grace");
    environment.write_profile(&second_home, &[Tenant::new("one"), Tenant::new("two")]);
    let arguments = ["up", environment.name.as_str(), "--yes"];
    let (one, other) = (environment.berth.start(&arguments), second_home.start(&arguments));
    both_end_well(&[one.finish(), other.finish()], &environment);
}

#[test]
fn what_another_run_made_since_ours_was_listed_is_not_taken_for_a_strangers() {
    let environment = Environment::new("law-two-since");
    environment.up().expect(0);
    let quotas = Matching { resource: Some("resourcequotas"), ..Matching::verb("list") };
    let nothing_yet =
        Action::Say(r#"{"kind":"ResourceQuotaList","apiVersion":"v1","metadata":{},"items":[]}"#);
    environment.proxy.obey(vec![Rule::new(quotas, Turn::At(1), nothing_yet)]);
    let plan = environment.run("plan", &[]).expect(0);
    assert_eq!(environment.proxy.fired(), [1]);
    assert!(!plan.stdout.contains("somebody else"), "{}", plan.said());
    environment.proxy.obey(Vec::new());
    settles(&environment);
}

#[test]
fn up_and_down_at_once_leave_something_that_up_makes_whole() {
    let environment = Environment::new("law-up-down");
    environment.up().expect(0);
    let wanted = environment.platform();
    let up = environment.berth.start(&["up", &environment.name, "--yes"]);
    let down = environment.berth.start(&["down", &environment.name, "--yes"]);
    for ended in [up.finish(), down.finish()] {
        assert!(matches!(ended.code, Some(0 | 1 | 5 | 6)), "{}", ended.said());
    }
    environment.up().expect(0);
    assert_eq!(environment.platform(), wanted);
    settles(&environment);
}

/// One does the work; the other waits for it and finds it done, or says that it is locked out.
fn both_end_well(ended: &[super::support::Finished; 2], environment: &Environment) {
    assert!(ended.iter().any(|run| run.code == Some(0)), "{} {}", ended[0].said(), ended[1].said());
    for run in ended {
        assert!(matches!(run.code, Some(0 | 5)), "{}", run.said());
    }
    assert_eq!(
        environment.platform().titles().iter().filter(|title| title.starts_with("Namespace ")).count(),
        2
    );
    settles(environment);
}
