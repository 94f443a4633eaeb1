//! A whole environment on EKS, by the real binary against the stand-in for AWS, behind which stands a real control
//! plane: made, left alone, changed in place, changed by replacement, refused.

use serde_json::{Value, json};

use super::support::{Berth, FakeAws, Finished};

/// AWS's durations are divided by this.
const SPEED: u32 = 120;
/// The access entries of the profile: its admins and the editors of its tenant.
const ENTRIES: usize = 2;

struct Stage {
    aws: FakeAws,
    berth: Berth,
}

impl Stage {
    fn new() -> Self {
        let aws = FakeAws::start(SPEED);
        let mut berth = Berth::new();
        for (key, value) in aws.environment() {
            berth = berth.with_variable(&key, &value);
        }
        Self { aws, berth }
    }

    /// Writes the profile with these node groups and further lines.
    fn declare(&self, groups: &str, more: &str) {
        let text = format!(
            "apiVersion: berth.dev/v1alpha1
kind: Environment
name: dev
id: 7f3k2q9d
cluster:
  eks: {{account: \"123456789012\", region: eu-central-1, version: \"1.36\"{more}}}
access:
  admins: [platform]
  groups:
    platform: {{eks: [\"arn:aws:iam::123456789012:role/platform\"]}}
    developers: {{eks: [\"arn:aws:iam::123456789012:role/checkout-dev\"]}}
nodeGroups: [{groups}]
tenants:
  - {{name: checkout, namespaces: [checkout-ns], groups: {{editor: [developers]}}}}
"
        );
        self.berth.profile("dev", &text);
    }

    fn run(&self, command: &str, more: &[&str]) -> Finished {
        let arguments: Vec<&str> = [command, "dev"].into_iter().chain(more.iter().copied()).collect();
        self.berth.run(&arguments)
    }

    fn up(&self) -> Finished {
        self.run("up", &["--yes", "--timeout", "5m"])
    }

    /// The calls that changed something since `since`, by name.
    fn changes(&self, since: u64) -> Vec<String> {
        let (calls, _) = self.aws.calls(since);
        let changing = calls.iter().filter(|call| call["mutating"] == true);
        changing.map(|call| call["action"].as_str().unwrap_or_default().to_string()).collect()
    }

    /// That the calls since `since` are no more than an `up` that changes nothing may make: six, one for each node
    /// group and addon, two for each access entry of the profile.
    fn expect_few(&self, since: u64) {
        let names: Vec<String> =
            self.aws.calls(since).0.iter().map(|call| call["action"].to_string()).collect();
        let addons = self.aws.cli("eu-central-1", &["eks", "list-addons", "--cluster-name", "dev"]);
        let addons = addons["addons"].as_array().map_or(0, Vec::len);
        let budget = 6 + self.groups().len() + addons + 2 * ENTRIES;
        assert!(names.len() <= budget, "{} calls, {budget} are allowed: {names:?}", names.len());
        assert!(!names.iter().any(|name| name.contains("GetTemplate")), "{names:?}");
    }

    fn last(&self) -> u64 {
        self.aws.calls(0).1
    }

    fn group(&self, name: &str) -> Value {
        let arguments = ["eks", "describe-nodegroup", "--cluster-name", "dev", "--nodegroup-name", name];
        self.aws.cli("eu-central-1", &arguments)["nodegroup"].take()
    }

    fn groups(&self) -> Vec<String> {
        let listed = self.aws.cli("eu-central-1", &["eks", "list-nodegroups", "--cluster-name", "dev"]);
        serde_json::from_value(listed["nodegroups"].clone()).expect("names")
    }
}

#[test]
fn an_environment_on_eks_comes_up_is_changed_in_place_and_by_replacement() {
    let stage = Stage::new();
    stage.declare("{name: general, machine: m7i.large, nodes: 2}", "");
    stage.up().expect(0);
    let cluster = stage.aws.cli("eu-central-1", &["eks", "describe-cluster", "--name", "dev"]);
    let cluster = &cluster["cluster"];
    assert_eq!(cluster["accessConfig"], json!({"authenticationMode": "API"}));
    assert_eq!(cluster["upgradePolicy"]["supportType"], "STANDARD");
    assert_eq!(cluster["tags"]["berth.dev/owner"], "7f3k2q9d");
    assert_eq!(stage.group("general")["amiType"], "AL2023_x86_64_STANDARD");

    // Twice is once.
    let before = stage.last();
    let again = stage.up().expect(0);
    assert!(again.said().contains("nothing had to change"), "{}", again.said());
    assert_eq!(stage.changes(before), Vec::<String>::new());
    stage.expect_few(before);

    // In place: one call for all of it.
    let before = stage.last();
    stage.declare("{name: general, machine: m7i.large, nodes: 3, labels: {team: web}}", ", logging: [audit]");
    stage.up().expect(0);
    let mut changes = stage.changes(before);
    changes.retain(|action| action.contains("Nodegroup") || action.contains("Cluster"));
    changes.sort();
    assert_eq!(changes, ["UpdateClusterConfig", "UpdateNodegroupConfig"]);
    let group = stage.group("general");
    assert_eq!(
        (&group["scalingConfig"]["desiredSize"], &group["labels"]["team"]),
        (&json!(3), &json!("web"))
    );

    // By replacement: the new group is there before the old one goes.
    let before = stage.last();
    stage.declare("{name: general, machine: m7i.xlarge, nodes: 1}", ", logging: [audit]");
    stage.run("up", &["--timeout", "5m"]).expect(8);
    stage.up().expect(0);
    let mut changes = stage.changes(before);
    changes.retain(|action| action.contains("Nodegroup"));
    assert_eq!(changes, ["CreateNodegroup", "DeleteNodegroup"]);
    let groups = stage.groups();
    assert!(matches!(&groups[..], [name] if name.starts_with("general-")), "{groups:?}");

    // One that the profile has no more goes as well.
    stage.declare("{name: other, machine: m7i.large, nodes: 1}", ", logging: [audit]");
    stage.up().expect(0);
    assert_eq!(stage.groups(), ["other"]);
    assert_eq!(stage.aws.violations(), json!([]));
}

#[test]
fn what_aws_cannot_do_is_told_by_the_plan_before_anything_is_made() {
    let stage = Stage::new();
    stage.aws.scenario(&json!({"quotas": {"L-DB2E81BA": 0}}));
    let refused = |groups: &str| {
        stage.declare(groups, "");
        stage.run("up", &["--yes"]).expect(1).stderr.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let slip = refused("{name: general, machine: m7i.lage, resources: {cpu: 2, memory: 8Gi}}");
    assert!(
        slip.contains("has no machine type `m7i.lage`") && slip.contains("did you mean `m7i.large`"),
        "{slip}"
    );
    let gpus = refused("{name: gpu, machine: g6.xlarge, nodes: 1}");
    assert!(gpus.contains("--quota-code L-DB2E81BA"), "{gpus}");
    assert_eq!(stage.changes(0), Vec::<String>::new());
}
