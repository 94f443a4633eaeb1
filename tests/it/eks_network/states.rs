//! Stacks that stopped, were taken back, or whose deletion stuck.

use super::*;

#[test]
fn a_stack_that_stopped_goes_on_from_there_and_tells_the_first_reason() {
    let scene = Scene::new();
    scene.aws.stuck("NatGatewayA", "create", "The maximum number of addresses has been reached", 1);
    let stopped = scene.play("up");
    let failed = texts(&stopped["failed"])[0].to_string();
    assert!(failed.starts_with("Quota"), "{failed}");
    assert!(
        failed.contains("NAT gateway `NatGatewayA`: The maximum number of addresses has been reached"),
        "{failed}"
    );
    // What others began to use is still there.
    let vpc = output(&stopped, "eks.vpc").to_string();
    assert_eq!(output(&stopped, "eks.subnets.private").split(',').count(), 3);
    assert_eq!(scene.status(), "CREATE_FAILED");
    let plan = scene.play("plan");
    assert!(plan["look"].as_str().is_some_and(|look| look.starts_with("Broken")), "{plan:#}");
    let (_, since) = scene.aws.calls(0);
    let whole = scene.up();
    assert_eq!(output(&whole, "eks.vpc"), vpc);
    assert_eq!(scene.changing(since), ["UpdateStack"]);
    scene.end();
}

#[test]
fn an_update_that_stopped_goes_on_in_the_same_run_when_the_reason_may_pass() {
    let scene = Scene::new();
    scene.up();
    scene.aws.stuck("NatGatewayB", "create", "Rate exceeded", 1);
    scene.profile(&PROFILE.replace("nat: single", "nat: per-zone"));
    let (_, since) = scene.aws.calls(0);
    scene.up();
    assert_eq!(scene.changing(since), ["UpdateStack", "UpdateStack"]);
    scene.end();
}

#[test]
fn a_stack_that_somebody_took_back_is_cleared_away_and_made_anew() {
    let scene = Scene::new();
    scene.aws.stuck("Vpc", "create", "no such luck", 1);
    let template =
        r#"{"Resources": {"Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}}}"#;
    let tags = ["Key=berth.dev/owner,Value=7f3k2q9d", "Key=berth.dev/environment,Value=dev"];
    let create = [
        "cloudformation",
        "create-stack",
        "--stack-name",
        "berth-dev",
        "--template-body",
        template,
        "--tags",
    ];
    scene.aws.cli(REGION, &[&create[..], &tags[..]].concat());
    scene.settled("ROLLBACK_COMPLETE");
    let plan = scene.play("plan");
    let first = texts(&plan["changes"])[0].to_string();
    assert!(
        first.contains("what is left of the last one is removed first: VPC `Vpc`: no such luck"),
        "{first}"
    );
    scene.up();
    assert_eq!(scene.status(), "CREATE_COMPLETE");
    scene.end();
}

#[test]
fn an_update_that_somebody_took_back_half_is_taken_back_whole_and_made_again() {
    let scene = Scene::new();
    scene.up();
    let found = scene.aws.cli(REGION, &["cloudformation", "get-template", "--stack-name", "berth-dev"]);
    let mut template = found["TemplateBody"].clone();
    template["Resources"]["Vpc"]["Properties"]["EnableDnsHostnames"] = false.into();
    scene.aws.scenario(&json!({"stuckResources": [
        {"logicalId": "Vpc", "on": "update", "reason": "it cannot be changed", "times": 1},
        {"logicalId": "Vpc", "on": "rollback", "reason": "it cannot be changed back", "times": 2},
    ]}));
    scene.aws.cli(
        REGION,
        &[
            "cloudformation",
            "update-stack",
            "--stack-name",
            "berth-dev",
            "--capabilities",
            "CAPABILITY_NAMED_IAM",
            "--template-body",
            &template.to_string(),
        ],
    );
    scene.settled("UPDATE_ROLLBACK_FAILED");
    scene.up();
    assert_eq!(scene.play("plan")["changes"], json!([]));
    scene.end();
}

#[test]
fn a_deletion_that_stuck_is_begun_again_and_one_that_stays_stuck_tells_why() {
    let scene = Scene::new();
    scene.up();
    scene.aws.stuck("Vpc", "delete", "The vpc 'vpc-1' has dependencies and cannot be deleted", 1);
    let gone = scene.play("down");
    assert_eq!((&gone["failed"], &gone["done"]), (&json!([]), &json!(1)), "{gone:#}");
    scene.up();
    scene.aws.stuck("Vpc", "delete", "The vpc 'vpc-1' has dependencies and cannot be deleted", 99);
    let stuck = scene.play("down");
    let failed = texts(&stuck["failed"])[0].to_string();
    assert!(failed.contains("VPC `Vpc`: The vpc 'vpc-1' has dependencies and cannot be deleted"), "{failed}");
    // The other way is open as well: what is left is cleared away, and all is made anew.
    scene.aws.stuck("Nothing", "delete", "", 1);
    assert_eq!(scene.status(), "DELETE_FAILED");
    scene.up();
    scene.end();
}
