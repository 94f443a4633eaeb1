//! The templates of the stacks of EKS environments: what they are for a few profiles, that AWS would take them, and
//! that no change of a profile replaces anything that stands.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use berth::profile::schema::{EksCluster, EksLog, Nat};
use berth::profile::{ClusterSpec, Environment, Found, LoadOptions, NodeGroup, load};
use berth::providers::eks::Site;
use berth::providers::eks::template::{
    Addresses, Blueprint, NetworkPlan, Offered, Template, Zone, choose, read, written,
};
use serde_json::Value;

const PROFILES: [&str; 4] = ["small", "whole", "auto-mode", "own-network"];

/// What must not change in a resource that stands, by its type: `createOnlyProperties` of the schemas that AWS
/// publishes (<https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schemas.html>).
const FIXED: [(&str, &[&str]); 13] = [
    ("AWS::EC2::VPC", &["CidrBlock", "Ipv4IpamPoolId", "Ipv4NetmaskLength"]),
    ("AWS::EC2::Subnet", &["VpcId", "AvailabilityZone", "AvailabilityZoneId", "CidrBlock", "OutpostArn"]),
    ("AWS::EC2::InternetGateway", &[]),
    ("AWS::EC2::VPCGatewayAttachment", &["VpcId"]),
    ("AWS::EC2::RouteTable", &["VpcId"]),
    ("AWS::EC2::Route", &["RouteTableId", "DestinationCidrBlock"]),
    ("AWS::EC2::SubnetRouteTableAssociation", &["SubnetId", "RouteTableId"]),
    ("AWS::EC2::EIP", &["Domain", "NetworkBorderGroup", "Address"]),
    ("AWS::EC2::NatGateway", &["SubnetId", "AllocationId", "ConnectivityType"]),
    ("AWS::EC2::VPCEndpoint", &["ServiceName", "VpcEndpointType", "VpcId"]),
    ("AWS::IAM::Role", &["Path", "RoleName"]),
    // Its own tags are set once, though the schema does not say so.
    ("AWS::EC2::LaunchTemplate", &["LaunchTemplateName", "TagSpecifications"]),
    ("AWS::Logs::LogGroup", &["LogGroupName"]),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/eks-templates")
}

fn environment(name: &str) -> (Environment, EksCluster) {
    let path = folder().join(format!("{name}.yaml"));
    let options = LoadOptions { home: "/home/ada".into(), known_addons: Vec::new() };
    let loaded = load(&Found::file(&path), &options).expect("a valid profile");
    let ClusterSpec::Eks(spec) = loaded.environment.cluster.clone() else { unreachable!("all are on eks") };
    (loaded.environment, spec)
}

fn offered(region: &str) -> Vec<Offered> {
    let zone = |(name, id): (&str, &str)| Offered { name: format!("{region}{name}"), id: id.to_string() };
    let zones: &[(&str, &str)] = match region {
        "us-east-1" => &[("a", "use1-az3"), ("b", "use1-az4"), ("c", "use1-az2"), ("d", "use1-az6")],
        _ => &[("a", "az2"), ("b", "az3"), ("c", "az1"), ("d", "az4")],
    };
    zones.iter().copied().map(zone).collect()
}

fn zones(environment: &Environment, spec: &EksCluster, standing: &[Zone]) -> Vec<Zone> {
    let groups = environment.node_groups.iter();
    let wanted: BTreeMap<&str, Vec<&str>> =
        groups.map(|group| (group.name.as_str(), group.zones.iter().map(String::as_str).collect())).collect();
    choose(&offered(&spec.region), standing, &wanted).expect("zones")
}

fn blueprint(environment: &Environment, spec: &EksCluster, standing: &[Zone]) -> Blueprint {
    let partition = if spec.region.starts_with("cn-") { "aws-cn" } else { "aws" };
    let site = Site {
        partition: partition.to_string(),
        account: "123456789012".to_string(),
        region: spec.region.clone(),
    };
    let network = spec.network.subnets.is_empty().then(|| NetworkPlan {
        addresses: Addresses::parse(spec.network.cidr.as_deref().unwrap_or(Addresses::DEFAULT))
            .expect("addresses"),
        zones: zones(environment, spec, standing),
        nat: spec.network.nat,
    });
    Blueprint::new(environment, spec, site, network)
}

fn pretty(template: &Template, blueprint: &Blueprint) -> String {
    let value = template.to_value(&blueprint.description());
    serde_json::to_string_pretty(&value).expect("JSON") + "\n"
}

#[test]
fn the_templates_of_a_few_profiles_are_what_they_are() {
    let mut differences = Vec::new();
    for name in PROFILES {
        let (environment, spec) = environment(name);
        let blueprint = blueprint(&environment, &spec, &[]);
        let text = pretty(&blueprint.template(), &blueprint);
        let path = folder().join(format!("{name}.json"));
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&path, text).expect("written");
        } else if fs::read_to_string(&path).unwrap_or_default() != text {
            differences.push(format!("{}: UPDATE_EXPECTED=1 rewrites it", path.display()));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_same_profile_gives_the_same_bytes() {
    for name in PROFILES {
        let text = || {
            let (environment, spec) = environment(name);
            let blueprint = blueprint(&environment, &spec, &[]);
            blueprint.template().to_value(&blueprint.description()).to_string()
        };
        assert_eq!(text(), text());
    }
}

#[test]
fn values_are_computed_and_only_ids_are_left_to_the_stack() {
    for name in PROFILES {
        let (environment, spec) = environment(name);
        let mut functions = Vec::new();
        let blueprint = blueprint(&environment, &spec, &[]);
        collect_functions(&blueprint.template().to_value(""), &mut functions);
        functions.sort();
        functions.dedup();
        assert_eq!(functions, ["Fn::GetAtt", "Ref"], "{name}");
    }
}

fn collect_functions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                if key == "Ref" || key.starts_with("Fn::") {
                    found.push(key.clone());
                }
                collect_functions(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_functions(item, found)),
        _ => {}
    }
}

/// A change of a profile.
type Edit = fn(&mut Environment, &mut EksCluster);

/// What a user may write into a profile that stands.
fn edits() -> Vec<(&'static str, Edit)> {
    vec![
        ("no NAT", |_, spec| spec.network.nat = Nat::None),
        ("one NAT", |_, spec| spec.network.nat = Nat::Single),
        ("many NATs", |_, spec| spec.network.nat = Nat::PerZone),
        ("another zone", |environment, spec| {
            environment.node_groups.iter_mut().for_each(|g| g.zones.push(format!("{}d", spec.region)));
        }),
        ("no groups", |environment, _| environment.node_groups.clear()),
        ("more groups", |environment, _| {
            let more: Vec<NodeGroup> = environment.node_groups.iter().cloned().map(renamed).collect();
            environment.node_groups.extend(more);
        }),
        ("larger disks", |environment, _| {
            environment.node_groups.iter_mut().for_each(|g| g.disk = "300Gi".parse().ok());
        }),
        ("a range", |environment, _| environment.node_groups.iter_mut().for_each(|g| g.max = g.min + 9)),
        ("Auto Mode", |_, spec| spec.auto_mode = !spec.auto_mode),
        ("logs", |_, spec| spec.logging = vec![EksLog::Api]),
        ("no logs", |_, spec| spec.logging.clear()),
    ]
}

fn renamed(group: NodeGroup) -> NodeGroup {
    NodeGroup { name: format!("{}-2", group.name), ..group }
}

#[test]
fn no_change_of_a_profile_replaces_what_stands() {
    let mut compared = 0;
    for name in PROFILES {
        let (environment, spec) = environment(name);
        let standing = blueprint(&environment, &spec, &[]);
        let zones = standing.network.iter().flat_map(|plan| plan.zones.clone()).collect::<Vec<_>>();
        for (edit, make) in edits() {
            let (mut environment, mut spec) = (environment.clone(), spec.clone());
            make(&mut environment, &mut spec);
            let next = blueprint(&environment, &spec, &zones).template();
            for (id, was) in standing.template().resources() {
                let Some(is) = next.resources().get(id) else { continue };
                assert_eq!(was["Type"], is["Type"], "{name}, {edit}: {id}");
                let (_, fixed) =
                    FIXED.iter().find(|(kind, _)| was["Type"] == *kind).expect("a type of the table");
                for property in *fixed {
                    let (was, is) = (&was["Properties"][property], &is["Properties"][property]);
                    assert_eq!(was, is, "{name}, {edit}: {property} of {id}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 1_000, "{compared}");
}

#[test]
fn the_content_that_a_template_tells_changes_with_it() {
    let mut different = 0;
    for name in PROFILES {
        let (environment, spec) = environment(name);
        let standing = blueprint(&environment, &spec, &[]);
        let zones = standing.network.iter().flat_map(|plan| plan.zones.clone()).collect::<Vec<_>>();
        let was = standing.template();
        for (edit, make) in edits() {
            let (mut environment, mut spec) = (environment.clone(), spec.clone());
            make(&mut environment, &mut spec);
            let is = blueprint(&environment, &spec, &zones).template();
            let is_same = was.resources() == is.resources() && was.outputs().eq(is.outputs());
            assert_eq!(was.content() == is.content(), is_same, "{name}, {edit}");
            different += usize::from(!is_same);
        }
        assert_eq!(read(&written(&zones)), zones, "{name}");
    }
    assert!(different > 10, "{different}");
}

#[test]
fn every_template_passes_the_checker_of_aws() {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/aws-fake");
    for name in PROFILES {
        let (_, spec) = environment(name);
        let template = folder().join(format!("{name}.json"));
        let checked = Command::new(&script)
            .args(["--run", "cfn-lint", "--regions", &spec.region])
            // The zones are chosen with care, see `template::choose`.
            .args(["--ignore-checks", "W3010", "--template"])
            .arg(&template)
            .output()
            .expect("scripts/aws-fake runs");
        let said = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success() && said.trim().is_empty(), "{name}: {said}");
    }
}
