//! Network and roles of an EKS environment, against the stand-in for AWS: made, changed, continued where it stopped,
//! deleted, and kept apart from what is not ours.
//!
//! AWS's own chain of credentials reads the environment of a process, so each run is a process of its own: this
//! program, asked for the one test that is the player.

mod play;
mod states;

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use self::play::{MARK, SCRIPT};
use super::support::FakeAws;
use super::support::eks::eventually_so;

const REGION: &str = "eu-central-1";

const PROFILE: &str = "apiVersion: berth.dev/v1alpha1
kind: Environment
name: dev
id: 7f3k2q9d
cluster:
  eks: {account: \"123456789012\", region: eu-central-1, version: \"1.36\", network: {nat: single}}
nodeGroups:
  - {name: general, machine: m7i.large, nodes: 2}
";

/// A stand-in and a profile.
struct Scene {
    aws: FakeAws,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { aws: FakeAws::start(60), folder: tempfile::tempdir().expect("a folder") };
        scene.profile(PROFILE);
        scene
    }

    fn profile(&self, text: &str) {
        fs::write(self.folder.path().join("dev.yaml"), text).expect("written");
    }

    fn command(&self, verb: &str, adopt: bool) -> Command {
        self.asked(json!({"verb": verb, "adopt": adopt}))
    }

    fn asked(&self, mut script: Value) -> Command {
        script["profile"] = self.folder.path().join("dev.yaml").to_str().expect("UTF-8").into();
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args(["--exact", "eks_network::play::player", "--nocapture", "--test-threads=1"])
            .env(SCRIPT, script.to_string())
            .envs(self.aws.environment());
        command
    }

    fn play(&self, verb: &str) -> Value {
        Self::played(self.command(verb, false))
    }

    fn played(mut command: Command) -> Value {
        let finished = command.output().expect("this program starts");
        let said = String::from_utf8_lossy(&finished.stdout).into_owned();
        let line = said.lines().find_map(|line| line.strip_prefix(MARK));
        let line = line.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&finished.stderr)));
        serde_json::from_str(line).expect("JSON")
    }

    /// Brings it up, which has to go well.
    fn up(&self) -> Value {
        let played = self.play("up");
        assert_eq!(played["failed"], json!([]), "{played:#}");
        assert_eq!(played["done"], 1, "{played:#}");
        played
    }

    fn status(&self) -> String {
        let found = self.aws.cli(REGION, &["cloudformation", "describe-stacks", "--stack-name", "berth-dev"]);
        found["Stacks"][0]["StackStatus"].as_str().unwrap_or_default().to_string()
    }

    /// The actions of all calls that change something since the entry `since` of the log.
    fn changing(&self, since: u64) -> Vec<String> {
        let (calls, _) = self.aws.calls(since);
        let mutating = calls.iter().filter(|call| call["mutating"] == true);
        mutating.map(|call| call["action"].as_str().unwrap_or_default().to_string()).collect()
    }

    fn end(&self) {
        assert_eq!(self.aws.violations(), json!([]));
    }
}

fn output<'a>(played: &'a Value, key: &str) -> &'a str {
    let pairs = played["outputs"].as_array().expect("outputs");
    let pair = pairs.iter().find(|pair| pair[0] == key).unwrap_or_else(|| panic!("no {key}: {played:#}"));
    pair[1].as_str().expect("text")
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("a list").iter().map(|text| text.as_str().expect("text")).collect()
}

#[test]
fn a_network_is_made_is_left_alone_and_goes_without_a_trace() {
    let scene = Scene::new();
    let before = scene.aws.inventory();
    let plan = scene.play("plan");
    assert_eq!(plan["look"], "Absent");
    assert!(texts(&plan["changes"]).contains(&"Create VPC 10.0.0.0/16: "), "{plan:#}");
    assert_eq!(scene.changing(0), Vec::<String>::new(), "a plan changes nothing");
    let made = scene.up();
    assert!(output(&made, "eks.vpc").starts_with("vpc-"));
    assert_eq!(output(&made, "eks.subnets.private").split(',').count(), 3);
    assert_eq!(output(&made, "eks.role.node"), "arn:aws:iam::123456789012:role/berth-dev-eu-central-1-node");
    assert!(output(&made, "eks.launch-template.general").ends_with("=1"));
    let (_, since) = scene.aws.calls(0);
    let again = scene.up();
    assert_eq!((&again["changed"], &again["changes"]), (&json!(false), &json!([])));
    let (calls, _) = scene.aws.calls(since);
    let asked: Vec<&str> = calls.iter().filter_map(|call| call["action"].as_str()).collect();
    assert_eq!(asked, ["GetCallerIdentity", "DescribeStacks", "DescribeRouteTables"]);
    let gone = scene.play("down");
    assert_eq!((&gone["failed"], &gone["done"]), (&json!([]), &json!(1)), "{gone:#}");
    assert_eq!(scene.aws.inventory(), before);
    scene.end();
}

#[test]
fn a_cluster_can_begin_long_before_the_stack_is_whole() {
    let scene = Scene::new();
    // Ten seconds here: whoever can begin does so by then on a busy machine too.
    scene.aws.scenario(&json!({"durations": {"AWS::EC2::NatGateway": 600}}));
    let played = Scene::played(scene.asked(json!({"verb": "up", "witness": true})));
    assert_eq!((&played["failed"], &played["done"]), (&json!([]), &json!(2)), "{played:#}");
    assert_eq!(played["witness"], "CREATE_IN_PROGRESS");
    scene.end();
}

#[test]
fn a_run_that_was_killed_at_a_call_is_taken_up_by_the_next() {
    for when in ["before", "after"] {
        for (verb, action) in [("up", "CreateStack"), ("down", "DeleteStack")] {
            let scene = Scene::new();
            if verb == "down" {
                scene.up();
            }
            let hold = scene.aws.post("holds", &json!({"action": action, "nth": 1, "when": when}));
            let mut killed = scene.command(verb, false).stdout(Stdio::null()).spawn().expect("it starts");
            let held = scene.aws.get(&format!("holds/{}?wait=240", hold["id"]));
            assert_eq!(held["state"], "held", "{held:#}");
            killed.kill().expect("killed");
            killed.wait().expect("gone");
            scene.up();
            let down = scene.play("down");
            assert_eq!(down["failed"], json!([]), "{down:#}");
            let ours = |one: &&Value| !one["tags"]["berth.dev/owner"].is_null();
            let left = scene.aws.inventory().iter().filter(ours).count();
            assert_eq!(left, 0, "{when} {action}");
            scene.end();
        }
    }
}

#[test]
fn a_right_that_is_missing_is_named() {
    let scene = Scene::new();
    scene.aws.scenario(&json!({"deny": ["iam:CreateRole"]}));
    let up = scene.play("up");
    let failed = texts(&up["failed"])[0].to_string();
    assert!(failed.starts_with("Denied") && failed.contains("\"Action\": \"iam:CreateRole\""), "{failed}");
    scene.aws.scenario(&json!({"deny": []}));
    scene.up();
    scene.end();
}

#[test]
fn logs_of_an_earlier_cluster_are_not_taken_over() {
    let scene = Scene::new();
    scene.aws.cli(REGION, &["logs", "create-log-group", "--log-group-name", "/aws/eks/dev/cluster"]);
    scene.profile(&PROFILE.replace("network: {nat: single}", "logging: [api]"));
    let up = scene.play("up");
    let failed = texts(&up["failed"])[0].to_string();
    assert!(failed.contains("aws logs delete-log-group"), "{failed}");
    scene.aws.cli(REGION, &["logs", "delete-log-group", "--log-group-name", "/aws/eks/dev/cluster"]);
    assert_eq!(output(&scene.up(), "eks.log-group"), "/aws/eks/dev/cluster");
    scene.end();
}

#[test]
fn logs_that_were_written_stay_when_no_more_are_written_and_writing_can_begin_again() {
    let scene = Scene::new();
    let logging = PROFILE.replace("network: {nat: single}", "logging: [api]");
    scene.profile(&logging);
    scene.up();
    for profile in [PROFILE, &logging] {
        scene.profile(profile);
        assert_eq!(scene.play("plan")["changes"], json!([]));
        assert_eq!(output(&scene.up(), "eks.log-group"), "/aws/eks/dev/cluster");
    }
    scene.end();
}

#[test]
fn what_the_profile_changes_is_planned_resource_by_resource_and_made_in_place() {
    let scene = Scene::new();
    let made = scene.up();
    scene.profile(
        &PROFILE.replace("nat: single", "nat: per-zone").replace("nodes: 2}", "nodes: 2, disk: 200Gi}"),
    );
    let plan = scene.play("plan");
    let changes = texts(&plan["changes"]);
    for expected in [
        "Create NAT gateway `NatGatewayB`: ",
        "Create address `NatAddressC`: ",
        "Update route `PrivateRouteB`: ",
    ] {
        assert!(changes.contains(&expected), "{changes:#?}");
    }
    assert!(changes.iter().any(|change| change.starts_with("Update launch template")), "{changes:#?}");
    assert!(!changes.iter().any(|change| change.contains("NatGatewayA")), "{changes:#?}");
    let changed = scene.up();
    assert_eq!(output(&made, "eks.subnets.private"), output(&changed, "eks.subnets.private"));
    assert!(output(&changed, "eks.launch-template.general").ends_with("=2"));
    scene.profile(&PROFILE.replace("nat: single", "nat: none"));
    let plan = scene.play("plan");
    let gone = texts(&plan["changes"]).into_iter().filter(|change| change.starts_with("Delete NAT gateway"));
    assert_eq!(gone.count(), 3, "{plan:#}");
    scene.up();
    assert_eq!(scene.play("plan")["changes"], json!([]));
    scene.profile(&PROFILE.replace("nat: single", "nat: none, cidr: 10.9.0.0/16"));
    let moved = scene.play("up");
    let failed = texts(&moved["failed"])[0].to_string();
    assert!(
        failed.starts_with("Conflict") && failed.contains("a cluster never changes its network"),
        "{failed}"
    );
    scene.end();
}

#[test]
fn a_gateway_that_somebody_deleted_is_told_and_made_anew_with_its_address() {
    let scene = Scene::new();
    let asked = |operation: &str, of: &str| scene.aws.cli(REGION, &["ec2", operation])[of].take();
    scene.up();
    let gateway = asked("describe-nat-gateways", "NatGateways")[0]["NatGatewayId"].take();
    let address = asked("describe-addresses", "Addresses")[0]["PublicIp"].take();
    let gateway = gateway.as_str().expect("an id");
    scene.aws.cli(REGION, &["ec2", "delete-nat-gateway", "--nat-gateway-id", gateway]);

    let plan = scene.play("plan");
    let changes = texts(&plan["changes"]);
    let told = "Create NAT gateway `NatGatewayARenewed1`: in the place of `NatGatewayA`, which is gone: rtb-";
    let black_hole = format!("leads to {gateway}, a black hole");
    assert!(changes.iter().any(|one| one.starts_with(told) && one.ends_with(&black_hole)), "{changes:#?}");
    assert!(changes.contains(&"Update route `PrivateRouteB`: "), "{changes:#?}");
    assert!(!changes.iter().any(|one| one.starts_with("Delete")), "nothing is lost: {changes:#?}");

    // The old one gives its address free first; whoever knows that address goes on knowing it.
    scene.up();
    assert_eq!(scene.play("plan")["changes"], json!([]));
    assert_eq!(asked("describe-addresses", "Addresses")[0]["PublicIp"], address);
    let routes = asked("describe-route-tables", "RouteTables").to_string();
    assert!(!routes.contains("blackhole") && !routes.contains(gateway), "{routes}");

    // It can happen again, and a profile that changes meanwhile has no part in it.
    let gateways = asked("describe-nat-gateways", "NatGateways");
    let stands = |one: &&Value| one["State"] == "available";
    let second = gateways.as_array().and_then(|all| all.iter().find(stands)).expect("the new one");
    let second = second["NatGatewayId"].as_str().expect("an id");
    scene.aws.cli(REGION, &["ec2", "delete-nat-gateway", "--nat-gateway-id", second]);
    // This time its address goes as well.
    eventually_so("its address is free", || {
        asked("describe-addresses", "Addresses")[0]["AssociationId"].is_null()
    });
    let allocation = asked("describe-addresses", "Addresses")[0]["AllocationId"].take();
    let allocation = allocation.as_str().expect("an id");
    scene.aws.cli(REGION, &["ec2", "release-address", "--allocation-id", allocation]);
    scene.profile(&PROFILE.replace("nodes: 2}", "nodes: 2, disk: 200Gi}"));
    let made = scene.up();
    assert!(output(&made, "eks.launch-template.general").ends_with("=2"));
    assert_eq!(scene.play("plan")["changes"], json!([]));
    let gone = scene.play("down");
    assert_eq!((&gone["failed"], &gone["done"]), (&json!([]), &json!(1)), "{gone:#}");
    scene.end();
}

#[test]
fn a_role_that_somebody_gave_a_policy_is_told_with_the_policy_and_goes_once_that_is_taken_back() {
    const POLICY: &str = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";
    let scene = Scene::new();
    scene.up();
    let role = "berth-dev-eu-central-1-node";
    let act = |verb: &str| {
        scene.aws.cli("eu-central-1", &["iam", verb, "--role-name", role, "--policy-arn", POLICY]);
    };
    act("attach-role-policy");
    let (before, held) = (scene.aws.calls(0).1, scene.play("down"));
    let failed = texts(&held["failed"])[0].to_string();
    assert!(failed.contains("must detach all policies first"), "{failed}");
    let way = format!("`aws iam detach-role-policy --role-name {role} --policy-arn {POLICY}`, then run");
    assert!(failed.contains(&way), "{failed}");
    let deletions = |call: &&Value| call["action"] == "DeleteStack";
    assert_eq!(scene.aws.calls(before).0.iter().filter(deletions).count(), 2);
    act("detach-role-policy");
    assert_eq!(scene.play("down")["failed"], json!([]));
    scene.end();
}

#[test]
fn a_stack_of_somebody_else_is_neither_changed_nor_deleted() {
    let scene = Scene::new();
    let template =
        r#"{"Resources": {"Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.0.0.0/16"}}}}"#;
    let create = ["cloudformation", "create-stack", "--stack-name", "berth-dev", "--template-body", template];
    scene.aws.cli(REGION, &create);
    scene.settled("CREATE_COMPLETE");
    let (_, since) = scene.aws.calls(0);
    let up = scene.play("up");
    let failed = texts(&up["failed"])[0].to_string();
    assert!(failed.starts_with("Conflict") && failed.contains("berth did not make it"), "{failed}");
    let forced = Scene::played(scene.command("up", true));
    assert_eq!(texts(&forced["failed"]).len(), 1, "{forced:#}");
    let down = scene.play("down");
    assert!(texts(&down["notes"])[0].starts_with("kept: stack `berth-dev`"), "{down:#}");
    assert_eq!(scene.changing(since), Vec::<String>::new());
    scene.end();
}

#[test]
fn an_environment_whose_id_was_lost_is_taken_over_only_when_asked() {
    let scene = Scene::new();
    scene.up();
    scene.profile(&PROFILE.replace("7f3k2q9d", "other1234"));
    let up = scene.play("up");
    let failed = texts(&up["failed"])[0].to_string();
    assert!(failed.contains("with the id `7f3k2q9d`; take it over with `--adopt`"), "{failed}");
    let adopted = Scene::played(scene.command("up", true));
    assert_eq!(adopted["failed"], json!([]), "{adopted:#}");
    assert_eq!(scene.play("plan")["changes"], json!([]));
    scene.end();
}

#[test]
fn a_protected_environment_has_a_stack_that_aws_does_not_delete() {
    let scene = Scene::new();
    scene.profile(&PROFILE.replace("id: 7f3k2q9d", "id: 7f3k2q9d\nprotected: true"));
    scene.up();
    let found = scene.aws.cli(REGION, &["cloudformation", "describe-stacks", "--stack-name", "berth-dev"]);
    assert_eq!(found["Stacks"][0]["EnableTerminationProtection"], true);
    scene.profile(PROFILE);
    let plan = scene.play("plan");
    assert_eq!(texts(&plan["changes"]), ["Update stack `berth-dev`: "]);
    // Whoever takes it away lifts the protection first.
    let gone = scene.play("down");
    assert_eq!(gone["failed"], json!([]), "{gone:#}");
    scene.end();
}

#[test]
fn a_full_quota_is_told_before_anything_is_made() {
    let scene = Scene::new();
    scene.aws.scenario(&json!({"quotas": {"L-0263D0A3": 0}}));
    let up = scene.play("up");
    let failed = texts(&up["failed"])[0].to_string();
    assert!(failed.contains("quota of elastic IP addresses") && failed.contains("has 0 of 0"), "{failed}");
    assert_eq!(scene.changing(0), Vec::<String>::new());
    scene.end();
}

#[test]
fn a_network_that_is_there_is_checked_and_used() {
    let scene = Scene::new();
    let subnet = |zone: &str, cidr: &str| {
        let properties = json!({"VpcId": {"Ref": "Vpc"}, "AvailabilityZone": zone, "CidrBlock": cidr});
        json!({"Type": "AWS::EC2::Subnet", "Properties": properties})
    };
    let template = json!({"Resources": {
        "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.7.0.0/16"}},
        "First": subnet("eu-central-1a", "10.7.0.0/24"),
        "Second": subnet("eu-central-1b", "10.7.1.0/24"),
    }});
    let create = [
        "cloudformation",
        "create-stack",
        "--stack-name",
        "theirs",
        "--template-body",
        &template.to_string(),
    ];
    scene.aws.cli(REGION, &create);
    scene.aws.cli(REGION, &["cloudformation", "wait", "stack-create-complete", "--stack-name", "theirs"]);
    let id = |logical: &str| {
        let describe =
            ["cloudformation", "describe-stack-resource", "--stack-name", "theirs", "--logical-resource-id"];
        let found = scene.aws.cli(REGION, &[&describe[..], &[logical]].concat());
        found["StackResourceDetail"]["PhysicalResourceId"].as_str().expect("an id").to_string()
    };
    let (vpc, first, second) = (id("Vpc"), id("First"), id("Second"));
    let with = |subnets: &str| {
        PROFILE.replace("network: {nat: single}", &format!("network: {{subnets: [{subnets}]}}"))
    };
    scene.profile(&with(&first));
    let up = scene.play("up");
    let failed = texts(&up["failed"])[0].to_string();
    assert!(failed.contains("they are all in eu-central-1a"), "{failed}");
    scene.profile(&with(&format!("{first}, {second}")));
    let made = scene.up();
    assert_eq!(output(&made, "eks.vpc"), vpc);
    assert_eq!(output(&made, "eks.subnets.private"), format!("eu-central-1a={first},eu-central-1b={second}"));
    assert!(texts(&made["notes"])[0].contains("load balancers will not find one"), "{made:#}");
    scene.end();
}

impl Scene {
    /// Waits until the stack has this status.
    fn settled(&self, status: &str) {
        eventually_so(&format!("the stack is {status}"), || self.status() == status);
    }
}
