//! What AWS lets go wrong (`facts/engine.md` 3), one fault after the other in as few environments as will do: each of
//! them costs a control plane. A run rides out what passes, tells what does not with its own reason, and the next run
//! goes on; one object has a name, a second `up` writes nothing, `down` leaves nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::eks::{Moment, one_line, run_on};
use super::support::{EksProfile, EksStage};

/// What the stand-in is told to let go wrong, and where it is counted.
struct Faults<'a>(&'a EksStage);

impl Faults<'_> {
    /// Lets the `nth` call of `action` from now on end like this.
    fn at(&self, action: &str, nth: u32, kind: &str) {
        let mut spec = json!({"action": action, "nth": nth, "do": kind});
        if let Some(status) = kind.strip_prefix("error ") {
            spec["do"] = "error".into();
            spec["status"] = status.parse::<u16>().expect("a status").into();
        }
        self.0.aws.post("faults", &spec);
    }

    /// Those that never came about.
    fn idle(&self) -> Vec<Value> {
        let all = self.0.aws.get("faults");
        all.as_array().expect("a list").iter().filter(|fault| fault["hits"] == 0).cloned().collect()
    }
}

#[test]
fn what_passes_is_ridden_out_on_the_way_up_and_down() {
    let repository = "registry: {ecr: {repositories: [{name: checkout/api, keep: 10}]}}";
    let group = "{name: general, machine: m7i.large, nodes: 1}";
    let stage = EksStage::new(&EksProfile::new(group).with_cluster("logging: [audit]").with(repository));
    // What was just made is not shown for a while, and one zone has no room for control planes.
    let zones = stage.cli(&["ec2", "describe-availability-zones", "--zone-names", "eu-central-1b"]);
    let lag: serde_json::Map<String, Value> = [
        "cloudformation:DescribeStacks",
        "ecr:DescribeRepositories",
        "eks:DescribeAccessEntry",
        "eks:DescribeAddon",
        "eks:DescribeCluster",
        "eks:DescribeNodegroup",
        "eks:ListAccessEntries",
        "eks:ListNodegroups",
    ]
    .map(|read| (read.to_string(), 150.into()))
    .into_iter()
    .collect();
    stage.aws.scenario(&json!({
        "lag": lag, "iamPropagation": 240, "eksZonesWithout": [zones["AvailabilityZones"][0]["ZoneId"]],
    }));
    let faults = Faults(&stage);
    for (action, nth, kind) in [
        // On reads, in each of the protocols.
        ("GetCallerIdentity", 1, "error 500"),
        ("DescribeStacks", 2, "html"),
        ("ListAccessEntries", 1, "cut"),
        ("DescribeInstanceTypes", 1, "error 503"),
        ("DescribeVpcs", 1, "throttle"),
        ("GetServiceQuota", 2, "throttle"),
        ("DescribeCluster", 3, "error 502"),
        ("DescribeCluster", 5, "throttle"),
        ("DescribeAddonVersions", 1, "close-before"),
        ("DescribeAddon", 3, "throttle"),
        ("ListNodegroups", 2, "throttle"),
        // On creates: before they took effect, and after.
        ("CreateStack", 1, "close-after"),
        ("CreateCluster", 1, "close-after"),
        ("CreateNodegroup", 1, "throttle"),
        ("CreateNodegroup", 2, "cut"),
        ("CreateAddon", 1, "close-after"),
        ("CreateAddon", 3, "error 500"),
        ("CreateAccessEntry", 1, "close-after"),
        ("AssociateAccessPolicy", 1, "cut"),
        ("CreateRepository", 1, "close-after"),
        ("PutLifecyclePolicy", 1, "close-after"),
    ] {
        faults.at(action, nth, kind);
    }
    // EKS has not heard of the role of an addon yet.
    stage.aws.post(
        "faults",
        &json!({
            "action": "CreateAddon", "nth": 5, "do": "error", "status": 400, "code": "InvalidParameterException",
            "message": "Role provided in the request does not exist: arn:aws:iam::123456789012:role/berth-dev",
        }),
    );
    // An answer that never comes: the call is over after half a minute, not the run.
    stage.aws.post("holds", &json!({"action": "CreateAccessEntry", "nth": 3, "when": "after"}));
    let up = stage.up().expect(0);
    assert_eq!(faults.idle(), Vec::<Value>::new(), "{}", up.said());
    let said = one_line(&up.said());
    assert!(said.contains("throttled: cannot call EKS DescribeCluster"), "{said}");
    assert!(said.contains("EKS CreateAccessEntry: AWS did not answer"), "{said}");
    // No storm: what is throttled is repeated once.
    let (calls, _) = stage.aws.calls(0);
    let throttled = calls.iter().filter(|call| call["code"].as_str().is_some_and(is_throttled)).count();
    assert!(throttled * 3 <= calls.len(), "{throttled} of {}", calls.len());
    stage.expect_no_violations();

    let titles = stage.titles();
    assert_eq!(titles.iter().collect::<BTreeSet<_>>().len(), titles.len(), "{titles:?}");
    let named = |kind: &str| titles.iter().filter(|title| title.starts_with(kind)).count();
    let kinds =
        ["cloudformation:stack", "eks:cluster", "eks:nodegroup", "eks:access-entry", "ecr:repository"];
    // Those of the administrators, of the developers, and of whoever runs berth.
    assert_eq!(kinds.map(named), [1, 1, 1, 3, 1], "{titles:?}");
    let before = stage.last();
    stage.up().expect(0);
    assert_eq!(stage.changes(before), Vec::<String>::new());

    for (action, nth, kind) in [
        ("DescribeNodegroup", 2, "throttle"),
        ("GetResources", 1, "html"),
        ("DeleteNodegroup", 1, "close-after"),
        ("DeleteNodegroup", 2, "error 500"),
        ("DeleteCluster", 1, "close-after"),
        ("DeleteCluster", 2, "error 500"),
        ("DeleteStack", 1, "close-after"),
        ("DeleteStack", 2, "error 500"),
        ("DeleteRepository", 1, "close-after"),
    ] {
        faults.at(action, nth, kind);
    }
    stage.run("down", &["--yes", "--registries", "--timeout", "5m"]).expect(0);
    assert_eq!(faults.idle(), Vec::<Value>::new());
    stage.expect_left(&[]);
}

fn is_throttled(code: &str) -> bool {
    matches!(code, "Throttling" | "ThrottlingException" | "RequestLimitExceeded")
}

#[test]
fn what_could_not_be_made_tells_its_own_reason_and_is_made_by_the_next_run() {
    let general = "{name: general, machine: m7i.large, nodes: 1}";
    let stage = EksStage::new(&EksProfile::new(general));
    let failed = |code: i32| one_line(&stage.up().expect(code).stderr);

    // The stack stops, and the control plane does not come about.
    stage.aws.stuck("NatGatewayA", "create", "You have reached the limit of addresses", 1);
    stage.aws.scenario(&json!({"eksClusterFails": "no network interface could be made"}));
    let said = failed(6);
    assert!(
        said.contains("why NAT gateway `NatGatewayA`: You have reached the limit of addresses"),
        "{said}"
    );
    assert!(said.contains("why its making failed: Other: no network interface could be made"), "{said}");
    stage.aws.scenario(&json!({"eksClusterFails": null}));

    // Credentials end on the way: that is told once, and others go on.
    let session = [
        ("AWS_ACCESS_KEY_ID", "ASIAPLATFORM00000001"),
        ("AWS_SECRET_ACCESS_KEY", "platform-secret-key-of-the-stand-in-0001"),
        ("AWS_SESSION_TOKEN", "fake-token-of-platform-0001"),
    ];
    let with_session =
        session.iter().fold(stage.another_machine(), |berth, (key, value)| berth.with_variable(key, value));
    let hold = stage.hold_of("CreateNodegroup", Moment::After);
    let running = with_session.start(&["up", "dev", "--yes", "--timeout", "5m"]);
    hold.wait();
    stage.aws.post("expire", &json!({"accessKey": session[0].1}));
    hold.release();
    let over = running.finish().expect(4);
    let said = one_line(&over.stderr);
    assert_eq!(said.matches("error:").count(), 1, "{}", over.said());
    assert!(said.contains("why the AWS credentials have expired next get new ones"), "{said}");
    assert!(said.contains("to go on `berth up dev`"), "{said}");
    stage.up().expect(0);

    // Machines do not come, and an addon fails.
    let extra = "{name: extra, machine: c7i.large, nodes: 1}";
    stage.declare(&EksProfile::new(&format!("{general}, {extra}")).with("addons: {metrics-server: {}}"));
    let zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"];
    stage.aws.scenario(&json!({
        "typeWithoutCapacity": {"c7i.large": zones}, "eksAddonFails": {"metrics-server": "a role is missing"},
    }));
    let said = failed(6);
    assert!(said.contains("on node group extra why CREATE_FAILED: AsgInstanceLaunchFailures"), "{said}");
    assert!(said.contains("do not have sufficient c7i.large capacity"), "{said}");
    assert!(said.contains("next write another `machine`, more of them under `otherMachines`"), "{said}");
    assert!(
        said.contains("on eks addon metrics-server why CREATE_FAILED") && said.contains("a role is missing"),
        "{said}"
    );
    stage.aws.scenario(
        &json!({"typeWithoutCapacity": {"c7i.large": []}, "eksAddonFails": {"metrics-server": null}}),
    );
    // Nothing is in them that could be lost, so nobody is asked.
    let before = stage.last();
    stage.run("up", &["--timeout", "5m"]).expect(0);
    let mut changes = stage.changes(before);
    changes.retain(|action| action.contains("Nodegroup") || action.contains("Addon"));
    changes.sort();
    assert_eq!(changes, ["CreateAddon", "CreateNodegroup", "DeleteAddon", "DeleteNodegroup"]);

    // A group cannot be deleted, neither by `up` nor by `down`, until it can.
    stage.declare(&EksProfile::new(general).with("addons: {metrics-server: {}}"));
    stage.aws.scenario(&json!({"eksNodegroupDeleteFails": "Ec2SecurityGroupDeletionFailure: in use"}));
    let said = failed(6);
    assert!(said.contains("why DELETE_FAILED") && said.contains("in use"), "{said}");
    let down = run_on(&stage.berth, "down", &["--yes", "--timeout", "5m"]).expect(6);
    let said = one_line(&down.stderr);
    assert!(said.contains("why DELETE_FAILED") && said.contains("in use"), "{said}");
    stage.aws.scenario(&json!({"eksNodegroupDeleteFails": null}));
    stage.down().expect(0);
    stage.expect_left(&[]);
}
