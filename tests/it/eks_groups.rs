//! Node groups of several kinds beside each other, in a cluster that only its own network reaches: made once it is
//! reached, left alone, gone from another machine with all that their cluster made.

use serde_json::{Value, json};

use super::eks_down::{its_stack_is_deleted_under_it, work};
use super::support::eks::{down_on, one_line};
use super::support::{EksProfile, EksStage};

/// One as they mostly are; one of spot machines of several types, of which the first is not to be had; one of another
/// architecture.
const GROUPS: &str = "{name: general, machine: m7i.large, nodes: 2}, \
    {name: cheap, machine: m5.large, otherMachines: [m6i.large, m7i.large], spot: true, nodes: 1}, \
    {name: arm, machine: m7g.large, nodes: 1}";
const KINDS: [Kind; 3] = [
    Kind {
        group: "general",
        image: "AL2023_x86_64_STANDARD",
        paid: "ON_DEMAND",
        types: &["m7i.large"],
        comes: "m7i.large",
        architecture: "amd64",
    },
    Kind {
        group: "cheap",
        image: "AL2023_x86_64_STANDARD",
        paid: "SPOT",
        types: &["m5.large", "m6i.large", "m7i.large"],
        comes: "m6i.large",
        architecture: "amd64",
    },
    Kind {
        group: "arm",
        image: "AL2023_ARM_64_STANDARD",
        paid: "ON_DEMAND",
        types: &["m7g.large"],
        comes: "m7g.large",
        architecture: "arm64",
    },
];

/// What AWS is asked for a group, and the nodes that come of it.
struct Kind {
    group: &'static str,
    image: &'static str,
    paid: &'static str,
    types: &'static [&'static str],
    /// The type of its nodes.
    comes: &'static str,
    architecture: &'static str,
}

#[test]
fn groups_of_several_kinds_behind_a_private_endpoint_come_stay_and_go_with_all_that_their_cluster_made() {
    let profile = EksProfile::new(GROUPS).with_cluster("logging: [audit], endpoint: {public: []}");
    let stage = EksStage::new(&profile);
    let zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"];
    stage.aws.scenario(&json!({"typeWithoutCapacity": {"m5.large": zones}}));
    what_nobody_reaches_is_told_with_what_stands(&stage);
    stage.up().expect(0);
    expect_kinds(&stage);
    let before = stage.last();
    stage.up().expect(0);
    assert_eq!(stage.changes(before), Vec::<String>::new());

    work(&stage);
    stage.aws.scenario(&json!({"eksLeakedInterfaces": 2}));
    stage.aws.post("make", &json!({"kind": "endpoint", "vpc": "berth.dev/owner=7f3k2q9d"}));
    its_stack_is_deleted_under_it(&stage);
    let gone = down_on(&stage.another_machine()).expect(0);
    assert!(gone.stdout.contains("dev is gone: nothing is left"), "{}", gone.said());
    stage.expect_left(&[]);
    // Twice is once.
    let again = stage.down().expect(0);
    assert!(again.stdout.contains("dev is gone: nothing is left"), "{}", again.said());
}

/// Brings it up where the address of the API server leads nowhere; then it leads there, as inside of the network.
fn what_nobody_reaches_is_told_with_what_stands(stage: &EksStage) {
    stage.aws.scenario(&json!({"eksPrivateEndpoint": "https://127.0.0.1:9"}));
    let up = stage.up().expect(6);
    // Before anything was made, and when it came to it.
    let early = "EKS cluster dev can be reached only from inside of its network: run berth there, or write the address";
    assert!(one_line(&up.stdout).contains(early), "{}", up.said());
    let said = one_line(&up.stderr);
    for told in [
        "error: cannot reach the API server of dev at https://127.0.0.1:9",
        "next its endpoint is private: run berth inside of its network, or write the address of this machine under \
         `cluster.eks.endpoint.public`",
        "to go on `berth up dev`",
    ] {
        assert!(said.contains(told), "`{told}` is not in: {said}");
    }
    assert_eq!(said.matches("error:").count(), 1, "{}", up.said());
    assert_eq!(stage.groups(), ["arm", "cheap", "general"], "what AWS makes is made");
    let status = stage.run("status", &[]).expect(1);
    assert!(one_line(&status.stdout).contains("nobody answers at https://127.0.0.1:9"), "{}", status.said());
    stage.aws.scenario(&json!({"eksPrivateEndpoint": null}));
    let network = &stage.cluster()["resourcesVpcConfig"];
    assert_eq!(
        (&network["endpointPublicAccess"], &network["endpointPrivateAccess"]),
        (&json!(false), &json!(true))
    );
}

/// That AWS was asked for each kind, once, and that its nodes are such.
fn expect_kinds(stage: &EksStage) {
    let (calls, _) = stage.aws.calls(0);
    let asked: Vec<&Value> = calls.iter().filter(|call| call["action"] == "CreateNodegroup").collect();
    assert_eq!(asked.len(), KINDS.len(), "{asked:#?}");
    let listed = stage.kubectl(&["get", "nodes", "-o", "json"]).expect(0).stdout;
    let nodes: Value = serde_json::from_str(&listed).expect("JSON");
    let nodes = nodes["items"].as_array().expect("a list");
    assert_eq!(nodes.len(), 4, "{listed}");
    for Kind { group, image, paid, types, comes, architecture } in KINDS {
        let is_it = |call: &&&Value| call["parameters"]["nodegroupName"] == group;
        let asked = &asked.iter().find(is_it).expect("it was asked for")["parameters"];
        assert_eq!(
            (&asked["amiType"], &asked["capacityType"], &asked["instanceTypes"]),
            (&json!(image), &json!(paid), &json!(types))
        );
        assert_eq!(asked["labels"], json!({"berth.dev/node-group": group}));
        assert_eq!(asked["nodeRepairConfig"], json!({"enabled": true}));
        let of_it: Vec<&Value> =
            nodes.iter().filter(|node| node["metadata"]["labels"]["berth.dev/node-group"] == group).collect();
        assert!(!of_it.is_empty(), "no node of {group}: {listed}");
        for node in of_it {
            let labels = &node["metadata"]["labels"];
            for (label, value) in [
                ("eks.amazonaws.com/capacityType", paid),
                ("node.kubernetes.io/instance-type", comes),
                ("kubernetes.io/arch", architecture),
            ] {
                assert_eq!(labels[label], value, "{group}: {label}");
            }
            let conditions = node["status"]["conditions"].as_array().expect("a list");
            let is_ready = |one: &Value| one["type"] == "Ready" && one["status"] == "True";
            assert!(conditions.iter().any(is_ready), "{group}: {conditions:?}");
        }
    }
}
