use serde_json::{Value, json};

use super::blueprint::{Blueprint, Machines};
use super::document::{Template, tags};
use super::ids;
use crate::base::label;

/// The root disk of the images that EKS offers.
/// <https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html>
const ROOT: &str = "/dev/xvda";
/// What `CloudFormation` calls a launch template.
pub const TYPE: &str = "AWS::EC2::LaunchTemplate";

/// Adds a launch template for each node group. What they leave out, EKS decides: the image, the instance profile,
/// what runs at the start, the type.
pub fn add(template: &mut Template, blueprint: &Blueprint) {
    for machines in &blueprint.machines {
        let properties = launch_template(blueprint, machines);
        template.resource(ids::launch_template(&machines.group), TYPE, properties);
    }
}

/// It has no name of its own: names are unique in the region, and nothing looks for it by one.
fn launch_template(blueprint: &Blueprint, machines: &Machines) -> Value {
    let mut tagged = blueprint.tags_of(format!("{}-{}", blueprint.names.environment(), machines.group));
    tagged.insert(label::NODE_GROUP.to_string(), machines.group.clone());
    let specification = |kind: &str| json!({"ResourceType": kind, "Tags": tags(&tagged)});
    let tagged_things = ["instance", "volume", "network-interface"].map(specification);
    json!({
        "LaunchTemplateData": {
            "BlockDeviceMappings": [{
                "DeviceName": ROOT,
                "Ebs": {
                    "VolumeType": "gp3",
                    "VolumeSize": machines.disk,
                    "Encrypted": true,
                    "DeleteOnTermination": true,
                },
            }],
            // One hop: pods that have a network of their own cannot take the rights of the node.
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
            "TagSpecifications": tagged_things,
        },
        "TagSpecifications": [specification("launch-template")],
    })
}

/// Adds the log group. Without it, EKS makes one that keeps everything for ever.
pub fn add_log_group(template: &mut Template, blueprint: &Blueprint, days: u32) {
    template.resource(
        ids::LOG_GROUP,
        "AWS::Logs::LogGroup",
        json!({
            "LogGroupName": blueprint.names.log_group(),
            "RetentionInDays": days,
            "Tags": tags(&blueprint.tags),
        }),
    );
}
